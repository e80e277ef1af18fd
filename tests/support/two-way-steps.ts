// What a random history of two sides is made of.
import fc from 'fast-check'

/** Given modulo what there is. */
const pick = fc.nat({ max: 1000 })
const field = fc.constantFrom('first_name' as const, 'company' as const, 'email' as const)

/** Of one record. `clear` empties a field. */
const CHANGES = ['edit', 'edit', 'edit', 'clear', 'delete'] as const

const Local = fc.record({
  side: fc.constant('local' as const),
  kind: fc.constantFrom('insert' as const, ...CHANGES),
  pick,
  field,
})
const Remote = fc.record({
  side: fc.constant('remote' as const),
  kind: fc.constantFrom('insert' as const, ...CHANGES),
  pick,
  field,
})
/** Of the same record, before either side has seen the other's. */
const Both = fc.record({
  side: fc.constant('both' as const),
  here: fc.constantFrom(...CHANGES),
  there: fc.constantFrom(...CHANGES),
  pick,
  fields: fc.tuple(field, field),
})
/** A manager puts the version that lost a conflict in place. */
const Overturn = fc.record({ side: fc.constant('overturn' as const), pick })
/** Records enter what is sent and leave it: by this, and by what is edited. */
const Filter = fc.record({
  side: fc.constant('filter' as const),
  filter: fc.constantFrom(
    null,
    { field: 'company', operator: 'exists', value: true },
    { field: 'first_name', operator: 'contains', value: '1' },
  ),
})
const policy = fc.constantFrom(
  'remote_wins' as const,
  'local_wins' as const,
  'latest_wins' as const,
)
/** A manager decides what goes which way. */
const Direction = fc.record({
  side: fc.constant('direction' as const),
  // mostly back, since little meets where only one side is heard
  direction: fc.oneof(
    { weight: 1, arbitrary: fc.constantFrom('pull' as const, 'push' as const) },
    { weight: 2, arbitrary: fc.constant('both' as const) },
  ),
})
/** A manager decides whose version stays. */
const Policy = fc.record({
  side: fc.constant('policy' as const),
  policy,
  mergeFields: fc.boolean(),
})
const Webhook = fc.record({ side: fc.constant('webhook' as const), pick })
/**
 * A webhook while a run is under way: before its n-th call of the database or the platform, counted on through
 * whoever goes on after a crash. It is read then, and taken in so many calls later.
 */
const Arrival = fc.record({
  before: fc.constantFrom('database' as const, 'platform' as const),
  at: fc.integer({ min: 1, max: 18 }),
  lateBy: fc.constantFrom(0, 0, 1, 3),
  pick,
})
const Fault = fc.oneof(
  fc.record({
    at: fc.integer({ min: 1, max: 14 }),
    in: fc.constant('database' as const),
    kind: fc.constantFrom('crash before' as const, 'crash after' as const),
  }),
  fc.record({
    at: fc.integer({ min: 1, max: 8 }),
    in: fc.constant('platform' as const),
    kind: fc.constantFrom(
      'crash before' as const,
      'crash after' as const,
      'not carried out' as const,
      'lost answer' as const,
    ),
  }),
)
const Sync = fc.record({
  side: fc.constant('sync' as const),
  mode: fc.constantFrom('push' as const, 'push' as const, 'incremental' as const, 'full' as const),
  records: fc.constantFrom(10_000, 10_000, 2),
  putOff: fc.constantFrom(0, 0, 0, 1),
  fault: fc.option(Fault, { freq: 2 }),
  /** A person edits, or a manager decides, while the run is under way: before its n-th call of the database. `onPage`: while a page is made up. */
  meanwhile: fc.option(
    fc.record({
      at: fc.integer({ min: 1, max: 10 }),
      edit: fc.oneof(
        { weight: 6, arbitrary: Local },
        { weight: 2, arbitrary: Overturn },
        { weight: 1, arbitrary: Direction },
        { weight: 1, arbitrary: Policy },
      ),
    }),
    {
      freq: 2,
    },
  ),
  onPage: fc.option(Remote, { freq: 2 }),
  arrivals: fc.array(Arrival, { maxLength: 3 }),
})

export const History = fc.record({
  policy,
  mergeFields: fc.boolean(),
  pushDeletes: fc.boolean(),
  batch: fc.constantFrom(null, 1, 2),
  platform: fc.record({
    skewMs: fc.integer({ min: -5000, max: 5000 }),
    withTimes: fc.boolean(),
    answersTimes: fc.boolean(),
  }),
  steps: fc.array(
    fc.oneof(
      {
        weight: 21,
        arbitrary: fc.oneof(Local, Remote, Both, Both, Webhook, Sync, Sync, Overturn),
      },
      { weight: 3, arbitrary: Filter },
      { weight: 2, arbitrary: Direction },
      { weight: 1, arbitrary: Policy },
    ),
    {
      minLength: 4,
      maxLength: 24,
      size: 'max',
    },
  ),
})
export type History = typeof History extends fc.Arbitrary<infer Value> ? Value : never
export type Step = History['steps'][number]
export type Edit = Extract<Step, { side: 'local' | 'remote' }>
export type Change = Extract<Step, { side: 'both' }>['here']
export type Arrival = SyncStep['arrivals'][number]
export type SyncStep = Extract<Step, { side: 'sync' }>
