// What a push does not send, and what it does not believe: each beside the same push going through.
import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import type {
  Connector,
  Stream,
} from '../../supabase/functions/_shared/connectors/define-connector.ts'
import { MOST_PAGES } from '../../supabase/functions/_shared/connectors/push-calls.ts'
import type { Push } from '../../supabase/functions/_shared/connectors/vocabulary/push.ts'
import type { SyncLog } from '../../supabase/functions/_shared/contracts/sync.ts'
import {
  type Database,
  directDatabase,
} from '../../supabase/functions/_shared/platform/database.ts'
import { doSlice, impatientClock } from '../support/engine-run.ts'
import { type FaultStack, startFaultStack } from '../support/fault-stack.ts'
import {
  FIELDS,
  registerTwoWay,
  TWO_WAY,
  twoWayConnector,
  twoWayPlatform,
} from '../support/two-way-platform.ts'

const registry = vi.hoisted(() => new Map<string, Connector>())
vi.mock('../../supabase/functions/_shared/connectors/index.ts', () => ({
  connectors: [],
  findConnector: (slug: string) => registry.get(slug),
}))

const options = { skewMs: 0, withTimes: true, answersTimes: true }
let faulty: FaultStack
let direct: Database
beforeAll(async () => {
  faulty = await startFaultStack({ functions: false })
  await registerTwoWay(faulty)
  direct = directDatabase(faulty.stack.dbUrl)
  return () => direct.end()
})

/** An account whose contacts go both ways; the changes are to how its connector pushes, and reads. */
async function open(changes: Partial<Push> = {}, reading: Partial<Stream> = {}) {
  const connector = twoWayConnector(options)
  const contacts = connector.streams.contacts!
  const push = { ...contacts.push!, ...changes } as Push
  registry.set(TWO_WAY, {
    ...connector,
    streams: { contacts: { ...contacts, ...reading, push } as typeof contacts },
  })
  const { admin } = faulty
  const [organization] = await admin`
    insert into public.organizations (name) values ('Outcomes') returning id`
  const { id } = await direct.call<{ id: string }>('connect_integration', {
    p_organization_id: organization!.id,
    p_connector: TWO_WAY,
    p_external_account_id: randomUUID(),
    p_name: 'Outcomes',
    p_settings: {},
    p_credentials: {},
    p_push_columns: { contacts: FIELDS },
  })
  await admin`
    update public.sync_streams set direction = 'both', next_sync_at = now() + interval '1 day'
    where integration_id = ${id}`
  const platform = twoWayPlatform(options)
  const sync = async (mode: 'full' | 'push') => {
    await admin`delete from private.request_budgets`
    await admin`update private.sync_runs set run_at = now() where integration_id = ${id}`
    const [open] = await admin`
      select sync_log_id from private.sync_runs where integration_id = ${id} and status = 'running'`
    const log = open?.sync_log_id ?? (await direct.call<SyncLog>('start_sync', {
      p_integration_id: id,
      p_stream: 'contacts',
      p_sync_type: 'manual',
      p_mode: mode,
      p_wake: false,
    })).id
    const outside = { db: direct, fetch: platform.fetch, clock: impatientClock }
    await doSlice(faulty.outside(outside), log)
    return await direct.call<SyncLog>('read_sync_log', { p_sync_log_id: log })
  }
  const insert = (...rows: Record<string, string | null>[]) =>
    admin`insert into public.contacts ${
      admin(rows.map((row) => ({ ...row, integration_id: id })) as never)
    }`
  return { id, platform, sync, insert }
}

const refusedOf = (id: string) =>
  faulty.admin`
    select code, message from public.sync_errors
    where integration_id = ${id} and direction = 'push' and resolved_at is null`

describe('a new record whose answer was lost', () => {
  const lost = { at: 1, kind: 'lost answer', fail: () => new TypeError('fetch failed') } as const

  it('is found where it can be asked for, and not sent again', async () => {
    const { id, platform, sync, insert } = await open({ key: null })
    await insert({ email: 'ada@people.test', first_name: 'Ada' })
    platform.setFault({ ...lost, at: 2 }) // the look comes first

    expect((await sync('push')).status).toBe('running')
    platform.setFault(null)
    const log = await sync('push')

    expect(log).toMatchObject({ status: 'success', failed_count: 0 })
    expect(platform.records.size).toBe(1)
    expect(await refusedOf(id)).toEqual([])
  })

  it('waits for a person where nobody can be asked, and goes when they push again', async () => {
    const { id, platform, sync, insert } = await open({ key: null, find: undefined } as never)
    await insert({ email: 'ada@people.test', first_name: 'Ada' })
    platform.setFault({ ...lost, kind: 'not carried out' })

    await sync('push')
    platform.setFault(null)
    const log = await sync('push')

    expect(log).toMatchObject({ status: 'partial', error: { code: 'push_refused' } })
    expect(await refusedOf(id)).toMatchObject([{ code: 'push_unconfirmed' }])
    expect(platform.records.size).toBe(0)

    expect(await sync('push')).toMatchObject({ status: 'success', pushed_count: 1 })
    expect(platform.records.size).toBe(1)
    expect(await refusedOf(id)).toEqual([])
  })
})

