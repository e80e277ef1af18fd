// A platform in this process that contacts come from and go to: one record for each address, a clock of its own, webhooks
// in any order, answers that get lost. It is reached through the `fetch` that engines take.
import { z } from 'zod'
import {
  type Connector,
  defineConnector,
} from '../../supabase/functions/_shared/connectors/define-connector.ts'
import { noAuth } from '../../supabase/functions/_shared/connectors/vocabulary/auth.ts'
import type { PlatformCall } from '../../supabase/functions/_shared/connectors/vocabulary/platform-call.ts'
import {
  emailOf,
  holdsAll,
  madeSince,
  type PushedRecord,
} from '../../supabase/functions/_shared/connectors/vocabulary/push.ts'
import type { FaultStack } from './fault-stack.ts'

export const TWO_WAY = 'two-way'

/** What both sides change. `phone` is given once, where the record is made, and tells who it is. */
export const FIELDS = ['email', 'first_name', 'company', 'phone'] as const
export type Field = typeof FIELDS[number]
export type Fields = Record<Field, string | null>

export type RemoteContact = Fields & { id: string; created_at: string; updated_at: string }

/** What a webhook tells: the record as it was then, or when it was deleted. */
export type Webhook = { record: RemoteContact } | { id: string; deleted_at: string }

export type TwoWayOptions = {
  /** The platform's clock, ahead of ours (or behind). */
  skewMs: number
  /** Its records say when they were changed. */
  withTimes: boolean
  /** Its answers to writes say so too. */
  answersTimes: boolean
}

/** What happens to the n-th call from now on: it is not carried out, or its answer is lost. */
export type CallFault = { at: number; kind: 'not carried out' | 'lost answer'; fail: () => Error }

export type TwoWayPlatform = {
  records: Map<string, RemoteContact>
  /** What was told since the last time somebody took it. */
  webhooks: Webhook[]
  create(fields: Fields): RemoteContact | null
  change(id: string, fields: Partial<Fields>): void
  remove(id: string): void
  setFault(fault: CallFault | null): void
  /** The next write of each of so many records is put off: "not now". */
  putOff(count: number): void
  /** Called before a page of the list is made up. */
  onPage(work: (() => Promise<void>) | null): void
  fetch: typeof globalThis.fetch
}

const BATCH = 3
const PAGE = 4

