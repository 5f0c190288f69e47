/** The characters that part the fields of a CSV file and hold them together. */
export interface Dialect {
  /** One character. */
  readonly delimiter: string
  /** One character, or empty: then no field is quoted. */
  readonly quote: string
}

/**
 * Where a record stands at the end of a line: complete, in the middle of a quoted field, or broken,
 * with the reason.
 */
export type LineEnd = 'closed' | 'open' | { broken: string }

/**
 * Goes through one line. Quotes are strict, as in RFC 4180: a field is quoted whole or not at all.
 * So a quote that was never closed shows at the next line that has any, and what is read again
 * after it was found is read only once more.
 *
 * @param isOpen Whether the line begins within a quoted field.
 * @param onField Told where each field begins and ends, quotes included.
 */
export function scanLine(
  line: string,
  isOpen: boolean,
  { delimiter, quote }: Dialect,
  onField?: (from: number, to: number) => void
): LineEnd {
  let from = 0
  let at = 0
  let isQuoted = isOpen
  for (;;) {
    if (!isQuoted && line.startsWith(quote, at)) {
      isQuoted = true
      at += 1
    }
    if (isQuoted) {
      at = behindQuote(line, at, quote)
      if (at === -1) return 'open'
      if (at < line.length && line[at] !== delimiter) {
        return { broken: 'a quoted field goes on behind its closing quote' }
      }
    } else {
      const next = line.indexOf(delimiter, at)
      const end = next === -1 ? line.length : next
      if (line.slice(at, end).includes(quote)) {
        return { broken: 'a quote stands in a field that does not begin with one' }
      }
      at = end
    }
    onField?.(from, at)
    if (at === line.length) return 'closed'
    at += 1
    from = at
    isQuoted = false
  }
}

/** @returns The place behind the closing quote, or -1. Two quotes are one that was meant. */
function behindQuote(line: string, from: number, quote: string): number {
  for (let at = from; ; ) {
    const found = line.indexOf(quote, at)
    if (found === -1) return -1
    if (line[found + 1] !== quote) return found + 1
    at = found + 2
  }
}

/** The fields of a record that `scanLine` found closed at the end of its last line. */
export function fieldsOf(record: string, dialect: Dialect): string[] {
  const { delimiter, quote } = dialect
  if (quote === '' || !record.includes(quote)) return record.split(delimiter)
  const fields: string[] = []
  scanLine(record, false, dialect, (from, to) => {
    const isQuoted = record.startsWith(quote, from)
    const field = isQuoted ? record.slice(from + 1, to - 1) : record.slice(from, to)
    const isDoubled = isQuoted && field.includes(quote)
    fields.push(isDoubled ? field.replaceAll(quote + quote, quote) : field)
  })
  return fields
}
