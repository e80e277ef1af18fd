// What can be said about an outside platform? The vocabulary every connector is written in.
import { z } from 'zod'
import { toFieldErrors } from '../platform/field-errors.ts'
import { AppError, type ErrorCode } from '../platform/errors.ts'
import type { AccountValues, Auth, AuthChoice, CheckCall, Values } from './vocabulary/auth.ts'
import { fillTemplate } from './vocabulary/fill-template.ts'
import { confirmsAbsence, type Pagination } from './vocabulary/paging.ts'
import { readPath } from './vocabulary/read-path.ts'
import type { StreamName, SyncedRecord } from './vocabulary/streams.ts'

/** What a mapping may look at besides the record. */
export type RecordContext<Settings = Values> = { settings: Settings }

/** An error inside an answer whose status says 200. */
export type Failure = {
  code: ErrorCode
  /** What the platform said, without secrets. */
  detail: string
  /** The token may have ended unseen: get a new one and ask once more. */
  renewToken?: boolean
}

type IncrementalTime = {
  /** The time as the platform spells it; RFC 3339 in UTC when not said. */
  format?: (since: Date) => string
  /** Asked again before the saved time, for records that became visible late. */
  overlapSeconds: number
}

/** How to ask only for what changed. */
export type Incremental =
  & IncrementalTime
  & (
    /** Replaces the stream's path; `{since}` is the time. */
    | { path: string; param?: never }
    /** Query parameter that carries the time. */
    | { param: string; path?: never }
  )

/** How the platform signs the webhooks it sends. */
export type WebhookScheme = 'standard-webhooks'

export type StreamDefinition<
  Settings = Values,
  Schema extends z.ZodType = z.ZodType,
  Name extends StreamName = StreamName,
> = {
  /** Below the base address; `{setting}` places are filled. */
  path: string
  query?: Record<string, string>
  /** Where the records are in the answer: a path (`data.items`), or a function. `''` is the whole. */
  records: string | ((body: unknown) => unknown)
  /** Where the answer says how many records there are in all. */
  total?: string
  pagination: Pagination
  incremental?: Incremental
  /** How to ask for certain ids, to confirm that a record is gone before its row ends. */
  lookup?: { param: string; max: number; separator?: string }
  /** Where a raw record keeps its id: known even of a record that is refused. */
  id: string
  /** The fields we use, and nothing else: what the platform adds breaks nothing. */
  record: Schema
  toRecord(record: z.output<Schema>, context: RecordContext<Settings>): SyncedRecord<Name>
}

export type ConnectorDefinition<
  Settings extends z.ZodObject = z.ZodObject,
  Records extends Partial<Record<StreamName, z.ZodType>> = Partial<Record<StreamName, z.ZodType>>,
> = {
  slug: string
  name: string
  /** One sentence for the list of connectors. */
  description: string
  category: string
  /** The platform's own documentation. */
  docs: string
  /** Markdown for the connector's page: what an owner has to do or know. */
  guide?: string
  settings: Settings
  auth: Auth | AuthChoice
  /** `https://api.acme.example/{shop}`, or a function of the settings; a way to authenticate may override it. */
  baseUrl?: string | ((settings: z.output<Settings>) => string)
  rateLimit: { requestsPerSecond: number; burst: number }
  /** What tells this account from every other at the platform; an account connects once. */
  accountId(account: AccountValues<z.output<Settings>>): string
  /** Accounts with the same key share the rate limit; `slug:accountId` when not said. */
  budgetKey?(account: AccountValues<z.output<Settings>>): string
  check?: CheckCall
  failure?(body: unknown): Failure | null
  /** Kept for later: nothing receives webhooks yet. */
  webhooks?: { scheme: WebhookScheme }
  streams: {
    [Name in keyof Records & StreamName]: Records[Name] extends z.ZodType
      ? StreamDefinition<z.output<Settings>, Records[Name], Name>
      : never
  }
}

/** One stream as the engine sees it. */
export type Stream = Omit<StreamDefinition, 'id' | 'records' | 'total'> & {
  name: StreamName
  direction: 'in'
  /** The source id of a raw record; null when it has none that can be stored. */
  id(raw: unknown): string | null
  records(body: unknown): unknown
  total(body: unknown): number | undefined
  /**
   * True: a record missing from a complete scan is gone. False: ask for it with `lookup`; without
   * `lookup`, wait for a second complete scan that misses it too.
   */
  confirmsAbsence: boolean
}

