// What does a run push, and what becomes of each change? Sent once, doubled never, and a later edit stays to be sent.
import { describe, expect, it } from 'vitest'
import { openTransaction } from '../support/concurrency.ts'
import { permissionDenied, refusal, useDatabase } from '../support/database.ts'
import { eventsOf } from '../support/event-catalog.ts'
import { connectIntegration } from '../support/integrations.ts'
import {
  type Account,
  add,
  bring,
  claimChanges,
  configure,
  conflictsOf,
  contact,
  contactNamed,
  contactsOf,
  createPushingAccount,
  edit,
  finishChanges,
  marksOf,
  openPush,
  pushOnce,
  remove,
  type Settings,
  settleChanges,
} from '../support/pushing.ts'
import { claimRun, expireLease, finishRun, readLog, startSync } from '../support/sync-runs.ts'

const database = useDatabase()
const { admin, actAs, call } = database
const answeredAt = '2026-01-10T00:00:00Z'
const refused = { code: 'provider_rejected', message: 'No such phone.' }

/** An account with a contact that was changed here, and the run that pushes it. */
async function changed(
  settings: Settings = {},
  columns: Parameters<typeof edit>[3] = { phone: 'ours' },
) {
  const account = await createPushingAccount(database, settings)
  const [held] = await bring(database, account, contact('1', { phone: 'base', company: 'Base' }))
  await edit(database, account.member, held!.id, columns)
  return { account, held: held!, run: await openPush(database, account) }
}

/** An account with a contact that was made here, and the run that pushes it. */
async function made(
  columns: Parameters<typeof edit>[3] = { email: 'ada@example.com' },
  settings: Settings = {},
) {
  const account = await createPushingAccount(database, settings)
  const id = await add(database, account.member, account, columns)
  return { account, id, run: await openPush(database, account) }
}

const openErrorsOf = ({ id }: { id: string }) =>
  admin`
    select direction, source_id, source_key, code, message, payload from public.sync_errors
    where integration_id = ${id} and resolved_at is null`

const attemptsOf = async ({ sync_log_id }: { sync_log_id: string }) =>
  (await admin`select attempt_count from private.sync_runs where sync_log_id = ${sync_log_id}`)[0]
    ?.attempt_count

const letTimePass = ({ id }: { id: string }) =>
  admin`update private.outbound_changes set run_at = run_at - interval '1 day' where integration_id = ${id}`

describe('taking changes up', () => {
  it('says of each what to write, against what, and that nothing is under way', async () => {
    const { held, run } = await changed()

    const { changes } = await claimChanges(database, run)

    expect(changes).toEqual([{
      record_id: held.id,
      version: expect.stringMatching(/^\d+$/),
      operation: 'update',
      source_id: '1',
      columns: expect.objectContaining({ phone: 'ours', company: 'Base' }),
      changed: ['phone'],
      base: expect.objectContaining({ phone: 'base' }),
      content_hash: held.content_hash,
      uncertain: false,
      sending: null,
      sending_version: null,
      sending_at: null,
      attempt_count: 0,
    }])
  })

  it('of a new record names what says something, and gives no id', async () => {
    const { run } = await made({ email: 'ada@example.com', company: 'Acme' })

    expect((await claimChanges(database, run)).changes).toMatchObject([
      { operation: 'create', source_id: null, base: null, changed: ['company', 'email'] },
    ])
  })

  it('gives one kind at a time, oldest first, as many as are asked for', async () => {
    const account = await createPushingAccount(database, { push_deletes: true })
    const rows = await bring(database, account, ...['1', '2', '3', '4'].map((id) => contact(id)))
    await edit(database, account.member, rows[0]!.id, { phone: 'new' })
    await remove(database, account.member, rows[1]!.id)
    await edit(database, account.member, rows[2]!.id, { phone: 'new' })
    await edit(database, account.member, rows[3]!.id, { phone: 'new' })
    const run = await openPush(database, account)

    const claims = []
    for (const limit of [2, 2, 2]) {
      const { changes } = await claimChanges(database, run, limit)
      claims.push(changes.map(({ operation, source_id }) => `${operation} ${source_id}`))
      const sent = await settleChanges(database, run, changes)
      await finishChanges(database, run, sent, {
        status: changes[0]!.operation === 'delete' ? 'deleted' : 'sent',
      })
    }

    expect(claims).toEqual([['update 1', 'update 3'], ['delete 2'], ['update 4']])
    expect((await claimChanges(database, run)).changes).toEqual([])
  })

  it('gives the same again until their outcomes are written, and extends the lease', async () => {
    const { run } = await changed()
    await expireLease(database, run)

    const [first, second] = [await claimChanges(database, run), await claimChanges(database, run)]

    expect(second).toEqual(first)
    expect(await claimRun(database, run.sync_log_id)).toBeNull()
  })

  it('passes by what the filter keeps here, by the filter as it is now', async () => {
    const account = await createPushingAccount(database, {
      filter: { field: 'company', operator: 'eq', value: 'Acme' },
    })
    const rows = await bring(
      database,
      account,
      contact('1', { company: 'Acme' }),
      contact('2', { company: 'Other' }),
    )
    for (const row of rows) await edit(database, account.member, row.id, { phone: 'new' })
    const run = await openPush(database, account)

    const before = await claimChanges(database, run)
    await configure(database, account, {
      filter: { field: 'company', operator: 'eq', value: 'Other' },
    })
    const after = await claimChanges(database, run)
    await configure(database, account, { filter: null })
    const unfiltered = await claimChanges(database, run)

    expect(
      [before, after, unfiltered].map(({ changes }) => changes.map(({ source_id }) => source_id)),
    )
      .toEqual([['1'], ['2'], ['1', '2']])
  })

  it('takes up what fits since the platform changed it, and passes by what no longer does', async () => {
    const account = await createPushingAccount(database, {
      filter: { field: 'company', operator: 'eq', value: 'Acme' },
      merge_fields: true,
    })
    const rows = await bring(
      database,
      account,
      contact('1', { company: 'Other' }),
      contact('2', { company: 'Acme' }),
    )
    for (const row of rows) await edit(database, account.member, row.id, { phone: 'new' })
    const run = await openPush(database, account)
    const before = await claimChanges(database, run)

    await bring(
      database,
      account,
      contact('1', { company: 'Acme' }, 2),
      contact('2', { company: 'Other' }, 2),
    )

    const after = await claimChanges(database, run)
    expect([before, after].map(({ changes }) => changes.map(({ source_id }) => source_id)))
      .toEqual([['2'], ['1']])
  })

  it('is asked for when a webhook makes a change fit that was kept here', async () => {
    const account = await createPushingAccount(database, {
      filter: { field: 'company', operator: 'eq', value: 'Acme' },
      merge_fields: true,
    })
    const [held] = await bring(database, account, contact('1', { company: 'Other' }))
    await edit(database, account.member, held!.id, { phone: 'new' })
    const queued = async () =>
      (await database.admin`
        select 1 from private.sync_runs where integration_id = ${account.id} and status = 'queued'`)
        .length
    const before = await queued()

    await bring(database, account, contact('1', { company: 'Acme' }, 2))

    expect([before, await queued()]).toEqual([0, 1])
  })

  it('passes by a change in the middle of being made, without waiting for it', async () => {
    const { account, held, run } = await changed({
      filter: { field: 'phone', operator: 'eq', value: 'never' },
    })
    const editing = await openTransaction(database, 'service_role')
    await editing.sql`update public.contacts set phone = 'newest' where id = ${held.id}`
    await configure(database, account, { filter: null })

    const during = await claimChanges(database, run)
    await editing.commit()

    expect(during.changes).toEqual([])
    expect((await claimChanges(database, run)).changes).toMatchObject([{
      columns: { phone: 'newest' },
    }])
  })

  it('whose table was emptied ends with them', async () => {
    const { account, held, run } = await changed()
    await actAs('service_role', async (sql) => {
      await sql`select set_config('plugboard.writer', 'sync', true)`
      await sql`delete from public.contacts where id = ${held.id}`
    })

    expect((await claimChanges(database, run)).changes).toEqual([])
    expect(await marksOf(database, account)).toEqual([])
  })

  it('ends when the stream is set to read only', async () => {
    const { account, run } = await changed()

    await configure(database, account, { direction: 'pull' })

    expect(await claimChanges(database, run)).toEqual({ changes: [] })
  })
})

