// Both sides changed a record: who wins, what is kept of it, and can a manager decide otherwise?
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { SyncStreamSettings } from '../../src/index.ts'
import { useFunctions } from '../support/functions.ts'
import { good } from '../support/shop.ts'
import { type ContactChanges, openTwoWayBase, type TwoWayBase } from '../support/two-way-base.ts'
import { nobodyIsRung, workersAreGone, workersAreRung } from '../support/worker-rings.ts'

const functions = useFunctions()
const { database } = functions
beforeAll(() => workersAreGone(database))
beforeEach(() => nobodyIsRung(database))
afterEach(() => workersAreRung(database))

const HERE = 'Byron here'
const THERE = 'Byron there'

/** One contact whose last name was changed on both sides, here first. */
async function bothChanged(settings: SyncStreamSettings) {
  const base = await openTwoWayBase(functions, settings)
  const [contact] = await base.contacts()
  const email = contact!.email!
  await changeHere(base, email, { last_name: HERE })
  base.type(email, { 'Last name': THERE })
  return { base, email, contact: contact! }
}

async function changeHere(base: TwoWayBase, email: string, columns: ContactChanges) {
  const { supabase } = await base.as(base.team.member)
  const { error } = await supabase.from('contacts').update(columns)
    .eq('integration_id', base.integration_id).eq('email', email)
  expect(error).toBeNull()
}

async function removeHere(base: TwoWayBase, email: string) {
  const { supabase } = await base.as(base.team.member)
  const { error } = await supabase.from('contacts').delete()
    .eq('integration_id', base.integration_id).eq('email', email)
  expect(error).toBeNull()
}

const removeThere = ({ airtable }: TwoWayBase, id: string) =>
  airtable.base.remove(airtable.base.find('People')!, id)

/** Last names of the two sides. */
const names = async (base: TwoWayBase, email: string) => ({
  here: (await base.contact(email)).last_name,
  there: base.person(email).fields['Last name'],
})

describe('a field that both sides changed', () => {
  it.each(
    [
      ['remote_wins', 'remote', THERE],
      ['local_wins', 'local', HERE],
      ['latest_wins', 'remote', THERE], // it was typed later
    ] as const,
  )(
    '%s: the %s version stays on both sides, and both are kept',
    async (conflict_policy, decision, stays) => {
      const { base, email, contact } = await bothChanged({ conflict_policy })

      const pushed = await base.sync('push')

      expect(pushed.stats).toMatchObject({ conflicts: 1, pushed: decision === 'local' ? 1 : 0 })
      expect(await names(base, email)).toEqual({ here: stays, there: stays })
      expect(await base.conflicts()).toMatchObject([{
        record_id: contact.id,
        source_id: contact.source_id,
        sync_log_id: pushed['sync_log_id'],
        kind: 'both_changed',
        fields: ['last_name'],
        base: { last_name: contact.last_name },
        local: { last_name: HERE },
        remote: { last_name: THERE },
        local_changed_by: base.team.member.id,
        policy: conflict_policy,
        decision,
        overturned_at: null,
      }])
      expect(await base.open()).toBe(0)
    },
  )

  it('latest_wins: what was changed here after it was typed there stays', async () => {
    const base = await openTwoWayBase(functions, { conflict_policy: 'latest_wins' })
    const email = (await base.contacts())[0]!.email!
    base.type(email, { 'Last name': THERE })
    const typedAt = Date.now()
    // the two clocks are one here
    await vi.waitFor(() => expect(Date.now()).toBeGreaterThan(typedAt), { interval: 1 })
    await changeHere(base, email, { last_name: HERE })

    await base.sync('push')

    expect(await names(base, email)).toEqual({ here: HERE, there: HERE })
    expect(await base.conflicts()).toMatchObject([{ decision: 'local' }])
  })

  it('a run that reads decides it as well', async () => {
    const { base, email } = await bothChanged({ conflict_policy: 'local_wins' })

    const read = await base.sync('full')

    expect(read.stats).toMatchObject({ conflicts: 1, pushed: 1 })
    expect(await names(base, email)).toEqual({ here: HERE, there: HERE })
  })
})

