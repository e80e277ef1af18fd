import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createPlugboard } from '../../../src/index.ts'
import { type Answer, fakeSupabase, html, json, silence } from './fake-supabase.ts'
import {
  integrationId,
  integrationRow,
  organizationId,
  syncErrorId,
  syncLogId,
  syncLogRow,
} from './rows.ts'

function plugboardOver(...answers: Answer[]) {
  const { supabase, requests } = fakeSupabase(...answers)
  return { plugboard: createPlugboard(supabase), requests }
}

// supabase-js repeats failed reads after growing pauses; the tests do not wait for real ones.
beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
afterEach(() => void vi.useRealTimers())

async function settle<Answer>(call: Promise<Answer>): Promise<Answer> {
  await vi.runAllTimersAsync()
  return await call
}

describe('a list', () => {
  it('asks for the newest 50 of what the caller may see', async () => {
    const { plugboard, requests } = plugboardOver(json([integrationRow()]))

    const { data, error } = await plugboard.integrations.list()

    expect(error).toBeNull()
    expect(data).toEqual([integrationRow()])
    expect(requests[0]).toMatchObject({ method: 'GET', path: '/rest/v1/integrations' })
    const query = Object.fromEntries(requests[0]?.query ?? [])
    expect(query).toMatchObject({ order: 'created_at.desc,id.desc', limit: '50' })
    expect(query.select?.split(',')).toContain('last_error')
  })

  it('narrows by what is given and by nothing else', async () => {
    const { plugboard, requests } = plugboardOver(json([]))

    await plugboard.syncs.list({
      integration_id: integrationId,
      stream: undefined,
      status: ['queued', 'running'],
      limit: 10,
    })

    const query = Object.fromEntries(requests[0]?.query ?? [])
    expect(query).toMatchObject({
      integration_id: `eq.${integrationId}`,
      status: 'in.(queued,running)',
      limit: '10',
    })
    expect(query).not.toHaveProperty('stream')
    expect(query).not.toHaveProperty('organization_id')
  })

  it('of images is of files, or of the addresses they come from', async () => {
    const { plugboard, requests } = plugboardOver(json([]), json([]))

    await plugboard.images.list({ organization_id: organizationId, id: [syncLogId] })
    await plugboard.images.sources({ status: 'dead' })

    expect(requests.map(({ path }) => path)).toEqual([
      '/rest/v1/media_assets',
      '/rest/v1/media_sources',
    ])
    expect(Object.fromEntries(requests[0]?.query ?? [])).toMatchObject({
      organization_id: `eq.${organizationId}`,
      id: `in.(${syncLogId})`,
    })
    expect(Object.fromEntries(requests[1]?.query ?? [])).toMatchObject({ status: 'eq.dead' })
  })

  it('goes on behind the last row of the page before', async () => {
    const last = syncLogRow()
    const { plugboard, requests } = plugboardOver(json([]))

    await plugboard.syncs.list({ before: last })

    const at = `"${last.created_at}"`
    expect(requests[0]?.query.get('or')).toBe(
      `(created_at.lt.${at},and(created_at.eq.${at},id.lt."${last.id}"))`,
    )
  })

  it('takes a quote in a row it is told to go on behind for a character, not for syntax', async () => {
    const { plugboard, requests } = plugboardOver(json([]))

    await plugboard.syncs.list({ before: { created_at: 'x",id.gt.0', id: syncLogId } })

    expect(requests[0]?.query.get('or')).toContain('created_at.lt."x\\",id.gt.0",')
  })

  it.each([0, -1, 1.5, 1_001, NaN])('refuses a limit of %d before asking', async (limit) => {
    const { plugboard, requests } = plugboardOver(json([]))

    const { error } = await plugboard.integrations.list({ limit })

    expect(error).toMatchObject({ code: 'invalid_request', errors: [{ path: 'limit' }] })
    expect(requests).toEqual([])
  })

  it('shows open sync errors only, unless asked for all', async () => {
    const { plugboard, requests } = plugboardOver(json([]))

    await plugboard.syncs.errors({ integration_id: integrationId })
    await plugboard.syncs.errors({ integration_id: integrationId, includeResolved: true })

    expect(requests.map(({ query }) => query.get('resolved_at'))).toEqual(['is.null', null])
  })

  it('lists members by when they came, since they have no id of their own', async () => {
    const { plugboard, requests } = plugboardOver(json([]))

    await plugboard.organizations.members({ organization_id: organizationId })

    expect(requests[0]?.query.get('order')).toBe('created_at.desc,user_id.desc')
    expect(requests[0]?.query.get('organization_id')).toBe(`eq.${organizationId}`)
  })

  it('lists deliveries by the time of their events, since they have no id of their own', async () => {
    const { plugboard, requests } = plugboardOver(json([]))
    const before = { event_created_at: '2026-11-20T09:00:00+00:00', event_id: syncLogId }

    await plugboard.webhooks.deliveries.list({
      endpoint_id: integrationId,
      status: 'failed',
      before,
    })

    const query = Object.fromEntries(requests[0]?.query ?? [])
    const at = `"${before.event_created_at}"`
    expect(requests[0]?.path).toBe('/rest/v1/webhook_deliveries')
    expect(query).toMatchObject({
      order: 'event_created_at.desc,event_id.desc',
      endpoint_id: `eq.${integrationId}`,
      status: 'eq.failed',
      or: `(event_created_at.lt.${at},and(event_created_at.eq.${at},event_id.lt."${syncLogId}"))`,
    })
  })

  it('lists endpoints without a column that could hold a secret', async () => {
    const { plugboard, requests } = plugboardOver(json([]))

    await plugboard.webhooks.endpoints.list({ organization_id: organizationId, status: 'active' })

    const columns = requests[0]?.query.get('select')?.split(',') ?? []
    expect(columns).toContain('header_names')
    expect(columns.filter((column) => /secret|headers|version$/.test(column))).toEqual([
      'api_version',
    ])
  })

  it('lists events of one organization, by type and subject', async () => {
    const { plugboard, requests } = plugboardOver(json([]))

    await plugboard.events.list({
      organization_id: organizationId,
      type: ['order.created', 'order.updated'],
      subject: `integration/${integrationId}`,
    })

    expect(Object.fromEntries(requests[0]?.query ?? [])).toMatchObject({
      organization_id: `eq.${organizationId}`,
      type: 'in.(order.created,order.updated)',
      subject: `eq.integration/${integrationId}`,
      order: 'created_at.desc,id.desc',
    })
  })

  it('lists the connectors that can be connected, by name', async () => {
    const { plugboard, requests } = plugboardOver(json([]))

    await plugboard.connectors.list()

    const query = Object.fromEntries(requests[0]?.query ?? [])
    expect(query).toMatchObject({ available: 'eq.true', order: 'name.asc' })
  })
})

