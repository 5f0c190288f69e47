import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compileWhere, type WhereSubject } from '#sutra/query/where.js'

describe('a condition on a field', () => {
  test.each<[where: unknown, metadata: Record<string, unknown>, holds: boolean]>([
    [{ lang: 'en' }, { lang: 'en' }, true],
    [{ lang: 'en' }, { lang: 'de' }, false],
    [{ lang: 'en' }, {}, false],
    [{ n: 1 }, { n: '1' }, false],
    [{ n: 0 }, { n: -0 }, true],
    [{ n: { eq: true } }, { n: true }, true],
    [{ n: { eq: true } }, { n: 1 }, false],
    [{ n: null }, { n: null }, true],
    [{ n: null }, {}, false],
    [{ n: { ne: 1 } }, { n: 2 }, true],
    [{ n: { ne: 1 } }, { n: 1 }, false],
    [{ n: { ne: 1 } }, {}, true],
    [{ n: { ne: null } }, {}, true],
    [{ n: { in: [1, 'a', null] } }, { n: 'a' }, true],
    [{ n: { in: [1, 'a', null] } }, { n: null }, true],
    [{ n: { in: [1, 'a'] } }, { n: '1' }, false],
    [{ n: { in: [1, 'a'] } }, {}, false],
    [{ n: { in: [] } }, { n: 1 }, false],
    [{ n: { nin: [1] } }, { n: 2 }, true],
    [{ n: { nin: [1] } }, { n: 1 }, false],
    [{ n: { nin: [1] } }, {}, true],
    [{ n: { exists: true } }, { n: null }, true],
    [{ n: { exists: true } }, {}, false],
    [{ n: { exists: false } }, {}, true],
    [{ n: { exists: false } }, { n: null }, false]
  ])('%j holds for %j: %s', (where, metadata, holds) => {
    expect(compileWhere(where)(subject({ metadata }))).toBe(holds)
  })

  test.each<[where: unknown, value: unknown, holds: boolean]>([
    [{ n: { gt: 1 } }, 2, true],
    [{ n: { gt: 1 } }, 1, false],
    [{ n: { gte: 1 } }, 1, true],
    [{ n: { lt: 1 } }, 1, false],
    [{ n: { lte: 1 } }, 1, true],
    [{ n: { gt: 1, lte: 3 } }, 3, true],
    [{ n: { gt: 1, lte: 3 } }, 4, false],
    [{ n: { gt: 1 } }, '2', false],
    [{ n: { lt: 1 } }, null, false],
    [{ n: { lt: 1 } }, false, false],
    [{ n: { lt: 1 } }, undefined, false],
    [{ n: { gt: '10' } }, '9', true],
    [{ n: { gt: '10' } }, 11, false],
    [{ n: { lt: 'a' } }, 'Z', true],
    // By code units the first half of a surrogate pair comes before the end of the plane.
    [{ n: { lt: '\uffee' } }, '\u{1f600}', true]
  ])('%j compares with %j only if the types are equal: %s', (where, value, holds) => {
    expect(compileWhere(where)(subject({ metadata: { n: value } }))).toBe(holds)
  })

  test.each<[where: unknown, value: unknown, holds: boolean]>([
    [{ n: { contains: 'b' } }, ['a', 'b'], true],
    [{ n: { contains: 'b' } }, ['abc'], false],
    [{ n: { contains: 1 } }, ['1', 2], false],
    [{ n: { contains: null } }, [null], true],
    [{ n: { contains: 'b' } }, 'abc', true],
    [{ n: { contains: 'd' } }, 'abc', false],
    [{ n: { contains: 1 } }, '1', false],
    [{ n: { contains: 'b' } }, { b: 1 }, false],
    [{ n: { contains: 'b' } }, undefined, false],
    [{ n: 'a' }, ['a'], false],
    [{ n: { in: ['a'] } }, ['a'], false],
    [{ n: { ne: 'a' } }, ['a'], true],
    [{ n: { nin: ['a'] } }, ['a'], true]
  ])('%j looks into %j with contains alone: %s', (where, value, holds) => {
    expect(compileWhere(where)(subject({ metadata: { n: value } }))).toBe(holds)
  })
})

