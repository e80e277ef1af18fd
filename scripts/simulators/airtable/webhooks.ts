// Airtable's webhooks: made, listed, renewed and removed by API, with numbered payloads of what changed since.
import { createHash, createHmac } from 'node:crypto'
import { z } from 'zod'
import { jsonOf, type SimulatorAnswer, type SimulatorRequest } from '../parts/http-server.ts'
import type { WebhookSender } from '../parts/webhook-sender.ts'
import type { Base, Change } from './base.ts'

type Webhook = {
  id: string
  notificationUrl: string
  macSecretBase64: string
  specification: unknown
  expires: number
  /** False: its pings were refused for too long, and none are sent. */
  isEnabled: boolean
  /** Made by our app with a sign-in, of which a base takes two. */
  isOfApp: boolean
  /** How many of the base's changes were older. */
  after: number
}

const SEVEN_DAYS_MS = 7 * 86_400_000
const MOST_WEBHOOKS = 10
const MOST_WEBHOOKS_OF_AN_APP = 2
const MOST_PAYLOADS = 50

const Creation = z.object({
  notificationUrl: z.url({ protocol: /^https?$/ }),
  specification: z.object({ options: z.object({ filters: z.looseObject({}) }) }),
})

export type AirtableWebhooks = {
  all: Webhook[]
  /** Answers `/bases/{base}/webhooks…`; the path is what follows. */
  answer(request: SimulatorRequest, path: string[], isOfApp: boolean): SimulatorAnswer
  /** Something in the base has changed. */
  ping(): void
}

/** @param baseOf The base, which is there by the time something changes. */
export function airtableWebhooks(
  baseOf: () => Base,
  sender: WebhookSender,
  now: () => number,
): AirtableWebhooks {
  const all: Webhook[] = []
  let made = 0
  const renew = (webhook: Webhook) => {
    webhook.expires = now() + SEVEN_DAYS_MS
    return { expirationTime: new Date(webhook.expires).toISOString() }
  }
  const create = (request: SimulatorRequest, isOfApp: boolean): SimulatorAnswer => {
    const parsed = Creation.safeParse(jsonOf(request))
    if (!parsed.success) return refuse(422, 'INVALID_REQUEST_UNKNOWN')
    const ofApp = all.filter((webhook) => webhook.isOfApp).length
    const isOneTooMany = isOfApp && ofApp >= MOST_WEBHOOKS_OF_AN_APP
    if (isOneTooMany || all.length >= MOST_WEBHOOKS) return refuse(422, 'TOO_MANY_WEBHOOKS_IN_BASE')
    const id = `achSIMULATED${String(++made).padStart(5, '0')}`
    const webhook: Webhook = {
      id,
      notificationUrl: parsed.data.notificationUrl,
      macSecretBase64: createHash('sha256').update(id).digest('base64'),
      specification: parsed.data.specification,
      expires: 0,
      isEnabled: true,
      isOfApp,
      after: baseOf().changes.length,
    }
    all.push(webhook)
    return { body: { id, macSecretBase64: webhook.macSecretBase64, ...renew(webhook) } }
  }
  const payloads = (request: SimulatorRequest, { after }: Webhook): SimulatorAnswer => {
    const query = request.url.searchParams
    const cursor = Number(query.get('cursor') ?? 1)
    const limit = Number(query.get('limit') ?? MOST_PAYLOADS)
    const changes = baseOf().changes.slice(after)
    if (!(cursor >= 1 && cursor <= changes.length + 1)) return refuse(422, 'INVALID_CURSOR')
    const shown = changes.slice(cursor - 1, cursor - 1 + Math.min(limit, MOST_PAYLOADS))
    return {
      body: {
        payloads: shown.map((change, index) => payloadOf(change, after + cursor + index)),
        cursor: cursor + shown.length,
        mightHaveMore: cursor - 1 + shown.length < changes.length,
      },
    }
  }
  return {
    all,
    answer(request, [id, verb], isOfApp) {
      if (id === undefined) {
        if (request.method === 'POST') return create(request, isOfApp)
        return {
          body: {
            webhooks: all.map(({ id, notificationUrl, specification, expires, isEnabled }) => ({
              id,
              notificationUrl,
              specification,
              expirationTime: new Date(expires).toISOString(),
              areNotificationsEnabled: isEnabled,
              isHookEnabled: true,
            })),
          },
        }
      }
      const webhook = all.find((webhook) => webhook.id === id)
      if (webhook && request.method === 'DELETE') {
        all.splice(all.indexOf(webhook), 1)
        return { status: 204 }
      }
      // one that has ended stays in the list
      if (!webhook || webhook.expires <= now()) return refuse(404, 'NOT_FOUND')
      if (request.method === 'GET' && verb === 'payloads') return payloads(request, webhook)
      if (request.method === 'POST' && verb === 'refresh') return { body: renew(webhook) }
      return refuse(404, 'NOT_FOUND')
    },
    ping() {
      for (const webhook of all) {
        if (!webhook.isEnabled || webhook.expires <= now()) continue
        const body = JSON.stringify({
          base: { id: baseOf().id },
          webhook: { id: webhook.id },
          timestamp: new Date(now()).toISOString(),
        })
        const key = Buffer.from(webhook.macSecretBase64, 'base64')
        const headers = {
          'content-type': 'application/json',
          'x-airtable-content-mac': `hmac-sha256=${
            createHmac('sha256', key).update(body).digest('hex')
          }`,
        }
        sender.send({ url: webhook.notificationUrl, body, headers: () => headers })
      }
    },
  }
}

/** Each change is a transaction of its own here; at Airtable one may hold many. */
function payloadOf({ at, table, row, kind, by }: Change, baseTransactionNumber: number) {
  const changes = {
    created: { createdRecordsById: { [row]: { createdTime: at, cellValuesByFieldId: {} } } },
    changed: { changedRecordsById: { [row]: { current: { cellValuesByFieldId: {} } } } },
    destroyed: { destroyedRecordIds: [row] },
  }
  return {
    timestamp: at,
    baseTransactionNumber,
    payloadFormat: 'v0',
    actionMetadata: { source: by === 'api' ? 'publicApi' : 'client', sourceMetadata: {} },
    changedTablesById: { [table]: changes[kind] },
  }
}

const refuse = (status: number, type: string): SimulatorAnswer => ({
  status,
  body: { error: { type, message: type } },
})
