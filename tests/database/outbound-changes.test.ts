// What has to go out? What anyone but the sync changed in rows that are pushed, and nothing else.
import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { openTransaction, someoneWaitsForALock } from '../support/concurrency.ts'
import { permissionDenied, refusal, useDatabase } from '../support/database.ts'
import { connectIntegration, sampleCrm } from '../support/integrations.ts'
import {
  add,
  bring,
  claimChanges,
  configure,
  contact,
  contactNamed,
  contactsOf,
  createPushingAccount,
  edit,
  marksOf,
  openPush,
  PUSHED,
  pushOnce,
  remove,
  settleChanges,
} from '../support/pushing.ts'
import { openRun, startSync, writePage } from '../support/sync-runs.ts'

const database = useDatabase()
const { admin, owner, actAs } = database

const queuedOf = ({ id }: { id: string }) =>
  admin`
    select log.sync_type, log.mode, run.run_at <= now() as is_due from private.sync_runs as run
    join public.sync_logs as log on log.id = run.sync_log_id
    where run.integration_id = ${id} and run.status = 'queued'`

describe('a change of a pushed column', () => {
  it("is marked with what the platform has and who made it, and asks for a push at the change's commit", async () => {
    const account = await createPushingAccount(database)
    const [held] = await bring(database, account, contact('1', { phone: 'old' }))

    expect(await queuedOf(account)).toEqual([])
    expect(await edit(database, account.member, held!.id, { phone: 'new' })).toBe(1)

    expect(await marksOf(database, account)).toMatchObject([{
      record_id: held!.id,
      source_id: '1',
      operation: 'update',
      base: { phone: 'old', company: held!.company },
      base_hash: held!.content_hash,
      changed_by: account.member.id,
      fits: true,
      due_in_s: 0,
    }])
    expect(await queuedOf(account)).toEqual([{ sync_type: 'change', mode: 'push', is_due: true }])
    expect((await contactNamed(database, held!.id))!.updated_at).not.toBe(held!.updated_at)
  })

  it('again takes a new version and keeps the base: what the platform has', async () => {
    const account = await createPushingAccount(database)
    const [held] = await bring(database, account, contact('1', { phone: 'old' }))
    await edit(database, account.member, held!.id, { phone: 'newer' })
    const [first] = await marksOf(database, account)

    await edit(database, 'service_role', held!.id, { phone: 'newest', company: 'Acme' })

    const [second, ...others] = await marksOf(database, account)
    expect(others).toEqual([])
    expect(second).toMatchObject({ base: first!.base, changed_by: null })
    expect(Number(second!.version)).toBeGreaterThan(Number(first!.version))
  })

  it('to what it was already is none', async () => {
    const account = await createPushingAccount(database)
    const [held] = await bring(database, account, contact('1', { phone: 'same' }))

    expect(await edit(database, account.member, held!.id, { phone: 'same' })).toBe(1)

    expect(await marksOf(database, account)).toEqual([])
  })

  it('by the sync is none', async () => {
    const account = await createPushingAccount(database)

    await bring(database, account, contact('1', { phone: 'first' }))
    await bring(database, account, contact('1', { phone: 'second' }, 2))

    expect(await contactsOf(database, account)).toMatchObject([{ phone: 'second' }])
    expect(await marksOf(database, account)).toEqual([])
  })

  it('after a merge in the same transaction is one', async () => {
    const account = await createPushingAccount(database)
    const [held] = await bring(database, account, contact('1'))
    const both = await openTransaction(database, 'service_role')
    await both.sql`
      select public.apply_records(${account.id}, 'contacts', ${
      both.sql.json([contact('1', { company: 'Theirs' }, 2)] as never)
    })`
    await both.sql`update public.contacts set phone = 'ours' where id = ${held!.id}`
    await both.commit()

    expect(await marksOf(database, account)).toMatchObject([{ base: { company: 'Theirs' } }])
  })

  it('of a stream that is only read is marked nowhere', async () => {
    const account = await createPushingAccount(database, { direction: 'pull' })
    const [held] = await bring(database, account, contact('1'))

    expect(await edit(database, 'service_role', held!.id, { phone: 'new' })).toBe(1)

    expect(await marksOf(database, account)).toEqual([])
  })

  it('of several accounts in one statement is marked for those that push, each with its own columns', async () => {
    const [one, other, reader] = [
      await createPushingAccount(database),
      await createPushingAccount(database),
      await createPushingAccount(database, { direction: 'pull' }),
    ]
    await owner`
      update public.sync_streams set push_columns = '{phone}' where integration_id = ${other.id} and stream = 'contacts'`
    for (const account of [one, other, reader]) {
      await bring(database, account, contact('1'), contact('2'))
    }

    await actAs('service_role', (sql) =>
      sql`
      update public.contacts set phone = 'new' where integration_id in ${
        sql([one.id, other.id, reader.id])
      }`)

    const marks = await Promise.all([one, other, reader].map((each) => marksOf(database, each)))
    expect(marks.map((each) => each.map(({ source_id }) => source_id).toSorted())).toEqual([
      ['1', '2'],
      ['1', '2'],
      [],
    ])
    expect(marks[1]!.map(({ base }) => Object.keys(base!))).toEqual([['phone'], ['phone']])
  })

  it('of a row that is gone at the platform does not go out; members cannot make it', async () => {
    const account = await createPushingAccount(database)
    const [held] = await bring(database, account, contact('1'))
    await database.call('service_role', 'apply_records', {
      p_integration_id: account.id,
      p_stream: 'contacts',
      p_records: [],
      p_deletions: [{ source_id: '1', source_deleted_at: '2026-01-05T00:00:00Z' }],
    })

    expect(await edit(database, account.member, held!.id, { phone: 'new' })).toBe(0)
    expect(await edit(database, 'service_role', held!.id, { phone: 'new' })).toBe(1)

    expect(await marksOf(database, account)).toEqual([])
  })
})