describe('a path', () => {
  test.each<[path: string, metadata: Record<string, unknown>, holds: boolean]>([
    ['a.b', { a: { b: 1 } }, true],
    ['a.b.c', { a: { b: { c: 1 } } }, true],
    ['a.b', { 'a.b': 1 }, true],
    ['a.b', { 'a.b': 1, a: { b: 2 } }, true],
    ['a.b', { 'a.b': 2, a: { b: 1 } }, false],
    ['a.b', { a: null }, false],
    ['a.b', { a: 'text' }, false],
    ['a.0', { a: [1] }, false],
    ['a.length', { a: [1] }, false]
  ])('%s in %j: %s', (path, metadata, holds) => {
    expect(compileWhere({ [path]: 1 })(subject({ metadata }))).toBe(holds)
  })

  test.each(['constructor', '__proto__', 'toString', 'a.constructor', '__proto__.constructor'])(
    '%s finds own fields alone',
    (path) => {
      const exists = compileWhere(JSON.parse(`{ "${path}": { "exists": true } }`))
      const [last = ''] = path.split('.').slice(-1)
      const own = JSON.parse(`{ "${path}": 1, "${last}": 1 }`)

      expect(exists(subject({ metadata: { a: {} } }))).toBe(false)
      expect(exists(subject({ metadata: own }))).toBe(true)
    }
  )

  test('with @ in front names the subject itself', () => {
    const one = subject({
      type: 'synset',
      strength: 0.5,
      confidence: 0.25,
      createdAt: 1000,
      updatedAt: 2000,
      metadata: { strength: 7, type: 'other' }
    })

    expect(compileWhere({ '@type': 'synset', '@strength': { gte: 0.5 } })(one)).toBe(true)
    expect(compileWhere({ '@type': { contains: 'syn' } })(one)).toBe(true)
    expect(compileWhere({ '@confidence': { in: [0.25, 0.5] } })(one)).toBe(true)
    expect(compileWhere({ '@createdAt': 1000, '@updatedAt': { lt: 2000 } })(one)).toBe(false)
    expect(compileWhere({ type: 'other', strength: 7 })(one)).toBe(true)
    expect(compileWhere({ '@type': { exists: false } })(subject({}))).toBe(true)
  })
})

describe('and, or, not', () => {
  test.each<[where: unknown, holds: boolean]>([
    [{}, true],
    [{ and: [] }, true],
    [{ or: [] }, false],
    [{ not: {} }, false],
    [{ a: 1, b: 2 }, true],
    [{ a: 1, b: 3 }, false],
    [{ and: [{ a: 1 }, { b: 2 }] }, true],
    [{ and: [{ a: 1 }, { b: 3 }] }, false],
    [{ or: [{ a: 9 }, { b: 2 }] }, true],
    [{ or: [{ a: 9 }, { b: 9 }] }, false],
    [{ not: { a: 9 } }, true],
    [{ not: { a: 1, b: 9 } }, true],
    [{ not: { not: { a: 1 } } }, true],
    [{ and: [{ or: [{ a: 9 }, { b: 2 }] }, { not: { c: { exists: true } } }] }, true]
  ])('%j: %s', (where, holds) => {
    expect(compileWhere(where)(subject({ metadata: { a: 1, b: 2 } }))).toBe(holds)
  })

  test('are names of fields wherever they cannot combine anything', () => {
    const holds = (where: unknown, metadata: Record<string, unknown>): boolean =>
      compileWhere(where)(subject({ metadata }))

    expect(holds({ and: { eq: 1 } }, { and: 1 })).toBe(true)
    expect(holds({ or: 'x' }, { or: 'y' })).toBe(false)
    expect(holds({ not: 'x' }, { not: 'x' })).toBe(true)
    expect(holds({ not: { gt: 1 }, a: 1 }, { not: 2, a: 1 })).toBe(true)
    expect(holds({ not: { gt: { eq: 5 } } }, { gt: 5 })).toBe(false)
    expect(() => compileWhere({ not: { gt: 1 } })).toThrow(invalidAt('where.not'))
  })

  test('ask for the metadata last', () => {
    let decoded = 0
    const one = {
      ...subject({ type: 'a' }),
      get metadata(): Record<string, unknown> {
        decoded++
        return {}
      }
    }
    decoded = 0

    expect(compileWhere({ lang: 'en', '@type': 'b' })(one)).toBe(false)
    expect(compileWhere({ or: [{ lang: 'en' }, { '@type': 'a' }] })(one)).toBe(true)
    expect(compileWhere({ and: [{ not: { lang: 'en' } }, { '@type': 'b' }] })(one)).toBe(false)
    expect(decoded).toBe(0)
  })
})