describe('getting one row', () => {
  it('answers the row', async () => {
    const { plugboard, requests } = plugboardOver(json([syncLogRow()]))

    const { data } = await plugboard.syncs.get(syncLogId)

    expect(data).toEqual(syncLogRow())
    expect(requests[0]?.query.get('id')).toBe(`eq.${syncLogId}`)
  })

  it('says that it is not there, in the words of its noun', async () => {
    const { plugboard } = plugboardOver(json([]))

    const answers = await Promise.all([
      plugboard.syncs.get(syncLogId),
      plugboard.integrations.get(integrationId),
      plugboard.connectors.get('acme'),
    ])

    expect(answers.map(({ error }) => error?.code)).toEqual([
      'sync_log_not_found',
      'integration_not_found',
      'connector_not_found',
    ])
  })
})

describe('changing a stream', () => {
  const at = '2026-11-20T09:00:00+00:00'
  const row = {
    integration_id: integrationId,
    organization_id: organizationId,
    stream: 'orders',
    enabled: true,
    offered: true,
    direction: 'pull',
    conflict_policy: 'remote_wins',
    merge_fields: false,
    push_columns: null,
    push_deletes: false,
    push_batch_size: null,
    filter: null,
    retry_pauses_s: [60],
    record_events: 'ids',
    batch_size: 2_000,
    full_sync_interval_minutes: 1_440,
    mass_delete_percent: 25,
    last_full_sync_at: null,
    next_sync_at: at,
    created_at: at,
    updated_at: at,
  }
  const orders = { integration_id: integrationId, stream: 'orders' }

  it('sends what is given and nothing else', async () => {
    const { plugboard, requests } = plugboardOver(json([row]))

    const { data } = await plugboard.syncs.streams.update({
      ...orders,
      record_events: 'ids',
      enabled: undefined,
    })

    expect(data).toEqual(row)
    expect(requests[0]).toMatchObject({
      method: 'PATCH',
      path: '/rest/v1/sync_streams',
      body: { record_events: 'ids' },
    })
    expect(Object.fromEntries(requests[0]?.query ?? [])).toMatchObject({
      integration_id: `eq.${integrationId}`,
      stream: 'eq.orders',
    })
  })

  it('that is not there, or not the caller’s to change, is a stream that is not found', async () => {
    const { plugboard } = plugboardOver(json([]))

    const { error } = await plugboard.syncs.streams.update({ ...orders, enabled: false })

    expect(error?.code).toBe('stream_not_found')
  })

  it('to nothing is refused before asking', async () => {
    const { plugboard, requests } = plugboardOver(json([row]))

    const { error } = await plugboard.syncs.streams.update(orders)

    expect(error?.code).toBe('invalid_request')
    expect(requests).toEqual([])
  })
})

