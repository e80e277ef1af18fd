// How does one platform's OAuth differ from another's? The words in which a simulator says it.
import type { Faults } from '../faults.ts'

export type OAuthServerOptions = {
  /** Shown on the consent page. */
  platform: string
  /** The platform's own paths, such as `/oauth2/v1/authorize`. The consent page lives below it. */
  authorization_path: string
  token_path: string
  /** RFC 7009; without one the platform has no revocation. */
  revocation_path?: string
  client: OAuthClient
  /** Compared exactly. `any` for what is known later: see `setRedirectUris`. */
  redirect_uris: readonly string[] | 'any'
  /** `ignored`: the platform does not know PKCE and overlooks its parameters. */
  pkce: 'required' | 'optional' | 'ignored'
  /** All the platform knows; asking for another answers `invalid_scope`, asking for none means all. */
  scopes: readonly string[]
  scope_separator?: ' ' | ','
  /** Whether a refresh token is good for one use; using it again then revokes the whole grant. */
  rotation: boolean
  /** Default: always, as `access_type=offline` or an app of a certain kind may be asked for. */
  issues_refresh_token?(consent: Consent): boolean
  /** Whether a refresh ends the access tokens handed out before it. */
  old_access_token_dies?: boolean
  /** `null`: access tokens never expire and the answer has no `expires_in`. */
  access_token_seconds: number | null
  /** Default: they never expire. */
  refresh_token_seconds?: number
  /** Default 60. */
  code_seconds?: number
  /** Parameters of the authorization request which the platform adds to the standard's. */
  more_parameters?: readonly string[]
  /** Accounts the consent page suggests; the first is filled in. */
  accounts?: readonly string[]
  /** Bends an answer of the token endpoint, also an error, into the platform's own shape. */
  answer?(answer: TokenAnswer, about: TokenAnswerContext): TokenAnswer
  /** RFC 9207: `iss` in the authorization response. Default false. */
  issuer_parameter?: boolean
  /** The server's faults, to which those of the token endpoint are added. */
  faults: Faults
  /** The clock by which codes, tokens and grants expire. Dates in cookies, headers and id tokens stay real. */
  now?: () => Date
}

export type OAuthClient = {
  client_id: string
  client_secret?: string
  token_endpoint_auth_method: 'client_secret_basic' | 'client_secret_post' | 'none'
  /** The platform takes the secret from the header and from the body alike. */
  secret_anywhere?: boolean
}

/** What a person agreed to. */
export type Consent = {
  grant: string
  account: string
  scopes: readonly string[]
  /** The authorization request, with the platform's own parameters. */
  parameters: Record<string, unknown>
}

export type TokenAnswer = { status: number; body: Record<string, unknown> }

export type TokenAnswerContext = {
  /** Of the request, as sent. */
  grant_type: string
  /** `null` in an error answer. */
  consent: Consent | null
  /** Where the simulator is, without a slash at the end. */
  origin: string
}

export type OAuthCounters = {
  consents_given: number
  consents_denied: number
  codes_exchanged: number
  codes_refused: number
  refreshes_granted: number
  refreshes_refused: number
  /** Calls of the revocation endpoint, not grants ended by reuse or by `control`. */
  revocations: number
}
