// How long lists are read: newest first, a page at a time, continued from the last row of a page.
import { z } from 'zod'
import type { Database } from './database.types.ts'
import { type Filter, select, send } from './data-api.ts'
import { fail, type Result } from './result.ts'
import type { AppSupabaseClient, CallOptions } from './supabase.ts'

const DEFAULT_LIMIT = 50
const MAX_LIMIT = 1_000 // the Data API cuts longer answers off without a word

export type Page<Key extends string = 'id', Time extends string = 'created_at'> = {
  /** How many rows at most, 1 to 1000; 50 when left out. */
  limit?: number | undefined
  /**
   * The last row of the page before; only older rows follow. By position, not by number, so rows
   * that arrive meanwhile neither repeat nor hide others.
   */
  before?: Record<Time | Key, string> | undefined
}

/** Reads one page. `key` is the column that is unique among rows of the same moment. */
export function readPage<
  Table extends keyof Database['public']['Tables'],
  Row extends z.ZodObject,
  Key extends string,
>(
  supabase: AppSupabaseClient,
  table: Table,
  row: Row,
  key: Key,
  filter: Filter<Table>,
  page: Page<Key>,
  options?: CallOptions,
): Promise<Result<z.output<Row>[]>> {
  return readPageBy(supabase, table, row, ['created_at', key], filter, page, options)
}

/** The same in the order of another time than `created_at`. */
export async function readPageBy<
  Table extends keyof Database['public']['Tables'],
  Row extends z.ZodObject,
  Key extends string,
  Time extends string,
>(
  supabase: AppSupabaseClient,
  table: Table,
  row: Row,
  [time, key]: readonly [time: Time, key: Key],
  filter: Filter<Table>,
  { limit = DEFAULT_LIMIT, before }: Page<Key, Time>,
  options?: CallOptions,
): Promise<Result<z.output<Row>[]>> {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) {
    const message = `limit has to be a whole number from 1 to ${MAX_LIMIT}`
    return fail('invalid_request', `${message}.`, { errors: [{ path: 'limit', message }] })
  }
  let query = select(supabase, table, row, filter)
    .order(time, { ascending: false })
    .order(key, { ascending: false })
    .limit(limit)
  if (before) {
    const at = quote(before[time])
    query = query.or(`${time}.lt.${at},and(${time}.eq.${at},${key}.lt.${quote(before[key])})`)
  }
  return await send(query, z.array(row), options)
}

// Inside `or`, commas, dots and colons separate unless quoted.
function quote(value: string): string {
  return `"${value.replace(/["\\]/g, '\\$&')}"`
}
