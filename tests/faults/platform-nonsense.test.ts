// The platform answers nonsense on the first page, in the middle, on the last: nothing is deleted for it.
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Fault } from '../../scripts/simulators/parts/faults.ts'
import { startTreezSimulator, type TreezSimulator } from '../../scripts/simulators/treez.ts'
import type { SyncLog } from '../../supabase/functions/_shared/contracts/sync.ts'
import {
  type Database,
  directDatabase,
} from '../../supabase/functions/_shared/platform/database.ts'
import { doSlice, impatientClock } from '../support/engine-run.ts'
import {
  byId,
  connectAccount,
  expectSettled,
  type FaultStack,
  lastLog,
  liveProducts,
  queueSync,
  restoreBudgets,
  startFaultStack,
} from '../support/fault-stack.ts'

const PRODUCTS = 250
const PAGES = { first: 1, middle: 3, last: 5 }
/** How long a call waits for the platform; every other fault here is answered at once. */
const TIMEOUT_MS = 500

let treez: TreezSimulator
let faulty: FaultStack
let direct: Database
let integrationId: string

const catalog = () => byId(treez.catalog('sound'), 'product_id')
const settled = () => expectSettled(faulty, integrationId, catalog())

/** One slice of a new run, or of the one that was given back. */
async function sync(options: Parameters<typeof queueSync>[2] = {}) {
  await restoreBudgets(faulty)
  await faulty.admin`update private.sync_runs set run_at = now()`
  const { id } = await queueSync(faulty, integrationId, options)
  const parts = { db: direct, clock: impatientClock, timeoutMs: TIMEOUT_MS }
  return await doSlice(faulty.outside(parts), id)
}

beforeAll(async () => {
  treez = await startTreezSimulator({
    products: PRODUCTS,
    brokenShare: 0,
    requestsPerSecond: 0,
    recordSize: 'compact',
  })
  faulty = await startFaultStack({
    functions: false,
    functionsEnv: { CONNECTOR_OVERRIDES: JSON.stringify({ treez: { baseUrl: treez.baseUrl } }) },
  })
  direct = directDatabase(faulty.stack.dbUrl)
  integrationId = await connectAccount(faulty, {
    connector: 'treez',
    settings: treez.settings,
    credentials: treez.credentials.v2,
    batchSize: 100,
  })
  await sync()
  return () => Promise.all([treez.stop(), direct.end()])
})
afterEach(() => treez.control.clear())

function changeTheStore() {
  treez.control.change(20)
  treez.control.remove(10)
  treez.control.add(10)
}

/** What a lasting fault on this page comes to. */
async function suffer(fault: Fault, page: number) {
  const before = [...(await liveProducts(faulty, integrationId)).keys()]
  changeTheStore()
  treez.control.setFault({ path: '/product/product_list', after: page - 1, times: null, ...fault })
  const outcome = await sync()
  const live = await liveProducts(faulty, integrationId)
  const [run] = await faulty.admin`
    select last_error from private.sync_runs where integration_id = ${integrationId}`
  const log: SyncLog = await lastLog(faulty, integrationId)
  return {
    outcome: outcome.kind === 'finished' ? log.status : outcome.kind,
    error: (log.error ?? run?.last_error ?? null) as SyncLog['error'],
    missing: before.filter((id) => !live.has(id)),
    log,
  }
}

const eachPage = Object.entries(PAGES)
const passing = { atOnce: 'failed', later: 'released' } as const
const waiting = { atOnce: 'released', later: 'released' } as const
const final = { atOnce: 'failed', later: 'failed' } as const

type Outcome = 'failed' | 'released'

// A fault that may pass ends a run on its first page, so that whoever asked is told at once; later the
// run keeps its place and waits.
describe.each<[string, Fault, { atOnce: Outcome; later: Outcome }, string]>([
  ['500', { kind: 'status', status: 500 }, passing, 'provider_unavailable'],
  ['no answer', { kind: 'timeout' }, passing, 'provider_timeout'],
  ['half an answer', { kind: 'cut_body' }, passing, 'provider_unavailable'],
  ['a web page', { kind: 'html' }, passing, 'provider_bad_answer'],
  ['a dropped connection', { kind: 'reset' }, passing, 'provider_unavailable'],
  ['FAIL with status 200', { kind: 'fail_result' }, passing, 'provider_unavailable'],
  ['no data', { kind: 'no_data' }, passing, 'provider_bad_answer'],
  ['401', { kind: 'status', status: 401 }, final, 'provider_unauthorized'],
  ['403', { kind: 'status', status: 403 }, final, 'provider_forbidden'],
  ['400', { kind: 'status', status: 400 }, final, 'provider_rejected'],
  ['429 for a moment', { kind: 'retry_after', retry_after: 5 }, waiting, 'provider_rate_limited'],
  [
    '429 until tomorrow',
    { kind: 'retry_after', retry_after: 86_400 },
    final,
    'provider_rate_limited',
  ],
])('%s', (_name, fault, { atOnce, later }, code) => {
  it.each(eachPage)(
    'on the %s page: the run says why, nothing is deleted, and the next try is complete',
    async (_page, number) => {
      const suffered = await suffer(fault, number)

      expect(suffered).toMatchObject({
        outcome: number === PAGES.first ? atOnce : later,
        error: { code },
        missing: [],
      })
      expect(suffered.error?.message).toMatch(/^Main street \(treez\): .+\.$/)

      treez.control.clear()
      expect(await sync()).toMatchObject({ kind: 'finished', log: { status: 'success' } })
      await settled()
    },
  )
})

