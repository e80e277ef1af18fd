// When does Postgres hear what became of deliveries, and what if it does not?
import { describe, expect, it, vi } from 'vitest'
import {
  type Database,
  DatabaseError,
} from '../../../supabase/functions/_shared/platform/database.ts'
import type { DeliveryOutcome } from '../../../supabase/functions/_shared/webhooks/claimed-deliveries.ts'
import { OutcomeWriter } from '../../../supabase/functions/_shared/webhooks/outcome-writer.ts'
import { fakeClock } from '../../support/fake-clock.ts'

/** A writer whose calls of Postgres a test answers; `sent` are the positions in each. */
function setUp() {
  const clock = fakeClock('2026-11-28T09:00:00Z')
  const sent: number[][] = []
  const answers: { resolve(): void; reject(error: unknown): void }[] = []
  const db: Database = {
    async call<T>(_name: string, args: Record<string, unknown>) {
      const outcomes = args['p_outcomes'] as DeliveryOutcome[]
      sent.push(outcomes.map(({ position }) => position))
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      answers.push({ resolve, reject })
      await promise
      return outcomes.length as T
    },
    end: () => Promise.resolve(),
  }
  const onWritten = vi.fn()
  const writer = new OutcomeWriter(db, clock, crypto.randomUUID(), onWritten)
  const next = (count: number) => vi.waitFor(() => expect(sent).toHaveLength(count))
  return { clock, sent, answers, writer, next, onWritten }
}

const outcome = (position: number, parts: Partial<DeliveryOutcome> = {}): DeliveryOutcome => ({
  position,
  attempt_id: `attempt-${position}`,
  outcome: 'succeeded',
  ...parts,
})

describe('the writer of outcomes', () => {
  it('writes at once, and what comes meanwhile together', async () => {
    const { writer, sent, answers, next } = setUp()
    writer.add(outcome(1))
    await next(1)
    writer.add(outcome(2))
    writer.add(outcome(3))
    answers[0]!.resolve()
    await next(2)
    answers[1]!.resolve()

    await writer.settled()

    expect(sent).toEqual([[1], [2, 3]])
  })

  it('keeps a call to a size that the Data API takes', async () => {
    const { writer, sent, answers, next } = setUp()
    const body = 'x'.repeat(300_000)

    writer.add(outcome(1, { body }), outcome(2, { body }), outcome(3))
    await next(1)
    answers[0]!.resolve()
    await next(2)
    answers[1]!.resolve()
    await writer.settled()

    expect(sent).toEqual([[1], [2, 3]])
  })

  it('says again what Postgres did not hear while it was away', async () => {
    const { writer, sent, answers, next, clock } = setUp()
    writer.add(outcome(1))
    await next(1)
    clock.advance(10_000)
    const isStuck = writer.isStuck
    answers[0]!.reject(new DatabaseError('57P03', 'starting up'))
    await next(2)
    answers[1]!.resolve()

    await writer.settled()

    expect([isStuck, writer.isStuck]).toEqual([true, false])
    expect(sent).toEqual([[1], [1]])
    expect(writer.failure).toBeUndefined()
  })

  it.each([
    ['half a minute', new DatabaseError('', 'gone'), 31_000],
    ['a refusal', new DatabaseError('42501', 'permission denied'), 0],
  ])(
    'gives up after %s, and what it has left is due when the lease ends',
    async (_name, error, ms) => {
      const { writer, sent, answers, next, clock, onWritten } = setUp()
      writer.add(outcome(1))
      await next(1)
      writer.add(outcome(2))
      clock.advance(ms)
      answers[0]!.reject(error)

      await writer.settled()

      expect(writer.failure).toBe(error)
      expect(sent).toEqual([[1]])
      expect(onWritten).toHaveBeenCalledTimes(1) // so that the worker sees it
    },
  )
})
