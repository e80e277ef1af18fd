// A stack that a fault test may break, and what must be true of it once the fault is over.
import { createClient, type SupabaseClient } from '@supabase/supabase-js'
import { randomUUID } from 'node:crypto'
import type postgres from 'postgres'
import { afterAll, expect, vi } from 'vitest'
import { openPool } from '../../scripts/stack/pool.ts'
import { type Stack, type StackOptions, startStack } from '../../scripts/stack/stack.ts'
import type { SyncLog } from '../../supabase/functions/_shared/contracts/sync.ts'
import type { Outside } from '../../supabase/functions/_shared/platform/outside.ts'
import { systemClock } from '../../supabase/functions/_shared/platform/clock.ts'
import { dataApiDatabase } from '../../supabase/functions/_shared/platform/database.ts'
import { createLog } from '../../supabase/functions/_shared/platform/log.ts'
import { testEnvironment } from './environment.ts'
import { imagesAreLeft } from './worker-rings.ts'

export type FaultStack = {
  stack: Stack
  /** The superuser: moves time and reads what nobody may. Reconnects after a restart. */
  admin: postgres.Sql
  /** The secret key's client. */
  service: SupabaseClient
  /** What the stack and its functions have logged so far. */
  lines: string[]
  /** An engine's surroundings in this process; its log goes to `lines` too. */
  outside(parts?: Partial<Outside>): Outside
  /** Calls an Edge Function with the secret key. */
  post(path: string, body: unknown): Promise<Response>
  /** Rings a worker the way the platform's schedule does, as if nobody had rung before. */
  wake(): Promise<void>
}

/** Brings up a stack for one test file; it goes down with the file. */
export async function startFaultStack(options: StackOptions = {}): Promise<FaultStack> {
  const lines: string[] = []
  const stack = await startStack({
    ephemeral: true,
    cron: false,
    envFile: null,
    log: (line) => lines.push(line),
    ...options,
  })
  const admin = openPool(stack.adminDbUrl, { max: 4 })
  afterAll(async () => {
    await admin.end({ timeout: 1 })
    await stack.stop()
  })
  await imagesAreLeft(admin)
  const service = createClient(stack.url, stack.secretKey, { auth: { persistSession: false } })
  const overrides = JSON.parse(options.functionsEnv?.CONNECTOR_OVERRIDES ?? '{}')
  return {
    stack,
    admin,
    service,
    lines,
    outside: (parts = {}) => ({
      db: dataApiDatabase(service),
      environment: testEnvironment({ CONNECTOR_OVERRIDES: overrides }),
      log: createLog({}, (line) => lines.push(line)),
      clock: systemClock,
      ...parts,
    }),
    post: (path, body) =>
      fetch(`${stack.functionsUrl}/${path}`, {
        method: 'POST',
        headers: { apikey: stack.secretKey, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }),
    async wake() {
      await admin`update private.worker_wakes set rung_at = null`
      await stack.cron.run('queue-due-syncs')
    },
  }
}

/** Connects an account in an organization of its own; answers the integration's id. */
export async function connectAccount(
  { admin, service }: FaultStack,
  account: {
    connector: string
    settings: Record<string, unknown>
    credentials?: Record<string, unknown>
    /** Records written in one transaction. */
    batchSize?: number
  },
): Promise<string> {
  const [organization] = await admin`
    insert into public.organizations (name) values ('Faults') returning id`
  const { data, error } = await service.rpc('connect_integration', {
    p_organization_id: organization?.id,
    p_connector: account.connector,
    p_external_account_id: randomUUID(),
    p_name: 'Main street',
    p_settings: account.settings,
    p_credentials: account.credentials ?? {},
  })
  if (error) throw new Error(error.message, { cause: error })
  // only this test asks for runs: the schedule stays out of it
  await admin`
    update public.sync_streams
    set batch_size = ${account.batchSize ?? 1000}, next_sync_at = now() + interval '1 day'
    where integration_id = ${data.id}`
  return data.id as string
}

/** Asks for a run, of products when not said, without ringing for a worker. */
export async function queueSync(
  { service }: Pick<FaultStack, 'service'>,
  integrationId: string,
  options: { stream?: string; mode?: 'full' | 'incremental'; allowMassDelete?: boolean } = {},
): Promise<SyncLog> {
  const { data, error } = await service.rpc('start_sync', {
    p_integration_id: integrationId,
    p_stream: options.stream ?? 'products',
    p_sync_type: 'manual',
    p_mode: options.mode ?? 'full',
    p_allow_mass_delete: options.allowMassDelete ?? false,
    p_wake: false,
  })
  if (error) throw new Error(error.message, { cause: error })
  return data as SyncLog
}

/** Lets the leases of running runs end now, as three minutes of silence would. */
export async function expireLeases({ admin }: Pick<FaultStack, 'admin'>): Promise<void> {
  await admin`
    update private.sync_runs set leased_at = now() - interval '181 seconds', lease_expires_at = now() - interval '1 second'
    where lease_token is not null`
}

/** Nobody has called the accounts lately, and no pause is left: each test has the whole budget. */
export async function restoreBudgets({ admin }: Pick<FaultStack, 'admin'>): Promise<void> {
  await admin`delete from private.request_budgets`
}

/** Resolves when no run is left. */
export async function drained({ admin }: Pick<FaultStack, 'admin'>): Promise<void> {
  await vi.waitFor(async () => {
    const left = await admin`select * from private.sync_runs`
    if (left.length > 0) throw new Error(`runs are left: ${JSON.stringify(left)}`)
  }, { timeout: 30_000, interval: 20 })
}

/** The newest run's log. */
export async function lastLog(
  { admin }: Pick<FaultStack, 'admin'>,
  integrationId: string,
): Promise<SyncLog> {
  const [row] = await admin`
    select to_jsonb(log) as log from public.sync_logs as log
    where integration_id = ${integrationId} order by created_at desc limit 1`
  return row?.log as SyncLog
}

/** Products that are not deleted, as the platform sent them, by id. */
export async function liveProducts(
  { admin }: Pick<FaultStack, 'admin'>,
  integrationId: string,
): Promise<Map<string, unknown>> {
  const rows = await admin`
    select source_id, source_data from public.products
    where integration_id = ${integrationId} and deleted_at is null order by source_id`
  expect(new Set(rows.map((row) => row.source_id)).size).toBe(rows.length)
  return new Map(rows.map((row) => [row.source_id as string, row.source_data as unknown]))
}

/** Raw records by id, in the order of {@link liveProducts}. */
export function byId(records: Record<string, unknown>[], id = 'id'): Map<string, unknown> {
  const entries = records.map((record) => [String(record[id]), record] as const)
  return new Map(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** The promise after every fault: the table is the platform's catalog, and nothing is left lying about. */
export async function expectSettled(
  faulty: FaultStack,
  integrationId: string,
  catalog: Map<string, unknown>,
): Promise<SyncLog> {
  const live = await liveProducts(faulty, integrationId)
  expect([...live.keys()]).toEqual([...catalog.keys()])
  expect(live).toEqual(catalog)
  expect(
    await faulty.admin`
      select (select count(*)::int from private.sync_runs where integration_id = ${integrationId}) as runs,
        (select count(*)::int from private.sync_seen) as seen`,
  ).toEqual([{ runs: 0, seen: 0 }])
  const log = await lastLog(faulty, integrationId)
  expect(['success', 'partial']).toContain(log.status)
  expect(log.finished_at).not.toBeNull()
  return log
}
