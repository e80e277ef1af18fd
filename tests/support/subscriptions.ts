// How does a test subscribe webhooks with the engine in its own process? One look at a time, which may die anywhere.
import { randomUUID } from 'node:crypto'
import { afterAll } from 'vitest'
import { type Clock, systemClock } from '../../supabase/functions/_shared/platform/clock.ts'
import {
  type Database,
  directDatabase,
} from '../../supabase/functions/_shared/platform/database.ts'
import { createLog } from '../../supabase/functions/_shared/platform/log.ts'
import type { Outside } from '../../supabase/functions/_shared/platform/outside.ts'
import { runDueSubscriptions } from '../../supabase/functions/_shared/webhooks/run-subscriptions.ts'
import type { TestDatabase } from './database.ts'
import { testEnvironment } from './environment.ts'
import { sharedStack } from './shared-stack.ts'

export type Platform = {
  connector: string
  baseUrl: string
  settings: Record<string, unknown>
  credentials: Record<string, unknown>
}

/** Where a worker dies: before or after a call to Postgres, or once the platform has answered. */
export type DeathPoint =
  | { before: string }
  | { after: string }
  | { answered: 'POST' | 'DELETE' | 'PUT'; path?: string }

export type SubscribingEngine = {
  /** Connects an account; nothing rings for it. */
  connect(organizationId: string, platform: Platform, webhooks?: boolean | null): Promise<string>
  outside(platform: Platform, parts?: Partial<Outside>): Outside
  /** Compares this integration's subscriptions now, as a worker does that was rung. */
  look(integrationId: string, outside: Outside): Promise<void>
  /** The same, by a worker that dies there; its lease ends. */
  dieAt(point: DeathPoint, integrationId: string, platform: Platform): Promise<void>
  /** `webhook_subscriptions`, and when they are looked at again. */
  rows(integrationId: string): Promise<Record<string, unknown>[]>
  dueIn(integrationId: string): Promise<number>
  /** What the receiver believes now, newest first. */
  secrets(integrationId: string): Promise<string[]>
  /** Where the integration's webhooks come in. */
  address(integrationId: string): string
}

/** Nobody rings the worker of the functions while such a test file runs. */
export function useSubscribingEngine(database: TestDatabase): SubscribingEngine {
  const { owner, admin } = database
  const { dbUrl, url } = sharedStack
  const db = directDatabase(dbUrl)
  afterAll(() => db.end())

  const outside: SubscribingEngine['outside'] = ({ connector, baseUrl }, parts = {}) => ({
    db,
    environment: testEnvironment({
      SUPABASE_URL: url,
      CONNECTOR_OVERRIDES: { [connector]: { baseUrl } },
    }),
    log: createLog({}, () => {}),
    clock: systemClock,
    ...parts,
  })
  const makeDue = async (integrationId: string) => {
    await owner`
      update private.webhook_subscription_runs as run
      set run_at = case when run.integration_id = ${integrationId} then now() else 'infinity' end
      where run.integration_id = ${integrationId} or run.run_at <= now() + interval '1 minute'`
  }
  const look: SubscribingEngine['look'] = async (integrationId, outside) => {
    await makeDue(integrationId)
    await runDueSubscriptions(outside)
  }
  return {
    outside,
    look,
    async connect(organizationId, { connector, settings, credentials }, webhooks = true) {
      await owner`
        update private.worker_wakes set rung_at = now() + interval '1 day' where worker = 'integrations'`
      const { id } = await database.call<{ id: string }>('service_role', 'connect_integration', {
        p_organization_id: organizationId,
        p_connector: connector,
        p_external_account_id: randomUUID(),
        p_name: 'Main street',
        p_settings: settings,
        p_credentials: credentials,
      })
      if (webhooks !== null) {
        await database.call('service_role', 'update_integration', {
          p_integration_id: id,
          p_webhooks: webhooks,
        })
      }
      return id
    },
    async dieAt(point, integrationId, platform) {
      const worker = mortal(point, db)
      await makeDue(integrationId)
      await runDueSubscriptions(outside(platform, worker.parts)).catch((error: unknown) => {
        if (!worker.isDead()) throw error
      })
      if (!worker.isDead()) throw new Error(`no worker came to ${JSON.stringify(point)}`)
    },
    rows: (integrationId) =>
      owner`
        select * from public.webhook_subscriptions where integration_id = ${integrationId} order by name`,
    async dueIn(integrationId) {
      const [row] = await owner`
        select round(extract(epoch from run_at - now()))::int as seconds
        from private.webhook_subscription_runs where integration_id = ${integrationId}`
      return row?.seconds
    },
    async secrets(integrationId) {
      const rows = await admin`
        select secret.decrypted_secret as secret
        from private.webhook_receiver_secrets as held
        join vault.decrypted_secrets as secret on secret.id = held.secret_id
        where held.integration_id = ${integrationId} order by held.created_at desc`
      return rows.map(({ secret }) => secret)
    },
    address: (integrationId) => `${url}/functions/v1/webhook-receive/${integrationId}`,
  }
}

/** From that point on nothing it does reaches anybody. */
export function mortal(
  point: DeathPoint,
  db: Database,
): { parts: Pick<Outside, 'db' | 'fetch' | 'clock'>; isDead(): boolean } {
  let isDead = false
  const die = (): never => {
    isDead = true
    throw new Error('the worker is dead')
  }
  const call: Database['call'] = async (name, args) => {
    if (isDead || 'before' in point && point.before === name) die()
    const answer = await db.call(name, args)
    if ('after' in point && point.after === name) die()
    return answer as never
  }
  const fetch: typeof globalThis.fetch = async (input, init) => {
    if (isDead) die()
    const answer = await globalThis.fetch(input, init)
    const { pathname } = new URL(input instanceof Request ? input.url : input)
    const isPoint = 'answered' in point && init?.method === point.answered &&
      pathname === (point.path ?? pathname)
    if (isPoint) {
      await answer.body?.cancel()
      die()
    }
    return answer
  }
  // nobody waits for a dead one
  const clock: Clock = { now: () => new Date(), sleep: () => Promise.resolve() }
  return {
    parts: { db: { call, end: () => Promise.resolve() }, fetch, clock },
    isDead: () => isDead,
  }
}
