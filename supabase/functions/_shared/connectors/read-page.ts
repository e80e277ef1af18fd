// One page of a stream that its connector reads in its own words.
import type { Clock } from '../platform/clock.ts'
import { AppError } from '../platform/errors.ts'
import { inParallel } from '../platform/in-parallel.ts'
import type { AccountCall, Page, PageRequest } from './account.ts'
import type { Stream } from './define-connector.ts'
import type { AccountValues } from './vocabulary/auth.ts'
import type { PlatformAnswer, PlatformCall } from './vocabulary/platform-call.ts'

type Parts = { account: AccountValues; call: AccountCall; clock: Clock }

/** Calls of one page that are under way at once. */
const AT_ONCE = 8

export async function readPage(
  stream: Extract<Stream, { read: unknown }>,
  { since, cursor, bookmark = null }: PageRequest,
  { account, call, clock }: Parts,
): Promise<Page> {
  const now = clock.now()
  let length = 0
  const read = async (request: PlatformCall): Promise<PlatformAnswer> => {
    const answer = await call(request)
    length += answer.length
    return answer
  }
  const { records, next, ...rest } = await stream.read({
    settings: account.settings,
    account: account.account,
    place: cursor && 'place' in cursor ? cursor.place : null,
    since: since && stream.incremental
      ? new Date(Date.parse(since) - stream.incremental.overlapSeconds * 1000).toISOString()
      : null,
    bookmark,
    now,
    call: read,
    all: (calls) => inParallel(calls, AT_ONCE, read),
  })
  if (!Array.isArray(records)) {
    throw new AppError('provider_bad_answer', {
      detail: `The platform answered without a list of ${stream.name}.`,
    })
  }
  // A platform that hands out the place we came from would keep us in a circle.
  if (next && cursor && JSON.stringify({ place: next }) === JSON.stringify(cursor)) {
    throw new AppError('provider_repeated_page')
  }
  return {
    records,
    next: next && { place: next },
    length,
    fetched_at: now.toISOString(),
    ...rest,
  }
}
