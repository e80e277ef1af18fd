// What do runs of contacts and daily numbers leave in the tables, from one run to the next?
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { startHubSpotSimulator } from '../../scripts/simulators/hubspot.ts'
import { idOf } from '../../scripts/simulators/mailchimp/audience.ts'
import { startMailchimpSimulator } from '../../scripts/simulators/mailchimp.ts'
import { testEnvironment } from '../support/environment.ts'
import { doSlice, impatientClock } from '../support/engine-run.ts'
import {
  connectAccount,
  type FaultStack,
  queueSync,
  startFaultStack,
} from '../support/fault-stack.ts'

let faulty: FaultStack
beforeAll(async () => {
  faulty = await startFaultStack({ functions: false })
})

type Account = Parameters<typeof connectAccount>[1] & { baseUrl: string }

async function connect({ baseUrl, ...account }: Account) {
  const id = await connectAccount(faulty, account)
  const outside = faulty.outside({
    clock: impatientClock,
    environment: testEnvironment({ CONNECTOR_OVERRIDES: { [account.connector]: { baseUrl } } }),
  })
  return {
    /** A run to its end. */
    async sync(stream: string, mode: 'full' | 'incremental') {
      const { id: syncLogId } = await queueSync(faulty, id, { stream, mode })
      return await doSlice(outside, syncLogId)
    },
    rows: (table: string) =>
      faulty.admin`
        select source_id, deleted_at is not null as is_deleted, source_data, to_jsonb(t) as columns
        from ${faulty.admin(`public.${table}`)} as t
        where integration_id = ${id} order by source_id`,
  }
}
const live = (rows: { is_deleted: boolean; source_id: string }[]) =>
  rows.filter(({ is_deleted }) => !is_deleted).map(({ source_id }) => source_id)

describe('contacts of HubSpot', () => {
  it('follow from a full run and a delta: changed, merged, archived, each once', async () => {
    const simulator = await startHubSpotSimulator({ contacts: 150, requestsPerTenSeconds: 0 })
    onTestFinished(simulator.stop)
    const { crm } = simulator
    const hubspot = await connect({
      connector: 'hubspot',
      settings: { auth: 'private_app' },
      credentials: simulator.credentials,
      baseUrl: simulator.baseUrl,
    })

    const full = await hubspot.sync('contacts', 'full')
    const before = await hubspot.rows('contacts')
    const [changed, gone, loser, survivor] = crm.list().map(({ id }) => id)
    crm.change([changed!], { company: 'Moved' })
    crm.archive([gone!])
    crm.merge(loser!, survivor!)
    const delta = await hubspot.sync('contacts', 'incremental')

    expect(full).toMatchObject({ log: { status: 'success', created_count: 150 } })
    expect(live(before as never)).toHaveLength(150)
    expect(delta).toMatchObject({ log: { status: 'success', mode: 'incremental' } })
    const after = await hubspot.rows('contacts')
    expect(live(after as never)).toEqual(crm.list().map(({ id }) => id))
    expect(after.find(({ source_id }) => source_id === changed)).toMatchObject({
      columns: { company: 'Moved' },
    })
  })
})

describe('a Mailchimp audience', () => {
  it('loses a member who was erased, and no other that a scan passes over', async () => {
    const simulator = await startMailchimpSimulator({ members: 40 })
    onTestFinished(simulator.stop)
    const mailchimp = await connect({
      connector: 'mailchimp',
      settings: { ...simulator.settings, auth: 'api_key' },
      credentials: simulator.credentials,
      baseUrl: simulator.baseUrl,
    })
    await mailchimp.sync('contacts', 'full')
    const [gone, passedOver] = [...simulator.audience.members.keys()]
    simulator.audience.erase([gone!])
    simulator.audience.hideFromLists(passedOver!)

    await mailchimp.sync('contacts', 'full')

    const left = live(await mailchimp.rows('contacts') as never)
    expect(left).not.toContain(gone)
    expect(left).toContain(passedOver)
    expect(left).toHaveLength(39)
  })

  it('may bring back whom it archived', async () => {
    const simulator = await startMailchimpSimulator({ members: 3 })
    onTestFinished(simulator.stop)
    const { audience } = simulator
    const mailchimp = await connect({
      connector: 'mailchimp',
      settings: { ...simulator.settings, auth: 'api_key' },
      credentials: simulator.credentials,
      baseUrl: simulator.baseUrl,
    })
    await mailchimp.sync('contacts', 'full')
    const [id] = [...audience.members.keys()]
    audience.change([id!], { status: 'archived' })
    await mailchimp.sync('contacts', 'incremental')
    const without = live(await mailchimp.rows('contacts') as never)
    audience.change([id!], { status: 'subscribed', last_changed: Date.now() })
    audience.members.get(id!)!.last_changed = Date.now() + 2_000 // a later second

    await mailchimp.sync('contacts', 'incremental')

    expect(without).not.toContain(id)
    expect(live(await mailchimp.rows('contacts') as never)).toContain(id)
    expect(idOf(audience.members.get(id!)!.email_address)).toBe(id)
  })

  it('keeps the numbers of days that Mailchimp shows no more', async () => {
    const simulator = await startMailchimpSimulator({ members: 1 })
    onTestFinished(simulator.stop)
    const { audience } = simulator
    const mailchimp = await connect({
      connector: 'mailchimp',
      settings: { ...simulator.settings, auth: 'api_key' },
      credentials: simulator.credentials,
      baseUrl: simulator.baseUrl,
    })
    const first = await mailchimp.sync('analytics', 'full')
    audience.activity.splice(-3) // the oldest three
    audience.activity[0]!.unique_opens += 1

    const second = await mailchimp.sync('analytics', 'full')

    expect(first).toMatchObject({ log: { status: 'success', created_count: 720 } })
    expect(second).toMatchObject({ log: { status: 'success', updated_count: 1, deleted_count: 0 } })
    expect(live(await mailchimp.rows('analytics') as never)).toHaveLength(720)
  })
})
