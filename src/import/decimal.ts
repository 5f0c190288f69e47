/** A decimal of at most so many digits is the same after a double has held it. */
const DIGITS_MAX = 15

/** Whether a decimal, written without an exponent, is the same after a double has held it. */
export function fitsDouble(text: string): boolean {
  const [whole = '', fraction = ''] = text.replace(/^[+-]/, '').split('.')
  const digits = `${whole}${fraction.replace(/0+$/, '')}`.replace(/^0+/, '')
  return digits.length <= DIGITS_MAX
}

/**
 * What a decimal of a column becomes in metadata: a number where that says the same, else its text.
 *
 * @param scale Digits behind the point.
 */
export function decimalValue(unscaled: bigint, scale: number): number | string {
  const text = decimalText(unscaled, scale)
  return fitsDouble(text) ? Number(text) : text
}

function decimalText(unscaled: bigint, scale: number): string {
  const sign = unscaled < 0n ? '-' : ''
  const digits = String(unscaled < 0n ? -unscaled : unscaled)
  if (scale <= 0) return `${sign}${digits}${'0'.repeat(unscaled === 0n ? 0 : -scale)}`
  const padded = digits.padStart(scale + 1, '0')
  return `${sign}${padded.slice(0, -scale)}.${padded.slice(-scale)}`
}
