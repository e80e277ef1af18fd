// What is changed here, does it arrive at the platform, once, and does it stay? From a member's own client to Airtable.
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { useFunctions } from '../support/functions.ts'
import { letTimePass } from '../support/let-time-pass.ts'
import { good } from '../support/shop.ts'
import {
  type ContactChanges,
  goneOut,
  openTwoWayBase,
  type TwoWayBase,
} from '../support/two-way-base.ts'
import { nobodyIsRung, workersAreGone, workersAreRung } from '../support/worker-rings.ts'

const functions = useFunctions()
const { database } = functions
beforeAll(() => workersAreGone(database))
afterEach(() => workersAreRung(database))

const writes = ({ airtable }: TwoWayBase) =>
  airtable.requests.filter(({ method }) => method !== 'GET')

/** A member's edit, as their front end makes it. */
async function edit(base: TwoWayBase, email: string, columns: ContactChanges) {
  const { supabase } = await base.as(base.team.member)
  const { error, data } = await supabase.from('contacts').update(columns)
    .eq('integration_id', base.integration_id).eq('email', email).select('id')
  expect({ error, count: data?.length }).toEqual({ error: null, count: 1 })
}

async function insert(base: TwoWayBase, ...rows: ContactChanges[]) {
  const { supabase } = await base.as(base.team.member)
  const { integration_id } = base
  const { error } = await supabase.from('contacts')
    .insert(rows.map((row) => ({ ...row, integration_id })))
  expect(error).toBeNull()
}

const emailOf = async (base: TwoWayBase, index = 0) => (await base.contacts())[index]!.email!

describe('a contact that a member changes', () => {
  it('is at the platform soon, without anybody asking', async () => {
    const base = await openTwoWayBase(functions)
    const email = await emailOf(base)

    await edit(base, email, { first_name: 'Augusta', tags: ['vip'] })
    await goneOut(base)

    expect(base.person(email).fields).toMatchObject({ 'First name': 'Augusta', Tags: ['vip'] })
    expect(writes(base)).toHaveLength(1)
    await vi.waitFor(async () => {
      const [log] = await database.owner`
        select sync_type, mode, status, pushed_count, fetched_count from public.sync_logs
        where integration_id = ${base.integration_id} order by created_at desc limit 1`
      expect(log).toEqual({
        sync_type: 'change',
        mode: 'push',
        status: 'success',
        pushed_count: 1,
        fetched_count: 0,
      })
    })
  })

  it('keeps what somebody typed into other cells at the platform', async () => {
    const base = await openTwoWayBase(functions, { merge_fields: true })
    const email = await emailOf(base)
    base.type(email, { Phone: '+1 555 0199' })

    await edit(base, email, { first_name: 'Augusta' })
    await goneOut(base)

    const cells = { 'First name': 'Augusta', Phone: '+1 555 0199' }
    expect(base.person(email).fields).toMatchObject(cells)
    expect(await base.contact(email)).toMatchObject({ first_name: 'Augusta', phone: '+1 555 0199' })
    expect(await base.conflicts()).toEqual([])
  })

  it('comes back by the next page and changes nothing', async () => {
    const base = await openTwoWayBase(functions)
    const email = await emailOf(base)
    await edit(base, email, { first_name: 'Augusta' })
    await goneOut(base)
    const before = await base.contact(email)

    const read = await base.sync('full')

    expect(read.stats).toMatchObject({
      fetched: 6,
      created: 0,
      updated: 0,
      pushed: 0,
      conflicts: 0,
    })
    expect(await base.contact(email)).toMatchObject({
      first_name: 'Augusta',
      id: before.id,
      source_id: before.source_id,
    })
    expect(writes(base)).toHaveLength(1)
    expect(await base.open()).toBe(0)
  })

  it('is sent ten in a call, and each once', async () => {
    const base = await openTwoWayBase(functions, {}, { people: 25 })
    const { supabase } = await base.as(base.team.member)

    const { error } = await supabase.from('contacts').update({ last_name: 'Byron' })
      .eq('integration_id', base.integration_id)
    await goneOut(base)

    expect(error).toBeNull()
    expect(base.people().every(({ fields }) => fields['Last name'] === 'Byron')).toBe(true)
    expect(writes(base)).toHaveLength(3)
  })

  it('changed by the secret key goes out as well', async () => {
    const base = await openTwoWayBase(functions)
    const email = await emailOf(base)

    await database.actAs('service_role', (sql) =>
      sql`
        update public.contacts set first_name = 'Augusta'
        where integration_id = ${base.integration_id} and email = ${email}`)
    await goneOut(base)

    expect(base.person(email).fields['First name']).toBe('Augusta')
  })
})

