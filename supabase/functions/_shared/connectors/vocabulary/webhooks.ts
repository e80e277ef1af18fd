// What does a webhook of a platform say? In whose account which records changed or are gone.
import { createHash } from 'node:crypto'
import type { WebhookScheme } from '../../webhooks/scheme.ts'
import type { AppSubscriptions } from './app-subscriptions.ts'
import type { AccountFacts, Values } from './auth.ts'
import type { PlatformAnswer, PlatformCall } from './platform-call.ts'
import { readPath } from './read-path.ts'
import type { StreamName } from './streams.ts'
import type { Subscriptions } from './subscriptions.ts'

/** A verified webhook as a connector reads it. */
export type InboundWebhook = {
  /** What its body holds, by its content type; undefined where that cannot be read. */
  body: unknown
  /** Those the connector asks for in `headers` and those of its scheme. */
  headers: Headers
  /** SHA-256 of the body, in hex: the same whenever the same bytes come again. */
  hash: string
  /** RFC 3339: the time of what happened, where the platform does not say it. */
  received_at: string
}

/** A record changed or is gone. A webhook can come late or twice, and in any order. */
export type WebhookNotice = {
  /** Whose record it is, as `accountId` tells it; null where the address alone says so. */
  account: string | null
  stream: StreamName
  /** Null where something of the stream changed, and the platform does not say what. */
  source_id: string | null
  kind: 'changed' | 'deleted'
  /** RFC 3339. What `record` holds is as old as this. */
  occurred_at: string
  /** The same whenever the platform sends this again, and no other notice's. */
  dedupe_key: string
  /**
   * The whole record as the stream reads it, where the webhook brings it. It counts as read at `occurred_at`:
   * then the newer version wins whatever comes first. Left out: it has to be read from the platform.
   */
  record?: unknown
  /** Set where `source_id` is null: the stream has to be read for what changed. */
  whole_stream?: true
  /**
   * The change was made by a program, which may have been us: no reason to answer it with a write. It is read all
   * the same.
   */
  is_own_write?: true
}

/** Plain JSON that a drained webhook hands to the next one of the same receiver. */
export type DrainState = Record<string, unknown>

export type DrainContext<Settings = Values> = {
  /** What the last drain left; null before the first. */
  state: DrainState | null
  settings: Settings
  account: AccountFacts
  /** Sends one call as the account. Only calls that read. */
  call(call: PlatformCall): Promise<PlatformAnswer>
}

export type DrainResult = {
  notices: WebhookNotice[]
  /** To be kept once the notices are. */
  state: DrainState
  /** There is more to be had at once: drain again with the new state. */
  more: boolean
}

/** One way for webhooks to come in; what a person has to set up for it is on the connector's page. */
export type WebhookDoor = {
  /**
   * `app`: one address for our app and all accounts (`/webhook-receive/<slug>`); the payload says whose it is.
   * `integration`: an address for each integration.
   */
  at: 'app' | 'integration'
  /** What makes them come, for people: `inOrder`, in Markdown; `{address}` is ours. */
  setup: string
}

/** Steps that are taken one after the other, as a numbered list of Markdown. */
export const inOrder = (...steps: string[]): string =>
  steps.map((step, index) => `${index + 1}. ${step}`).join('\n')

/**
 * Of an integration that is subscribed by itself.
 *
 * @param itself What that takes.
 * @param steps By hand instead; what would be made by itself is not to be beside it.
 */
export const orByHand = (itself: string, ...steps: string[]): string =>
  `${itself}, and this is all. By hand instead:\n\n` +
  inOrder(
    '`integrations.update({ integration_id, webhooks: false })`, so that Plugboard makes none of its own.',
    ...steps,
  )

export const ROTATE_PATH =
  '`integrations.rotateWebhookPath({ integration_id })` shows {address}, this once.'

/** @param secret Where the platform shows it. */
export const givenToUs = (secret: string): string =>
  `Give us ${secret}: \`integrations.setWebhookSecret({ integration_id, secret })\`. Until then they are refused.`

export type Webhooks = {
  /** How the platform signs what it sends. */
  scheme: WebhookScheme
  /** Where an account's webhooks may be signed otherwise: the setting that says how, and what it may say besides. */
  otherSchemes?: { setting: string; schemes: WebhookScheme[] }
  doors: [WebhookDoor, ...WebhookDoor[]]
  /** Headers that are read, in lower case, besides those of the scheme. */
  headers?: string[]
  /** In whose accounts it happened, as `accountId` tells them; needed for `app` only. */
  accounts?(webhook: InboundWebhook): string[]
  /** What happened, in the platform's own word (`customer.updated`). */
  type(webhook: InboundWebhook): string | null
  /**
   * The same whenever the platform sends this webhook again, and no other's of the same sender. Null, or left out
   * where the platform numbers nothing: the hash of the body.
   *
   * @param scheme How it was signed.
   */
  dedupeKey?(webhook: InboundWebhook, scheme: WebhookScheme): string | null
  /**
   * What it says, of however many accounts. A part that is malformed or about something else is left
   * out and takes no other with it: the next run finds what it was about.
   */
  notices(webhook: InboundWebhook): WebhookNotice[]
  /** Whether an account with these settings syncs what a notice is about; always when not said. */
  isSynced?(
    notice: WebhookNotice,
    context: { webhook: InboundWebhook; settings: Values; account: AccountFacts },
  ): boolean
  /** Whether it says that the account has let our app go: it is then checked at once, as it is each hour. */
  isFarewell?(webhook: InboundWebhook): boolean
  /**
   * One page of what happened, where the webhook only says that something did. `notices` then gives none. Drained
   * one after the other for a receiver, since each begins where the last one ended.
   */
  drain?(webhook: InboundWebhook, context: DrainContext): Promise<DrainResult>
  /** Which list is drained, where an account has several: webhooks about the same one are answered together. */
  list?(webhook: InboundWebhook): string | null
  /** How they are subscribed by itself, where an account may do that. */
  subscriptions?: Subscriptions
  /** The same where it is our app that subscribes, for all accounts. */
  appSubscriptions?: AppSubscriptions
}

/** How webhooks of an account with these settings are signed. */
export const schemeOf = (
  { scheme, otherSchemes }: Pick<Webhooks, 'scheme' | 'otherSchemes'>,
  settings: Values,
): WebhookScheme => {
  const chosen = otherSchemes && settings[otherSchemes.setting]
  return otherSchemes?.schemes.find((other) => other === chosen) ?? scheme
}

/** For keys of several parts, in hex. */
export const hashOf = (parts: unknown): string =>
  createHash('sha256').update(JSON.stringify(parts)).digest('hex')

/** The text at a path; null for what is none, or is empty. */
export function textAt(value: unknown, path: string): string | null {
  const found = readPath(value, path)
  return typeof found === 'string' && found !== '' ? found : null
}

/** An id as text, or as a number that is still the one that was sent: beyond 2^53 neighbours are the same. */
export function idAt(value: unknown, path: string): string | null {
  const found = readPath(value, path)
  return Number.isSafeInteger(found) ? String(found) : textAt(value, path)
}

const LAST_SECOND = 253_402_300_799 // of the year 9999

/** RFC 3339 of whole or broken seconds since 1970, as a number or text; null for what is no such time. */
export function secondsText(seconds: unknown): string | null {
  const isTime = typeof seconds === 'number' || /^\d{1,12}(\.\d{1,9})?$/.test(String(seconds))
  const time = isTime ? Number(seconds) : NaN
  return time >= 0 && time <= LAST_SECOND ? new Date(time * 1000).toISOString() : null
}
