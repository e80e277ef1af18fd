// How does lite reach Postgres as strictly as PostgREST does on hosted?
import type { Connection } from '@supabase/lite'
import { toPostgrestError } from './postgrest-errors.ts'
import { LosableConnection } from './rest-own-connections.ts'

type Schema = Awaited<ReturnType<LosableConnection['introspect']>>
type ContextOptions = NonNullable<Parameters<Connection['withContext']>[2]>
type WithContext = Connection['withContext']
type Query = Parameters<Connection['onPostgrestAST']>[0]

// Seconds a statement may run, as hosted sets them per role; others keep `authenticator`'s 8 s.
const statementTimeouts: Record<string, string> = { anon: '3s' }

/** Lite's connection, with its conveniences taken out and hosted's limits put in. */
export class StrictConnection extends LosableConnection {
  #catalog: LosableConnection
  #schema: Promise<Schema> | null = null
  #functionTimeouts = new Map<string, string>()

  /** @param catalog A superuser's connection: the catalog views hide from `authenticator` what it may not use. */
  constructor(url: string, catalog: LosableConnection) {
    super(url, {
      // RPC arguments arrive here as JSON text already; encoding them again would make strings of them.
      types: {
        json: leavesTextAlone(114),
        jsonb: leavesTextAlone(3802),
        timestamp: writtenAsJson(1114),
        timestamptz: writtenAsJson(1184),
      },
    })
    this.#catalog = catalog
    // Lite's own version of this method grants everything in `public` to every API role at the first request.
    Object.defineProperty(this, 'ensureRlsContext', { value: () => Promise.resolve(true) })
  }

  /** Reads the catalog again. Requests meanwhile are answered by the old schema. */
  async reload(): Promise<void> {
    const [schema, timeouts] = await Promise.all([
      this.#catalog.introspect(),
      this.#readFunctionTimeouts(),
    ])
    this.#schema = Promise.resolve(schema)
    this.#functionTimeouts = timeouts
  }

  override introspect(): Promise<Schema> {
    return this.#schema ??= this.#catalog.introspect()
  }

  override withContext: WithContext = (vars, work, options) => {
    const timeout = this.#statementTimeout(vars, options)
    if (!timeout) return super.withContext(vars, work, options)
    return super.withContext(vars, async (db) => {
      await db
        .selectNoFrom((is) =>
          is.fn('set_config', [is.val('statement_timeout'), is.val(timeout), is.lit(true)]).as(
            'set',
          )
        )
        .execute()
      return await work(db)
    }, options)
  }

  override async onPostgrestAST(query: Query): Promise<Query> {
    refuseWithoutWhere(query)
    return await super.onPostgrestAST(await this.#encodeJsonText(query))
  }

  // A text given for something of type json is a JSON string to PostgREST. Lite would take it for
  // JSON's source (as it stands in an argument, after parsing it once in a row), and a boolean for SQL's.
  async #encodeJsonText(query: Query): Promise<Query> {
    const { args, values } = query
    if (query.type === 'rpc' && query.httpMethod !== 'GET' && args && !Array.isArray(args)) {
      const names = jsonArguments(await this.introspect(), query)
      return { ...query, args: encode(args, names, JSON.stringify) }
    }
    if (query.type !== 'rpc' && values) {
      const names = jsonColumns(await this.introspect(), query)
      const encodeRow = (row: object) =>
        encode(row, names, (scalar) => JSON.stringify(JSON.stringify(scalar)))
      return { ...query, values: Array.isArray(values) ? values.map(encodeRow) : encodeRow(values) }
    }
    return query
  }

  override normalizeDbError(error: unknown): unknown {
    const answer = toPostgrestError(error)
    // Lite prints each error right after this call. To the caller it is an answer, not an incident.
    const print = console.error
    console.error = (...values: unknown[]) => {
      console.error = print
      if (values[0] !== answer) print(...values)
    }
    return answer
  }

  // PostgREST applies a function's own `set statement_timeout` before the call: Postgres by itself
  // starts the clock with the statement and ignores the setting.
  #statementTimeout(vars: unknown, options?: ContextOptions): string | undefined {
    const called = options?.rpc?.path.match(/\/rpc\/([^/?]+)/)?.[1]
    const own = called && this.#functionTimeouts.get(decodeURIComponent(called))
    return own || statementTimeouts[roleOf(vars) ?? 'anon']
  }

  async #readFunctionTimeouts(): Promise<Map<string, string>> {
    const rows = await this.#catalog.driver<{ name: string; timeout: string }[]>`
      select function.proname as name, split_part(setting, '=', 2) as timeout
      from pg_catalog.pg_proc as function
      cross join unnest(function.proconfig) as setting
      where function.pronamespace = 'public'::regnamespace and setting like 'statement_timeout=%'`
    return new Map(rows.map((row) => [row.name, row.timeout]))
  }
}

function jsonArguments(schema: Schema, query: Query): Set<string> {
  const candidates = (schema.functions ?? []).filter((candidate) =>
    candidate.name === query.function && candidate.schema === (query.schema ?? 'public')
  )
  return new Set(
    candidates.flatMap(({ arg_names: names, arg_types: types }) =>
      names.filter((_name, index) => isJson(types[index]))
    ),
  )
}

function jsonColumns(schema: Schema, query: Query): Set<string> {
  const columns = schema.columns.filter((column) =>
    column.table === query.from && column.schema === (query.schema ?? 'public') &&
    isJson(column.pg_type ?? column.type)
  )
  return new Set(columns.map((column) => column.name))
}

function isJson(type: string | undefined): boolean {
  return type === 'json' || type === 'jsonb'
}

function encode(
  values: object,
  names: Set<string>,
  encodeScalar: (scalar: unknown) => string,
): object {
  if (names.size === 0) return values
  return Object.fromEntries(
    Object.entries(values).map((
      [name, value],
    ) => [
      name,
      names.has(name) && /string|boolean/.test(typeof value) ? encodeScalar(value) : value,
    ]),
  )
}

// Hosted preloads `safeupdate` for the Data API: a forgotten filter does not empty a table.
function refuseWithoutWhere(query: Query): void {
  if (query.type !== 'update' && query.type !== 'delete') return
  if (query.where && Object.keys(query.where).length > 0) return
  throw Object.assign(new Error(`${query.type.toUpperCase()} requires a WHERE clause`), {
    code: '21000',
  })
}

function leavesTextAlone(oid: number) {
  return {
    to: oid,
    from: [oid],
    serialize: (value: unknown) => typeof value === 'string' ? value : JSON.stringify(value),
    parse: (text: string): unknown => JSON.parse(text),
  }
}

// PostgREST lets Postgres make the JSON, which writes times as ISO 8601: 2026-11-20T10:21:53.37+00:00.
function writtenAsJson(oid: number) {
  return {
    to: oid,
    from: [oid],
    serialize: (value: unknown) => value,
    parse: (text: string) => text.replace(' ', 'T').replace(/([+-]\d\d)$/, '$1:00'),
  }
}

function roleOf(vars: unknown): string | undefined {
  if (typeof vars !== 'object' || !vars || !('auth' in vars)) return undefined
  const { auth } = vars
  if (typeof auth !== 'object' || !auth || !('role' in auth)) return undefined
  return typeof auth.role === 'string' ? auth.role : undefined
}
