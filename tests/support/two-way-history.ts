// A random history of two sides, and what has to be true after it.
import fc from 'fast-check'
import { expect } from 'vitest'
import { Collector } from '../../supabase/functions/_shared/sync/map-page.ts'
import { claimRun } from '../../supabase/functions/_shared/sync/claimed-run.ts'
import { runSlice } from '../../supabase/functions/_shared/sync/run-slice.ts'
import type { Database } from '../../supabase/functions/_shared/platform/database.ts'
import type { SyncLog } from '../../supabase/functions/_shared/contracts/sync.ts'
import { impatientClock } from './engine-run.ts'
import { expireLeases, type FaultStack } from './fault-stack.ts'
import {
  type Field,
  FIELDS,
  type Fields,
  type RemoteContact,
  TWO_WAY,
  twoWayConnector,
  type TwoWayPlatform,
} from './two-way-platform.ts'

/** Given modulo what there is. */
const pick = fc.nat({ max: 1000 })
const field = fc.constantFrom('first_name' as const, 'company' as const, 'email' as const)

const Local = fc.record({
  side: fc.constant('local' as const),
  kind: fc.constantFrom(
    'insert' as const,
    'edit' as const,
    'edit' as const,
    'edit' as const,
    'delete' as const,
  ),
  pick,
  field,
})
const Remote = fc.record({
  side: fc.constant('remote' as const),
  kind: fc.constantFrom(
    'insert' as const,
    'edit' as const,
    'edit' as const,
    'edit' as const,
    'delete' as const,
  ),
  pick,
  field,
})
/** Of the same record, before either side has seen the other's. */
const Both = fc.record({
  side: fc.constant('both' as const),
  here: fc.constantFrom('edit' as const, 'edit' as const, 'edit' as const, 'delete' as const),
  there: fc.constantFrom('edit' as const, 'edit' as const, 'edit' as const, 'delete' as const),
  pick,
  fields: fc.tuple(field, field),
})
const Webhook = fc.record({ side: fc.constant('webhook' as const), pick })
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
  /** A person edits while the run is under way: before its n-th call of the database, or while a page is made up. */
  meanwhile: fc.option(fc.record({ at: fc.integer({ min: 1, max: 10 }), edit: Local }), {
    freq: 2,
  }),
  onPage: fc.option(Remote, { freq: 2 }),
})

export const History = fc.record({
  policy: fc.constantFrom('remote_wins' as const, 'local_wins' as const, 'latest_wins' as const),
  mergeFields: fc.boolean(),
  pushDeletes: fc.boolean(),
  batch: fc.constantFrom(null, 1, 2),
  platform: fc.record({
    skewMs: fc.integer({ min: -5000, max: 5000 }),
    withTimes: fc.boolean(),
    answersTimes: fc.boolean(),
  }),
  steps: fc.array(fc.oneof(Local, Remote, Both, Webhook, Sync, Sync), {
    minLength: 4,
    maxLength: 24,
    size: 'max',
  }),
})
export type History = typeof History extends fc.Arbitrary<infer Value> ? Value : never
type Step = History['steps'][number]
type Edit = Extract<Step, { side: 'local' | 'remote' }>
type SyncStep = Extract<Step, { side: 'sync' }>

type Row = Fields & { id: string; source_id: string; deleted_at: Date | null }
export type ConflictRow = {
  record_id: string
  source_id: string
  kind: string
  base: Fields | null
  local: Fields | null
  remote: Fields | null
  policy: string
  decision: string
  /** To the microsecond, which a Date does not hold. */
  is_local_later: boolean
}

class Crash extends Error {}

type Begin = {
  faulty: FaultStack
  db: Database
  platform: TwoWayPlatform
  history: History
  account: string
}

/** One history being played. */
export class Play {
  readonly #begin: Begin
  readonly #integrationId: string
  #count = 0
  /** Everything a person wrote, by value: each is written once. */
  readonly #written = new Map<string, string>()
  /** What a person saw when they wrote over it, or deleted it. */
  readonly #overwritten = new Set<string>()
  /** Addresses that were given up: should somebody else take one, the platform would refuse it to whoever wins it back. */
  readonly #givenUp = new Set<string | null>()
  readonly #deletions: { side: 'local' | 'remote'; fields: Fields; source_id: string }[] = []
  /** What happened, for whoever has to understand a failure. */
  readonly story: string[] = []

  private constructor(begin: Begin, integration: { id: string }) {
    this.#begin = begin
    this.#integrationId = integration.id
  }

