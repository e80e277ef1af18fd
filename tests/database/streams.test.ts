// Does every stream have a table that takes what its contract promises, and gives it back as it was?
import type { TransactionSql } from 'postgres'
import { describe, expect, it } from 'vitest'
import {
  type StreamName,
  STREAMS,
} from '../../supabase/functions/_shared/connectors/vocabulary/streams.ts'
import { callFunction, undone, useDatabase } from '../support/database.ts'
import { connectIntegration, createIntegration, sampleSuite } from '../support/integrations.ts'
import { applyRecords, SAMPLE_COLUMNS, streamRecord } from '../support/stream-records.ts'
import { finishRun, openRun, writePage } from '../support/sync-runs.ts'

const database = useDatabase()
const { admin, owner } = database
const streams = Object.keys(STREAMS) as StreamName[]
const connect = () => createIntegration(database, { connector: sampleSuite })

type Row = Record<string, unknown> & { source_id: string; deleted_at: string | null }
async function rowsOf(stream: StreamName, integrationId: string): Promise<Row[]> {
  const rows = await admin.unsafe(
    `select to_jsonb(held) as row from public.${stream} as held where integration_id = $1 order by source_id`,
    [integrationId],
  )
  return rows.map(({ row }) => row)
}

it('there is a table for each stream of the contracts, and for no other', async () => {
  const known = await admin`select stream from private.stream_tables order by 1`

  expect(known.map(({ stream }) => stream)).toEqual(streams.toSorted())
})

describe.for(streams)('%s', (stream) => {
  const columns = SAMPLE_COLUMNS[stream]

  it('has exactly the columns of its contract, beside ours', async () => {
    const [table] = await admin`
      select private.record_columns(table_name) as columns from private.stream_tables where stream = ${stream}`

    expect(table?.columns.toSorted()).toEqual(Object.keys(STREAMS[stream].shape).toSorted())
  })

  it('comes in by a run: once new, once unchanged, once changed, once gone', async () => {
    const { id } = await connect()
    const run = await openRun(database, id, { stream })
    const record = streamRecord(stream, '1')
    const changed = { ...streamRecord(stream, '1', {}, 2), content_hash: 'changed' }

    const created = await writePage(database, run, [record], { number: 1 })
    const [held] = await rowsOf(stream, id)
    const unchanged = await writePage(database, run, [record], { number: 2, ask: true })
    const updated = await writePage(database, run, [changed], { number: 3 })
    const deleted = await writePage(database, run, [], {
      number: 4,
      deletions: [{ source_id: '1', source_deleted_at: '2026-01-03T00:00:00Z' }],
    })

    expect(held).toMatchObject({ ...columns, source: sampleSuite, deleted_at: null })
    expect(STREAMS[stream].parse(held)).toEqual(columns)
    expect([created, unchanged, updated, deleted]).toMatchObject([
      { created: 1 },
      { committed: true, created: 0, updated: 0 },
      { updated: 1 },
      { deleted: 1 },
    ])
    expect(await finishRun(database, run)).toMatchObject({ status: 'success', deleted_count: 1 })
    expect(await rowsOf(stream, id)).toMatchObject([
      { content_hash: 'changed', deleted_at: '2026-01-03T00:00:00+00:00' },
    ])
  })

  it('is not overwritten by an older version that arrives late', async () => {
    const { id } = await connect()
    const older = { ...streamRecord(stream, '1', {}, 1), content_hash: 'older' }
    const newer = { ...streamRecord(stream, '1', {}, 2), content_hash: 'newer' }

    await applyRecords(database, id, stream, [newer])
    const late = await applyRecords(database, id, stream, [older])

    expect(late).toMatchObject({ created: 0, updated: 0 })
    expect(await rowsOf(stream, id)).toMatchObject([{ content_hash: 'newer' }])
  })

  it('keeps the deletion of a record never seen, whose older version then stays deleted', async () => {
    const { id } = await connect()
    const deletion = { source_id: '1', source_deleted_at: '2026-01-03T00:00:00Z' }

    await applyRecords(database, id, stream, [], [deletion])
    const [unseen] = await rowsOf(stream, id)
    await applyRecords(database, id, stream, [streamRecord(stream, '1', {}, 2)])

    expect(unseen).toMatchObject({ deleted_at: '2026-01-03T00:00:00+00:00', content_hash: null })
    expect(await rowsOf(stream, id)).toMatchObject([{ deleted_at: '2026-01-03T00:00:00+00:00' }])
  })

  it("goes with the data of its integration when that is asked for, and no other integration's", async () => {
    const ours = await connect()
    const kept = await connectIntegration(database, ours.organization_id, {
      connector: sampleSuite,
    })
    for (const { id } of [ours, kept]) {
      await applyRecords(database, id, stream, [streamRecord(stream, '1')])
    }
    const disconnect = (id: string, deleteData: boolean) =>
      database.call('service_role', 'disconnect_integration', {
        p_integration_id: id,
        p_delete_data: deleteData,
      })

    await disconnect(ours.id, true)
    await disconnect(kept.id, false)

    expect(await rowsOf(stream, ours.id)).toEqual([])
    expect(await rowsOf(stream, kept.id)).toHaveLength(1)
  })

  it('keeps a column of ours through every merge', async () => {
    const { id } = await connect()
    await applyRecords(database, id, stream, [streamRecord(stream, '1')])
    const changed = { ...streamRecord(stream, '1', {}, 2), content_hash: 'changed' }
    const merge = (sql: TransactionSql) =>
      callFunction(sql, 'apply_records', {
        p_integration_id: id,
        p_stream: stream,
        p_records: [{ ...changed, made_here: 'by the platform' }],
      })

    const rows = await undone(owner, async (sql) => {
      await sql.unsafe(`alter table public.${stream} add column made_here text`)
      await sql.unsafe(
        `update public.${stream} set made_here = 'by us' where integration_id = '${id}'`,
      )
      await sql`
        update private.stream_tables set local_columns = local_columns || '{made_here}' where stream = ${stream}`
      await merge(sql)
      return await sql.unsafe(
        `select made_here, content_hash from public.${stream} where integration_id = '${id}'`,
      )
    })

    expect(rows).toMatchObject([{ made_here: 'by us', content_hash: 'changed' }])
  })
})

describe('a read record without what it owes is refused by the table', () => {
  it.each<[StreamName, string, string]>([
    ['messages', 'sent_at', 'messages_read_message_says_where_it_went_and_when'],
    ['social_posts', 'published_at', 'social_posts_read_post_says_when_it_was_published'],
    ['orders', 'status', 'orders_read_order_says_how_it_stands_since_when'],
    ['orders', 'currency', 'orders_amounts_have_a_currency'],
    ['analytics', 'value', 'analytics_number_says_what_of_which_day'],
    ['records', 'collection', 'records_read_record_has_a_collection'],
  ])('%s without %s', async (stream, column, constraint_name) => {
    const { id } = await connect()
    const without = { ...streamRecord(stream, '1'), [column]: null }

    await expect(applyRecords(database, id, stream, [without])).rejects.toMatchObject({
      constraint_name,
    })
    await expect(applyRecords(database, id, stream, [streamRecord(stream, '1')])).resolves
      .toMatchObject({ created: 1 })
  })
})
