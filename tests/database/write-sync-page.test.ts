// What does one committed page leave: rows, counts, refused records and the place to go on, together?
import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { permissionDenied, refusal, useDatabase } from '../support/database.ts'
import { createIntegration } from '../support/integrations.ts'
import { addMember, createPerson } from '../support/people.ts'
import { refusedRecord } from '../support/seeded-organization.ts'
import {
  finishRun,
  openRun,
  product,
  readLog,
  startSync,
  syncOnce,
  writePage,
} from '../support/sync-runs.ts'

const database = useDatabase()
const { admin, actAs, call } = database

const productsOf = (integrationId: string) =>
  admin`
  select source_id, name, source_data, deleted_at from public.products
  where integration_id = ${integrationId} order by source_id`
const errorsOf = (integrationId: string) =>
  admin`
  select source_id, source_key, payload, attempt_count, resolution, sync_log_id from public.sync_errors
  where integration_id = ${integrationId} order by created_at, source_key`
const progressOf = async (syncLogId: string) => {
  const [run] = await admin`select progress from private.sync_runs where sync_log_id = ${syncLogId}`
  return run?.progress
}
const logOf = (id: string) => readLog(database, id)
const apply = (integrationId: string, records: object[], options: Record<string, unknown> = {}) =>
  call('service_role', 'apply_records', {
    p_integration_id: integrationId,
    p_stream: 'products',
    p_records: records,
    ...options,
  })

describe('asking first', () => {
  it('names what is new or changed, by position, and writes nothing', async () => {
    const { id } = await createIntegration(database)
    await syncOnce(database, id, [product('same'), product('other')])
    const run = await openRun(database, id)

    const answer = await writePage(database, run, [
      product('same'),
      product('new'),
      product('other', 'second'),
    ], { ask: true })

    expect(answer).toEqual({ committed: false, differing: [1, 2] })
    expect(await progressOf(run.sync_log_id)).toEqual({})
    expect(await productsOf(id)).toHaveLength(2)
  })

  it('commits when nothing differs', async () => {
    const { id } = await createIntegration(database)
    await syncOnce(database, id, [product('1'), product('2')])
    const run = await openRun(database, id)

    const answer = await writePage(database, run, [product('1'), product('2')], {
      ask: true,
      progress: { cursor: 'page 2' },
    })

    expect(answer).toMatchObject({ committed: true, created: 0, updated: 0, deleted: 0 })
    expect(await progressOf(run.sync_log_id)).toEqual({ batch_count: 1, cursor: 'page 2' })
    expect(await logOf(run.sync_log_id)).toMatchObject({ fetched_count: 2, unchanged_count: 2 })
  })

  it('commits an empty page', async () => {
    const { id } = await createIntegration(database)
    const run = await openRun(database, id)

    expect(await writePage(database, run, [], { ask: true })).toMatchObject({ committed: true })
  })

  it('names what is held as deleted, though its content is the same', async () => {
    const { id } = await createIntegration(database)
    await syncOnce(database, id, [product('1')])
    await apply(id, [], {
      p_deletions: [{ source_id: '1', absent_at: '2026-01-03T00:00:00Z' }],
    })
    const run = await openRun(database, id)
    const seenAgain = product('1', 'first', { syncedAt: '2026-01-04T00:00:00Z' })

    const answer = await writePage(database, run, [seenAgain], { ask: true })
    await writePage(database, run, [seenAgain])

    expect(answer).toEqual({ committed: false, differing: [0] })
    expect(await productsOf(id)).toMatchObject([{ source_id: '1', deleted_at: null }])
  })
})

