// An account at a simulated platform: signed in through the real redirects, opened as the engine opens it.
import { browser } from '../../scripts/simulators/parts/oauth/browser.ts'
import { type Account, openAccount } from '../../supabase/functions/_shared/connectors/account.ts'
import { addresses } from '../../supabase/functions/_shared/connectors/addresses.ts'
import {
  type Connector,
  findAction,
  type RateLimit,
} from '../../supabase/functions/_shared/connectors/define-connector.ts'
import {
  type ActionOutcome,
  readInput,
  runAction,
} from '../../supabase/functions/_shared/connectors/run-action.ts'
import {
  fixedGrant,
  memoryTokenCache,
  type OAuthGrant,
} from '../../supabase/functions/_shared/connectors/token-cache.ts'
import type {
  AccountFacts,
  OAuth2,
} from '../../supabase/functions/_shared/connectors/vocabulary/auth.ts'
import type { RequestBudget } from '../../supabase/functions/_shared/http/budget.ts'
import { createHttpClient } from '../../supabase/functions/_shared/http/client.ts'
import type { Clock } from '../../supabase/functions/_shared/platform/clock.ts'
import { createLog } from '../../supabase/functions/_shared/platform/log.ts'

type Simulator = { baseUrl: string; client: { client_id: string; client_secret: string } }

const REDIRECT_URI = 'https://app.example/oauth-callback'
/** RFC 7636, appendix B. */
const VERIFIER = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'
const CHALLENGE = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'

/**
 * Goes the way of a person who signs in, in the words the connector declares.
 *
 * @returns The token answer as the platform sent it, and what the connector reads in it.
 */
export async function signIn(
  connector: Connector,
  simulator: Simulator,
  options: { settings?: Record<string, unknown>; person?: string } = {},
) {
  const values = connector.readAccount({ settings: options.settings ?? {}, credentials: {} })
  const auth = connector.auth(values.settings) as OAuth2
  const address = addresses(connector, values, { [connector.slug]: simulator })
  const url = new URL(address.of(auth.authorization_endpoint))
  const asked = {
    response_type: 'code',
    client_id: simulator.client.client_id,
    redirect_uri: REDIRECT_URI,
    state: 'state-of-this-test',
    ...(auth.scope ? { scope: auth.scope } : {}),
    ...(auth.pkce === false ? {} : { code_challenge: CHALLENGE, code_challenge_method: 'S256' }),
    ...auth.parameters,
  }
  for (const [name, value] of Object.entries(asked)) url.searchParams.set(name, value)
  const landed = await browser().authorize(url.href, {
    stopAt: REDIRECT_URI,
    ...(options.person ? { account: options.person } : {}),
  })
  const code = new URL(landed.url).searchParams.get('code')
  if (!code) throw new Error(`no code: ${landed.url} ${landed.body}`)

  const answer = await askForToken(connector, simulator, options.settings ?? {}, {
    grant_type: 'authorization_code',
    code,
    redirect_uri: REDIRECT_URI,
    ...(auth.pkce === false ? {} : { code_verifier: VERIFIER }),
  })
  return answer
}

/** One call of the token endpoint, with the client authenticated as the connector says. */
export async function askForToken(
  connector: Connector,
  simulator: Simulator,
  settings: Record<string, unknown>,
  form: Record<string, string>,
) {
  const values = connector.readAccount({ settings, credentials: {} })
  const auth = connector.auth(values.settings) as OAuth2
  const address = addresses(connector, values, { [connector.slug]: simulator })
  const { client_id, client_secret } = simulator.client
  const isPost = auth.token_endpoint_auth_method === 'client_secret_post'
  const response = await fetch(address.of(auth.token_endpoint), {
    method: 'POST',
    headers: isPost
      ? {}
      : { authorization: `Basic ${btoa(`${client_id}:${encodeURIComponent(client_secret)}`)}` },
    body: new URLSearchParams({ ...form, ...(isPost ? { client_id, client_secret } : {}) }),
  })
  const answer = await response.json() as Record<string, unknown>
  const read = (auth.readTokenAnswer?.(answer) ?? answer) as Record<string, unknown>
  const facts: AccountFacts = response.ok ? auth.account?.(answer) ?? {} : {}
  return { status: response.status, answer, read, facts, token: String(read['access_token']) }
}

export type SimulatedAccount = {
  connector: Connector
  simulator: { baseUrl: string }
  clock: Clock
  settings?: Record<string, unknown>
  credentials?: Record<string, unknown>
  facts?: AccountFacts
  grant?: OAuthGrant
  token?: string
  budget?: RequestBudget
  fetch?: typeof globalThis.fetch
}

export function openSimulated(options: SimulatedAccount): Account {
  const { connector, simulator, clock, token } = options
  return openAccount({
    connector,
    clock,
    settings: options.settings ?? {},
    credentials: options.credentials ?? {},
    account: options.facts ?? {},
    tokens: memoryTokenCache(),
    grant: options.grant ?? (token === undefined ? undefined : fixedGrant(token)),
    overrides: { [connector.slug]: { baseUrl: simulator.baseUrl } },
    http: createHttpClient({
      clock,
      allowPrivateNetworks: true,
      random: () => 0.5,
      log: createLog({}, () => {}),
      ...(options.budget ? { budget: options.budget } : {}),
      ...(options.fetch ? { fetch: options.fetch } : {}),
    }),
  })
}

/** Does an action as the engine does it. */
export async function act(
  options: SimulatedAccount,
  name: string,
  input: Record<string, unknown>,
): Promise<ActionOutcome> {
  const { connector, clock } = options
  const action = findAction(connector, name)
  const values = connector.readAccount({
    settings: options.settings ?? {},
    credentials: options.credentials ?? {},
    account: options.facts ?? {},
  })
  return await runAction(action, readInput(action, input), {
    account: openSimulated(options),
    settings: values.settings,
    facts: values.account,
    idempotency_key: '6f1c1e9e-0000-4000-8000-000000000000',
    now: clock.now(),
  })
}

/** The shared budget's rule (GCRA) in memory: what the connector says of its limits is what is kept. */
export function memoryBudget(connector: Connector, clock: Clock): RequestBudget {
  const next = new Map<string, number>()
  const take = (key: string, { requestsPerSecond, burst }: RateLimit, cost: number): number => {
    const now = clock.now().getTime()
    const interval = 1000 / requestsPerSecond
    const at = Math.max(next.get(key) ?? now, now)
    next.set(key, at + interval * cost)
    return Math.max(0, Math.ceil(at - now - interval * (burst - 1)))
  }
  return {
    acquire({ limit, cost = 1 } = {}) {
      const own = take('', connector.rateLimit, cost)
      const further = limit === undefined ? 0 : take(limit, connector.limits[limit]!, cost)
      return Promise.resolve({ wait_ms: Math.max(own, further), circuit: 'closed' as const })
    },
    report(outcome, ms = 0, limit) {
      if (outcome === 'throttled') {
        next.set(limit ?? '', clock.now().getTime() + ms)
      }
      return Promise.resolve()
    },
  }
}
