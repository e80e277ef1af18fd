// Who changes what here, and what does a worker make of it? Accounts whose contacts go both ways, and the calls of a push.
import type { ContactColumns } from '../../supabase/functions/_shared/contracts/contacts.ts'
import type { Actor, TestDatabase } from './database.ts'
import { connectIntegration, sampleCrm } from './integrations.ts'
import { createTeam, type Team } from './people.ts'
import { applyRecords, streamRecord } from './stream-records.ts'
import { type ClaimedRun, claimRun, lease, startSync } from './sync-runs.ts'

/** What the sample account lets us write of a contact. */
export const PUSHED = ['email', 'first_name', 'last_name', 'phone', 'company'] as const

export type Settings = {
  direction?: 'pull' | 'push' | 'both'
  conflict_policy?: 'local_wins' | 'remote_wins' | 'latest_wins'
  merge_fields?: boolean
  push_deletes?: boolean
  push_batch_size?: number | null
  filter?: object | null
  retry_pauses_s?: number[]
  enabled?: boolean
}

/** One integration whose contacts are pushed, and its organization's people. */
export type Account = Team & { id: string }

/** A change as SQL functions hand it out. */
export type Change = {
  record_id: string
  version: string
  operation: 'create' | 'update' | 'delete'
  source_id: string | null
  columns: Record<string, unknown>
  changed: string[]
  base: Record<string, unknown> | null
  content_hash: string | null
  uncertain: boolean
  sending: Record<string, unknown> | null
  sending_version: string | null
  sending_at: string | null
  attempt_count: number
}

export type Contact = ContactColumns & {
  id: string
  source: string
  source_id: string
  organization_id: string
  content_hash: string | null
  source_updated_at: string | null
  last_synced_at: string | null
  source_deleted_at: string | null
  deleted_at: string | null
  updated_at: string
}

/** Changes a stream's settings as a manager does. */
export async function configure(
  database: TestDatabase,
  { id, manager }: Pick<Account, 'id' | 'manager'>,
  settings: Settings,
  stream = 'contacts',
): Promise<void> {
  await database.actAs(manager, async (sql) => {
    const values = {
      ...settings,
      ...(settings.filter ? { filter: sql.json(settings.filter as never) } : {}),
    }
    await sql`
      update public.sync_streams set ${sql(values as never)}
      where integration_id = ${id} and stream = ${stream}`
  })
}

/** A team with an account whose contacts go both ways unless told otherwise. */
export async function createPushingAccount(
  database: TestDatabase,
  settings: Settings = {},
): Promise<Account> {
  const team = await createTeam(database)
  const { id } = await connectIntegration(database, team.organizationId, {
    connector: sampleCrm,
    pushColumns: { contacts: [...PUSHED], products: ['name', 'price_amount'] },
  })
  const account = { ...team, id }
  await configure(database, account, { direction: 'both', ...settings })
  return account
}

/** A contact as the platform gives it, changed and read on that day of January 2026. */
export function contact(sourceId: string, columns: Partial<ContactColumns> = {}, day = 1) {
  return streamRecord('contacts', sourceId, columns, day)
}

/** Brings contacts in, as a webhook does, and answers their rows in the order of their source ids. */
export async function bring(
  database: TestDatabase,
  account: { id: string },
  ...records: ReturnType<typeof contact>[]
): Promise<Contact[]> {
  await applyRecords(database, account.id, 'contacts', records)
  return await contactsOf(database, account)
}

/** All contacts of an account, by source id. */
export async function contactsOf(
  { admin }: TestDatabase,
  { id }: { id: string },
): Promise<Contact[]> {
  const rows = await admin<{ row: Contact }[]>`
    select to_jsonb(held) as row from public.contacts as held where integration_id = ${id} order by source_id`
  return rows.map(({ row }) => row)
}

export async function contactNamed(
  { admin }: TestDatabase,
  recordId: string,
): Promise<Contact | undefined> {
  const [found] = await admin<{ row: Contact }[]>`
    select to_jsonb(held) as row from public.contacts as held where id = ${recordId}`
  return found?.row
}

/** Changes a contact as this person, or the service; answers how many rows that reached. */
export function edit(
  { actAs }: TestDatabase,
  actor: Actor,
  recordId: string,
  columns: Partial<ContactColumns>,
): Promise<number> {
  return actAs(actor, async (sql) => {
    const { count } = await sql`
      update public.contacts set ${sql(columns as never)} where id = ${recordId}`
    return count
  })
}

/** Deletes a contact as this person, or the service; answers how many rows that reached. */
export function remove({ actAs }: TestDatabase, actor: Actor, recordId: string): Promise<number> {
  return actAs(
    actor,
    async (sql) => (await sql`delete from public.contacts where id = ${recordId}`).count,
  )
}

