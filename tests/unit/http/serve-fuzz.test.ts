// Whatever anybody sends to any endpoint, the answer is theirs to understand and never ours to repair.
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Contract } from '../../../supabase/functions/_shared/contracts/contract.ts'
import * as integrations from '../../../supabase/functions/_shared/contracts/integrations.ts'
import * as sync from '../../../supabase/functions/_shared/contracts/sync.ts'
import { type Handler, routes, serve } from '../../../supabase/functions/_shared/http/serve.ts'
import { createLog } from '../../../supabase/functions/_shared/platform/log.ts'
import { supabaseKeys } from '../../support/supabase-keys.ts'

const uuid = '22222222-2222-4222-8222-222222222222'
const workerToken = 'the-worker-token-of-this-test'

const noCounts = {
  fetched: 0,
  created: 0,
  updated: 0,
  unchanged: 0,
  deleted: 0,
  errors: 0,
  pushed: 0,
  conflicts: 0,
  failed: 0,
}
const syncResult = { success: true, sync_log_id: uuid, status: 'success', stats: noCounts }
const integration = {
  id: uuid,
  organization_id: uuid,
  connector: 'treez',
  external_account_id: null,
  name: 'Shop',
  status: 'connected',
  settings: {},
  account: {},
  sync_interval_minutes: 60,
  webhooks: null,
  consecutive_failures: 0,
  last_error: null,
  last_synced_at: null,
  last_checked_at: null,
  connected_at: '2026-11-20T09:00:00+00:00',
  disconnected_at: null,
  credentials_kept_until: null,
  created_at: '2026-11-20T09:00:00.123456+00:00',
  updated_at: '2026-11-20T09:00:00Z',
}

// Every contract, with a body it accepts and what its work would answer.
const endpoints: {
  contract: Contract
  valid: Record<string, unknown>
  answer: unknown
}[] = [
  {
    contract: sync.syncProducts,
    valid: { integration_id: uuid, triggered_by: 'a button' },
    answer: syncResult,
  },
  {
    contract: sync.startSync,
    valid: { integration_id: uuid, stream: 'products', mode: 'full', allow_mass_delete: true },
    answer: syncResult,
  },
  {
    contract: sync.replaySyncErrors,
    valid: { integration_id: uuid, stream: 'products', sync_error_ids: [uuid] },
    answer: { replayed: 1, resolved: 1, failed: 0, remaining: 0, next: null },
  },
  { contract: sync.workSyncs, valid: { reason: 'cron' }, answer: { accepted: true } },
  {
    contract: integrations.connectIntegration,
    valid: {
      organization_id: uuid,
      connector: 'treez',
      name: 'Shop',
      settings: { dispensary: 'demo' },
      credentials: { api_key: 'x' },
      sync_interval_minutes: 60,
    },
    answer: integration,
  },
  {
    contract: integrations.updateIntegration,
    valid: { integration_id: uuid, name: 'Shop', paused: true },
    answer: integration,
  },
  {
    contract: integrations.disconnectIntegration,
    valid: { integration_id: uuid, delete_data: true },
    answer: integration,
  },
  {
    contract: integrations.checkIntegration,
    valid: { integration_id: uuid },
    answer: { status: 'healthy', latency_ms: 12.5, checked_at: '2026-11-20T09:00:00Z' },
  },
  {
    contract: integrations.checkIntegrations,
    valid: { organization_id: uuid },
    answer: { checks: [], unchecked: [uuid] },
  },
  { contract: integrations.workChecks, valid: { reason: 'cron' }, answer: { accepted: true } },
  {
    contract: integrations.reconnectIntegration,
    valid: { integration_id: uuid, return_url: 'https://app.example.com/', finish_in: 'app' },
    answer: {
      authorization_url: 'https://p.example/authorize',
      expires_at: '2026-11-20T09:10:00+00:00',
    },
  },
  {
    contract: integrations.finishSignIn,
    valid: { parameters: { code: 'c', state: 's' } },
    answer: integration,
  },
  {
    contract: integrations.actOnIntegration,
    valid: { integration_id: uuid, action: 'post', input: {}, dry_run: true, idempotency_key: 'k' },
    answer: { action_id: uuid, status: 'success', output: { id: 1 } },
  },
]

let handlers: Map<Contract, Handler>
let credentials: Record<string, string>
const lines: string[] = []

beforeAll(async () => {
  const keys = await supabaseKeys()
  const token = await keys.userToken('11111111-1111-4111-8111-111111111111')
  credentials = { authorization: `Bearer ${token}`, 'x-worker-token': workerToken }
  handlers = new Map(endpoints.map(({ contract, answer }) => [
    contract,
    serve(contract, () => Promise.resolve(answer), {
      supabase: keys.supabase,
      environment: { SUPABASE_URL: keys.supabase.url, PLUGBOARD_WORKER_TOKEN: workerToken },
      log: createLog({}, (line) => lines.push(line)),
    }),
  ]))
})

const anyEndpoint = fc.constantFrom(...endpoints)
const oddText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom(
    '\0',
    '\ud800',
    '__proto__',
    'constructor',
    '😀',
    '',
    uuid,
    '1e999',
    "'; drop table",
  ),
)
const oddValue = fc.oneof(
  { depthSize: 'small' },
  fc.jsonValue(),
  oddText,
  fc.constantFrom<unknown>(null, true, -0, 1e308, 2 ** 53, [], {}, [[]]),
)

