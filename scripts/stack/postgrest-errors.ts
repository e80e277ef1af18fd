// Which HTTP answer does a database error become? PostgREST's table, of which lite knows a part.

// https://docs.postgrest.org/en/stable/references/errors.html, "Status codes"; the longest prefix wins.
const statuses: Record<string, number> = {
  '08': 503,
  '09': 500,
  '0L': 403,
  '0P': 403,
  '23503': 409,
  '23505': 409,
  '25006': 405,
  '25': 500,
  '28': 403,
  '2D': 500,
  '38': 500,
  '39': 500,
  '3B': 500,
  '40': 500,
  '53': 503,
  '53400': 500,
  '54': 500,
  '55': 500,
  '57': 500,
  '57P01': 503,
  '58': 500,
  '42883': 404,
  '42P01': 404,
  '42P17': 500,
  'F0': 500,
  'HV': 500,
  'P0001': 400,
  'P0': 500,
  'XX': 500,
}

// Lite answers these itself as PostgREST does, and its Storage looks at their codes.
const answeredByLite = /^(42501|23505|23503|PT\d{3}|PGRST.*)$/

/**
 * Rewrites a Postgres error into the form that lite answers with a chosen status (PostgREST's own
 * `raise sqlstate 'PGRST'`). Everything else is answered as it came.
 */
export function toPostgrestError(error: unknown): unknown {
  if (isConnectionError(error)) {
    return answerOf(503, {
      code: 'PGRST001',
      message: 'Database client error. Retrying the connection.',
      details: error.message,
      hint: null,
    })
  }
  if (!isPostgresError(error)) return error
  const { code, message, detail, hint } = error
  if (answeredByLite.test(code)) return error
  return answerOf(statusOf(code), { code, message, details: detail ?? null, hint: hint ?? null })
}

function answerOf(status: number, body: Record<string, string | null>): Error {
  return Object.assign(new Error(JSON.stringify(body)), {
    code: 'PGRST',
    detail: JSON.stringify({ status, headers: {} }),
  })
}

function statusOf(code: string): number {
  return statuses[code] ?? statuses[code.slice(0, 2)] ?? 400
}

/** The driver could not reach Postgres (57P03: which takes nobody yet, or no longer), or lost it on the way. */
export function isConnectionError(error: unknown): error is Error {
  return error instanceof Error && 'code' in error &&
    ('syscall' in error || /^(CONNECTION_|CONNECT_TIMEOUT|57P03)/.test(String(error.code)))
}

type PostgresError = Error & { code: string; detail?: string; hint?: string }

function isPostgresError(error: unknown): error is PostgresError {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' &&
    /^[0-9A-Z]{5}$/.test(error.code)
}
