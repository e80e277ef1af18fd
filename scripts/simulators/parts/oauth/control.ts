// How do tests and the demo bend the authorization server? As the platform, the person or the line would.
import type { Consent, OAuthCounters, OAuthServerOptions } from './options.ts'
import type { Lifetimes } from './provider.ts'
import type { TokenStore } from './token-store.ts'

/** Nothing: every grant. */
export type WhichGrants = { account?: string; access_token?: string; refresh_token?: string }

export type OAuthControl = {
  /** The person says no next time, whatever button is pressed. */
  denyNextConsent(): void
  /** The person allows only these of the scopes asked for next time, as where each has a box to tick. */
  allowOnlyNextTime(scopes: readonly string[]): void
  /** Ends the grants' access tokens now; their refresh tokens stay good. */
  expireAccessTokens(which?: WhichGrants): void
  /** Ends the grants' refresh tokens now, as one not used for too long. */
  expireRefreshTokens(which?: WhichGrants): void
  /** The person takes the app off the list: every token of the grants is refused from now on. */
  revokeGrants(which?: WhichGrants): void
  /** Token calls wait, unprocessed, until the returned function is called. */
  holdTokenEndpoint(): () => void
  /** The next token calls are answered so and not processed. */
  failNextTokenCall(failure: TokenFailure): void
  /** The next token call is processed (a refresh token rotates), then the connection drops. */
  loseNextTokenAnswer(): void
  /** For tokens issued from now on. */
  setLifetimes(lifetimes: Partial<Lifetimes>): void
  counters(): OAuthCounters
  /** The grants that stand. */
  consents(): Consent[]
}

export type TokenFailure = {
  status: number
  /** Default: `{ "error": "temporarily_unavailable" }`. Text is sent as it is. */
  body?: Record<string, unknown> | string
  headers?: Record<string, string>
  /** Default 1; `null` means until the faults are cleared. */
  times?: number | null
}

/** What the person will do at the next consents, whatever button is pressed. */
export type Person = { denials: number; only: readonly string[] | null }

export type ControlParts = {
  options: OAuthServerOptions
  store: TokenStore
  lifetimes: Lifetimes
  consents: Map<string, Consent>
  counters: OAuthCounters
  person: Person
}

export function oauthControl(parts: ControlParts): OAuthControl {
  const { store, consents, options: { faults, token_path: path } } = parts
  const grants = (which: WhichGrants = {}) => {
    const byToken = which.access_token !== undefined
      ? store.read('AccessToken', which.access_token)
      : which.refresh_token !== undefined
      ? store.read('RefreshToken', which.refresh_token)
      : undefined
    return [...consents.values()].filter(({ grant, account }) =>
      (byToken === undefined || byToken?.grantId === grant) &&
      (which.account === undefined || which.account === account)
    ).map(({ grant }) => grant)
  }
  const expire = (model: 'AccessToken' | 'RefreshToken', which?: WhichGrants) => {
    for (const grant of grants(which)) {
      for (const id of store.idsOf(model, grant)) store.expire(model, id)
    }
  }
  return {
    denyNextConsent: () => void (parts.person.denials += 1),
    allowOnlyNextTime: (scopes) => void (parts.person.only = scopes),
    expireAccessTokens: (which) => expire('AccessToken', which),
    expireRefreshTokens: (which) => expire('RefreshToken', which),
    revokeGrants(which) {
      for (const grant of grants(which)) {
        for (const model of ['AccessToken', 'RefreshToken', 'AuthorizationCode'] as const) {
          for (const id of store.idsOf(model, grant)) store.remove(model, id)
        }
        store.remove('Grant', grant)
        consents.delete(grant)
      }
    },
    holdTokenEndpoint() {
      const gate = Promise.withResolvers<void>()
      const remove = faults.set({ kind: 'hold', until: gate.promise, times: null, path })
      return () => {
        remove()
        gate.resolve()
      }
    },
    failNextTokenCall({ status, body = { error: 'temporarily_unavailable' }, headers, times }) {
      faults.set({
        kind: 'status',
        status,
        path,
        body: typeof body === 'string' ? body : JSON.stringify(body),
        ...(headers === undefined ? {} : { headers }),
        ...(times === undefined ? {} : { times }),
      })
    },
    loseNextTokenAnswer: () => void faults.set({ kind: 'lost_answer', path }),
    setLifetimes: (lifetimes) => void Object.assign(parts.lifetimes, lifetimes),
    counters: () => ({ ...parts.counters }),
    consents: () => [...consents.values()].filter(({ grant }) => store.read('Grant', grant)),
  }
}