/** A body that its endpoint accepts, with up to three fields changed, lost or added. */
const nearlyValid = anyEndpoint.chain(({ contract, valid }) => {
  const names = fc.oneof(fc.constantFrom(...Object.keys(valid)), oddText)
  const changes = fc.array(
    fc.tuple(names, fc.option(oddValue, { nil: undefined })),
    { maxLength: 3 },
  )
  return changes.map((changed) => ({
    contract,
    body: JSON.stringify({ ...valid, ...Object.fromEntries(changed) }),
  }))
})
const anyJson = fc.record({
  contract: anyEndpoint.map(({ contract }) => contract),
  body: oddValue.map((value) => JSON.stringify(value)),
})
const notEvenJson = fc.record({
  contract: anyEndpoint.map(({ contract }) => contract),
  body: fc.oneof(
    fc.string(),
    fc.uint8Array({ maxLength: 200 }),
    fc.integer({ min: 1, max: 200_000 }).map((depth) => '['.repeat(depth)),
    fc.integer({ min: 1, max: 100_000 }).map((depth) => '['.repeat(depth) + ']'.repeat(depth)),
    fc.integer({ min: 1, max: 50_000 }).map((depth) =>
      '{"a":'.repeat(depth) + '"\\u0000"' + '}'.repeat(depth)
    ),
  ),
})

async function expectGoodAnswer(response: Response, method = 'POST') {
  const text = await response.text()
  expect(response.status, `${text} ${lines.at(-1)}`).toBeLessThan(500)
  expect(response.headers.get('access-control-allow-origin')).toBe('*')
  expect(response.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
  expect(text).not.toMatch(/\.ts:\d|node_modules|sb_secret|the-worker-token/)
  if (response.status >= 400 && method !== 'HEAD') {
    const body = JSON.parse(text)
    expect(body).toMatchObject({ status: response.status, code: expect.any(String) })
    expect(text.length).toBeLessThan(20_000)
  }
  return response.status
}

describe('every endpoint', () => {
  it.each(endpoints)(
    '$contract.path accepts what it should, so that the rest proves something',
    async ({ contract, valid }) => {
      const response = await handlers.get(contract)!(
        new Request(`http://localhost${contract.path}`, {
          method: 'POST',
          headers: credentials,
          body: JSON.stringify(valid),
        }),
      )

      expect(response.status).toBe(200)
    },
  )

  it('answers 1,000 bodies below 500', async () => {
    const seen = new Map<number, number>()

    await fc.assert(
      fc.asyncProperty(
        fc.oneof(nearlyValid, nearlyValid, anyJson, notEvenJson),
        async ({ contract, body }) => {
          const response = await handlers.get(contract)!(
            new Request(`http://localhost${contract.path}`, {
              method: 'POST',
              headers: credentials,
              body: body as BodyInit,
            }),
          )
          const status = await expectGoodAnswer(response)
          seen.set(status, (seen.get(status) ?? 0) + 1)
        },
      ),
      { numRuns: 1_000 },
    )

    expect([...seen.keys()].sort()).toEqual([200, 400]) // both sides were reached
  })

  it('answers any headers, methods and paths below 500', async () => {
    const token = fc.base64String({ maxLength: 60 })
    const headerValue = fc.oneof(
      fc.string({ unit: fc.constantFrom(...'aZ09 ._-:;,=/"\'\\%') }),
      token.map((text) => `Bearer ${text}`),
      fc.tuple(token, token, token).map((parts) => `bearer ${parts.join('.')}`),
      fc.jsonValue().map((header) =>
        `Bearer ${btoa(encodeURIComponent(JSON.stringify(header)))}.e30.x`
      ),
      fc.constantFrom(
        'Bearer',
        'Bearer  ',
        'Bearer eyJhbGciOiJub25lIiwia2lkIjoidGVzdC1rZXkifQ.e30.',
        '-1',
        '1e9',
        'NaN',
      ),
    )
    const headerName = fc.constantFrom(
      'authorization',
      'apikey',
      'x-worker-token',
      'content-type',
      'content-length',
      'content-encoding',
      'x-client-info',
      'x-request-id',
      'origin',
      'accept',
      'cookie',
    )
    const method = fc.constantFrom(
      'GET',
      'HEAD',
      'POST',
      'PUT',
      'PATCH',
      'DELETE',
      'OPTIONS',
      'QUERY',
      'post',
      'X-Y',
    )
    const path = fc.oneof(
      fc.webPath(),
      fc.constantFrom(
        '/',
        '/sync',
        '/sync/',
        '/sync/work',
        '//x',
        '/sync/%00',
        '/sync/..',
      ),
    )
    const table = routes(Object.fromEntries(
      [...handlers].map(([contract, handler]) => [
        `POST /${contract.path.split('/').slice(2).join('/')}`,
        handler,
      ]),
    ))

    await fc.assert(
      fc.asyncProperty(
        anyEndpoint,
        method,
        path,
        fc.dictionary(headerName, headerValue),
        fc.boolean(),
        async ({ contract, valid }, method, path, headers, isRouted) => {
          const handler = isRouted ? table : handlers.get(contract)!
          const hasBody = !['GET', 'HEAD'].includes(method)
          const request = new Request(`http://localhost${path}`, {
            method,
            headers,
            body: hasBody ? JSON.stringify(valid) : undefined,
          })
          await expectGoodAnswer(await handler(request), method)
        },
      ),
      { numRuns: 1_000 },
    )
  })
})