describe('a delivery', () => {
  const at = '2026-11-20T09:00:00+00:00'
  const delivery = {
    organization_id: organizationId,
    endpoint_id: integrationId,
    event_id: syncLogId,
    event_created_at: at,
    event_type: 'order.created',
    status: 'succeeded',
    attempt_count: 1,
    next_attempt_at: null,
    last_response_status: 204,
    last_error: null,
    finished_at: at,
  }
  const attempt = {
    id: syncErrorId,
    organization_id: organizationId,
    endpoint_id: integrationId,
    event_id: syncLogId,
    attempt_number: 1,
    outcome: 'succeeded',
    response_status: 204,
    response_body: '',
    error: null,
    latency_ms: 12,
    created_at: at,
    finished_at: at,
  }
  const which = { endpoint_id: integrationId, event_id: syncLogId }

  it('comes with its attempts, latest first', async () => {
    const { plugboard, requests } = plugboardOver(json([delivery]), json([attempt]))

    const { data } = await plugboard.webhooks.deliveries.get({ ...which, event_created_at: at })

    expect(data).toEqual({ ...delivery, attempts: [attempt] })
    expect(requests.map(({ path, query }) => [path, query.get('order')])).toEqual([
      ['/rest/v1/webhook_deliveries', null],
      ['/rest/v1/webhook_attempts', 'created_at.desc'],
    ])
    expect(requests[0]?.query.get('event_created_at')).toBe(`eq.${at}`)
  })

  it('that is not there is not found, whatever its attempts', async () => {
    const { plugboard } = plugboardOver(json([]), json([attempt]))

    const { data, error } = await plugboard.webhooks.deliveries.get(which)

    expect(data).toBeNull()
    expect(error?.code).toBe('webhook_delivery_not_found')
  })
})

describe('a database function', () => {
  it('emits an event, with a subject only where one is given', async () => {
    const { plugboard, requests } = plugboardOver(json(syncLogId))
    const input = { organization_id: organizationId, type: 'booking.created', data: { id: 17 } }

    const { data } = await plugboard.events.emit(input)
    await plugboard.events.emit({ ...input, subject: 'booking/17' })

    const sent = {
      p_organization_id: organizationId,
      p_type: 'booking.created',
      p_data: { id: 17 },
    }
    expect(data).toEqual({ event_id: syncLogId })
    expect(requests.map(({ path, body }) => [path, body])).toEqual([
      ['/rest/v1/rpc/emit_event', sent],
      ['/rest/v1/rpc/emit_event', { ...sent, p_subject: 'booking/17' }],
    ])
  })

  it('creates an organization', async () => {
    const at = '2026-11-20T09:00:00+00:00'
    const row = { id: organizationId, name: 'Acme', created_at: at, updated_at: at }
    const { plugboard, requests } = plugboardOver(json(row))

    const { data } = await plugboard.organizations.create({ name: 'Acme' })

    expect(data).toEqual(row)
    expect(requests).toMatchObject([
      { method: 'POST', path: '/rest/v1/rpc/create_organization', body: { name: 'Acme' } },
    ])
  })

  it('invites as a member unless another role is named', async () => {
    const invitation = {
      invitation_id: syncLogId,
      token: 'a'.repeat(64),
      expires_at: '2026-11-27T09:00:00+00:00',
    }
    const { plugboard, requests } = plugboardOver(json(invitation))
    const input = { organization_id: organizationId, email: 'ada@example.com' }

    const { data } = await plugboard.organizations.invite(input)

    expect(data).toEqual(invitation)
    expect(requests[0]?.body).toEqual({ ...input, role: 'member' })
  })

  it('answers which organization an invitation led to', async () => {
    const { plugboard } = plugboardOver(json(organizationId))

    const { data } = await plugboard.organizations.acceptInvitation({ token: 'a' })

    expect(data).toEqual({ organization_id: organizationId })
  })

  it('refuses with Plugboard’s own code', async () => {
    const refusal = {
      code: 'PB001',
      message: 'invitation_not_found',
      details: 'The invitation is used.',
      hint: null,
    }
    const { plugboard } = plugboardOver(json(refusal, 400))

    const { data, error } = await plugboard.organizations.acceptInvitation({ token: 'a' })

    expect(data).toBeNull()
    expect(error).toMatchObject({
      code: 'invitation_not_found',
      message: 'The invitation is used.',
      next: 'owner',
      status: 400,
    })
  })

  it('says something readable when a refusal says nothing more than its code', async () => {
    const refusal = { code: 'PB001', message: 'organization_not_found', details: '', hint: null }
    const { plugboard } = plugboardOver(json(refusal, 400))
    const input = { organization_id: organizationId, email: 'ada@example.com' }

    const { error } = await plugboard.organizations.invite(input)

    expect(error).toMatchObject({
      code: 'organization_not_found',
      message: 'organization not found',
    })
  })
})

