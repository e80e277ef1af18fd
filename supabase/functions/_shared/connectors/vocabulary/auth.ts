// How does a platform want to be authenticated? The kinds, and a function each to write one down.
import { z } from 'zod'

export type Values = Record<string, unknown>

/** One account as its connect form was filled in. */
export type AccountValues<Settings = Values, Credentials = Values> = {
  settings: Settings
  credentials: Credentials
}

/** The call that proves an account works, when the first page of the first stream is not enough. */
export type CheckCall = {
  method?: 'GET' | 'POST'
  /** Below the base address, or a whole address; `{setting}` places are filled. */
  path: string
  query?: Record<string, string>
  /** The account's name at the platform, if the answer has it. */
  accountName?: (body: unknown) => string | undefined
}

/** What a way to authenticate may say besides how it does it. */
type Mode = {
  /** What the connect form asks for. Mark secrets with `secret('…')`. */
  credentials: z.ZodObject
  /** Where this way has its own address (`https://api.acme.example/{shop}`). */
  baseUrl?: string
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
  type: 'token_exchange'
  request: {
    path: string
    /** Sent as `application/x-www-form-urlencoded`. */
    form(account: AccountValues): Record<string, string>
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

/**
 * The owner signs in at the platform (RFC 6749, authorization code). Nothing leads them there yet, so
 * connecting answers `sign_in_not_supported`.
 */
export type OAuth2 = Mode & {
  type: 'oauth2'
  authorization_endpoint: string
  token_endpoint: string
  /** Space separated, as in RFC 6749. */
  scope: string
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
    }
    headers(access_token: string, account: Account<Settings, Credentials>): Record<string, string>
  },
): TokenExchange {
  return { type: 'token_exchange', ...definition }
}

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
