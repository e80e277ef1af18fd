// What if the platform forgets a list that is being read, as Airtable does? And what does the next run ask for?
import { beforeAll, expect, it, onTestFinished } from 'vitest'
import { startAirtableSimulator } from '../../scripts/simulators/airtable.ts'
import { doSlice, impatientClock } from '../support/engine-run.ts'
import {
  connectAccount,
  type FaultStack,
  lastLog,
  queueSync,
  startFaultStack,
} from '../support/fault-stack.ts'
import { testEnvironment } from '../support/environment.ts'

let faulty: FaultStack
beforeAll(async () => {
  faulty = await startFaultStack({ functions: false })
})

/** A base of 250 people, connected by token, whose rows do not say when they were changed. */
async function setUp() {
  const base = await startAirtableSimulator({ requestsPerSecond: 0 })
  onTestFinished(base.stop)
  const { last_modified: _, ...contacts } = base.settings.contacts
  const id = await connectAccount(faulty, {
    connector: 'airtable',
    settings: { ...base.settings, contacts, auth: 'personal_access_token' },
    credentials: base.credentials,
    batchSize: 100,
  })
  const outside = faulty.outside({
    environment: testEnvironment({ CONNECTOR_OVERRIDES: { airtable: { baseUrl: base.baseUrl } } }),
    clock: impatientClock,
  })
  const queue = async (mode: 'full' | 'incremental') =>
    (await queueSync(faulty, id, { stream: 'contacts', mode })).id
  const slice = (run: string, records?: number) => doSlice(outside, run, records)
  const people = () => [...base.base.find('People')!.rows.keys()].sort()
  const synced = async () => {
    const rows = await faulty.admin`
      select source_id from public.contacts
      where integration_id = ${id} and deleted_at is null order by source_id collate "C"`
    return rows.map(({ source_id }) => source_id as string)
  }
  const pages = () => base.requests.filter(({ path }) => path.includes('pageSize')).length
  return { base, id, queue, slice, people, synced, pages }
}

it('the list is forgotten between two slices: the scan begins again, and everybody is there once', async () => {
  const { base, id, queue, slice, people, synced, pages } = await setUp()
  const run = await queue('full')

  const first = await slice(run, 100)
  base.control.expireIterators()
  const second = await slice(run)

  expect([first.kind, second.kind]).toEqual(['released', 'finished'])
  expect(await synced()).toEqual(people())
  expect(await lastLog(faulty, id)).toMatchObject({ status: 'success', created_count: 250 })
  expect(base.requests.filter(({ status }) => status === 422)).toHaveLength(1)
  expect(pages()).toBeGreaterThanOrEqual(5)
})

it('the next run asks for what changed since the last one asked, though no row says when that was', async () => {
  const { base, id, queue, slice, people, synced, pages } = await setUp()
  await slice(await queue('full'))
  const before = pages()
  const changed = base.control.change(2)
  const added = base.control.add(1)

  await slice(await queue('incremental'))

  const log = await lastLog(faulty, id)
  const fresh = await faulty.admin`
    select source_id from public.contacts where integration_id = ${id} and company like 'Renamed%'`
  expect(log).toMatchObject({ status: 'success', mode: 'incremental' })
  expect([log.fetched_count, log.created_count, log.updated_count]).toEqual([3, 1, 2])
  expect(fresh.map(({ source_id }) => source_id).sort()).toEqual([...changed].sort())
  expect(await synced()).toEqual(people())
  expect(people()).toContain(added[0])
  expect(pages() - before).toBe(1)
})

it('a field that was renamed stops the run, and every column is as it was', async () => {
  const { base, id, queue, slice } = await setUp()
  await slice(await queue('full'))
  const field = base.base.find('People')!.fields.find(({ name }) => name === 'Email')!
  field.name = 'Mail'

  const outcome = await slice(await queue('full'))

  expect(outcome).toMatchObject({ kind: 'finished' })
  expect(await lastLog(faulty, id)).toMatchObject({
    status: 'failed',
    error: { code: 'invalid_settings', next: 'owner', message: expect.stringContaining('"Email"') },
  })
  const [row] = await faulty.admin`
    select count(*)::int as count from public.contacts
    where integration_id = ${id} and email is not null and deleted_at is null`
  expect(row).toEqual({ count: 250 })
})
