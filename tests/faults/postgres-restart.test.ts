// Postgres restarts in the middle of a run, cleanly or by a crash: the run goes on and deletes nothing wrongly.
import process from 'node:process'
import { beforeAll, describe, expect, it } from 'vitest'
import { startTreezSimulator, type TreezSimulator } from '../../scripts/simulators/treez.ts'
import { directDatabase } from '../../supabase/functions/_shared/platform/database.ts'
import { runWorker } from '../../supabase/functions/_shared/sync/run-worker.ts'
import { answering } from '../support/answering.ts'
import { type CommitGate, installCommitGate } from '../support/commit-gate.ts'
import {
  byId,
  connectAccount,
  drained,
  expectSettled,
  type FaultStack,
  queueSync,
  restoreBudgets,
  startFaultStack,
} from '../support/fault-stack.ts'

const PRODUCTS = 250
const FIRST = 'batch 1'
const LAST_OF_PAGES = 'batch 3'
const COMMITS = ['claim', FIRST, 'batch 2', LAST_OF_PAGES, 'absent 1', 'absent 2', 'finish']

let treez: TreezSimulator
let faulty: FaultStack
let gate: CommitGate
let integrationId: string

const catalog = () => byId(treez.catalog('sound'), 'product_id')
const sync = async () => {
  await restoreBudgets(faulty)
  return await faulty.post('sync-products', { integration_id: integrationId })
}
async function restart(mode: 'fast' | 'immediate') {
  await faulty.stack.postgres.restart(mode)
  await answering(faulty.admin)
}
function changeTheStore() {
  treez.control.change(20)
  treez.control.remove(55)
  treez.control.add(55)
}

/** Nothing but the restart happens: no lease is moved, nobody rings, the worker lives. */
async function expectTheRunWentOn(answer: Response) {
  expect(answer.status).toBe(200)
  await drained(faulty)
  const log = await expectSettled(faulty, integrationId, catalog())
  expect(log).toMatchObject({ attempt_count: 1, created_count: 55, deleted_count: 55 })
  return await gate.commits(log.id)
}

beforeAll(async () => {
  treez = await startTreezSimulator({
    products: PRODUCTS,
    brokenShare: 0.01,
    requestsPerSecond: 0,
    recordSize: 'compact',
  })
  faulty = await startFaultStack({
    functionsEnv: { CONNECTOR_OVERRIDES: JSON.stringify({ treez: { baseUrl: treez.baseUrl } }) },
  })
  gate = await installCommitGate(faulty.stack.adminDbUrl)
  integrationId = await connectAccount(faulty, {
    connector: 'treez',
    settings: treez.settings,
    credentials: treez.credentials.v2,
    batchSize: 100,
  })
  expect((await sync()).status).toBe(200)
  return () => treez.stop()
})

describe('Postgres restarts during a write', () => {
  it.each(
    [
      ['fast', 'batch 2'],
      ['fast', 'absent 1'],
      ['fast', 'finish'],
    ] as const,
  )('%s at "%s": the write is sent again, and counts once', async (mode, label) => {
    changeTheStore()
    await gate.close(label)
    const answer = sync()
    await gate.reached()

    await restart(mode)
    await gate.open()

    const commits = await expectTheRunWentOn(await answer)
    expect(commits).toEqual(COMMITS)
  })

  it.each(['batch 2', 'absent 2'])(
    'crash at "%s": what the scan had seen is lost, so it starts over, and nothing is wrongly deleted',
    async (label) => {
      changeTheStore()
      await gate.close(label)
      const answer = sync()
      await gate.reached()

      await restart('immediate')
      await gate.open()

      const commits = await expectTheRunWentOn(await answer)
      expect(commits.filter((commit) => commit === 'restart')).toHaveLength(1)
    },
  )
})

describe('Postgres restarts while an engine writes over a direct connection', () => {
  it.each(['fast', 'immediate'] as const)('%s: the write is sent again', async (mode) => {
    changeTheStore()
    await restoreBudgets(faulty)
    const direct = directDatabase(faulty.stack.dbUrl)
    await gate.close('batch 2')
    const log = await queueSync(faulty, integrationId)
    const running = runWorker(faulty.outside({ db: direct }))
    await gate.reached()

    await restart(mode)
    await gate.open()

    await running
    void direct.end() // the driver may take its five seconds over a connection it lost
    expect(await expectSettled(faulty, integrationId, catalog())).toMatchObject({
      id: log.id,
      attempt_count: 1,
      created_count: 55,
      deleted_count: 55,
    })
  })
})

describe('Postgres restarts between two writes', () => {
  /** The worker stands still right after a commit, Postgres restarts, the worker goes on. */
  async function restartAfter(label: string, mode: 'fast' | 'immediate') {
    await gate.close(label)
    const answer = sync()
    await gate.reached()
    const worker = faulty.stack.functions.pid()
    process.kill(worker, 'SIGSTOP')
    try {
      await gate.open('commit')
      await restart(mode)
    } finally {
      process.kill(worker, 'SIGCONT')
    }
    return await answer
  }

  it.each([FIRST, 'absent 1', 'finish'])(
    'fast after "%s": the run goes on where it was',
    async (label) => {
      changeTheStore()

      const answer = await restartAfter(label, 'fast')

      expect(await expectTheRunWentOn(answer)).toEqual(COMMITS)
    },
  )

  it.each([FIRST, LAST_OF_PAGES, 'absent 1'])(
    'crash after "%s": the scan starts over, and nothing is wrongly deleted',
    async (label) => {
      changeTheStore()

      const answer = await restartAfter(label, 'immediate')

      const commits = await expectTheRunWentOn(answer)
      expect(commits.filter((commit) => commit === 'restart')).toHaveLength(1)
    },
  )
})