describe('a contact that a member makes', () => {
  it('is made at the platform, and has its id from then on', async () => {
    const base = await openTwoWayBase(functions)

    await insert(base, { email: 'new@people.example', first_name: 'Mary', full_name: 'Mary S.' })
    await goneOut(base)

    const made = base.person('new@people.example')
    expect(made.fields).toMatchObject({ 'First name': 'Mary', Name: 'Mary S.' })
    expect(await base.contact('new@people.example')).toMatchObject({ source_id: made.id })
    await base.sync('full')
    expect(await base.contacts()).toHaveLength(7)
    expect(base.people()).toHaveLength(7)
  })

  it('that the platform has already, in other letters, is linked and not doubled', async () => {
    const base = await openTwoWayBase(functions)
    const people = base.airtable.base.find('People')!
    base.airtable.base.create(people, { Name: 'Mary', Email: 'Mary@People.example' })

    await insert(base, { email: 'mary@people.example', full_name: 'Mary', phone: '+1 555 0111' })
    await goneOut(base)

    expect(base.people()).toHaveLength(7)
    const [theirs] = base.people().filter(({ fields }) => fields['Name'] === 'Mary')
    expect(theirs!.fields['Phone']).toBe('+1 555 0111')
    const ours = (await base.contacts()).filter(({ full_name }) => full_name === 'Mary')
    expect(ours).toMatchObject([{ source_id: theirs!.id, phone: '+1 555 0111' }])
  })

  it('whose answer was lost is not made twice', async () => {
    const base = await openTwoWayBase(functions)
    await nobodyIsRung(database)
    // nothing to merge it by, so that nothing is looked up before the first try
    base.airtable.control.setFault({ kind: 'lost_answer' })

    await insert(base, { full_name: 'Nobody', phone: '+1 555 0122' })
    const lost = await base.sync('push')
    await workersAreRung(database)
    await letTimePass(functions, String(lost['sync_log_id']))
    await goneOut(base)

    expect(lost).toMatchObject({ status: 'running', error_code: 'provider_unavailable' })
    expect(base.people().filter(({ fields }) => fields['Name'] === 'Nobody')).toHaveLength(1)
  })
})

describe('a contact that a member deletes', () => {
  const remove = async (base: TwoWayBase, email: string) => {
    const { supabase } = await base.as(base.team.member)
    const { error, count } = await supabase.from('contacts').delete({ count: 'exact' })
      .eq('integration_id', base.integration_id).eq('email', email)
    expect({ error, count }).toEqual({ error: null, count: 1 })
  }

  it('is deleted at the platform where the stream says so', async () => {
    const base = await openTwoWayBase(functions, { push_deletes: true })
    const email = await emailOf(base)

    await remove(base, email)
    await goneOut(base)

    expect(base.people()).toHaveLength(5)
    await base.sync('full')
    expect(await base.contacts()).toHaveLength(5)
  })

  it('stays at the platform where it does not, and comes back with the next complete run', async () => {
    const base = await openTwoWayBase(functions)
    const email = await emailOf(base)

    await remove(base, email)

    expect(await base.open()).toBe(0)
    expect(await base.contacts()).toHaveLength(5)
    await base.sync('full')
    expect(base.people()).toHaveLength(6)
    expect(await base.contact(email)).toMatchObject({ email })
  })
})

