// The tokens of a connected account: refreshed ahead of their end, once, whoever asks.
import type { Connector } from '../connectors/define-connector.ts'
import type { OAuthGrant } from '../connectors/token-cache.ts'
import type { AccountValues } from '../connectors/vocabulary/auth.ts'
import type { ErrorSummary } from '../contracts/contract.ts'
import { describeFailure } from '../integrations/describe-failure.ts'
import type { OpenIntegration } from '../integrations/open-integration.ts'
import { AppError, isCode } from '../platform/errors.ts'
import type { Outside } from '../platform/outside.ts'
import { revokeTokens } from './revoke.ts'
import { type SignInClient, signInClient } from './sign-in-client.ts'
import { refreshTokens, TokenRefused } from './token-endpoint.ts'

/** `private.describe_grant_token`: times are RFC 3339; null where the platform did not say. */
export type GrantToken = {
  access_token: string
  expires_at: string | null
  generation: number
  refresh_at: string | null
}

/** What `public.begin_token_refresh` answers. */
type Turn =
  | ({ state: 'token' } & GrantToken)
  | { state: 'refresh'; refresh_token: string; generation: number; interrupted: boolean }
  | { state: 'wait' }
  | { state: 'backoff'; retry_after_ms: number; error: ErrorSummary | null }
  | { state: 'reconnect'; error: ErrorSummary }

/** What `public.save_token_refresh` answers. */
type Saved =
  | ({ state: 'saved' } & GrantToken)
  | { state: 'disconnected'; is_shared: boolean }

/** Longer than the lease of whoever refreshes: when that ends, the next in line takes over. */
const WAIT_AT_MOST_MS = 70_000

export function storedGrant(
  outside: Outside,
  open: OpenIntegration,
  connector: Connector,
  account: AccountValues,
  signal?: AbortSignal,
): OAuthGrant {
  const { clock, db } = outside
  const { integration } = open
  let held = open.token as GrantToken | null

  const isDue = ({ refresh_at }: GrantToken) =>
    refresh_at !== null && Date.parse(refresh_at) <= clock.now().getTime()

  async function newer(than: number, refused: boolean): Promise<GrantToken> {
    const lease_token = crypto.randomUUID()
    const client = signInClient(outside, connector, account) // before the lease: what is missing here is not the platform's
    const ended = endedWithoutRefresh()
    const startedAt = clock.now().getTime()
    for (let nap = 20;; nap = Math.min(nap * 1.5, 1_000)) {
      const turn = await db.call<Turn>('begin_token_refresh', {
        p_integration_id: integration.id,
        p_generation: than,
        p_lease_token: lease_token,
        p_refused: refused,
        p_ended: describeFailure(ended, integration),
      })
      switch (turn.state) {
        case 'token':
          return turn
        case 'refresh':
          return await refresh(turn, client, lease_token)
        case 'reconnect':
          throw new AppError('reconnect_required', { detail: `${connector.name}: sign in again.` })
        case 'backoff':
          throw new AppError('provider_unavailable', {
            detail: `${connector.name} did not renew the access lately` +
              `${turn.error ? ` (${turn.error.code})` : ''}. It is tried again by itself.`,
            retryAfterMs: turn.retry_after_ms,
          })
      }
      if (clock.now().getTime() - startedAt > WAIT_AT_MOST_MS) {
        throw new AppError('unavailable', { detail: 'The access is being renewed just now.' })
      }
      await clock.sleep(nap, signal)
    }
  }

  async function refresh(
    { refresh_token, generation, interrupted }: Extract<Turn, { state: 'refresh' }>,
    client: SignInClient,
    lease_token: string,
  ): Promise<GrantToken> {
    const tokens = await refreshTokens(outside, client, refresh_token)
      .catch(async (error: unknown) => {
        throw await failed(error, lease_token, interrupted)
      })
    outside.log.info('access renewed', { integration_id: integration.id })
    const saved = await db.call<Saved>('save_token_refresh', {
      p_integration_id: integration.id,
      p_generation: generation,
      p_access_token: tokens.access_token,
      p_expires_in_seconds: tokens.expires_in,
      p_refresh_token: tokens.refresh_token,
      p_scope: tokens.scope,
      p_account: tokens.account,
    })
    if (saved.state === 'saved') return saved
    // what was just handed out would live on at the platform
    if (!saved.is_shared) await revokeTokens(outside, client, tokens)
    throw new AppError('integration_disconnected')
  }

  /** Writes the failure down, so that whoever comes next knows, and answers what to throw. */
  async function failed(
    error: unknown,
    lease_token: string,
    interrupted: boolean,
  ): Promise<unknown> {
    const isFinal = error instanceof TokenRefused && error.isFinal
    const known = isFinal ? lost(interrupted) : toKnown(error, connector)
    if (!known) return error
    await db.call('fail_token_refresh', {
      p_integration_id: integration.id,
      p_lease_token: lease_token,
      p_error: describeFailure(known, integration),
      p_is_final: isFinal,
      // whoever is told to come later was not served
      p_answered: error instanceof TokenRefused || isCode(error, 'provider_rate_limited'),
      p_retry_after_ms: known.retryAfterMs ?? null,
    })
    outside.log.warn('access not renewed', { integration_id: integration.id, error })
    return known
  }

  function endedWithoutRefresh(): AppError {
    return new AppError('reconnect_required', {
      detail:
        `The access to ${connector.name} has ended, and the platform gives none without a new sign-in.`,
    })
  }

  function lost(interrupted: boolean): AppError {
    return new AppError('reconnect_required', {
      detail: interrupted
        ? `${connector.name} no longer accepts the token held here: it may have renewed the access in a call, but its answer never came.`
        : `${connector.name} no longer accepts what its owner had granted.`,
    })
  }

  return {
    async current() {
      if (!held) throw endedWithoutRefresh()
      if (isDue(held)) held = await newer(held.generation, false)
      return held.access_token
    },
    async renew(refused) {
      if (!held) return null
      // another worker may have renewed it while this one was on its way
      if (held.access_token !== refused) return held.access_token
      held = await newer(held.generation, true)
      return held.access_token
    },
  }
}

/** What goes wrong at the token endpoint without being the end; undefined for our own failures. */
function toKnown(error: unknown, connector: Connector): AppError | undefined {
  if (error instanceof AppError) return error
  if (!(error instanceof TokenRefused)) return undefined
  return new AppError('provider_unavailable', {
    detail: `${connector.name} did not renew the access: ${error.error}.`,
    cause: error,
  })
}