describe('a column that only the platform fills', () => {
  it('is refused with its name, in a new row too; a pushed one beside it is not', async () => {
    const account = await createPushingAccount(database)
    const [held] = await bring(database, account, contact('1'))

    const refusedEdit = edit(database, account.member, held!.id, { phone: '1', job_title: 'Boss' })
    const refusedRow = add(database, account.member, account, {
      email: 'a@b.example',
      kind: 'lead',
    })

    await expect(refusedEdit).rejects.toMatchObject({
      ...refusal('field_not_pushed'),
      detail: expect.stringContaining('job_title'),
    })
    await expect(refusedRow).rejects.toMatchObject({
      ...refusal('field_not_pushed'),
      detail: expect.stringContaining('kind'),
    })
    expect(await edit(database, account.member, held!.id, { phone: '1' })).toBe(1)
    await add(database, account.member, account, { email: 'a@b.example' })
    expect(await marksOf(database, account)).toHaveLength(2)
  })

  it('may be changed where the stream is only read, by the service: it stays until the platform changes the record', async () => {
    const account = await createPushingAccount(database, { direction: 'pull' })
    const [held] = await bring(database, account, contact('1'))

    expect(await edit(database, account.member, held!.id, { job_title: 'Boss' })).toBe(0)
    expect(await edit(database, 'service_role', held!.id, { job_title: 'Boss' })).toBe(1)
    const run = await openRun(database, account.id, { stream: 'contacts' })
    const reading = await writePage(database, run, [contact('1', {}, 2)], { ask: true })
    const [kept] = await contactsOf(database, account)
    const [changed] = await bring(database, account, contact('1', { phone: 'new' }, 3))

    expect(reading).toMatchObject({ committed: true }) // nothing differs
    expect(kept).toMatchObject({ job_title: 'Boss' })
    expect(changed).toMatchObject({ phone: 'new', job_title: held!.job_title })
  })
})

