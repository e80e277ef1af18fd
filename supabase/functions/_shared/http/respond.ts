// How every answer looks: JSON, the request's id, CORS on good and bad ones alike.
import { corsHeaders } from '@supabase/supabase-js/cors'
import { AppError, toProblem } from '../platform/errors.ts'

const SHARED_HEADERS = {
  ...corsHeaders,
  // without this a browser's script cannot read them
  'access-control-expose-headers': 'x-request-id, retry-after',
  'cache-control': 'no-store',
}

/** Answers a browser's question whether it may call. */
export function respondToPreflight(requestId: string): Response {
  return new Response(null, {
    status: 204,
    headers: { ...SHARED_HEADERS, 'access-control-max-age': '86400', 'x-request-id': requestId },
  })
}

export function respond(status: number, body: unknown, requestId: string): Response {
  return Response.json(body, { status, headers: { ...SHARED_HEADERS, 'x-request-id': requestId } })
}

/** The RFC 9457 answer for anything thrown. `headers` adds what one status needs, such as `Allow`. */
export function respondWithProblem(
  error: unknown,
  requestId: string,
  headers: Record<string, string> = {},
): Response {
  const { status, body } = toProblem(error, requestId)
  const response = new Response(JSON.stringify(body), {
    status,
    headers: {
      ...SHARED_HEADERS,
      ...headers,
      'content-type': 'application/problem+json',
      'x-request-id': requestId,
    },
  })
  if (status === 401) response.headers.set('www-authenticate', 'Bearer') // RFC 9110, 15.5.2
  if (error instanceof AppError && error.retryAfterMs !== undefined) {
    response.headers.set('retry-after', String(Math.ceil(error.retryAfterMs / 1_000)))
  }
  return response
}
