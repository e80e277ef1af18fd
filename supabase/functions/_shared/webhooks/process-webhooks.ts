// Claimed webhooks become records, syncs and events: all that one batch comes to is one transaction.
import { findConnector } from '../connectors/index.ts'
import { openIntegration, readIntegration } from '../integrations/open-integration.ts'
import { DatabaseError } from '../platform/database.ts'
import { AppError } from '../platform/errors.ts'
import { inParallel } from '../platform/in-parallel.ts'
import type { Outside } from '../platform/outside.ts'
import {
  type ClaimedWebhook,
  type ClaimedWebhooks,
  type ConcernedIntegration,
  type Outcome,
  type Write,
} from './claimed-webhooks.ts'
import { outcomeOfAppEvent } from './app-events.ts'
import { failed, finishBatch } from './finish-batch.ts'
import { type LookUp, lookUpChanged } from './look-up-changed.ts'
import { inboundWebhook, readWebhook, storableNotices } from './read-webhook.ts'
import {
  type Changed,
  noticesFor,
  type Reading,
  type Route,
  routeNotices,
  routeWebhook,
} from './route-webhook.ts'

/** What a batch has not begun to ask of platforms by then waits for the next one: well within its lease of 120 s. */
const PLATFORMS_MS = 45_000

/** For one account: however slow its platform is, the others have their own time. */
const ACCOUNT_MS = 20_000

/** Accounts that are asked at once. */
const ACCOUNTS_AT_ONCE = 8

/** One webhook on its way to its outcome. */
type Work = { outcome: Outcome; changed: Changed[] }

/** Webhooks that say no more than that a list of one integration has grown; what is said of one is said of all. */
type Drain = {
  reading: Reading
  integration: ConcernedIntegration
  ids: string[]
}

/** @param handOver The worker stops after this batch. */
export async function processWebhooks(
  outside: Outside,
  { lease_token, webhooks, integrations }: ClaimedWebhooks,
  handOver: boolean,
): Promise<void> {
  const over = AbortSignal.timeout(PLATFORMS_MS)
  const drains = new Map<string, Drain>()
  const works: Work[] = []
  for (const claimed of webhooks) {
    if (claimed.app_instance_id !== null) {
      works.push({ outcome: outcomeOfAppEvent(claimed), changed: [] })
      continue
    }
    const concerned = integrations.filter((integration) => isConcerned(claimed, integration))
    const work = workOf(outside, claimed, concerned, drains)
    if (work) works.push(work)
  }
  await inParallel([...drains.values()], ACCOUNTS_AT_ONCE, async (drain) => {
    const work = await workOfDrain(outside, drain, over)
    const others = drain.ids.filter((id) => id !== work.outcome.id)
    works.push(
      work,
      ...others.map((id) => ({ outcome: likeDrained(id, work.outcome), changed: [] })),
    )
  })
  await answerChanged(outside, works, integrations, over)
  await finishBatch(outside, lease_token, works.map(({ outcome }) => outcome), handOver)
}

function isConcerned(claimed: ClaimedWebhook, integration: ConcernedIntegration): boolean {
  return claimed.accounts === null
    ? integration.id === claimed.integration_id
    : integration.connector === claimed.connector &&
      claimed.accounts.includes(integration.external_account_id)
}

/** Null where a list of the platform has to be drained: `drains` has it then. */
function workOf(
  outside: Outside,
  claimed: ClaimedWebhook,
  concerned: ConcernedIntegration[],
  drains: Map<string, Drain>,
): Work | null {
  if (concerned.length === 0) return { outcome: { id: claimed.id, status: 'ignored' }, changed: [] }
  try {
    const reading = readingOf(claimed)
    const [integration] = concerned as [ConcernedIntegration]
    if (reading.webhooks.drain && claimed.accounts === null) {
      return queueDrain(drains, reading, integration)
    }
    const routes = concerned.flatMap((integration) =>
      claimed.accounts === null
        ? routeWebhook(reading, integration) ?? []
        : routeOfOne(reading, integration) ?? []
    )
    const status = routes.length > 0 ? 'processed' : 'ignored'
    return merge({ id: claimed.id, status }, routes)
  } catch (error) {
    return { outcome: outcomeOf(outside, claimed.id, error), changed: [] }
  }
}

function queueDrain(
  drains: Map<string, Drain>,
  reading: Reading,
  integration: ConcernedIntegration,
): Work | null {
  const { claimed: { id }, webhooks, webhook } = reading
  const earlier = drains.get(integration.id)
  if (!earlier) {
    drains.set(integration.id, { reading, integration, ids: [id] })
    return null
  }
  if (webhooks.list?.(webhook) === earlier.reading.webhooks.list?.(earlier.reading.webhook)) {
    earlier.ids.push(id)
    return null
  }
  // another list of the same account goes on where this one leaves its place
  return { outcome: { id, again: true }, changed: [] }
}

