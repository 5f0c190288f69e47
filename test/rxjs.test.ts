import * as whole from 'rxjs'
import { expect, test } from 'vitest'
import * as parts from '#sutra/rxjs.js'

test('the parts of RxJS that are loaded one by one are those of the whole', () => {
  const names = Object.keys(parts) as (keyof typeof parts)[]

  expect(names).toContain('Observable')
  for (const name of names) expect(parts[name], name).toBe(whole[name])
})