export function twoWayPlatform({ skewMs, answersTimes }: TwoWayOptions): TwoWayPlatform {
  const records = new Map<string, RemoteContact>()
  const webhooks: Webhook[] = []
  let lastTime = 0
  let lastId = 0
  let calls = 0
  let fault: CallFault | null = null
  let postponed = 0
  let beforePage: (() => Promise<void>) | null = null
  const time = () => {
    lastTime = Math.max(lastTime + 1, Date.now() + skewMs)
    return new Date(lastTime).toISOString()
  }
  const byEmail = (email: string | null | undefined) =>
    email ? [...records.values()].find((record) => record.email === email) : undefined

  const write = (given: RemoteContact) => {
    const record = { ...given }
    for (const name of FIELDS) record[name] ||= null // nothing is nothing here
    records.set(record.id, record)
    webhooks.push({ record })
    return record
  }
  const create: TwoWayPlatform['create'] = (fields) => byEmail(fields.email) ? null : made(fields)
  const made = (fields: Fields) => {
    const now = time()
    const id = `r${String(++lastId).padStart(4, '0')}`
    return write({ ...fields, id, created_at: now, updated_at: now })
  }
  const change: TwoWayPlatform['change'] = (id, fields) => {
    const held = records.get(id)
    const other = byEmail(fields.email)
    if (!held || other && other.id !== id) return
    write({ ...held, ...fields, updated_at: time() })
  }
  const remove: TwoWayPlatform['remove'] = (id) => {
    if (records.delete(id)) webhooks.push({ id, deleted_at: time() })
  }

  type Item = { id?: string; email?: string; fields?: Partial<Fields> }
  const answerTo = (item: Item) => {
    if (postponed > 0) {
      postponed -= 1
      return { retry: 'not now' }
    }
    const empty: Fields = { email: null, first_name: null, company: null, phone: null }
    const known = item.id ? records.get(item.id) : byEmail(item.email)
    if (item.id && !known) return { retry: 'gone' }
    const taken = byEmail(item.fields?.email)
    if (taken && taken.id !== known?.id) return { refused: 'the address is taken' }
    if (known) change(known.id, item.fields ?? {})
    const record = known
      ? records.get(known.id)!
      : create({ ...empty, ...item.fields, email: item.email ?? null })!
    return { id: record.id, ...(answersTimes ? { updated_at: record.updated_at } : {}) }
  }

  async function answer(url: URL, method: string, body: unknown): Promise<unknown> {
    const { pathname, searchParams } = url
    const ids = searchParams.get('ids')?.split(',')
    switch (`${method} ${pathname}`) {
      case 'GET /contacts': {
        if (ids) return { data: ids.flatMap((id) => records.get(id) ?? []) }
        await beforePage?.()
        const since = Date.parse(searchParams.get('since') ?? '')
        const after = searchParams.get('cursor') ?? ''
        const found = [...records.values()]
          .filter((record) => !(Date.parse(record.updated_at) < since) && record.id > after)
          .sort((a, b) => (a.id < b.id ? -1 : 1))
        const data = found.slice(0, PAGE)
        return { data, ...(found.length > PAGE ? { next: data.at(-1)?.id } : {}) }
      }
      case 'POST /search':
        return {
          data: (body as { emails: string[] }).emails.flatMap((email) => byEmail(email) ?? []),
        }
      case 'GET /recent': {
        const since = Date.parse(searchParams.get('since') ?? '')
        const isRecent = ({ email, created_at }: RemoteContact) =>
          email === null && Date.parse(created_at) >= since
        return { data: [...records.values()].filter(isRecent) }
      }
      case 'POST /contacts':
        return { results: (body as { records: Item[] }).records.map(answerTo) }
      case 'DELETE /contacts':
        for (const id of ids ?? []) remove(id)
        return { deleted: ids }
    }
    throw new Error(`no such address: ${method} ${pathname}`)
  }

  return {
    records,
    webhooks,
    create,
    change,
    remove,
    setFault(next) {
      calls = 0
      fault = next
    },
    putOff: (count) => void (postponed = count),
    onPage: (work) => void (beforePage = work),
    async fetch(input, init) {
      calls += 1
      const spoiled = fault?.at === calls ? fault : null
      if (spoiled?.kind === 'not carried out') throw spoiled.fail()
      const body = typeof init?.body === 'string' ? JSON.parse(init.body) : null
      const said = await answer(new URL(String(input)), init?.method ?? 'GET', body)
      if (spoiled) throw spoiled.fail()
      return Response.json(said)
    },
  }
}

const Contact = z.object({
  id: z.string(),
  email: z.string().nullable(),
  first_name: z.string().nullable(),
  company: z.string().nullable(),
  phone: z.string().nullable(),
  created_at: z.string(),
  updated_at: z.string(),
})
const Results = z.object({
  results: z.array(z.object({
    id: z.string().optional(),
    updated_at: z.string().optional(),
    retry: z.string().optional(),
    refused: z.string().optional(),
  })),
})

