// What does an action at a platform come to? Done, partly done, refused, or unknown; never sent blindly again.
import type { Trace } from '../http/request.ts'
import type { FieldError } from '../platform/errors.ts'
import { AppError, type ErrorCode } from '../platform/errors.ts'
import { toFieldErrors } from '../platform/field-errors.ts'
import type { Account } from './account.ts'
import type { Action, ActionAnswer } from './vocabulary/actions.ts'
import type { AccountFacts, Values } from './vocabulary/auth.ts'
import type { PlatformCall } from './vocabulary/platform-call.ts'

export type ActionOutcome =
  /** `partial`: some items of a batch, or the later requests, were refused. */
  | { status: 'success'; output: unknown }
  | { status: 'partial'; output: unknown; error?: AppError }
  /** Nothing was done at the platform. */
  | { status: 'failed'; error: AppError }
  /** A request was sent and its answer did not come: it may have been carried out. */
  | { status: 'unknown'; error: AppError; output?: unknown }

export type ActionRun = {
  account: Account
  settings: Values
  facts: AccountFacts
  idempotency_key: string
  now: Date
}

/** After these nobody knows whether the platform did it. */
const UNKNOWN: readonly ErrorCode[] = [
  'provider_timeout',
  'provider_unavailable',
  'provider_bad_answer',
  'provider_answer_too_large',
  'unavailable',
]

/** May the platform have done what failed with this? */
export const isUnknownOutcome = ({ sent, lost = false }: Trace, error: unknown): boolean =>
  lost || sent && !(error instanceof AppError && !UNKNOWN.includes(error.code))

/** @throws AppError `invalid_input`, naming the fields at fault */
export function readInput(action: Action, input: unknown): unknown {
  const parsed = action.input.safeParse(input)
  if (parsed.success) return parsed.data
  const errors: FieldError[] = toFieldErrors(parsed.error.issues).map(({ path, message }) => ({
    path: path ? `input.${path}` : 'input',
    message,
  }))
  throw new AppError('invalid_input', {
    detail: `${action.title} cannot be done with this input: ${
      errors.map(({ path, message }) => `${path} ${message}`).slice(0, 3).join('; ')
    }`,
    errors,
  })
}

/** The requests an action would send; nothing but its `before` reads is sent. */
export async function planAction(
  action: Action,
  input: unknown,
  run: ActionRun,
): Promise<PlatformCall[]> {
  return (await prepare(action, input, run)).requests
}

/**
 * Does it.
 *
 * @throws AppError before the first request was sent. Anything else is our own failure, and nobody knows what it came to.
 */
export async function runAction(
  action: Action,
  input: unknown,
  run: ActionRun,
): Promise<ActionOutcome> {
  const { context, requests } = await prepare(action, input, run)
  const answers: ActionAnswer[] = []
  const outputSoFar = () => action.output.parse(action.read(answers, input, context))
  for (const request of requests) {
    const trace: Trace = { sent: false }
    try {
      const { repeatable, accept } = action
      answers.push(await run.account.call(request, { repeatable, accept, trace }))
    } catch (thrown) {
      // before it was sent: no turn, no token, no database; a failure without doubt
      if (!(thrown instanceof AppError) && trace.sent) throw thrown
      const error = thrown instanceof AppError
        ? thrown
        : new AppError('unavailable', { cause: thrown })
      const partOutput = answers.length === 0 ? {} : { output: outputSoFar() }
      if (isUnknownOutcome(trace, error)) {
        return { status: 'unknown', error, ...partOutput }
      }
      return answers.length === 0
        ? { status: 'failed', error }
        : { status: 'partial', output: outputSoFar(), error }
    }
  }
  try {
    const output = outputSoFar()
    return { status: hasFailures(output) ? 'partial' : 'success', output }
  } catch (cause) {
    // it was done; what the platform says of it is not what it documents
    const error = new AppError('provider_bad_answer', {
      detail: 'The platform did it, but its answer cannot be read.',
      cause,
    })
    return { status: 'unknown', error }
  }
}

/** Nothing is sent here but reads. @throws AppError */
async function prepare(action: Action, input: unknown, run: ActionRun) {
  try {
    const context = await contextOf(action, input, run)
    return { context, requests: await action.requests(input, context) }
  } catch (error) {
    if (error instanceof AppError) throw error
    // what was read first is not what the platform documents
    throw new AppError('provider_bad_answer', { cause: error })
  }
}

async function contextOf(action: Action, input: unknown, run: ActionRun) {
  const { settings, facts, idempotency_key, now } = run
  const context = { settings, account: facts, idempotency_key, now }
  const found: unknown[] = []
  for (const call of action.before?.(input, context) ?? []) {
    found.push((await run.account.call(call)).body)
  }
  return { ...context, found }
}

/** By convention a batch lists the items that were refused under `failed`. */
function hasFailures(output: unknown): boolean {
  const failed = typeof output === 'object' && output !== null && 'failed' in output
    ? output.failed
    : undefined
  return Array.isArray(failed) && failed.length > 0
}
