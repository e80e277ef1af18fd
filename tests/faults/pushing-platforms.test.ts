// Do local changes go out to each platform through the database and the engine, and what do lost answers leave behind?
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { startHubSpotSimulator } from '../../scripts/simulators/hubspot.ts'
import { startLeaflySimulator } from '../../scripts/simulators/leafly.ts'
import { idOf } from '../../scripts/simulators/mailchimp/audience.ts'
import { startMailchimpSimulator } from '../../scripts/simulators/mailchimp.ts'
import { startSalesforceSimulator } from '../../scripts/simulators/salesforce.ts'
import type { Connector } from '../../supabase/functions/_shared/connectors/define-connector.ts'
import { type FaultStack, startFaultStack } from '../support/fault-stack.ts'
import { openPushedAccount, type PushedAccount } from '../support/pushed-account.ts'
import {
  registerTwoWay,
  TWO_WAY,
  twoWayConnector,
  twoWayPlatform,
} from '../support/two-way-platform.ts'

const registry = vi.hoisted(() => new Map<string, Connector>())
vi.mock('../../supabase/functions/_shared/connectors/index.ts', async (original) => {
  const real = await original<{ findConnector(slug: string): Connector | undefined }>()
  return {
    ...real,
    findConnector: (slug: string) => registry.get(slug) ?? real.findConnector(slug),
  }
})

let faulty: FaultStack
beforeAll(async () => {
  faulty = await startFaultStack({ functions: false })
})

/** More than a look-up may plausibly miss at once. */
const MANY = 12

async function openHubSpot(contacts: number, stream: Record<string, unknown> = {}) {
  const simulator = await startHubSpotSimulator({ contacts, requestsPerTenSeconds: 0 })
  onTestFinished(simulator.stop)
  const account = await openPushedAccount(faulty, {
    connector: 'hubspot',
    platform: simulator,
    settings: { auth: 'private_app' },
    credentials: simulator.credentials,
    stream,
  })
  return { simulator, account }
}

describe('a look-up that finds none of many', () => {
  it('does not hold up deletions that were done, though their answer was lost', async () => {
    const { simulator, account } = await openHubSpot(MANY, { push_deletes: true })
    await account.remove()
    simulator.control.setFault({ kind: 'lost_answer', path: 'batch/archive', times: null })

    const lost = await account.run('push')
    simulator.control.clearFaults()
    const log = await account.push()

    expect(lost).toEqual({ kind: 'released' })
    expect(log.status).toBe('success')
    expect(simulator.crm.list()).toEqual([])
    expect(await account.open()).toBe(0)
    expect(await account.errors()).toEqual([])
  })

  it('is believed where it finds another record that is listed', async () => {
    const { simulator, account } = await openHubSpot(MANY + 1)
    const [left, ...gone] = simulator.crm.list().map(({ id }) => id)
    for (const source_id of gone) await account.change({ source_id }, { first_name: 'Augusta' })
    simulator.crm.archive(gone)

    const log = await account.push()

    expect(log.status).toBe('success')
    expect(await account.open()).toBe(0)
    expect((await account.rows()).map(({ source_id }) => source_id)).toEqual([left])
    expect(await account.conflicts()).toHaveLength(MANY)
  })

  it('is not believed where it finds nothing that is listed: nothing is deleted here', async () => {
    const { simulator, account } = await openHubSpot(MANY)
    await account.change({}, { first_name: 'Augusta' })
    simulator.control.setFault({
      kind: 'status',
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ status: 'COMPLETE', results: [] }),
      path: 'batch/read',
      times: null,
    })

    const held = await account.run('push')

    expect(held).toEqual({ kind: 'released' })
    expect(await account.rows()).toHaveLength(MANY)
    expect(await account.open()).toBe(MANY)
    simulator.control.clearFaults()
    expect((await account.push()).pushed_count).toBe(MANY)
  })

  it.each([
    ['both', 'released', MANY, MANY],
    ['push', 'finished', 0, 0], // no complete run will ever say more
  ])(
    'where nothing is listed either, of a stream that goes %s',
    async (direction, kind, rows, open) => {
      const { simulator, account } = await openHubSpot(MANY, { direction })
      await account.change({}, { first_name: 'Augusta' })
      simulator.crm.archive(simulator.crm.list().map(({ id }) => id))

      const outcome = await account.run('push')

      expect(outcome.kind).toBe(kind)
      expect(await account.rows()).toHaveLength(rows)
      expect(await account.open()).toBe(open)
    },
  )
})

