/** A worker thread of the tables' pool: projects for the stores whose sessions it was given. */
import { assert } from '../../assert.ts'
import { endWorker, notify, runInBackground, serve } from '../../storage/worker-link.ts'
import { Gate } from './gate.ts'
import type { NoticeOfSession, TablesRequest } from './protocol.ts'
import { TablesSession } from './session.ts'

/** While one batch is written by LevelDB's threads, the next is folded in this one. */
const BATCHES_AT_ONCE = 2

runInBackground()

const gate = new Gate(BATCHES_AT_ONCE)
const sessions = new Map<number, TablesSession>()

serve(async (body) => {
  // What the main thread sends has the shape of its own type.
  const request = body as TablesRequest
  if (request.do === 'end') {
    endWorker()
    return undefined
  }
  const { session: number } = request
  if (request.do === 'open') {
    const session = await TablesSession.open(request.data, {
      gate,
      tell: (notice) => notify({ session: number, notice } satisfies NoticeOfSession)
    })
    sessions.set(number, session)
    return { busy: session.busy }
  }
  const session = sessions.get(number)
  assert(session !== undefined, 'a session is opened before it is asked')
  if (request.do === 'project') return session.project(request.to)
  if (request.do === 'compare') return session.compare(request.slice)
  if (request.do === 'sums') return session.sums()
  sessions.delete(number)
  await session.close()
  return undefined
})
