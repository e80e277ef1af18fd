// What every push has to get right, against a simulator that does as the platform does. Its test calls `pushConformance`.
import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { LoggedRequest } from '../../scripts/simulators/parts/request-log.ts'
import {
  type Connector,
  findStream,
  pushColumnsOf,
} from '../../supabase/functions/_shared/connectors/define-connector.ts'
import { parseRecord } from '../../supabase/functions/_shared/connectors/parse-record.ts'
import { pushCalls } from '../../supabase/functions/_shared/connectors/push-calls.ts'
import {
  isRepeatable,
  pushBatches,
  type PushContext,
  type PushedRecord,
  type PushOutcome,
} from '../../supabase/functions/_shared/connectors/vocabulary/push.ts'
import { AppError } from '../../supabase/functions/_shared/platform/errors.ts'
import { openSimulated, type SimulatedAccount } from './simulated-account.ts'

export type Columns = Record<string, unknown>

export type PushSetUp = {
  options: SimulatedAccount
  simulator: {
    requests: LoggedRequest[]
    control: {
      setFault(fault: { kind: 'lost_answer'; times: null }): void
      clearFaults(): void
    }
  }
  /** Ids of the records that are there. */
  ids(): string[]
  /** Somebody at the platform changes the record, in what the fixture's `change` leaves alone. */
  changeThere?(id: string): void
  /** Somebody at the platform deletes it. */
  removeThere(id: string): void
  /** What the platform shows where nothing can be looked up, in our columns. */
  shown?(id: string): Columns | undefined
}

export type PushFixture = {
  setUp(): Promise<PushSetUp>
  /** Of several fixtures of a connector: what is different here. */
  as?: string
  /** A record the platform takes, and others. */
  columns(number: number): Columns
  /** A change of it. */
  change: Columns
  /** What `changeThere` did, in our columns. */
  changedThere?: Columns
  /** Columns the platform refuses in the answer to a call; left out where we know better what it refuses. */
  refusedThere?: Columns
  /** False where a create that is sent twice makes two. */
  repeatable?: boolean
  /** Columns of a record that has nothing it is known by. */
  keyless?: Columns
  /** What is refused before anything is sent, and what people are told. */
  refusals: {
    what: string
    columns: Columns
    /** Of an update; of a create when not said. */
    changed?: string[]
    says: RegExp
  }[]
}