async function openMailchimp(stream: Record<string, unknown> = {}, lacks?: string) {
  const simulator = await startMailchimpSimulator({ members: 3 })
  onTestFinished(simulator.stop)
  if (lacks) {
    simulator.audience.mergeFields.delete(lacks)
    for (const { merge_fields } of simulator.audience.members.values()) delete merge_fields[lacks]
  }
  const account = await openPushedAccount(faulty, {
    connector: 'mailchimp',
    platform: simulator,
    settings: { ...simulator.settings, auth: 'api_key' },
    credentials: simulator.credentials,
    stream,
  })
  const addresses = () =>
    [...simulator.audience.members.values()].map(({ email_address }) => email_address).sort()
  return { simulator, account, addresses }
}

describe('an address changed at Mailchimp, whose id follows it', () => {
  const NEW = 'new@people.example'
  const before = async () => {
    const opened = await openMailchimp()
    const [, row] = await opened.account.rows()
    const others = opened.addresses().filter((address) => address !== row!['email'])
    await opened.account.change({ id: row!.id }, { email: NEW })
    return { ...opened, row: row!, expected: [...others, NEW].sort() }
  }
  const path = '/members/'

  it.each([
    ['one answer', 1], // the call is repeated at once, and its member not found
    ['every answer', null],
  ])('whose push loses %s stays one member and one contact', async (_name, times) => {
    const { simulator, account, row, expected, addresses } = await before()
    simulator.control.setFault({ kind: 'lost_answer', path, after: 1, times })

    await account.run('push')
    simulator.control.clearFaults()
    await account.run('push')

    expect(addresses()).toEqual(expected)
    expect(await account.open()).toBe(0)
    const held = await account.rows()
    expect(held).toHaveLength(3)
    expect(held.find(({ id }) => id === row.id)).toMatchObject({ email: NEW, source_id: idOf(NEW) })
    expect(await account.conflicts()).toEqual([])
  })

  it('and changed again before that is known goes on from where it is', async () => {
    const { simulator, account, row, expected, addresses } = await before()
    simulator.control.setFault({ kind: 'lost_answer', path, after: 1, times: null })
    await account.run('push')
    simulator.control.clearFaults()
    await account.change({ id: row.id }, { email: 'newer@people.example' })

    const log = await account.push()

    expect(log.status).toBe('success')
    expect(addresses()).toEqual(
      [...expected.filter((one) => one !== NEW), 'newer@people.example'].sort(),
    )
    expect(await account.open()).toBe(0)
    expect(await account.rows()).toHaveLength(3)
    expect(await account.conflicts()).toEqual([])
  })

  it('and changed again is still known when the next try never leaves', async () => {
    const { simulator, account, row, expected, addresses } = await before()
    simulator.control.setFault({ kind: 'lost_answer', path, after: 1, times: null })
    await account.run('push')
    simulator.control.clearFaults()
    await account.change({ id: row.id }, { email: 'newer@people.example' })
    // both looks are answered
    simulator.control.setFault({ kind: 'retry_after', retry_after: 1, path, after: 2, times: null })

    const unsent = await account.run('push')
    simulator.control.clearFaults()
    const log = await account.push()

    expect(unsent).toEqual({ kind: 'released' })
    expect(log.status).toBe('success')
    expect(addresses()).toEqual(
      [...expected.filter((one) => one !== NEW), 'newer@people.example'].sort(),
    )
    expect((await account.rows()).map(({ id }) => id)).toContain(row.id)
    expect(await account.rows()).toHaveLength(3)
    expect(await account.conflicts()).toEqual([])
  })

  it('is deleted here when the member is really gone', async () => {
    const { simulator, account, row } = await before()
    simulator.control.erase([row.source_id])

    await account.push()

    expect((await account.rows()).map(({ id }) => id)).not.toContain(row.id)
    expect(await account.conflicts()).toEqual([{ kind: 'remote_deleted' }])
  })
})