describe('a change that was sent', () => {
  it('is done: its row has the version the platform said', async () => {
    const { account, held, run } = await changed()

    const [sent] = await pushOnce(database, run, {
      status: 'sent',
      source_updated_at: '2026-01-09T23:59:59Z',
      answered_at: answeredAt,
    })

    expect(await marksOf(database, account)).toEqual([])
    expect(await contactNamed(database, held.id)).toMatchObject({
      phone: 'ours',
      content_hash: `pushed:${sent!.version}`,
      source_updated_at: '2026-01-09T23:59:59+00:00',
      last_synced_at: '2026-01-10T00:00:00+00:00',
    })
    expect(await readLog(database, run.sync_log_id)).toMatchObject({
      pushed_count: 1,
      failed_count: 0,
    })
  })

  it('is done only for what was sent: an edit made meanwhile goes out next, against it', async () => {
    const { account, held, run } = await changed()
    const sent = await settleChanges(database, run, (await claimChanges(database, run)).changes)
    await edit(database, account.member, held.id, { company: 'Ours' })

    await finishChanges(database, run, sent, { status: 'sent' })

    expect((await claimChanges(database, run)).changes).toMatchObject([
      { operation: 'update', changed: ['company'], base: { phone: 'ours' }, uncertain: false },
    ])
  })

  it('as a new record gives its row the id the platform gave it', async () => {
    const { account, id, run } = await made()

    await pushOnce(database, run, { status: 'sent', source_id: 'crm-1', answered_at: answeredAt })

    expect(await contactNamed(database, id)).toMatchObject({ source_id: 'crm-1', deleted_at: null })
    expect(await marksOf(database, account)).toEqual([])
  })

  it('as a new record and edited meanwhile is updated next, and not made again', async () => {
    const { account, id, run } = await made({ email: 'ada@example.com', company: 'Old' })
    const sent = await settleChanges(database, run, (await claimChanges(database, run)).changes)
    await edit(database, account.member, id, { company: 'New', phone: '1' })

    await finishChanges(database, run, sent, { status: 'sent', source_id: 'crm-1' })

    expect((await claimChanges(database, run)).changes).toMatchObject([
      { operation: 'update', source_id: 'crm-1', changed: ['company', 'phone'] },
    ])
  })

  it('as a new record and deleted meanwhile is deleted next', async () => {
    const { account, id, run } = await made(undefined, { push_deletes: true })
    const sent = await settleChanges(database, run, (await claimChanges(database, run)).changes)
    await remove(database, account.member, id)

    await finishChanges(database, run, sent, { status: 'sent', source_id: 'crm-1' })

    expect((await claimChanges(database, run)).changes).toMatchObject([
      { record_id: id, operation: 'delete', source_id: 'crm-1', changed: [] },
    ])
    expect(await contactNamed(database, id)).toMatchObject({ deleted_at: expect.any(String) })
  })

  it('and deleted meanwhile stays deleted here, and is deleted there next', async () => {
    const { account, held, run } = await changed({ push_deletes: true })
    const sent = await settleChanges(database, run, (await claimChanges(database, run)).changes)
    await remove(database, account.member, held.id)

    await finishChanges(database, run, sent, {
      status: 'sent',
      answered_at: new Date(Date.now() + 60_000).toISOString(),
    })

    expect(await contactNamed(database, held.id)).toMatchObject({ deleted_at: expect.any(String) })
    expect((await claimChanges(database, run)).changes).toMatchObject([{ operation: 'delete' }])
  })

  it('and came by webhook before its answer is one row, ours', async () => {
    const { account, id, run } = await made()
    const sent = await settleChanges(database, run, (await claimChanges(database, run)).changes)
    await bring(database, account, contact('crm-1', { email: 'ada@example.com' }))

    await finishChanges(database, run, sent, { status: 'sent', source_id: 'crm-1' })

    expect(await contactsOf(database, account)).toMatchObject([{ id, source_id: 'crm-1' }])
    expect(await marksOf(database, account)).toEqual([])
  })

  /** A webhook's record, read after it was sent. */
  const echo = (columns: Parameters<typeof contact>[1]) => ({
    ...contact('crm-1', { phone: null, company: null, ...columns }),
    last_synced_at: new Date(Date.now() + 1_000).toISOString(),
  })
  const named = { email: 'ada@example.com', first_name: 'Ada', last_name: 'Lovelace' }
  const askForEvents = ({ id }: Account) =>
    admin`update public.sync_streams set record_events = 'ids' where integration_id = ${id} and stream = 'contacts'`
  const told = async ({ organizationId }: Account) =>
    (await eventsOf(database, organizationId)).filter(({ type }) => type.startsWith('contact.'))
      .map(({ type, subject }) => `${type} ${subject}`)

  it('and came by webhook as it was sent is ours at once: nobody is told of another, and it is counted once', async () => {
    const { account, id, run } = await made({ ...named, phone: '1' })
    await askForEvents(account)
    const sent = await settleChanges(database, run, (await claimChanges(database, run)).changes)
    await edit(database, account.member, id, { phone: '2' })

    await bring(database, account, echo({ ...named, email: 'Ada@Example.com', phone: '1' }))
    const before = await contactsOf(database, account)
    await finishChanges(database, run, sent, { status: 'sent', source_id: 'crm-1' })

    expect(before).toMatchObject([{ id, source_id: 'crm-1', phone: '2' }])
    expect(await contactsOf(database, account)).toEqual(before)
    expect((await told(account)).filter((line) => !line.endsWith(`updated contact/${id}`)))
      .toEqual([])
    expect(await readLog(database, run.sync_log_id)).toMatchObject({ pushed_count: 1 })
    expect((await claimChanges(database, run)).changes).toMatchObject([
      { operation: 'update', source_id: 'crm-1', changed: ['phone'], uncertain: false },
    ])
    expect(await conflictsOf(database, account)).toEqual([])
  })

  it.each([
    ['as the platform writes it', { ...named, phone: '+1 1' }],
    ['without an address', { ...named, email: null, phone: '1' }],
  ])('and came by webhook, %s, is told to be there and to be gone', async (_, columns) => {
    const { account, id, run } = await made({ ...named, phone: '1' })
    await askForEvents(account)
    const sent = await settleChanges(database, run, (await claimChanges(database, run)).changes)
    const rows = await bring(database, account, echo(columns))
    const other = rows.find(({ source_id }) => source_id === 'crm-1')!

    await finishChanges(database, run, sent, { status: 'sent', source_id: 'crm-1' })

    expect(other.id).not.toBe(id)
    expect(await contactsOf(database, account)).toMatchObject([{ id, source_id: 'crm-1' }])
    expect(await told(account)).toEqual([
      `contact.created contact/${other.id}`,
      `contact.deleted contact/${other.id}`,
    ])
  })

  it('is not taken for what was there under its address: what we say stays to be known', async () => {
    const { account, id, run } = await made({ ...named, phone: '1' })
    await settleChanges(database, run, (await claimChanges(database, run)).changes)

    await bring(database, account, echo({ ...named, phone: 'theirs' }))

    expect(await contactNamed(database, id)).toMatchObject({ phone: '1' })
    expect((await claimChanges(database, run)).changes).toMatchObject([
      { record_id: id, operation: 'create', uncertain: true },
    ])
  })

  it('and came by webhook, where somebody changed it before its answer, still has that to send', async () => {
    const { account, id, run } = await made()
    const sent = await settleChanges(database, run, (await claimChanges(database, run)).changes)
    const rows = await bring(
      database,
      account,
      contact('crm-1', { email: 'ada@example.com', phone: null }),
    )
    await edit(database, account.member, rows.find((row) => row.source_id === 'crm-1')!.id, {
      phone: '1',
    })

    await finishChanges(database, run, sent, { status: 'sent', source_id: 'crm-1' })

    expect(await contactsOf(database, account)).toMatchObject([{ id, phone: '1' }])
    expect((await claimChanges(database, run)).changes).toMatchObject([
      { operation: 'update', source_id: 'crm-1', changed: ['phone'] },
    ])
  })

  it('as one of two new records that are one there is one row; what only the first said is in a conflict', async () => {
    const { account, run } = await made({ email: 'ada@example.com', phone: '1' })
    const second = await add(database, account.member, account, {
      email: 'ada@example.com',
      phone: '2',
    })

    await pushOnce(database, run, { status: 'sent', source_id: 'crm-1' })

    expect(await contactsOf(database, account)).toMatchObject([{ id: second, phone: '2' }])
    expect(await conflictsOf(database, account)).toMatchObject([
      {
        kind: 'linked',
        fields: ['phone'],
        local: { phone: '2' },
        remote: { phone: '1' },
        decision: 'local',
        policy: 'remote_wins',
      },
    ])
  })

  it('and moved to another id keeps its row; the old id is known to be gone', async () => {
    const { account, held, run } = await changed({}, { email: 'new@example.com' })

    await pushOnce(database, run, {
      status: 'sent',
      source_id: 'md5 of new',
      answered_at: answeredAt,
    })
    await bring(database, account, { ...contact('1', { email: 'late@example.com' }, 9) })

    expect(await contactsOf(database, account)).toMatchObject([
      { source_id: '1', deleted_at: expect.any(String) },
      { id: held.id, source_id: 'md5 of new', email: 'new@example.com', deleted_at: null },
    ])
  })

  it('does not take the place of a version read after its answer', async () => {
    const { account, held, run } = await changed({ conflict_policy: 'remote_wins' })
    const sent = await settleChanges(database, run, (await claimChanges(database, run)).changes)
    const later = contact('1', { phone: 'ours', company: 'Theirs' }, 12)
    await bring(database, account, later)

    await finishChanges(database, run, sent, { status: 'sent', answered_at: answeredAt })

    expect(await contactNamed(database, held.id)).toMatchObject({
      company: 'Theirs',
      content_hash: later.content_hash,
    })
  })

  it('is counted once, however often its outcome is told', async () => {
    const { account, run } = await changed()
    const sent = await settleChanges(database, run, (await claimChanges(database, run)).changes)

    const told = [
      await finishChanges(database, run, sent, { status: 'sent', source_id: '1' }),
      await finishChanges(database, run, sent, { status: 'sent', source_id: '1' }),
    ]

    expect(told).toEqual([{ pushed: 1, failed: 0 }, { pushed: 0, failed: 0 }])
    expect(await readLog(database, run.sync_log_id)).toMatchObject({ pushed_count: 1 })
    expect(await contactsOf(database, account)).toHaveLength(1)
  })

  it('and decided otherwise on its way is written again: what the platform has is not what was decided', async () => {
    const { account, run } = await changed({ conflict_policy: 'local_wins' })
    const sent = await settleChanges(database, run, (await claimChanges(database, run)).changes)
    await bring(database, account, contact('1', { phone: 'base', company: 'Theirs' }, 2))

    await finishChanges(database, run, sent, { status: 'sent' })

    expect((await claimChanges(database, run)).changes).toMatchObject([{ changed: ['company'] }])
  })
})