/** A connector as the engine sees it. */
export type Connector = {
  slug: string
  name: string
  description: string
  category: string
  docs: string
  guide: string
  settings: z.ZodObject
  /** Accepts what any of the modes accepts; `readAccount` checks against the right one. */
  credentials: z.ZodType
  /** The setting that chooses the mode; null when there is one mode only, called `default`. */
  modeSetting: string | null
  modes: Record<string, Auth>
  auth(settings: Values): Auth
  baseUrl(settings: Values): string
  check(settings: Values): CheckCall | null
  rateLimit: { requestsPerSecond: number; burst: number }
  accountId(account: AccountValues): string
  budgetKey(account: AccountValues): string
  /**
   * Checks what a connect form sent and fills in defaults.
   *
   * @throws AppError `invalid_settings` or `invalid_credentials`, with the fields at fault.
   */
  readAccount(form: { settings: unknown; credentials: unknown }): AccountValues
  failure(body: unknown): Failure | null
  webhooks: { scheme: WebhookScheme } | null
  streams: Partial<Record<StreamName, Stream>>
}

/** Declares a connector and derives what the engine needs from what was said. */
export function defineConnector<
  Settings extends z.ZodObject,
  Records extends Partial<Record<StreamName, z.ZodType>>,
>(definition: ConnectorDefinition<Settings, Records>): Connector {
  const { auth: declared, baseUrl } = definition
  const choice: AuthChoice | null = 'modes' in declared ? declared : null
  const modes: Record<string, Auth> = 'modes' in declared ? declared.modes : { default: declared }
  const auth = (settings: Values) => {
    const mode = modes[choice ? String(settings[choice.setting]) : 'default']
    if (!mode) {
      throw new TypeError(`${definition.slug}: no way to authenticate for these settings`)
    }
    return mode
  }
  // The settings are typed to the connector; behind readAccount they are what its schema gave.
  const typed = (settings: Values) => settings as z.output<Settings>
  const account = (values: AccountValues) => ({ ...values, settings: typed(values.settings) })
  const schemas = Object.values(modes).map((mode) => mode.credentials)

  const connector: Connector = {
    slug: definition.slug,
    name: definition.name,
    description: definition.description,
    category: definition.category,
    docs: definition.docs,
    guide: definition.guide ?? '',
    settings: definition.settings,
    credentials: schemas.length === 1 ? schemas[0]! : z.union(schemas),
    modeSetting: choice?.setting ?? null,
    modes,
    auth,
    baseUrl(settings) {
      const address = auth(settings).baseUrl ?? baseUrl
      if (address === undefined) {
        throw new TypeError(`${definition.slug} has no base address`)
      }
      return typeof address === 'function'
        ? address(typed(settings))
        : fillTemplate(address, settings)
    },
    check: (settings) => auth(settings).check ?? definition.check ?? null,
    rateLimit: definition.rateLimit,
    accountId: (values) => definition.accountId(account(values)),
    budgetKey: (values) =>
      definition.budgetKey?.(account(values)) ??
        `${definition.slug}:${definition.accountId(account(values))}`,
    readAccount(form) {
      const settings = parse(definition.settings, form.settings, 'settings')
      return {
        settings,
        credentials: parse(auth(settings).credentials, form.credentials, 'credentials'),
      }
    },
    failure: (body) => definition.failure?.(body) ?? null,
    webhooks: definition.webhooks ?? null,
    streams: {},
  }
  for (const name of Object.keys(definition.streams) as (keyof Records & StreamName)[]) {
    connector.streams[name] = stream(name, definition.streams[name] as StreamDefinition)
  }
  return connector
}

/** The stream of that name. @throws AppError `stream_not_found` */
export function findStream(connector: Connector, name: string): Stream {
  const found = Object.hasOwn(connector.streams, name)
    ? connector.streams[name as StreamName]
    : undefined
  if (!found) {
    throw new AppError('stream_not_found', {
      detail: `${connector.name} has no stream "${name}"`,
    })
  }
  return found
}

/** An id stands in an index, whose entries Postgres limits to 2,704 bytes. */
export function isStorableId(id: string): boolean {
  return id.length <= 500
}

function stream(name: StreamName, definition: StreamDefinition): Stream {
  const { id, records, total, ...rest } = definition
  return {
    ...rest,
    name,
    direction: 'in',
    id(raw) {
      const value = readPath(raw, id)
      if (typeof value === 'number' && Number.isSafeInteger(value)) {
        return String(value)
      }
      return typeof value === 'string' && value !== '' && isStorableId(value) ? value : null
    },
    records: typeof records === 'string' ? (body) => readPath(body, records) : records,
    total(body) {
      const value = total === undefined ? undefined : readPath(body, total)
      return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
        ? value
        : undefined
    },
    confirmsAbsence: confirmsAbsence(definition.pagination),
  }
}

function parse(schema: z.ZodObject, values: unknown, part: 'settings' | 'credentials'): Values {
  const parsed = schema.safeParse(values)
  if (parsed.success) return parsed.data
  const errors = toFieldErrors(parsed.error.issues).map(({ path, message }) => ({
    path: path ? `${part}.${path}` : part,
    message,
  }))
  const code = part === 'settings' ? 'invalid_settings' : 'invalid_credentials'
  throw new AppError(code, {
    detail: `These ${part} cannot be used: ${errors.map((error) => error.path).join(', ')}`,
    errors,
  })
}