describe('a merge field that the audience does not have', () => {
  const asSoon = (id: string) =>
    faulty.admin`update private.outbound_changes set run_at = now() where integration_id = ${id}`

  it('is refused by its name before anything is written, and pushed when it is there', async () => {
    const { simulator, account } = await openMailchimp({}, 'COMPANY')
    const [row] = await account.rows()
    await account.change({ id: row!.id }, { first_name: 'Augusta', company: 'Acme' })

    const log = await account.push()
    const errors = await account.errors()
    const untouched = { ...simulator.audience.members.get(row!.source_id)!.merge_fields }
    simulator.audience.mergeFields.add('COMPANY')
    await account.push()

    expect(log).toMatchObject({ status: 'partial', pushed_count: 0, failed_count: 1 })
    expect(untouched['FNAME']).toBe(row!['first_name'])
    expect(errors).toMatchObject([{
      code: 'push_refused',
      message: expect.stringContaining('COMPANY'),
    }])
    expect(await account.errors()).toEqual([])
    expect(simulator.audience.members.get(row!.source_id)).toMatchObject({
      merge_fields: { FNAME: 'Augusta', COMPANY: 'Acme' },
    })
  })

  it('leaves a new member linked, not doubled', async () => {
    const { account, addresses } = await openMailchimp({}, 'COMPANY')
    await account.add({ email: 'new@people.example', first_name: 'Mary', company: 'Acme' })

    await account.push()
    await asSoon(account.id)
    const log = await account.push()
    await account.run('full')

    expect(log).toMatchObject({ status: 'partial', failed_count: 1 })
    expect(await account.errors()).toMatchObject([{
      message: expect.stringContaining('COMPANY'),
    }])
    expect(addresses()).toHaveLength(4)
    const rows = await account.rows()
    expect(rows).toHaveLength(4)
    expect(rows.find(({ email }) => email === 'new@people.example')).toMatchObject({
      source_id: idOf('new@people.example'),
      company: 'Acme',
    })
    expect(await account.conflicts()).toEqual([])
  })
})

async function openSalesforce(stream: Record<string, unknown> = {}, settings = {}) {
  const simulator = await startSalesforceSimulator({ contacts: 3, leads: 1 })
  onTestFinished(simulator.stop)
  const account = await openPushedAccount(faulty, {
    connector: 'salesforce',
    platform: simulator,
    settings,
    stream,
  })
  const people = () =>
    [...simulator.org.records('Contact'), ...simulator.org.records('Lead')]
      .filter(({ IsDeleted }) => !IsDeleted)
  return { simulator, account, people }
}

describe('two contacts with one address that are made for Salesforce, which knows no key', () => {
  it('are one there and here, also when each goes in a call of its own', async () => {
    const { account, people } = await openSalesforce({ push_batch_size: 1 })
    const twin = { email: 'twin@people.example', last_name: 'Hopper', first_name: null }
    await account.add(twin, { ...twin, first_name: 'Grace' })

    const log = await account.push()

    expect(log.status).toBe('success')
    expect(people().filter(({ Email }) => Email === twin.email)).toHaveLength(1)
    const made = (await account.rows()).filter(({ email }) => email === twin.email)
    expect(made).toMatchObject([{ first_name: 'Grace', last_name: 'Hopper' }])
    expect(await account.open()).toBe(0)
  })
})

describe('a stream that the code no longer pushes', () => {
  it.each(['push', 'full'] as const)('fails a %s run that is set to push it', async (mode) => {
    const { account } = await openMailchimp()
    await faulty.admin`
      update public.sync_streams set push_columns = '{value}', direction = 'both'
      where integration_id = ${account.id} and stream = 'analytics'`

    const failed = await account.run(mode, 'analytics')
    await faulty.admin`
      update public.sync_streams set direction = 'pull'
      where integration_id = ${account.id} and stream = 'analytics'`
    const read = await account.run('full', 'analytics')

    expect(failed).toMatchObject({
      kind: 'finished',
      log: { status: 'failed', error: { code: 'stream_not_pushed' } },
    })
    expect(read).toMatchObject({ kind: 'finished', log: { status: 'success' } })
  })
})

async function openLeafly() {
  const simulator = await startLeaflySimulator()
  onTestFinished(simulator.stop)
  const account = await openPushedAccount(faulty, {
    connector: 'leafly',
    platform: simulator,
    settings: simulator.settings,
    credentials: simulator.credentials,
    table: 'products',
    stream: { push_deletes: true },
  })
  const names = () => {
    simulator.control.process()
    return simulator.menu().map(({ name }) => name)
  }
  return { account, names }
}

