// What business apps send: which instance a call says it is from, whether that is true, and the event in it.
import { Buffer } from 'node:buffer'
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { Timestamp } from '../contracts/contract.ts'
import type { Database } from '../platform/database.ts'
import type { ClaimedWebhook, Outcome } from './claimed-webhooks.ts'
import { parseBody } from './parse-body.ts'
import { lineOf, storableKey } from './read-webhook.ts'
import { type HeldSecret, liveSecrets } from './receiver.ts'
import {
  type InboundRequest,
  type RefusalReason,
  TOLERANCE_SECONDS,
  type Verification,
} from './scheme.ts'
import { refused } from './schemes/scheme-definition.ts'
import { keptHeaders, proofOf, type publishedKeys, verifyWebhook } from './verify-webhook.ts'

const SCHEME = 'x-webhook-signature'

/** An instance that is enabled, and what its calls are checked with. */
export type AppInstance = {
  appInstanceId: string
  /** Changes with each change of what is here. */
  version: number
  /** Newest first. */
  secrets: HeldSecret[]
}

/** Null: unknown or disabled. */
export async function findAppInstance(
  db: Database,
  appInstanceId: string,
): Promise<AppInstance | null> {
  const open = await db.call<Omit<AppInstance, 'appInstanceId'> | null>('open_app_instance', {
    p_app_instance_id: appInstanceId,
  })
  return open && { appInstanceId, ...open }
}

/** Of a body only what decides who may have sent it, and when: the rest is judged by the worker. */
const Envelope = z.object({
  app_instance_id: z.guid().toLowerCase(), // believed only once the instance's secret has signed it
  id: z.union([z.string().min(1), z.int()]).optional().catch(undefined),
  type: z.string().nullable().catch(null),
  timestamp: z.unknown().optional(),
})
export type Envelope = z.output<typeof Envelope>

/** Null for what names no instance. */
export function readEnvelope(body: Uint8Array): Envelope | null {
  return Envelope.safeParse(parseBody(null, body)).data ?? null
}

/** The signature has no time of its own, so that the signed body has to say when it was sent. */
export async function verifyAppEvent(
  call: InboundRequest,
  { timestamp }: Envelope,
  { secrets }: AppInstance,
  now: Date,
  keys: ReturnType<typeof publishedKeys>,
): Promise<Verification> {
  const untimely = whyUntimely(timestamp, now)
  if (untimely) return refused(untimely)
  const known = { signing: liveSecrets(secrets, now), app: null, pathTokenMatches: false }
  return await verifyWebhook(SCHEME, call, known, now, keys)
}

function whyUntimely(timestamp: unknown, now: Date): RefusalReason | null {
  if (timestamp === undefined || timestamp === null) return 'missing_timestamp'
  const { data: sentAt } = Timestamp.safeParse(timestamp)
  if (sentAt === undefined) return 'malformed_timestamp'
  const distance = Math.abs(now.getTime() - Date.parse(sentAt))
  return distance <= TOLERANCE_SECONDS * 1_000 ? null : 'timestamp_out_of_tolerance'
}

/** @returns False where the instance has changed since it was read. */
export async function keepAppEvent(
  db: Database,
  call: InboundRequest,
  { id, type }: Envelope,
  { appInstanceId, version }: AppInstance,
  now: Date,
): Promise<boolean> {
  const { headers, body } = call
  const { accepted } = await db.call<{ accepted: boolean }>('receive_app_event', {
    p_app_instance_id: appInstanceId,
    p_version: version,
    p_type: lineOf(type),
    p_dedupe_key: id === undefined
      ? createHash('sha256').update(body).digest('hex')
      : storableKey(String(id)),
    p_headers: keptHeaders(SCHEME, headers),
    p_proof: proofOf(SCHEME, call, null, now),
    p_body: Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('base64'),
  })
  return accepted
}

/** Whether an app may emit it is judged where it is written. */
export function outcomeOfAppEvent({ id, body }: ClaimedWebhook): Outcome {
  const { type, data, subject } = parseBody(null, body) as Record<string, unknown>
  return { id, status: 'processed', app_event: { type, data, subject } }
}