describe('an intent without an outcome', () => {
  it('is said to whoever takes the change up next, with the time', async () => {
    const { account, run } = await made()
    await settleChanges(database, run, (await claimChanges(database, run)).changes)
    await expireLease(database, run)
    const next = (await claimRun(database, run.sync_log_id))!

    const { changes } = await claimChanges(database, next)

    expect(changes).toMatchObject([{
      operation: 'create',
      uncertain: true,
      sending_at: expect.any(String),
    }])
    expect(await marksOf(database, account)).toMatchObject([{
      sending: { email: 'ada@example.com' },
    }])
  })

  it('is taken back where it never left', async () => {
    const { account, run } = await changed()

    await pushOnce(database, run, { status: 'unsent' })

    expect((await claimChanges(database, run)).changes).toMatchObject([{ uncertain: false }])
    expect(await marksOf(database, account)).toMatchObject([{
      attempt_count: 0,
      due_in_s: expect.any(Number),
    }])
  })

  it('is the one before until its own answer: a next try that was not taken says nothing of it', async () => {
    const { account, id, run } = await made({ first_name: 'Ada' })
    const [first] = await settleChanges(database, run, (await claimChanges(database, run)).changes)
    const [lost] = (await claimChanges(database, run)).changes
    await edit(database, account.member, id, { first_name: 'Augusta' })

    const tries = []
    for (
      const outcome of [
        { status: 'unsent' },
        { status: 'retry', error: refused },
        { status: 'refused', error: refused },
        { status: 'refused', error: { code: 'push_refused', message: 'The connector knew.' } },
      ] as const
    ) {
      await pushOnce(database, run, outcome)
      await letTimePass(account)
      await edit(database, account.member, id, { last_name: `Byron after ${tries.length}` })
      tries.push(...(await claimChanges(database, run)).changes)
    }

    const question = {
      operation: 'create',
      uncertain: true,
      sending: { first_name: 'Ada' },
      sending_version: first!.version,
      sending_at: lost!.sending_at,
      columns: expect.objectContaining({ first_name: 'Augusta' }),
    }
    expect(tries).toMatchObject([question, question, question, question])
    await pushOnce(database, run, { status: 'sent', source_id: '1' })
    expect(await marksOf(database, account)).toEqual([])
  })

  it('that only a person can settle outlives edits, which do not send it; one push by hand does', async () => {
    const { account, id, run } = await made({ first_name: 'Ada' })
    const unconfirmed = { code: 'push_unconfirmed', message: 'Look.' }
    await settleChanges(database, run, (await claimChanges(database, run)).changes)
    await pushOnce(database, run, { status: 'refused', error: unconfirmed })
    await edit(database, account.member, id, { first_name: 'Augusta' })
    await edit(database, account.member, id, { first_name: 'Augusta Ada' })

    const afterEdits = await claimChanges(database, run)
    await finishRun(database, run)
    const log = await startSync(database, account.id, { stream: 'contacts', mode: 'push' })
    const byHand = await claimChanges(database, (await claimRun(database, log.id))!)

    expect(afterEdits.changes).toEqual([])
    expect(byHand.changes).toMatchObject([
      { uncertain: false, columns: { first_name: 'Augusta Ada' } },
    ])
  })

  it('that only a person can settle ends with the record, where somebody deletes it here', async () => {
    const { account, id, run } = await made({ first_name: 'Ada' }, { push_deletes: true })
    const unconfirmed = { code: 'push_unconfirmed', message: 'Look.' }
    await settleChanges(database, run, (await claimChanges(database, run)).changes)
    await pushOnce(database, run, { status: 'refused', error: unconfirmed })
    await remove(database, account.member, id)

    await pushOnce(database, run, { status: 'sent' })

    expect(await marksOf(database, account)).toEqual([])
    expect(await openErrorsOf(account)).toEqual([])
  })

  it('of which nobody was asked to look is not forgotten by a push by hand', async () => {
    const { account, run } = await made({ first_name: 'Ada' })
    await settleChanges(database, run, (await claimChanges(database, run)).changes)
    await pushOnce(database, run, { status: 'refused', error: refused })
    await finishRun(database, run)

    const log = await startSync(database, account.id, { stream: 'contacts', mode: 'push' })
    const byHand = await claimChanges(database, (await claimRun(database, log.id))!)

    expect(byHand.changes).toMatchObject([{ uncertain: true, sending: { first_name: 'Ada' } }])
  })

  it('that was answered by what is read since leaves the rest to be sent, though that was refused', async () => {
    const { account, id, run } = await made({ email: 'ada@example.com' })
    await settleChanges(database, run, (await claimChanges(database, run)).changes)
    await edit(database, account.member, id, { phone: 'no number' })
    await pushOnce(database, run, { status: 'refused', error: refused })

    const there = contact('crm-1', { email: 'ada@example.com', phone: null })
    await bring(database, account, { ...there, last_synced_at: new Date().toISOString() })

    expect((await claimChanges(database, run)).changes).toMatchObject([
      { operation: 'update', source_id: 'crm-1', changed: ['phone'], uncertain: false },
    ])
    expect(await openErrorsOf(account)).toEqual([])
  })

  it('ends with a change that was refused, where the platform then changes the record and wins', async () => {
    const { account, held, run } = await changed({ conflict_policy: 'remote_wins' })
    await settleChanges(database, run, (await claimChanges(database, run)).changes)
    await edit(database, account.member, held.id, { phone: 'ours again' })
    await pushOnce(database, run, { status: 'refused', error: refused })

    await bring(database, account, contact('1', { phone: 'theirs', company: 'Base' }, 2))
    await pushOnce(database, run, { status: 'sent' })

    expect(await contactNamed(database, held.id)).toMatchObject({ phone: 'theirs' })
    expect(await marksOf(database, account)).toEqual([])
    expect(await openErrorsOf(account)).toEqual([])
  })

  it('of a record that was deleted here is looked for, and deleted there where it was made', async () => {
    const { account, id, run } = await made(undefined, { push_deletes: true })
    await settleChanges(database, run, (await claimChanges(database, run)).changes)
    await remove(database, account.member, id)

    const { changes } = await claimChanges(database, run)
    const still = await settleChanges(database, run, changes, {
      links: [{ record_id: id, record: contact('crm-1', { email: 'ada@example.com' }) }],
    })

    expect(changes).toMatchObject([{ operation: 'create', uncertain: true }])
    expect(still).toMatchObject([{ operation: 'delete', source_id: 'crm-1' }])
    expect((await claimChanges(database, run)).changes).toMatchObject([
      { operation: 'delete', source_id: 'crm-1' },
    ])
    expect(await contactNamed(database, id)).toMatchObject({ deleted_at: expect.any(String) })
  })

  it('of a record that was deleted here and is not found there leaves nothing', async () => {
    const { account, id, run } = await made(undefined, { push_deletes: true })
    await settleChanges(database, run, (await claimChanges(database, run)).changes)
    await remove(database, account.member, id)

    expect(await settleChanges(database, run, (await claimChanges(database, run)).changes)).toEqual(
      [],
    )

    expect(await contactsOf(database, account)).toEqual([])
    expect(await marksOf(database, account)).toEqual([])
  })
})

