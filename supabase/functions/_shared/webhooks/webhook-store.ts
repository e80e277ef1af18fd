// Stores verified webhooks: over a direct connection together, since a commit costs as much for one as for twenty.
import { Buffer } from 'node:buffer'
import type { Database } from '../platform/database.ts'
import { DatabaseError } from '../platform/database.ts'
import type { Proof } from './scheme.ts'

export type WebhookToKeep = {
  connector: string
  type: string
  dedupe_key: string
  headers: Record<string, string>
  proof: Proof
  /** The exact bytes. */
  body: Uint8Array
  /** Null: of our app, and the accounts say whose. */
  integration_id: string | null
  receiver_version: string | null
  accounts: string[]
}

/** @returns False where nobody took it: there is no such integration or account, or its receiver has changed. */
export type KeepWebhook = (webhook: WebhookToKeep) => Promise<boolean>

/** One call for each. */
export function keepEach(db: Database): KeepWebhook {
  return async (webhook) => {
    const { connector, type, dedupe_key, headers, proof, body } = webhook
    const { integration_id, receiver_version } = webhook
    const { accepted } = await db.call<{ accepted: boolean }>('receive_webhook', {
      p_connector: connector,
      p_type: type,
      p_dedupe_key: dedupe_key,
      p_headers: headers,
      p_proof: proof,
      p_body: base64(body),
      p_integration_id: integration_id,
      p_receiver_version: receiver_version,
      p_accounts: integration_id === null ? webhook.accounts : null,
    })
    return accepted
  }
}

/** Of one call. */
const MOST_WEBHOOKS = 50
const MOST_BYTES = 500_000

/** Longer nobody waits for those on their way: they may be at a database that is far, or at a locked row. */
const WAIT_MS = 10

type Waiting = {
  webhook: WebhookToKeep
  settle(accepted: boolean): void
  fail(error: unknown): void
}

/**
 * Those that come while others are on their way to Postgres go together when these are back. What the database
 * refuses for one of them holds none of the others back.
 *
 * @param connections So many calls at once.
 */
export function keepTogether(db: Database, connections: number): KeepWebhook {
  const each = keepEach(db)
  const waiting: Waiting[] = []
  let underWay = 0
  let timer: ReturnType<typeof setTimeout> | undefined

  function send(): void {
    clearTimeout(timer)
    timer = undefined
    underWay++
    void keep(nextBatch(waiting)).finally(() => {
      underWay--
      if (waiting.length > 0) send()
    })
    if (waiting.length > 0) sendSoon()
  }

  function sendSoon(): void {
    if (underWay < connections) timer ??= setTimeout(send, WAIT_MS)
  }

  async function keep(batch: Waiting[]): Promise<void> {
    if (batch.length > 1) {
      try {
        const taken = await keepBatch(db, batch.map(({ webhook }) => webhook))
        for (const [index, { settle }] of batch.entries()) settle(taken.has(index))
        return
      } catch (error) {
        if (error instanceof DatabaseError && error.isPassing) {
          for (const { fail } of batch) fail(error)
          return
        }
      }
    }
    await Promise.all(
      batch.map(({ webhook, settle, fail }) => each(webhook).then(settle, fail)),
    )
  }

  return (webhook) => {
    // whose it is has to be found out first, by its accounts
    if (webhook.integration_id === null) return each(webhook)
    return new Promise((settle, fail) => {
      waiting.push({ webhook, settle, fail })
      if (underWay === 0) send()
      else sendSoon()
    })
  }
}

/** The oldest, as many as one call may bring; at least one. */
function nextBatch(waiting: Waiting[]): Waiting[] {
  let bytes = 0
  let count = 0
  for (const { webhook } of waiting.slice(0, MOST_WEBHOOKS)) {
    bytes += webhook.body.byteLength
    if (count > 0 && bytes > MOST_BYTES) break
    count++
  }
  return waiting.splice(0, count)
}

/** @returns The indexes of those that were taken, now or before. */
async function keepBatch(db: Database, webhooks: WebhookToKeep[]): Promise<Set<number>> {
  const given = webhooks.map(({ accounts: _, body, ...webhook }, number) => ({
    ...webhook,
    number,
    body: base64(body),
  }))
  return new Set(await db.call<number[]>('receive_webhooks', { p_webhooks: given }))
}

const base64 = (bytes: Uint8Array) =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