describe('asking about a record that is held as deleted but still listed', () => {
  const dayOfDeletion = '2026-01-03T00:00:00Z'
  const seenAgain = (content = 'first') =>
    product('1', content, { syncedAt: '2026-01-04T00:00:00Z' })

  async function answerFor(deletion: object, record: ReturnType<typeof product>) {
    const { id } = await createIntegration(database)
    await syncOnce(database, id, [product('1')])
    await apply(id, [], { p_deletions: [{ source_id: '1', ...deletion }] })
    const run = await openRun(database, id)
    return await writePage(database, run, [record], { ask: true })
  }

  it('does not name it where the platform said since when it is gone: it would be sent every time', async () => {
    expect(await answerFor({ source_deleted_at: dayOfDeletion }, seenAgain())).toMatchObject({
      committed: true,
      updated: 0,
    })
  })

  it.each(
    [
      ['its content is another', { source_deleted_at: dayOfDeletion }, seenAgain('second')],
      ['only a scan had missed it', { absent_at: dayOfDeletion }, seenAgain()],
      [
        'it was deleted before its last change and then missed',
        { source_deleted_at: '2025-12-31T00:00:00Z', absent_at: dayOfDeletion },
        seenAgain(),
      ],
    ],
  )('names it where %s', async (_, deletion, record) => {
    expect(await answerFor(deletion, record)).toEqual({ committed: false, differing: [0] })
  })
})

describe('committing', () => {
  it('writes rows, counts and place together', async () => {
    const { id } = await createIntegration(database)
    await syncOnce(database, id, [product('same'), product('changed'), product('gone')])
    const run = await openRun(database, id)
    const newer = { updatedAt: '2026-02-01T00:00:00Z' }

    const answer = await writePage(
      database,
      run,
      [product('same'), product('changed', 'second', newer), product('new')],
      {
        deletions: [{ source_id: 'gone', source_deleted_at: '2026-02-01T00:00:00Z' }],
        refused: [refusedRecord('bad')],
        progress: { cursor: 'page 2' },
      },
    )

    expect(answer).toEqual({ committed: true, created: 1, updated: 1, deleted: 1 })
    expect(await logOf(run.sync_log_id)).toMatchObject({
      fetched_count: 4,
      created_count: 1,
      updated_count: 1,
      unchanged_count: 1,
      deleted_count: 1,
      error_count: 1,
    })
    expect(await progressOf(run.sync_log_id)).toEqual({ batch_count: 1, cursor: 'page 2' })
    expect(await productsOf(id)).toMatchObject([
      { source_id: 'changed', name: 'Product second', deleted_at: null },
      { source_id: 'gone', deleted_at: new Date('2026-02-01T00:00:00Z') },
      { source_id: 'new', deleted_at: null },
      { source_id: 'same', deleted_at: null },
    ])
  })

  it('adds the counts of every page up', async () => {
    const { id } = await createIntegration(database)
    const run = await openRun(database, id)

    await writePage(database, run, [product('1'), product('2')], { number: 1 })
    await writePage(database, run, [product('3')], { number: 2 })

    expect(await finishRun(database, run)).toMatchObject({
      status: 'success',
      fetched_count: 3,
      created_count: 3,
    })
  })

  it('happens once for a batch that is sent again because its answer was lost', async () => {
    const { id } = await createIntegration(database)
    const run = await openRun(database, id)
    const send = () => writePage(database, run, [product('1')], { refused: [refusedRecord('bad')] })

    await send()
    const again = await send()

    expect(again).toMatchObject({ committed: true, created: 0 })
    expect(await logOf(run.sync_log_id)).toMatchObject({
      fetched_count: 2,
      created_count: 1,
      error_count: 1,
    })
    expect(await errorsOf(id)).toMatchObject([{ attempt_count: 1 }])
  })

  it('happens once when the same batch is sent twice at the same time', async () => {
    const { id } = await createIntegration(database)
    const run = await openRun(database, id)

    await Promise.all([1, 2, 3].map(() => writePage(database, run, [product('1')])))

    expect(await logOf(run.sync_log_id)).toMatchObject({ fetched_count: 1, created_count: 1 })
  })

  it('leaves nothing of a page that fails: no rows, no counts, the old place', async () => {
    const { id } = await createIntegration(database)
    const run = await openRun(database, id)
    const impossible = { ...product('2'), price_amount: 'a lot' }

    await expect(writePage(database, run, [product('1'), impossible])).rejects.toMatchObject({
      constraint_name: 'products_price_is_a_decimal',
    })

    expect(await productsOf(id)).toEqual([])
    expect(await progressOf(run.sync_log_id)).toEqual({})
    await expect(writePage(database, run, [product('1')])).resolves.toMatchObject({ created: 1 })
  })

  it('counts a record twice on one page as one row, in its newest version', async () => {
    const { id } = await createIntegration(database)
    const run = await openRun(database, id)

    await writePage(database, run, [
      product('1', 'newer', {
        updatedAt: '2026-01-05T00:00:00Z',
        syncedAt: '2026-01-06T00:00:00Z',
      }),
      product('1', 'older', {
        updatedAt: '2026-01-04T00:00:00Z',
        syncedAt: '2026-01-06T00:00:00Z',
      }),
    ])

    expect(await productsOf(id)).toMatchObject([{ name: 'Product newer' }])
    expect(await logOf(run.sync_log_id)).toMatchObject({ created_count: 1 })
  })

  it('keeps the rows of two integrations with the same ids apart', async () => {
    const [one, other] = [await createIntegration(database), await createIntegration(database)]

    await syncOnce(database, one.id, [product('1', 'ours')])
    await syncOnce(database, other.id, [product('1', 'theirs')])

    expect(await productsOf(one.id)).toMatchObject([{ name: 'Product ours' }])
    expect(await productsOf(other.id)).toMatchObject([{ name: 'Product theirs' }])
  })
})