describe('a where is refused', () => {
  test.each<[where: unknown, option: string, received: unknown]>([
    [undefined, 'where', undefined],
    [null, 'where', null],
    ['lang = en', 'where', 'lang = en'],
    [[{ a: 1 }], 'where', [{ a: 1 }]],
    [{ a: {} }, 'where.a', {}],
    [{ a: undefined }, 'where.a', undefined],
    [{ a: Number.NaN }, 'where.a', Number.NaN],
    [{ a: 1n }, 'where.a', 1n],
    [{ a: [1] }, 'where.a', [1]],
    [{ a: { like: 'x' } }, 'where.a.like', 'like'],
    [{ a: { constructor: 1 } }, 'where.a.constructor', 'constructor'],
    [{ a: { eq: [1] } }, 'where.a.eq', [1]],
    [{ a: { eq: 1, lt: undefined } }, 'where.a.lt', undefined],
    [{ a: { gt: true } }, 'where.a.gt', true],
    [{ a: { gt: null } }, 'where.a.gt', null],
    [{ a: { lte: Number.POSITIVE_INFINITY } }, 'where.a.lte', Number.POSITIVE_INFINITY],
    [{ a: { in: 'abc' } }, 'where.a.in', 'abc'],
    [{ a: { nin: [1, {}] } }, 'where.a.nin[1]', {}],
    [{ a: { exists: 1 } }, 'where.a.exists', 1],
    [{ a: { contains: ['x'] } }, 'where.a.contains', ['x']],
    [{ '@score': 1 }, 'where.@score', '@score'],
    [{ '@type': null }, 'where.@type', null],
    [{ '@strength': '1' }, 'where.@strength', '1'],
    [{ '@strength': { contains: 1 } }, 'where.@strength.contains', 1],
    [{ '@createdAt': { gt: '2024-01-01' } }, 'where.@createdAt.gt', '2024-01-01'],
    [{ and: [{ a: 1 }, 2] }, 'where.and[1]', 2],
    [{ or: [{ a: 1 }], b: 1 }, 'where.or', [{ a: 1 }]],
    [{ or: [{ not: { and: [{ a: {} }] } }] }, 'where.or[0].not.and[0].a', {}]
  ])('for %o, naming %s', (where, option, received) => {
    expect(() => compileWhere(where)).toThrow(invalidAt(option, received))
  })

  test('for objects that are not plain', () => {
    class Custom {
      eq = 1
    }
    for (const value of [new Date(0), new Map(), /x/, new Custom(), Object.create({ eq: 1 })]) {
      expect(() => compileWhere({ a: value })).toThrow(invalidAt('where.a', value))
      expect(() => compileWhere(value)).toThrow(invalidAt('where', value))
      expect(() => compileWhere({ not: value })).toThrow(invalidAt('where.not', value))
    }
    const bare = Object.assign(Object.create(null), { a: Object.create(null) })
    expect(() => compileWhere(bare)).toThrow(invalidAt('where.a'))
  })

  test('for a list with holes', () => {
    const holes = [1]
    holes.length = 3

    expect(() => compileWhere({ a: { in: holes } })).toThrow(invalidAt('where.a.in[1]'))
    expect(() => compileWhere({ and: new Array(1) })).toThrow(invalidAt('where.and[0]'))
  })

  test('under the name of the option it came in', () => {
    expect(() => compileWhere({ a: {} }, 'filter')).toThrow(invalidAt('filter.a'))
  })

  test('beyond 32 levels, or in a circle', () => {
    const nested = (levels: number): unknown =>
      levels === 0
        ? { a: 1 }
        : levels % 2
          ? { not: nested(levels - 1) }
          : { or: [nested(levels - 1)] }
    const circle: { and: unknown[] } = { and: [] }
    circle.and.push(circle)

    expect(compileWhere(nested(32))(subject({}))).toBe(false)
    expect(() => compileWhere(nested(33))).toThrow(
      expect.objectContaining({ code: 'QUERY_INVALID' })
    )
    expect(() => compileWhere(circle)).toThrow(expect.objectContaining({ code: 'QUERY_INVALID' }))
  })

  test('beyond 1 000 conditions, however they are spread', () => {
    const paths = (count: number): Record<string, number> =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`f${i}`, 1]))
    const list = (count: number, one: unknown): unknown => ({ or: new Array(count).fill(one) })

    for (const where of [paths(1000), list(1000, { a: 1 }), list(500, { a: { gt: 1, lt: 2 } })]) {
      expect(compileWhere(where)(subject({}))).toBe(false)
    }
    const tooMany = [
      paths(1001),
      list(1001, { a: 1 }),
      list(501, { a: { gt: 1, lt: 2 } }),
      list(1001, {}),
      list(40, list(40, { or: [] }))
    ]
    for (const where of tooMany) {
      expect(() => compileWhere(where)).toThrow(
        expect.objectContaining({
          code: 'QUERY_INVALID',
          details: expect.objectContaining({ received: 1001, expected: 'at most 1000 conditions' })
        })
      )
    }
  })

  test('for a list of more than 10 000 values', () => {
    const values = Array.from({ length: 10_000 }, (_, i) => i)
    const where = compileWhere({ a: { in: values } })

    expect(where(subject({ metadata: { a: 9_999 } }))).toBe(true)
    expect(where(subject({ metadata: { a: 10_000 } }))).toBe(false)
    expect(() => compileWhere({ a: { nin: [...values, 0] } })).toThrow(
      invalidAt('where.a.nin', 10_001)
    )
  })
})

