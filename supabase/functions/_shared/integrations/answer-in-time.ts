// Somebody waits for the answer: a platform that stalls is given up before the caller gives up.
import { AppError, isCode } from '../platform/errors.ts'
import type { Outside } from '../platform/outside.ts'

/** Long enough for a slow platform's second try, well below what browsers and gateways wait. */
const ANSWER_WITHIN_MS = 45_000

/**
 * Does all of `work` within the limit.
 *
 * @param platform Its name, for the error.
 * @throws AppError `provider_timeout` when the limit is reached
 */
export async function answerInTime<Result>(
  { answerWithinMs = ANSWER_WITHIN_MS }: Pick<Outside, 'answerWithinMs'>,
  platform: string,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const signal = AbortSignal.timeout(answerWithinMs)
  try {
    return await work(signal)
  } catch (error) {
    // what the HTTP client throws for a cancelled call
    if (!signal.aborted || !isCode(error, 'unavailable')) throw error
    throw new AppError('provider_timeout', {
      detail: `${platform} did not answer within ${answerWithinMs / 1_000} s.`,
      cause: error,
    })
  }
}
