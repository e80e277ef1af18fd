// How does a test register an endpoint, emit events and read what became of their deliveries?
import { randomUUID } from 'node:crypto'
import { vi } from 'vitest'
import {
  generateKeyPair,
  generateSecret,
} from '../../supabase/functions/_shared/webhooks/generate-keys.ts'
import type { TestDatabase } from './database.ts'

export type TestEndpoint = {
  id: string
  organizationId: string
  /** `whsec_…` */
  secret: string
  /** `whpk_…`, where v1a is sent. */
  publicKey: string
}

export type DeliveryRow = {
  event_id: string
  status: string
  attempt_count: number
  last_response_status: number | null
  last_error: { code: string; message: string } | null
  next_in_s: number | null
}

export type AttemptRow = {
  event_id: string
  attempt_number: number
  outcome: string | null
  response_status: number | null
  response_body: string | null
  error: { code: string; message: string } | null
  latency_ms: number | null
}

type Options = Record<string, unknown> & {
  headers?: Record<string, string>
  organizationId?: string
}

/** Registers an endpoint in an organization of its own, unless told whose. */
export async function createEndpoint(
  { call, owner }: Pick<TestDatabase, 'call' | 'owner'>,
  url: string,
  { headers = {}, organizationId: given, ...options }: Options = {},
): Promise<TestEndpoint> {
  const organizationId = given ?? await createReceivingOrganization(owner)
  const secret = generateSecret()
  const { secretKey, publicKey } = generateKeyPair()
  const isAsymmetric = (options['signatures'] as string[] | undefined)?.includes('v1a') ?? false
  const { id } = await call<{ id: string }>('service_role', 'create_webhook_endpoint', {
    p_organization_id: organizationId,
    p_url: url,
    p_options: { ...options, ...(isAsymmetric ? { public_key: publicKey } : {}) },
    p_signing_secret: secret,
    p_signing_key: isAsymmetric ? secretKey : null,
    p_headers: headers,
  })
  return { id, organizationId, secret, publicKey }
}

async function createReceivingOrganization(owner: TestDatabase['owner']): Promise<string> {
  const id = randomUUID()
  await owner`insert into public.organizations (id, name) values (${id}, 'Receivers')`
  return id
}

/** Emits an event as an app does; answers its id, which is the webhook's. */
export function emitEvent(
  { call }: Pick<TestDatabase, 'call'>,
  organizationId: string,
  data: Record<string, unknown> = {},
  { type = 'booking.created', subject = null }: { type?: string; subject?: string | null } = {},
): Promise<string> {
  return call('service_role', 'emit_event', {
    p_organization_id: organizationId,
    p_type: type,
    p_data: data,
    p_subject: subject,
  })
}

/** Emits events with their number in one transaction, whose commit rings for a worker. */
export async function emitEvents(
  owner: TestDatabase['owner'],
  organizationId: string,
  count: number,
): Promise<void> {
  await owner`
    insert into public.events (organization_id, type, data, origin)
    select ${organizationId}, 'booking.created', jsonb_build_object('number', number), 'app'
    from generate_series(1, ${count}) as number`
}

/** An endpoint's deliveries in the order of their events. */
export async function deliveriesOf(
  { owner }: Pick<TestDatabase, 'owner'>,
  endpointId: string,
): Promise<DeliveryRow[]> {
  return await owner<DeliveryRow[]>`
    select event_id, status, attempt_count, last_response_status, last_error,
      extract(epoch from next_attempt_at - now())::float as next_in_s
    from public.webhook_deliveries where endpoint_id = ${endpointId} order by event_created_at`
}

export async function attemptsOf(
  { owner }: Pick<TestDatabase, 'owner'>,
  endpointId: string,
): Promise<AttemptRow[]> {
  return await owner<AttemptRow[]>`
    select event_id, attempt_number, outcome, response_status, response_body, error, latency_ms
    from public.webhook_attempts where endpoint_id = ${endpointId} order by created_at`
}

/** Resolves when none of an endpoint's deliveries waits for its first or a running attempt any more. */
export async function attempted(
  database: Pick<TestDatabase, 'owner'>,
  endpointId: string,
  count = 1,
): Promise<DeliveryRow[]> {
  return await vi.waitFor(async () => {
    const [row] = await database.owner`
      select count(*) filter (where outcome is not null)::int as finished, count(*) filter (where outcome is null)::int as running
      from public.webhook_attempts where endpoint_id = ${endpointId}`
    if (row?.finished < count || row?.running > 0) {
      throw new Error(`attempts: ${JSON.stringify(row)}`)
    }
    return await deliveriesOf(database, endpointId)
  }, { timeout: 12_000, interval: 20 })
}

/** As if the pauses before the next attempts had passed. */
export async function letRetriesComeDue(
  { owner }: Pick<TestDatabase, 'owner'>,
  endpointId: string,
): Promise<void> {
  await owner`
    update private.webhook_queue set run_at = now() where endpoint_id = ${endpointId} and lease_token is null`
  await owner`
    update private.webhook_endpoint_states set blocked_until = '-infinity' where endpoint_id = ${endpointId}`
}
