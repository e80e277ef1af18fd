// Many workers at once, and one that wakes up after its lease: each run is done once, by one of them.
import process from 'node:process'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import {
  type JsonFeedSimulator,
  startJsonFeedSimulator,
} from '../../scripts/simulators/json-feed.ts'
import { startTreezSimulator, type TreezSimulator } from '../../scripts/simulators/treez.ts'
import { directDatabase } from '../../supabase/functions/_shared/platform/database.ts'
import { runWorker } from '../../supabase/functions/_shared/sync/run-worker.ts'
import { type CommitGate, installCommitGate } from '../support/commit-gate.ts'
import {
  byId,
  connectAccount,
  drained,
  expectSettled,
  expireLeases,
  type FaultStack,
  queueSync,
  restoreBudgets,
  startFaultStack,
} from '../support/fault-stack.ts'

const PRODUCTS = 250
const FEED_PRODUCTS = 60

let treez: TreezSimulator
let feeds: JsonFeedSimulator[]
let faulty: FaultStack
let gate: CommitGate

const connectTreez = () =>
  connectAccount(faulty, {
    connector: 'treez',
    settings: treez.settings,
    credentials: treez.credentials.v2,
    batchSize: 100,
  })
const treezCatalog = () => byId(treez.catalog('sound'), 'product_id')

beforeAll(async () => {
  treez = await startTreezSimulator({
    products: PRODUCTS,
    brokenShare: 0,
    requestsPerSecond: 0,
    recordSize: 'compact',
  })
  feeds = await Promise.all(
    [1, 2, 3, 4].map((seed) => startJsonFeedSimulator({ seed, products: FEED_PRODUCTS })),
  )
  faulty = await startFaultStack({
    functionsEnv: { CONNECTOR_OVERRIDES: JSON.stringify({ treez: { baseUrl: treez.baseUrl } }) },
  })
  gate = await installCommitGate(faulty.stack.adminDbUrl)
  return () => Promise.all([treez, ...feeds].map((simulator) => simulator.stop()))
})

describe('eight workers start at the same moment', () => {
  it('five integrations are synced by callers and workers at once: no run is done twice', async () => {
    const accounts = await Promise.all([
      connectTreez().then((id) => ({ id, catalog: treezCatalog })),
      ...feeds.map(async (feed) => ({
        id: await connectAccount(faulty, { connector: 'json-feed', settings: { url: feed.url } }),
        catalog: () => byId(feed.products),
      })),
    ])
    const [token] = await faulty.admin`
      select decrypted_secret as text from vault.decrypted_secrets where name = 'plugboard_worker_token'`
    const direct = directDatabase(faulty.stack.dbUrl)
    const race = async () => {
      await restoreBudgets(faulty)
      await Promise.all([
        ...accounts.map(({ id }) => faulty.post('sync-products', { integration_id: id })),
        ...[1, 2, 3].map(() =>
          fetch(`${faulty.stack.functionsUrl}/sync/work`, {
            method: 'POST',
            headers: { 'x-worker-token': token?.text, 'content-type': 'application/json' },
            body: '{}',
          })
        ),
        ...accounts.map(({ id }) => queueSync(faulty, id)),
        ...[1, 2, 3].map(() => runWorker(faulty.outside())),
        ...[1, 2].map(() => runWorker(faulty.outside({ db: direct }))),
      ])
      await drained(faulty)
    }

    await race()
    treez.control.change(20)
    treez.control.remove(5)
    treez.control.add(5)
    feeds.forEach((feed) => feed.products.splice(0, 5))
    await race()
    await direct.end()

    for (const { id, catalog } of accounts) {
      await expectSettled(faulty, id, catalog())
      const logs = await faulty.admin`
        select id, status, attempt_count, created_count, deleted_count from public.sync_logs
        where integration_id = ${id}`
      for (const log of logs) {
        const commits = await gate.commits(log.id)
        expect(new Set(commits).size).toBe(commits.length)
        expect(log).toMatchObject({ status: 'success', attempt_count: 1 })
      }
      const sum = (column: string) => logs.reduce((total, log) => total + log[column], 0)
      expect(sum('deleted_count')).toBe(5)
      expect(sum('created_count')).toBe(catalog().size + 5) // with the five that went again
    }
  })
})

describe('a worker is suspended in the middle of a run for longer than its lease', () => {
  it.each(['claim', 'batch 1', 'batch 2', 'absent 1'])(
    'suspended after "%s": another one finishes the run, and the old one writes nothing more',
    async (label) => {
      const integrationId = await connectTreez()
      await restoreBudgets(faulty)
      await faulty.post('sync-products', { integration_id: integrationId })
      await restoreBudgets(faulty)
      treez.control.change(20)
      treez.control.remove(55)
      treez.control.add(55)

      await gate.close(label)
      const answer = faulty.post('sync-products', { integration_id: integrationId })
      await gate.reached()
      const old = faulty.stack.functions.pid()
      process.kill(old, 'SIGSTOP')
      const linesBefore = faulty.lines.length
      try {
        await gate.open('commit')
        await expireLeases(faulty)
        await runWorker(faulty.outside())
      } finally {
        process.kill(old, 'SIGCONT')
      }
      await vi.waitFor(
        () =>
          expect(faulty.lines.slice(linesBefore).join('\n')).toContain(
            'run lost to another worker',
          ),
        { timeout: 20_000 },
      )

      const log = await expectSettled(faulty, integrationId, treezCatalog())
      const commits = await gate.commits(log.id)
      expect(commits.filter((commit) => commit !== 'claim')).toEqual([
        'batch 1',
        'batch 2',
        'batch 3',
        'absent 1',
        'absent 2',
        'finish',
      ])
      expect(log).toMatchObject({ attempt_count: 2, created_count: 55, deleted_count: 55 })
      // whoever asked the old worker hears how the run ended
      expect(await (await answer).json()).toMatchObject({ success: true, sync_log_id: log.id })
    },
  )

  it('suspended with a write that fails: what it read does not overwrite what is newer, and it steps back', async () => {
    const integrationId = await connectTreez()
    await restoreBudgets(faulty)
    await gate.close('batch 1')
    const answer = faulty.post('sync-products', { integration_id: integrationId })
    await gate.reached()
    const old = faulty.stack.functions.pid()
    process.kill(old, 'SIGSTOP')
    try {
      await gate.open('roll back')
      treez.control.change(PRODUCTS)
      await expireLeases(faulty)
      await runWorker(faulty.outside())
    } finally {
      process.kill(old, 'SIGCONT')
    }
    expect((await answer).status).toBe(200)

    await expectSettled(faulty, integrationId, treezCatalog())
  })
})
