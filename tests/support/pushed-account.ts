// How does a test push to a simulated platform by the engine in its own process? An account, its rows, one slice at a time.
import { browser } from '../../scripts/simulators/parts/oauth/browser.ts'
import type { Integration } from '../../supabase/functions/_shared/contracts/integrations.ts'
import type { SyncLog } from '../../supabase/functions/_shared/contracts/sync.ts'
import { connectAccount } from '../../supabase/functions/_shared/integrations/connect-account.ts'
import { finishSignIn } from '../../supabase/functions/_shared/oauth/finish-sign-in.ts'
import type { Outside } from '../../supabase/functions/_shared/platform/outside.ts'
import type { SliceOutcome } from '../../supabase/functions/_shared/sync/run-slice.ts'
import { doSlice, impatientClock } from './engine-run.ts'
import { testEnvironment } from './environment.ts'
import { type FaultStack, restoreBudgets } from './fault-stack.ts'

const RETURN_URL = 'http://127.0.0.1:3999/integrations'

type Row = Record<string, unknown> & { id: string; source_id: string }
type Columns = Record<string, unknown>

export type PushedAccount = {
  id: string
  /** Asks for a run and does one slice of it; a run that another one waits for goes on instead. */
  run(mode: 'full' | 'push', stream?: string): Promise<SliceOutcome>
  /** Pushes until the run ends, as if no time passed between its slices. */
  push(): Promise<SyncLog>
  /** Live ones, oldest first. */
  rows(): Promise<Row[]>
  add(...rows: Columns[]): Promise<void>
  change(which: Columns, columns: Columns): Promise<void>
  remove(which?: Columns): Promise<void>
  /** Changes that have still to go out. */
  open(): Promise<number>
  conflicts(): Promise<{ kind: string }[]>
  /** What was not taken, and nobody has solved. */
  errors(): Promise<{ code: string; message: string }[]>
}

/**
 * Connects an account, by a sign-in where there are no credentials, and reads it once.
 *
 * @param account.stream With these settings from then on; both ways where they do not say.
 */
export async function openPushedAccount(faulty: FaultStack, account: {
  connector: string
  platform: { baseUrl: string; client?: { client_id: string; client_secret: string } }
  settings: Record<string, unknown>
  credentials?: Record<string, unknown>
  table?: 'contacts' | 'products'
  stream?: Columns
  /** Where the platform is in this process. */
  fetch?: typeof globalThis.fetch
}): Promise<PushedAccount> {
  const { admin, service } = faulty
  const { connector, platform, settings, credentials, table = 'contacts' } = account
  const outside = faulty.outside({
    clock: impatientClock,
    ...(account.fetch ? { fetch: account.fetch } : {}),
    environment: testEnvironment({
      CONNECTOR_OVERRIDES: { [connector]: { baseUrl: platform.baseUrl } },
      OAUTH_CLIENTS: platform.client ? { [connector]: platform.client } : {},
      PLUGBOARD_RETURN_URLS: [RETURN_URL],
    }),
  })
  const [organization] = await admin`
    insert into public.organizations (name) values ('Pushed') returning id`
  const { id } = await connect(outside, {
    organization_id: organization!['id'] as string,
    connector,
    settings,
    ...(credentials ? { credentials } : { return_url: RETURN_URL, finish_in: 'app' as const }),
  })
  await admin`
    update public.sync_streams set next_sync_at = now() + interval '1 day' where integration_id = ${id}`
  const held = admin(`public.${table}`)

  async function slice(syncLogId: string): Promise<SliceOutcome> {
    await admin`update private.sync_runs set run_at = now() where sync_log_id = ${syncLogId}`
    await restoreBudgets(faulty)
    return await doSlice(outside, syncLogId)
  }
  const opened: PushedAccount = {
    id,
    async run(mode, stream = table) {
      const [underWay] = await admin<{ id: string }[]>`
        select sync_log_id as id from private.sync_runs
        where integration_id = ${id} and stream = ${stream} and status = 'running'`
      if (underWay) return await slice(underWay.id)
      const { data, error } = await service.rpc('start_sync', {
        p_integration_id: id,
        p_stream: stream,
        p_sync_type: 'manual',
        p_mode: mode,
        p_wake: false,
      })
      if (error) throw new Error(error.message, { cause: error })
      return await slice(data.id)
    },
    async push() {
      for (let slices = 0; slices < 10; slices++) {
        const outcome = await opened.run('push')
        if (outcome.kind === 'finished') return outcome.log
      }
      throw new Error('the push does not end')
    },
    rows: () =>
      admin<Row[]>`
        select held.* from ${held} as held
        where integration_id = ${id} and deleted_at is null order by created_at, email`,
    async add(...rows) {
      await admin`insert into ${held} ${
        admin(rows.map((row) => ({ ...row, integration_id: id })) as never)
      }`
    },
    async change(which, columns) {
      await admin`
        update ${held} set ${admin(columns as never)}
        where integration_id = ${id} and to_jsonb(${admin(table)}) @> ${admin.json(which as never)}`
    },
    async remove(which = {}) {
      await admin`
        delete from ${held} as held
        where integration_id = ${id} and to_jsonb(held) @> ${admin.json(which as never)}`
    },
    async open() {
      const [{ count } = { count: NaN }] = await admin<{ count: number }[]>`
        select count(*)::int as count from private.outbound_changes where integration_id = ${id}`
      return count
    },
    conflicts: () =>
      admin<{ kind: string }[]>`
        select kind from public.sync_conflicts where integration_id = ${id}`,
    errors: () =>
      admin<{ code: string; message: string }[]>`
        select code, message from public.sync_errors
        where integration_id = ${id} and direction = 'push' and resolved_at is null`,
  }
  if (table === 'contacts') await opened.run('full')
  await admin`
    update public.sync_streams
    set ${
    admin({ ...(table === 'contacts' ? { direction: 'both' } : {}), ...account.stream } as never)
  }
    where integration_id = ${id} and stream = ${table}`
  return opened
}

async function connect(
  outside: Outside,
  input: Parameters<typeof connectAccount>[1],
): Promise<Integration> {
  const connected = await connectAccount(outside, input, null)
  if (!('authorization_url' in connected)) return connected
  const landed = await browser().authorize(connected.authorization_url, { stopAt: RETURN_URL })
  const { integration, error } = await finishSignIn(outside, new URL(landed.url).searchParams, {
    user_id: null,
  })
  if (error) throw error
  return integration
}
