/**
 * docs/telemetry.md, made from the types of telemetry and from the rules of alerts.
 *
 *   npm run docs     writes it; test/telemetry/docs.test.ts compares
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import ts from 'typescript'
import { NUMBER_RULES } from '#sutra/options.js'
import { ALERT_METRICS, LATENCY_FIELDS, unitOf } from '#sutra/telemetry/alert-metrics.js'
import { defaultRules } from '#sutra/telemetry/alert-rules.js'

export const PAGE = 'docs/telemetry.md'
const EVENTS = 'src/telemetry/events.ts'
const TYPES = 'src/telemetry/types.ts'

export interface Field {
  name: string
  type: string
  isOptional: boolean
  about: string
}

export interface Kind {
  name: string
  about: string
  fields: Field[]
}

/** Every kind of event with its fields, as the source says it. */
export function telemetryKinds(): Kind[] {
  const source = parse(EVENTS)
  return membersOf(interfaceOf(source, 'TelemetryFields')).map((member) => ({
    name: nameOf(member),
    about: aboutOf(member),
    fields: fieldsOf(member.type, source)
  }))
}

/** What every event carries. */
export function commonFields(): Field[] {
  const source = parse(EVENTS)
  return membersOf(interfaceOf(source, 'TelemetryBase')).map((member) => fieldOf(member, source))
}

export function telemetryPage(): string {
  const kinds = telemetryKinds()
  return [
    '<!-- Made by `npm run docs` from src/telemetry, do not edit. -->',
    '# Telemetry',
    '`store.telemetry$` tells what the store does, as plain objects that survive MessagePack and JSON (which has no ' +
      '`Infinity`). Kinds and fields may be added: tolerate unknown ones. What a field means changes only with `v`. ' +
      'While nobody subscribes, no event is made.',
    '## Every event',
    table(['field', 'type', 'meaning'], commonFields().map(fieldRow)),
    '## Kinds of events',
    table(
      ['kind', 'when', 'fields'],
      kinds.map(({ name, about, fields }) => [
        `[\`${name}\`](#${name})`,
        about,
        fields.map((field) => `\`${field.name}\``).join(', ')
      ])
    ),
    ...kinds.flatMap(({ name, about, fields }) => [
      `### ${name}`,
      about,
      table(['field', 'type', 'meaning'], fields.map(fieldRow))
    ]),
    '## Operations',
    operationsText(),
    '## Alerts',
    'A rule watches one of these metrics. Latencies are `latency.<operation>.<field>`, of the window, with ' +
      `${LATENCY_FIELDS.map((field) => `\`${field}\``).join(', ')} as fields.`,
    table(
      ['metric', 'unit', 'meaning'],
      Object.entries(ALERT_METRICS).map(([name, { unit, about }]) => [`\`${name}\``, unit, about])
    ),
    '### Built-in rules',
    table(['rule', 'severity', 'raised when', 'for', 'cleared when'], ruleRows())
  ]
    .join('\n\n')
    .concat('\n')
}

function ruleRows(): string[][] {
  const warnAt = NUMBER_RULES['pipeline.warnAt'].value
  return defaultRules(warnAt).map((rule) => {
    const { name, metric, severity = 'warning', above, below, forMs = 0 } = rule
    const isAbove = above !== undefined
    const threshold = above ?? below ?? 0
    const clearAt = rule.clearAt ?? threshold * (isAbove ? 0.8 : 1.2)
    const unit = unitOf(metric)
    return [
      `\`${name}\``,
      severity,
      `\`${metric}\` ${isAbove ? 'above' : 'below'} ${amount(threshold)} (${unit})`,
      forMs === 0 ? '' : `${forMs / 1000} s`,
      `${isAbove ? 'at most' : 'at least'} ${amount(clearAt)}`
    ]
  })
}

function amount(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 2 })
}

function operationsText(): string {
  const source = parse(TYPES)
  const found = source.statements.find(
    (one) => ts.isTypeAliasDeclaration(one) && one.name.text === 'Operation'
  )
  if (found === undefined) throw new Error(`${TYPES} has no Operation`)
  return aboutOf(found)
}

function fieldRow({ name, type, isOptional, about }: Field): string[] {
  return [`\`${name}\``, `\`${type}\`${isOptional ? ', may be absent' : ''}`, about]
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

function parse(path: string): ts.SourceFile {
  return ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true)
}

function interfaceOf(source: ts.SourceFile, name: string): ts.InterfaceDeclaration {
  const found = source.statements.filter(ts.isInterfaceDeclaration)
  const one = found.find((each) => each.name.text === name)
  if (one === undefined) throw new Error(`${source.fileName} has no interface ${name}`)
  return one
}

function membersOf({ members }: { members: ts.NodeArray<ts.TypeElement> }): ts.PropertySignature[] {
  return members.filter(ts.isPropertySignature)
}

function fieldsOf(type: ts.TypeNode | undefined, source: ts.SourceFile): Field[] {
  if (type === undefined || !ts.isTypeLiteralNode(type)) throw new Error('A kind is a type literal')
  return membersOf(type).map((member) => fieldOf(member, source))
}

function fieldOf(member: ts.PropertySignature, source: ts.SourceFile): Field {
  return {
    name: nameOf(member),
    // The only parameter of a type there is: the name of the kind.
    type: (member.type?.getText(source) ?? 'unknown').replace(/^T$/, 'string'),
    isOptional: member.questionToken !== undefined,
    about: aboutOf(member)
  }
}

function nameOf({ name }: ts.PropertySignature): string {
  if (ts.isIdentifier(name) || ts.isStringLiteral(name)) return name.text
  throw new Error('Kinds and fields have plain names')
}

/** The sentence above it, on one line; empty where there is none. */
function aboutOf(node: ts.Node): string {
  const comments = ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc)
  const texts = comments.map(({ comment }) => ts.getTextOfJSDocComment(comment) ?? '')
  return texts.join(' ').replaceAll(/\s+/g, ' ').trim()
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  writeFileSync(PAGE, telemetryPage())
}
