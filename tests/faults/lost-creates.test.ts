// New records that nothing tells apart but their fields, and whose answer was lost: found again, or asked about, never doubled.
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { startAirtableSimulator } from '../../scripts/simulators/airtable.ts'
import { startHubSpotSimulator } from '../../scripts/simulators/hubspot.ts'
import { type FaultStack, startFaultStack } from '../support/fault-stack.ts'
import { streamRecord } from '../support/stream-records.ts'
import { openPushedAccount, type PushedAccount } from '../support/pushed-account.ts'

let faulty: FaultStack
beforeAll(async () => {
  faulty = await startFaultStack({ functions: false })
})

const ADA = { first_name: 'Ada', last_name: 'Lovelace' }
/** Airtable’s condition leaves out what is too long. */
const LONG_ADA = { first_name: `Ada ${'x'.repeat(101)}`, last_name: `Lovelace ${'x'.repeat(101)}` }

async function openHubSpot() {
  const simulator = await startHubSpotSimulator({ contacts: 0, requestsPerTenSeconds: 0 })
  onTestFinished(simulator.stop)
  const account = await openPushedAccount(faulty, {
    connector: 'hubspot',
    platform: simulator,
    settings: { auth: 'private_app' },
    credentials: simulator.credentials,
  })
  return {
    simulator,
    account,
    /** Somebody at the platform makes it. */
    make: ({ first_name, last_name, phone }: Record<string, string>) =>
      simulator.crm.add({
        firstname: first_name ?? null,
        lastname: last_name ?? null,
        phone: phone ?? null,
      }).id,
    shown: () =>
      simulator.crm.list().map(({ id, properties: { firstname, lastname } }) => ({
        id,
        name: `${firstname} ${lastname}`,
      })),
    creates: 'batch/create',
  }
}

async function openAirtable() {
  const simulator = await startAirtableSimulator({ people: 0, requestsPerSecond: 0 })
  onTestFinished(simulator.stop)
  const people = simulator.base.find('People')!
  const account = await openPushedAccount(faulty, {
    connector: 'airtable',
    platform: simulator,
    settings: { ...simulator.settings, auth: 'personal_access_token' },
    credentials: simulator.credentials,
  })
  return {
    simulator,
    account,
    make: ({ first_name, last_name, phone }: Record<string, string>) =>
      simulator.base.create(people, {
        'First name': first_name,
        'Last name': last_name,
        Phone: phone,
      }).id,
    shown: () =>
      [...people.rows.values()].map(({ id, fields }) => ({
        id,
        name: `${fields['First name']} ${fields['Last name']}`,
      })),
    creates: '/People',
  }
}

type Opened = Awaited<ReturnType<typeof openHubSpot | typeof openAirtable>>

/** Pushes what is new, and nobody hears what became of it. */
async function loseAnswer({ simulator, account, creates }: Opened): Promise<void> {
  simulator.control.setFault({ kind: 'lost_answer', path: creates, times: 1 })
  expect(await account.run('push')).toEqual({ kind: 'released' })
  simulator.control.clearFaults()
}

/** As if what is open had been sent so much earlier. */
const letTimePass = ({ id }: PushedAccount, seconds: number) =>
  faulty.admin`
    update private.outbound_changes set sending_at = sending_at - make_interval(secs => ${seconds})
    where integration_id = ${id} and sending_at is not null`

/** A webhook tells of the person before the answer is known. */
async function bringEcho({ account, shown }: Opened): Promise<void> {
  const [echo] = shown()
  const { error } = await faulty.service.rpc('apply_records', {
    p_integration_id: account.id,
    p_stream: 'contacts',
    p_records: [{
      ...streamRecord('contacts', echo!.id, { email: null, ...ADA }),
      last_synced_at: new Date().toISOString(),
    }],
    p_deletions: [],
  })
  expect(error).toBeNull()
}

const named = (opened: Opened, { first_name, last_name }: typeof ADA) =>
  opened.shown().filter(({ name }) => name === `${first_name} ${last_name}`)

/** One there, and the row here has its id. */
async function expectLinked(opened: Opened, person = ADA): Promise<void> {
  const there = named(opened, person)
  expect(there).toHaveLength(1)
  const here = (await opened.account.rows()).filter((row) =>
    row['first_name'] === person.first_name && row['last_name'] === person.last_name
  )
  expect(here.map(({ source_id }) => source_id)).toEqual([there[0]!.id])
  expect(await opened.account.open()).toBe(0)
  expect(await opened.account.errors()).toEqual([])
}

