// Each connector that pushes, against the simulator of its platform.
import { describe, expect, it, onTestFinished } from 'vitest'
import { startAirtableSimulator } from '../../scripts/simulators/airtable.ts'
import { startHubSpotSimulator } from '../../scripts/simulators/hubspot.ts'
import { startLeaflySimulator } from '../../scripts/simulators/leafly.ts'
import { startMailchimpSimulator } from '../../scripts/simulators/mailchimp.ts'
import { startSalesforceSimulator } from '../../scripts/simulators/salesforce.ts'
import { airtable } from '../../supabase/functions/_shared/connectors/airtable.ts'
import { pushColumnsOf } from '../../supabase/functions/_shared/connectors/define-connector.ts'
import { hubspot } from '../../supabase/functions/_shared/connectors/hubspot.ts'
import { connectors } from '../../supabase/functions/_shared/connectors/index.ts'
import { leafly } from '../../supabase/functions/_shared/connectors/leafly.ts'
import { mailchimp } from '../../supabase/functions/_shared/connectors/mailchimp.ts'
import { pushCalls } from '../../supabase/functions/_shared/connectors/push-calls.ts'
import { salesforce } from '../../supabase/functions/_shared/connectors/salesforce.ts'
import { pushBatches } from '../../supabase/functions/_shared/connectors/vocabulary/push.ts'
import { fakeClock } from '../support/fake-clock.ts'
import { type Columns, newRecord, pushConformance } from './push-conformance.ts'
import { openSimulated, signIn, type SimulatedAccount } from './simulated-account.ts'

const NOW = '2026-11-20T09:00:00Z'

const address = {
  line1: '1 Pine St',
  line2: 'Floor 2',
  city: 'Portland',
  region: 'OR',
  postal_code: '97205',
  country: 'US',
}
const person = (number: number) => ({
  email: `Grace.${number}@push.example`,
  first_name: 'Grace',
  last_name: `O'Hara "${number}" \\`,
  phone: '+1 555 0100',
})
const newContact = (columns: Columns) =>
  newRecord({ ...person(1), ...columns }, Object.keys(columns))
const callsOf = (options: SimulatedAccount) => {
  const { connector, clock } = options
  const { settings, account: facts } = connector.readAccount({
    settings: options.settings ?? {},
    credentials: options.credentials ?? {},
    account: options.facts ?? {},
  })
  return pushCalls({
    connector,
    stream: connector.streams.contacts!,
    account: openSimulated(options),
    context: { settings, account: facts, now: clock.now() },
  })
}
const noEmail = { first_name: 'Nomail', last_name: "D'Arc \\", phone: null }

// Airtable

async function openAirtable(settings: Record<string, unknown> = {}) {
  const clock = fakeClock(NOW)
  const simulator = await startAirtableSimulator({ requestsPerSecond: 0, now: clock.now })
  onTestFinished(simulator.stop)
  const table = simulator.base.find('People')!
  return {
    simulator,
    options: {
      connector: airtable,
      simulator,
      clock,
      settings: { ...simulator.settings, auth: 'personal_access_token', ...settings },
      credentials: simulator.credentials,
    },
    ids: () => [...table.rows.keys()],
    changeThere: (id: string) =>
      simulator.base.change(table.rows.get(id)!, { Phone: '+1 555 0199' }),
    removeThere: (id: string) => simulator.base.remove(table, id),
  }
}

const airtableFixture = {
  setUp: () => openAirtable(),
  columns: (number: number) => ({ ...person(number), tags: ['vip', 'press'] }),
  change: { first_name: 'Rear Admiral', tags: [] },
  changedThere: { phone: '+1 555 0199' },
  refusedThere: { company: 'Acme' }, // a lookup there, which is computed
  keyless: noEmail,
  refusals: [],
}
pushConformance(airtable, 'contacts', airtableFixture)
pushConformance(airtable, 'contacts', {
  ...airtableFixture,
  as: 'with its fields by their ids',
  async setUp() {
    const simulator = await startAirtableSimulator({ requestsPerSecond: 0 })
    await simulator.stop()
    const { fields } = simulator.base.find('People')!
    const idOf = (name: string) => fields.find((field) => field.name === name)!.id
    return await openAirtable({
      contacts: Object.fromEntries(
        Object.entries(simulator.settings.contacts).map(([column, name]) => [
          column,
          column === 'table' ? name : idOf(name),
        ]),
      ),
    })
  },
})

