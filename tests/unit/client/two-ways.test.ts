import { describe, expect, it } from 'vitest'
import { createPlugboard } from '../../../src/index.ts'
import { fakeSupabase, json } from './fake-supabase.ts'
import { integrationId, organizationId, syncLogId } from './rows.ts'

const id = '0b8d5c0e-8c4f-4d4b-9d0f-2f3a1a0c9b77'
const at = '2026-11-20T09:00:00.123456+00:00'
const contacts = { integration_id: integrationId, stream: 'contacts' }
const conflict = {
  id,
  organization_id: organizationId,
  integration_id: integrationId,
  stream: 'contacts',
  record_id: '5d3b4f1e-8f0c-4a52-9c37-6b2a1d0e4f10',
  source_id: 'rec1',
  sync_log_id: null,
  kind: 'both_changed',
  fields: ['phone'],
  base: { phone: '1' },
  local: { phone: '2' },
  remote: { phone: '3' },
  local_changed_at: at,
  local_changed_by: null,
  remote_changed_at: at,
  policy: 'remote_wins',
  decision: 'remote',
  decided_at: at,
  overturned_at: null,
  overturned_by: null,
}
const preview = {
  creates: 1,
  updates: 0,
  deletes: 0,
  filtered: 2,
  refused: 0,
  waiting: 0,
  changes: [{
    record_id: id,
    source_id: null,
    operation: 'create',
    changed: ['email'],
    before: null,
    after: { email: 'ada@example.com' },
  }],
}

function plugboardOver(answer: unknown, status = 200) {
  const { supabase, requests } = fakeSupabase(json(answer, status))
  return { plugboard: createPlugboard(supabase), requests }
}

describe('a push', () => {
  it('is a run that only sends', async () => {
    const stats = {
      fetched: 0,
      created: 0,
      updated: 0,
      unchanged: 0,
      deleted: 0,
      errors: 0,
      pushed: 3,
      conflicts: 0,
      failed: 0,
    }
    const result = { success: true, sync_log_id: syncLogId, status: 'success', stats }
    const { plugboard, requests } = plugboardOver(result)

    const { data } = await plugboard.syncs.push({ ...contacts, wait: false })

    expect(data).toEqual(result)
    expect(requests[0]).toMatchObject({
      method: 'POST',
      path: '/functions/v1/sync',
      body: { ...contacts, wait: false, mode: 'push' },
    })
  })

  it('is previewed by the database', async () => {
    const { plugboard, requests } = plugboardOver(preview)

    const { data } = await plugboard.syncs.preview(contacts)

    expect(data).toEqual(preview)
    expect(requests[0]).toMatchObject({
      path: '/rest/v1/rpc/preview_push',
      body: { p_integration_id: integrationId, p_stream: 'contacts' },
    })
  })

  it('that cannot be previewed says so with a stable code', async () => {
    const refusal = { code: 'PB001', message: 'stream_not_pushed', details: 'It is only read.' }
    const { plugboard } = plugboardOver(refusal, 400)

    const { error } = await plugboard.syncs.preview(contacts)

    expect(error).toMatchObject({ code: 'stream_not_pushed', next: 'owner' })
  })
})

describe('conflicts', () => {
  it('are listed newest first, and narrowed by what is given', async () => {
    const { plugboard, requests } = plugboardOver([conflict])

    const { data } = await plugboard.syncs.conflicts.list({ ...contacts, decision: 'remote' })

    expect(data).toEqual([conflict])
    expect(requests[0]?.path).toBe('/rest/v1/sync_conflicts')
    expect(Object.fromEntries(requests[0]!.query)).toMatchObject({
      order: 'decided_at.desc,id.desc',
      stream: 'eq.contacts',
      decision: 'eq.remote',
    })
  })

  it('are overturned by the database', async () => {
    const { plugboard, requests } = plugboardOver({ ...conflict, overturned_at: at })

    const { data } = await plugboard.syncs.conflicts.overturn({ sync_conflict_id: id })

    expect(data?.overturned_at).toBe(at)
    expect(requests[0]).toMatchObject({
      path: '/rest/v1/rpc/overturn_conflict',
      body: { p_conflict_id: id },
    })
  })
})

describe("a stream's settings", () => {
  it.each<[Record<string, unknown>, string]>([
    [{ direction: 'in' }, 'direction'],
    [{ conflict_policy: 'newest' }, 'conflict_policy'],
    [{ push_batch_size: 1001 }, 'push_batch_size'],
    [{ retry_pauses_s: Array(21).fill(60) }, 'retry_pauses_s'],
    [{ retry_pauses_s: [0] }, 'retry_pauses_s.0'],
    [{ filter: { field: 'email', operator: 'like', value: '%' } }, 'filter.operator'],
    [{ filter: 'email is not null' }, 'filter'],
    [{ next_sync_at: at }, 'next_sync_at'],
  ])('%o is not sent, and the field at fault is named', async (settings, path) => {
    const { plugboard, requests } = plugboardOver([])

    const { error } = await plugboard.syncs.streams.update({ ...contacts, ...settings })

    expect(error).toMatchObject({ code: 'invalid_request', errors: [{ path }] })
    expect(requests).toEqual([])
  })

  it('that are right are sent as they are', async () => {
    const { plugboard, requests } = plugboardOver([])
    const settings = {
      direction: 'both',
      conflict_policy: 'latest_wins',
      merge_fields: true,
      push_deletes: true,
      push_batch_size: null,
      filter: { and: [{ field: 'email', operator: 'exists', value: true }] },
      retry_pauses_s: [],
    } as const

    await plugboard.syncs.streams.update({ ...contacts, ...settings } as never)

    expect(requests[0]?.body).toEqual(settings)
  })
})