describe('a change the platform refuses', () => {
  it('waits for a person, who reads why; the others are not held up', async () => {
    const { account, held, run } = await changed()
    await add(database, account.member, account, { email: 'b@example.com' })

    await pushOnce(database, run, { status: 'refused', error: refused })
    await pushOnce(database, run, { status: 'sent', source_id: '2' })
    const log = await finishRun(database, run)

    expect(await openErrorsOf(account)).toEqual([{
      direction: 'push',
      source_id: '1',
      source_key: `push:${held.id}`,
      ...refused,
      payload: expect.objectContaining({ phone: 'ours' }),
    }])
    expect(log).toMatchObject({
      status: 'partial',
      pushed_count: 1,
      failed_count: 1,
      error: { code: 'push_refused', next: 'owner' },
    })
    expect(await marksOf(database, account)).toMatchObject([{ refused: true }])
  })

  it('is tried again when it is changed, and its error ends when it goes through', async () => {
    const { account, held, run } = await changed()
    await pushOnce(database, run, { status: 'refused', error: refused })
    expect((await claimChanges(database, run)).changes).toEqual([])

    await edit(database, account.member, held.id, { phone: '+49 30 1' })
    expect(await pushOnce(database, run, { status: 'sent' })).toHaveLength(1)

    expect(await openErrorsOf(account)).toEqual([])
    expect(
      await admin`select resolution from public.sync_errors where integration_id = ${account.id}`,
    )
      .toEqual([{ resolution: 'pushed' }])
  })

  it('is tried again when a push is asked for by hand, not by schedule', async () => {
    const { account, run } = await changed()
    await pushOnce(database, run, { status: 'refused', error: refused })
    await finishRun(database, run)

    const scheduled = await openPush(database, account)
    const bySchedule = await claimChanges(database, scheduled)
    await finishRun(database, scheduled)
    const log = await startSync(database, account.id, { stream: 'contacts', mode: 'push' })
    const byHand = await claimChanges(database, (await claimRun(database, log.id))!)

    expect(bySchedule.changes).toEqual([])
    expect(byHand.changes).toHaveLength(1)
  })

  it('but was changed meanwhile is not refused in its new form', async () => {
    const { account, held, run } = await changed()
    const sent = await settleChanges(database, run, (await claimChanges(database, run)).changes)
    await edit(database, account.member, held.id, { phone: '+49 30 1' })

    expect(await finishChanges(database, run, sent, { status: 'refused', error: refused }))
      .toEqual({ pushed: 0, failed: 0 })

    expect((await claimChanges(database, run)).changes).toMatchObject([{
      columns: { phone: '+49 30 1' },
    }])
    expect(await openErrorsOf(account)).toEqual([])
  })

  it('and is overtaken by the platform’s version is over: its error is gone', async () => {
    const { account, run } = await changed({ conflict_policy: 'remote_wins' })
    await pushOnce(database, run, { status: 'refused', error: refused })

    await bring(database, account, contact('1', { phone: 'theirs' }, 20))

    expect(await openErrorsOf(account)).toEqual([])
    expect(await conflictsOf(database, account)).toHaveLength(1)
  })

  it('is none of the records that a replay or a read ends', async () => {
    const { account, run } = await changed()
    await pushOnce(database, run, { status: 'refused', error: refused })

    const listed = await call('service_role', 'list_open_sync_errors', {
      p_integration_id: account.id,
      p_stream: 'contacts',
    })

    expect(listed).toMatchObject({ open_count: 0, errors: [] })
    expect(await openErrorsOf(account)).toHaveLength(1)
  })
})