describe('refused records', () => {
  it('are kept with their payload, one open row a record however often it comes', async () => {
    const { id } = await createIntegration(database)
    const run = await openRun(database, id)

    await writePage(database, run, [], { number: 1, refused: [refusedRecord('bad', { name: 1 })] })
    await writePage(database, run, [], { number: 2, refused: [refusedRecord('bad', { name: 2 })] })

    expect(await errorsOf(id)).toMatchObject([
      { source_id: 'bad', payload: { name: 2 }, attempt_count: 2, resolution: null },
    ])
  })

  it('without an id are told apart by their payload', async () => {
    const { id } = await createIntegration(database)
    const run = await openRun(database, id)

    await writePage(database, run, [], {
      refused: [1, 2, 1].map((name) => refusedRecord(null, { name })),
    })

    expect(await errorsOf(id)).toMatchObject([
      { source_id: null, source_key: expect.stringMatching(/^payload:[0-9a-f]{64}$/) },
      { source_id: null },
    ])
  })

  it('end the run partial, though the engine calls it a success', async () => {
    const { id } = await createIntegration(database)
    const run = await openRun(database, id)
    await writePage(database, run, [product('1')], { refused: [refusedRecord('bad')] })

    expect(await finishRun(database, run)).toMatchObject({
      status: 'partial',
      error: { code: 'invalid_record' },
    })
  })

  it('are resolved as synced when the record comes through, and open again when it breaks again', async () => {
    const { id } = await createIntegration(database)
    const run = await openRun(database, id)
    await writePage(database, run, [], { number: 1, refused: [refusedRecord('1')] })
    await writePage(database, run, [product('1')], { number: 2 })
    await writePage(database, run, [], { number: 3, refused: [refusedRecord('1')] })

    expect((await errorsOf(id)).map((error) => error.resolution)).toEqual(['synced', null])
  })

  it('are resolved by an unchanged record too, which is asked about and never sent', async () => {
    const { id } = await createIntegration(database)
    await syncOnce(database, id, [product('1')])
    const run = await openRun(database, id)
    await writePage(database, run, [], { number: 1, refused: [refusedRecord('1')] })

    await writePage(database, run, [product('1')], { number: 2, ask: true })

    expect(await errorsOf(id)).toMatchObject([{ resolution: 'synced' }])
  })

  type Listed = {
    open_count: number
    errors: { id: string; payload: { name: string }; last_seen_at: string }[]
  }
  const listOpen = (integrationId: string, args: Record<string, unknown> = {}) =>
    call<Listed>('service_role', 'list_open_sync_errors', {
      p_integration_id: integrationId,
      p_stream: 'products',
      ...args,
    })

  it('can be listed, repaired by a manager and replayed', async () => {
    const { id, organization_id } = await createIntegration(database)
    const [manager, member] = [await createPerson(database), await createPerson(database)]
    await addMember(database, organization_id, manager, 'manager')
    await addMember(database, organization_id, member, 'member')
    const run = await openRun(database, id)
    await writePage(database, run, [], {
      refused: ['1', '2'].map((key) => refusedRecord(key, { name: `broken ${key}` })),
    })
    await finishRun(database, run)
    const repair = (person: typeof manager) =>
      actAs(person, (sql) =>
        sql`
        update public.sync_errors set payload = '{"name": "repaired"}'
        where integration_id = ${id} and source_id = '1'`)
    const list = async () => (await listOpen(id)).errors

    const repaired = [(await repair(member)).count, (await repair(manager)).count]
    const open = await list()
    const [first, second] = ['repaired', 'broken 2'].map((name) =>
      open.find((error) => error.payload.name === name)
    )
    await call('service_role', 'record_replay', {
      p_integration_id: id,
      p_outcomes: [
        { id: first!.id, ok: true },
        { id: second!.id, ok: false, code: 'invalid_record', message: 'still wrong', issues: [] },
      ],
    })

    expect(repaired).toEqual([0, 1])
    expect(open).toHaveLength(2)
    expect(await errorsOf(id)).toMatchObject([
      { source_id: '1', resolution: 'replayed', attempt_count: 2 },
      { source_id: '2', resolution: null, attempt_count: 2 },
    ])
    expect((await list()).map((error) => error.id)).toEqual([second!.id])
  })

  it('keep a payload that a person repaired, and count on', async () => {
    const { id, organization_id } = await createIntegration(database)
    const manager = await createPerson(database)
    await addMember(database, organization_id, manager, 'manager')
    const run = await openRun(database, id)
    const refuse = (number: number) =>
      writePage(database, run, [], {
        number,
        refused: ['1', '2'].map((key) => refusedRecord(key, { name: `broken at ${number}` })),
      })
    await refuse(1)
    await actAs(manager, (sql) =>
      sql`
      update public.sync_errors set payload = '{"name": "repaired"}'
      where integration_id = ${id} and source_id = '1'`)

    await refuse(2)

    expect(await errorsOf(id)).toMatchObject([
      { source_id: '1', payload: { name: 'repaired' }, attempt_count: 2 },
      { source_id: '2', payload: { name: 'broken at 2' }, attempt_count: 2 },
    ])
    const times = await admin<{ is_repaired: boolean; is_seen_again: boolean }[]>`
      select repaired_at is not null as is_repaired, last_seen_at > created_at as is_seen_again
      from public.sync_errors where integration_id = ${id} order by source_id`
    expect(times.map(({ is_repaired }) => is_repaired)).toEqual([true, false])
    expect(times.map(({ is_seen_again }) => is_seen_again)).toEqual([true, true])
  })

  it('are listed a part at a time, each once, with how many are left', async () => {
    const { id } = await createIntegration(database)
    const run = await openRun(database, id)
    const keys = ['1', '2', '3', '4', '5']
    await writePage(database, run, [], { refused: keys.map((key) => refusedRecord(key)) })

    const first = await listOpen(id, { p_limit: 2 })
    const second = await listOpen(id, { p_after: first.errors.at(-1)?.id, p_limit: 2 })
    const third = await listOpen(id, { p_after: second.errors.at(-1)?.id, p_limit: 2 })

    expect([first, second, third].map((part) => part.open_count)).toEqual([5, 3, 1])
    const ids = [first, second, third].flatMap((part) => part.errors.map((error) => error.id))
    expect(new Set(ids).size).toBe(5)
    expect(await listOpen(randomUUID())).toBeNull()
  })

  it('that were ended while they were tried again stay ended', async () => {
    const { id } = await createIntegration(database)
    const run = await openRun(database, id)
    await writePage(database, run, [], { refused: [refusedRecord('1')] })
    const { errors: [error] } = await listOpen(id)
    await writePage(database, run, [product('1')], { number: 2 })

    await call('service_role', 'record_replay', {
      p_integration_id: id,
      p_outcomes: [{ id: error?.id, ok: false, code: 'invalid_record', message: 'still wrong' }],
    })

    expect(await errorsOf(id)).toMatchObject([{ resolution: 'synced' }])
  })

  it("of another integration are out of a replay's reach", async () => {
    const [ours, theirs] = [await createIntegration(database), await createIntegration(database)]
    const run = await openRun(database, theirs.id)
    await writePage(database, run, [], { refused: [refusedRecord('1')] })
    const [error] =
      await admin`select id from public.sync_errors where integration_id = ${theirs.id}`
    const replay = (integrationId: string) =>
      call('service_role', 'record_replay', {
        p_integration_id: integrationId,
        p_outcomes: [{ id: error?.id, ok: true }],
      })

    await replay(ours.id)
    const afterOurs = await errorsOf(theirs.id)
    await replay(theirs.id)

    expect(afterOurs).toMatchObject([{ resolution: null }])
    expect(await errorsOf(theirs.id)).toMatchObject([{ resolution: 'replayed' }])
  })

  it('may be dismissed by a manager, who must say how they were resolved', async () => {
    const { id, organization_id } = await createIntegration(database)
    const manager = await createPerson(database)
    await addMember(database, organization_id, manager, 'manager')
    const run = await openRun(database, id)
    await writePage(database, run, [], { refused: [refusedRecord('1')] })
    const set = (change: string) =>
      actAs(
        manager,
        (sql) =>
          sql.unsafe(`update public.sync_errors set ${change} where integration_id = '${id}'`),
      )

    await expect(set(`resolved_at = now()`)).rejects.toMatchObject({
      constraint_name: 'sync_errors_resolved_error_says_how',
    })
    await expect(set(`code = 'other'`)).rejects.toMatchObject(permissionDenied)
    await set(`resolved_at = now(), resolution = 'dismissed'`)

    expect(await errorsOf(id)).toMatchObject([{ resolution: 'dismissed' }])
  })
})