/** Makes a contact here as this person, and answers its id. */
export function add(
  { actAs }: TestDatabase,
  actor: Actor,
  account: { id: string },
  columns: Partial<ContactColumns>,
): Promise<string> {
  return actAs(actor, async (sql) => {
    const [added] = await sql<{ id: string }[]>`
      insert into public.contacts ${
      sql({ integration_id: account.id, ...columns } as never)
    } returning id`
    return added!.id
  })
}

export type Mark = {
  record_id: string
  source_id: string
  operation: string
  version: string
  base: Record<string, unknown> | null
  base_hash: string | null
  changed_by: string | null
  fits: boolean
  refused: boolean
  attempt_count: number
  due_in_s: number
  sending: Record<string, unknown> | null
}

/** The open changes of an account, oldest first. */
export function marksOf({ admin }: TestDatabase, { id }: { id: string }): Promise<Mark[]> {
  return admin<Mark[]>`
    select record_id, source_id, operation, version::text, base, base_hash, changed_by, fits, refused, attempt_count,
      round(extract(epoch from run_at - now()))::int as due_in_s, sending
    from private.outbound_changes where integration_id = ${id} order by private.outbound_changes.version`
}

export type Conflict = {
  id: string
  record_id: string
  kind: string
  fields: string[]
  base: Record<string, unknown> | null
  local: Record<string, unknown> | null
  remote: Record<string, unknown> | null
  decision: string
  policy: string
  local_changed_by: string | null
  sync_log_id: string | null
  overturned_at: string | null
  overturned_by: string | null
}

export async function conflictsOf(
  { admin }: TestDatabase,
  { id }: { id: string },
): Promise<Conflict[]> {
  const rows = await admin<{ row: Conflict }[]>`
    select to_jsonb(conflict) as row from public.sync_conflicts as conflict
    where integration_id = ${id} order by decided_at, id`
  return rows.map(({ row }) => row)
}

/** Takes the run that pushes, asked for by hand unless a change has asked for it already. */
export async function openPush(
  database: TestDatabase,
  { id }: { id: string },
  stream = 'contacts',
): Promise<ClaimedRun> {
  const log = await startSync(database, id, { stream, mode: 'push', type: 'scheduled' })
  const run = await claimRun(database, log.id)
  if (!run) throw new Error(`the push ${log.id} could not be claimed`)
  return run
}

export function claimChanges(
  { call }: TestDatabase,
  run: ClaimedRun,
  limit = 100,
): Promise<{ changes: Change[] }> {
  return call('service_role', 'claim_outbound_changes', { ...lease(run), p_limit: limit })
}

/** Takes in what was looked up, and answers what is still to be sent, with its intent written. */
export async function settleChanges(
  { call }: TestDatabase,
  run: ClaimedRun,
  changes: Change[],
  found: {
    records?: object[]
    deletions?: object[]
    links?: { record_id: string; record: object }[]
  } = {},
): Promise<Change[]> {
  const settled = await call<{ changes: Change[] }>('service_role', 'settle_outbound_changes', {
    ...lease(run),
    p_record_ids: changes.map(({ record_id }) => record_id),
    p_records: found.records ?? [],
    p_deletions: found.deletions ?? [],
    p_links: found.links ?? [],
  })
  return settled.changes
}

export type Outcome = {
  status: 'sent' | 'deleted' | 'refused' | 'retry' | 'unsent'
  source_id?: string
  source_updated_at?: string
  answered_at?: string
  error?: { code: string; message: string }
}

/** Writes down what became of changes; one outcome for all, or one for each. */
export function finishChanges(
  { call }: TestDatabase,
  run: ClaimedRun,
  changes: Change[],
  outcome: Outcome | ((change: Change) => Outcome),
): Promise<{ pushed: number; failed: number }> {
  return call('service_role', 'finish_outbound_changes', {
    ...lease(run),
    p_outcomes: changes.map((change) => ({
      record_id: change.record_id,
      version: change.version,
      answered_at: new Date().toISOString(),
      ...(typeof outcome === 'function' ? outcome(change) : outcome),
    })),
  })
}

/** Claims, settles and sends what is due of one operation; answers what was sent. */
export async function pushOnce(
  database: TestDatabase,
  run: ClaimedRun,
  outcome: Outcome | ((change: Change) => Outcome),
): Promise<Change[]> {
  const { changes } = await claimChanges(database, run)
  const sent = await settleChanges(database, run, changes)
  await finishChanges(database, run, sent, outcome)
  return sent
}
