// Does one action at a platform, once for each idempotency key, and writes down what it came to.
import type { z } from 'zod'
import { contentHash } from '../connectors/content-hash.ts'
import { findAction } from '../connectors/define-connector.ts'
import {
  type ActionOutcome,
  type ActionRun,
  planAction,
  readInput,
  runAction,
} from '../connectors/run-action.ts'
import type { Action } from '../connectors/vocabulary/actions.ts'
import type { ErrorSummary } from '../contracts/contract.ts'
import type { ActionResult, actOnIntegration as actContract } from '../contracts/integrations.ts'
import { AppError } from '../platform/errors.ts'
import type { Outside } from '../platform/outside.ts'
import { answerInTime } from './answer-in-time.ts'
import { describeFailure } from './describe-failure.ts'
import {
  type OpenIntegration,
  openIntegration,
  readIntegration,
  requireConnector,
} from './open-integration.ts'

type Begun =
  | { state: 'new'; action_id: string }
  | {
    state: 'finished'
    action_id: string
    status: Exclude<ActionResult['status'], 'dry_run'>
    result: Pick<ActionResult, 'output' | 'error'> | null
  }

/**
 * @param actorId auth.users.id of the caller; null for the secret key.
 * @throws AppError before anything was sent; what the platform says is the answer
 */
export async function actOnIntegration(
  outside: Outside,
  input: z.output<typeof actContract.request>,
  actorId: string | null,
): Promise<ActionResult> {
  const { db } = outside
  const open = await readIntegration(db, input.integration_id)
  const connector = requireConnector(open.integration.connector)
  const action = findAction(connector, input.action)
  const values = readInput(action, input.input)
  const idempotency_key = input.idempotency_key ?? crypto.randomUUID()
  if (input.dry_run) return await dryRun(outside, open, action, values, idempotency_key)

  const begun = await db.call<Begun>('begin_action', {
    p_integration_id: input.integration_id,
    p_action: action.name,
    p_idempotency_key: idempotency_key,
    p_input_hash: contentHash(action.name, input.input),
    p_actor_id: actorId,
    p_action_id: crypto.randomUUID(),
  })
  const { action_id } = begun
  if (begun.state === 'finished') return { action_id, status: begun.status, ...begun.result }

  const outcome = await attempt(outside, open, action, values, idempotency_key)
  const result = {
    ...('output' in outcome && outcome.output !== undefined ? { output: outcome.output } : {}),
    ...('error' in outcome && outcome.error
      ? { error: errorOf(outcome.status, outcome.error, open.integration) }
      : {}),
  }
  await db.call('finish_action', {
    p_action_id: action_id,
    p_status: outcome.status,
    p_result: result,
    // the trail says what was done, not what was said
    p_detail: {
      connector: connector.slug,
      name: open.integration.name,
      ...(result.error ? { error: result.error } : {}),
    },
  })
  return { action_id, status: outcome.status, ...result }
}

/** What nobody knows must not be tried again by itself, whatever a failure of its kind would say. */
function errorOf(
  status: ActionOutcome['status'],
  error: AppError,
  integration: OpenIntegration['integration'],
): ErrorSummary {
  if (status !== 'unknown') return describeFailure(error, integration, 'check')
  return {
    code: error.code,
    next: 'owner',
    message: `${integration.name} (${integration.connector}): ${error.detail} ` +
      'It may have been done: look there before doing it again.',
  }
}

async function attempt(
  outside: Outside,
  open: OpenIntegration,
  action: Action,
  input: unknown,
  idempotency_key: string,
): Promise<ActionOutcome> {
  try {
    return await answerInTime(
      outside,
      open.integration.name,
      (signal) => runAction(action, input, runOf(outside, open, idempotency_key, signal)),
    )
  } catch (error) {
    // nothing was sent yet
    if (error instanceof AppError) return { status: 'failed', error }
    outside.log.error('an action broke off in our own code', { action: action.name, error })
    return { status: 'unknown', error: new AppError('internal_error', { cause: error }) }
  }
}

async function dryRun(
  outside: Outside,
  open: OpenIntegration,
  action: Action,
  input: unknown,
  idempotency_key: string,
): Promise<ActionResult> {
  const calls = await answerInTime(
    outside,
    open.integration.name,
    (signal) => planAction(action, input, runOf(outside, open, idempotency_key, signal)),
  )
  return {
    action_id: null,
    status: 'dry_run',
    requests: calls.map(({ method = 'GET', path, query, json, form }) => ({
      method,
      path: query ? `${path}?${new URLSearchParams(pairsOf(query))}` : path,
      ...(json === undefined && form === undefined ? {} : { body: json ?? form }),
    })),
  }
}

function runOf(
  outside: Outside,
  open: OpenIntegration,
  idempotency_key: string,
  signal: AbortSignal,
): ActionRun {
  const { account, settings, facts } = openIntegration(open, outside, signal)
  return { account, settings, facts, idempotency_key, now: outside.clock.now() }
}

function pairsOf(query: Record<string, string | string[]>): [string, string][] {
  return Object.entries(query).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((item): [string, string] => [name, item])
  )
}
