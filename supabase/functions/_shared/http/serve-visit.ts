// A browser comes by: no contract and no token, and the answer is another page to go to, or a sentence.
import { createAdminClient } from '@supabase/server/core'
import type { SupabaseClient } from '@supabase/supabase-js'
import type { SupabaseEnv } from '@supabase/server'
import { type Environment, readEnvironment } from '../platform/environment.ts'
import { AppError } from '../platform/errors.ts'
import { createLog, type Log } from '../platform/log.ts'
import { DatabaseError } from '../platform/database.ts'
import { discardBody } from './body.ts'
import type { Handler } from './serve.ts'

export type Visit = {
  query: URLSearchParams
  /** The value of a cookie; null without it. */
  cookie(name: string): string | null
  /** Bypasses row level security: a visitor is nobody until what they bring has been judged. */
  admin: SupabaseClient
  environment: Environment
  log: Log
}

export type VisitAnswer =
  | { redirect: string; cookie?: string }
  /** Plain text: an Edge Function cannot serve a web page on the platform's own domain. */
  | { status: number; text: string }

export type VisitOptions = {
  environment?: Record<string, string | undefined>
  supabase?: Partial<SupabaseEnv>
  log?: Log
}

/** Nothing of a visit may be cached, and the next page does not learn where the browser came from. */
const HEADERS = { 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' }

export function serveVisit(
  path: string,
  work: (visit: Visit) => Promise<VisitAnswer>,
  options: VisitOptions = {},
): Handler {
  const baseLog = options.log ?? createLog()
  return async (request) => {
    const requestId = crypto.randomUUID()
    const log = baseLog.with({ request_id: requestId, endpoint: path })
    const headers = new Headers({ ...HEADERS, 'x-request-id': requestId })
    await discardBody(request.body)
    const visit = async () =>
      await work({
        query: new URL(request.url).searchParams,
        cookie: (name) => readCookie(request.headers.get('cookie'), name),
        admin: createAdminClient({ env: options.supabase }),
        environment: readEnvironment(options.environment),
        log,
      })
    const answer = await visit().catch((error: unknown): VisitAnswer => {
      const isAway = error instanceof DatabaseError && error.isTransient
      if (!(error instanceof AppError) && !isAway) {
        log.error('a visit ended in an internal error', { error })
      }
      return isAway
        ? { status: 503, text: 'This is not available right now. Try again in a moment.' }
        : error instanceof AppError
        ? { status: error.status, text: error.detail }
        : { status: 500, text: `Something went wrong on our side (${requestId}).` }
    })
    if ('text' in answer) {
      headers.set('content-type', 'text/plain;charset=utf-8')
      return new Response(`${answer.text}\n`, { status: answer.status, headers })
    }
    headers.set('location', answer.redirect)
    if (answer.cookie !== undefined) headers.set('set-cookie', answer.cookie)
    return new Response(null, { status: 302, headers })
  }
}

function readCookie(header: string | null, name: string): string | null {
  for (const pair of (header ?? '').split(';')) {
    const [key, ...value] = pair.trim().split('=')
    if (key === name) return value.join('=')
  }
  return null
}
