const BARS = '▁▂▃▄▅▆▇█'

/**
 * The newest values as bars, the newest at the right. What is missing stays blank; what is not zero
 * never looks like zero.
 *
 * @param top The value of a full bar.
 */
export function sparkline(
  values: readonly (number | undefined)[],
  width: number,
  top: number
): string {
  if (width <= 0) return ''
  const shown = values.slice(-width).map((value) => bar(value, top))
  return shown.join('').padStart(width)
}

/** The end of a scale: the next of 1, 2 or 5 times a power of ten, so that it seldom changes. */
export function scaleOf(values: readonly (number | undefined)[], least = 1): number {
  const greatest = values.reduce<number>((most, value) => {
    return value !== undefined && Number.isFinite(value) ? Math.max(most, value) : most
  }, least)
  const power = 10 ** Math.floor(Math.log10(greatest))
  // Both ends of the comparison are rounded the same way: 0.3 is not 3 times 0.1 to a computer.
  const step = [1, 2, 5].find((one) => greatest <= one * power * (1 + 1e-9)) ?? 10
  return step * power
}

function bar(value: number | undefined, top: number): string {
  if (value === undefined || !Number.isFinite(value)) return ' '
  if (value <= 0) return BARS.charAt(0)
  const last = BARS.length - 1
  return BARS.charAt(Math.min(last, Math.max(1, Math.round((value / top) * last))))
}