describe('an error of the Data API', () => {
  it.each([
    ['PGRST301', 401, 'unauthorized'],
    ['22P02', 400, 'invalid_request'],
    ['23514', 400, 'invalid_request'],
    ['57014', 500, 'unavailable'],
    ['40P01', 500, 'unavailable'],
    ['PGRST002', 504, 'unavailable'],
    ['PGRST205', 404, 'unexpected_answer'],
  ])('%s with status %i becomes %s', async (sqlstate, status, code) => {
    const body = { code: sqlstate, message: 'what Postgres says', details: null, hint: null }
    const { plugboard } = plugboardOver(json(body, status))

    const { error } = await settle(plugboard.integrations.list())

    const next = code === 'unavailable' ? 'retry' : code === 'unauthorized' ? 'owner' : 'developer'
    expect(error).toMatchObject({ code, next, status, message: 'what Postgres says' })
  })

  it.each([401, 403])('asks to sign in when the role has no rights (%i)', async (status) => {
    const message = 'permission denied for table integrations'
    const { plugboard } = plugboardOver(json({ code: '42501', message }, status))

    const { error } = await plugboard.integrations.list()

    expect(error).toMatchObject({ code: 'unauthorized', status })
    expect(error?.message).toContain('signed-in')
  })

  it.each([[502, 'unavailable'], [520, 'unexpected_answer']])(
    'is judged by its status %i when a gateway sent a page',
    async (status, code) => {
      const { plugboard } = plugboardOver(html(status))

      const { error } = await settle(plugboard.integrations.list())

      expect(error).toMatchObject({ code, status })
      expect(error?.message).not.toContain('<')
    },
  )

  it('is an unexpected answer when a page comes with status 200', async () => {
    const { plugboard } = plugboardOver(html(200))

    const { data, error } = await plugboard.integrations.list()

    expect(data).toBeNull()
    expect(error?.code).toBe('unexpected_answer')
  })

  it('is an unexpected answer when a row lacks what this version needs', async () => {
    const { plugboard } = plugboardOver(json([{ ...integrationRow(), status: 'sleeping' }]))

    const { error } = await plugboard.integrations.list()

    expect(error).toMatchObject({ code: 'unexpected_answer', errors: [{ path: '0.status' }] })
  })

  it('is a network error when nobody answers, however often it is tried', async () => {
    const { plugboard, requests } = plugboardOver(new TypeError('fetch failed'))

    const { data, error } = await settle(plugboard.integrations.list())

    expect(data).toBeNull()
    expect(error).toMatchObject({ code: 'network_error', next: 'retry' })
    expect(requests.length).toBeGreaterThan(1)
  })

  it('is aborted when the signal ended the call', async () => {
    const { plugboard } = plugboardOver(silence)
    const controller = new AbortController()
    const call = plugboard.integrations.list({}, { signal: controller.signal })

    controller.abort()

    const { error } = await settle(call)
    expect(error?.code).toBe('aborted')
  })
})
