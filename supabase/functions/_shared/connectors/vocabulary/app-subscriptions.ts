// How does a platform come to send us its webhooks where our app subscribes, once for all accounts that sign in at it?
import type { AppSecrets } from '../../webhooks/scheme.ts'
import type { ApiKey, TokenExchange, Values } from './auth.ts'
import type { PlatformAnswer, PlatformCall } from './platform-call.ts'

/** A webhook of our app as the platform lists it, whoever made it. */
export type ListedAppWebhook = {
  id: string
  /** Where it goes. */
  address: string
  /** False where the platform has stopped to send. */
  works: boolean
}

/** Something that the webhook is to bring: of one account, or of all of them. */
export type WantedPart = {
  /** Tells it from the account's other ones, such as an event type. */
  name: string
  /** As `accountId` tells it; null where it is for all. */
  account: string | null
}

export type ListedPart = WantedPart & {
  id: string
  works: boolean
  /** Whether we made it, so that it goes once nobody wants it. */
  isOurs: boolean
}

type Paged<Name extends string, Item> = { [name in Name]: Item[] } & { next: string | null }

/**
 * One webhook of our app, to `/webhook-receive/<slug>`, and its parts. Calls are made with the app's own secrets:
 * `credentials` in `auth` are those of `OAUTH_CLIENTS`, and `{app_id}` in a path is filled. What comes is signed with the
 * app's secret. The engine compares, loops and remembers; these functions are pure, and throw `provider_bad_answer`.
 */
export type AppSubscriptions = {
  /** Those of `OAUTH_CLIENTS` without which it cannot be done, nor what comes be believed. */
  secrets: [keyof AppSecrets, ...(keyof AppSecrets)[]]
  auth: ApiKey | TokenExchange
  /** Whether an account with these settings signed in at our app. */
  isOfApp(settings: Values): boolean
  webhook: {
    /** The app has no more than one address: another one in its place is somebody else's. */
    isOnlyOne?: true
    /** @param after What the last page said about the next one; null for the first. */
    list(after: string | null): PlatformCall
    readList(answer: PlatformAnswer): Paged<'webhooks', ListedAppWebhook>
    create(address: string): PlatformCall
    /** @returns Its id. */
    readCreated(body: unknown): string
    /** Has the platform look again whether it works. */
    repair?(id: string): PlatformCall
    /** A status of `accept` means that it is gone already. */
    remove(id: string): PlatformCall
  }
  parts: {
    /** @param accounts As `accountId` tells them, each once; never none. */
    wanted(accounts: string[]): WantedPart[]
    list(after: string | null): PlatformCall
    /** Those of this webhook. */
    readList(answer: PlatformAnswer, webhookId: string): Paged<'parts', ListedPart>
    create(part: WantedPart, webhookId: string): PlatformCall
    /** @returns Its id. */
    readCreated(body: unknown): string
    repair?(id: string): PlatformCall
    remove(id: string): PlatformCall
  }
}
