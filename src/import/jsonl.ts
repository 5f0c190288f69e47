import { InexactNumber, parseExactly } from './exact-json.ts'
import { type Line, LineSplitter } from './lines.ts'
import type { Input, Row } from './reader.ts'

/** Reads JSON Lines: one JSON value a line. */
export async function* readJsonLines(input: Input): AsyncGenerator<Iterable<Row>, void> {
  const splitter = new LineSplitter()
  if (input.from !== undefined) splitter.beginAt(input.from)
  for await (const chunk of input.chunks()) yield parsed(splitter.push(chunk), input)
  yield parsed(splitter.end(), input)
}

function* parsed(lines: Iterable<Line>, { file, options }: Input): Generator<Row, void> {
  // What a program makes of a line may leave out the number, or take it from elsewhere.
  const isExact = options.map === undefined
  for (const { number: line, bytes, start, text, fault } of lines) {
    if (text === '') continue
    if (text === undefined) {
      yield { line, bytes, start, file, text, value: undefined, fault }
      continue
    }
    try {
      const value: unknown = isExact ? parseExactly(text, true) : JSON.parse(text)
      yield { line, bytes, start, file, text, value, fault: undefined }
    } catch (error) {
      // Looked at only here, so that a line that is not blank pays nothing for it.
      if (text.trim() === '') continue
      const reason = error instanceof Error ? error.message : String(error)
      const fault = error instanceof InexactNumber ? reason : `not valid JSON: ${reason}`
      yield { line, bytes, start, file, text, value: undefined, fault }
    }
  }
}
