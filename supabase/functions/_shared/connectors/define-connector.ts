// What can be said about an outside platform? The vocabulary every connector is written in.
import { z } from 'zod'
import { toFieldErrors } from '../platform/field-errors.ts'
import { AppError, type ErrorCode } from '../platform/errors.ts'
import type { Action, ActionDefinition } from './vocabulary/actions.ts'
import type {
  AccountFacts,
  AccountValues,
  Auth,
  AuthChoice,
  CheckCall,
  Values,
} from './vocabulary/auth.ts'
import { fillTemplate } from './vocabulary/fill-template.ts'
import type { Limits, RateLimit } from './vocabulary/rate-limit.ts'
import {
  compileStream,
  type ListedStream,
  type PushOnlyStream,
  type ReadStream,
  type Stream,
  type StreamDefinition,
} from './vocabulary/stream-definition.ts'
import { pushColumns } from './vocabulary/push.ts'
import type { StreamName } from './vocabulary/streams.ts'
import type { Webhooks } from './vocabulary/webhooks.ts'

export type { Limits, RateLimit } from './vocabulary/rate-limit.ts'
export type { Stream } from './vocabulary/stream-definition.ts'

/** An answer as `failure` and `pause` see it. */
export type JudgedAnswer = {
  status: number
  headers: Headers
  /** Parsed JSON; undefined when it is not JSON. */
  body: unknown
  now: Date
}

/** What an answer means, where its status does not say it. */
export type Failure = {
  code: ErrorCode
  /** What the platform said, without secrets. */
  detail: string
  /** The token may have ended unseen: get a new one and ask once more. */
  renewToken?: boolean
  /** When to come back, in milliseconds, for `provider_rate_limited`. */
  retryAfterMs?: number
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
  /** `https://api.acme.example/{shop}`, or a function of the account; a way to authenticate may override it. */
  baseUrl?: string | ((account: AccountValues<z.output<Settings>>) => string)
  /** A function where it depends on the account's settings. */
  rateLimit: RateLimit | ((settings: z.output<Settings>) => RateLimit)
  /** Further limits that some calls count against, by name; kept for the account and, where they say so, the app. */
  limits?: Limits | ((settings: z.output<Settings>) => Limits)
  /** What tells this account from every other at the platform; an account connects once. */
  accountId(account: AccountValues<z.output<Settings>>): string
  /** Accounts with the same key share the rate limit; `slug:accountId` when not said. */
  budgetKey?(account: AccountValues<z.output<Settings>>): string
  check?: CheckCall
  /** What an answer means where its status does not say it: errors inside a 200, throttling as 403. */
  failure?(answer: JudgedAnswer): Failure | null
  /** How long to pause after this good answer, in milliseconds: its headers say that the budget is used up. */
  pause?(answer: JudgedAnswer): number | null
  /** What the platform tells us by itself. */
  webhooks?: Webhooks
  actions?: Record<string, ActionDefinition>
  /** Empty where nothing is synced. */
  streams: {
    [Name in keyof Records & StreamName]?: Records[Name] extends z.ZodType ?
        | ListedStream<z.output<Settings>, Records[Name], Name>
        | ReadStream<z.output<Settings>, Records[Name], Name>
      : PushOnlyStream<z.output<Settings>, Name>
  }
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
  baseUrl(account: AccountValues): string
  check(settings: Values): CheckCall | null
  /** With the settings' defaults. */
  rateLimit: RateLimit
  /** With the settings' defaults. */
  limits: Limits
  /** How fast an account with these settings may be called. */
  paceOf(settings: Values): { rateLimit: RateLimit; limits: Limits }
  accountId(account: AccountValues): string
  budgetKey(account: AccountValues): string
  /**
   * Checks what a connect form sent and fills in defaults.
   *
   * @throws AppError `invalid_settings` or `invalid_credentials`, with the fields at fault.
   */
  readAccount(
    form: { settings: unknown; credentials: unknown; account?: AccountFacts },
  ): AccountValues
  failure(answer: JudgedAnswer): Failure | null
  pause(answer: JudgedAnswer): number | null
  webhooks: Webhooks | null
  actions: Record<string, Action>
  streams: Partial<Record<StreamName, Stream>>
  /** Names of the streams an account with these settings has. */
  streamsOf(settings: Values): StreamName[]
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
  const typed = (values: AccountValues) => values as AccountValues<z.output<Settings>>
  const schemas = Object.values(modes).map((mode) => mode.credentials)

  const paceOf = (settings: Values) => ({
    rateLimit: bySettings(definition.rateLimit, settings),
    limits: bySettings(definition.limits ?? {}, settings),
  })

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
    baseUrl(values) {
      const address = auth(values.settings).baseUrl ?? baseUrl
      if (address === undefined) {
        throw new TypeError(`${definition.slug} has no base address`)
      }
      return typeof address === 'function'
        ? address(typed(values))
        : fillTemplate(address, placesOf(values))
    },
    check: (settings) => auth(settings).check ?? definition.check ?? null,
    ...paceOf(defaultsOf(definition.settings)),
    paceOf,
    accountId: (values) => definition.accountId(typed(values)),
    budgetKey: (values) =>
      definition.budgetKey?.(typed(values)) ??
        `${definition.slug}:${definition.accountId(typed(values))}`,
    readAccount({ account = {}, ...form }) {
      const settings = parse(definition.settings, form.settings, 'settings')
      return {
        settings,
        credentials: parse(auth(settings).credentials, form.credentials, 'credentials'),
        account,
      }
    },
    failure: (answer) => definition.failure?.(answer) ?? null,
    pause: (answer) => definition.pause?.(answer) ?? null,
    webhooks: definition.webhooks ?? null,
    actions: Object.fromEntries(
      Object.entries(definition.actions ?? {}).map(([name, action]) => [name, { ...action, name }]),
    ),
    streams: {},
    streamsOf: (settings) =>
      Object.values(connector.streams).flatMap((stream) =>
        stream.when(settings) ? [stream.name] : []
      ),
  }
  for (const name of Object.keys(definition.streams) as (keyof Records & StreamName)[]) {
    connector.streams[name] = compileStream(
      name,
      definition.streams[name] as unknown as StreamDefinition,
    )
  }
  return connector
}

