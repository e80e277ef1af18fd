// What is refused of two ways, and by whom: each beside the same request succeeding.
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { useFunctions } from '../support/functions.ts'
import { good } from '../support/shop.ts'
import { type ContactChanges, openTwoWayBase, type TwoWayBase } from '../support/two-way-base.ts'
import { nobodyIsRung, workersAreGone, workersAreRung } from '../support/worker-rings.ts'

const functions = useFunctions()
const { database, call } = functions
beforeAll(() => workersAreGone(database))
beforeEach(() => nobodyIsRung(database))
afterEach(() => workersAreRung(database))

describe("a stream's settings", () => {
  const nested = (depth: number): unknown =>
    depth === 0 ? { field: 'email', operator: 'exists', value: true } : { not: nested(depth - 1) }

  it.each<[string, Record<string, unknown>, Record<string, unknown>, string?]>([
    ['an unknown direction', { direction: 'sideways' }, { direction: 'push' }],
    ['an unknown policy', { conflict_policy: 'i_win' }, { conflict_policy: 'latest_wins' }],
    ['a batch of nothing', { push_batch_size: 0 }, { push_batch_size: 1 }],
    ['a pause of a week', { retry_pauses_s: [604_800] }, { retry_pauses_s: [86_400] }],
    ['a filter that is code', { filter: 'true; drop table contacts' }, { filter: null }, 'PB001'],
    [
      'a filter of no known operator',
      { filter: { field: 'email', operator: 'sql', value: '1=1' } },
      { filter: { field: 'email', operator: 'ne', value: "x' or true --" } },
      'PB001',
    ],
    ['a filter nested too deep', { filter: nested(9) }, { filter: nested(7) }, 'PB001'],
    ['a setting that is not there', { cursor: null }, { push_deletes: true }, '42501'],
  ])(
    '%s is refused before it is sent and by the database',
    async (_name, bad, right, code = '23514') => {
      const base = await openTwoWayBase(functions)
      const { supabase, plugboard } = await base.as(base.team.manager)
      const stream = { integration_id: base.integration_id, stream: 'contacts' }
      const byHand = (changes: Record<string, unknown>) =>
        supabase.from('sync_streams').update(changes as never)
          .eq('integration_id', base.integration_id).eq('stream', 'contacts').select('stream')

      const refused = await plugboard.syncs.streams.update({ ...stream, ...bad } as never)
      const refusedByHand = await byHand(bad)
      const taken = await plugboard.syncs.streams.update({ ...stream, ...right } as never)

      expect(refused.error?.code).toBe('invalid_request')
      expect(refused.error?.errors?.[0]?.path).toContain(Object.keys(bad)[0])
      expect(refusedByHand.error?.code).toBe(code)
      expect(taken.error).toBeNull()
      expect(taken.data).toMatchObject(right)
    },
  )

  it('are for managers', async () => {
    const base = await openTwoWayBase(functions)
    const change = { integration_id: base.integration_id, stream: 'contacts', push_deletes: true }

    const codes = []
    for (const person of [base.team.viewer, base.team.member, base.team.manager]) {
      const { plugboard } = await base.as(person)
      codes.push((await plugboard.syncs.streams.update(change)).error?.code ?? 'done')
    }

    expect(codes).toEqual(['stream_not_found', 'stream_not_found', 'done'])
  })
})