export function pushConformance(connector: Connector, name: string, fixture: PushFixture): void {
  const stream = findStream(connector, name)
  const push = stream.push!

  async function open() {
    const set = await fixture.setUp()
    const values = connector.readAccount({
      settings: set.options.settings ?? {},
      credentials: set.options.credentials ?? {},
      account: set.options.facts ?? {},
    })
    const { settings, account: facts } = values
    const { clock } = set.options
    const context: PushContext = { settings, account: facts, now: clock.now() }
    const account = openSimulated(set.options)
    const calls = pushCalls({ connector, stream, account, context })

    /** What the platform has of the record, in our columns. */
    async function held(id: string): Promise<Columns | undefined> {
      if (set.shown) return set.shown(id)
      const [raw] = await account.lookup(name, [id])
      if (raw === undefined) return undefined
      const parsed = parseRecord(connector, name, raw, { settings, account: facts })
      if (!parsed.ok) throw new Error(parsed.message)
      return parsed.record.deleted ? undefined : parsed.record.columns as Columns
    }
    /** In calls the platform takes; a call that is refused as a whole is halved until the one is alone. */
    async function write(operation: 'create' | 'update', records: PushedRecord[]) {
      const outcomes = new Map<string, PushOutcome>()
      const send = async (batch: PushedRecord[]): Promise<void> => {
        try {
          const answered = await calls.write(operation, batch)
          batch.forEach(({ record_id }, index) => outcomes.set(record_id, answered[index]!))
        } catch (error) {
          if (!isAboutData(error)) throw error
          if (batch.length === 1) {
            outcomes.set(batch[0]!.record_id, {
              refused: { code: error.code, message: error.detail },
            })
            return
          }
          const half = Math.ceil(batch.length / 2)
          await send(batch.slice(0, half))
          await send(batch.slice(half))
        }
      }
      for (const batch of pushBatches(push, operation, records, context)) await send(batch)
      return records.map(({ record_id }) => outcomes.get(record_id)!)
    }
    async function remove(ids: string[]): Promise<PushOutcome[]> {
      try {
        return await calls.remove(ids)
      } catch (error) {
        if (!isAboutData(error) || ids.length === 1) throw error
        const half = Math.ceil(ids.length / 2)
        return [...await remove(ids.slice(0, half)), ...await remove(ids.slice(half))]
      }
    }
    async function created(columns = fixture.columns(1)) {
      const record = newRecord(columns)
      const [outcome] = await write('create', [record])
      return { ...record, source_id: idOf(outcome) }
    }
    const writes = () =>
      set.simulator.requests.filter(({ method, path }) => method !== 'GET' && !READS.test(path))
    return { ...set, account, calls, context, created, held, remove, write, writes }
  }

  const { as } = fixture
  describe(`a push of ${name} to ${connector.name}${as ? `, ${as}` : ''}`, () => {
    it('names columns that the stream has, and that this account can write', async () => {
      const { context } = await open()

      const columns = pushColumnsOf(connector, context.settings)[stream.name] ?? []

      expect(push.columns).toEqual(expect.arrayContaining(columns))
      expect(columns).toEqual(expect.arrayContaining(Object.keys(fixture.columns(1))))
    })

    it('makes a record that then reads as it was sent: its echo is no change', async () => {
      const { created, held, ids } = await open()
      const before = ids().length

      const record = await created()

      expect(ids()).toHaveLength(before + 1)
      expect(await held(record.source_id)).toMatchObject(fixture.columns(1))
    })

    it('changes what it names and leaves the rest as it is there', async () => {
      const { created, held, write, changeThere } = await open()
      const record = await created()
      changeThere?.(record.source_id)

      const [outcome] = await write('update', [changed(record, fixture.change)])

      expect(await held(idOf(outcome))).toMatchObject({
        ...fixture.columns(1),
        ...fixture.changedThere,
        ...fixture.change,
      })
    })

    it.runIf(push.columns.some((column) => column === 'address'))(
      'reads the lines of an address as they were written',
      async () => {
        const { created, held, write } = await open()
        const columns = fixture.columns(1)
        const [two, one] = [{ line1: '2 Oak St', line2: 'Rear house' }, {
          line1: '3 Elm St',
          line2: null,
        }].map((lines) => ({ address: { ...columns['address'] as Columns, ...lines } }))

        const record = await created({ ...columns, ...two })
        const [before, [outcome]] = [
          await held(record.source_id),
          await write('update', [changed(record, one!)]),
        ]

        expect(before).toMatchObject(two!)
        expect(await held(idOf(outcome))).toMatchObject(one!)
      },
    )

    it('deletes a record', async () => {
      const { created, held, remove } = await open()
      const record = await created()
      const other = await created(fixture.columns(2))

      const outcomes = await remove([record.source_id])

      expect(outcomes).toEqual([{ source_id: record.source_id }])
      expect(await held(record.source_id)).toBeUndefined()
      expect(await held(other.source_id)).toBeDefined()
    })

    it('counts what is gone there already as deleted, and deletes the others of the call', async () => {
      const { created, held, remove, removeThere } = await open()
      const ids: string[] = []
      for (const number of [1, 2, 3]) ids.push((await created(fixture.columns(number))).source_id)
      removeThere(ids[1]!)

      const outcomes: PushOutcome[] = []
      const { batch } = push.remove!
      for (let start = 0; start < ids.length; start += batch) {
        outcomes.push(...await remove(ids.slice(start, start + batch)))
      }

      expect(outcomes.map(idOf)).toEqual(ids)
      expect(await Promise.all(ids.map(held))).toEqual([undefined, undefined, undefined])
    })

    it.runIf(fixture.refusedThere)(
      'keeps the rest when the platform refuses one of them',
      async () => {
        const { write, held } = await open()
        const records = [
          newRecord(fixture.columns(1)),
          newRecord({ ...fixture.columns(2), ...fixture.refusedThere }),
          newRecord(fixture.columns(3)),
        ]

        const [first, refused, third] = await write('create', records)

        expect(await held(idOf(first))).toMatchObject(fixture.columns(1))
        expect(await held(idOf(third))).toMatchObject(fixture.columns(3))
        expect(refused).toEqual({
          refused: { code: expect.stringMatching(/./), message: expect.stringMatching(/./) },
        })
      },
    )

    it.runIf(stream.lookup)('tries an update of what is gone there once more', async () => {
      const { account, created, calls, removeThere } = await open()
      const record = await created()
      removeThere(record.source_id)

      const outcome = await calls.write('update', [changed(record, fixture.change)])
        .then(([outcome]) => outcome, (error: unknown) => error)

      expect([outcome]).toEqual([
        outcome instanceof AppError
          ? expect.objectContaining({ code: 'provider_not_found' })
          : { retry: expect.objectContaining({ code: expect.any(String) }) },
      ])
      expect(await account.lookup(name, [record.source_id])).toEqual([])
    })

    const { repeatable = true } = fixture
    it(`makes ${repeatable ? 'one record' : 'two'} of a create that is sent twice`, async () => {
      const { context, ids, write } = await open()
      const record = newRecord(fixture.columns(1))
      const [first] = await write('create', [record])
      const count = ids().length

      const [second] = await write('create', [record])

      expect(isRepeatable(push, record, context)).toBe(repeatable)
      expect(idOf(second) === idOf(first)).toBe(repeatable)
      expect(ids()).toHaveLength(repeatable ? count : count + 1)
    })

    it.runIf(push.find)('finds a record by its email, whatever its case', async () => {
      const { calls, created } = await open()
      const { source_id } = await created()
      const same = newRecord({
        ...fixture.columns(1),
        email: String(fixture.columns(1)['email']).toUpperCase(),
      })
      const other = newRecord(fixture.columns(2))

      const { raws } = await calls.find([other, same])

      expect([...raws].map(([id, raw]) => [id, stream.id(raw)])).toEqual([
        [same.record_id, source_id],
      ])
    })

    it.runIf(fixture.keyless)('finds what was made when the answer was lost', async () => {
      const { calls, context, ids, options, simulator, writes } = await open()
      const record = newRecord(fixture.keyless!)
      const twin = newRecord({ ...fixture.keyless!, last_name: 'Somebody-Else' })
      expect(isRepeatable(push, record, context)).toBe(false)
      const before = ids()
      expect((await calls.find([record])).raws).toEqual(new Map())
      const sending_at = options.clock.now().toISOString()
      const sent = writes().length
      simulator.control.setFault({ kind: 'lost_answer', times: null })
      const trace = { sent: false }

      const error = await calls.write('create', [record], trace).catch((error: unknown) => error)
      simulator.control.clearFaults()
      const made = ids().filter((id) => !before.includes(id))
      const uncertain = { ...record, uncertain: true, sending_at }
      const { raws, unsure } = await calls.find([
        { ...twin, uncertain: true, sending_at },
        uncertain,
      ])

      expect(error).toBeInstanceOf(AppError)
      expect(trace.sent).toBe(true)
      expect(writes()).toHaveLength(sent + 1)
      expect(made).toHaveLength(1)
      expect([...raws].map(([id, raw]) => [id, stream.id(raw)])).toEqual([
        [record.record_id, made[0]],
      ])
      expect(unsure).toEqual(new Set())
    })

    it('sends no more in a call than the platform takes', async () => {
      const { ids, write, writes } = await open()
      const [sent, before] = [writes().length, ids().length]
      const count = push.batch + 1
      const records = Array.from({ length: count }, (_, index) => newRecord(fixture.columns(index)))

      const outcomes = await write('create', records)

      expect(new Set(outcomes.map(idOf)).size).toBe(count)
      expect(ids()).toHaveLength(before + count)
      expect(writes()).toHaveLength(sent + 2)
    })

    it.each(fixture.refusals)(
      'says why it cannot take $what',
      async ({ columns, changed, says }) => {
        const { context } = await open()
        const whole = { ...fixture.columns(1), ...columns }
        const record = changed
          ? { ...newRecord(whole), source_id: 'held', changed: changed as PushedRecord['changed'] }
          : newRecord(whole)

        expect(push.refuse?.(record, context)).toMatch(says)
        expect(push.refuse?.(newRecord(fixture.columns(1)), context)).toBeNull()
      },
    )

    it('reads any answer as outcomes, or says that it is a bad one', async () => {
      const { context, options } = await open()
      const records = [1, 2, 3].map((number) => newRecord(fixture.columns(number)))
      const held = records.map((record, index) => ({ ...record, source_id: `id-${index}` }))
      const answer = { status: 200, body: undefined as unknown }
      const account = openSimulated({
        ...options,
        fetch: (input) =>
          Promise.resolve(
            String(input instanceof Request ? input.url : input).endsWith('/token')
              ? Response.json({ access_token: 'token-1', token_type: 'Bearer', expires_in: 3600 })
              : Response.json(answer.body ?? null, { status: answer.status }),
          ),
      })
      const calls = pushCalls({ connector, stream, account, context })
      const updates = held.slice(0, push.updateBatch ?? push.batch)
      const ends = new Set<string>()

      await fc.assert(
        fc.asyncProperty(
          answers,
          fc.constantFrom(200, 207, 400, 404, 405, 422),
          async (body, status) => {
            Object.assign(answer, { body, status })
            for (
              const work of [
                () => calls.find(records),
                () => calls.write('create', records),
                () => calls.write('update', updates),
                () => calls.remove(['id-0']),
                ...(stream.lookup ? [() => account.lookup(name, ['id-0'])] : []),
              ]
            ) {
              const error = await work().then(() => null, (error: unknown) => error)
              if (error !== null && !(error instanceof AppError)) throw error
              ends.add(error?.code ?? 'done')
            }
          },
        ),
        { numRuns: 200 },
      )

      expect(ends).toContain('done')
      expect([...ends]).toEqual(expect.arrayContaining(['provider_rejected']))
    })
  })
}