/** The connector of such a platform. */
export function twoWayConnector({ withTimes }: TwoWayOptions): Connector {
  return defineConnector({
    slug: TWO_WAY,
    name: 'Two ways',
    description: 'For tests.',
    category: 'crm',
    docs: 'https://platform.test',
    settings: z.strictObject({}),
    auth: noAuth(),
    baseUrl: 'http://platform.test',
    rateLimit: { requestsPerSecond: 10_000, burst: 10_000 },
    accountId: () => 'one',
    streams: {
      contacts: {
        path: '/contacts',
        records: 'data',
        pagination: { type: 'cursor', param: 'cursor', next: 'next' },
        incremental: { param: 'since', overlapSeconds: 10 },
        lookup: { param: 'ids', max: BATCH },
        id: 'id',
        record: Contact,
        toRecord: ({ id, created_at: _, updated_at, ...fields }) => ({
          source_id: id,
          source_updated_at: withTimes ? updated_at : null,
          columns: {
            ...fields,
            kind: 'contact' as const,
            last_name: null,
            full_name: null,
            job_title: null,
            marketing_status: null,
            tags: [],
            address: null,
            image_url: null,
          },
        }),
        push: {
          columns: FIELDS,
          batch: BATCH,
          key: 'email',
          together: (record) => emailOf(record) === null ? 'no email' : 'email',
          find: {
            max: BATCH,
            call: (records) =>
              emailOf(records[0]!) === null ? recentCall(records) : {
                method: 'POST',
                path: '/search',
                json: { emails: records.flatMap(({ columns }) => columns.email ?? []) },
              },
            records: (body) => (body as { data: unknown }).data,
            matches(raw, record) {
              const held = Contact.parse(raw)
              const email = emailOf(record)
              if (email !== null) return held.email === email
              return record.sending_at !== null && held.email === null &&
                held.created_at >= madeSince(record.sending_at) &&
                holdsAll(held, partOf(record.columns, record.changed))
            },
          },
          create: (records) => ({
            method: 'POST',
            path: '/contacts',
            json: {
              records: records.map(({ columns, changed }) => ({
                email: columns.email,
                fields: partOf(columns, changed),
              })),
            },
          }),
          update: (records) => ({
            method: 'POST',
            path: '/contacts',
            json: {
              records: records.map(({ source_id, columns, changed }) => ({
                id: source_id,
                fields: partOf(columns, changed),
              })),
            },
          }),
          written: ({ body }) =>
            Results.parse(body).results.map(({ id, updated_at, retry, refused }) =>
              retry !== undefined
                ? { retry: { code: 'busy', message: retry } }
                : refused !== undefined
                ? { refused: { code: 'taken', message: refused } }
                : {
                  source_id: id!,
                  ...(withTimes && updated_at ? { source_updated_at: updated_at } : {}),
                }
            ),
          remove: {
            batch: BATCH,
            call: (ids) => ({
              method: 'DELETE',
              path: '/contacts',
              query: { ids: ids.join(',') },
            }),
            removed: (_answer, ids) => ids.map((source_id) => ({ source_id })),
          },
        },
      },
    },
  })
}

/** Somebody without an address is looked for among those made since it was sent. */
function recentCall(records: PushedRecord<'contacts'>[]): PlatformCall | null {
  const [first] = records.flatMap(({ uncertain, sending_at }) =>
    uncertain && sending_at !== null ? [sending_at] : []
  ).sort()
  return first === undefined ? null : { path: '/recent', query: { since: madeSince(first) } }
}

const partOf = (columns: Record<string, unknown>, names: string[]) =>
  Object.fromEntries(names.map((name) => [name, columns[name] ?? null]))

/** Makes the connector known to the database, as a migration would. */
export async function registerTwoWay({ admin }: Pick<FaultStack, 'admin'>): Promise<void> {
  const streams = [{
    name: 'contacts',
    direction: 'both',
    incremental: true,
    detects_deletes: true,
    push: { columns: FIELDS, deletes: true, key: 'email' },
  }]
  await admin`
    insert into public.connectors (
      slug, name, description, category, docs_url, auth_types, settings_schema, credentials_schema, streams
    )
    values (
      ${TWO_WAY}, ${TWO_WAY}, 'For tests.', 'crm', 'https://example.com', '{none}', '{"type": "object"}', '{"type": "object"}',
      ${admin.json(streams as never)}
    )`
}
