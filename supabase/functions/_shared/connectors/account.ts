// One account at one platform: its pages, a look-up by id, and a check that it still works.
import { ProviderAnswer } from '../http/answer.ts'
import type { HttpClient } from '../http/client.ts'
import type { Clock } from '../platform/clock.ts'
import { AppError } from '../platform/errors.ts'
import { addresses, type ConnectorOverrides } from './addresses.ts'
import { openAuthentication } from './authenticate.ts'
import { type CallOptions, platformCaller } from './call-platform.ts'
import { type Connector, findStream, placesOf, type Stream } from './define-connector.ts'
import { readPage } from './read-page.ts'
import type { OAuthGrant, TokenCache } from './token-cache.ts'
import {
  type AccountFacts,
  type AccountValues,
  type CheckCall,
  UNPROVEN,
} from './vocabulary/auth.ts'
import { fillValues } from './vocabulary/fill-template.ts'
import { isExpired, nextCursor, type PageCursor, pageQuery, pageSize } from './vocabulary/paging.ts'
import type { PlatformAnswer, PlatformCall } from './vocabulary/platform-call.ts'
import type { ListStream, Place } from './vocabulary/stream-definition.ts'

export type { PageCursor } from './vocabulary/paging.ts'
export type { OAuthGrant, TokenCache } from './token-cache.ts'
export type { Place } from './vocabulary/stream-definition.ts'

export type PageRequest = {
  /** Only what changed after this, RFC 3339; null for everything. The overlap is added here. */
  since: string | null
  /** The place to continue from; null for the first page. */
  cursor: PageCursor | null
  /** What the last finished run left for this one; null for everything. */
  bookmark?: Place | null
  /** Records a page; keep it through one scan. Never more than the connector allows. */
  size?: number
}

export type Page = {
  records: unknown[]
  /** Null after the last page. */
  next: PageCursor | null
  /** Records in the whole list, where the platform says. */
  total?: number
  /** Characters of the answer as it came: what the records weigh. */
  length: number
  /** When the request left, RFC 3339: what the page shows is at least this new. */
  fetched_at: string
  /** For the next run, should this one end well. */
  bookmark?: Place
  /** Records from before this, RFC 3339, are out of a complete read's reach. */
  reachesBackTo?: string
  /** Beginnings of the ids that are now read in full; not given by any page: all of them. */
  covers?: string[]
  /** What cannot be read and was passed over, for people. */
  passedOver?: string[]
}

/** Sends one call as the account. */
export type AccountCall = (
  call: PlatformCall,
  options?: CallOptions,
) => Promise<PlatformAnswer>

/** Errors are AppErrors with `provider_…` codes. */
export type Account = {
  /** @throws also `provider_repeated_page`, `provider_cursor_expired`: begin that scan again. */
  fetchPage(stream: string, request: PageRequest): Promise<Page>
  /** The raw records of those ids that the platform still has. Any number of ids. */
  lookup(stream: string, ids: string[]): Promise<unknown[]>
  /** Proves that the credentials work, with one cheap call, and tells what the platform says of the account. */
  check(): Promise<{ account_name?: string; account: AccountFacts }>
  call: AccountCall
}

export type AccountOptions = {
  connector: Connector
  /** As stored, or as the form sent them: they are checked here. */
  settings: unknown
  credentials: unknown
  /** What the platform said of the account when it was proved. */
  account?: AccountFacts
  http: HttpClient
  clock: Clock
  overrides?: ConnectorOverrides
  tokens: TokenCache
  /** For accounts whose owner has signed in. */
  grant?: OAuthGrant
}

