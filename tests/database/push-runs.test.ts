// When does a run push, who gets it, and what does its end leave alone?
import { describe, expect, it } from 'vitest'
import { openTransaction, someoneWaitsForALock } from '../support/concurrency.ts'
import { refusal, undone, useDatabase } from '../support/database.ts'
import { connectIntegration, sampleCrm } from '../support/integrations.ts'
import {
  bring,
  claimChanges,
  configure,
  contact,
  createPushingAccount,
  edit,
  finishChanges,
  openPush,
  pushOnce,
  settleChanges,
} from '../support/pushing.ts'
import { refusedRecord } from '../support/seeded-organization.ts'
import {
  claimRun,
  finishRun,
  lease,
  openRun,
  readLog,
  startSync,
  writePage,
} from '../support/sync-runs.ts'

const database = useDatabase()
const { admin, owner } = database
const stream = 'contacts'
const unavailable = { code: 'provider_unavailable', message: 'It is down.', next: 'retry' }

/** An account that was read once, so that runs may be incremental. */
async function readAccount(settings = {}) {
  const account = await createPushingAccount(database, settings)
  const run = await openRun(database, account.id, { stream })
  await writePage(database, run, [contact('1', { phone: 'base' })])
  await finishRun(database, run)
  const [held] = await admin`select id from public.contacts where integration_id = ${account.id}`
  return { account, recordId: held!.id as string }
}

const streamOf = async ({ id }: { id: string }) =>
  (await admin`
    select cursor, last_full_sync_at, next_sync_at, round(extract(epoch from next_sync_at - now()) / 60)::int as next_in_minutes
    from public.sync_streams where integration_id = ${id} and stream = 'contacts'`)[0]

const queuedOf = ({ id }: { id: string }) =>
  admin`
    select log.mode, log.sync_type, round(extract(epoch from run.run_at - now()) / 60)::int as due_in_minutes
    from private.sync_runs as run join public.sync_logs as log on log.id = run.sync_log_id
    where run.integration_id = ${id} and run.status = 'queued'`

describe('asking for a push', () => {
  it('of a stream that pushes is answered with one; of one that is only read it is refused', async () => {
    const account = await createPushingAccount(database)
    const ask = () => startSync(database, account.id, { stream, mode: 'push' })

    expect(await ask()).toMatchObject({ mode: 'push', status: 'queued' })
    await configure(database, account, { direction: 'pull' })
    await expect(ask()).rejects.toMatchObject(refusal('stream_not_pushed'))
  })

  it('joins a queued run, which does what the most of those who asked want', async () => {
    const { account } = await readAccount()
    const asked = []
    for (const mode of ['push', 'incremental', 'push', 'full', 'push'] as const) {
      asked.push(await startSync(database, account.id, { stream, mode }))
    }

    expect(new Set(asked.map(({ id }) => id)).size).toBe(1)
    expect(asked.map(({ mode }) => mode)).toEqual([
      'push',
      'incremental',
      'incremental',
      'full',
      'full',
    ])
  })

  it('is not served by a run under way, whatever it does: it may have passed the change by', async () => {
    const { account } = await readAccount()
    const running = await openRun(database, account.id, { stream, mode: 'full' })

    const push = await startSync(database, account.id, { stream, mode: 'push' })
    const read = await startSync(database, account.id, { stream, mode: 'full' })

    expect(push.id).not.toBe(running.sync_log_id)
    expect(read.id).toBe(running.sync_log_id)
  })

  it('is what every request comes to where a stream only pushes', async () => {
    const account = await createPushingAccount(database, { direction: 'push' })

    const modes = []
    for (
      const options of [{ mode: 'full' }, { mode: 'incremental' }, { type: 'scheduled' }] as const
    ) {
      const log = await startSync(database, account.id, { stream, ...options })
      modes.push(log.mode)
      await finishRun(database, (await claimRun(database, log.id))!)
    }

    expect(modes).toEqual(['push', 'push', 'push'])
  })

  it('is what a run that would read comes to, queued or given back, when its stream is set to push only', async () => {
    for (const isUnderWay of [false, true]) {
      const { account } = await readAccount()
      const before = await streamOf(account)
      const log = await startSync(database, account.id, { stream, mode: 'full' })
      if (isUnderWay) {
        const run = (await claimRun(database, log.id))!
        await database.call('service_role', 'release_sync_run', lease(run))
      }

      await configure(database, account, { direction: 'push' })
      const run = (await claimRun(database, log.id))!
      await finishRun(database, run)

      expect(run).toMatchObject({ mode: 'push', direction: 'push' })
      expect(await readLog(database, log.id)).toMatchObject({ mode: 'push', status: 'success' })
      expect(await streamOf(account)).toEqual(before) // nothing of it was read
    }
  })

  it('joins the run that a change queues as it commits: neither fails', async () => {
    const { account, recordId } = await readAccount()
    const editing = await openTransaction(database, 'service_role')
    await editing.sql`update public.contacts set phone = 'new' where id = ${recordId}`
    await editing.sql`set constraints all immediate`

    const asked = startSync(database, account.id, { stream, mode: 'full' })
    await someoneWaitsForALock(database)
    await editing.commit()

    expect(await asked).toMatchObject({ status: 'queued', mode: 'full' })
    expect(await queuedOf(account)).toHaveLength(1)
  })

  it('a read does not join a push that is running', async () => {
    const { account } = await readAccount()
    const push = await openPush(database, account)

    const read = await startSync(database, account.id, { stream, mode: 'incremental' })

    expect(read).toMatchObject({ status: 'queued', mode: 'incremental' })
    expect(read.id).not.toBe(push.sync_log_id)
  })

  it('a scheduled read that joins what a change had asked for is a scheduled one', async () => {
    const { account, recordId } = await readAccount()
    await edit(database, account.member, recordId, { phone: 'new' })

    const log = await startSync(database, account.id, { stream, type: 'scheduled' })

    expect(log).toMatchObject({ sync_type: 'scheduled', mode: 'incremental' })
  })
})

