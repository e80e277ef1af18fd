// How does a platform come to send us its webhooks? What we want to be told, as calls that list, make, renew and end it.
import type { AccountFacts, Values } from './auth.ts'
import type { PlatformCall } from './platform-call.ts'

/** What has to be subscribed at the platform for one account. */
export type WantedSubscription = {
  /** Tells it from the account's other ones, such as a topic. */
  name: string
  /** What it asks for, as plain JSON: another one replaces it. */
  spec: unknown
}

/** A subscription as the platform lists it, whoever made it. */
export type ListedSubscription = {
  id: string
  /** Where its webhooks go. */
  address: string
  /** Which of ours it would be; null for what we would not ask for. */
  name: string | null
  /** What it asks for, in the words of `WantedSubscription`. */
  spec: unknown
  /** False where the platform has stopped to send. */
  works: boolean
  /** RFC 3339; null: it does not end. */
  expires_at: string | null
}

/** What the platform says when it has made one. */
export type MadeSubscription = {
  id: string
  expires_at: string | null
  /** Shown this once; null where its webhooks are signed with something known before. */
  secret: string | null
}

export type SubscriptionContext<Settings = Values> = {
  settings: Settings
  account: AccountFacts
  /** Whether its managers gave the receiver a signing secret. */
  hasSecret: boolean
}

/**
 * Subscriptions of one account, made with the account's own rights. The engine compares, loops and remembers; these
 * functions are pure. Ids and addresses are what the platform and the engine said.
 */
export type Subscriptions = {
  /**
   * What proves that a webhook is the platform's. `shown-once`: a secret in the answer that makes the subscription.
   * `known`: our app's secret, or the receiver's. `address`: the unguessable end of the address.
   */
  proof: 'shown-once' | 'known' | 'address'
  /** Nothing where an account with these settings cannot subscribe by itself. */
  wanted(context: SubscriptionContext): WantedSubscription[]
  /** @param after What the last page said about the next one; null for the first. */
  list(after: string | null): PlatformCall
  /** @throws AppError `provider_bad_answer` */
  readList(body: unknown): { subscriptions: ListedSubscription[]; next: string | null }
  create(wanted: WantedSubscription, address: string): PlatformCall
  /** @throws AppError `provider_bad_answer`, or what the platform has against it */
  readCreated(body: unknown): MadeSubscription
  /** Where they end: how one lives on, and until when. */
  renewal?: { call(id: string): PlatformCall; expiresAt(body: unknown): string }
  /** A status of `accept` means that it is gone already. */
  remove(id: string): PlatformCall
}