// HubSpot

async function openHubSpot() {
  const clock = fakeClock(NOW)
  const simulator = await startHubSpotSimulator({ requestsPerTenSeconds: 0, now: clock.now })
  onTestFinished(simulator.stop)
  return {
    simulator,
    options: {
      connector: hubspot,
      simulator,
      clock,
      settings: { auth: 'private_app' },
      credentials: simulator.credentials,
      facts: { hub_id: '62515' },
    },
    ids: () => simulator.crm.list().map(({ id }) => id),
    changeThere: (id: string) => simulator.crm.change([id], { phone: '+1 555 0199' }),
    removeThere: (id: string) => simulator.crm.archive([id]),
  }
}

pushConformance(hubspot, 'contacts', {
  setUp: openHubSpot,
  columns: (number) => ({
    ...person(number),
    company: 'Acme',
    job_title: 'Admiral',
    address,
  }),
  change: { first_name: null, address: null },
  changedThere: { phone: '+1 555 0199' },
  refusedThere: { email: 'no address' },
  keyless: noEmail,
  refusals: [],
})

// Mailchimp

pushConformance(mailchimp, 'contacts', {
  async setUp() {
    const clock = fakeClock(NOW)
    const simulator = await startMailchimpSimulator({ now: clock.now })
    onTestFinished(simulator.stop)
    return {
      simulator,
      options: {
        connector: mailchimp,
        simulator,
        clock,
        settings: { ...simulator.settings, auth: 'api_key' },
        credentials: simulator.credentials,
        facts: { account_id: '8d3a3db4d97663a9074efcc16', audience_name: 'Newsletter' },
      },
      ids: () => [...simulator.audience.members.keys()],
      changeThere: (id: string) => {
        const { merge_fields } = simulator.audience.members.get(id)!
        simulator.control.change([id], { merge_fields: { ...merge_fields, PHONE: '+1 555 0199' } })
      },
      removeThere: (id: string) => simulator.control.erase([id]),
    }
  },
  columns: (number) => ({
    ...person(number),
    company: 'Acme',
    marketing_status: 'subscribed',
    address,
  }),
  // the address of a member is its id
  change: { email: 'hopper@push.example', address: null, marketing_status: 'unsubscribed' },
  changedThere: { phone: '+1 555 0199' },
  refusedThere: { email: 'fake@invalid.example' },
  refusals: [
    { what: 'somebody without an address', columns: { email: ' ' }, says: /none\.$/ },
    {
      what: 'a bounce',
      columns: { marketing_status: 'bounced' },
      says: /itself says whose mail bounces/,
    },
    {
      what: 'a status that is taken back',
      columns: { marketing_status: null },
      changed: ['marketing_status'],
      says: /always has a status/,
    },
    {
      what: 'half an address',
      columns: { address: { ...address, city: null, postal_code: '' } },
      says: /has no city, postal_code/,
    },
  ],
})

// Salesforce

async function openSalesforce(settings: Record<string, unknown>) {
  const clock = fakeClock(NOW)
  const simulator = await startSalesforceSimulator({ now: clock.now })
  onTestFinished(simulator.stop)
  const signedIn = await signIn(salesforce, simulator)
  return {
    simulator,
    options: {
      connector: salesforce,
      simulator,
      clock,
      settings,
      facts: signedIn.account,
      token: signedIn.access_token,
    },
    ids: () =>
      [...simulator.org.records('Contact'), ...simulator.org.records('Lead')]
        .filter(({ IsDeleted }) => !IsDeleted).map(({ Id }) => Id),
    changeThere: (id: string) => simulator.org.change([id], { Phone: '+1 555 0199' }),
    removeThere: (id: string) => simulator.org.remove([id]),
  }
}