it('a run tells its worker which way the stream goes and how many records one call takes', async () => {
  const account = await createPushingAccount(database, { push_batch_size: 50 })

  expect(await openPush(database, account)).toMatchObject({
    mode: 'push',
    direction: 'both',
    push_batch_size: 50,
  })
})

describe('the end of a push', () => {
  it('leaves where reading stands, when it is due and which records were refused', async () => {
    const { account, recordId } = await readAccount()
    const reading = await openRun(database, account.id, { stream, mode: 'full' })
    await writePage(database, reading, [], { refused: [refusedRecord('broken')] })
    await finishRun(database, reading)
    const before = await streamOf(account)
    await edit(database, account.member, recordId, { phone: 'new' })

    const run = await openPush(database, account)
    await pushOnce(database, run, { status: 'sent' })
    const log = await finishRun(database, run)

    expect(log).toMatchObject({ status: 'success', mode: 'push' })
    expect(await streamOf(account)).toEqual(before)
    expect(
      await admin`select source_id from public.sync_errors where integration_id = ${account.id} and resolved_at is null`,
    )
      .toEqual([{ source_id: 'broken' }])
    expect(await queuedOf(account)).toEqual([])
  })

  it('that sent nothing says nothing of the account: its failures stand; one that sent clears them', async () => {
    const { account, recordId } = await readAccount()
    await admin`
      update public.integrations set status = 'error', consecutive_failures = 4, last_synced_at = '2026-01-01', last_error = ${
      admin.json(unavailable)
    } where id = ${account.id}`
    const integrationOf = async () =>
      (await admin`
        select status, consecutive_failures, last_error, last_synced_at = '2026-01-01' as is_unmoved
        from public.integrations where id = ${account.id}`)[0]

    await finishRun(database, await openPush(database, account))
    const after = await integrationOf()
    await edit(database, account.member, recordId, { phone: 'new' })
    const run = await openPush(database, account)
    await pushOnce(database, run, { status: 'sent' })
    await finishRun(database, run)

    expect(after).toEqual({
      status: 'error',
      consecutive_failures: 4,
      last_error: unavailable,
      is_unmoved: true,
    })
    expect(await integrationOf()).toEqual({
      status: 'connected',
      consecutive_failures: 0,
      last_error: null,
      is_unmoved: true,
    })
  })

  it('that failed leaves the schedule alone, and a run queued for when the pause is over', async () => {
    const { account, recordId } = await readAccount()
    const before = await streamOf(account)
    await edit(database, account.member, recordId, { phone: 'new' })
    const pauses = []

    for (let time = 0; time < 3; time++) {
      const run = await openPush(database, account)
      await finishRun(database, run, 'failed', unavailable)
      pauses.push((await queuedOf(account))[0])
    }

    expect(pauses.map((queued) => queued?.due_in_minutes)).toEqual([1, 5, 15])
    expect(await streamOf(account)).toMatchObject({
      cursor: before!.cursor,
      next_sync_at: before!.next_sync_at,
    })
  })

  it('finds what was changed since the last claim, and leaves a run for it', async () => {
    const { account, recordId } = await readAccount()
    await edit(database, account.member, recordId, { phone: 'new' })
    const run = await openPush(database, account)
    const sent = await settleChanges(database, run, (await claimChanges(database, run)).changes)
    await edit(database, account.member, recordId, { phone: 'newer' })
    await finishChanges(database, run, sent, { status: 'sent' })

    await finishRun(database, run)

    expect(await queuedOf(account)).toEqual([{
      mode: 'push',
      sync_type: 'change',
      due_in_minutes: 0,
    }])
  })

  it('tells the event how many were pushed, refused and in conflict', async () => {
    const { account, recordId } = await readAccount()
    await edit(database, account.member, recordId, { phone: 'new' })
    const run = await openPush(database, account)
    await pushOnce(database, run, { status: 'sent' })
    await finishRun(database, run)

    const [event] = await admin`
      select data from public.events where data ->> 'sync_log_id' = ${run.sync_log_id}`
    expect(event?.data).toMatchObject({
      mode: 'push',
      pushed_count: 1,
      failed_count: 0,
      conflict_count: 0,
    })
  })
})

