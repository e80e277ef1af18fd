// kill -9 of the function server at each commit of a run: what is left is continued, exactly once.
import { beforeAll, describe, expect, it } from 'vitest'
import { startTreezSimulator, type TreezSimulator } from '../../scripts/simulators/treez.ts'
import { type CommitGate, installCommitGate } from '../support/commit-gate.ts'
import {
  byId,
  connectAccount,
  drained,
  expectSettled,
  expireLeases,
  type FaultStack,
  lastLog,
  restoreBudgets,
  startFaultStack,
} from '../support/fault-stack.ts'

// 250 products come in pages of 50: three batches of up to 100. 55 removed ones are asked for by 50.
const PRODUCTS = 250
const COMMITS = [
  'claim',
  'batch 1',
  'batch 2',
  'batch 3',
  'absent 1',
  'absent 2',
  'finish',
] as const

let treez: TreezSimulator
let faulty: FaultStack
let gate: CommitGate

const catalog = () => byId(treez.catalog('sound'), 'product_id')
const connect = () =>
  connectAccount(faulty, {
    connector: 'treez',
    settings: treez.settings,
    credentials: treez.credentials.v2,
    batchSize: 100,
  })
const sync = async (integrationId: string) => {
  await restoreBudgets(faulty)
  return await faulty.post('sync-products', { integration_id: integrationId })
}

/** Kills the worker at one commit of the run it is asked for, and lets another one take over. */
async function killAt(label: string, outcome: 'commit' | 'roll back', integrationId: string) {
  await gate.close(label)
  const answer = sync(integrationId).catch(() => null)
  await gate.reached()
  await faulty.stack.functions.kill()
  await gate.open(outcome)
  await answer
  await expireLeases(faulty)
  await faulty.wake()
  await drained(faulty)
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
  return () => treez.stop()
})

describe('the worker is killed in a run that creates, changes and deletes', () => {
  let integrationId: string
  beforeAll(async () => {
    integrationId = await connect()
    expect((await sync(integrationId)).status).toBe(200)
  })

  /** 20 changed, 55 removed, 55 new: the catalog keeps its size, so that every run has the same commits. */
  function changeTheStore() {
    treez.control.change(20)
    treez.control.remove(55)
    treez.control.add(55)
  }
  async function expectEachChangeOnce() {
    const log = await expectSettled(faulty, integrationId, catalog())
    expect(log).toMatchObject({
      fetched_count: PRODUCTS,
      created_count: 55,
      deleted_count: 55,
    })
    expect(log.created_count + log.updated_count + log.unchanged_count + log.error_count).toBe(
      PRODUCTS,
    )
    expect(await gate.commits(log.id)).toEqual(expect.arrayContaining([...COMMITS]))
    return log
  }

  it('no fault: the commits of a run are the ones that the tests below stop at', async () => {
    changeTheStore()

    await sync(integrationId)

    const log = await expectEachChangeOnce()
    expect(await gate.commits(log.id)).toEqual(COMMITS)
  })

  it.each(
    [
      ['claim', 'commit'],
      ['batch 1', 'roll back'],
      ['batch 1', 'commit'],
      ['batch 2', 'roll back'],
      ['batch 2', 'commit'],
      ['batch 3', 'roll back'],
      ['batch 3', 'commit'],
      ['absent 1', 'roll back'],
      ['absent 1', 'commit'],
      ['absent 2', 'roll back'],
      ['absent 2', 'commit'],
      ['finish', 'roll back'],
    ] as const,
  )(
    'killed at "%s" (%s): the next worker goes on from the last commit and nothing is done twice',
    async (label, outcome) => {
      changeTheStore()

      await killAt(label, outcome, integrationId)

      const log = await expectEachChangeOnce()
      // one claim more, every other commit exactly once
      expect((await gate.commits(log.id)).sort()).toEqual([...COMMITS, 'claim'].sort())
      expect(log.attempt_count).toBe(2)
    },
  )

  it('killed at "claim" (roll back): the run was never taken, and the next worker takes it', async () => {
    changeTheStore()

    await killAt('claim', 'roll back', integrationId)

    const log = await expectEachChangeOnce()
    expect(log.attempt_count).toBe(1)
  })

  it('killed at "finish" (commit): the run is over, although nobody heard of it', async () => {
    changeTheStore()

    await killAt('finish', 'commit', integrationId)

    expect((await expectEachChangeOnce()).attempt_count).toBe(1)
  })
})

describe('the worker is killed in a first load', () => {
  it.each(
    [
      ['batch 1', 'roll back'],
      ['batch 2', 'commit'],
    ] as const,
  )('killed at "%s" (%s): each product is created once', async (label, outcome) => {
    const integrationId = await connect()

    await killAt(label, outcome, integrationId)

    const log = await expectSettled(faulty, integrationId, catalog())
    expect(log).toMatchObject({ fetched_count: PRODUCTS, created_count: catalog().size })
  })
})

describe('the worker is killed again and again', () => {
  it('at the same place without a page written: the run ends as failed and says so', async () => {
    const integrationId = await connect()
    await gate.close('batch 1')
    void sync(integrationId).catch(() => null)

    for (let death = 1; death <= 5; death++) {
      await gate.reached()
      await faulty.stack.functions.kill()
      await gate.open('roll back')
      if (death < 5) await gate.close('batch 1')
      await expireLeases(faulty)
      await faulty.wake()
    }
    await drained(faulty)

    const log = await lastLog(faulty, integrationId)
    expect(log).toMatchObject({ status: 'failed', error: { code: 'worker_died' } })
    expect(log.finished_at).not.toBeNull()
  })
})
