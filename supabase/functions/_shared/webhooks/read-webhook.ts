// What does a verified webhook say, and has it come before? A connector's words made safe to rely on.
import { createHash } from 'node:crypto'
import type { InboundWebhook, WebhookNotice, Webhooks } from '../connectors/vocabulary/webhooks.ts'
import { isStorableId } from '../connectors/vocabulary/stream-definition.ts'
import { parseBody } from './parse-body.ts'
import type { WebhookScheme } from './scheme.ts'

export type ReceivedWebhook = {
  headers: Headers
  /** The exact bytes. */
  body: Uint8Array
  received_at: Date
}

export type ReadWebhook = {
  /** The platform's own word for what happened; `unknown` where it has none. */
  type: string
  /** For a unique index, within the receiver or the app's door: at most 500 characters. */
  dedupe_key: string
  /** As `accountId` tells them; empty where the address alone says whose it is. */
  accounts: string[]
  notices: WebhookNotice[]
}

const LONGEST_TYPE = 200

export function inboundWebhook({ headers, body, received_at }: ReceivedWebhook): InboundWebhook {
  let hash: string | undefined
  return {
    body: parseBody(headers.get('content-type'), body),
    headers,
    get hash() { // few ask
      return hash ??= createHash('sha256').update(body).digest('hex')
    },
    received_at: received_at.toISOString(),
  }
}

/** Never throws, whatever the body holds. */
export function readWebhook(webhooks: Webhooks, webhook: InboundWebhook): ReadWebhook {
  return {
    ...describeWebhook(webhooks, webhook),
    notices: storableNotices(webhooks.notices(webhook)),
  }
}

/** What is asked of every webhook before it is answered. */
export function describeWebhook(
  webhooks: Webhooks,
  webhook: InboundWebhook,
  scheme: WebhookScheme = webhooks.scheme,
): Omit<ReadWebhook, 'notices'> {
  return {
    type: lineOf(webhooks.type(webhook)),
    dedupe_key: storableKey(webhooks.dedupeKey?.(webhook, scheme) ?? webhook.hash),
    accounts: [...new Set(webhooks.accounts?.(webhook) ?? [])],
  }
}

/** Those whose record can have a row, with keys that fit an index. Also for what is drained. */
export const storableNotices = (notices: WebhookNotice[]): WebhookNotice[] =>
  notices.filter(({ source_id }) =>
    source_id === null || source_id !== '' && isStorableId(source_id)
  )
    .map((notice) => ({ ...notice, dedupe_key: storableKey(notice.dedupe_key) }))

/** A type as one line that can be stored. */
export function lineOf(said: string | null): string {
  const text = (said ?? '').replaceAll(/[^\x21-\x7e]+/g, ' ').trim().slice(0, LONGEST_TYPE)
  return text === '' ? 'unknown' : text
}

/** What is too long for an index, or for a text of Postgres, is replaced by its hash. */
export function storableKey(key: string): string {
  return isStorableId(key) && /^[\x20-\x7e]+$/.test(key)
    ? key
    : `sha256:${createHash('sha256').update(key).digest('hex')}`
}