/** What the settings are when nobody says otherwise. */
function defaultsOf(settings: z.ZodObject): Values {
  return Object.fromEntries(
    Object.entries(settings.shape).map(([name, field]) => [
      name,
      (field as z.ZodType).safeParse(undefined).data,
    ]),
  )
}

function bySettings<Value, Settings>(
  said: Value | ((settings: Settings) => Value),
  settings: Values,
): Value {
  return typeof said === 'function'
    ? (said as (settings: Settings) => Value)(settings as Settings)
    : said
}

/** What fills the `{places}` of an account's addresses: its settings, and what the platform said of it. */
export function placesOf({ settings, account }: AccountValues): Values {
  return { ...settings, ...account }
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

/**
 * The push columns of each stream an account with these settings can be pushed to, for `ensure_streams`. A stream
 * that is not named is not pushed.
 */
export function pushColumnsOf(
  connector: Connector,
  settings: Values,
): Partial<Record<StreamName, string[]>> {
  return Object.fromEntries(
    connector.streamsOf(settings).flatMap((name) => {
      const push = connector.streams[name]?.push
      const columns = push ? pushColumns(push, settings) : []
      return columns.length === 0 ? [] : [[name, columns]]
    }),
  )
}

/** The action of that name. @throws AppError `action_not_found` */
export function findAction(connector: Connector, name: string): Action {
  const found = Object.hasOwn(connector.actions, name) ? connector.actions[name] : undefined
  if (!found) {
    throw new AppError('action_not_found', {
      detail: `${connector.name} has no action "${name}"`,
    })
  }
  return found
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