describe('a new record whose answer was lost, and whose second try was turned away', () => {
  it('is the one that was made, also when its address changes before it is sent again', async () => {
    const { id, platform, sync, insert } = await open()
    const { fetch } = platform
    await insert({ email: 'ada@people.test', first_name: 'Ada' })
    let writes = 0
    platform.fetch = async (input, init) => {
      if (!String(input).endsWith('/contacts') || init?.method !== 'POST') return fetch(input, init)
      writes += 1
      if (writes > 1) return new Response('{}', { status: 429, headers: { 'retry-after': '3000' } })
      await fetch(input, init)
      throw new TypeError('fetch failed')
    }

    expect((await sync('push')).status).toBe('running')
    platform.fetch = fetch
    await faulty.admin`
      update public.contacts set email = 'grace@people.test' where integration_id = ${id}`
    const log = await sync('push')

    expect(writes).toBe(2)
    expect(log).toMatchObject({ status: 'success', failed_count: 0 })
    expect([...platform.records.values()].map(({ email }) => email)).toEqual(['grace@people.test'])
  })
})

describe('new records whose answer was lost, and whose second try was refused', () => {
  it.each([
    [1, 409], // as who still makes the first may say
    [1, 404],
    [2, 400],
  ])('are looked for: %i of them (%i)', async (count, status) => {
    const { id, platform, sync, insert } = await open()
    const { fetch } = platform
    const emails = ['ada@people.test', 'grace@people.test'].slice(0, count)
    await insert(...emails.map((email) => ({ email, first_name: 'New' })))
    let writes = 0
    platform.fetch = async (input, init) => {
      if (!String(input).endsWith('/contacts') || init?.method !== 'POST') return fetch(input, init)
      writes += 1
      if (writes > 1) return Response.json({}, { status })
      await fetch(input, init)
      throw new TypeError('fetch failed')
    }

    const log = await sync('push')

    expect(writes).toBe(count === 1 ? 2 : 4) // refused together, then each
    expect(log).toMatchObject({ status: 'success', failed_count: 0 })
    expect(await refusedOf(id)).toEqual([])
    expect([...platform.records.values()].map(({ email }) => email).sort()).toEqual(emails)
    expect(
      await faulty.admin`
        select source_id from public.contacts where integration_id = ${id} order by source_id`,
    ).toEqual([...platform.records.keys()].sort().map((source_id) => ({ source_id })))
  })
})

describe('a new record without a key whose answer was lost', () => {
  /** It says that there are more, so many times; what it shows is none of ours. */
  const showing = (pages: number): Partial<Push> => {
    let shown = 0
    return {
      key: null,
      find: {
        max: 1,
        call: ([record]) =>
          record?.uncertain ? { method: 'POST', path: '/search', json: { emails: [] } } : null,
        records: (body) => (body as { data: unknown }).data,
        next: (_body, call) => ++shown < pages ? call : null,
      },
    }
  }
  const notCarriedOut = {
    at: 1,
    kind: 'not carried out',
    fail: () => new TypeError('fetch failed'),
  } as const

  it.each([
    ['is made once it is not among others, as many as are looked through', MOST_PAGES, 1, []],
    ['waits for a person where there are more', MOST_PAGES + 1, 0, ['push_unconfirmed']],
  ])('%s', async (_name, pages, made, refusals) => {
    const { id, platform, sync, insert } = await open(showing(pages))
    await insert({ email: null, first_name: 'Ada' })
    platform.setFault(notCarriedOut)
    await sync('push')
    platform.setFault(null)

    await sync('push')

    expect(platform.records.size).toBe(made)
    expect((await refusedOf(id)).map(({ code }) => code)).toEqual(refusals)
  })
})