  static async begin(begin: Begin): Promise<Play> {
    const { faulty: { admin }, db, history, account } = begin
    const [organization] = await admin`
      insert into public.organizations (name) values ('Two ways') returning id`
    const integration = await db.call<{ id: string }>(
      'connect_integration',
      {
        p_organization_id: organization!.id,
        p_connector: TWO_WAY,
        p_external_account_id: account,
        p_name: 'Two ways',
        p_settings: {},
        p_credentials: {},
        p_push_columns: { contacts: FIELDS },
      },
    )
    await admin`
      update public.sync_streams set next_sync_at = now() + interval '1 day', direction = 'both',
        conflict_policy = ${history.policy}, merge_fields = ${history.mergeFields},
        push_deletes = ${history.pushDeletes}, push_batch_size = ${history.batch}, mass_delete_percent = 0
      where integration_id = ${integration.id}`
    return new Play(begin, integration)
  }

  async step(step: Step): Promise<void> {
    switch (step.side) {
      case 'local':
        return await this.#editHere(step)
      case 'remote':
        return this.#editThere(step)
      case 'both':
        return await this.#editBoth(step)
      case 'webhook':
        return await this.#deliver(step.pick)
      case 'sync':
        return await this.#sync(step)
    }
  }

  /** Nobody edits any more, nothing fails any more; what is on its way arrives. */
  async quiet(): Promise<void> {
    const { faulty: { admin }, platform } = this.#begin
    platform.putOff(0)
    while (platform.webhooks.length > 0) await this.#deliver(0)
    const calm = { side: 'sync', records: 10_000, putOff: 0 } as const
    for (const mode of ['full', 'push', 'full'] as const) {
      await admin`
        update private.outbound_changes set run_at = now(), refused = false
        where integration_id = ${this.#integrationId}`
      await this.#sync({ ...calm, mode, fault: null, meanwhile: null, onPage: null })
      while (platform.webhooks.length > 0) await this.#deliver(0)
    }
    const left = await admin`
      select * from private.outbound_changes where integration_id = ${this.#integrationId}`
    expect(left, this.#told('changes are left')).toEqual([])
  }

  async expectSidesEqual(): Promise<void> {
    const here = (await this.#rows()).filter(({ deleted_at }) => deleted_at === null)
    const there = [...this.#begin.platform.records.values()]
    const sorted = (list: (Fields & { id: string })[]) =>
      list.map(({ id, email, first_name, company, phone }) => ({
        id,
        email,
        first_name,
        company,
        phone,
      })).sort((a, b) => (a.id < b.id ? -1 : 1))
    expect(
      sorted(here.map((row) => ({ ...row, id: row.source_id }))),
      this.#told('the sides differ'),
    ).toEqual(sorted(there))
  }

  expectNothingDoubled(): void {
    // each was given one number when it was made, whatever else of it was changed
    for (const numbers of [[...this.#begin.platform.records.values()].map(({ phone }) => phone)]) {
      expect(new Set(numbers).size, this.#told('a record is doubled')).toBe(numbers.length)
    }
  }

  async expectNoEditLost(): Promise<void> {
    const conflicts = await this.conflicts()
    const kept = new Set<string | null>()
    const keep = (fields: Partial<Fields> | null) => {
      for (const name of FIELDS) if (fields?.[name] != null) kept.add(fields[name])
    }
    for (const record of this.#begin.platform.records.values()) keep(record)
    for (const { base, local, remote } of conflicts) [base, local, remote].forEach(keep)
    const lost = [...this.#written].filter(([value]) =>
      !kept.has(value) && !this.#overwritten.has(value)
    )
    expect(lost, this.#told('edits are lost')).toEqual([])

    const live = [...this.#begin.platform.records.values()]
    for (const { side, fields, source_id } of this.#deletions) {
      if (side === 'local' && !this.#begin.history.pushDeletes) continue
      const came = live.filter(({ id, phone }) => id === source_id || phone === fields.phone)
      if (came.length === 0) continue
      const isDecided = conflicts.some((conflict) =>
        conflict.source_id === source_id ||
        [conflict.local, conflict.remote, conflict.base].some((version) =>
          version?.phone === fields.phone
        )
      )
      // made again here, with the same address
      const isMadeAgain = came.some(({ phone }) => phone !== fields.phone)
      expect(isDecided || isMadeAgain, this.#told(`a deletion of ${source_id} is lost`)).toBe(true)
    }
  }

  /** Each policy decided as it says, by the times that are written down. */
  async expectConflictsDecided(): Promise<void> {
    for (const conflict of await this.conflicts()) {
      const { decision, policy, is_local_later } = conflict
      const latest = is_local_later ? 'local' : 'remote'
      const expected = { remote_wins: 'remote', local_wins: 'local', latest_wins: latest }[policy]
      expect(decision, this.#told(JSON.stringify(conflict))).toBe(expected)
    }
  }

  async conflicts(): Promise<ConflictRow[]> {
    return await this.#begin.faulty.admin<ConflictRow[]>`
      select *, local_changed_at > remote_changed_at as is_local_later from public.sync_conflicts where integration_id = ${this.#integrationId}`
  }

  #told(what: string): string {
    const { policy, mergeFields, pushDeletes, platform } = this.#begin.history
    const settings = JSON.stringify({ policy, mergeFields, pushDeletes, ...platform })
    return [`${what} (${settings})`, ...this.story].join('\n')
  }

  async #rows(): Promise<Row[]> {
    return await this.#begin.faulty.admin<Row[]>`
      select id, source_id, deleted_at, email, first_name, company, phone from public.contacts
      where integration_id = ${this.#integrationId} order by created_at, id`
  }

  #value(name: Field): string {
    const number = `${name[0]}${++this.#count}`
    const value = name === 'email' ? `${number}@people.test` : number
    this.#written.set(value, name)
    return value
  }

  #newFields(pick: number): Fields {
    // a few addresses, so that the two sides come to have the same
    const shared = `p${pick % 4}@people.test`
    const email = this.#givenUp.has(shared) ? this.#value('email') : shared
    return {
      email,
      first_name: this.#value('first_name'),
      company: pick % 3 === 0 ? null : this.#value('company'),
      phone: this.#value('phone'),
    }
  }

  #seen(fields: Fields, names: readonly Field[] = FIELDS): void {
    for (const name of names) if (fields[name] !== null) this.#overwritten.add(fields[name])
  }

  async #editHere({ kind, pick, field }: Pick<Edit, 'kind' | 'pick' | 'field'>): Promise<void> {
    const { faulty: { admin } } = this.#begin
    const live = (await this.#rows()).filter(({ deleted_at }) => deleted_at === null)
    if (kind === 'insert') {
      const fields = this.#newFields(pick)
      if (live.some(({ email }) => email === fields.email)) {
        return this.#forget(fields)
      }
      this.story.push(`here: insert ${JSON.stringify(fields)}`)
      await admin`insert into public.contacts ${
        admin({ ...fields, integration_id: this.#integrationId } as never)
      }`
      return
    }
    const row = live[pick % Math.max(1, live.length)]
    if (row) await this.#changeHere(row, kind, field)
  }

  async #changeHere(row: Row, kind: 'edit' | 'delete', field: Field): Promise<void> {
    const { faulty: { admin } } = this.#begin
    if (kind === 'delete') {
      this.story.push(`here: delete ${row.source_id} ${JSON.stringify(row)}`)
      this.#seen(row)
      this.#deletions.push({ side: 'local', fields: row, source_id: row.source_id })
      await admin`delete from public.contacts where id = ${row.id}`
      return
    }
    const value = this.#value(field)
    if (field === 'email') this.#givenUp.add(row.email)
    this.#seen(row, [field])
    this.story.push(`here: ${row.source_id} ${field} = ${value}`)
    await admin`update public.contacts set ${
      admin({ [field]: value } as never)
    } where id = ${row.id}`
  }

  #editThere({ kind, pick, field }: Pick<Edit, 'kind' | 'pick' | 'field'>): void {
    const { platform } = this.#begin
    const live = [...platform.records.values()]
    if (kind === 'insert') {
      const fields = this.#newFields(pick)
      if (platform.create(fields) === null) return this.#forget(fields)
      this.story.push(`there: insert ${JSON.stringify(fields)}`)
      return
    }
    const record = live[pick % Math.max(1, live.length)]
    if (record) this.#changeThere(record, kind, field)
  }

  #changeThere(record: RemoteContact, kind: 'edit' | 'delete', field: Field): void {
    const { platform } = this.#begin
    this.#seen(record, kind === 'delete' ? FIELDS : [field])
    if (kind === 'delete') {
      this.story.push(`there: delete ${record.id}`)
      this.#deletions.push({ side: 'remote', fields: record, source_id: record.id })
      return platform.remove(record.id)
    }
    const value = this.#value(field)
    if (field === 'email') this.#givenUp.add(record.email)
    this.story.push(`there: ${record.id} ${field} = ${value}`)
    platform.change(record.id, { [field]: value })
  }

  async #editBoth({ here, there, pick, fields }: Extract<Step, { side: 'both' }>): Promise<void> {
    const { platform } = this.#begin
    const known = (await this.#rows()).filter(({ deleted_at, source_id }) =>
      deleted_at === null && platform.records.has(source_id)
    )
    const row = known[pick % Math.max(1, known.length)]
    if (!row) return
    await this.#changeHere(row, here, fields[0])
    this.#changeThere(platform.records.get(row.source_id)!, there, fields[1])
  }

  #forget(fields: Fields): void {
    for (const name of FIELDS) if (fields[name] !== null) this.#written.delete(fields[name])
  }

  /** Any of those that are on their way; without times it only says what to look up. */
  async #deliver(pick: number): Promise<void> {
    const { db, platform, history } = this.#begin
    const [webhook] = platform.webhooks.splice(pick % Math.max(1, platform.webhooks.length), 1)
    if (!webhook) return
    if (pick % 5 === 4) platform.webhooks.push(webhook) // it will come once more
    const fetched_at = new Date().toISOString()
    const apply = (records: unknown[], deletions: unknown[]) =>
      db.call('apply_records', {
        p_integration_id: this.#integrationId,
        p_stream: 'contacts',
        p_records: records,
        p_deletions: deletions,
      })
    if ('deleted_at' in webhook) {
      this.story.push(`webhook: ${webhook.id} is deleted`)
      const { id: source_id, deleted_at } = webhook
      // the platform's own time, where it has times
      await apply([], [
        history.platform.withTimes
          ? { source_id, source_deleted_at: earlier(deleted_at, fetched_at) }
          : { source_id, absent_at: fetched_at },
      ])
      return
    }
    const { withTimes } = history.platform
    const record = withTimes ? webhook.record : platform.records.get(webhook.record.id)
    if (!record) return
    this.story.push(`webhook: ${JSON.stringify(record)}`)
    // what a webhook brings was read when it occurred, however late it comes
    const readAt = withTimes ? earlier(record.updated_at, fetched_at) : fetched_at
    await apply(rowsOf(record, readAt, history), [])
  }

  async #sync(step: SyncStep): Promise<void> {
    const { faulty, platform, db } = this.#begin
    const { admin } = faulty
    const { fault, meanwhile, onPage, ...what } = step
    this.story.push(`sync: ${JSON.stringify(what)} ${JSON.stringify(fault)}`)
    platform.putOff(step.putOff)
    platform.onPage(
      onPage && (async () => {
        platform.onPage(null)
        this.#editThere(onPage)
        await Promise.resolve()
      }),
    )
    const log = await db.call<SyncLog>('start_sync', {
      p_integration_id: this.#integrationId,
      p_stream: 'contacts',
      p_sync_type: 'manual',
      p_mode: step.mode,
      p_wake: false,
      p_allow_mass_delete: true,
    })
    let isDead = false
    const die = () => {
      isDead = true
      return new Crash()
    }
    let calls = 0
    const worker: Database = {
      call: async <T>(name: string, args: Record<string, unknown>): Promise<T> => {
        if (isDead) throw new Crash()
        calls += 1
        if (meanwhile && calls === meanwhile.at) await this.#editHere(meanwhile.edit)
        const isHit = fault?.in === 'database' && calls === fault.at
        if (isHit && fault.kind === 'crash before') throw die()
        const answer = await db.call<T>(name, args)
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
      if (slice > 60) throw new Error(this.#told('the run does not end'))
      const outside = faulty.outside({
        db: slice === 0 ? worker : db,
        fetch: async (input, init) => {
          if (isDead && slice === 0) throw new Crash()
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
          expect(outcome.log.status, this.#told(JSON.stringify(outcome.log.error))).not.toBe(
            'failed',
          )
          break
        }
      } catch (error) {
        if (!(error instanceof Crash)) throw error
        this.story.push('the worker dies')
        await expireLeases(faulty)
      }
    }
    platform.setFault(null)
    platform.onPage(null)
  }
}

function rowsOf(record: RemoteContact, fetched_at: string, { platform }: History): unknown[] {
  const collected = new Collector({
    connector: twoWayConnector(platform),
    stream: 'contacts',
    settings: {},
    facts: {},
  })
  collected.add({ records: [record], fetched_at })
  return collected.take().rows
}

const earlier = (a: string, b: string) => Date.parse(a) <= Date.parse(b) ? a : b