/** A record is made, changed and deleted here, each with a push; what shows at the platform after each. */
async function throughItsLife(
  account: PushedAccount,
  row: Record<string, unknown>,
  change: Record<string, unknown>,
  shown: () => unknown,
): Promise<unknown[]> {
  const seen = []
  for (
    const step of [
      () => account.add(row),
      () => account.change(row, change),
      () => account.remove({ ...row, ...change }),
    ]
  ) {
    await step()
    const { status, pushed_count, failed_count } = await account.push()
    expect({ status, pushed_count, failed_count, open: await account.open() })
      .toEqual({ status: 'success', pushed_count: 1, failed_count: 0, open: 0 })
    seen.push(shown())
  }
  return seen
}

describe('a record that is made, changed and deleted here', () => {
  const person = { email: 'grace@people.example', first_name: 'Grace', last_name: 'Hopper' }
  const promoted = { first_name: 'Rear Admiral' }

  it('is so at Mailchimp, and comes back as what it is', async () => {
    const { simulator, account } = await openMailchimp({ push_deletes: true })
    const member = simulator.audience.members
    const shown = () => {
      const { status, merge_fields } = member.get(idOf(person.email))!
      return [status, merge_fields['FNAME']]
    }

    const seen = await throughItsLife(account, person, promoted, shown)
    await account.run('full')

    expect(seen).toEqual([
      ['transactional', 'Grace'],
      ['transactional', 'Rear Admiral'],
      ['archived', 'Rear Admiral'],
    ])
    expect(await account.rows()).toHaveLength(3)
    expect(await account.conflicts()).toEqual([])
  })

  it.each([
    ['without a field for our id', {}],
    ['with one', { external_id_field: 'Shop_Id__c' }],
  ])('is so at Salesforce, %s', async (_name, settings) => {
    const { account, people } = await openSalesforce({ push_deletes: true }, settings)
    const shown = () =>
      people().flatMap(({ Email, FirstName }) => Email === person.email ? [FirstName] : [])

    const seen = await throughItsLife(account, person, promoted, shown)
    await account.run('full')

    expect(seen).toEqual([['Grace'], ['Rear Admiral'], []])
    expect(await account.rows()).toHaveLength(4)
    expect(await account.conflicts()).toEqual([])
  })

  it('is so on the menu of Leafly, which is not read', async () => {
    const { account, names } = await openLeafly()
    const product = {
      name: 'Lemon Drift',
      category: 'Edible',
      status: 'active',
      price_amount: '40.00',
      price_currency: 'USD',
      stock_quantity: '7',
    }

    const seen = await throughItsLife(account, product, { name: 'Lemon Drop' }, names)

    expect(seen).toEqual([['Lemon Drift'], ['Lemon Drop'], []])
  })
})

describe('a new record whose answer was lost, where it can neither be found nor sent twice', () => {
  it('is not sent again by itself: whoever pushes it is asked to look first', async () => {
    const options = { skewMs: 0, withTimes: true, answersTimes: true }
    const platform = twoWayPlatform(options)
    const connector = twoWayConnector(options)
    const { find: _, ...push } = connector.streams.contacts!.push!
    registry.set(TWO_WAY, {
      ...connector,
      streams: { contacts: { ...connector.streams.contacts!, push: { ...push, key: null } } },
    } as Connector)
    await registerTwoWay(faulty)
    const account = await openPushedAccount(faulty, {
      connector: TWO_WAY,
      platform: { baseUrl: 'http://platform.test' },
      settings: {},
      credentials: {},
      fetch: platform.fetch,
    })
    await account.add({ first_name: 'Nobody' })
    platform.setFault({ at: 1, kind: 'lost answer', fail: () => new TypeError('fetch failed') })

    const lost = await account.run('push')
    platform.setFault(null)
    const log = await account.push()

    expect(lost).toEqual({ kind: 'released' })
    expect(log).toMatchObject({ status: 'partial', pushed_count: 0, failed_count: 1 })
    expect(await account.errors()).toMatchObject([{ code: 'push_unconfirmed' }])
    expect(platform.records.size).toBe(1)

    expect(await account.push()).toMatchObject({ status: 'success', pushed_count: 1 })
    expect(await account.errors()).toEqual([])
  })
})
