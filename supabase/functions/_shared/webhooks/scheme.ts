// Is this webhook from whom it says? What every signature scheme is given, and what it may answer.
import type { WebhookRefusal } from '../contracts/webhook-events.ts'

/** A call as it came, before anything was read from it. */
export type InboundRequest = {
  method: string
  /** The whole public address as the platform called it: behind a gateway, not the one the function sees. */
  url: string
  headers: Headers
  /** The exact bytes: signatures are made over these. */
  body: Uint8Array
}

/** What our own app at a platform shares with it, for all accounts. */
export type AppSecrets = {
  client_id?: string
  client_secret?: string
  /** Where the platform signs with another secret than the client's: Slack, X. */
  signing_secret?: string
  /** Where the platform signs with tokens: what they are made out to; the address itself when not said. */
  audience?: string
  /** Where the platform signs with tokens: the email address of the account that sends them. */
  service_account?: string
  /** What it takes to subscribe the app itself; at HubSpot: its number, and the key of the developer account. */
  app_id?: string
  developer_key?: string
  /** The same at X: the other half of `signing_secret`. */
  api_key?: string
}

/** What a receiver can check against. Nothing at all: everything is refused. */
export type ReceiverSecrets = {
  /**
   * The receiver's own, newest first; several while rotating. A scheme that signs with tokens takes the email
   * addresses of service accounts here.
   */
  signing: string[]
  /** Counts beside the receiver's own for schemes that sign with our app's secret. Null for accounts that are not its. */
  app: AppSecrets | null
  /** Whether the address that was called ended in the receiver's unguessable token. */
  pathTokenMatches: boolean
}

export type WebhookScheme =
  | 'standard-webhooks'
  | 'airtable'
  | 'github'
  | 'google-oidc'
  | 'hubspot'
  | 'leafly'
  | 'linkedin'
  | 'mailchimp'
  | 'path-token'
  | 'shopify'
  | 'slack'
  | 'stripe'
  | 'x'
  /** The hex `X-Webhook-Signature` over the body, as business apps send it. */
  | 'x-webhook-signature'

/** Those that know a caller, always or at times, by the unguessable token at the end of the address. */
const WITH_TOKEN: WebhookScheme[] = ['leafly', 'mailchimp', 'path-token']

export const endsInToken = (scheme: WebhookScheme): boolean => WITH_TOKEN.includes(scheme)

/** What else it takes to verify a webhook again, beside its headers and bytes. No secret is in it. */
export type Proof = {
  scheme: WebhookScheme
  /** RFC 3339: the time it was verified at. */
  verified_at: string
  /** As the platform called it, where that is signed. Left out where more than our address was called: it may be a secret. */
  url?: string
  /** SHA-256 in hex of the unguessable end of the address, where that is looked at. */
  path_token_hash?: string
}

export type Verified = { kind: 'verified' }

/** For our log alone: the caller learns nothing but that it was refused. */
export type Refused = { kind: 'refused'; reason: RefusalReason }

/** The platform asks whether this is our address, and wants this answer. There is nothing to keep. */
export type Handshake = { kind: 'handshake'; status: number; contentType: string; body: string }

export type Verification = Verified | Refused | Handshake

export type RefusalReason = Exclude<WebhookRefusal, 'url_not_kept'>

export const TOLERANCE_SECONDS = 300