describe('a change that cannot be taken now', () => {
  it('is tried again after each of the stream’s pauses, and refused after the last', async () => {
    const { account, run } = await changed({ retry_pauses_s: [60, 300] })
    const pauses: number[] = []
    for (let attempt = 1; attempt <= 3; attempt++) {
      await pushOnce(database, run, { status: 'retry', error: refused })
      const [mark] = await marksOf(database, account)
      pauses.push(mark!.due_in_s)
      await letTimePass(account)
    }

    expect(pauses.slice(0, 2).map((seconds) => Math.round(seconds / 10) * 10)).toEqual([60, 300])
    expect(await marksOf(database, account)).toMatchObject([{ refused: true, attempt_count: 3 }])
    expect(await openErrorsOf(account)).toMatchObject([refused])
  })

  it('is said to be due later, and the end of the run leaves one for then', async () => {
    const { account, run } = await changed({ retry_pauses_s: [300] })
    await pushOnce(database, run, { status: 'retry', error: refused })

    const { changes } = await claimChanges(database, run)
    const [mark] = await marksOf(database, account)
    await finishRun(database, run)

    expect(changes).toEqual([])
    const [queued] = await admin`
      select log.sync_type, log.mode, run.status, round(extract(epoch from run.run_at - now()))::int as due_in_s from private.sync_runs as run
      join public.sync_logs as log on log.id = run.sync_log_id where run.integration_id = ${account.id}`
    expect(queued).toMatchObject({ sync_type: 'change', mode: 'push', status: 'queued' })
    expect(Math.abs(queued!.due_in_s - mark!.due_in_s)).toBeLessThanOrEqual(2)
  })

  it('starts with its pauses again when it is changed', async () => {
    const { account, held, run } = await changed({ retry_pauses_s: [300] })
    await pushOnce(database, run, { status: 'retry', error: refused })

    await edit(database, account.member, held.id, { phone: 'newer' })

    expect(await marksOf(database, account)).toMatchObject([{ attempt_count: 0, due_in_s: 0 }])
  })
})

