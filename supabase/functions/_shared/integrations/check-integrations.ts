// Checks many accounts, a few at a time: an organization's when asked, everybody's when due.
import type { z } from 'zod'
import type { checkIntegrations as checkAllContract } from '../contracts/integrations.ts'
import { AppError } from '../platform/errors.ts'
import { inParallel } from '../platform/in-parallel.ts'
import type { Outside } from '../platform/outside.ts'
import { workThroughDue } from '../platform/work-through-due.ts'
import { checkIntegration } from './check-integration.ts'

const AT_ONCE = 8

/** How long a caller waits; an account that takes longer is left out of the answer. */
const ANSWER_WITHIN_MS = 50_000

/** With less time than this an account would look ill that is only slow. */
const LEAST_MS = 10_000

/** One worker's share, well below the platform's 150 s. */
const WORK_FOR_MS = 90_000

type Known = { id: string; name: string }
type Checks = z.infer<typeof checkAllContract.response>

export async function checkIntegrations(
  outside: Outside,
  organizationId: string,
): Promise<Checks> {
  const known = await outside.db.call<Known[]>('list_checkable_integrations', {
    p_organization_id: organizationId,
  })
  const deadline = outside.clock.now().getTime() + ANSWER_WITHIN_MS
  const checks: Checks['checks'] = []
  const unchecked: string[] = []
  await inParallel(known, AT_ONCE, async ({ id, name }) => {
    const left = deadline - outside.clock.now().getTime()
    const check = left < LEAST_MS ? null : await checkOne({ ...outside, answerWithinMs: left }, id)
    if (check) checks.push({ integration_id: id, name, ...check })
    else unchecked.push(id)
  })
  return { checks, unchecked }
}

/** Checks what is due until nothing is or the time is up. @returns How many. */
export async function runDueChecks(outside: Outside): Promise<number> {
  const { db, clock } = outside
  await db.call('answer_wake', { p_worker: 'integrations' })
  return await workThroughDue(
    clock,
    WORK_FOR_MS,
    () => db.call<string[]>('claim_due_checks', { p_limit: AT_ONCE }),
    (id) => checkOne(outside, id),
  )
}

/** Null: it was disconnected meanwhile, or our own code failed. */
async function checkOne(outside: Outside, id: string) {
  try {
    return await checkIntegration(outside, id)
  } catch (error) {
    // one that cannot be checked must not keep the others from it
    if (!(error instanceof AppError)) {
      outside.log.error('a check ended in an internal error', { integration_id: id, error })
    }
    return null
  }
}