describe('records outside a run', () => {
  it('are merged and end their open errors in the way that is named', async () => {
    const { id } = await createIntegration(database)
    const run = await openRun(database, id)
    await writePage(database, run, [], { refused: [refusedRecord('1')] })

    const merged = await apply(id, [product('1')], { p_resolution: 'replayed' })

    expect(merged).toEqual({ created: 1, updated: 0, deleted: 0 })
    expect(await errorsOf(id)).toMatchObject([{ resolution: 'replayed' }])
  })

  it('of an integration that is not there are refused', async () => {
    const { id } = await createIntegration(database)

    await expect(apply(randomUUID(), [product('1')])).rejects.toMatchObject(
      refusal('integration_not_found'),
    )
    await expect(apply(randomUUID(), [])).rejects.toMatchObject(refusal('integration_not_found'))
    await expect(apply(id, [product('1')])).resolves.toMatchObject({ created: 1 })
  })

  it('of a stream without a table are refused', async () => {
    const { id } = await createIntegration(database)

    await expect(
      call('service_role', 'apply_records', {
        p_integration_id: id,
        p_stream: 'unknown',
        p_records: [],
      }),
    ).rejects.toMatchObject(refusal('stream_not_found'))
    await expect(apply(id, [])).resolves.toBeTruthy()
    await expect(startSync(database, id)).resolves.toBeTruthy()
  })
})
