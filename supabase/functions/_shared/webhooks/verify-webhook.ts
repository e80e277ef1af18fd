// The one way to find out whether an inbound webhook may be believed.
import { linkedin, x } from './schemes/challenges.ts'
import { googleKeys, googleOidc } from './schemes/google-oidc.ts'
import { hubspot } from './schemes/hubspot.ts'
import type { PublishedKeys, Scheme } from './schemes/scheme-definition.ts'
import { airtable, github, shopify, stripe, xWebhookSignature } from './schemes/signed.ts'
import { slack } from './schemes/slack.ts'
import { standardWebhooks } from './schemes/standard-webhooks.ts'
import { leafly, mailchimp, pathToken } from './schemes/unguessable-address.ts'
import type {
  InboundRequest,
  Proof,
  ReceiverSecrets,
  Verification,
  WebhookScheme,
} from './scheme.ts'

const SCHEMES: Record<WebhookScheme, Scheme> = {
  airtable,
  github,
  'google-oidc': googleOidc,
  hubspot,
  leafly,
  linkedin,
  mailchimp,
  'path-token': pathToken,
  shopify,
  slack,
  'standard-webhooks': standardWebhooks,
  stripe,
  x,
  'x-webhook-signature': xWebhookSignature,
}

/** Make it once for a process: it remembers the keys it has fetched. */
export const publishedKeys = (fetch: typeof globalThis.fetch): PublishedKeys => ({
  google: googleKeys(fetch),
})

/**
 * Checks a call against what its receiver knows. It never throws, and takes nothing where no secret is known.
 *
 * @param now A webhook that is verified again later is as old as it was: give the time it came.
 */
export async function verifyWebhook(
  scheme: WebhookScheme,
  request: InboundRequest,
  secrets: ReceiverSecrets,
  now: Date,
  keys: PublishedKeys,
): Promise<Verification> {
  return await SCHEMES[scheme].verify(request, secrets, now, keys)
}

/** Who proves themselves with a header of HTTP's own: it opens other doors too, so it is not kept. */
const NEVER_KEPT = ['authorization', 'cookie', 'proxy-authorization']

/**
 * The headers to keep with a webhook, in lower case: to read its body, and to verify it again, which `google-oidc`
 * cannot.
 */
export const headersToKeep = (scheme: WebhookScheme, more: string[] = []): string[] =>
  [...new Set(['content-type', ...SCHEMES[scheme].headers, ...more])]
    .filter((name) => !NEVER_KEPT.includes(name))

/** Those of them that a call has. */
export const keptHeaders = (
  scheme: WebhookScheme,
  headers: Headers,
  more: string[] = [],
): Record<string, string> =>
  Object.fromEntries(
    headersToKeep(scheme, more)
      .filter((name) => headers.has(name))
      .map((name) => [name, headers.get(name)!]),
  )

/** What to keep of a verified call besides. */
export function proofOf(
  scheme: WebhookScheme,
  { url }: Pick<InboundRequest, 'url'>,
  pathTokenHash: string | null,
  now: Date,
): Proof {
  const { looksAt } = SCHEMES[scheme]
  const isOurs = pathTokenHash === null && !url.includes('?')
  return {
    scheme,
    verified_at: now.toISOString(),
    ...looksAt === 'url' && isOurs ? { url } : {},
    ...looksAt === 'path_token' && pathTokenHash !== null ? { path_token_hash: pathTokenHash } : {},
  }
}

/** Whether the address that was called would decide, and was not kept. */
export const lacksUrl = ({ scheme, url }: Proof): boolean =>
  SCHEMES[scheme].looksAt === 'url' && url === undefined