describe('a record that each side made', () => {
  const theirs = (columns: Parameters<typeof contact>[1] = {}, day = 1) =>
    contact('crm-1', {
      email: 'Ada@Example.com',
      phone: null,
      company: null,
      first_name: null,
      last_name: null,
      ...columns,
    }, day)

  async function link(
    { id, run }: { account: Account; id: string; run: Awaited<ReturnType<typeof openPush>> },
    record: ReturnType<typeof contact>,
  ) {
    const { changes } = await claimChanges(database, run)
    return await settleChanges(database, run, changes, { links: [{ record_id: id, record }] })
  }

  it('is one: ours keeps its row and takes their id; what only they say is taken over', async () => {
    const start = await made()

    expect(await link(start, theirs({ phone: '1', job_title: 'Boss' }))).toEqual([])

    expect(await contactsOf(database, start.account)).toMatchObject([{
      id: start.id,
      source_id: 'crm-1',
      email: 'Ada@Example.com',
      phone: '1',
      job_title: 'Boss',
      content_hash: expect.stringContaining('hash of'),
    }])
    expect(await marksOf(database, start.account)).toEqual([])
    expect(await conflictsOf(database, start.account)).toEqual([])
  })

  it('is theirs where ours was left empty, as a form leaves a field', async () => {
    const start = await made({ email: 'ada@example.com', company: '' }, {
      conflict_policy: 'local_wins',
    })

    expect(await link(start, theirs({ company: 'Theirs' }))).toEqual([])

    expect(await contactNamed(database, start.id)).toMatchObject({ company: 'Theirs' })
    expect(await conflictsOf(database, start.account)).toEqual([])
  })

  it('is theirs where ours is an address that says nothing', async () => {
    const account = await createPushingAccount(database, { conflict_policy: 'local_wins' })
    await admin`
      update public.sync_streams set push_columns = push_columns || '{address}' where integration_id = ${account.id}`
    const nowhere = {
      line1: null,
      line2: '',
      city: null,
      region: null,
      postal_code: null,
      country: null,
    }
    const ours = { email: 'ada@example.com', address: nowhere }
    const id = await add(database, account.member, account, ours)
    const start = { account, id, run: await openPush(database, account) }

    expect(await link(start, theirs({ address: { ...nowhere, city: 'Portland' } }))).toEqual([])

    expect(await contactNamed(database, start.id)).toMatchObject({ address: { city: 'Portland' } })
    expect(await conflictsOf(database, start.account)).toEqual([])
  })

  it('still has to be told what only we say, as an update', async () => {
    const start = await made({ email: 'ada@example.com', company: 'Acme' })

    expect(await link(start, theirs())).toMatchObject([
      { operation: 'update', source_id: 'crm-1', changed: ['company'], uncertain: false },
    ])
    expect(await conflictsOf(database, start.account)).toEqual([])
  })

  it.each([['remote_wins', 'Theirs', []], ['local_wins', 'Ours', ['company']]] as const)(
    'is in conflict where both say something else, by %s %s',
    async (policy, company, toWrite) => {
      const start = await made({ email: 'ada@example.com', company: 'Ours' }, {
        conflict_policy: policy,
      })

      await link(start, theirs({ company: 'Theirs' }))

      expect(await contactNamed(database, start.id)).toMatchObject({ company })
      expect(await conflictsOf(database, start.account)).toMatchObject([
        {
          kind: 'linked',
          fields: ['company'],
          base: null,
          local: { company: 'Ours' },
          remote: { company: 'Theirs' },
        },
      ])
      const { changes } = await claimChanges(database, start.run)
      expect(changes.flatMap(({ changed: columns }) => columns)).toEqual(toWrite)
    },
  )

  it('and was read already is folded into ours, with what was changed in it', async () => {
    const start = await made()
    const rows = await bring(database, start.account, theirs())
    await edit(
      database,
      start.account.member,
      rows.find(({ source_id }) => source_id === 'crm-1')!.id,
      { phone: '2' },
    )

    await link(start, theirs())

    expect(await contactsOf(database, start.account)).toMatchObject([{ id: start.id, phone: '2' }])
    expect((await claimChanges(database, start.run)).changes).toMatchObject([{
      changed: ['phone'],
    }])
  })

  it('and was read already, and both changed since, is in conflict before it is folded', async () => {
    const start = await made({ email: 'ada@example.com' }, { conflict_policy: 'local_wins' })
    const rows = await bring(database, start.account, theirs({ phone: '1' }))
    const read = rows.find(({ source_id }) => source_id === 'crm-1')!
    await edit(database, start.account.member, read.id, { phone: '2' })

    await link(start, theirs({ phone: '3' }, 2))

    expect(await contactsOf(database, start.account)).toMatchObject([{ id: start.id, phone: '2' }])
    expect(await conflictsOf(database, start.account)).toMatchObject([
      { kind: 'both_changed', base: { phone: '1' }, local: { phone: '2' }, remote: { phone: '3' } },
    ])
  })

  it.each([
    ['as it was sent', 'Old'],
    ['in a form of its own', ' Old '],
  ])(
    '%s, by a call of ours whose answer was lost is our own: what was edited since is sent, not disputed',
    async (_form, sent) => {
      const start = await made({ email: 'ada@example.com', company: sent })
      await settleChanges(database, start.run, (await claimChanges(database, start.run)).changes)
      await edit(database, start.account.member, start.id, { company: 'New' })

      await link(start, theirs({ company: 'Old' }))

      expect(await conflictsOf(database, start.account)).toEqual([])
      expect((await claimChanges(database, start.run)).changes).toMatchObject([
        { operation: 'update', changed: ['company'], columns: { company: 'New' } },
      ])
    },
  )

  it('in a form of its own, by such a call, is not sent again', async () => {
    const start = await made({ email: 'ada@example.com', company: ' Old ' })
    await settleChanges(database, start.run, (await claimChanges(database, start.run)).changes)

    await link(start, theirs({ company: 'Old' }))

    expect(await conflictsOf(database, start.account)).toEqual([])
    expect((await claimChanges(database, start.run)).changes).toEqual([])
  })

  it('is linked once, however often that is told', async () => {
    const start = await made({ email: 'ada@example.com', company: 'Acme' })
    const { changes } = await claimChanges(database, start.run)
    const links = [{ record_id: start.id, record: theirs() }]

    await settleChanges(database, start.run, changes, { links })
    await settleChanges(database, start.run, changes, { links })

    expect(await contactsOf(database, start.account)).toHaveLength(1)
    expect(await marksOf(database, start.account)).toMatchObject([{
      operation: 'update',
      sending: { company: 'Acme' },
    }])
  })
})

