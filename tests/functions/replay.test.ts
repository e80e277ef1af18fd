// How does a refused record get in after all? Repaired at the store, or here, and tried again.
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { TreezSimulator } from '../../scripts/simulators/treez.ts'
import type { ReplayResult } from '../../src/index.ts'
import type { SyncError } from '../../supabase/functions/_shared/contracts/sync.ts'
import { liveProducts, soundCatalog } from '../support/compare-catalog.ts'
import { useFunctions } from '../support/functions.ts'
import { createTeam, type Person, type Team } from '../support/people.ts'

const functions = useFunctions()
const { call, database } = functions
const { admin: sql } = database
let team: Team
beforeAll(async () => {
  team = await createTeam(database)
})

/** A store of ten products of which three were broken after the first sync. */
async function brokenStore() {
  const store = await functions.openStore({ products: 10 })
  const { id } = await functions.connect(team.manager, team.organizationId, store)
  await functions.syncProducts(team.manager, id)
  const sound = new Map(store.catalog().map((product) => [String(product.product_id), product]))
  const broken = store.control.breakRecords(3)
  await functions.syncProducts(team.manager, id)
  return { store, id, sound, broken }
}

const errorsOf = (integrationId: string) =>
  sql<SyncError[]>`
    select * from public.sync_errors where integration_id = ${integrationId} order by source_id`

const replay = (
  integrationId: string,
  options: { sync_error_ids?: string[]; after?: string | null } = {},
) =>
  call<ReplayResult>(team.manager, '/sync/replay', {
    integration_id: integrationId,
    stream: 'products',
    ...options,
  })

/** The answer of a call after which nothing is left. */
const done = (counts: Partial<ReplayResult>): ReplayResult => ({
  replayed: 0,
  resolved: 0,
  failed: 0,
  remaining: 0,
  next: null,
  ...counts,
})

const repair = (as: Person, errorId: string, payload: unknown) =>
  database.actAs(as, async (mine) => {
    const rows = await mine`
      update public.sync_errors set payload = ${mine.json(payload as never)}
      where id = ${errorId} returning id`
    return rows.length
  })

/** Open errors as a run of long ago left them. */
async function addErrors(
  integrationId: string,
  count: number,
  payload: (number: number) => object,
) {
  const numbers = Array.from({ length: count }, (_, index) => index)
  await sql`
    insert into public.sync_errors (
      organization_id, integration_id, stream, source_id, source_key, payload, code, message, last_seen_at
    )
    select ${team.organizationId}, ${integrationId}, 'products', null, 'added-' || number, payload,
      'invalid_record', 'broken', now() - interval '1 day'
    from unnest(${numbers}::int[], ${
    numbers.map((number) => JSON.stringify(payload(number)))
  }::text[])
      as added (number, text), lateral (select text::jsonb as payload) as parsed`
}

const wireOf = (store: TreezSimulator, id: string) =>
  store.catalog().find((product) => product.product_id === id)

describe('a broken record', () => {
  it('is kept as the store sent it, and its old row stays', async () => {
    const { store, id, broken } = await brokenStore()

    const errors = await errorsOf(id)

    expect(errors.map((error) => error.source_id)).toEqual([...broken].sort())
    for (const error of errors) {
      expect(error).toMatchObject({ stream: 'products', code: 'invalid_record', resolved_at: null })
      expect(error.payload).toEqual(wireOf(store, error.source_id!))
      expect(error.issues).not.toEqual([])
    }
    expect(await liveProducts(database, id)).toHaveLength(10)
  })

  it('is kept once, however often it comes', async () => {
    const { id } = await brokenStore()

    const again = await functions.syncProducts(team.manager, id)

    expect(again.body.stats).toMatchObject({ errors: 3 })
    expect((await errorsOf(id)).map((error) => error.attempt_count)).toEqual([2, 2, 2])
  })

  it('is resolved by the next sync when the store repairs it', async () => {
    const { store, id, broken } = await brokenStore()
    store.control.repairRecords([broken[0]!])

    const { body } = await functions.syncProducts(team.manager, id)

    const resolved = (await errorsOf(id)).filter((error) => error.resolved_at !== null)
    expect(body).toMatchObject({ success: true, stats: { errors: 2 } })
    expect(resolved).toMatchObject([{ source_id: broken[0], resolution: 'synced' }])
  })

  it('is gone when the store removes it', async () => {
    const { store, id, broken } = await brokenStore()
    store.control.remove([broken[0]!])

    await functions.syncProducts(team.manager, id)

    const resolved = (await errorsOf(id)).filter((error) => error.resolved_at !== null)
    expect(resolved).toMatchObject([{ source_id: broken[0], resolution: 'gone' }])
    expect(await liveProducts(database, id)).toHaveLength(9)
  })
})