describe('on random input', () => {
  test('anything compiles or is refused with QUERY_INVALID, and what compiles never throws', () => {
    const { node } = fc.letrec((tie) => ({
      node: fc.oneof({ maxDepth: 4 }, fc.anything(), tie('fields')),
      fields: fc.dictionary(
        fc.constantFrom(
          'a',
          'a.b',
          'and',
          'or',
          'not',
          '@type',
          '@strength',
          '__proto__',
          'eq',
          'in'
        ),
        fc.oneof(fc.anything(), fc.array(tie('node'), { maxLength: 3 }), tie('node')),
        { maxKeys: 3 }
      )
    }))
    const metadata = fc.dictionary(fc.constantFrom('a', 'a.b', 'and', '__proto__'), fc.jsonValue())
    fc.assert(
      fc.property(node, metadata, (where, fields) => {
        const compiled = attempt(() => compileWhere(where))
        if (typeof compiled === 'function') {
          expect(typeof compiled(subject({ metadata: fields }))).toBe('boolean')
        } else {
          expect(compiled).toMatchObject({ code: 'QUERY_INVALID' })
        }
      }),
      { numRuns: 3000 }
    )
  })

  test('not, and, or obey the laws of De Morgan', () => {
    const value = fc.constantFrom<unknown>(null, 0, 1, 2, 'a', 'b', true)
    const operator = fc.constantFrom('eq', 'ne', 'contains')
    const condition = fc
      .tuple(fc.constantFrom('a', 'b'), operator, value)
      .map(([path, name, operand]) => ({ [path]: { [name]: operand } }))
    fc.assert(
      fc.property(
        fc.array(condition, { maxLength: 4 }),
        fc.dictionary(fc.constantFrom('a', 'b'), fc.oneof(value, fc.array(value))),
        (conditions, metadata) => {
          const one = subject({ metadata })
          const negated = conditions.map((where) => ({ not: where }))

          const notAll = compileWhere({ not: { and: conditions } })(one)
          const notAny = compileWhere({ not: { or: conditions } })(one)

          expect(notAll).toBe(compileWhere({ or: negated })(one))
          expect(notAny).toBe(compileWhere({ and: negated })(one))
        }
      )
    )
  })
})

function subject(parts: Partial<WhereSubject>): WhereSubject {
  return {
    type: undefined,
    strength: 1,
    confidence: 1,
    createdAt: 0,
    updatedAt: 0,
    metadata: {},
    ...parts
  }
}

/** An error that names the option and, where one is given, what was received. */
function invalidAt(option: string, ...received: unknown[]): unknown {
  const details = { option, expected: expect.any(String) }
  return expect.objectContaining({
    code: 'QUERY_INVALID',
    details: expect.objectContaining(
      received.length > 0 ? { ...details, received: received[0] } : details
    )
  })
}

function attempt<T>(body: () => T): T | unknown {
  try {
    return body()
  } catch (error) {
    return error
  }
}