describe('changing a contact', () => {
  const edit = async (base: TwoWayBase, caller: TwoWayBase, role: 'viewer' | 'member') => {
    const { supabase } = await caller.as(caller.team[role])
    const { data, error } = await supabase.from('contacts').update({ first_name: 'Augusta' })
      .eq('integration_id', base.integration_id).select('id')
    return error ? error.code : data.length
  }

  it('is for members of its organization, where the stream pushes', async () => {
    const base = await openTwoWayBase(functions)
    const other = await openTwoWayBase(functions)

    expect(await edit(base, base, 'viewer')).toBe(0)
    expect(await edit(base, other, 'member')).toBe(0)
    expect(await edit(base, base, 'member')).toBe(6)

    const { plugboard } = await base.as(base.team.manager)
    good(
      await plugboard.syncs.streams.update({
        integration_id: base.integration_id,
        stream: 'contacts',
        direction: 'pull',
      }),
    )
    expect(await edit(base, base, 'member')).toBe(0)
  })

  it('of a field that the platform keeps is refused with its name', async () => {
    const base = await openTwoWayBase(functions)
    const { supabase } = await base.as(base.team.member)
    const change = (columns: ContactChanges) =>
      supabase.from('contacts').update(columns)
        .eq('integration_id', base.integration_id).select('id')

    const refused = await change({ company: 'Acme' }) // no field of the table is mapped to it
    const taken = await change({ phone: '+1 555 0100' })

    expect(refused.error).toMatchObject({ code: 'PB001', message: 'field_not_pushed' })
    expect(refused.error?.details).toContain('company')
    expect(taken.error).toBeNull()
    expect(taken.data).toHaveLength(6)
  })

  it.each(['organization_id', 'integration_id', 'source_id', 'source_data', 'deleted_at'])(
    '%s is nobody’s to write',
    async (column) => {
      const base = await openTwoWayBase(functions)
      const { supabase } = await base.as(base.team.member)

      const { error } = await supabase.from('contacts').update({ [column]: null } as never)
        .eq('integration_id', base.integration_id)

      expect(error?.code).toMatch(/42501|428C9/)
    },
  )

  it('making one is for members, in their own organization', async () => {
    const base = await openTwoWayBase(functions)
    const other = await openTwoWayBase(functions)
    const make = async (caller: TwoWayBase, role: 'viewer' | 'member') => {
      const { supabase } = await caller.as(caller.team[role])
      const { error } = await supabase.from('contacts')
        .insert({ integration_id: base.integration_id, email: 'new@people.example' })
      return error?.code ?? 'made'
    }

    expect(await make(base, 'viewer')).toBe('42501')
    expect(await make(other, 'member')).toBe('42501')
    expect(await make(base, 'member')).toBe('made')
    const made = await base.contact('new@people.example')
    expect(made).toMatchObject({ organization_id: base.team.organizationId, source: 'airtable' })
    expect(made.source_id).toBe(`local:${made.id}`)
  })
})

describe('a push', () => {
  it('is for managers, and only where the stream pushes', async () => {
    const base = await openTwoWayBase(functions)
    const push = (caller: 'manager' | 'member') =>
      call(base.team[caller], '/sync', {
        integration_id: base.integration_id,
        stream: 'contacts',
        mode: 'push',
      })

    expect(await push('member')).toMatchObject({ status: 403, body: { code: 'not_a_manager' } })
    expect(await push('manager')).toMatchObject({ status: 200, body: { status: 'success' } })

    const { plugboard } = await base.as(base.team.manager)
    const stream = { integration_id: base.integration_id, stream: 'contacts' }
    good(await plugboard.syncs.streams.update({ ...stream, direction: 'pull' }))
    expect(await push('manager')).toMatchObject({
      status: 409,
      body: { code: 'stream_not_pushed' },
    })
    expect((await plugboard.syncs.preview(stream)).error?.code).toBe('stream_not_pushed')
  })

  it('is previewed by members of its organization', async () => {
    const base = await openTwoWayBase(functions)
    const other = await openTwoWayBase(functions)
    const stream = { integration_id: base.integration_id, stream: 'contacts' }
    const preview = async (caller: TwoWayBase) =>
      (await (await caller.as(caller.team.viewer)).plugboard.syncs.preview(stream)).error?.code ??
        'shown'

    expect(await preview(other)).toBe('integration_not_found')
    expect(await preview(base)).toBe('shown')
  })
})