/** @throws AppError `invalid_settings` or `invalid_credentials` before anything is sent. */
export function openAccount(options: AccountOptions): Account {
  const { connector, clock, http } = options
  const account = connector.readAccount(options)
  const address = addresses(connector, account, options.overrides)
  const authentication = openAuthentication({ ...options, account, address: address.of })
  const send = platformCaller({ connector, account, http, clock, authentication })
  const call: AccountCall = ({ path, ...rest }, options) =>
    send({ ...rest, url: address.of(path) }, options)
  const refuseRepetition = repetitionGuard(connector)

  const fetchPage: Account['fetchPage'] = async (name, request) => {
    const { since, cursor } = request
    const stream = findStream(connector, name)
    if (!stream.when(account.settings)) {
      throw new AppError('stream_not_found', {
        detail: `${connector.name} has no ${name} with these settings.`,
      })
    }
    if (stream.direction === 'push') throw notRead(connector, stream)
    if (stream.read) {
      const page = await readPage(stream, request, { account, call, clock })
      refuseRepetition(stream, cursor, page.records)
      return page
    }
    const { pagination, cost } = stream
    const size = pageSize(pagination, request.size)
    const list = cursor && 'url' in cursor
      ? { url: address.ofLink(cursor.url), query: {} }
      : listCall(stream, since, address.of)
    const fetchedAt = clock.now().toISOString()
    const answer = await send({
      ...list,
      cost,
      query: { ...list.query, ...pageQuery(pagination, cursor, size) },
    }).catch((error: unknown) => {
      throw isExpired(cursor, statusOf(error))
        ? new AppError('provider_cursor_expired', { cause: error })
        : error
    })
    const records = readRecords(connector, stream, answer.body)
    refuseRepetition(stream, cursor, records)
    const total = stream.total(answer.body)
    const next = nextCursor(pagination, cursor, size, {
      ...answer,
      count: records.length,
      total,
    })
    return {
      records,
      next,
      ...(total === undefined ? {} : { total }),
      length: answer.length,
      fetched_at: fetchedAt,
    }
  }

  const lookup: Account['lookup'] = async (name, ids) => {
    const stream = findStream(connector, name)
    const { max, call: callFor, records: recordsOf } = idLookup(connector, stream, account)
    const found: unknown[] = []
    for (let start = 0; start < ids.length; start += max) {
      const asked = ids.slice(start, start + max)
      const { body } = await call(callFor(asked))
      const records = recordsOf(body, asked)
      // A platform that ignores the filter answers with its first page: that proves nothing.
      if (records.some((record) => !asked.includes(stream.id(record) ?? asked[0]!))) {
        throw new AppError('provider_bad_answer', {
          detail: `${connector.name} answered with other ${name} than those asked for.`,
        })
      }
      found.push(...records)
    }
    return found
  }

  /** One call of a check, and those behind it with the facts it told. */
  async function checkStep(
    { accountName, account: factsOf, verify, notKnown = [], then, ...declared }: CheckCall,
    known: AccountValues,
  ): ReturnType<Account['check']> {
    const { path, ...rest } = declared
    const places = placesOf(known)
    const { status, body } = await send({
      ...rest,
      url: addresses(connector, known, options.overrides).of(path),
      query: fillValues(rest.query ?? {}, places),
      headers: fillValues(rest.headers ?? {}, places),
      accept: notKnown,
    })
    const isKnown = !notKnown.includes(status)
    if (isKnown) verify?.(body, known)
    const name = isKnown ? accountName?.(body) : undefined
    const facts = { ...known.account, ...(isKnown ? factsOf?.(body, known) : UNPROVEN) }
    const proved = { ...(name === undefined ? {} : { account_name: name }), account: facts }
    return then ? { ...proved, ...await checkStep(then, { ...known, account: facts }) } : proved
  }

  const check: Account['check'] = async () => {
    const declared = connector.check(account.settings)
    if (!declared) {
      const [first] = connector.streamsOf(account.settings)
      if (first === undefined) {
        throw new TypeError(`${connector.slug} has nothing to check`)
      }
      await fetchPage(first, { since: null, cursor: null, size: 1 })
      return { account: account.account }
    }
    const { unproven: _, ...facts } = account.account // as it was before
    return await checkStep(declared, { ...account, account: facts })
  }

  return { fetchPage, lookup, check, call }
}

function listCall(stream: ListStream, since: string | null, address: (path: string) => string) {
  const { incremental, path, query } = stream
  if (since === null || !incremental) return { url: address(path), query }
  const from = new Date(Date.parse(since) - incremental.overlapSeconds * 1000)
  const time = incremental.format?.(from) ?? from.toISOString()
  return {
    url: address((incremental.path ?? path).replaceAll('{since}', encodeURIComponent(time))),
    query: {
      ...query,
      ...(incremental.param === undefined ? {} : { [incremental.param]: time }),
    },
  }
}

/** How the stream asks for certain ids: in words of its list, or in its own. */
function idLookup(
  connector: Connector,
  stream: Stream,
  { settings, account }: AccountValues,
) {
  if (stream.direction === 'push') throw notRead(connector, stream)
  if (stream.read) {
    if (!stream.lookup) throw noLookup(connector, stream)
    const { lookup } = stream
    return {
      max: lookup.max,
      call: (ids: string[]) => lookup.call(ids, { settings, account }),
      records: (body: unknown, ids: string[]) =>
        listOf(connector, stream, lookup.records(body, ids)),
    }
  }
  if (!stream.lookup) throw noLookup(connector, stream)
  const { param, max, separator = ',' } = stream.lookup
  const first = pageQuery(stream.pagination, null, pageSize(stream.pagination, max))
  return {
    max,
    call: (ids: string[]): PlatformCall => ({
      path: stream.path,
      query: { ...stream.query, ...first, [param]: ids.join(separator) },
    }),
    records: (body: unknown) => readRecords(connector, stream, body),
  }
}

const notRead = (connector: Connector, stream: Stream) =>
  new AppError('stream_not_found', {
    detail: `${connector.name} shows no ${stream.name}: they are only sent there.`,
  })

const noLookup = (connector: Connector, stream: Stream) =>
  new TypeError(`${connector.slug} cannot look up ${stream.name}`)

const readRecords = (connector: Connector, stream: ListStream, body: unknown) =>
  listOf(connector, stream, stream.records(body))

function listOf(connector: Connector, stream: Stream, records: unknown): unknown[] {
  if (Array.isArray(records)) return records
  throw new AppError('provider_bad_answer', {
    detail: `${connector.name} answered without a list of ${stream.name}.`,
  })
}

/**
 * A platform that ignores the paging would feed the same page for ever. Two steps of a `read` are two lists, which
 * may well show the same records.
 */
function repetitionGuard(connector: Connector) {
  const lastPages = new Map<string, { cursor: string; step: unknown; ids: string }>()
  return (stream: Stream, cursor: PageCursor | null, records: unknown[]) => {
    const last = lastPages.get(stream.name)
    const page = {
      cursor: JSON.stringify(cursor),
      step: cursor && 'place' in cursor ? cursor.place.step : undefined,
      ids: JSON.stringify(records.map((record) => stream.id(record))),
    }
    lastPages.set(stream.name, page)
    // The same cursor again is the engine asking again, which is its right.
    if (!last || cursor === null || records.length === 0 || last.cursor === page.cursor) return
    if (last.step === page.step && last.ids === page.ids) {
      throw new AppError('provider_repeated_page', {
        detail: `${connector.name} gave the same page of ${stream.name} twice.`,
      })
    }
  }
}

function statusOf(error: unknown): number | undefined {
  return error instanceof AppError && error.cause instanceof ProviderAnswer
    ? error.cause.status
    : undefined
}
