// How does a platform want to be authenticated? The kinds, and a function each to write one down.
import { z } from 'zod'
import { basicAuthorization } from '../../http/basic-authorization.ts'

export type Values = Record<string, unknown>

/** What the platform says of an account, such as its data center; never a secret. */
export type AccountFacts = Record<string, string>

/** The platform did not say whose the account is that was typed: webhooks of our app about it are not theirs to read. */
export const UNPROVEN: AccountFacts = { unproven: 'true' }

/** One account: what its connect form was filled in with, and what the platform said of it. */
export type AccountValues<Settings = Values, Credentials = Values> = {
  settings: Settings
  credentials: Credentials
  /** Empty until the account has been proved. */
  account: AccountFacts
}

/** The call that proves an account works, when the first page of the first stream is not enough. */
export type CheckCall = {
  method?: 'GET' | 'POST'
  /** Below the base address, or a whole address; places like `{setting}` are filled. */
  path: string
  /** Places are filled in their values too. */
  query?: Record<string, string>
  headers?: Record<string, string>
  /** Sent as JSON. */
  json?: unknown
  /** Statuses that prove nothing and refuse nothing, where not everybody may make the call. */
  notKnown?: number[]
  /** Which of the connector's `limits` it counts against, besides the account's own. */
  limit?: string
  /** The account's name at the platform, if the answer has it. */
  accountName?: (body: unknown) => string | undefined
  /**
   * Facts to keep: they fill `{places}` in addresses as settings do, and `accountId` may read them. {@link UNPROVEN}
   * where the answer leaves open whether the account is theirs.
   */
  account?: (body: unknown, known: AccountValues) => AccountFacts
  /** Refuses a good answer that shows another account than the one that was typed, by an AppError. */
  verify?: (body: unknown, account: AccountValues) => void
  /** A call that has to work too, made with these facts. */
  then?: CheckCall
}

/** What a way to authenticate may say besides how it does it. */
type Mode = {
  /** What the connect form asks for. Mark secrets with `secret('…')`. */
  credentials: z.ZodObject
  /** Where this way has its own address (`https://api.acme.example/{shop}`). */
  baseUrl?: string | ((account: AccountValues) => string)
  check?: CheckCall
}

export type NoAuth = Mode & { type: 'none' }

/** A key that never changes, sent with each request. */
export type ApiKey =
  & Mode
  & { type: 'api_key' }
  & (
    | {
      in: 'header' | 'query'
      name: string
      value(account: AccountValues): string
    }
    | {
      in: 'basic'
      username(account: AccountValues): string
      password(account: AccountValues): string
    }
  )

/** A key exchanged for a token that lives a while and is kept between runs. */
export type TokenExchange = Mode & {
  type: 'token_exchange' | 'client_credentials'
  request: {
    /** Below the base address, or a whole address. */
    path: string
    /** Sent as `application/x-www-form-urlencoded`. */
    form(account: AccountValues): Record<string, string>
    headers?(account: AccountValues): Record<string, string>
  }
  /** Null when the answer says the credentials are wrong; throw AppError for any other trouble. */
  read(body: unknown): { access_token: string; expires_in: number } | null
  headers(access_token: string, account: AccountValues): Record<string, string>
}

/** Each request carries its own signature. */
export type SignedRequest = Mode & {
  type: 'signed_request'
  /** Called anew for every attempt. */
  headers(
    account: AccountValues,
    request: { method: string; url: string; now: Date },
  ): Record<string, string>
}

/** How our app proves itself at the token endpoint (RFC 7591, section 2). */
export type ClientAuthentication = 'client_secret_basic' | 'client_secret_post' | 'none'

/**
 * The owner signs in at the platform (RFC 6749, authorization code grant with PKCE). Our app there is
 * `OAUTH_CLIENTS[slug]`. What is not said is as the RFCs have it.
 */
export type OAuth2 = Mode & {
  type: 'oauth2'
  /** `{setting}` places are filled in each endpoint. */
  authorization_endpoint: string
  token_endpoint: string
  /** RFC 7009; without it disconnecting forgets the tokens here only. */
  revocation_endpoint?: string
  /** Space separated, as in RFC 6749; empty where the platform knows none. */
  scope: string
  /** How the platform wants scopes separated in its authorization request, if not by a space. */
  scopeSeparator?: ','
  /** `client_secret_basic` when not said. */
  token_endpoint_auth_method?: ClientAuthentication
  /** False where the platform chokes on a `code_challenge` (RFC 7636). */
  pkce?: false
  /** The platform's issuer identifier; with it an authorization response must name it (RFC 9207). */
  issuer?: string
  /** What has to be granted, space separated, where people can untick scopes. */
  requiredScope?: string
  /** More parameters of the authorization request. */
  parameters?: Record<string, string>
  /** More parameters of the token requests. */
  tokenParameters?: Record<string, string>
  /**
   * The token answer, good or bad, in RFC 6749's words (5.1, 5.2), where the platform has its own. An
   * answer with `error` counts as refused whatever its status.
   */
  readTokenAnswer?(body: unknown): unknown
  /** How long a token lives when the answer does not say, in seconds; not said: until it is refused. */
  lifetimeSeconds?: number
  /** Facts about the account in the token answer, as the platform sent it; read again at each refresh. */
  account?(answer: unknown): AccountFacts
  /** Is the authorization response the platform's own? For platforms that sign it. */
  verifyResponse?(
    parameters: URLSearchParams,
    context: { settings: Values; client_secret: string | undefined; now: Date },
  ): boolean
  /** How the token is sent; `Authorization: Bearer` (RFC 6750) when not said. */
  headers?(access_token: string, account: AccountValues): Record<string, string>
  /** Another way to revoke than RFC 7009: a call with the token. */
  revoke?: { method?: 'GET' | 'POST' | 'DELETE'; path: string }
}

