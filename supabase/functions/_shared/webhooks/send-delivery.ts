// One attempt: the request as Standard Webhooks has it, one call, and what its answer means.
import type { PinnedAnswer, PinnedCaller } from '../http/pinned-call.ts'
import { readRetryAfter } from '../http/retry.ts'
import type { Clock } from '../platform/clock.ts'
import type { CallOutcome, EndpointSettings } from './claimed-deliveries.ts'
import { signatureHeaders } from './sign.ts'
import { InvalidSigningKey } from './signing-keys.ts'

export type Sending = {
  call: PinnedCaller['call']
  clock: Clock
  timeoutMs: number
}

/** Sends an event to an endpoint once. `body` is sent and signed as it is. */
export async function sendDelivery(
  event: { id: string; body: Uint8Array },
  endpoint: EndpointSettings,
  { call, clock, timeoutMs }: Sending,
): Promise<CallOutcome> {
  let headers: Record<string, string>
  try {
    headers = requestHeaders(event, endpoint, clock.now())
  } catch (error) {
    if (!(error instanceof InvalidSigningKey)) throw error
    return {
      outcome: 'failed',
      code: 'signing_secret_missing',
      message: 'The endpoint has no secret to sign with. Rotate its secret.',
    }
  }
  const answer = await call({ url: endpoint.url, headers, body: event.body, timeoutMs })
  if (answer.ok) return outcomeOf(answer, clock.now())
  return {
    outcome: 'failed',
    latency_ms: answer.latencyMs,
    code: answer.code,
    message: answer.code === 'timed_out'
      ? `The endpoint did not answer within ${timeoutMs / 1_000} s.`
      : answer.reason,
  }
}

/** What people added comes first, so that ours stand whatever they named. */
function requestHeaders(
  { id, body }: { id: string; body: Uint8Array },
  endpoint: EndpointSettings,
  now: Date,
): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(endpoint.headers)) headers[name.toLowerCase()] = value
  delete headers['x-webhook-signature'] // nobody but us says that we signed
  return {
    ...headers,
    'content-type': 'application/json',
    'user-agent': 'Plugboard-Webhooks/1',
    'webhook-api-version': endpoint.api_version,
    ...signatureHeaders({
      id,
      timestamp: Math.floor(now.getTime() / 1_000),
      body,
      secrets: endpoint.signatures.includes('v1') ? endpoint.signing_secrets : [],
      ed25519Keys: endpoint.signing_keys,
      // one header, so one secret: the one that its receivers are to have from now on
      ...(endpoint.hex_signature ? { legacySecret: endpoint.signing_secrets[0] ?? '' } : {}),
    }),
  }
}

function outcomeOf(
  { status, headers, answer, latencyMs }: PinnedAnswer,
  now: Date,
): CallOutcome {
  const said = { status, latency_ms: latencyMs, body: answer }
  if (status >= 200 && status < 300) return { ...said, outcome: 'succeeded' }
  if (status === 410) {
    return { ...said, outcome: 'gone', code: 'answered_410', message: 'The endpoint answered 410.' }
  }
  const retryAfterMs = readRetryAfter(headers, now)
  const isRedirect = status >= 300 && status < 400
  return {
    ...said,
    outcome: 'failed',
    code: isRedirect ? 'redirect_not_followed' : `answered_${status}`,
    message: isRedirect
      ? `The endpoint answered ${status}. Redirects are not followed: register the address it leads to.`
      : `The endpoint answered ${status}.`,
    ...(retryAfterMs === undefined ? {} : { retry_after_s: Math.ceil(retryAfterMs / 1_000) }),
  }
}
