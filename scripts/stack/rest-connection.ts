// How does lite reach Postgres as strictly as PostgREST does on hosted?
import type { Connection } from '@supabase/lite'
import { PostgresConnection } from '@supabase/lite/postgres'
import { toPostgrestError } from './postgrest-errors.ts'

type Schema = Awaited<ReturnType<PostgresConnection['introspect']>>
type ContextOptions = NonNullable<Parameters<Connection['withContext']>[2]>
type WithContext = Connection['withContext']
type Query = Parameters<Connection['onPostgrestAST']>[0]

// Seconds a statement may run, as hosted sets them per role; others keep `authenticator`'s 8 s.
const statementTimeouts: Record<string, string> = { anon: '3s' }

/** Lite's connection, with its conveniences taken out and hosted's limits put in. */
export class StrictConnection extends PostgresConnection {
  #catalog: PostgresConnection
  #schema: Promise<Schema> | null = null
  #functionTimeouts = new Map<string, string>()

  /** @param catalog A superuser's connection: the catalog views hide from `authenticator` what it may not use. */
  constructor(url: string, catalog: PostgresConnection) {
    super({
      url,
      postgresOptions: {
        onnotice: () => {},
        // RPC arguments arrive here as JSON text already; encoding them again would make strings of them.
        types: { json: leavesTextAlone(114), jsonb: leavesTextAlone(3802) },
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

  // A text given for a json argument is a JSON string to PostgREST. Lite would take it for JSON's source.
  async #encodeJsonText(query: Query): Promise<Query> {
    const { args } = query
    if (query.type !== 'rpc' || query.httpMethod === 'GET' || !args || Array.isArray(args)) {
      return query
    }
    const schema = await this.introspect()
    const candidates = (schema.functions ?? []).filter((candidate) =>
      candidate.name === query.function && candidate.schema === (query.schema ?? 'public')
    )
    const isJson = (name: string) =>
      candidates.some((candidate) =>
        /^jsonb?$/.test(candidate.arg_types[candidate.arg_names.indexOf(name)] ?? '')
      )
    const encoded = Object.entries(args).map(([name, value]) =>
      [name, typeof value === 'string' && isJson(name) ? JSON.stringify(value) : value] as const
    )
    return { ...query, args: Object.fromEntries(encoded) }
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

function roleOf(vars: unknown): string | undefined {
  if (typeof vars !== 'object' || !vars || !('auth' in vars)) return undefined
  const { auth } = vars
  if (typeof auth !== 'object' || !auth || !('role' in auth)) return undefined
  return typeof auth.role === 'string' ? auth.role : undefined
}
