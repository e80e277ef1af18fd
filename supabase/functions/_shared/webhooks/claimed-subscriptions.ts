// One integration's webhook subscriptions under a lease, as Postgres keeps them.
import type { ErrorSummary } from '../contracts/contract.ts'
import type { Database } from '../platform/database.ts'

/** A row of `webhook_subscriptions`. */
export type KnownSubscription = {
  name: string
  status: 'pending' | 'active' | 'failed'
  external_id: string | null
  spec_hash: string | null
  expires_at: string | null
  renew_at: string | null
  made_by_hand: boolean
  /** Whether the secret that came with it is still believed. */
  secret_counts: boolean
  /** The platform was asked to make it, and its answer was never kept. */
  creating_since: string | null
}

export type ClaimedSubscriptions = {
  integration_id: string
  lease_token: string
  /** Of one that is disconnected: the kept credentials are soon deleted. */
  is_last_try: boolean
  /** Whether its managers gave the receiver a signing secret. */
  has_secret: boolean
  /** SHA-256 in hex of the address's unguessable end; null: it has none. */
  path_token_hash: string | null
  subscriptions: KnownSubscription[]
}

export type KeptSubscription = {
  external_id: string
  spec_hash: string
  expires_at: string | null
  renew_at: string | null
  made_by_hand: boolean
}

export type SubscriptionFailure = { name: string; error: ErrorSummary }

/** Every change throws `lease_lost` or `integration_disconnected` where it is no longer ours to make. */
export type SubscriptionLease = ReturnType<typeof subscriptionLease>

export function subscriptionLease(
  db: Database,
  { integration_id, lease_token }: Pick<ClaimedSubscriptions, 'integration_id' | 'lease_token'>,
) {
  const change = async (name: string, more: Record<string, unknown>) => {
    await db.call(name, { p_integration_id: integration_id, p_lease_token: lease_token, ...more })
  }
  return {
    /** Before the platform is asked to make it. */
    begin: (name: string) => change('begin_webhook_subscription', { p_name: name }),
    save: (name: string, kept: KeptSubscription, secret: string | null = null) =>
      change('save_webhook_subscription', {
        p_name: name,
        p_subscription: kept,
        p_secret: secret,
      }),
    forget: (name: string) => change('forget_webhook_subscription', { p_name: name }),
    finish: (
      failures: SubscriptionFailure[],
      next: { seconds?: number; pauseMs?: number } = {},
    ) =>
      change('finish_webhook_subscriptions', {
        p_failures: failures,
        ...(next.seconds === undefined ? {} : { p_next_seconds: Math.round(next.seconds) }),
        ...(next.pauseMs === undefined ? {} : { p_pause_ms: Math.round(next.pauseMs) }),
      }),
    /** Of one that is disconnected: nothing is tried any more. */
    end: (unsubscribed: boolean, revoked: boolean | null) =>
      change('end_webhook_subscriptions', { p_unsubscribed: unsubscribed, p_revoked: revoked }),
  }
}