describe('a new row', () => {
  it('belongs to its integration, is known to be ours, and is to be created there', async () => {
    const account = await createPushingAccount(database)

    const id = await add(database, account.member, account, { email: 'new@example.com' })

    expect(await contactNamed(database, id)).toMatchObject({
      organization_id: account.organizationId,
      source: sampleCrm,
      source_id: `local:${id}`,
      content_hash: null,
      last_synced_at: null,
      deleted_at: null,
      tags: [],
    })
    expect(await marksOf(database, account)).toMatchObject([
      { record_id: id, operation: 'create', base: null, base_hash: null },
    ])
  })

  it('that is changed stays one to create; deleted, it leaves nothing behind', async () => {
    const account = await createPushingAccount(database, { push_deletes: true })
    const id = await add(database, account.member, account, { email: 'new@example.com' })
    await edit(database, account.member, id, { phone: '1' })
    const changed = await marksOf(database, account)

    expect(await remove(database, account.member, id)).toBe(1)

    expect(changed).toMatchObject([{ operation: 'create', base: null }])
    expect(await marksOf(database, account)).toEqual([])
    expect(await contactsOf(database, account)).toEqual([])
  })

  it('is a member’s to make, not a viewer’s or a stranger’s, nor where nothing is pushed', async () => {
    const account = await createPushingAccount(database)
    const reader = await connectIntegration(database, account.organizationId, {
      connector: sampleCrm,
    })
    const stranger = await createPushingAccount(database)
    const columns = { email: 'new@example.com' }

    for (
      const [actor, where] of [
        [account.viewer, account],
        [stranger.owner, account],
        [account.member, reader],
        ['anon', account],
      ] as const
    ) {
      await expect(add(database, actor, where, columns)).rejects.toMatchObject(permissionDenied)
    }
    await expect(add(database, account.member, account, columns)).resolves.toBeDefined()
    await expect(add(database, 'service_role', account, columns)).resolves.toBeDefined()
  })

  it('cannot say whose it is or that it came from the platform', async () => {
    const account = await createPushingAccount(database)

    const claim = (column: string, value: string) =>
      actAs(account.member, (sql) =>
        sql`
        insert into public.contacts ${
          sql({ integration_id: account.id, [column]: value } as never)
        }`)

    for (const column of ['source_id', 'source', 'content_hash', 'organization_id']) {
      await expect(claim(column, randomUUID())).rejects.toMatchObject(permissionDenied)
    }
    await expect(claim('email', 'a@example.com')).resolves.toBeDefined()
  })

  it('of products needs a name, as one that was read does', async () => {
    const account = await createPushingAccount(database)
    const addProduct = (name: string | null) =>
      actAs(account.member, (sql) =>
        sql`
        insert into public.products (integration_id, name) values (${account.id}, ${name})`)

    await expect(addProduct(null)).rejects.toMatchObject({
      constraint_name: 'products_held_product_has_a_name',
    })
    await expect(addProduct('Stool')).resolves.toBeDefined()
    expect(await marksOf(database, account)).toMatchObject([{ operation: 'create' }])
  })
})

describe('rights', () => {
  it('to change and delete are a member’s; others reach no row', async () => {
    const account = await createPushingAccount(database, { push_deletes: true })
    const stranger = await createPushingAccount(database)
    const [held] = await bring(database, account, contact('1'))

    for (const actor of [account.viewer, stranger.owner]) {
      expect(await edit(database, actor, held!.id, { phone: 'x' })).toBe(0)
      expect(await remove(database, actor, held!.id)).toBe(0)
    }
    expect(await edit(database, account.member, held!.id, { phone: 'x' })).toBe(1)
    expect(await remove(database, account.member, held!.id)).toBe(1)
  })
})

describe('a deletion', () => {
  it('that is pushed leaves the row as one that is gone, with all it was, until it is gone there', async () => {
    const account = await createPushingAccount(database, { push_deletes: true })
    const [held] = await bring(database, account, contact('1', { phone: 'old' }))
    await edit(database, account.member, held!.id, { phone: 'new' })

    expect(await remove(database, account.member, held!.id)).toBe(1)

    expect(await contactsOf(database, account)).toMatchObject([{
      id: held!.id,
      source_id: '1',
      phone: 'new',
      content_hash: held!.content_hash,
      deleted_at: expect.any(String),
    }])
    expect(await marksOf(database, account)).toMatchObject([
      { operation: 'delete', base: { phone: 'old' }, base_hash: held!.content_hash },
    ])
  })

  it('of a record that was read ahead of our clock is one all the same', async () => {
    const account = await createPushingAccount(database, { push_deletes: true })
    const ahead = new Date(Date.now() + 60_000).toISOString()
    const [held] = await bring(database, account, {
      ...contact('1'),
      source_updated_at: ahead,
      last_synced_at: ahead,
    })

    await remove(database, account.member, held!.id)

    expect(await contactsOf(database, account)).toMatchObject([{ deleted_at: expect.any(String) }])
  })

  it('that is not pushed takes the row and its change', async () => {
    const account = await createPushingAccount(database)
    const [held] = await bring(database, account, contact('1'))
    await edit(database, account.member, held!.id, { phone: 'new' })

    expect(await remove(database, account.member, held!.id)).toBe(1)

    expect(await contactsOf(database, account)).toEqual([])
    expect(await marksOf(database, account)).toEqual([])
  })

  it('of everything an account has, with it, is none', async () => {
    const account = await createPushingAccount(database, { push_deletes: true })
    const [held] = await bring(database, account, contact('1'), contact('2'))
    await edit(database, account.member, held!.id, { phone: 'new' })

    await database.call('service_role', 'disconnect_integration', {
      p_integration_id: account.id,
      p_delete_data: true,
    })

    expect(await contactsOf(database, account)).toEqual([])
    expect(await marksOf(database, account)).toEqual([])
  })

  it('of the integration itself, or of the organization, takes rows and changes along', async () => {
    for (const table of ['integrations', 'organizations']) {
      const account = await createPushingAccount(database, { push_deletes: true })
      const [held] = await bring(database, account, contact('1'))
      await edit(database, account.member, held!.id, { phone: 'new' })

      await owner.unsafe(
        table === 'integrations'
          ? `delete from public.integrations where id = '${account.id}'`
          : `update public.integrations set status = 'disconnected' where id = '${account.id}'`,
      )
      if (table === 'organizations') {
        await owner`delete from public.organizations where id = ${account.organizationId}`
      }

      expect(await contactsOf(database, account)).toEqual([])
      expect(await marksOf(database, account)).toEqual([])
    }
  })
})

