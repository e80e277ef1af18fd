// What becomes of a record that both sides changed? The policy says, both versions are kept, and a manager may say otherwise.
import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { openTransaction } from '../support/concurrency.ts'
import { callFunction, permissionDenied, refusal, useDatabase } from '../support/database.ts'
import {
  type Account,
  add,
  bring,
  claimChanges,
  configure,
  type Conflict,
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
import { applyRecords } from '../support/stream-records.ts'
import { finishRun, openRun, readLog, writePage } from '../support/sync-runs.ts'

const database = useDatabase()
const { admin, call } = database

/** An account with one contact, which a member has changed here: its row as it was before. */
async function changedHere(
  settings: Settings,
  columns: Parameters<typeof edit>[3] = { phone: 'ours' },
) {
  const account = await createPushingAccount(database, settings)
  const [held] = await bring(database, account, contact('1', { phone: 'base', company: 'Base' }))
  await edit(database, account.member, held!.id, columns)
  return { account, held: held! }
}

const overturn = (actor: Parameters<typeof call>[0], { id }: Conflict) =>
  call<Conflict>(actor, 'overturn_conflict', { p_conflict_id: id })

const deleteThere = (account: Account, at = '2026-02-01T00:00:00Z') =>
  applyRecords(database, account.id, 'contacts', [], [{ source_id: '1', source_deleted_at: at }])

describe('a record that both sides changed', () => {
  it.each(
    [
      ['remote_wins', 'remote', { phone: 'theirs', company: 'Base' }, 0],
      ['local_wins', 'local', { phone: 'ours', company: 'Base' }, 1],
    ] as const,
  )('is as %s says, and both versions are kept', async (policy, decision, columns, markCount) => {
    const { account, held } = await changedHere({ conflict_policy: policy })

    await bring(database, account, contact('1', { phone: 'theirs', company: 'Base' }, 2))

    expect(await contactNamed(database, held.id)).toMatchObject({
      ...columns,
      content_hash: contact('1', { phone: 'theirs', company: 'Base' }).content_hash,
    })
    expect(await conflictsOf(database, account)).toMatchObject([{
      record_id: held.id,
      kind: 'both_changed',
      fields: ['phone'],
      base: { phone: 'base' },
      local: { phone: 'ours' },
      remote: { phone: 'theirs' },
      local_changed_by: account.member.id,
      policy,
      decision,
    }])
    expect(await marksOf(database, account)).toHaveLength(markCount)
  })

  it('and ours stays is to be sent against what they have now', async () => {
    const { account } = await changedHere({ conflict_policy: 'local_wins' })
    const [before] = await marksOf(database, account)

    await bring(database, account, contact('1', { phone: 'base', company: 'Theirs' }, 2))

    const [after] = await marksOf(database, account)
    expect(after).toMatchObject({ base: { phone: 'base', company: 'Theirs' } })
    expect(after!.version).not.toBe(before!.version)
    expect(await contactsOf(database, account)).toMatchObject([{ phone: 'ours', company: 'Base' }])
  })

  it.each(
    [
      ['a second after it', -1, 'local'],
      ['at the same moment', 0, 'remote'],
      ['a second before it', 1, 'remote'],
    ] as const,
  )('and was changed here %s: by latest_wins %s is decided', async (_, seconds, decision) => {
    const { account } = await changedHere({ conflict_policy: 'latest_wins' })
    const changedThere = '2026-01-05T00:00:00Z'
    await admin`
      update private.outbound_changes set changed_at = ${changedThere}::timestamptz - make_interval(secs => ${seconds})
      where integration_id = ${account.id}`

    await bring(database, account, contact('1', { phone: 'theirs' }, 5))

    expect(await conflictsOf(database, account)).toMatchObject([
      { decision, remote_changed_at: '2026-01-05T00:00:00+00:00' },
    ])
  })

  it('takes from the platform what only the platform fills, whoever wins', async () => {
    const { account } = await changedHere({ conflict_policy: 'local_wins' })

    await bring(database, account, contact('1', { phone: 'theirs', job_title: 'Boss' }, 2))

    expect(await contactsOf(database, account)).toMatchObject([{
      phone: 'ours',
      job_title: 'Boss',
    }])
  })

  it('to the same is no conflict', async () => {
    const { account } = await changedHere({ conflict_policy: 'remote_wins' })

    await bring(database, account, contact('1', { phone: 'ours', company: 'Base' }, 2))

    expect(await conflictsOf(database, account)).toEqual([])
    expect(await marksOf(database, account)).toEqual([])
  })

  it('to nothing is no conflict, in whichever form each side emptied it', async () => {
    const { account } = await changedHere({ conflict_policy: 'remote_wins' }, { company: '' })

    await bring(database, account, contact('1', { phone: 'base', company: null }, 2))

    expect(await conflictsOf(database, account)).toEqual([])
    expect(await contactsOf(database, account)).toMatchObject([{ phone: 'base' }])
    expect(await marksOf(database, account)).toEqual([])
  })

  it('and back again here is no conflict', async () => {
    const { account, held } = await changedHere({ conflict_policy: 'local_wins' })
    await edit(database, account.member, held.id, { phone: 'base' })

    await bring(database, account, contact('1', { phone: 'theirs', company: 'Base' }, 2))

    expect(await conflictsOf(database, account)).toEqual([])
    expect(await marksOf(database, account)).toEqual([])
    expect(await contactsOf(database, account)).toMatchObject([{ phone: 'theirs' }])
  })

  it('is counted by the run that found it', async () => {
    const { account } = await changedHere({ conflict_policy: 'remote_wins' })
    const run = await openRun(database, account.id, { stream: 'contacts' })

    await writePage(database, run, [contact('1', { phone: 'theirs' }, 2)])

    expect(await readLog(database, run.sync_log_id)).toMatchObject({ conflict_count: 1 })
    expect(await conflictsOf(database, account)).toMatchObject([{ sync_log_id: run.sync_log_id }])
  })

  it('is judged once however often the version comes, and not at all by one that is older', async () => {
    const { account } = await changedHere({ conflict_policy: 'local_wins' })

    for (const day of [2, 2, 1]) {
      await bring(database, account, contact('1', { phone: `theirs ${day}`, company: 'Base' }, day))
    }

    expect(await conflictsOf(database, account)).toHaveLength(1)
    expect(await contactsOf(database, account)).toMatchObject([{ phone: 'ours' }])
  })
})

describe('a record whose change was given up', () => {
  /** The stream pushes again, and nothing was read meanwhile. */
  async function givenUp(settings: Settings, sent?: Parameters<typeof edit>[3]) {
    const changed = await changedHere(settings, sent)
    const { account, held } = changed
    if (sent) {
      await pushOnce(database, await openPush(database, account), { status: 'sent' })
      await edit(database, account.member, held.id, { phone: 'ours' })
    }
    await configure(database, account, { direction: 'pull' })
    await configure(database, account, { direction: 'both' })
    return changed
  }

  const base = { phone: 'base', company: 'Base' }
  const readAgain = { ...contact('1', base), last_synced_at: '2026-01-02T00:00:00Z' }

  it.each([
    ['another field', { company: 'Later' }],
    ['the same field', { phone: 'later' }],
  ])(
    'and in which %s was changed here since is no conflict with what is there as it was',
    async (_, columns) => {
      const { account, held } = await givenUp({ conflict_policy: 'remote_wins' })
      await edit(database, account.member, held.id, columns)

      await bring(database, account, readAgain)

      expect(await conflictsOf(database, account)).toEqual([])
      expect(await contactNamed(database, held.id)).toMatchObject({ ...base, ...columns })
      expect(await marksOf(database, account)).toMatchObject([{ operation: 'update', base }])
    },
  )

  it('twice, and that was changed here since, is no conflict either', async () => {
    const { account, held } = await givenUp({ conflict_policy: 'remote_wins' })
    await edit(database, account.member, held.id, { phone: 'again' })
    await configure(database, account, { direction: 'pull' })
    await configure(database, account, { direction: 'both' })
    await edit(database, account.member, held.id, { phone: 'later' })

    await bring(database, account, readAgain)

    expect(await conflictsOf(database, account)).toEqual([])
    expect(await contactNamed(database, held.id)).toMatchObject({ ...base, phone: 'later' })
  })

  it('and that was deleted here since is no conflict with what is there as it was', async () => {
    const { account, held } = await givenUp({ conflict_policy: 'remote_wins', push_deletes: true })
    await remove(database, account.member, held.id)

    await bring(database, account, readAgain)

    expect(await conflictsOf(database, account)).toEqual([])
    expect(await marksOf(database, account)).toMatchObject([{ operation: 'delete' }])
  })

  it.each([
    ['another field is no conflict', { company: 'Later' }, []],
    ['the same field is one: what is there may be theirs', { phone: 'later' }, [['phone']]],
  ])(
    'after another was sent and not read again: a later change of %s',
    async (_, columns, conflicts) => {
      const { account, held } = await givenUp({ conflict_policy: 'local_wins' }, {
        last_name: 'Sent',
      })
      await edit(database, account.member, held.id, columns)

      const there = { ...base, last_name: 'Sent' }
      const tomorrow = new Date(Date.now() + 86_400_000).toISOString()
      await bring(database, account, { ...contact('1', there), last_synced_at: tomorrow })

      expect((await conflictsOf(database, account)).map(({ fields }) => fields)).toEqual(conflicts)
      expect(await contactNamed(database, held.id)).toMatchObject({ ...there, ...columns })
    },
  )

  it('and that both sides changed since is a conflict', async () => {
    const { account, held } = await givenUp({ conflict_policy: 'remote_wins' })
    await edit(database, account.member, held.id, { phone: 'later' })

    await bring(database, account, contact('1', { ...base, phone: 'theirs' }, 2))

    expect(await conflictsOf(database, account)).toMatchObject([
      { fields: ['phone'], local: { phone: 'later' }, remote: { phone: 'theirs' } },
    ])
  })
})

describe('a record changed here', () => {
  it('keeps the change when the platform changes what is not pushed', async () => {
    const { account, held } = await changedHere({ conflict_policy: 'remote_wins' })
    const theirs = contact('1', { phone: 'base', company: 'Base', job_title: 'Boss' }, 2)

    await bring(database, account, theirs)

    expect(await contactNamed(database, held.id)).toMatchObject({
      phone: 'ours',
      job_title: 'Boss',
    })
    expect(await conflictsOf(database, account)).toEqual([])
    expect(await marksOf(database, account)).toMatchObject([{ base_hash: theirs.content_hash }])
  })

  it('and another field there: both stay where fields are merged, and only ours is to be sent', async () => {
    const { account, held } = await changedHere({ merge_fields: true })

    await bring(database, account, contact('1', { phone: 'base', company: 'Theirs' }, 2))

    expect(await contactNamed(database, held.id)).toMatchObject({
      phone: 'ours',
      company: 'Theirs',
    })
    expect(await conflictsOf(database, account)).toEqual([])
    const { changes } = await claimChanges(database, await openPush(database, account))
    expect(changes).toMatchObject([{ changed: ['phone'] }])
  })

  it('and the same field there is a conflict where fields are merged too', async () => {
    const { account } = await changedHere({ merge_fields: true }, {
      phone: 'ours',
      company: 'Same',
    })

    await bring(database, account, contact('1', { phone: 'theirs', company: 'Same' }, 2))

    expect(await conflictsOf(database, account)).toMatchObject([{ fields: ['phone'] }])
  })

  it('and another field there is a conflict where they are not', async () => {
    const { account } = await changedHere({})

    await bring(database, account, contact('1', { phone: 'base', company: 'Theirs' }, 2))

    expect(await conflictsOf(database, account)).toMatchObject([{ fields: [], decision: 'remote' }])
    expect(await contactsOf(database, account)).toMatchObject([{
      phone: 'base',
      company: 'Theirs',
    }])
  })
})

describe('a change that somebody makes while a page is being written', () => {
  it('is waited for and not overwritten: the page settles against it', async () => {
    const account = await createPushingAccount(database, { conflict_policy: 'local_wins' })
    const [held] = await bring(database, account, contact('1', { phone: 'base' }))
    const editing = await openTransaction(database, 'service_role')
    await editing.sql`update public.contacts set phone = 'ours' where id = ${held!.id}`

    let isMerged = false
    const merging = bring(database, account, contact('1', { phone: 'theirs' }, 2))
      .finally(() => isMerged = true)
    await expect.poll(() => admin`select 1 from pg_stat_activity where wait_event = 'PgSleep'`).not
      .toHaveLength(0)
    const wasMerged = isMerged
    await editing.commit()

    expect(wasMerged).toBe(false)
    expect(await merging).toMatchObject([{ phone: 'ours' }])
    expect(await conflictsOf(database, account)).toHaveLength(1)
  })

  it('of its records in another order ends in no deadlock', async () => {
    const account = await createPushingAccount(database, { conflict_policy: 'local_wins' })
    const [one, two] = await bring(database, account, contact('1'), contact('2'))
    const editing = await openTransaction(database, 'service_role')
    await editing.sql`update public.contacts set phone = 'ours' where id = ${two!.id}`

    const merging = bring(
      database,
      account,
      contact('1', { phone: 'theirs' }, 2),
      contact('2', { phone: 'theirs' }, 2),
    )
    await expect.poll(() => admin`select 1 from pg_stat_activity where wait_event = 'PgSleep'`).not
      .toHaveLength(0)
    await editing.sql`update public.contacts set phone = 'ours' where id = ${one!.id}`
    await editing.commit()

    expect(await merging).toMatchObject([{ phone: 'ours' }, { phone: 'ours' }])
    expect(await conflictsOf(database, account)).toHaveLength(2)
  })

  it('waits for the page, and is then a change of what the page brought', async () => {
    const account = await createPushingAccount(database)
    const [held] = await bring(database, account, contact('1', { phone: 'base' }))
    const merging = await openTransaction(database, 'service_role')
    await callFunction(merging.sql, 'apply_records', {
      p_integration_id: account.id,
      p_stream: 'contacts',
      p_records: [contact('1', { phone: 'theirs' }, 2)],
    })

    const editing = edit(database, account.member, held!.id, { phone: 'ours' })
    await expect.poll(() => admin`select 1 from pg_locks where not granted`).not.toHaveLength(0)
    await merging.commit()
    await editing

    expect(await marksOf(database, account)).toMatchObject([{ base: { phone: 'theirs' } }])
    expect(await conflictsOf(database, account)).toEqual([])
  })
})

describe('our own write', () => {
  async function pushedAccount(settings: Settings = {}) {
    const { account, held } = await changedHere(settings)
    const run = await openPush(database, account)
    await pushOnce(database, run, { status: 'sent', answered_at: '2026-01-10T00:00:00Z' })
    await finishRun(database, run)
    return { account, held }
  }

  it('coming back changes nothing: no event, no count, and the row takes what is said about it', async () => {
    const { account, held } = await pushedAccount()
    const before = await contactNamed(database, held.id)
    const echo = contact('1', { phone: 'ours', company: 'Base' }, 11)
    const run = await openRun(database, account.id, { stream: 'contacts' })

    await writePage(database, run, [echo])

    const { updated_at, ...after } = (await contactNamed(database, held.id))!
    expect(before!.content_hash).toMatch(/^pushed:/)
    expect(after).toMatchObject({
      content_hash: echo.content_hash,
      source_updated_at: '2026-01-11T00:00:00+00:00',
      phone: 'ours',
    })
    expect(updated_at).toBe(before!.updated_at)
    expect(await readLog(database, run.sync_log_id)).toMatchObject({
      updated_count: 0,
      unchanged_count: 1,
      conflict_count: 0,
    })
  })

  it('coming back otherwise than it was written is a change of theirs', async () => {
    const { account, held } = await pushedAccount()

    await bring(database, account, contact('1', { phone: '+1 ours', company: 'Base' }, 11))

    expect(await contactNamed(database, held.id)).toMatchObject({ phone: '+1 ours' })
    expect(await conflictsOf(database, account)).toEqual([])
    expect(await marksOf(database, account)).toEqual([])
  })

  it.each(
    [
      ['in one line', { line1: '1 Pine St, Floor 2', line2: null }, 0],
      ['in lines of others', { line1: '1 Pine St', line2: 'Floor 3' }, 1],
    ] as const,
  )('of an address, coming back %s after an edit: %j, conflicts: %i', async (_, lines, count) => {
    const account = await createPushingAccount(database, { conflict_policy: 'remote_wins' })
    await admin`
      update public.sync_streams set push_columns = array_append(push_columns, 'address')
      where integration_id = ${account.id} and stream = 'contacts'`
    const [held] = await bring(database, account, contact('1'))
    const address = (line1: string, line2: string | null) => ({
      address: { line1, line2, city: null, region: null, postal_code: null, country: null },
    })
    await edit(database, account.member, held!.id, address('1 Pine St', 'Floor 2'))
    const run = await openPush(database, account)
    await pushOnce(database, run, { status: 'sent', answered_at: '2026-01-10T00:00:00Z' })
    await finishRun(database, run)
    await edit(database, account.member, held!.id, address('2 Oak St', 'Rear house'))

    await bring(database, account, contact('1', address(lines.line1, lines.line2), 11))

    expect(await conflictsOf(database, account)).toHaveLength(count)
    expect(await marksOf(database, account)).toHaveLength(1 - count)
    expect(await contactsOf(database, account)).toMatchObject([
      count === 0 ? address('2 Oak St', 'Rear house') : address(lines.line1, lines.line2),
    ])
  })

  it('is not overwritten by a version that was read before it', async () => {
    const { account, held } = await pushedAccount()

    await bring(database, account, {
      ...contact('1', { phone: 'base', company: 'Base' }),
      last_synced_at: '2026-01-09T00:00:00Z',
    })

    expect(await contactNamed(database, held.id)).toMatchObject({ phone: 'ours' })
  })

  it('whose answer was lost is recognised, and what was changed since is still to be sent', async () => {
    const { account, held } = await changedHere({ conflict_policy: 'remote_wins' })
    const run = await openPush(database, account)
    await settleChanges(database, run, (await claimChanges(database, run)).changes)
    await edit(database, account.member, held.id, { company: 'Ours' })

    await bring(database, account, contact('1', { phone: 'ours', company: 'Base' }, 2))

    expect(await conflictsOf(database, account)).toEqual([])
    expect(await contactNamed(database, held.id)).toMatchObject({ phone: 'ours', company: 'Ours' })
    expect((await claimChanges(database, run)).changes).toMatchObject([
      { changed: ['company'], uncertain: false },
    ])
  })

  it('whose answer was lost, all of it, leaves nothing to send', async () => {
    const { account } = await changedHere({})
    const run = await openPush(database, account)
    await settleChanges(database, run, (await claimChanges(database, run)).changes)

    await bring(database, account, contact('1', { phone: 'ours', company: 'Base' }, 2))

    expect(await marksOf(database, account)).toEqual([])
  })

  it('with another change of theirs upon it is no conflict about what we wrote', async () => {
    const { account, held } = await changedHere({ merge_fields: true })
    const run = await openPush(database, account)
    await settleChanges(database, run, (await claimChanges(database, run)).changes)
    await edit(database, account.member, held.id, { first_name: 'Ours' })

    await bring(database, account, contact('1', { phone: 'ours', company: 'Theirs' }, 2))

    expect(await conflictsOf(database, account)).toEqual([])
    expect(await contactNamed(database, held.id)).toMatchObject({
      company: 'Theirs',
      first_name: 'Ours',
    })
  })
})

describe('a change on its way when the platform’s version comes', () => {
  async function onItsWay(settings: Settings = {}) {
    const { account, held } = await changedHere({ conflict_policy: 'remote_wins', ...settings })
    const run = await openPush(database, account)
    const sent = await settleChanges(database, run, (await claimChanges(database, run)).changes)
    return { account, held, run, sent }
  }

  it('lands on top of it: theirs, which was decided for, is written there again', async () => {
    const { account, held, run, sent } = await onItsWay()

    await bring(database, account, contact('1', { phone: 'theirs', company: 'Base' }, 2))
    await finishChanges(database, run, sent, { status: 'sent' })

    expect(await contactNamed(database, held.id)).toMatchObject({ phone: 'theirs' })
    expect((await claimChanges(database, run)).changes).toMatchObject([
      { operation: 'update', changed: ['phone'], columns: { phone: 'theirs' } },
    ])
  })

  it('and never left leaves nothing to send', async () => {
    const { account, run, sent } = await onItsWay()

    await bring(database, account, contact('1', { phone: 'theirs', company: 'Base' }, 2))
    await finishChanges(database, run, sent, { status: 'unsent' })
    const { changes } = await claimChanges(database, run)

    expect(await settleChanges(database, run, changes)).toEqual([])
    expect(await marksOf(database, account)).toEqual([])
  })

  it('that deletes what was decided to stay makes it again', async () => {
    const account = await createPushingAccount(database, { push_deletes: true })
    const [held] = await bring(database, account, contact('1', { phone: 'base' }))
    await remove(database, account.member, held!.id)
    const run = await openPush(database, account)
    const sent = await settleChanges(database, run, (await claimChanges(database, run)).changes)

    await bring(database, account, contact('1', { phone: 'theirs' }, 2))
    await finishChanges(database, run, sent, { status: 'deleted' })

    expect(await contactNamed(database, held!.id)).toMatchObject({
      phone: 'theirs',
      deleted_at: null,
    })
    expect((await claimChanges(database, run)).changes).toMatchObject([{ operation: 'create' }])
  })

  it('and is found there before its answer is saved counts once', async () => {
    const { account, run, sent } = await onItsWay()

    await bring(database, account, contact('1', { phone: 'ours', company: 'Base' }, 2))
    await finishChanges(database, run, sent, { status: 'sent' })

    expect(await marksOf(database, account)).toEqual([])
    expect(await readLog(database, run.sync_log_id)).toMatchObject({ pushed_count: 1 })
  })
})

describe('what the platform makes of our own write', () => {
  const sent = { email: 'Ada@Example.com', phone: ' 1 ', company: 'Base' }

  /** A record that was pushed, and changed here again before the platform's version of it was read. */
  async function changedAgain(settings: Settings, columns: Parameters<typeof edit>[3]) {
    const { account, held } = await changedHere(settings, { ...sent, last_name: '' })
    const run = await openPush(database, account)
    await pushOnce(database, run, { status: 'sent', answered_at: '2026-01-10T00:00:00Z' })
    await edit(database, account.member, held.id, columns)
    return { account, held, run }
  }
  const asTheyHaveIt = (columns: Parameters<typeof edit>[3] = {}) =>
    contact('1', {
      email: 'ada@example.com',
      phone: '1',
      company: 'Base',
      last_name: null,
      ...columns,
    }, 20)

  it('is no change of theirs: what was edited since is still to be sent', async () => {
    const { account, held, run } = await changedAgain({ conflict_policy: 'remote_wins' }, {
      first_name: 'Ours',
    })

    await bring(database, account, asTheyHaveIt())

    expect(await conflictsOf(database, account)).toEqual([])
    expect(await contactNamed(database, held.id)).toMatchObject({
      email: 'ada@example.com',
      phone: '1',
      first_name: 'Ours',
    })
    expect((await claimChanges(database, run)).changes).toMatchObject([{ changed: ['first_name'] }])
  })

  it('however it is written does not take what was edited elsewhere', async () => {
    const { account, run } = await changedAgain({ conflict_policy: 'remote_wins' }, {
      first_name: 'Ours',
    })

    await bring(database, account, asTheyHaveIt({ company: 'Base (Berlin)' }))

    expect(await conflictsOf(database, account)).toEqual([])
    expect((await claimChanges(database, run)).changes).toMatchObject([{ changed: ['first_name'] }])
  })

  it('with something else of theirs where it was edited is a conflict', async () => {
    const { account } = await changedAgain({ conflict_policy: 'remote_wins' }, { phone: '2' })

    await bring(database, account, asTheyHaveIt({ phone: '3' }))

    expect(await conflictsOf(database, account)).toMatchObject([{ fields: ['phone'] }])
  })

  it('whose answer was lost is recognised', async () => {
    const { account } = await changedHere({ conflict_policy: 'remote_wins' }, sent)
    const run = await openPush(database, account)
    await settleChanges(database, run, (await claimChanges(database, run)).changes)

    await bring(database, account, asTheyHaveIt())

    expect(await conflictsOf(database, account)).toEqual([])
  })

  it('does not bring back what was deleted here', async () => {
    const { account, held } = await changedHere({ push_deletes: true }, { ...sent, last_name: '' })
    const run = await openPush(database, account)
    await pushOnce(database, run, { status: 'sent', answered_at: '2026-01-10T00:00:00Z' })
    await remove(database, account.member, held.id)

    await bring(database, account, asTheyHaveIt())

    expect(await conflictsOf(database, account)).toEqual([])
    expect(await contactNamed(database, held.id)).toMatchObject({ deleted_at: expect.any(String) })
  })
})

describe('a record deleted here', () => {
  async function deletedHere(settings: Settings = {}) {
    const account = await createPushingAccount(database, { push_deletes: true, ...settings })
    const [held] = await bring(database, account, contact('1', { phone: 'base' }))
    await remove(database, account.member, held!.id)
    return { account, held: held! }
  }

  it('stays so when the platform still shows it as it was', async () => {
    const { account } = await deletedHere()

    await bring(database, account, {
      ...contact('1', { phone: 'base' }),
      last_synced_at: '2099-01-01T00:00:00Z',
    })

    expect(await contactsOf(database, account)).toMatchObject([{ deleted_at: expect.any(String) }])
    expect(await conflictsOf(database, account)).toEqual([])
    expect(await marksOf(database, account)).toMatchObject([{ operation: 'delete' }])
  })

  it('and changed there comes back by remote_wins', async () => {
    const { account, held } = await deletedHere({ conflict_policy: 'remote_wins' })

    await bring(database, account, contact('1', { phone: 'theirs' }, 2))

    expect(await contactsOf(database, account)).toMatchObject([
      { id: held.id, phone: 'theirs', deleted_at: null },
    ])
    expect(await conflictsOf(database, account)).toMatchObject([
      { kind: 'local_deleted', local: null, remote: { phone: 'theirs' }, decision: 'remote' },
    ])
    expect(await marksOf(database, account)).toEqual([])
  })

  it('and changed there stays deleted by local_wins, decided once', async () => {
    const { account } = await deletedHere({ conflict_policy: 'local_wins' })

    await bring(database, account, contact('1', { phone: 'theirs' }, 2))
    await bring(database, account, {
      ...contact('1', { phone: 'theirs' }, 2),
      last_synced_at: '2099-01-01T00:00:00Z',
    })

    expect(await contactsOf(database, account)).toMatchObject([{ deleted_at: expect.any(String) }])
    expect(await conflictsOf(database, account)).toHaveLength(1)
    expect(await marksOf(database, account)).toMatchObject([
      { operation: 'delete', base: { phone: 'theirs' } },
    ])
  })

  it('and there too is agreed', async () => {
    const { account } = await deletedHere()

    await deleteThere(account)

    expect(await marksOf(database, account)).toEqual([])
    expect(await conflictsOf(database, account)).toEqual([])
  })
})

describe('a record changed here and deleted there', () => {
  it('is deleted by remote_wins', async () => {
    const { account } = await changedHere({ conflict_policy: 'remote_wins' })

    await deleteThere(account)

    expect(await contactsOf(database, account)).toMatchObject([
      { phone: 'ours', deleted_at: '2026-02-01T00:00:00+00:00' },
    ])
    expect(await conflictsOf(database, account)).toMatchObject([
      { kind: 'remote_deleted', local: { phone: 'ours' }, remote: null, decision: 'remote' },
    ])
    expect(await marksOf(database, account)).toEqual([])
  })

  it('begins again as a new one by local_wins, and the old one stays deleted', async () => {
    const { account, held } = await changedHere({ conflict_policy: 'local_wins' })

    await deleteThere(account)
    await bring(database, account, contact('1', { phone: 'late' }, 20))

    expect(await contactsOf(database, account)).toMatchObject([
      { source_id: '1', phone: 'late', deleted_at: '2026-02-01T00:00:00+00:00' },
      {
        id: held.id,
        source_id: `local:${held.id}`,
        phone: 'ours',
        deleted_at: null,
        content_hash: null,
      },
    ])
    expect(await marksOf(database, account)).toMatchObject([{ operation: 'create', base: null }])
  })

  it('before it was read is not deleted, nor in conflict', async () => {
    const { account } = await changedHere({ conflict_policy: 'remote_wins' })

    await deleteThere(account, '2025-12-01T00:00:00Z')

    expect(await contactsOf(database, account)).toMatchObject([{ deleted_at: null }])
    expect(await conflictsOf(database, account)).toEqual([])
  })

  it('is settled by absence as by a deletion', async () => {
    const { account } = await changedHere({ conflict_policy: 'local_wins' })
    const run = await openRun(database, account.id, { stream: 'contacts' })
    await writePage(database, run, [], {
      progress: { scanning: true, scan_started_at: '2026-02-01T00:00:00Z' },
    })

    await call('service_role', 'delete_absent', {
      p_sync_log_id: run.sync_log_id,
      p_lease_token: run.lease_token,
      p_source_ids: ['1'],
      p_progress: {},
    })

    expect(await conflictsOf(database, account)).toMatchObject([
      { kind: 'remote_deleted', sync_log_id: run.sync_log_id },
    ])
    expect(await marksOf(database, account)).toMatchObject([{ operation: 'create' }])
  })
})

describe('overturning a conflict', () => {
  async function conflicted(policy: 'local_wins' | 'remote_wins') {
    const { account, held } = await changedHere({ conflict_policy: policy, push_deletes: true })
    await bring(database, account, contact('1', { phone: 'theirs', company: 'Theirs' }, 2))
    const [conflict] = await conflictsOf(database, account)
    return { account, held, conflict: conflict! }
  }

  it('decided for them makes ours the record’s, as a change of now that goes out', async () => {
    const { account, held, conflict } = await conflicted('remote_wins')

    const answer = await overturn(account.manager, conflict)

    expect(answer).toMatchObject({ overturned_by: account.manager.id, decision: 'remote' })
    expect(await contactNamed(database, held.id)).toMatchObject({ phone: 'ours', company: 'Base' })
    expect(await marksOf(database, account)).toMatchObject([
      {
        operation: 'update',
        base: { phone: 'theirs', company: 'Theirs' },
        changed_by: account.manager.id,
      },
    ])
  })

  it('leaves what both versions said alike as it has become since', async () => {
    const { account, held, conflict } = await conflicted('remote_wins')
    await edit(database, account.member, held.id, { email: 'corrected@people.test' })

    await overturn(account.manager, conflict)

    expect(conflict.local!['email']).toBe(conflict.remote!['email'])
    expect(await contactNamed(database, held.id)).toMatchObject({
      phone: 'ours',
      email: 'corrected@people.test',
    })
  })

  it('decided for us makes theirs the record’s: nothing is left to send', async () => {
    const { account, held, conflict } = await conflicted('local_wins')

    await overturn('service_role', conflict)

    expect(await contactNamed(database, held.id)).toMatchObject({
      phone: 'theirs',
      company: 'Theirs',
    })
    const run = await openPush(database, account)
    expect(await settleChanges(database, run, (await claimChanges(database, run)).changes)).toEqual(
      [],
    )
    expect(await marksOf(database, account)).toEqual([])
  })

  it('is a manager’s, once, of a conflict of theirs, while the stream pushes', async () => {
    const { account, conflict } = await conflicted('remote_wins')
    const stranger = await createPushingAccount(database)

    for (const actor of [account.member, account.viewer, stranger.owner]) {
      await expect(overturn(actor, conflict)).rejects.toMatchObject(refusal('conflict_not_found'))
    }
    await expect(overturn('anon', conflict)).rejects.toMatchObject(permissionDenied)
    await expect(overturn(account.manager, { ...conflict, id: randomUUID() })).rejects
      .toMatchObject(refusal('conflict_not_found'))
    await configure(database, account, { direction: 'pull' })
    await expect(overturn(account.manager, conflict)).rejects
      .toMatchObject(refusal('stream_not_pushed'))
    await configure(database, account, { direction: 'both' })
    await overturn(account.manager, conflict)
    await expect(overturn(account.manager, conflict)).rejects
      .toMatchObject(refusal('conflict_overturned'))
  })

  it('about a deletion there makes the record again, as a new one', async () => {
    const { account, held } = await changedHere({ conflict_policy: 'remote_wins' })
    await deleteThere(account)
    const [conflict] = await conflictsOf(database, account)

    await overturn(account.manager, conflict!)

    expect(await contactsOf(database, account)).toMatchObject([
      { source_id: '1', deleted_at: '2026-02-01T00:00:00+00:00' },
      { id: held.id, source_id: `local:${held.id}`, phone: 'ours', deleted_at: null },
    ])
    expect(await marksOf(database, account)).toMatchObject([{
      record_id: held.id,
      operation: 'create',
    }])
  })

  it('about a deletion there that had not counted deletes what was made again', async () => {
    const { account } = await changedHere({ conflict_policy: 'local_wins' })
    await deleteThere(account)
    const [conflict] = await conflictsOf(database, account)

    await overturn(account.manager, conflict!)

    expect(await contactsOf(database, account)).toMatchObject([{ source_id: '1' }])
    expect(await marksOf(database, account)).toEqual([])
  })

  it('about a deletion here deletes it after all; where deletions are not pushed it is refused', async () => {
    const account = await createPushingAccount(database, { push_deletes: true })
    const [held] = await bring(database, account, contact('1', { phone: 'base' }))
    await remove(database, account.member, held!.id)
    await bring(database, account, contact('1', { phone: 'theirs' }, 2))
    const [conflict] = await conflictsOf(database, account)

    await configure(database, account, { push_deletes: false })
    await expect(overturn(account.manager, conflict!)).rejects
      .toMatchObject(refusal('deletes_not_pushed'))
    await configure(database, account, { push_deletes: true })
    await overturn(account.manager, conflict!)

    expect(await contactsOf(database, account)).toMatchObject([{ deleted_at: expect.any(String) }])
    expect(await marksOf(database, account)).toMatchObject([
      { operation: 'delete', base: { phone: 'theirs' } },
    ])
  })

  it.each([['before', false], ['after', true]])(
    'about a deletion here that stood brings the record back, %s it was deleted there',
    async (_, isSent) => {
      const account = await createPushingAccount(database, {
        push_deletes: true,
        conflict_policy: 'local_wins',
      })
      const [held] = await bring(database, account, contact('1', { phone: 'base' }))
      await remove(database, account.member, held!.id)
      await bring(database, account, contact('1', { phone: 'theirs' }, 2))
      const [conflict] = await conflictsOf(database, account)
      if (isSent) await pushOnce(database, await openPush(database, account), { status: 'deleted' })

      await overturn(account.manager, conflict!)

      expect(await contactNamed(database, held!.id)).toMatchObject({
        phone: 'theirs',
        deleted_at: null,
        source_id: isSent ? `local:${held!.id}` : '1',
      })
      expect((await marksOf(database, account)).map(({ operation }) => operation))
        .toEqual([isSent ? 'create' : 'update'])
    },
  )
})

describe('a deletion on its way when the record is wanted back', () => {
  it('makes it again as a new one', async () => {
    const account = await createPushingAccount(database, {
      push_deletes: true,
      conflict_policy: 'local_wins',
    })
    const [held] = await bring(database, account, contact('1', { phone: 'base' }))
    await remove(database, account.member, held!.id)
    await bring(database, account, contact('1', { phone: 'theirs' }, 2))
    const [conflict] = await conflictsOf(database, account)
    const run = await openPush(database, account)
    const sent = await settleChanges(database, run, (await claimChanges(database, run)).changes)
    await overturn(account.manager, conflict!)

    await finishChanges(database, run, sent, { status: 'deleted' })

    expect(await contactNamed(database, held!.id)).toMatchObject({
      source_id: `local:${held!.id}`,
      deleted_at: null,
    })
    expect(await marksOf(database, account)).toMatchObject([{ operation: 'create' }])
  })
})

it('records that were made here and never went out are not missed by a complete read', async () => {
  const account = await createPushingAccount(database)
  await add(database, account.member, account, { email: 'new@example.com' })
  const run = await openRun(database, account.id, { stream: 'contacts' })
  await writePage(database, run, [], {
    progress: { scanning: true, scan_started_at: '2099-01-01T00:00:00Z' },
  })

  const absent = await call('service_role', 'list_absent', {
    p_sync_log_id: run.sync_log_id,
    p_lease_token: run.lease_token,
  })

  expect(absent).toMatchObject({ live: 0, absent: 0, source_ids: [] })
})