describe('replay', () => {
  it('takes a payload that a manager repaired, and counts what still fails', async () => {
    const { store, id, sound } = await brokenStore()
    const [first] = await errorsOf(id)
    const payload = {
      ...sound.get(first!.source_id!),
      last_updated_at: wireOf(store, first!.source_id!)?.last_updated_at === 'yesterday'
        ? new Date().toISOString()
        : wireOf(store, first!.source_id!)?.last_updated_at,
      sellable_quantity: 77.5,
    }
    await repair(team.manager, first!.id, payload)

    const answer = await replay(id)

    const errors = await errorsOf(id)
    expect(answer).toMatchObject({ status: 200, body: { replayed: 3, resolved: 1, failed: 2 } })
    expect(errors.map(({ resolution, attempt_count }) => ({ resolution, attempt_count }))).toEqual([
      { resolution: 'replayed', attempt_count: 2 },
      { resolution: null, attempt_count: 2 },
      { resolution: null, attempt_count: 2 },
    ])
    const row = (await liveProducts(database, id)).find(({ source_id }) =>
      source_id === first!.source_id
    )
    expect(row).toMatchObject({ stock_quantity: '77.5' })
  })

  it('leaves the payload to managers: members read it, viewers do not see it', async () => {
    const { id, sound } = await brokenStore()
    const [first] = await errorsOf(id)
    const payload = sound.get(first!.source_id!)

    const repaired = [
      await repair(team.member, first!.id, payload),
      await repair(team.viewer, first!.id, payload),
      await repair(team.manager, first!.id, payload),
    ]

    expect(repaired).toEqual([0, 0, 1])
  })

  it('tries only the named ones', async () => {
    const { id, sound } = await brokenStore()
    const errors = await errorsOf(id)
    for (const error of errors) {
      await repair(team.manager, error.id, sound.get(error.source_id!))
    }

    const named = await replay(id, { sync_error_ids: [errors[1]!.id] })
    const rest = await replay(id)

    expect(named.body).toEqual(done({ replayed: 1, resolved: 1 }))
    expect(rest.body).toEqual(done({ replayed: 2, resolved: 2 }))
  })

  it("does not touch another integration's errors", async () => {
    const { id } = await brokenStore()
    const other = await brokenStore()
    const foreign = (await errorsOf(other.id)).map((error) => error.id)

    const answer = await replay(id, { sync_error_ids: foreign })

    expect(answer.body).toEqual(done({}))
    expect((await errorsOf(other.id)).map((error) => error.attempt_count)).toEqual([1, 1, 1])
  })

  it('does not put an old payload over what was synced since', async () => {
    const { store, id, sound, broken } = await brokenStore()
    const errors = await errorsOf(id)
    const stale = { ...sound.get(broken[0]!), sellable_quantity: 999 }
    await repair(team.manager, errors.find((error) => error.source_id === broken[0])!.id, stale)
    store.control.repairRecords()
    store.control.change([broken[0]!])
    await functions.syncProducts(team.manager, id)

    const answer = await replay(id)

    expect(answer.body).toEqual(done({}))
    expect(await liveProducts(database, id)).toEqual(soundCatalog(store))
  })

  it('leaves dismissed ones alone', async () => {
    const { id } = await brokenStore()
    await database.actAs(team.manager, (mine) =>
      mine`
      update public.sync_errors set resolved_at = now(), resolution = 'dismissed'
      where integration_id = ${id}`)

    const answer = await replay(id)

    expect(answer.body).toEqual(done({}))
  })

  it('takes what was repaired here, though the store has sent it broken again', async () => {
    const { id, sound, broken } = await brokenStore()
    const errors = await errorsOf(id)
    const [first] = errors
    const payload = { ...sound.get(first!.source_id!), last_updated_at: new Date().toISOString() }
    await repair(team.manager, first!.id, { ...payload, sellable_quantity: 77.5 })

    const again = await functions.syncProducts(team.manager, id)
    const answer = await replay(id)

    expect(broken).toHaveLength(3)
    expect(again.body.stats).toMatchObject({ errors: 3 })
    expect(answer.body).toEqual(done({ replayed: 3, resolved: 1, failed: 2 }))
    const row = (await liveProducts(database, id)).find(({ source_id }) =>
      source_id === first!.source_id
    )
    expect(row).toMatchObject({ stock_quantity: '77.5' })
  })

  it('needs no account: a disconnected one keeps its errors, and they can be replayed', async () => {
    const { id, sound } = await brokenStore()
    for (const error of await errorsOf(id)) {
      await repair(team.manager, error.id, sound.get(error.source_id!))
    }
    const left = await call(team.manager, '/integrations/disconnect', { integration_id: id })

    const answer = await replay(id)

    expect(left.status).toBe(200)
    expect(answer).toMatchObject({ status: 200, body: done({ replayed: 3, resolved: 3 }) })
  })

  it('finds the one record among many that the table does not take', async () => {
    const { id, sound } = await brokenStore()
    const [template] = sound.values()
    await addErrors(id, 210, (number) => ({
      ...template,
      product_id: `repaired-${number}`,
    }))
    await sql`
      alter table public.products add constraint products_no_57 check (source_id <> 'repaired-57')`
    onTestFinished(async () => {
      await sql`alter table public.products drop constraint products_no_57`
    })

    const answer = await replay(id)
    const [odd] = await sql`
      select code, message from public.sync_errors
      where integration_id = ${id} and payload ->> 'product_id' = 'repaired-57'`

    expect(answer.body).toEqual(done({ replayed: 213, resolved: 209, failed: 4 }))
    const added = (await liveProducts(database, id)).filter(({ source_id }) =>
      String(source_id).startsWith('repaired-')
    )
    expect(added).toHaveLength(209)
    expect(odd).toMatchObject({ code: 'invalid_record' })
    expect(odd?.message).toContain('The table does not take it')
  })

  it('comes past each of more than a thousand, even when none comes through', async () => {
    const { id } = await brokenStore()
    await addErrors(id, 1_200, (number) => ({ nonsense: number }))

    const first = await replay(id)
    const second = await replay(id, { after: first.body.next })

    expect(first.body).toMatchObject({ replayed: 1_000, failed: 1_000, remaining: 203 })
    expect(second.body).toEqual(done({ replayed: 203, failed: 203 }))
    const tried = new Set((await errorsOf(id)).map((error) => error.attempt_count))
    expect([...tried]).toEqual([2])
  })
})