const salesforceFixture = {
  setUp: () => openSalesforce({}),
  columns: (number: number) => ({
    ...person(number),
    job_title: 'Admiral',
    address,
  }),
  change: { first_name: null, job_title: 'Rear Admiral', address: null },
  changedThere: { phone: '+1 555 0199' },
  refusedThere: { email: 'no address' },
  refusals: [{
    what: 'somebody without a last name',
    columns: { last_name: ' ' },
    says: /wants a last name/,
  }],
}
pushConformance(salesforce, 'contacts', {
  ...salesforceFixture,
  keyless: noEmail,
  repeatable: false,
})
pushConformance(salesforce, 'contacts', {
  ...salesforceFixture,
  as: 'by our own ids',
  setUp: () =>
    openSalesforce({ external_id_field: 'Shop_Id__c', record_type: "People we won't call" }),
})

// Leafly

const product = (number: number) => ({
  name: `Lemon Drift ${number}`,
  description: 'Citrus.',
  brand: 'Acme',
  category: 'flower',
  status: 'active',
  price_currency: 'USD',
  variants: [
    { source_id: 'a', name: '3.5g', sku: null, price_amount: '40.00', stock_quantity: '7' },
    { source_id: 'b', name: '1/8 oz', sku: null, price_amount: '38.50', stock_quantity: null },
  ],
  image_urls: ['https://img.example.com/101.png'],
  stock_quantity: '3',
})

pushConformance(leafly, 'products', {
  async setUp() {
    const clock = fakeClock(NOW)
    const simulator = await startLeaflySimulator({ now: clock.now })
    onTestFinished(simulator.stop)
    const menu = () => {
      simulator.control.process()
      return simulator.menu()
    }
    return {
      simulator,
      options: {
        connector: leafly,
        simulator,
        clock,
        settings: simulator.settings,
        credentials: simulator.credentials,
      },
      ids: () => menu().map(({ id }) => id),
      removeThere: () => {}, // whether it was there is not told
      shown(id: string) {
        const item = menu().find((item) => item.id === id)
        return item && {
          name: item.name,
          description: item['description'],
          brand: item['brand'],
          category: item.type.toLowerCase(),
          status: item.published ? 'active' : 'inactive',
          price_currency: 'USD',
          variants: item.variants.map(({ id, amount, unit, price, inventoryLevel }, index) => ({
            ...product(1).variants[index]!,
            source_id: String(id).split(':').at(-1),
            name: unit === 'g' ? `${amount}g` : `1/${1 / amount} oz`,
            price_amount: (price / 100).toFixed(2),
            stock_quantity: index === 0 ? String(inventoryLevel) : null,
          })),
          image_urls: item.imageUrl ? [item.imageUrl] : [],
          stock_quantity: String(item.variants[1]?.inventoryLevel),
        }
      },
    }
  },
  columns: product,
  change: { name: 'Lemon Drop', image_urls: [] },
  refusals: [
    {
      what: 'a category that is no type of Leafly’s',
      columns: { category: 'Sweets' },
      says: /no type "Sweets".*Flower/,
    },
    { what: 'no category', columns: { category: null }, says: /needs a type/ },
    { what: 'another currency', columns: { price_currency: 'EUR' }, says: /this one is in EUR/ },
    {
      what: 'no price',
      columns: { variants: [], category: 'Edible', price_amount: null },
      says: /needs a price/,
    },
    {
      what: 'a price below a cent',
      columns: { variants: [], category: 'Edible', price_amount: '0.001' },
      says: /variants\.0\.price must be whole cents/,
    },
    {
      what: 'stock that is not counted',
      columns: { variants: [], category: 'Edible', price_amount: '4', stock_quantity: null },
      says: /stock is not counted/,
    },
    {
      what: 'flower without a weight',
      columns: { variants: [], price_amount: '4' },
      says: /sells Flower by weight/,
    },
    { what: 'HTML', columns: { description: '<p>Citrus.</p>' }, says: /plain text/ },
    { what: 'no name', columns: { name: ' ' }, says: /name/ },
  ],
})