describe('a fault that does not pass', () => {
  it('the run is tried five times at its place, then it fails and says why', async () => {
    const outcomes: string[] = [
      (await suffer({ kind: 'status', status: 500 }, PAGES.middle)).outcome,
    ]
    treez.control.clear()
    treez.control.setFault({ kind: 'status', status: 500, times: null })
    while (outcomes.at(-1) === 'released' && outcomes.length < 10) {
      // the last try is the database's: it ends the run instead of handing it out
      outcomes.push(await sync().then(({ kind }) => kind, () => 'ended'))
    }

    expect(outcomes).toEqual([...Array(6).fill('released'), 'ended'])
    expect(await lastLog(faulty, integrationId)).toMatchObject({
      status: 'failed',
      deleted_count: 0,
      error: { code: 'provider_unavailable' },
    })
    treez.control.clear()
    await sync()
    await settled()
  })
})

describe('an answer that is wrong without saying so', () => {
  it.each(eachPage)('slow on the %s page: the run ends well', async (_page, number) => {
    const { outcome } = await suffer({ kind: 'slow', delay_ms: 60 }, number)

    expect(outcome).toBe('success')
    treez.control.clear()
    await settled()
  })

  it('nothing at all on the first page: the guard holds the run, nothing is deleted', async () => {
    const suffered = await suffer({ kind: 'empty' }, PAGES.first)

    expect(suffered).toMatchObject({
      outcome: 'partial',
      error: { code: 'mass_delete_held' },
      missing: [],
    })
    treez.control.clear()
    await sync()
    await settled()
  })

  it.each([['middle', PAGES.middle], ['last', PAGES.last]])(
    'nothing at all on the %s page, after pages that had something: it is not taken for the end',
    async (_page, number) => {
      const suffered = await suffer({ kind: 'empty' }, number)

      expect(suffered).toMatchObject({
        outcome: 'released',
        error: { code: 'provider_bad_answer' },
        missing: [],
      })
      treez.control.clear()
      await sync()
      await settled()
    },
  )

  it.each([['second', 2], ['middle', PAGES.middle]])(
    'the first page again from the %s page on: the run ends, for what it read before is in doubt',
    async (_page, number) => {
      const suffered = await suffer({ kind: 'repeated_page' }, number)

      expect(suffered).toMatchObject({
        outcome: 'failed',
        error: { code: 'provider_repeated_page' },
        missing: [],
      })
      treez.control.clear()
      await sync()
      await settled()
    },
  )

  it('the first page again instead of the last: what it hid is asked for by id and kept', async () => {
    const suffered = await suffer({ kind: 'repeated_page' }, PAGES.last)

    expect(suffered.outcome).toBe('success')
    treez.control.clear()
    const stillThere = catalog()
    expect(suffered.missing.filter((id) => stillThere.has(id))).toEqual([])
    await sync()
    await settled()
  })
})

describe('products that disappear in great number', () => {
  it('three quarters gone: held until a person allows it, then deleted', async () => {
    await sync()
    const { size } = catalog()
    treez.control.remove(190)

    const held = await sync()
    const liveWhileHeld = await liveProducts(faulty, integrationId)
    const allowed = await sync({ allowMassDelete: true })

    expect(held).toMatchObject({
      kind: 'finished',
      log: {
        status: 'partial',
        deleted_count: 0,
        error: { code: 'mass_delete_held', next: 'owner' },
      },
    })
    expect(liveWhileHeld.size).toBe(size)
    expect(allowed).toMatchObject({
      kind: 'finished',
      log: { status: 'success', deleted_count: 190, error: null },
    })
    await settled()
  })
})
