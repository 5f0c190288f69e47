import * as whole from 'rxjs'
import { expect, test } from 'vitest'
import * as parts from '#sutra/rxjs.js'

test('the parts of RxJS that are loaded one by one are those of the whole', () => {
  const known = new Map<string, unknown>(Object.entries(whole))
  const loaded = Object.entries(parts)

  expect(loaded.map(([name]) => name)).toContain('Observable')
  for (const [name, part] of loaded) expect(part, name).toBe(known.get(name))
})