describe('a new record that is there in a form that cannot be read', () => {
  /** What the platform shows of anybody cannot be mapped, until it is put right there. */
  function unreadable() {
    const { toRecord } = twoWayConnector(options).streams.contacts!
    const there = { isRight: false }
    const reading: Partial<Stream> = {
      toRecord(raw, context) {
        if (!there.isRight) throw new Error('its kind is unknown')
        return toRecord(raw, context)
      },
    }
    return { there, reading }
  }
  const reason = {
    code: 'invalid_record',
    message: expect.stringMatching(/r0001.*its kind is unknown/),
  }

  it('is not made again by an edit or by hand, says why, and is linked once it can be read', async () => {
    const { there, reading } = unreadable()
    const { id, platform, sync, insert } = await open({}, reading)
    await insert({ email: null, first_name: 'Ada' })
    platform.setFault({ at: 1, kind: 'lost answer', fail: () => new TypeError('fetch failed') })
    await sync('push')
    platform.setFault(null)

    const logs = [await sync('push')]
    await faulty.admin`update public.contacts set company = 'Acme' where integration_id = ${id}`
    logs.push(await sync('push'), await sync('push'))
    const refusals = await refusedOf(id)
    const made = platform.records.size
    there.isRight = true
    const last = await sync('push')

    expect(logs.map(({ status, failed_count }) => [status, failed_count])).toEqual(
      [['partial', 1], ['partial', 1], ['partial', 1]],
    )
    expect(refusals).toEqual([reason])
    expect(made).toBe(1)
    expect(last).toMatchObject({ status: 'success', failed_count: 0 })
    expect([...platform.records.values()]).toMatchObject([{ first_name: 'Ada', company: 'Acme' }])
    expect(await refusedOf(id)).toEqual([])
  })

  it('is not written over, where its address tells that it is there', async () => {
    const { there, reading } = unreadable()
    const { id, platform, sync, insert } = await open({}, reading)
    platform.create({ email: 'ada@x.test', first_name: 'Augusta', company: null, phone: null })
    await insert({ email: 'ada@x.test', first_name: 'Ada' }, { email: 'b@x.test', first_name: 'B' })

    const log = await sync('push')
    const refusals = await refusedOf(id)
    const first = [...platform.records.values()].map(({ first_name }) => first_name)
    there.isRight = true
    await sync('push')

    expect(log).toMatchObject({ status: 'partial', pushed_count: 1, failed_count: 1 })
    expect(refusals).toEqual([reason])
    expect(first).toEqual(['Augusta', 'B'])
    expect(await refusedOf(id)).toEqual([])
  })
})

describe('a record that the connector knows its platform refuses', () => {
  it('is not sent, and says why; the others are', async () => {
    const { id, platform, sync, insert } = await open({
      refuse: ({ columns }) => 'email' in columns && columns.email ? null : 'It has no address.',
    })
    await insert({ email: 'ada@people.test', first_name: 'Ada' }, { email: null, first_name: 'X' })

    const log = await sync('push')

    expect(log).toMatchObject({ status: 'partial', pushed_count: 1, failed_count: 1 })
    expect(await refusedOf(id)).toMatchObject([
      { code: 'push_refused', message: 'It has no address.' },
    ])
    expect([...platform.records.values()]).toMatchObject([{ first_name: 'Ada' }])
  })
})

describe('a look-up that finds none of many records', () => {
  it('is not believed: nothing is deleted or made again; with the records there all are sent', async () => {
    const { id, platform, sync } = await open({ batch: 12 })
    for (let index = 0; index < 12; index++) {
      platform.create({ email: `${index}@x.test`, first_name: 'A', company: null, phone: null })
    }
    await sync('full')
    await faulty.admin`update public.contacts set company = 'Acme' where integration_id = ${id}`
    const held = new Map(platform.records)
    platform.records.clear()

    const log = await sync('push')
    const live = await faulty.admin`
      select id from public.contacts where integration_id = ${id} and deleted_at is null`
    for (const [key, record] of held) platform.records.set(key, record)
    const after = await sync('push')

    expect(log).toMatchObject({ status: 'running', error: { code: 'provider_bad_answer' } })
    expect(live).toHaveLength(12)
    expect(after).toMatchObject({ status: 'success', pushed_count: 12 })
    expect([...platform.records.values()].every(({ company }) => company === 'Acme')).toBe(true)
  })

  it('of those to be deleted is what was wanted, and holds up nothing', async () => {
    const { id, platform, sync } = await open({ batch: 12 })
    for (let index = 0; index < 12; index++) {
      platform.create({ email: `${index}@x.test`, first_name: 'A', company: null, phone: null })
    }
    await sync('full')
    await faulty
      .admin`update public.sync_streams set push_deletes = true where integration_id = ${id}`
    await faulty.admin`delete from public.contacts where integration_id = ${id}`
    platform.records.clear()

    const log = await sync('push')

    expect(log).toMatchObject({ status: 'success', failed_count: 0 })
    expect(
      await faulty.admin`select * from private.outbound_changes where integration_id = ${id}`,
    ).toEqual([])
  })
})
