// What does a webhook come to in one integration? Records to write, records to ask for, streams to read, or an event.
import type { Connector } from '../connectors/define-connector.ts'
import type { InboundWebhook, WebhookNotice, Webhooks } from '../connectors/vocabulary/webhooks.ts'
import { AppError } from '../platform/errors.ts'
import { Collector } from '../sync/map-page.ts'
import type { ClaimedWebhook, ConcernedIntegration, Outcome, Write } from './claimed-webhooks.ts'
import type { ReadWebhook } from './read-webhook.ts'

/** A record of which is known only that it changed. */
export type Changed = { integration_id: string; stream: string; source_id: string }

export type Route = {
  writes: Write[]
  changed: Changed[]
  syncs: NonNullable<Outcome['syncs']>
  emitted: NonNullable<Outcome['emitted']>
  checks?: string[]
}

/** Larger bodies are left out of the event; they are in `webhook_events`. */
const MOST_BYTES_IN_EVENT = 200_000

export type Reading = {
  claimed: ClaimedWebhook
  connector: Connector
  webhooks: Webhooks
  webhook: InboundWebhook
  read: ReadWebhook
}

/** Null: it is about somebody else's account. */
export function routeWebhook(reading: Reading, integration: ConcernedIntegration): Route | null {
  const { accounts } = reading.read
  if (accounts.length > 0 && !accounts.includes(integration.external_account_id)) return null
  const notices = noticesFor(reading, integration, reading.read.notices)
  return notices.length > 0 ? routeNotices(reading, integration, notices) : {
    writes: [],
    changed: [],
    syncs: [],
    emitted: [eventOf(reading, integration)],
    checks: reading.webhooks.isFarewell?.(reading.webhook) ? [integration.id] : [],
  }
}

/** Those of this account, of streams that it syncs. */
export function noticesFor(
  { webhooks, webhook }: Pick<Reading, 'webhooks' | 'webhook'>,
  { external_account_id, streams, settings, account }: ConcernedIntegration,
  notices: WebhookNotice[],
): WebhookNotice[] {
  return notices.filter((notice) =>
    (notice.account === null || notice.account === external_account_id) &&
    streams.includes(notice.stream) &&
    (webhooks.isSynced?.(notice, { webhook, settings, account }) ?? true)
  )
}

/** @throws AppError `invalid_settings` when the stored settings no longer suit the connector */
export function routeNotices(
  { connector, claimed }: Pick<Reading, 'connector' | 'claimed'>,
  integration: ConcernedIntegration,
  notices: WebhookNotice[],
): Route {
  const route: Route = { writes: [], changed: [], syncs: [], emitted: [] }
  for (const stream of new Set(notices.map((notice) => notice.stream))) {
    const target = { integration_id: integration.id, stream }
    const collected = collectorFor(connector, integration, stream)
    const deletions: Write['deletions'] = []
    for (const notice of notices.filter((notice) => notice.stream === stream)) {
      const { source_id, record } = notice
      const at = notLaterThan(claimed.received_at, notice.occurred_at)
      if (source_id === null) route.syncs.push(target)
      else if (notice.kind === 'deleted') deletions.push({ source_id, source_deleted_at: at })
      else if (record === undefined) route.changed.push({ ...target, source_id })
      else collected.add({ records: [record], fetched_at: at })
    }
    const write = writeOf(target, collected)
    write.deletions.push(...deletions)
    if (!isNothing(write)) route.writes.push(write)
  }
  return route
}

/** Maps records of a stream as its sync does. */
export function collectorFor(
  connector: Connector,
  { settings, account }: ConcernedIntegration,
  stream: string,
): Collector {
  const parsed = connector.settings.safeParse(settings)
  if (!parsed.success) {
    throw new AppError('invalid_settings', {
      detail: `The integration's settings no longer suit ${connector.name}: correct them first.`,
      cause: parsed.error,
    })
  }
  return new Collector({ connector, stream, settings: parsed.data, facts: account })
}

export function writeOf(
  target: { integration_id: string; stream: string },
  collected: Collector,
): Write {
  const { rows, deletions, refused } = collected.take()
  return { ...target, records: rows, deletions, refused }
}

export const isNothing = ({ records, deletions, refused }: Write) =>
  records.length + deletions.length + refused.length === 0

/** A platform's clock may be ahead of ours. */
const notLaterThan = (latest: Date, time: string) =>
  Date.parse(time) <= latest.getTime() ? time : latest.toISOString()

function eventOf({ claimed, connector, webhook }: Reading, integration: ConcernedIntegration) {
  const { id, type, accounts, body } = claimed
  // with several accounts in it, it is for none of them to read
  const isShown = accounts === null && body.byteLength <= MOST_BYTES_IN_EVENT
  return {
    organization_id: integration.organization_id,
    subject: `integration/${integration.id}`,
    data: {
      webhook_event_id: id,
      integration_id: integration.id,
      connector: connector.slug,
      type,
      ...(isShown && webhook.body !== undefined ? { body: webhook.body } : {}),
    },
  }
}