async function workOfDrain(
  outside: Outside,
  { reading, integration }: Drain,
  over: AbortSignal,
): Promise<Work> {
  const { id } = reading.claimed
  // its turn did not come: that is no try
  if (over.aborted) return { outcome: { id, again: true }, changed: [] }
  try {
    return await drain(outside, reading, integration, AbortSignal.timeout(ACCOUNT_MS))
  } catch (error) {
    return { outcome: outcomeOf(outside, id, error), changed: [] }
  }
}

/** What becomes of one that said the same: with more to be had, the first goes on for all. */
function likeDrained(id: string, drained: Outcome): Outcome {
  if (drained.error) return { ...drained, id }
  return drained.state ? { id, status: 'processed' } : { id, again: true }
}

/** @throws what may pass by itself */
function outcomeOf({ log }: Outside, id: string, error: unknown): Outcome {
  if (error instanceof DatabaseError && error.isPassing) throw error
  if (!(error instanceof AppError)) log.error('a webhook could not be read', { error })
  return failed(id, error)
}

/** Of several accounts: what one owner has to mend costs the others nothing. Its sync has its own patience, and tells. */
function routeOfOne(reading: Reading, integration: ConcernedIntegration): Route | null {
  try {
    return routeWebhook(reading, integration)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    const notices = noticesFor(reading, integration, reading.read.notices)
    return syncInstead(integration.id, notices.map(({ stream }) => stream))
  }
}

const syncInstead = (integration_id: string, streams: string[]): Route => ({
  writes: [],
  changed: [],
  syncs: [...new Set(streams)].map((stream) => ({ integration_id, stream })),
  emitted: [],
})

/** @throws AppError `connector_not_found` */
function readingOf(claimed: ClaimedWebhook): Reading {
  const connector = findConnector(claimed.connector ?? '')
  if (!connector?.webhooks) {
    throw new AppError('connector_not_found', {
      detail: `No connector ${claimed.connector} reads webhooks.`,
    })
  }
  const { webhooks } = connector
  const webhook = inboundWebhook(claimed)
  return { claimed, connector, webhooks, webhook, read: readWebhook(webhooks, webhook) }
}

async function drain(
  outside: Outside,
  reading: Reading,
  integration: ConcernedIntegration,
  signal: AbortSignal,
): Promise<Work> {
  const { id } = reading.claimed
  const open = await readIntegration(outside.db, integration.id)
  const { account, settings, facts } = openIntegration(open, outside, signal)
  const { notices, state, more } = await reading.webhooks.drain!(reading.webhook, {
    state: integration.state,
    settings,
    account: facts,
    call: (call) => account.call(call),
  })
  const ours = noticesFor(reading, integration, storableNotices(notices))
  const place = { integration_id: integration.id, before: integration.state, after: state }
  const outcome: Outcome = more
    ? { id, again: true, state: place }
    : { id, status: 'processed', state: place }
  return merge(outcome, [routeNotices(reading, integration, ours)])
}

function merge(outcome: Outcome, routes: Route[]): Work {
  return {
    outcome: {
      ...outcome,
      writes: routes.flatMap(({ writes }) => writes),
      syncs: routes.flatMap(({ syncs }) => syncs),
      emitted: routes.flatMap(({ emitted }) => emitted),
      checks: routes.flatMap(({ checks = [] }) => checks),
    },
    changed: routes.flatMap(({ changed }) => changed),
  }
}

/** Looks up what changed, each stream of each integration once, and adds it to the outcomes. */
async function answerChanged(
  outside: Outside,
  works: Work[],
  integrations: ConcernedIntegration[],
  over: AbortSignal,
): Promise<void> {
  const asked = new Map<string, LookUp>()
  for (const { integration_id, stream, source_id } of works.flatMap(({ changed }) => changed)) {
    const key = `${integration_id} ${stream}`
    const integration = integrations.find(({ id }) => id === integration_id)!
    const connector = findConnector(integration.connector)!
    const lookUp = asked.get(key) ?? { connector, integration, stream, source_ids: [] }
    if (!lookUp.source_ids.includes(source_id)) lookUp.source_ids.push(source_id)
    asked.set(key, lookUp)
  }
  const found = new Map<string, Map<string, Write> | null>()
  await inParallel([...asked], ACCOUNTS_AT_ONCE, async ([key, lookUp]) => {
    const signal = AbortSignal.timeout(ACCOUNT_MS)
    found.set(key, over.aborted ? null : await lookUpChanged(outside, lookUp, signal))
  })
  for (const { outcome, changed } of works) {
    for (const { integration_id, stream, source_id } of changed) {
      const answered = found.get(`${integration_id} ${stream}`)
      if (!answered) outcome.syncs!.push({ integration_id, stream })
      else if (answered.has(source_id)) outcome.writes!.push(answered.get(source_id)!)
    }
  }
}
