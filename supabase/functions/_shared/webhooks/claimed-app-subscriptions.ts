// The webhook subscriptions of our app at one platform under a lease, as Postgres keeps them.
import type { ErrorSummary } from '../contracts/contract.ts'
import type { Values } from '../connectors/vocabulary/auth.ts'
import type { Database } from '../platform/database.ts'

/** A row of `webhook_subscriptions`. */
export type KnownPart = {
  name: string
  status: 'pending' | 'active' | 'failed'
  external_id: string | null
  /** The platform was asked to make it, and its answer was never kept. */
  creating_since: string | null
}

export type ConnectedAccount = {
  integration_id: string
  name: string
  external_account_id: string
  settings: Values
  /** `integrations.webhooks`. */
  webhooks: boolean | null
  /** False where it is paused or has to sign in again: it keeps what it has. */
  is_live: boolean
  subscriptions: KnownPart[]
}

export type ClaimedApp = {
  connector: string
  lease_token: string
  /** Of the app's webhook; null: we have made none. */
  external_id: string | null
  creating_since: string | null
  accounts: ConnectedAccount[]
}

export type PartFailure = { integration_id: string; name: string; error: ErrorSummary }

/** Every change throws `lease_lost` where it is no longer ours to make. Accounts that are gone by now are left out. */
export type AppLease = ReturnType<typeof appLease>

export function appLease(
  db: Database,
  { connector, lease_token }: Pick<ClaimedApp, 'connector' | 'lease_token'>,
) {
  const change = async (name: string, more: Record<string, unknown>) => {
    await db.call(name, { p_connector: connector, p_lease_token: lease_token, ...more })
  }
  const part = (name: string, ids: string[]) => ({ p_name: name, p_integration_ids: ids })
  return {
    /** Before the platform is asked for the app's webhook. */
    begin: () => change('begin_app_subscription', {}),
    /** @param externalId Null: it is gone. */
    save: (externalId: string | null) =>
      change('save_app_subscription', { p_external_id: externalId }),
    /** Before the platform is asked for a part of these integrations. */
    beginPart: (name: string, ids: string[]) => change('begin_app_subscription', part(name, ids)),
    savePart: (name: string, ids: string[], externalId: string) =>
      change('save_app_subscription', { ...part(name, ids), p_external_id: externalId }),
    /** @param name Null: all that these integrations have. */
    forget: (ids: string[], name: string | null = null) =>
      change('forget_app_subscriptions', { p_integration_ids: ids, p_name: name }),
    finish: (failures: PartFailure[], next: { seconds?: number; pauseMs?: number } = {}) =>
      change('finish_app_subscriptions', {
        p_failures: failures,
        ...(next.seconds === undefined ? {} : { p_next_seconds: Math.round(next.seconds) }),
        ...(next.pauseMs === undefined ? {} : { p_pause_ms: Math.round(next.pauseMs) }),
      }),
  }
}