describe('different fields', () => {
  it.each([
    [true, '+1 555 0199', 0],
    [false, undefined, 1],
  ])('with merge_fields %s', async (merge_fields, phone, conflicts) => {
    const base = await openTwoWayBase(functions, { merge_fields, conflict_policy: 'remote_wins' })
    const { email, last_name } = (await base.contacts())[0]!
    await changeHere(base, email!, { phone: '+1 555 0199' })
    base.type(email!, { 'Last name': THERE, Phone: '' })
    if (merge_fields) base.type(email!, { Phone: base.person(email!).fields['Phone'] })

    await base.sync('push')

    expect(last_name).not.toBe(THERE)
    expect(await names(base, email!)).toEqual({ here: THERE, there: THERE })
    expect(base.person(email!).fields['Phone']).toBe(phone)
    expect(await base.conflicts()).toHaveLength(conflicts)
  })
})

describe('a record that one side deleted and the other changed', () => {
  it.each([['remote_wins', 5, 0], ['local_wins', 6, 1]] as const)(
    'deleted there, %s',
    async (conflict_policy, left, pushed) => {
      const base = await openTwoWayBase(functions, { conflict_policy })
      const contact = (await base.contacts())[0]!
      await changeHere(base, contact.email!, { last_name: HERE })
      removeThere(base, contact.source_id)

      const run = await base.sync('push')

      expect(run.stats).toMatchObject({ conflicts: 1, pushed })
      expect(base.people()).toHaveLength(left)
      expect(await base.contacts()).toHaveLength(left)
      expect(await base.conflicts()).toMatchObject([
        { kind: 'remote_deleted', remote: null, local: { last_name: HERE } },
      ])
    },
  )

  it.each([['remote_wins', 6], ['local_wins', 5]] as const)(
    'deleted here, %s',
    async (conflict_policy, left) => {
      const base = await openTwoWayBase(functions, { conflict_policy, push_deletes: true })
      const contact = (await base.contacts())[0]!
      await removeHere(base, contact.email!)
      base.type(contact.email!, { 'Last name': THERE })

      const run = await base.sync('push')

      expect(run.stats).toMatchObject({ conflicts: 1 })
      expect(base.people()).toHaveLength(left)
      expect(await base.contacts()).toHaveLength(left)
      expect(await base.conflicts()).toMatchObject([
        { kind: 'local_deleted', local: null, remote: { last_name: THERE } },
      ])
    },
  )
})

describe('a decision', () => {
  it('can be overturned by a manager: the version that lost is pushed', async () => {
    const { base, email } = await bothChanged({ conflict_policy: 'remote_wins' })
    await base.sync('push')
    const [conflict] = await base.conflicts()
    const manager = await base.as(base.team.manager)
    const member = await base.as(base.team.member)
    const overturn = { sync_conflict_id: conflict!.id }

    const refused = await member.plugboard.syncs.conflicts.overturn(overturn)
    const overturned = good(await manager.plugboard.syncs.conflicts.overturn(overturn))
    await base.sync('push')
    const again = await manager.plugboard.syncs.conflicts.overturn(overturn)

    expect(refused.error?.code).toBe('conflict_not_found')
    expect(overturned).toMatchObject({ id: conflict!.id, overturned_by: base.team.manager.id })
    expect(await names(base, email)).toEqual({ here: HERE, there: HERE })
    expect(again.error?.code).toBe('conflict_overturned')
    expect(await base.conflicts()).toHaveLength(1)
  })

  it('of a local version is overturned in the same way', async () => {
    const { base, email } = await bothChanged({ conflict_policy: 'local_wins' })
    await base.sync('push')
    const { plugboard } = await base.as(base.team.manager)
    const [conflict] = await base.conflicts()

    good(await plugboard.syncs.conflicts.overturn({ sync_conflict_id: conflict!.id }))
    await base.sync('push')

    expect(await names(base, email)).toEqual({ here: THERE, there: THERE })
  })

  it('of another organization does not exist', async () => {
    const { base } = await bothChanged({ conflict_policy: 'remote_wins' })
    await base.sync('push')
    const [conflict] = await base.conflicts()
    const other = await openTwoWayBase(functions)
    const { plugboard } = await other.as(other.team.owner)

    const { error } = await plugboard.syncs.conflicts.overturn({ sync_conflict_id: conflict!.id })
    const seen = good(await plugboard.syncs.conflicts.list())

    expect(error?.code).toBe('conflict_not_found')
    expect(seen).toEqual([])
  })
})