describe.each(
  [
    ['HubSpot', openHubSpot, 200],
    ['Airtable', openAirtable, 100],
  ] as const,
)('a contact without an address whose answer %s lost', (_name, open, page) => {
  it('is found behind more than a page of those that were made since', async () => {
    const opened = await open()
    for (let index = 0; index <= page; index++) opened.make({ first_name: `Other ${index}` })
    await opened.account.add(LONG_ADA)
    await loseAnswer(opened)

    const log = await opened.account.push()

    expect(log).toMatchObject({ status: 'success', failed_count: 0 })
    expect(opened.shown()).toHaveLength(page + 2)
    await expectLinked(opened, LONG_ADA)
  })

  it('is looked for behind a page whose only one like it is held by another row', async () => {
    const opened = await open()
    opened.make({ ...LONG_ADA, phone: '+1 555 0100' })
    await opened.account.run('full')
    for (let index = 0; index <= page; index++) opened.make({ first_name: `Other ${index}` })
    await opened.account.add(LONG_ADA)
    await loseAnswer(opened)

    const log = await opened.account.push()

    expect(log).toMatchObject({ status: 'success', failed_count: 0 })
    const there = named(opened, LONG_ADA).map(({ id }) => id)
    expect(there).toHaveLength(2)
    expect((await opened.account.rows()).map(({ source_id }) => source_id).sort())
      .toEqual(there.sort())
  })

  it('is not taken for one that says more and that another row holds', async () => {
    const opened = await open()
    const other = opened.make({ ...ADA, phone: '+1 555 0100' })
    await opened.account.run('full')
    await opened.account.add(ADA)
    await loseAnswer(opened)

    const log = await opened.account.push()

    expect(log.status).toBe('success')
    expect(opened.shown()).toHaveLength(2)
    const rows = await opened.account.rows()
    expect(rows.map(({ source_id }) => source_id).sort())
      .toEqual(opened.shown().map(({ id }) => id).sort())
    expect(rows.find(({ source_id }) => source_id === other)).toMatchObject({
      phone: '+1 555 0100',
    })
    expect(await opened.account.conflicts()).toEqual([])
  })

  it('is known where it was read meanwhile: one row, ours', async () => {
    const opened = await open()
    await opened.account.add(ADA)
    const [row] = await opened.account.rows()
    await loseAnswer(opened)
    await bringEcho(opened)
    expect(await opened.account.rows()).toHaveLength(2)

    const log = await opened.account.push()

    expect(log.status).toBe('success')
    await expectLinked(opened)
    expect((await opened.account.rows()).map(({ id }) => id)).toEqual([row!.id])
  })

  it('is found among its likes: each of them once, whoever says more and whoever says the same', async () => {
    const opened = await open()
    const nobody = { ...ADA, phone: null }
    await opened.account.add({ ...ADA, phone: '+1 555 0100' })
    await opened.account.add(nobody, nobody)
    await loseAnswer(opened)
    // so it is asked about last, though it was made first
    await opened.account.change({ phone: '+1 555 0100' }, { phone: '+1 555 0101' })

    const log = await opened.account.push()

    expect(log.status).toBe('success')
    expect(opened.shown()).toHaveLength(3)
    const rows = await opened.account.rows()
    expect(rows.map(({ source_id }) => source_id).sort())
      .toEqual(opened.shown().map(({ id }) => id).sort())
    expect(rows.filter(({ phone }) => phone === '+1 555 0101')).toHaveLength(1)
    expect(await opened.account.conflicts()).toEqual([])
  })
})

describe('contacts without an address whose answer HubSpot lost', () => {
  it('are looked for until each is found, and no further', async () => {
    const opened = await openHubSpot()
    const { account, simulator } = opened
    for (let index = 0; index < 450; index++) opened.make({ first_name: `Other ${index}` })
    await account.add(ADA, ADA)
    await loseAnswer(opened)
    const asked = simulator.requests.length

    const log = await account.push()

    expect(log.status).toBe('success')
    expect(named(opened, ADA)).toHaveLength(2)
    const searches = simulator.requests.slice(asked).filter(({ path }) => path.endsWith('/search'))
    expect(searches).toHaveLength(1)
  })
})

describe('a contact without an address that HubSpot’s search does not show yet', () => {
  it('is not made again while it may still show, and found when it does', async () => {
    const opened = await openHubSpot()
    await opened.account.add(ADA)
    await loseAnswer(opened)
    opened.simulator.control.setSearchLag(20_000)

    const early = await opened.account.run('push')
    const meanwhile = opened.shown().length
    opened.simulator.control.setSearchLag(0)
    const log = await opened.account.push()

    expect(early).toEqual({ kind: 'released' })
    expect(meanwhile).toBe(1)
    expect(log.status).toBe('success')
    await expectLinked(opened)
  })

  it('because it was never made is made when it would show', async () => {
    const opened = await openHubSpot()
    const { account, simulator, creates } = opened
    await account.add(ADA)
    simulator.control.setFault({ kind: 'reset', path: creates, times: 1 })
    await account.run('push')
    simulator.control.clearFaults()

    const early = await account.run('push')
    const meanwhile = opened.shown().length
    await letTimePass(account, 61)
    const log = await account.push()

    expect(early).toEqual({ kind: 'released' })
    expect(meanwhile).toBe(0)
    expect(log).toMatchObject({ status: 'success', pushed_count: 1 })
    await expectLinked(opened)
  })
})
