import { describe, expect, it } from 'vitest'
import { createPlugboard } from '../../../src/index.ts'
import { type Answer, fakeSupabase, json } from './fake-supabase.ts'
import { integrationId, syncErrorId, syncErrorRow } from './rows.ts'

function syncsOver(...answers: Answer[]) {
  const { supabase, requests } = fakeSupabase(...answers)
  return { syncs: createPlugboard(supabase).syncs, requests }
}

describe('repairing a refused record', () => {
  it.each([['a text'], [null], [[1, 2]]])(
    'refuses %j, which is no record, before it could replace one',
    async (payload) => {
      const { syncs, requests } = syncsOver(json([syncErrorRow()]))

      const answer = await syncs.repair({ sync_error_id: syncErrorId, payload })

      expect(answer.error).toMatchObject({ code: 'invalid_request', errors: [{ path: 'payload' }] })
      expect(requests).toEqual([])
    },
  )

  it('changes the payload of that one error, if it is open', async () => {
    const payload = { id: 17, name: 'Blue Dream' }
    const repaired = syncErrorRow({ payload, repaired_at: '2026-11-20T10:00:00+00:00' })
    const { syncs, requests } = syncsOver(json([repaired]))

    const answer = await syncs.repair({ sync_error_id: syncErrorId, payload })

    expect(answer).toEqual({ data: repaired, error: null })
    expect(requests).toMatchObject([
      { method: 'PATCH', path: '/rest/v1/sync_errors', body: { payload } },
    ])
    expect(Object.fromEntries(requests[0]!.query)).toMatchObject({
      id: `in.(${syncErrorId})`,
      resolved_at: 'is.null',
      direction: 'eq.pull', // of a local change it would do nothing
    })
  })

  it('says so when there is none that the caller may change', async () => {
    const { syncs } = syncsOver(json([]))

    const { data, error } = await syncs.repair({ sync_error_id: syncErrorId, payload: {} })

    expect(data).toBeNull()
    expect(error?.code).toBe('sync_error_not_found')
  })
})

describe('dismissing refused records', () => {
  it('ends the named ones and answers those that were open', async () => {
    const dismissed = syncErrorRow({
      resolution: 'dismissed',
      resolved_at: '2026-11-20T10:00:00+00:00',
    })
    const { syncs, requests } = syncsOver(json([dismissed]))

    const answer = await syncs.dismiss({ sync_error_ids: [syncErrorId, integrationId] })

    expect(answer).toEqual({ data: [dismissed], error: null })
    expect(requests).toMatchObject([{
      method: 'PATCH',
      body: { resolution: 'dismissed', resolved_at: expect.stringMatching(/Z$/) },
    }])
    expect(requests[0]?.query.get('id')).toBe(`in.(${syncErrorId},${integrationId})`)
  })

  it('says so when none of them is open', async () => {
    const { syncs } = syncsOver(json([]))

    const { error } = await syncs.dismiss({ sync_error_ids: [syncErrorId] })

    expect(error?.code).toBe('sync_error_not_found')
  })

  it.each([0, 201])('refuses %d ids before asking', async (count) => {
    const { syncs, requests } = syncsOver(json([]))

    const { error } = await syncs.dismiss({ sync_error_ids: Array(count).fill(syncErrorId) })

    expect(error).toMatchObject({ code: 'invalid_request', errors: [{ path: 'sync_error_ids' }] })
    expect(requests).toEqual([])
  })
})
