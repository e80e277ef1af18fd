// One run of a history: its worker dies, loses answers, and meets people and webhooks on its way.
import { expect } from 'vitest'
import type { SyncDirection } from '../../supabase/functions/_shared/contracts/sync-streams.ts'
import type { SyncLog } from '../../supabase/functions/_shared/contracts/sync.ts'
import type { Database } from '../../supabase/functions/_shared/platform/database.ts'
import { claimRun } from '../../supabase/functions/_shared/sync/claimed-run.ts'
import { runSlice } from '../../supabase/functions/_shared/sync/run-slice.ts'
import { impatientClock } from './engine-run.ts'
import { expireLeases, type FaultStack } from './fault-stack.ts'
import type { TwoWayPlatform } from './two-way-platform.ts'
import type { Arrival, SyncStep } from './two-way-steps.ts'

class Crash extends Error {}

/** What a run meets. */
type World = {
  faulty: FaultStack
  db: Database
  platform: TwoWayPlatform
  integrationId: string
  story: string[]
  told(what: string): string
  direction(): SyncDirection
  edit(edit: NonNullable<SyncStep['meanwhile']>['edit']): Promise<void>
  editThere(edit: NonNullable<SyncStep['onPage']>): void
  /** Reads a webhook; what it answers takes it in. */
  receive(pick: number): (() => Promise<void>) | undefined
}

export async function playRun(step: SyncStep, world: World): Promise<void> {
  const { faulty, platform, db, story, told } = world
  const { admin } = faulty
  const { fault, meanwhile, onPage, arrivals, ...what } = step
  const start = () =>
    db.call<SyncLog>('start_sync', {
      p_integration_id: world.integrationId,
      p_stream: 'contacts',
      p_sync_type: 'manual',
      p_mode: step.mode,
      p_wake: false,
      p_allow_mass_delete: true,
    })
  story.push(`sync: ${JSON.stringify(what)} ${JSON.stringify(fault)}`)
  const webhooks = arriving(arrivals, world.receive)
  platform.putOff(step.putOff)
  platform.onPage(
    onPage && (async () => {
      platform.onPage(null)
      world.editThere(onPage)
      await Promise.resolve()
    }),
  )
  if (step.mode === 'push' && world.direction() === 'pull') {
    await expect(start(), told('a push was not refused')).rejects.toMatchObject({
      code: 'stream_not_pushed',
    })
    return await webhooks.end()
  }
  const log = await start()
  const held = heldToDirection(world)
  let isDead = false
  const die = () => {
    isDead = true
    return new Crash()
  }
  let calls = 0
  const next: Database = {
    call: async <T>(name: string, args: Record<string, unknown>): Promise<T> => {
      await webhooks.pass('database')
      const answer = await db.call<T>(name, args)
      held.answered(name)
      return answer
    },
    end: () => Promise.resolve(),
  }
  const worker: Database = {
    call: async <T>(name: string, args: Record<string, unknown>): Promise<T> => {
      if (isDead) throw new Crash()
      await webhooks.pass('database')
      calls += 1
      if (meanwhile && calls === meanwhile.at) {
        await world.edit(meanwhile.edit)
      }
      const isHit = fault?.in === 'database' && calls === fault.at
      if (isHit && fault.kind === 'crash before') throw die()
      const answer = await db.call<T>(name, args)
      held.answered(name)
      if (isHit) throw die()
      return answer
    },
    end: () => Promise.resolve(),
  }
  if (fault?.in === 'platform') {
    const isCrash = fault.kind.startsWith('crash')
    const isBefore = fault.kind === 'crash before' || fault.kind === 'not carried out'
    platform.setFault({
      at: fault.at,
      kind: isBefore ? 'not carried out' : 'lost answer',
      fail: () => isCrash ? die() : new TypeError('fetch failed'),
    })
  }
  for (let slice = 0;; slice++) {
    if (slice > 60) throw new Error(told('the run does not end'))
    const outside = faulty.outside({
      db: slice === 0 ? worker : next,
      fetch: async (input, init) => {
        if (isDead && slice === 0) throw new Crash()
        await webhooks.pass('platform')
        held.called(new URL(String(input)), init?.method ?? 'GET')
        return await platform.fetch(input, init)
      },
      clock: impatientClock,
    })
    // what was given back waits for a pause; nobody calls the platform meanwhile
    await admin`update private.sync_runs set run_at = now() where sync_log_id = ${log.id}`
    await admin`delete from private.request_budgets`
    try {
      const run = await claimRun(outside.db, log.id)
      if (!run) break // it has ended
      const outcome = await runSlice(run, outside, {
        recordsLeft: step.records,
        deadline: Date.now() + 100_000,
      })
      if (outcome.kind === 'finished') {
        expect(outcome.log.status, told(JSON.stringify(outcome.log.error))).not.toBe(
          'failed',
        )
        break
      }
    } catch (error) {
      if (!(error instanceof Crash)) throw error
      story.push('the worker dies')
      await expireLeases(faulty)
    }
  }
  platform.setFault(null)
  platform.onPage(null)
  await webhooks.end()
  expect(held.broken, told('against the direction')).toEqual([])
}

/**
 * A stream that only pulls writes nothing down to be sent, and one that only pushes takes up no reading. What was so
 * before the direction was set may come to its end.
 */
function heldToDirection({ direction }: World) {
  let claimedAs: SyncDirection | null = null
  let settledAs: SyncDirection | null = null
  const broken: string[] = []
  return {
    broken,
    answered: (name: string) => {
      if (name === 'claim_sync_run') claimedAs = direction()
      if (name === 'settle_outbound_changes') settledAs = direction()
    },
    called: ({ pathname, searchParams }: URL, method: string) => {
      if (pathname !== '/contacts') return
      const isSent = method !== 'GET'
      const isRead = !isSent && !searchParams.has('ids')
      if (isSent && settledAs === 'pull') broken.push(`${method} while it only pulls`)
      if (isRead && claimedAs === 'push') broken.push('a page is read while it only pushes')
    },
  }
}

/** Webhooks that come while a run is under way. */
function arriving(arrivals: Arrival[], receive: World['receive']) {
  const passed = { database: 0, platform: 0 }
  let read: { before: 'database' | 'platform'; at: number; take: () => Promise<void> }[] = []
  const takeThose = async (isDue: (held: typeof read[number]) => boolean) => {
    const due = read.filter(isDue)
    read = read.filter((held) => !due.includes(held))
    for (const { take } of due) await take()
  }
  return {
    pass: async (before: 'database' | 'platform') => {
      const place = ++passed[before]
      for (
        const { at, lateBy, pick } of arrivals.filter((each) =>
          each.before === before && each.at === place
        )
      ) {
        const take = receive(pick)
        if (take) read.push({ before, at: at + lateBy, take })
      }
      await takeThose((held) => held.before === before && held.at <= place)
    },
    end: () => takeThose(() => true),
  }
}
