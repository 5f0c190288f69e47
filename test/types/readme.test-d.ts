/** The TypeScript of README.md, word for word; test/readme.test.ts compares. */
import { open } from 'sutra-storage'

export async function readmeTypes(): Promise<void> {
  interface Library {
    type: 'person' | 'book'
    association: 'wrote' | 'cites'
    metadata: { year?: number }
  }
  const store = await open<Library>('./library')
  await store.learn({ type: 'book', content: 'Notes', metadata: { year: 1843 } })
}