describe('queue-due-syncs', () => {
  /** What the job queues for this account, after `change`. All undone. */
  const queuedFor = (account: { id: string }, change = 'select 1') =>
    undone(owner, async (sql) => {
      await sql`delete from private.sync_runs where integration_id = ${account.id}`
      await sql`update public.sync_streams set next_sync_at = now() + interval '1 hour' where integration_id = ${account.id}`
      await sql.unsafe(change.replaceAll('$1', `'${account.id}'`))
      await sql`select private.queue_due_syncs()`
      return await sql`
        select log.mode from private.sync_runs as run join public.sync_logs as log on log.id = run.sync_log_id
        where run.integration_id = ${account.id}`
    })

  it.each([
    ['is due', 'select 1', 1],
    [
      'is due later',
      `update private.outbound_changes set run_at = now() + interval '1 minute' where integration_id = $1`,
      0,
    ],
    [
      'was refused',
      'update private.outbound_changes set refused = true where integration_id = $1',
      0,
    ],
    [
      'is kept here by the filter',
      'update private.outbound_changes set fits = false where integration_id = $1',
      0,
    ],
    [
      'is due of a stream that is off',
      'update public.sync_streams set enabled = false where integration_id = $1',
      0,
    ],
    [
      'is due of a paused account',
      `update public.integrations set status = 'paused' where id = $1`,
      0,
    ],
  ])('a change that %s, whose run was lost, queues %#', async (_, change, count) => {
    const { account, recordId } = await readAccount()
    await edit(database, account.member, recordId, { phone: 'new' })

    expect(await queuedFor(account, change)).toHaveLength(count)
  })

  it('is not kept from an account by five hundred paused ones', async () => {
    const { account, recordId } = await readAccount()
    await edit(database, account.member, recordId, { phone: 'new' })

    const queued = await queuedFor(
      account,
      `with paused as (
        insert into public.integrations (id, organization_id, connector, name, external_account_id, status)
        select ('00000000-0000-0000-0000-' || lpad(number::text, 12, '0'))::uuid, organization_id, connector, name || number, 'paused ' || number, 'paused'
        from public.integrations, generate_series(1, 500) as number where id = $1
        returning id, organization_id
      ), pushing as (
        insert into public.sync_streams (integration_id, organization_id, stream, direction, push_columns)
        select id, organization_id, 'contacts', 'push', '{phone}' from paused
      )
      insert into private.outbound_changes (integration_id, stream, record_id, organization_id, source_id, operation)
      select id, 'contacts', gen_random_uuid(), organization_id, '1', 'update' from paused`,
    )

    expect(queued).toHaveLength(1)
  })

  it('a stream that is due to be read both ways is read, which pushes too', async () => {
    const { account, recordId } = await readAccount()
    await edit(database, account.member, recordId, { phone: 'new' })

    expect(
      await queuedFor(
        account,
        `update public.sync_streams set next_sync_at = now() - interval '10 days' where integration_id = $1`,
      ),
    ).toEqual([{ mode: 'incremental' }])
  })
})

it('conflicts are kept ninety days', async () => {
  const account = await createPushingAccount(database, { conflict_policy: 'remote_wins' })
  const rows = await bring(database, account, contact('old'), contact('young'))
  for (const { id } of rows) await edit(database, account.member, id, { phone: 'ours' })
  await bring(
    database,
    account,
    contact('old', { phone: 'theirs' }, 2),
    contact('young', { phone: 'theirs' }, 2),
  )

  const left = await undone(owner, async (sql) => {
    await sql`
      update public.sync_conflicts set decided_at = now() - case source_id when 'old' then interval '91 days' else interval '89 days' end
      where integration_id = ${account.id}`
    await sql`select private.delete_old_rows()`
    return await sql`select source_id from public.sync_conflicts where integration_id = ${account.id}`
  })

  expect(left).toEqual([{ source_id: 'young' }])
})

it('an account that is connected again keeps its direction with what it now lets us write', async () => {
  const account = await createPushingAccount(database)
  const [before] =
    await admin`select external_account_id from public.integrations where id = ${account.id}`
  const again = (pushColumns: Record<string, string[]>) =>
    connectIntegration(database, account.organizationId, {
      connector: sampleCrm,
      account: before!.external_account_id,
      pushColumns,
    })
  const settings = () =>
    admin`
      select direction, push_columns from public.sync_streams where integration_id = ${account.id} and stream = 'contacts'`

  await again({ contacts: ['phone'] })
  const kept = await settings()
  await again({})

  expect(kept).toEqual([{ direction: 'both', push_columns: ['phone'] }])
  expect(await settings()).toEqual([{ direction: 'pull', push_columns: null }])
})