describe('looking before an update', () => {
  it('finds that theirs has changed: the policy decides, and only what is ours goes out', async () => {
    const { account, held, run } = await changed({ merge_fields: true })
    const { changes } = await claimChanges(database, run)

    const sent = await settleChanges(database, run, changes, {
      records: [contact('1', { phone: 'base', company: 'Theirs' }, 2)],
    })

    expect(sent).toMatchObject([{ changed: ['phone'], base: { company: 'Theirs' } }])
    expect(await contactNamed(database, held.id)).toMatchObject({
      phone: 'ours',
      company: 'Theirs',
    })
    expect(await marksOf(database, account)).toMatchObject([{ sending: { phone: 'ours' } }])
    expect(await readLog(database, run.sync_log_id)).toMatchObject({ updated_count: 1 })
  })

  it('finds that it is gone there: by local_wins it is to be made again', async () => {
    const { run } = await changed({ conflict_policy: 'local_wins' })
    const { changes } = await claimChanges(database, run)

    const sent = await settleChanges(database, run, changes, {
      deletions: [{ source_id: '1', absent_at: '2026-02-01T00:00:00Z' }],
    })

    expect(sent).toMatchObject([{ operation: 'create', source_id: null, uncertain: false }])
  })

  it('holds no record while it waits for another: whoever changes both is not kept waiting', async () => {
    const account = await createPushingAccount(database, { merge_fields: true })
    const [one, two] = await bring(
      database,
      account,
      contact('1', { phone: 'base' }),
      contact('2', { phone: 'base' }),
    )
    for (const { id } of [one!, two!]) await edit(database, account.member, id, { phone: 'ours' })
    const run = await openPush(database, account)
    const { changes } = await claimChanges(database, run)
    const editing = await openTransaction(database, 'service_role')
    await editing.sql`update public.contacts set company = 'ours' where id = ${two!.id}`

    const settling = settleChanges(database, run, changes, {
      records: [contact('1', { phone: 'base', company: 'Theirs' }, 2)],
    })
    await expect.poll(() => admin`select 1 from pg_stat_activity where wait_event = 'PgSleep'`).not
      .toHaveLength(0)
    await editing.sql`set local lock_timeout = '2s'`
    await editing.sql`update public.contacts set first_name = 'ours' where id = ${one!.id}`
    await editing.commit()

    expect(await settling).toHaveLength(2)
  })

  it.each(
    [
      ['merges', { records: [contact('1', { phone: 'base', company: 'Theirs' }, 2)] }, {}],
      ['settles', {}, { phone: 'base' }],
    ] as const,
  )(
    'that %s something is a step ahead: the run is not given up for want of one',
    async (_, found, later) => {
      const { account, held, run } = await changed({ merge_fields: true })
      if (Object.keys(later).length > 0) await edit(database, account.member, held.id, later)
      await admin`update private.sync_runs set attempt_count = 4 where sync_log_id = ${run.sync_log_id}`

      await settleChanges(
        database,
        run,
        (await claimChanges(database, run)).changes,
        found as never,
      )

      expect(await attemptsOf(run)).toBe(0)
    },
  )

  it('that finds nothing new is none', async () => {
    const { run } = await changed()
    await admin`update private.sync_runs set attempt_count = 4 where sync_log_id = ${run.sync_log_id}`

    await settleChanges(database, run, (await claimChanges(database, run)).changes)

    expect(await attemptsOf(run)).toBe(4)
  })

  it('finds nothing to do for what was changed back', async () => {
    const { account, held, run } = await changed()
    await edit(database, account.member, held.id, { phone: 'base' })

    expect(await settleChanges(database, run, (await claimChanges(database, run)).changes)).toEqual(
      [],
    )

    expect(await marksOf(database, account)).toEqual([])
  })

  it('finds that it was deleted here since the claim, which is what is to be done there', async () => {
    const { account, held, run } = await changed({ push_deletes: true })
    const { changes } = await claimChanges(database, run)
    await remove(database, account.member, held.id)

    expect(await settleChanges(database, run, changes)).toMatchObject([
      { operation: 'delete', source_id: '1', changed: [] },
    ])
  })
})

