// How rows are read and database functions called: through the Data API, under row level security.
import { z } from 'zod'
import type { ErrorCode } from '../supabase/functions/_shared/platform/errors.ts'
import { codeOfStatus } from './code-of-status.ts'
import type { Database } from './database.types.ts'
import { parseAnswer } from './parse-answer.ts'
import { fail, PlugboardError, type PlugboardErrorCode, type Result } from './result.ts'
import type { AppSupabaseClient, CallOptions } from './supabase.ts'

type Tables = Database['public']['Tables']
type Procedures = Database['public']['Functions']

/** Columns that have to equal a value, or one of several; null asks for none; undefined is left out. */
export type Filter<Table extends keyof Tables> = {
  [Column in keyof Tables[Table]['Row']]?: string | boolean | null | string[]
}

/** Starts reading what `row` describes. Always from `public`, whatever schema the app's client has. */
export function select<Table extends keyof Tables>(
  supabase: AppSupabaseClient,
  table: Table,
  row: z.ZodObject,
  filter: Filter<Table>,
) {
  const columns = Object.keys(row.shape).join(',')
  let query = supabase.schema('public').from(table).select(columns)
  for (
    const [column, value] of Object.entries<string | boolean | null | string[] | undefined>(filter)
  ) {
    if (value === undefined) continue
    if (Array.isArray(value)) query = query.in(column, value)
    else if (value === null) query = query.is(column, null)
    else query = query.eq(column, value)
  }
  return query
}

/** The one row that fits, or `notFound` when there is none or none that the caller may see. */
export async function readRow<Table extends keyof Tables, Row extends z.ZodObject>(
  supabase: AppSupabaseClient,
  table: Table,
  row: Row,
  filter: Filter<Table>,
  notFound: { code: ErrorCode; message: string },
  options?: CallOptions,
): Promise<Result<z.output<Row>>> {
  const answer = await send(select(supabase, table, row, filter).limit(1), z.array(row), options)
  if (answer.error) return answer
  const [found] = answer.data
  return found ? { data: found, error: null } : fail(notFound.code, notFound.message)
}

/** Calls one of the database's functions. */
export function callProcedure<Name extends keyof Procedures, Answer extends z.ZodType>(
  supabase: AppSupabaseClient,
  name: Name,
  args: Procedures[Name]['Args'],
  answer: Answer,
  options?: CallOptions,
): Promise<Result<z.output<Answer>>> {
  return send(supabase.schema('public').rpc(name, args), answer, options)
}

type Query = PromiseLike<{ data: unknown; error: DataApiError | null; status: number }> & {
  abortSignal(signal: AbortSignal): Query
}

type DataApiError = { code?: string; message: string; details?: string | null }

/** Sends a query and checks what comes back. */
export async function send<Schema extends z.ZodType>(
  query: Query,
  schema: Schema,
  { signal }: CallOptions = {},
): Promise<Result<z.output<Schema>>> {
  const { data, error, status } = await (signal ? query.abortSignal(signal) : query)
  if (!error) return parseAnswer(schema, data, status)
  if (signal?.aborted) return fail('aborted', 'The call was ended by its signal.', { cause: error })
  return { data: null, error: readError(error, status) }
}

/** What Postgres reports, by SQLSTATE or the beginning of it; the first that fits counts. */
const CODES_BY_SQLSTATE: [start: string, code: PlugboardErrorCode][] = [
  ['22', 'invalid_request'], // not a UUID, not a number
  ['23', 'invalid_request'], // against a rule of the table; its name is in the message
  ['08', 'unavailable'],
  ['40', 'unavailable'], // lost against another transaction
  ['53', 'unavailable'],
  ['57', 'unavailable'], // took too long, or the server is shutting down
]

function readError(error: DataApiError, status: number): PlugboardError {
  const { code: sqlstate = '', message, details } = error
  const options = { status: status || undefined, cause: error }
  if (status === 0) return new PlugboardError('network_error', `No answer: ${message}.`, options)
  // private.refuse puts one of Plugboard's own codes into the message; PostgREST sends it with 400.
  if (sqlstate === 'PB001') {
    return new PlugboardError(
      message as ErrorCode,
      details || message.replaceAll('_', ' '),
      options,
    )
  }
  // Without a code it came from something before the Data API, perhaps as a whole HTML page.
  if (!sqlstate) {
    const said = `Something before the Data API answered with status ${status}.`
    return new PlugboardError(codeOfStatus(status), said, options)
  }
  if (sqlstate === '42501') {
    const said = `Only signed-in users may do this (${message}).`
    return new PlugboardError('unauthorized', said, options)
  }
  const known = CODES_BY_SQLSTATE.find(([start]) => sqlstate.startsWith(start))
  return new PlugboardError(known?.[1] ?? codeOfStatus(status), message, options)
}