const READS = /\/(search|batch\/read|token|composite\/batch)(\?|$)/

/** @param changed What has to be written; of a new one, all that is not null. */
export function newRecord(
  columns: Columns,
  changed = Object.keys(columns).filter((name) => columns[name] !== null),
): PushedRecord {
  return {
    record_id: randomUUID(),
    version: '1',
    source_id: null,
    columns,
    changed: changed as PushedRecord['changed'],
    uncertain: false,
    sending_at: null,
  }
}

const changed = (record: PushedRecord, change: Columns): PushedRecord => ({
  ...record,
  columns: { ...record.columns, ...change },
  changed: Object.keys(change) as PushedRecord['changed'],
})

function idOf(outcome: PushOutcome | undefined): string {
  if (outcome && 'source_id' in outcome) return outcome.source_id
  throw new Error(`not written: ${JSON.stringify(outcome)}`)
}

const isAboutData = (error: unknown): error is AppError =>
  error instanceof AppError && ['provider_rejected', 'provider_not_found'].includes(error.code)

/** Words that answers of these platforms are made of, around values they never have. */
const WORDS = [
  'results',
  'records',
  'errors',
  'id',
  'fields',
  'properties',
  'new_members',
  'updated_members',
  'email_address',
  'success',
  'context',
  'objectWriteTraceId',
  'ids',
  'category',
  'message',
  'statusCode',
  'error',
  'deleted',
  'status',
]
const { answers } = fc.letrec((tie) => ({
  answers: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom(null, undefined, '', 'id-0', '0', 0, true, 404),
    fc.array(tie('answers'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...WORDS), tie('answers'), { maxKeys: 4 }),
  ),
}))
