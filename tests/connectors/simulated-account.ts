// An account at a simulated platform: signed in through the real redirects, opened as the engine opens it.
import { validateAuthResponse } from 'oauth4webapi'
import { browser } from '../../scripts/simulators/parts/oauth/browser.ts'
import { type Account, openAccount } from '../../supabase/functions/_shared/connectors/account.ts'
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
import type { AccountFacts } from '../../supabase/functions/_shared/connectors/vocabulary/auth.ts'
import type { RequestBudget } from '../../supabase/functions/_shared/http/budget.ts'
import { createHttpClient } from '../../supabase/functions/_shared/http/client.ts'
import { signInClient } from '../../supabase/functions/_shared/oauth/sign-in-client.ts'
import {
  exchangeCode,
  refreshTokens,
  type Tokens,
} from '../../supabase/functions/_shared/oauth/token-endpoint.ts'
import { type Clock, systemClock } from '../../supabase/functions/_shared/platform/clock.ts'
import { createLog } from '../../supabase/functions/_shared/platform/log.ts'
import type { Outside } from '../../supabase/functions/_shared/platform/outside.ts'

type Simulator = { baseUrl: string; client: { client_id: string; client_secret: string } }

const REDIRECT_URI = 'https://app.example/oauth-callback'
/** RFC 7636, appendix B. */
const VERIFIER = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'
const CHALLENGE = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'

/** The engine's way to a simulated platform's token endpoint. */
function tokenEndpoint(connector: Connector, simulator: Simulator, settings = {}) {
  const outside: Outside = {
    db: {
      call: () => Promise.reject(new Error('a sign-in of this kind keeps nothing')),
      end: () => Promise.resolve(),
    },
    environment: {
      SUPABASE_URL: 'http://127.0.0.1',
      CONNECTOR_OVERRIDES: { [connector.slug]: { baseUrl: simulator.baseUrl } },
      OAUTH_CLIENTS: { [connector.slug]: simulator.client },
      PLUGBOARD_ALLOW_PRIVATE_NETWORKS: true,
      PLUGBOARD_RETURN_URLS: [],
    },
    log: createLog({}, () => {}),
    clock: systemClock,
  }
  const account = connector.readAccount({ settings, credentials: {} })
  return { outside, client: signInClient(outside, connector, account) }
}

/** Goes the way of a person who signs in, and exchanges the code as the engine does. */
export async function signIn(
  connector: Connector,
  simulator: Simulator,
  settings: Record<string, unknown> = {},
): Promise<Tokens> {
  const { outside, client } = tokenEndpoint(connector, simulator, settings)
  const { auth, server } = client
  const url = new URL(server.authorization_endpoint!)
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
  const landed = await browser().authorize(url.href, { stopAt: REDIRECT_URI })
  const accepted = validateAuthResponse(server, client.client, new URL(landed.url), asked.state)
  return await exchangeCode(outside, client, accepted, {
    redirect_uri: REDIRECT_URI,
    code_verifier: auth.pkce === false ? null : VERIFIER,
  })
}

/** @throws TokenRefused */
export async function refresh(
  connector: Connector,
  simulator: Simulator,
  refresh_token: string | null,
): Promise<Tokens> {
  const { outside, client } = tokenEndpoint(connector, simulator)
  return await refreshTokens(outside, client, refresh_token ?? '')
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
