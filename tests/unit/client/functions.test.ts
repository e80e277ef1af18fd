import { describe, expect, it } from 'vitest'
import { createPlugboard } from '../../../src/index.ts'
import { type Answer, fakeSupabase, html, json, silence } from './fake-supabase.ts'
import { integrationId, integrationRow, organizationId, syncLogId } from './rows.ts'

const stats = {
  fetched: 3,
  created: 2,
  updated: 1,
  unchanged: 0,
  deleted: 0,
  errors: 0,
  pushed: 0,
  conflicts: 0,
  failed: 0,
}
const finished = { success: true, sync_log_id: syncLogId, status: 'success', stats }

const problem = {
  type: 'urn:plugboard:error:stream_not_found',
  title: 'The connector has no such stream',
  status: 404,
  detail: 'Downtown store has no stream prodcuts.',
  code: 'stream_not_found',
  next: 'developer',
  request_id: 'req-1',
}

function start(...answers: Answer[]) {
  const { supabase, requests } = fakeSupabase(...answers)
  const plugboard = createPlugboard(supabase)
  const call = plugboard.syncs.start({ integration_id: integrationId, stream: 'products' })
  return { call, requests }
}

describe('a call of an Edge Function', () => {
  it('posts the input to the contract’s address and answers the parsed body', async () => {
    const { call, requests } = start(json(finished))

    const { data, error } = await call

    expect(error).toBeNull()
    expect(data).toEqual(finished)
    expect(requests).toMatchObject([{
      method: 'POST',
      path: '/functions/v1/sync',
      body: { integration_id: integrationId, stream: 'products' },
    }])
  })

  it.each(
    [
      ['/functions/v1/integrations/connect', 'connect'],
      ['/functions/v1/integrations/update', 'update'],
      ['/functions/v1/integrations/disconnect', 'disconnect'],
    ] as const,
  )('reaches %s', async (path, method) => {
    const { supabase, requests } = fakeSupabase(json(integrationRow()))
    const { integrations } = createPlugboard(supabase)
    const calls = {
      connect: () =>
        integrations.connect({
          organization_id: organizationId,
          connector: 'treez',
          settings: { dispensary: 'downtown' },
          credentials: { client_id: 'a', api_key: 'b' },
        }),
      update: () => integrations.update({ integration_id: integrationId, paused: true }),
      disconnect: () => integrations.disconnect({ integration_id: integrationId }),
    }

    const { data, error } = await calls[method]()

    expect(error).toBeNull()
    expect(data).toEqual(integrationRow())
    expect(requests).toMatchObject([{ method: 'POST', path }])
  })

  it('answers an unhealthy account as data, because asking worked', async () => {
    const unhealthy = {
      status: 'unhealthy',
      latency_ms: 120,
      checked_at: '2026-11-20T09:00:00Z',
      error: { code: 'provider_unauthorized', message: 'Treez refused the key.', next: 'owner' },
    }
    const { supabase } = fakeSupabase(json(unhealthy))

    const { data, error } = await createPlugboard(supabase).integrations.check({
      integration_id: integrationId,
    })

    expect(error).toBeNull()
    expect(data).toEqual(unhealthy)
  })

  it('answers how many records a replay mended, and where to go on', async () => {
    const counts = { replayed: 1000, resolved: 990, failed: 10, remaining: 5, next: syncLogId }
    const { supabase, requests } = fakeSupabase(json(counts))

    const { data } = await createPlugboard(supabase).syncs.replay({
      integration_id: integrationId,
      stream: 'products',
    })

    expect(data).toEqual(counts)
    expect(requests).toMatchObject([{ path: '/functions/v1/sync/replay' }])
  })

  it('answers how the images of an organization stand', async () => {
    const counts = { queued: 2, waiting: 2, stored: 40, dead: 1 }
    const { supabase, requests } = fakeSupabase(json(counts))

    const { data } = await createPlugboard(supabase).images.sync({
      organization_id: organizationId,
      retry_dead: true,
    })

    expect(data).toEqual(counts)
    expect(requests).toMatchObject([{
      path: '/functions/v1/sync-images',
      body: { organization_id: organizationId, retry_dead: true },
    }])
  })

  it('answers a problem with its code, message, status and request id', async () => {
    const { call } = start(json(problem, 404, { 'content-type': 'application/problem+json' }))

    const { data, error } = await call

    expect(data).toBeNull()
    expect(error).toMatchObject({
      code: 'stream_not_found',
      message: 'Downtown store has no stream prodcuts.',
      next: 'developer',
      status: 404,
      requestId: 'req-1',
    })
  })

  it.each(
    [['provider_timeout', 'retry'], ['invented_tomorrow', 'owner']] as const,
  )('says of %s who can act as the function did: %s', async (code, next) => {
    const type = `urn:plugboard:error:${code}`
    const { call } = start(json({ ...problem, type, code, next }, 502))

    expect((await call).error).toMatchObject({ code, next })
  })

  it('takes a problem without a word on who can act, or with a strange one', async () => {
    const { call } = start(json({ ...problem, next: 'nobody' }, 404))

    expect((await call).error).toMatchObject({ code: 'stream_not_found', next: 'developer' })
  })

  it('names the fields that a problem names', async () => {
    const errors = [{ path: 'settings.url', message: 'must be a URL' }]
    const body = {
      ...problem,
      type: 'urn:plugboard:error:invalid_settings',
      code: 'invalid_settings',
      errors,
    }
    const { call } = start(json(body, 400))

    const { error } = await call

    expect(error).toMatchObject({ code: 'invalid_settings', errors })
  })

  it('says in milliseconds when trying again can help', async () => {
    const body = {
      ...problem,
      type: 'urn:plugboard:error:too_many_requests',
      code: 'too_many_requests',
    }
    const { call } = start(json(body, 429, { 'retry-after': '7' }))

    const { error } = await call

    expect(error).toMatchObject({ code: 'too_many_requests', retryAfterMs: 7_000 })
  })

  it.each([
    [401, 'unauthorized'],
    [429, 'too_many_requests'],
    [502, 'unavailable'],
    [503, 'unavailable'],
    [504, 'unavailable'],
    [546, 'unavailable'],
    [404, 'unexpected_answer'],
    [500, 'unexpected_answer'],
  ])('judges a gateway’s page with status %i by the status', async (status, code) => {
    const { call } = start(html(status))

    const { error } = await call

    expect(error).toMatchObject({ code, status })
  })

  it('passes on what a gateway says in JSON', async () => {
    const { call } = start(
      json({ code: 'NOT_FOUND', message: 'Requested function was not found' }, 404),
    )

    const { error } = await call

    expect(error).toMatchObject({
      code: 'unexpected_answer',
      message: 'Requested function was not found',
    })
  })

  it.each([
    ['a page of HTML', html(200)],
    ['JSON of another shape', json({ ok: true })],
    [
      'JSON that breaks off',
      new Response('{"succ', { headers: { 'content-type': 'application/json' } }),
    ],
  ])('refuses %s with status 200 as an unexpected answer', async (_what, answer) => {
    const { call } = start(answer)

    const { data, error } = await call

    expect(data).toBeNull()
    expect(error?.code).toBe('unexpected_answer')
  })

  it('says which field of an answer is not as expected', async () => {
    const { call } = start(json({ ...finished, status: 'exploded' }))

    const { error } = await call

    expect(error?.errors).toMatchObject([{ path: 'status' }])
  })

  it('answers a failing network as an error that keeps its cause', async () => {
    const { call, requests } = start(new TypeError('fetch failed'))

    const { data, error } = await call

    expect(data).toBeNull()
    expect(error?.code).toBe('network_error')
    expect(error?.status).toBeUndefined()
    expect(error?.message).toContain('fetch failed')
    expect(requests).toHaveLength(1) // never repeated: it may have had its effect
  })

  it('answers a call ended by its signal as aborted', async () => {
    const { supabase } = fakeSupabase(silence)
    const controller = new AbortController()
    const input = { integration_id: integrationId, stream: 'products' }
    const call = createPlugboard(supabase).syncs.start(input, { signal: controller.signal })

    controller.abort()

    const { error } = await call
    expect(error?.code).toBe('aborted')
  })
})
