// kill -9 of the function server at each boundary of a push: nothing is lost, and nothing is made twice.
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { type HubSpotSimulator, startHubSpotSimulator } from '../../scripts/simulators/hubspot.ts'
import type { Integration } from '../../supabase/functions/_shared/contracts/integrations.ts'
import { type CommitGate, installCommitGate } from '../support/commit-gate.ts'
import {
  drained,
  expireLeases,
  type FaultStack,
  restoreBudgets,
  startFaultStack,
} from '../support/fault-stack.ts'

const CONTACTS = 6

let hubspot: HubSpotSimulator
let faulty: FaultStack
let gate: CommitGate
beforeAll(async () => {
  hubspot = await startHubSpotSimulator({ contacts: 0, requestsPerTenSeconds: 0 })
  faulty = await startFaultStack({
    functionsEnv: {
      CONNECTOR_OVERRIDES: JSON.stringify({ hubspot: { baseUrl: hubspot.baseUrl } }),
    },
  })
  gate = await installCommitGate(faulty.stack.adminDbUrl)
  return () => hubspot.stop()
})

let integrationId: string
beforeEach(async () => {
  hubspot.crm.archive(hubspot.crm.list().map(({ id }) => id))
  for (let index = 0; index < CONTACTS; index++) {
    hubspot.crm.add({ email: `${index}@people.example`, firstname: `First ${index}` })
  }
  hubspot.control.clear()
  await restoreBudgets(faulty)
  integrationId = await connect()
  // only the test's own call pushes until its worker is dead
  await faulty.admin`update private.worker_wakes set awake_until = 'infinity' where worker = 'sync'`
})

/** A fresh organization with the account, read once, whose contacts go both ways, deletions too. */
async function connect(): Promise<string> {
  const { admin } = faulty
  await admin`delete from public.organizations`
  const [organization] = await admin`
    insert into public.organizations (name) values ('Faults') returning id`
  const response = await faulty.post('integrations/connect', {
    organization_id: organization!.id,
    connector: 'hubspot',
    settings: { auth: 'private_app' },
    credentials: hubspot.credentials,
  })
  const { id } = await response.json() as Integration
  await admin`
    update public.sync_streams
    set next_sync_at = now() + interval '1 day', direction = 'both', push_deletes = true
    where integration_id = ${id}`
  expect(await sync('full', id)).toMatchObject({ status: 'success', stats: { fetched: CONTACTS } })
  return id
}

async function sync(mode: 'full' | 'push', id = integrationId) {
  const response = await faulty.post('sync', { integration_id: id, stream: 'contacts', mode })
  return await response.json() as Record<string, unknown>
}

const CHANGES = {
  update: {
    change: () =>
      faulty.admin`
        update public.contacts set first_name = 'Augusta'
        where integration_id = ${integrationId} and email in ('0@people.example', '1@people.example')`,
    path: 'batch/update',
    look: 'batch/read',
  },
  create: {
    change: () =>
      faulty.admin`
        insert into public.contacts (integration_id, email, first_name)
        values (${integrationId}, 'a@people.example', 'Augusta'), (${integrationId}, 'b@people.example', 'Augusta')`,
    path: 'batch/upsert',
    look: 'batch/read',
  },
  delete: {
    change: () =>
      faulty.admin`
        delete from public.contacts
        where integration_id = ${integrationId} and email in ('0@people.example', '1@people.example')`,
    path: 'batch/archive',
    look: 'batch/read',
  },
} as const
type Operation = keyof typeof CHANGES

/** As a person would list it. */
const shown = () =>
  hubspot.crm.list().map(({ properties: { email, firstname } }) => `${email} ${firstname}`).sort()

function expected(operation: Operation): string[] {
  const names = Array.from(
    { length: CONTACTS },
    (_, index) => `${index}@people.example First ${index}`,
  )
  const others = names.slice(2)
  return {
    update: ['0@people.example Augusta', '1@people.example Augusta', ...others],
    create: [...names, 'a@people.example Augusta', 'b@people.example Augusta'],
    delete: others,
  }[operation].sort()
}

/** What must be true after every death. */
async function expectBothSidesRight(operation: Operation): Promise<void> {
  await vi.waitFor(async () => {
    expect(await faulty.admin`select * from private.outbound_changes`).toEqual([])
  }, { timeout: 20_000, interval: 50 })
  await drained(faulty)
  expect(shown()).toEqual(expected(operation))
  await sync('full')
  const rows = await faulty.admin<{ email: string; first_name: string; source_id: string }[]>`
    select email, first_name, source_id from public.contacts
    where integration_id = ${integrationId} and deleted_at is null`
  expect(rows.map(({ email, first_name }) => `${email} ${first_name}`).sort())
    .toEqual(expected(operation))
  expect(rows.map(({ source_id }) => source_id).sort())
    .toEqual(hubspot.crm.list().map(({ id }) => id).sort())
  expect(await faulty.admin`select * from public.sync_conflicts`).toEqual([])
}

/** The worker that took it is dead; the next one comes when its lease has run out. */
async function nextWorker(): Promise<void> {
  await expireLeases(faulty)
  await faulty.admin`update private.sync_runs set run_at = now()`
  await faulty.admin`update private.worker_wakes set awake_until = null where worker = 'sync'`
  await faulty.wake()
}

/** Kills the worker while one call waits at the platform; the platform goes on with it all the same. */
async function killAtPlatform(kind: 'hold' | 'hold_answer', path: string): Promise<void> {
  const reached = Promise.withResolvers<void>()
  const go = Promise.withResolvers<void>()
  const until: PromiseLike<void> = {
    then(...given) {
      reached.resolve()
      return go.promise.then(...given)
    },
  }
  hubspot.control.setFault({ kind, until, path })
  const answer = sync('push').catch(() => null)
  await reached.promise
  await faulty.stack.functions.kill()
  go.resolve()
  await answer
  await nextWorker()
}

async function killAtCommit(label: string, outcome: 'commit' | 'roll back'): Promise<void> {
  await gate.close(label)
  const answer = sync('push').catch(() => null)
  await gate.reached()
  await faulty.stack.functions.kill()
  await gate.open(outcome)
  await answer
  await nextWorker()
}

const BOUNDARIES: [string, (operation: Operation) => Promise<void>][] = [
  ['before its look arrives', (operation) => killAtPlatform('hold', CHANGES[operation].look)],
  ['with its look answered', (operation) => killAtPlatform('hold_answer', CHANGES[operation].look)],
  [
    'before its intent is committed',
    (operation) => killAtCommit(`intent ${operation}`, 'roll back'),
  ],
  ['with its intent committed', (operation) => killAtCommit(`intent ${operation}`, 'commit')],
  ['with its call sent', (operation) => killAtPlatform('hold', CHANGES[operation].path)],
  [
    'with its call carried out',
    (operation) => killAtPlatform('hold_answer', CHANGES[operation].path),
  ],
  ['with its answer not saved', (operation) => killAtCommit(`save ${operation}`, 'roll back')],
  ['with its answer saved', (operation) => killAtCommit(`save ${operation}`, 'commit')],
]

describe.each(['update', 'create', 'delete'] as const)('a pushed %s', (operation) => {
  it('without a fault arrives once', async () => {
    await CHANGES[operation].change()

    await sync('push')

    await expectBothSidesRight(operation)
    expect(hubspot.requests.filter(({ path }) => path.includes(CHANGES[operation].path)))
      .toHaveLength(1)
  })

  it.each(BOUNDARIES)('whose worker is killed %s', async (_name, kill) => {
    await CHANGES[operation].change()

    await kill(operation)

    await expectBothSidesRight(operation)
  })
})
