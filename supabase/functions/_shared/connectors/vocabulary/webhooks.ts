// What does a webhook of a platform say? In whose account which records changed or are gone.
import type { StreamName } from './streams.ts'

/** How the platform signs the webhooks it sends. */
export type WebhookScheme = 'standard-webhooks' | 'hubspot-v3'

/** A record changed or is gone. What is in it is read from the platform: a webhook can come late or twice. */
export type WebhookNotice = {
  /** Whose record it is, as `accountId` tells it. */
  account: string
  stream: StreamName
  source_id: string
  kind: 'changed' | 'deleted'
  /** RFC 3339. Notices come in any order. */
  occurred_at: string
  /** The same whenever the platform sends this again, and no other notice's. */
  dedupe_key: string
}

export type Webhooks = {
  scheme: WebhookScheme
  /**
   * What a parsed body says, of however many accounts. A part that is malformed or about something else is left
   * out and takes no other with it: the next run finds what it was about.
   */
  notices(body: unknown): WebhookNotice[]
}