describe('a filter', () => {
  it('keeps here what does not fit it', async () => {
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

    expect((await marksOf(database, account)).map(({ source_id, fits }) => [source_id, fits]))
      .toEqual([['1', true], ['2', false]])
  })

  it('that is no condition is refused; one that is is kept', async () => {
    const account = await createPushingAccount(database)

    await expect(configure(database, account, { filter: { field: 'a', operator: 'like' } }))
      .rejects.toMatchObject(refusal('invalid_request'))
    for (
      const filter of [
        { field: 'emial', operator: 'exists', value: true },
        {
          not: {
            or: [{ field: 'company', operator: 'eq', value: '' }, {
              field: 'emial.a',
              operator: 'eq',
              value: 1,
            }],
          },
        },
      ]
    ) {
      await expect(configure(database, account, { filter }))
        .rejects.toMatchObject({
          ...refusal('invalid_request'),
          detail: expect.stringContaining('emial'),
        })
    }
    await configure(database, account, {
      filter: { field: 'address.city', operator: 'eq', value: 'field' },
    })
  })
})

describe('settings of a stream', () => {
  const settingsOf = async ({ id }: { id: string }, stream = 'contacts') =>
    (await admin`
      select direction, pushes, push_columns, push_deletes from public.sync_streams
      where integration_id = ${id} and stream = ${stream}`)[0]

  it('begin with reading, or with pushing where the connector can do nothing else', async () => {
    const { organizationId } = await createPushingAccount(database)

    const account = await connectIntegration(database, organizationId, {
      connector: sampleCrm,
      pushColumns: { contacts: [...PUSHED], products: ['name'] },
    })

    expect(await settingsOf(account)).toMatchObject({
      direction: 'pull',
      pushes: false,
      push_columns: [...PUSHED],
    })
    expect(await settingsOf(account, 'products')).toMatchObject({ direction: 'push', pushes: true })
  })

  it.each(
    [
      [
        'push what this account lets nobody write',
        { direction: 'both' },
        'stream_not_pushed',
        'contacts',
        {},
      ],
      ['read what can only be written', { direction: 'both' }, 'stream_not_read', 'products', {
        products: ['name'],
      }],
      [
        'delete what cannot be deleted there',
        { push_deletes: true },
        'deletes_not_pushed',
        'products',
        { products: ['name'] },
      ],
    ] as const,
  )('cannot ask to %s', async (_, settings, code, stream, pushColumns) => {
    const account = await createPushingAccount(database)
    const other = await connectIntegration(database, account.organizationId, {
      connector: sampleCrm,
      pushColumns: pushColumns as Record<string, string[]>,
    })

    await expect(configure(database, { ...account, id: other.id }, settings, stream)).rejects
      .toMatchObject(refusal(code))
    await configure(database, account, { direction: 'both', push_deletes: true })
  })

  it('are checked by value', async () => {
    const account = await createPushingAccount(database)

    for (
      const settings of [
        { push_batch_size: 0 },
        { push_batch_size: 1001 },
        { retry_pauses_s: [0] },
        { retry_pauses_s: [86_401] },
        { retry_pauses_s: Array(21).fill(1) },
      ]
    ) {
      await expect(configure(database, account, settings)).rejects.toMatchObject({ code: '23514' })
    }
    await configure(database, account, { push_batch_size: 1000, retry_pauses_s: [] })
  })

  it('of an account that no longer lets anything be written fall back to reading', async () => {
    const account = await createPushingAccount(database)
    const refresh = (pushColumns: object) =>
      database.call('service_role', 'update_integration', {
        p_integration_id: account.id,
        p_streams: ['contacts'],
        p_push_columns: pushColumns,
      })

    await refresh({ contacts: ['phone'] })
    const fewer = await settingsOf(account)
    await refresh({})

    expect(fewer).toMatchObject({ direction: 'both', pushes: true, push_columns: ['phone'] })
    expect(await settingsOf(account)).toMatchObject({ direction: 'pull', pushes: false })
  })

  it('that stop a stream from pushing give up what has not gone out: the next read says what the platform has', async () => {
    const account = await createPushingAccount(database)
    const [held] = await bring(database, account, contact('1', { phone: 'theirs' }))
    await edit(database, account.member, held!.id, { phone: 'ours' })
    const local = await add(database, account.member, account, { email: 'new@example.com' })

    await configure(database, account, { direction: 'pull' })
    const given = await marksOf(database, account)
    await bring(database, account, {
      ...contact('1', { phone: 'theirs' }),
      last_synced_at: '2026-01-02T00:00:00Z',
    })

    expect(given).toEqual([])
    expect(await contactNamed(database, held!.id)).toMatchObject({ phone: 'theirs' })
    await configure(database, account, { direction: 'both' })
    expect(await marksOf(database, account)).toMatchObject([{
      record_id: local,
      operation: 'create',
    }])
  })

  it('that stop a stream from pushing do not lose what is committed just then: it goes out when it pushes again', async () => {
    const account = await createPushingAccount(database)
    const [held] = await bring(database, account, contact('1', { phone: 'theirs' }))
    const [read] = await bring(database, account, contact('2', { phone: 'theirs' }))
      .then((rows) => rows.filter(({ source_id }) => source_id === '2'))
    const editing = await openTransaction(database, 'service_role')
    for (const { id } of [held!, read!]) {
      await editing.sql`update public.contacts set phone = 'ours' where id = ${id}`
    }

    await configure(database, account, { direction: 'pull' })
    await editing.commit()
    await bring(database, account, contact('2', { phone: 'newer' }, 2))
    await configure(database, account, { direction: 'both' })

    expect(await marksOf(database, account)).toMatchObject([{
      record_id: held!.id,
      operation: 'update',
      base: { phone: 'theirs' },
    }])
  })

  it('that stop a stream from pushing let the platform’s version in where its clock is behind ours', async () => {
    const account = await createPushingAccount(database)
    const id = await add(database, account.member, account, { phone: 'sent' })
    await pushOnce(database, await openPush(database, account), {
      status: 'sent',
      source_id: '1',
      answered_at: '2026-01-05T00:00:05Z',
    })
    await edit(database, account.member, id, { phone: 'given up' })

    await configure(database, account, { direction: 'pull' })
    await bring(database, account, {
      ...contact('1', { phone: 'sent' }, 5), // changed there before we heard of it
      last_synced_at: '2026-01-05T00:01:00Z',
    })

    expect(await contactNamed(database, id)).toMatchObject({ phone: 'sent' })
  })

  it('that stop a stream from pushing do not forget that a new row may have been made there', async () => {
    const account = await createPushingAccount(database)
    const id = await add(database, account.member, account, { phone: 'once' })
    const run = await openPush(database, account)
    await settleChanges(database, run, (await claimChanges(database, run)).changes)

    await configure(database, account, { direction: 'pull' })
    const whilePulling = await claimChanges(database, run)
    await configure(database, account, { direction: 'both' })

    expect(whilePulling.changes).toEqual([])
    expect((await claimChanges(database, run)).changes).toMatchObject([
      { record_id: id, operation: 'create', uncertain: true, sending: { phone: 'once' } },
    ])
  })

  it('that no longer push deletions bring back what has not been deleted there', async () => {
    const account = await createPushingAccount(database, { push_deletes: true })
    const [deleted, changed] = await bring(database, account, contact('1'), contact('2'))
    await remove(database, account.member, deleted!.id)
    await edit(database, account.member, changed!.id, { phone: 'new' })
    expect(await contactNamed(database, deleted!.id)).not.toMatchObject({ deleted_at: null })

    await configure(database, account, { push_deletes: false })

    expect(await contactNamed(database, deleted!.id)).toMatchObject({ deleted_at: null })
    expect(await marksOf(database, account)).toMatchObject([{ record_id: changed!.id }])
  })

  it('that keep a change here ask for no push; for one that fits they do', async () => {
    const account = await createPushingAccount(database, {
      filter: { field: 'company', operator: 'eq', value: 'Acme' },
    })

    await add(database, account.member, account, { company: 'Other' })
    const kept = await queuedOf(account)
    await add(database, account.member, account, { company: 'Acme' })

    expect(kept).toEqual([])
    expect(await queuedOf(account)).toHaveLength(1)
  })

  it('that switch a stream off keep changes here until somebody pushes by hand', async () => {
    const account = await createPushingAccount(database, { enabled: false })
    const [held] = await bring(database, account, contact('1'))

    await edit(database, account.member, held!.id, { phone: 'new' })

    expect(await queuedOf(account)).toEqual([])
    const log = await startSync(database, account.id, { stream: 'contacts', mode: 'push' })
    expect(log).toMatchObject({ mode: 'push', status: 'queued' })
  })
})

