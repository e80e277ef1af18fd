// What does a webhook of Airtable say? That something changed; what it was is fetched, page by page.
import { z } from 'zod'
import { AppError } from '../../platform/errors.ts'
import type { PlatformCall } from '../vocabulary/platform-call.ts'
import { readPath } from '../vocabulary/read-path.ts'
import type { StreamName } from '../vocabulary/streams.ts'
import { timestamp } from '../vocabulary/timestamp.ts'
import {
  type DrainContext,
  type DrainResult,
  givenToUs,
  type InboundWebhook,
  orByHand,
  textAt,
  type WebhookNotice,
  type Webhooks,
} from '../vocabulary/webhooks.ts'
import { subscriptions } from './subscriptions.ts'

export type Tables = { contacts?: { table: string }; tables: string[] }

const PAGE_SIZE = '50' // the most Airtable gives

export const webhooks: Webhooks = {
  scheme: 'airtable',
  subscriptions,
  doors: [{
    at: 'integration',
    setup: orByHand(
      'Connect with the scope `webhook:manage`: Plugboard then makes a webhook and renews it (Airtable ' +
        'allows our app two for a base)',
      '`POST /v0/bases/{base}/webhooks` with {address} as `notificationUrl` and ' +
        '`{"options":{"filters":{"dataTypes":["tableData"]}}}` as `specification`. It ends after 7 days without a refresh.',
      givenToUs('the `macSecretBase64` of the answer, which is shown once'),
    ),
  }],
  type: ({ body }) => textAt(body, 'webhook.id') && 'notification',
  notices: () => [],
  list: ({ body }) => textAt(body, 'webhook.id'),
  drain,
}

const rows = z.record(z.string(), z.unknown()).nullish()

const Payload = z.object({
  timestamp,
  baseTransactionNumber: z.number(),
  actionMetadata: z.object({ source: z.string().nullish() }).nullish(),
  changedTablesById: z.record(
    z.string(),
    z.object({
      createdRecordsById: rows,
      changedRecordsById: rows,
      destroyedRecordIds: z.array(z.string()).nullish(),
    }),
  ).nullish(),
})

/** A page of what a webhook has to tell, from where the last one ended. Its payloads are numbered from 1. */
async function drain(
  { body }: InboundWebhook,
  { state, settings, call }: DrainContext,
): Promise<DrainResult> {
  const cursors = (state?.cursors ?? {}) as Record<string, number>
  const id = textAt(body, 'webhook.id') ?? ''
  const isOurs = readPath(body, 'base.id') === settings.base_id && /^ach[A-Za-z0-9]+$/.test(id)
  if (!isOurs) return { notices: [], state: { cursors }, more: false }

  const cursor = Object.hasOwn(cursors, id) ? cursors[id]! : 1
  const answer = await call({
    path: `/bases/{base_id}/webhooks/${id}/payloads`,
    query: { cursor: String(cursor), limit: PAGE_SIZE },
  })
  const payloads = readPath(answer.body, 'payloads')
  const next = readPath(answer.body, 'cursor')
  if (!Array.isArray(payloads) || !Number.isSafeInteger(next)) {
    throw new AppError('provider_bad_answer', {
      detail: 'Airtable answered without the payloads of its webhook.',
    })
  }
  const read = payloads.flatMap((payload) => Payload.safeParse(payload).data ?? [])
  const streams = read.length > 0
    ? await streamsByTable(settings as unknown as Tables, call)
    : new Map<string, StreamName[]>()
  const moved = Number(next) > cursor
  return {
    notices: read.flatMap((payload) => noticesOf(id, payload, streams)),
    state: { cursors: { ...cursors, [id]: Math.max(cursor, Number(next)) } },
    more: moved && readPath(answer.body, 'mightHaveMore') === true,
  }
}

/** Payloads name tables by id; the settings may have their names. */
async function streamsByTable(
  { contacts, tables }: Tables,
  call: DrainContext['call'],
): Promise<Map<string, StreamName[]>> {
  const wanted: [string, StreamName][] = [
    ...(contacts ? [[contacts.table, 'contacts'] as [string, StreamName]] : []),
    ...tables.map((table): [string, StreamName] => [table, 'records']),
  ]
  const known = wanted.every(([table]) => /^tbl[A-Za-z0-9]{14}$/.test(table))
    ? []
    : await schema(call)
  const streams = new Map<string, StreamName[]>()
  for (const [table, stream] of wanted) {
    const id = known.find(({ name }) => name === table)?.id ?? table
    streams.set(id, [...new Set([...streams.get(id) ?? [], stream])])
  }
  return streams
}

async function schema(call: DrainContext['call']): Promise<{ id: string; name: string }[]> {
  const request: PlatformCall = { path: '/meta/bases/{base_id}/tables' }
  const { body } = await call(request)
  return z.array(z.object({ id: z.string(), name: z.string() })).catch([])
    .parse(readPath(body, 'tables'))
}

/** A payload has only the cells that changed, so a row has to be read. */
function noticesOf(
  webhook: string,
  payload: z.output<typeof Payload>,
  streams: Map<string, StreamName[]>,
): WebhookNotice[] {
  const { timestamp, baseTransactionNumber, changedTablesById } = payload
  return Object.entries(changedTablesById ?? {}).flatMap(([table, changes]) => {
    const changed = Object.keys({ ...changes.createdRecordsById, ...changes.changedRecordsById })
    const gone = new Set(changes.destroyedRecordIds ?? [])
    return (streams.get(table) ?? []).flatMap((stream) =>
      [...new Set([...changed, ...gone])].map((source_id): WebhookNotice => ({
        account: null,
        stream,
        source_id,
        kind: gone.has(source_id) ? 'deleted' : 'changed',
        occurred_at: timestamp,
        dedupe_key: [webhook, baseTransactionNumber, stream, source_id].join(':'),
        ...(payload.actionMetadata?.source === 'publicApi' ? { is_own_write: true as const } : {}),
      }))
    )
  })
}