describe('Salesforce', () => {
  it('finds contacts and leads by their ids in one call, and writes and deletes both', async () => {
    const { options, simulator } = await openSalesforce({})
    const { org } = simulator
    const [contact, gone] = org.records('Contact')
    const [lead] = org.records('Lead')
    const ids = [lead!.Id, contact!.Id]
    org.remove([gone!.Id])
    const account = openSimulated(options)
    simulator.requests.length = 0

    const found = await account.lookup('contacts', [...ids, gone!.Id])
    const calls = callsOf(options)
    const outcomes = await calls.write(
      'update',
      ids.map((id) => ({
        ...newContact({ phone: null, address }),
        source_id: id,
      })),
    )
    const removed = await calls.remove(ids)

    expect(found.map((raw) => salesforce.streams.contacts!.id(raw)).sort()).toEqual(ids.toSorted())
    expect(outcomes).toEqual(ids.map((source_id) => ({ source_id })))
    expect(org.find(lead!.Id)).toMatchObject({ City: 'Portland', Phone: null, MobilePhone: null })
    expect(org.find(contact!.Id)).toMatchObject({ MailingCity: 'Portland', Phone: null })
    expect(removed).toEqual(outcomes)
    expect(ids.map((id) => org.find(id)!.IsDeleted)).toEqual([true, true])
    expect(simulator.requests).toHaveLength(3)
  })
})

describe('HubSpot', () => {
  it('shows a merged contact’s survivor under another id, which is no answer about the one asked for', async () => {
    const { options, simulator } = await openHubSpot()
    const { crm } = simulator
    const [loser, survivor, other] = crm.list()
    crm.merge(loser!.id, survivor!.id)

    const found = await openSimulated(options).lookup('contacts', [loser!.id, other!.id])

    expect(found.map((raw) => hubspot.streams.contacts!.id(raw))).toEqual([other!.id])
  })

  it('empties the mobile phone with the phone, since it would show as one', async () => {
    const { options, simulator } = await openHubSpot()
    const contact = simulator.crm.add({ email: 'ada@push.example', mobilephone: '+1 555 0142' })

    await callsOf(options).write('update', [{
      ...newContact({ phone: null }),
      source_id: contact.id,
    }])

    expect(contact.properties).toMatchObject({ phone: '', mobilephone: '' })
  })
})

describe('connectors that push', () => {
  it('are these, and every other stream is only read', () => {
    const pushed = connectors.flatMap(({ slug, streams }) =>
      Object.values(streams).flatMap(({ name, direction }) =>
        direction === 'pull' ? [] : [`${slug} ${name} ${direction}`]
      )
    )

    expect(pushed.sort()).toEqual([
      'airtable contacts both',
      'hubspot contacts both',
      'leafly products push',
      'mailchimp contacts both',
      'salesforce contacts both',
    ])
  })

  it('push the columns that an account’s settings have a place for', () => {
    const columns = (contacts?: Record<string, string>) =>
      pushColumnsOf(airtable, { base_id: 'app1', tables: ['Rows'], contacts })

    expect(columns({ table: 'People', email: 'Mail', last_modified: 'Changed' }))
      .toEqual({ contacts: ['email'] })
    expect(columns({ table: 'People' })).toEqual({})
    expect(columns()).toEqual({})
    expect(pushColumnsOf(leafly, {})).toEqual({ products: expect.arrayContaining(['name']) })
  })

  it('keep apart in calls what one call cannot take', () => {
    const context = { settings: {}, account: {}, now: new Date(NOW) }
    const push = hubspot.streams.contacts!.push!
    const record = (record_id: string, email: string | null) => ({
      record_id,
      version: '1',
      source_id: null,
      columns: { email },
      changed: [],
      uncertain: false,
      sending_at: null,
    })
    const records = [
      record('a', 'ada@push.example'),
      record('b', null),
      record('c', ' ADA@push.example'),
      record('d', null),
      record('e', 'grace@push.example'),
    ]
    const cut = (operation: 'create' | 'update', most?: number) =>
      pushBatches(push, operation, records, context, most)
        .map((batch) => batch.map(({ record_id }) => record_id).join(''))

    expect(cut('create')).toEqual(['ae', 'bd', 'c'])
    expect(cut('create', 1)).toEqual(['a', 'b', 'c', 'd', 'e'])
    expect(cut('update')).toEqual(['abcde'])
    expect(cut('update', 2)).toEqual(['ab', 'cd', 'e'])
  })
})