export type Auth = NoAuth | ApiKey | TokenExchange | SignedRequest | OAuth2

/** Several ways to authenticate; the value of a setting says which one an account uses. */
export type AuthChoice = { setting: string; modes: Record<string, Auth> }

// Each function below ties the callbacks' types to the schemas beside them.

type Typed<Settings extends z.ZodObject, Credentials extends z.ZodObject> =
  & Omit<Mode, 'credentials'>
  & {
    /** Only for its type, where a callback reads settings. */
    settings?: Settings
    credentials: Credentials
  }
type Account<Settings extends z.ZodObject, Credentials extends z.ZodObject> = AccountValues<
  z.output<Settings>,
  z.output<Credentials>
>

export function noAuth(): NoAuth {
  return { type: 'none', credentials: z.strictObject({}) }
}

export function headerKey<Settings extends z.ZodObject, Credentials extends z.ZodObject>(
  definition: Typed<Settings, Credentials> & {
    /** The header; `authorization` when not said. */
    name?: string
    value(account: Account<Settings, Credentials>): string
  },
): ApiKey {
  return {
    type: 'api_key',
    in: 'header',
    ...definition,
    name: definition.name ?? 'authorization',
  }
}

export function queryKey<Settings extends z.ZodObject, Credentials extends z.ZodObject>(
  definition: Typed<Settings, Credentials> & {
    name: string
    value(account: Account<Settings, Credentials>): string
  },
): ApiKey {
  return { type: 'api_key', in: 'query', ...definition }
}

export function basicKey<Settings extends z.ZodObject, Credentials extends z.ZodObject>(
  definition: Typed<Settings, Credentials> & {
    username(account: Account<Settings, Credentials>): string
    password(account: Account<Settings, Credentials>): string
  },
): ApiKey {
  return { type: 'api_key', in: 'basic', ...definition }
}

export function tokenExchange<Settings extends z.ZodObject, Credentials extends z.ZodObject>(
  definition: Typed<Settings, Credentials> & Pick<TokenExchange, 'read'> & {
    request: {
      path: string
      form(account: Account<Settings, Credentials>): Record<string, string>
      headers?(account: Account<Settings, Credentials>): Record<string, string>
    }
    headers(access_token: string, account: Account<Settings, Credentials>): Record<string, string>
  },
): TokenExchange {
  return { type: 'token_exchange', ...definition }
}

const ClientCredentials = z.strictObject({
  client_id: z.string().trim().min(1, 'must not be empty').meta({ title: 'Client id' }),
  client_secret: secret('Client secret'),
})

/** OAuth's client credentials grant (RFC 6749, section 4.4): the account itself is the client. */
export function clientCredentials(
  definition: Omit<Mode, 'credentials'> & {
    /** Below the base address, or a whole address. */
    token_endpoint: string
    scope?: string
    /** `client_secret_basic` when not said. */
    token_endpoint_auth_method?: Exclude<ClientAuthentication, 'none'>
  },
): TokenExchange {
  const { token_endpoint, scope, token_endpoint_auth_method = 'client_secret_basic', ...mode } =
    definition
  const isBasic = token_endpoint_auth_method === 'client_secret_basic'
  return {
    type: 'client_credentials',
    credentials: ClientCredentials,
    ...mode,
    request: {
      path: token_endpoint,
      form: ({ credentials }) => ({
        grant_type: 'client_credentials',
        ...(scope === undefined ? {} : { scope }),
        ...(isBasic ? {} : {
          client_id: String(credentials.client_id),
          client_secret: String(credentials.client_secret),
        }),
      }),
      headers: ({ credentials }): Record<string, string> =>
        isBasic
          ? {
            authorization: basicAuthorization(
              formEncoded(credentials.client_id),
              formEncoded(credentials.client_secret),
            ),
          }
          : {},
    },
    read(body) {
      const answer = TokenAnswer.safeParse(body)
      return answer.success ? answer.data : null
    },
    headers: (access_token) => ({ authorization: `Bearer ${access_token}` }),
  }
}

/** RFC 6749, section 5.1; a lifetime that is missing counts as short. */
const TokenAnswer = z.object({
  access_token: z.string().min(1),
  expires_in: z.coerce.number().positive().catch(300),
})

/** RFC 6749, section 2.3.1: the pair is form-encoded before it becomes Basic. */
const formEncoded = (text: unknown) => new URLSearchParams({ v: String(text) }).toString().slice(2)

export function signedRequest<Settings extends z.ZodObject, Credentials extends z.ZodObject>(
  definition: Typed<Settings, Credentials> & {
    headers(
      account: Account<Settings, Credentials>,
      request: { method: string; url: string; now: Date },
    ): Record<string, string>
  },
): SignedRequest {
  return { type: 'signed_request', ...definition }
}

export function oauth2(definition: Omit<OAuth2, 'type' | 'credentials'>): OAuth2 {
  return { type: 'oauth2', credentials: z.strictObject({}), ...definition }
}

/** A credential nobody may read back: forms show dots, answers and logs leave it out. */
export function secret(title: string): z.ZodString {
  return z.string().trim().min(1, 'must not be empty').meta({
    title,
    format: 'password',
    writeOnly: true,
  })
}
