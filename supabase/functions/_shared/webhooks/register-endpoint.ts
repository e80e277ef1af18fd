// Registers webhook endpoints, changes them, and puts new secrets in the place of old ones. Addresses and headers are checked
// here; Postgres keeps them, and the secrets in Vault.
import type { z } from 'zod'
import type {
  createWebhookEndpoint as createContract,
  rotateWebhookSecret as rotateContract,
  updateWebhookEndpoint as updateContract,
  WebhookEndpoint,
  WebhookEndpointWithSecret,
} from '../contracts/webhooks.ts'
import { invalidUrl } from '../http/target-url.ts'
import type { Outside } from '../platform/outside.ts'
import { checkCustomHeaders } from './custom-headers.ts'
import { checkEndpointUrl } from './endpoint-url.ts'
import { generateKeyPair, generateSecret } from './generate-keys.ts'

/** What is kept of an address that was encoded. */
const MAX_STORED_URL = 2_048

/**
 * @param actorId auth.users.id of the caller; null for the secret key.
 * @returns With the secret, which nobody can read again.
 * @throws AppError `invalid_endpoint`, `private_network_refused`, `organization_not_found`, `too_many_webhook_endpoints`
 */
export async function createEndpoint(
  outside: Outside,
  input: z.output<typeof createContract.request>,
  actorId: string | null,
): Promise<WebhookEndpointWithSecret> {
  const { organization_id, url, headers = {}, ...options } = input
  checkCustomHeaders(headers)
  const secret = generateSecret()
  const keys = options.signatures?.includes('v1a') ? generateKeyPair() : null
  const endpoint = await outside.db.call<WebhookEndpoint>('create_webhook_endpoint', {
    p_organization_id: organization_id,
    p_url: await storableUrl(outside, url),
    p_options: { ...options, public_key: keys?.publicKey ?? null },
    p_signing_secret: secret,
    p_signing_key: keys?.secretKey ?? null,
    p_headers: headers,
    p_actor_id: actorId,
    p_endpoint_id: crypto.randomUUID(),
  })
  return { ...endpoint, secret }
}

/** @throws AppError `webhook_endpoint_not_found`, `invalid_endpoint`, `private_network_refused` */
export async function updateEndpoint(
  outside: Outside,
  input: z.output<typeof updateContract.request>,
  actorId: string | null,
): Promise<WebhookEndpoint> {
  const { endpoint_id, headers, paused, ...settings } = input
  if (headers) checkCustomHeaders(headers)
  const changes: Record<string, unknown> = { ...settings }
  if (settings.url !== undefined) changes['url'] = await storableUrl(outside, settings.url)
  if (paused !== undefined) changes['status'] = paused ? 'paused' : 'active'
  // taken only where the endpoint has none yet
  const keys = settings.signatures?.includes('v1a') ? generateKeyPair() : null
  if (keys) changes['public_key'] = keys.publicKey
  return await outside.db.call<WebhookEndpoint>('update_webhook_endpoint', {
    p_endpoint_id: endpoint_id,
    p_changes: changes,
    p_signing_key: keys?.secretKey ?? null,
    p_headers: headers ?? null,
    p_actor_id: actorId,
  })
}

/** @throws AppError `webhook_endpoint_not_found`, `too_many_webhook_secrets` */
export async function rotateSecret(
  outside: Outside,
  input: z.output<typeof rotateContract.request>,
  actorId: string | null,
): Promise<WebhookEndpointWithSecret> {
  const secret = generateSecret()
  const keys = generateKeyPair() // used only where the endpoint has a pair
  const endpoint = await outside.db.call<WebhookEndpoint>('rotate_webhook_secret', {
    p_endpoint_id: input.endpoint_id,
    p_signing_secret: secret,
    p_signing_key: keys.secretKey,
    p_public_key: keys.publicKey,
    p_overlap_hours: input.overlap_hours ?? 24,
    p_actor_id: actorId,
  })
  return { ...endpoint, secret }
}

async function storableUrl({ environment }: Outside, text: string): Promise<string> {
  const url = await checkEndpointUrl(text, {
    allowPrivateNetworks: environment.PLUGBOARD_ALLOW_PRIVATE_NETWORKS,
  })
  if (url.length > MAX_STORED_URL) {
    throw invalidUrl(`must not be longer than ${MAX_STORED_URL} characters once it is encoded`)
  }
  return url
}