describe('what the platform does not take', () => {
  /** The look that comes first is answered. */
  const refuseWrites = ({ airtable }: TwoWayBase, times: number) =>
    airtable.control.setFault({
      kind: 'status',
      status: 422,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        error: { type: 'INVALID_VALUE_FOR_COLUMN', message: 'Not like that' },
      }),
      after: 1,
      times,
    })

  it('is kept with its reason while the rest goes out, and a push by hand tries it again', async () => {
    const base = await openTwoWayBase(functions)
    const [first, second] = await base.contacts()
    await nobodyIsRung(database)
    refuseWrites(base, 2) // both together, then the first alone
    const { supabase, plugboard } = await base.as(base.team.member)
    const errors = async () =>
      good(
        await plugboard.syncs.errors({ integration_id: base.integration_id, direction: 'push' }),
      )
    await supabase.from('contacts').update({ last_name: 'Byron' })
      .in('id', [first!.id, second!.id])

    const pushed = await base.sync('push')

    expect(pushed).toMatchObject({
      success: true,
      status: 'partial',
      error_code: 'push_refused',
      stats: { pushed: 1, failed: 1 },
    })
    const [refused] = await errors()
    expect(refused).toMatchObject({ code: 'provider_rejected', resolved_at: null })
    expect(refused!.message).toContain('Not like that')
    expect(base.people().filter(({ fields }) => fields['Last name'] === 'Byron')).toHaveLength(1)

    const again = await base.sync('push')

    expect(again).toMatchObject({ status: 'success', stats: { pushed: 1, failed: 0 } })
    expect(await errors()).toEqual([])
    expect(base.people().filter(({ fields }) => fields['Last name'] === 'Byron')).toHaveLength(2)
  })

  it('is not repaired or replayed; dismissed, it is off the list and still refused', async () => {
    const base = await openTwoWayBase(functions)
    const stream = { integration_id: base.integration_id, stream: 'contacts' }
    await nobodyIsRung(database)
    refuseWrites(base, 1)
    await edit(base, await emailOf(base), { last_name: 'Byron' })
    await base.sync('push')
    const { plugboard: { syncs } } = await base.as(base.team.manager)
    const [refused] = good(await syncs.errors(stream))

    const repaired = await syncs.repair({ sync_error_id: refused!.id, payload: {} })
    const replayed = await functions.call(base.team.manager, '/sync/replay', stream)
    const dismissed = good(await syncs.dismiss({ sync_error_ids: [refused!.id] }))

    expect(repaired.error?.code).toBe('sync_error_not_found')
    expect(replayed).toMatchObject({ status: 200, body: { replayed: 0, remaining: 0 } })
    expect(dismissed).toMatchObject([{ resolution: 'dismissed', repaired_at: null }])
    expect(good(await syncs.errors(stream))).toEqual([])
    expect(good(await syncs.preview(stream))).toMatchObject({ updates: 0, refused: 1 })
  })
})

describe('a preview', () => {
  it('says what a push would do and does nothing; the push then does that', async () => {
    const base = await openTwoWayBase(functions, {
      push_deletes: true,
      filter: { not: { field: 'last_name', operator: 'eq', value: 'Hidden' } },
    })
    const [changed, hidden, deleted] = await base.contacts()
    await nobodyIsRung(database)
    await edit(base, changed!.email!, { first_name: 'Augusta' })
    await edit(base, hidden!.email!, { last_name: 'Hidden' })
    await insert(base, { email: 'new@people.example', first_name: 'Mary' })
    const { supabase } = await base.as(base.team.member)
    await supabase.from('contacts').delete().eq('id', deleted!.id)
    const { plugboard } = await base.as(base.team.viewer)
    const before = writes(base).length

    const preview = good(
      await plugboard.syncs.preview({ integration_id: base.integration_id, stream: 'contacts' }),
    )
    const looked = writes(base).length
    await base.sync('push')
    // whoever pushes them; the one that does not fit stays
    await vi.waitFor(async () => expect(await base.open()).toBe(1), {
      timeout: 20_000,
      interval: 50,
    })
    const [pushed] = await database.admin`
      select sum(pushed_count)::int as count, sum(failed_count)::int as failed from public.sync_logs
      where integration_id = ${base.integration_id}`

    expect(preview).toMatchObject({
      creates: 1,
      updates: 1,
      deletes: 1,
      filtered: 1,
      refused: 0,
      waiting: 0,
    })
    expect(preview.changes.map(({ operation, changed }) => ({ operation, changed }))).toEqual([
      { operation: 'update', changed: ['first_name'] },
      { operation: 'create', changed: ['email', 'first_name', 'tags'] },
      { operation: 'delete', changed: [] },
    ])
    expect(preview.changes[0]).toMatchObject({
      source_id: changed!.source_id,
      before: { first_name: changed!.first_name },
      after: { first_name: 'Augusta' },
    })
    expect(looked).toBe(before)
    expect(pushed).toEqual({ count: 3, failed: 0 })
    expect(base.person(hidden!.email!).fields['Last name']).toBe(hidden!.last_name)
  })
})

describe('a webhook that tells of our own write', () => {
  it('changes nothing', async () => {
    const base = await openTwoWayBase(functions)
    const { integration_id, team, airtable } = base
    const email = await emailOf(base)
    good(
      await (await base.as(team.manager)).plugboard.integrations.update({
        integration_id,
        webhooks: true,
      }),
    )
    await vi.waitFor(() => expect(airtable.webhooks).toHaveLength(1), { timeout: 20_000 })

    await edit(base, email, { first_name: 'Augusta' })
    await goneOut(base)
    const pushed = await base.contact(email)
    await vi.waitFor(async () => {
      const [told] = await database.owner`
        select status from public.webhook_events where integration_id = ${integration_id} and status = 'processed'`
      expect(told).toBeDefined()
    }, { timeout: 20_000 })

    expect(await base.contact(email)).toMatchObject({ first_name: 'Augusta', id: pushed.id })
    expect(await base.open()).toBe(0)
    expect(writes(base)).toHaveLength(2) // the subscription, and the row once
    expect(await base.conflicts()).toEqual([])
  })
})
