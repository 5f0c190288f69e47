/** Nine digits tell any two float32 apart. */
const DIGITS = 9

/**
 * A float32 as decimal text, as JSON writes numbers, from which it is read back bit for bit, also
 * by way of a double: so few digits keep clear of the middle between two float32. The shortest
 * text would take twice as long to find, the shortest of the same double is twice as long.
 */
export function floatText(value: number): string {
  if (value === 0) return Object.is(value, -0) ? '-0' : '0'
  const text = value.toPrecision(DIGITS)
  return text.endsWith('0') ? String(Number(text)) : text
}

/** Numbers as the inside of a JSON array. */
export function floatsText(values: Float32Array): string {
  let text = ''
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? 0
    text += i === 0 ? floatText(value) : `,${floatText(value)}`
  }
  return text
}