describe('a deletion that was sent', () => {
  it('leaves a row that is gone there, which no late version brings back', async () => {
    const account = await createPushingAccount(database, { push_deletes: true })
    const [held] = await bring(database, account, contact('1'))
    await remove(database, account.member, held!.id)
    const run = await openPush(database, account)

    await pushOnce(database, run, { status: 'deleted' })
    await bring(database, account, {
      ...contact('1', { phone: 'late' }, 2),
      last_synced_at: '2099-01-01T00:00:00Z',
    })

    expect(await contactsOf(database, account)).toMatchObject([{
      id: held!.id,
      source_deleted_at: expect.any(String),
      deleted_at: expect.any(String),
    }])
    expect(await marksOf(database, account)).toEqual([])
    expect(await readLog(database, run.sync_log_id)).toMatchObject({
      pushed_count: 1,
      deleted_count: 0,
    })
  })
})

describe('a worker whose run was taken over', () => {
  it.each(
    [
      ['claim_outbound_changes', { p_limit: 1 }],
      ['settle_outbound_changes', { p_record_ids: [] }],
      ['list_held_records', { p_source_ids: [] }],
      ['finish_outbound_changes', { p_outcomes: [] }],
    ] as const,
  )('finds its lease lost in %s; who holds it does not', async (name, args) => {
    const { run } = await changed()
    await expireLease(database, run)
    const current = (await claimRun(database, run.sync_log_id))!
    const ask = ({ sync_log_id, lease_token }: typeof run) =>
      call('service_role', name, {
        p_sync_log_id: sync_log_id,
        p_lease_token: lease_token,
        ...args,
      })

    await expect(ask(run)).rejects.toMatchObject(refusal('lease_lost'))
    await expect(ask(current)).resolves.toBeDefined()
  })
})

describe('a preview', () => {
  const preview = (
    actor: Parameters<typeof call>[0],
    { id }: { id: string },
    stream = 'contacts',
  ) =>
    call<Record<string, unknown>>(actor, 'preview_push', { p_integration_id: id, p_stream: stream })

  it('says what a run would push, what it would not and why, and does nothing', async () => {
    const account = await createPushingAccount(database, {
      push_deletes: true,
      filter: { not: { field: 'company', operator: 'eq', value: 'Secret' } },
    })
    const rows = await bring(
      database,
      account,
      ...['1', '2', '3', '4', '5', '6'].map((id) => contact(id, { phone: 'base' })),
    )
    const run = await openPush(database, account)
    await edit(database, account.member, rows[2]!.id, { phone: 'refused' })
    await pushOnce(database, run, { status: 'refused', error: refused })
    await edit(database, account.member, rows[3]!.id, { phone: 'later' })
    await pushOnce(database, run, { status: 'retry', error: refused })
    await edit(database, account.member, rows[0]!.id, { phone: 'new' })
    await remove(database, account.member, rows[1]!.id)
    await edit(database, account.member, rows[4]!.id, { company: 'Secret' })
    await edit(database, account.member, rows[5]!.id, { phone: 'there' })
    await edit(database, account.member, rows[5]!.id, { phone: 'base' })
    const made = await add(database, account.member, account, { email: 'new@example.com' })
    const before = await marksOf(database, account)

    const answer = await preview(account.viewer, account)

    expect(answer).toEqual({
      creates: 1,
      updates: 1,
      deletes: 1,
      filtered: 1,
      refused: 1,
      waiting: 1,
      changes: [
        {
          record_id: rows[0]!.id,
          source_id: '1',
          operation: 'update',
          changed: ['phone'],
          before: expect.objectContaining({ phone: 'base' }),
          after: expect.objectContaining({ phone: 'new' }),
        },
        expect.objectContaining({ record_id: rows[1]!.id, operation: 'delete', after: null }),
        expect.objectContaining({
          record_id: made,
          source_id: null,
          operation: 'create',
          before: null,
        }),
      ],
    })
    expect((await marksOf(database, account)).map(({ version, sending }) => [version, sending]))
      .toEqual(before.map(({ version, sending }) => [version, sending]))
  })

  it('is for whoever may read the records, and for the service, of a stream that pushes', async () => {
    const account = await createPushingAccount(database)
    const reader = await connectIntegration(database, account.organizationId)
    const stranger = await createPushingAccount(database)

    await expect(preview(stranger.owner, account)).rejects.toMatchObject(
      refusal('integration_not_found'),
    )
    await expect(preview('anon', account)).rejects.toMatchObject(permissionDenied)
    await expect(preview(account.viewer, reader, 'products')).rejects.toMatchObject(
      refusal('stream_not_pushed'),
    )
    await expect(preview(account.viewer, account, 'sheep')).rejects.toMatchObject(
      refusal('stream_not_found'),
    )
    for (const actor of [account.viewer, 'service_role'] as const) {
      expect(await preview(actor, account)).toMatchObject({ creates: 0, changes: [] })
    }
  })
})
