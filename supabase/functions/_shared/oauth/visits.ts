// The two steps of a sign-in that a browser makes at our own address: on its way there, and on its way back.
import type { Visit, VisitAnswer } from '../http/serve-visit.ts'
import { requireConnector } from '../integrations/open-integration.ts'
import { AppError, type ErrorCode, ERRORS } from '../platform/errors.ts'
import type { Outside } from '../platform/outside.ts'
import { authorizationRequest } from './begin-sign-in.ts'
import { finishSignIn } from './finish-sign-in.ts'
import { withOutcome } from './return-url.ts'
import { hashOf, randomSecret } from './secrets.ts'
import { signInClient } from './sign-in-client.ts'

/** Holds what tells this browser from every other while it signs in somewhere. */
const COOKIE = 'plugboard-sign-in'
const COOKIE_VALUE = /^[\w-]{43}$/

type Opened = {
  outcome: 'ready' | 'unknown' | 'expired' | 'used' | 'other_browser'
  connector: string
  settings: Record<string, unknown>
  return_url: string
  redirect_uri: string
  code_challenge: string | null
}

const REFUSALS = {
  unknown: 'oauth_state_unknown',
  expired: 'oauth_state_expired',
  used: 'oauth_state_used',
  other_browser: 'oauth_other_browser',
} as const satisfies Record<Exclude<Opened['outcome'], 'ready'>, ErrorCode>

/** Leaves a cookie and sends the browser to the platform. */
export async function openSignIn(
  outside: Outside,
  { query, cookie }: Visit,
): Promise<VisitAnswer> {
  const state = query.get('state') ?? ''
  const browser = knownBrowser(cookie) ?? randomSecret()
  const opened = await outside.db.call<Opened>('open_oauth', {
    p_state_hash: hashOf(state),
    p_browser_hash: hashOf(browser),
  })
  if (opened.outcome !== 'ready') {
    return refused(new AppError(REFUSALS[opened.outcome]), opened.return_url ?? null)
  }
  try {
    const connector = requireConnector(opened.connector)
    const account = connector.readAccount({ settings: opened.settings, credentials: {} })
    const client = signInClient(outside, connector, account)
    return {
      redirect: authorizationRequest(client, { ...opened, state }),
      cookie: cookieOf(browser, outside),
    }
  } catch (error) {
    if (error instanceof AppError) return refused(error, opened.return_url)
    throw error
  }
}

/** Ends the sign-in and sends the browser back to the app's page, with what came of it. */
export async function closeSignIn(
  outside: Outside,
  { query, cookie, log }: Visit,
): Promise<VisitAnswer> {
  const browser = knownBrowser(cookie)
  // a browser without our cookie is another one than any that went out
  const finished = await finishSignIn(outside, query, { browser: browser ?? '' })
  if (finished.error) {
    log.info('a sign-in was refused', { reason: finished.error.code, error: finished.error })
    return refused(finished.error, finished.return_url)
  }
  return {
    redirect: withOutcome(finished.return_url!, { integration_id: finished.integration.id }),
  }
}

function refused(error: AppError, return_url: string | null): VisitAnswer {
  if (return_url === null) return { status: error.status, text: `${ERRORS[error.code].title}.` }
  return {
    redirect: withOutcome(return_url, { error: error.code, error_description: error.detail }),
  }
}

function knownBrowser(cookie: Visit['cookie']): string | null {
  const value = cookie(COOKIE)
  return value !== null && COOKIE_VALUE.test(value) ? value : null
}

/** Lax: it comes along when the platform sends the browser back, and with nothing that a foreign page loads. */
function cookieOf(browser: string, { environment }: Outside): string {
  const isSecure = environment.SUPABASE_URL.startsWith('https:')
  return `${COOKIE}=${browser}; Path=/functions/v1/oauth-callback; Max-Age=900; HttpOnly; SameSite=Lax` +
    (isSecure ? '; Secure' : '')
}