describe('two at once', () => {
  it('who change records of one stream do not wait for each other, and ask for one run', async () => {
    const account = await createPushingAccount(database)
    const [one, other] = await bring(database, account, contact('1'), contact('2'))
    const [first, second] = [
      await openTransaction(database, 'service_role'),
      await openTransaction(database, 'service_role'),
    ]

    await first.sql`update public.contacts set phone = 'a' where id = ${one!.id}`
    await second.sql`update public.contacts set phone = 'b' where id = ${other!.id}`
    // now each changes what nobody holds: had the first one's change held the run, this would wait for ever
    await first.sql`update public.contacts set company = 'a' where id = ${one!.id}`
    await second.commit()
    await first.commit()

    expect(await marksOf(database, account)).toHaveLength(2)
    expect(await queuedOf(account)).toHaveLength(1)
  })

  it('who change one record end in one change with the base the first one found', async () => {
    const account = await createPushingAccount(database)
    const [held] = await bring(database, account, contact('1', { phone: 'old', company: 'Old' }))
    const first = await openTransaction(database, 'service_role')
    await first.sql`update public.contacts set phone = 'first' where id = ${held!.id}`

    const second = edit(database, account.member, held!.id, { company: 'Second' })
    await someoneWaitsForALock(database)
    await first.commit()
    await second

    expect(await marksOf(database, account)).toMatchObject([
      { base: { phone: 'old', company: 'Old' }, changed_by: account.member.id },
    ])
  })

  it('who change a record and disconnect its account do not end in a deadlock', async () => {
    const account = await createPushingAccount(database)
    const [held] = await bring(database, account, contact('1'))
    await startSync(database, account.id, { stream: 'contacts' })
    const editing = await openTransaction(database, 'service_role')
    await editing.sql`update public.contacts set phone = 'new' where id = ${held!.id}`

    const disconnecting = database.call('service_role', 'disconnect_integration', {
      p_integration_id: account.id,
      p_delete_data: true,
      p_actor_id: account.owner.id,
    })
    const waits = () =>
      admin`select 1 from pg_stat_activity where wait_event = 'PgSleep' or wait_event_type = 'Lock'`
    await expect.poll(waits).not.toHaveLength(0)
    await editing.commit()
    await disconnecting

    expect(await contactsOf(database, account)).toEqual([])
    expect(await marksOf(database, account)).toEqual([])
  })

  it('a worker that takes up the queued run as a change commits leaves the change a run of its own', async () => {
    const account = await createPushingAccount(database)
    const [held] = await bring(database, account, contact('1'))
    const log = await startSync(database, account.id, { stream: 'contacts' })
    const claiming = await openTransaction(database, 'service_role')
    await claiming.sql`select public.claim_sync_run(${log.id})`

    const change = edit(database, account.member, held!.id, { phone: 'new' })
    await someoneWaitsForALock(database)
    await claiming.commit()
    await change

    expect(await queuedOf(account)).toEqual([{ sync_type: 'change', mode: 'push', is_due: true }])
  })
})
