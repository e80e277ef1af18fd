// Can anything that is sent make a function fail? A thousand bodies, as they come and nearly right.
import fc from 'fast-check'
import { beforeAll, expect, it } from 'vitest'
import type { TreezSimulator } from '../../scripts/simulators/treez.ts'
import { endpoints, makeWorld, workerEndpoints, type World } from '../support/endpoints.ts'
import { type FunctionCaller, useFunctions } from '../support/functions.ts'

const functions = useFunctions()
let store: TreezSimulator
let world: World
/** What changes an account gets one of its own, or the others would soon find theirs switched off. */
let ownWorlds: Record<string, World>
let wakeCall: FunctionCaller
beforeAll(async () => {
  store = await functions.openStore({ products: 3 })
  world = await makeWorld(functions, store)
  ownWorlds = {
    '/integrations/update': await makeWorld(functions, await functions.openStore({ products: 3 })),
    '/integrations/disconnect': await makeWorld(
      functions,
      await functions.openStore({ products: 3 }),
    ),
  }
  const rows = await functions.database.admin`
    select decrypted_secret from vault.decrypted_secrets where name = 'plugboard_worker_token'`
  functions.keepSecret(rows[0]?.decrypted_secret)
  wakeCall = { headers: { 'x-worker-token': rows[0]?.decrypted_secret } }
})

type Sent = { path: string; caller: FunctionCaller; body: BodyInit }

const anything = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.string({ unit: 'binary' }),
  fc.constantFrom(
    null,
    '',
    '\u0000',
    '\ud800',
    '../../etc/passwd',
    "'; drop table products; --",
    1e308,
    -0,
    9007199254740993,
    '00000000-0000-0000-0000-000000000000',
    '__proto__',
    [],
    {},
  ),
)

/** The good request with some fields replaced, taken away, or added at any depth. */
function bent(good: Record<string, unknown>): fc.Arbitrary<Record<string, unknown>> {
  const fields = fc.constantFrom(...Object.keys(good))
  const edit = fc.oneof(
    fc.record({ field: fields, value: anything }),
    fc.record({ field: fields }),
    fc.record({
      field: fc.oneof(fc.string(), fc.constantFrom('__proto__', 'constructor')),
      value: anything,
    }),
    fc.record({ field: fields, inner: fc.string(), value: anything }),
    fc.record({
      field: fields,
      inner: fc.constantFrom('dispensary', 'api_key', 'client_id', 'api_version', 'currency'),
      value: anything,
    }),
  )
  return fc.array(edit, { minLength: 1, maxLength: 2 }).map((edits) => {
    const entries = new Map(Object.entries(good))
    for (const { field, inner, ...change } of edits as Edit[]) {
      const held = entries.get(field)
      if (!('value' in change)) entries.delete(field)
      else if (inner === undefined || typeof held !== 'object') entries.set(field, change.value)
      else entries.set(field, { ...held, [inner]: change.value })
    }
    return Object.fromEntries(entries)
  })
}
type Edit = { field: string; inner?: string; value?: unknown }

function bodies(): fc.Arbitrary<Sent> {
  const targets = [
    ...endpoints.map(({ path, body }) => {
      const its = ownWorlds[path] ?? world
      const callers: FunctionCaller[] = ['secret key', its.owner]
      return { path, good: body(its), callers }
    }),
    ...workerEndpoints.map((path) => ({ path, good: { reason: 'wake' }, callers: [wakeCall] })),
  ]
  return fc.constantFrom(...targets).chain(({ path, good, callers }) =>
    fc.record({
      path: fc.constant(path),
      caller: fc.constantFrom(...callers),
      body: fc.oneof(
        { weight: 6, arbitrary: bent(good).map((body) => JSON.stringify(body)) },
        { weight: 2, arbitrary: anything.map((body) => JSON.stringify(body)) },
        { weight: 1, arbitrary: fc.string({ unit: 'binary' }) },
        { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((it) => new Uint8Array(it)) },
      ),
    })
  )
}

it(
  'answers a thousand bodies without one failure, stack or secret',
  { timeout: 120_000 },
  async () => {
    const statuses = new Map<number, number>()
    const send = async ({ path, caller, body }: Sent) => {
      const { status, text } = await functions.send(caller, path, { method: 'POST', body })
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      expect(text).not.toMatch(/\bat .*\.ts:\d|file:\/\/|node_modules|PGRST|plpgsql/)
      expect(status, `${path} ${body} → ${text}`).toBeLessThan(500)
    }

    await fc.assert(
      fc.asyncProperty(fc.array(bodies(), { minLength: 10, maxLength: 10 }), async (batch) => {
        await Promise.all(batch.map(send))
      }),
      { numRuns: 100, endOnFailure: true },
    )

    // most are refused, some are good all the same, and both kinds were met
    expect([...statuses.keys()]).toEqual(expect.arrayContaining([200, 400, 404]))
    // and all the time the good ones had something to reach
    store.control.clear()
    const { integrationId } = world
    const disarmed = await functions.database.admin`
      select action from public.activity_logs
      where subject_id = ${integrationId}
        and action in ('integration.disconnected', 'integration.paused', 'integration.failed')`
    expect(disarmed).toEqual([])
    const check = await functions.call(world.owner, '/integrations/check', {
      integration_id: integrationId,
    })
    const synced = await functions.sync(world.owner, integrationId)
    expect(check).toMatchObject({ status: 200, body: { status: 'healthy' } })
    expect(synced).toMatchObject({
      status: 200,
      body: { status: 'success', stats: { fetched: 3 } },
    })
    expect(store.requests.length).toBeGreaterThanOrEqual(2)
  },
)

it('answers bodies that are made to hurt', async () => {
  const connect = endpoints.find(({ path }) => path === '/integrations/connect')!.body(world)
  const deep = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`
  const withSettings = (settings: string) =>
    JSON.stringify({ ...connect, settings: '?' }).replace('"?"', settings)
  const manyFields = Object.fromEntries(Array.from({ length: 50_000 }, (_, n) => [`f${n}`, n]))
  const hurting = [
    deep(400_000),
    withSettings(deep(200_000)),
    withSettings(`{"dispensary":${deep(200_000)}}`),
    withSettings(`${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`),
    withSettings(JSON.stringify(manyFields)),
    JSON.stringify({ ...connect, ...manyFields }),
    JSON.stringify({ ...connect, [`${'k'.repeat(500_000)}`]: 1 }),
    JSON.stringify({ ...connect, name: 'n'.repeat(900_000) }),
    withSettings('{"dispensary":1e999}'),
    withSettings('{"__proto__":{"dispensary":"x"},"dispensary":"x","dispensary":"y"}'),
    withSettings('{"constructor":{"prototype":{"isAdmin":true}}}'),
    `${' '.repeat(900_000)}{}`,
  ]

  const answers = await Promise.all(hurting.map(async (body) => {
    const { status, text } = await functions.send(world.owner, '/integrations/connect', {
      method: 'POST',
      body,
    })
    return {
      body: body.slice(0, 60),
      isRefused: status >= 400 && status < 500,
      isShort: text.length < 10_000,
    }
  }))

  expect(answers).toEqual(
    hurting.map((body) => ({ body: body.slice(0, 60), isRefused: true, isShort: true })),
  )
})
