// A random history of two sides, and what has to be true after it.
import { expect } from 'vitest'
import type { SyncDirection } from '../../supabase/functions/_shared/contracts/sync-streams.ts'
import { Collector } from '../../supabase/functions/_shared/sync/map-page.ts'
import type { Database } from '../../supabase/functions/_shared/platform/database.ts'
import type { FaultStack } from './fault-stack.ts'
import { playRun } from './two-way-run.ts'
import { type ConflictRow, Ledger } from './two-way-ledger.ts'
import {
  type Field,
  FIELDS,
  type Fields,
  type RemoteContact,
  TWO_WAY,
  twoWayConnector,
  type TwoWayPlatform,
} from './two-way-platform.ts'
import type { Change, Edit, History, Step, SyncStep } from './two-way-steps.ts'

type Row = Fields & { id: string; source_id: string; deleted_at: Date | null }
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
  readonly #ledger = new Ledger()
  #direction: SyncDirection = 'both'
  #last = Promise.resolve()
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
      case 'overturn':
        return await this.#overturn(step.pick)
      case 'filter':
        return await this.#setFilter(step.filter)
      case 'direction':
        return await this.#setDirection(step.direction)
      case 'policy':
        return await this.#setPolicy(step)
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
    const calm = { side: 'sync', records: 10_000, putOff: 0, fault: null, meanwhile: null } as const
    const sync = (mode: SyncStep['mode']) =>
      this.#sync({ ...calm, mode, onPage: null, arrivals: [] })
    platform.putOff(0)
    await this.#setFilter(null)
    if (this.#direction === 'pull') {
      await sync('full')
      await this.expectSidesEqual() // what was given up is as it is there
    }
    await this.#setDirection('both')
    while (platform.webhooks.length > 0) await this.#deliver(0)
    for (const mode of ['full', 'push', 'full'] as const) {
      await admin`
        update private.outbound_changes set run_at = now(), refused = false
        where integration_id = ${this.#integrationId}`
      await sync(mode)
      while (platform.webhooks.length > 0) await this.#deliver(0)
    }
    const left = await admin`
      select * from private.outbound_changes where integration_id = ${this.#integrationId}`
    expect(left, this.#told('changes are left')).toEqual([])
  }

  async expectSidesEqual(): Promise<void> {
    const here = (await this.#rows()).filter(({ id, source_id, deleted_at }) =>
      // new rows stay here while nothing is sent
      deleted_at === null && !(this.#direction === 'pull' && source_id === `local:${id}`)
    )
    const there = [...this.#begin.platform.records.values()]
    const byId = new Map(there.map((record) => [record.id, record]))
    const sorted = (list: (Fields & { id: string })[]) =>
      list.map(({ id, email, first_name, company, phone }) => ({
        id,
        email,
        first_name,
        company,
        phone,
      })).sort((a, b) => (a.id < b.id ? -1 : 1))
    expect(
      sorted(here.map((row) => {
        const theirs: Partial<Fields> = byId.get(row.source_id) ?? {}
        // what was written here while nothing was sent stays until the record is changed there
        const stays = FIELDS.filter((name) => this.#ledger.mayDiffer(row.id, name, row[name]))
        return { ...row, ...partOf(theirs, stays), id: row.source_id }
      })),
      this.#told('the sides differ'),
    ).toEqual(sorted(there))
  }

  expectNothingDoubled(): void {
    // each was given one number when it was made, whatever else of it was changed
    const numbers = [...this.#begin.platform.records.values()].map(({ phone }) => phone)
    expect(new Set(numbers).size, this.#told('a record is doubled')).toBe(numbers.length)
  }

  /** What people wrote, emptied or deleted is so, or a conflict says what became of it. */
  async expectNoEditLost(): Promise<void> {
    const left = {
      live: [...this.#begin.platform.records.values()],
      conflicts: await this.conflicts(),
    }
    const told = (what: string) => this.#told(what)
    this.#ledger.expectNoEditLost(left, told)
    this.#ledger.expectNoClearLost(left, told)
    this.#ledger.expectNoDeletionLost(left, told)
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

  async #editHere({ kind, pick, field }: Pick<Edit, 'kind' | 'pick' | 'field'>): Promise<void> {
    const { faulty: { admin } } = this.#begin
    const live = (await this.#rows()).filter(({ deleted_at }) => deleted_at === null)
    if (kind === 'insert') {
      const fields = this.#ledger.newFields(pick)
      if (fields.email && live.some(({ email }) => email === fields.email)) {
        return this.#ledger.forget(fields)
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

  async #changeHere(row: Row, kind: Change, field: Field): Promise<void> {
    const { faulty: { admin } } = this.#begin
    if (kind === 'delete') {
      this.story.push(`here: delete ${row.source_id} ${JSON.stringify(row)}`)
      this.#ledger.deleted('local', row, row.source_id, this.#pushesDeletions)
      await admin`delete from public.contacts where id = ${row.id}`
      return
    }
    const isSent = this.#direction !== 'pull' || await this.#isNew(row)
    const value = this.#valueFor(kind, row, field, isSent ? 'local' : 'only here')
    if (value === undefined) return
    if (!isSent) this.#ledger.staysHere(row.id, field, value)
    this.story.push(`here: ${row.source_id} ${field} = ${JSON.stringify(value)}`)
    await admin`update public.contacts set ${
      admin({ [field]: value } as never)
    } where id = ${row.id}`
  }

  /** Undefined: there is nothing to clear. */
  #valueFor(
    kind: 'edit' | 'clear',
    fields: Fields,
    field: Field,
    side: 'local' | 'remote' | 'only here',
  ): string | null | undefined {
    if (kind === 'edit') {
      if (side !== 'only here') this.#ledger.overwrote(fields, [field])
      return this.#ledger.newValue(field)
    }
    if (!fields[field]) return undefined
    if (side !== 'only here') this.#ledger.cleared(side, fields, field)
    // forms empty a field in either way
    return this.story.length % 2 === 0 ? null : ''
  }

  #editThere({ kind, pick, field }: Pick<Edit, 'kind' | 'pick' | 'field'>): void {
    const { platform } = this.#begin
    const live = [...platform.records.values()]
    if (kind === 'insert') {
      const fields = this.#ledger.newFields(pick)
      if (platform.create(fields) === null) return this.#ledger.forget(fields)
      this.story.push(`there: insert ${JSON.stringify(fields)}`)
      return
    }
    const record = live[pick % Math.max(1, live.length)]
    if (record) this.#changeThere(record, kind, field)
  }

  #changeThere(record: RemoteContact, kind: Change, field: Field): void {
    const { platform } = this.#begin
    if (kind === 'delete') {
      this.story.push(`there: delete ${record.id}`)
      this.#ledger.deleted('remote', record, record.id, true)
      return platform.remove(record.id)
    }
    const value = this.#valueFor(kind, record, field, 'remote')
    if (value === undefined) return
    this.story.push(`there: ${record.id} ${field} = ${JSON.stringify(value)}`)
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

  async #setFilter(filter: Extract<Step, { side: 'filter' }>['filter']): Promise<void> {
    const { faulty: { admin } } = this.#begin
    this.story.push(`filter: ${JSON.stringify(filter)}`)
    await admin`
      update public.sync_streams set filter = ${filter && admin.json(filter)}
      where integration_id = ${this.#integrationId} and stream = 'contacts'`
  }

  get #pushesDeletions(): boolean {
    return this.#direction !== 'pull' && this.#begin.history.pushDeletes
  }

  /** Never been there, as far as anybody knows: what is written in it goes out when the stream pushes. */
  async #isNew({ id, source_id }: Row): Promise<boolean> {
    const underWay = await this.#begin.faulty.admin`
      select from private.outbound_changes where record_id = ${id} and sending is not null`
    return source_id === `local:${id}` && underWay.length === 0
  }

  async #setDirection(direction: SyncDirection): Promise<void> {
    const { faulty: { admin } } = this.#begin
    this.story.push(`direction: ${direction}`)
    if (direction === 'pull' && this.#direction !== 'pull') await this.#expectGivenUp()
    await admin`
      update public.sync_streams set direction = ${direction}
      where integration_id = ${this.#integrationId} and stream = 'contacts'`
    this.#direction = direction
  }

  /** What has not gone out; and of new rows, what was changed while they were made there. */
  async #expectGivenUp(): Promise<void> {
    const changes = await this.#begin.faulty.admin<
      (Row & { operation: string; known: Partial<Fields> | null })[]
    >`
      select held.*, change.operation, case change.operation when 'create' then change.sending else change.base end as known
      from private.outbound_changes as change join public.contacts as held on held.id = change.record_id
      where change.integration_id = ${this.#integrationId}
        and (change.operation <> 'create' or change.sending is not null)`
    for (const { operation, known, ...row } of changes) {
      if (operation === 'delete') this.#ledger.gaveUpDeletion(row, row.source_id)
      this.#ledger.gaveUp(row, FIELDS.filter((name) => row[name] !== (known?.[name] ?? null)))
    }
  }

  async #setPolicy(
    { policy, mergeFields }: Extract<Step, { side: 'policy' }>,
  ): Promise<void> {
    this.story.push(`policy: ${policy}, merge fields: ${mergeFields}`)
    await this.#begin.faulty.admin`
      update public.sync_streams set conflict_policy = ${policy}, merge_fields = ${mergeFields}
      where integration_id = ${this.#integrationId} and stream = 'contacts'`
  }

  async #overturn(pick: number): Promise<void> {
    const { faulty: { admin } } = this.#begin
    const open = (await this.conflicts()).filter(({ overturned_at }) => overturned_at === null)
    const conflict = open[pick % Math.max(1, open.length)]
    if (!conflict) return
    const { id, record_id, local, remote, decision } = conflict
    const row = (await this.#rows()).find((row) => row.id === record_id)
    const lost = decision === 'local' ? remote : local
    this.story.push(`overturned: ${JSON.stringify(conflict)}`)
    try {
      await admin.begin(async (sql) => {
        await sql`select set_config('request.jwt.claims', '{"role": "service_role"}', true)`
        await sql`select public.overturn_conflict(${id})`
      })
    } catch (error) {
      // the row is gone, or it would not be pushed
      const { message } = error as Error
      if (message === 'stream_not_pushed' && this.#direction === 'pull') return
      if (message === 'deletes_not_pushed' || message === 'conflict_not_found' && !row) return
      throw error
    }
    // whoever decides sees what is replaced
    if (!row) return
    if (lost === null) {
      if (row.deleted_at === null) {
        this.#ledger.deleted('local', row, row.source_id, this.#pushesDeletions)
      }
    } else {
      const names = FIELDS.filter((name) => local?.[name] !== remote?.[name])
      this.#ledger.overwrote(row, names.filter((name) => row[name] !== lost[name]))
    }
  }

  /** Any of those that are on their way; without times it only says what to look up. */
  async #deliver(pick: number): Promise<void> {
    await this.#receive(pick)?.()
  }

  /** Reads it. What is answered takes it in, at once or later. */
  #receive(pick: number): (() => Promise<void>) | undefined {
    const { db, platform, history } = this.#begin
    const [webhook] = platform.webhooks.splice(pick % Math.max(1, platform.webhooks.length), 1)
    if (!webhook) return
    if (pick % 5 === 4) platform.webhooks.push(webhook) // it will come once more
    if (this.#direction === 'push') return // nobody reads it
    const { withTimes, skewMs } = history.platform
    const fetched_at = new Date().toISOString()
    const taker = (what: string, records: unknown[], deletions: unknown[]) => async () => {
      this.story.push(`webhook of ${fetched_at}: ${what}`)
      await db.call('apply_records', {
        p_integration_id: this.#integrationId,
        p_stream: 'contacts',
        p_records: records,
        p_deletions: deletions,
      })
    }
    if ('deleted_at' in webhook) {
      const { id: source_id, deleted_at } = webhook
      // the platform's own time, where it has times
      return taker(`${source_id} is deleted`, [], [
        withTimes
          ? { source_id, source_deleted_at: earlier(deleted_at, fetched_at) }
          : { source_id, absent_at: fetched_at },
      ])
    }
    const record = withTimes ? webhook.record : platform.records.get(webhook.record.id)
    if (!record) return
    // with a clock that is ahead nobody can tell it from the record brought back: docs/two-way-sync.md, Limits
    if (skewMs > 0 && !platform.records.has(record.id)) return
    // what a webhook brings was read when it occurred, however late it comes
    const readAt = withTimes ? earlier(record.updated_at, fetched_at) : fetched_at
    return taker(JSON.stringify(record), rowsOf(record, readAt, history), [])
  }

  async #sync(step: SyncStep): Promise<void> {
    const { faulty, platform, db } = this.#begin
    await playRun(step, {
      faulty,
      platform,
      db,
      integrationId: this.#integrationId,
      story: this.story,
      told: (what) => this.#told(what),
      direction: () => this.#direction,
      editThere: (edit) => this.#editThere(edit),
      edit: (edit) => this.#alone(() => this.step(edit)),
      receive: (pick) => {
        const take = this.#receive(pick)
        return take && (() => this.#alone(take))
      },
    })
  }

  /** One after another: people look at a row before they change it. */
  async #alone(work: () => Promise<void>): Promise<void> {
    await (this.#last = this.#last.then(work))
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

const partOf = (fields: Partial<Fields>, names: readonly Field[]): Partial<Fields> =>
  Object.fromEntries(names.flatMap((name) => name in fields ? [[name, fields[name]]] : []))

const earlier = (a: string, b: string) => Date.parse(a) <= Date.parse(b) ? a : b
