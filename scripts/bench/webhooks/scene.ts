// An organization with endpoints that all lead to one sink, on a stack of our own.
import postgres from 'postgres'
import { generateSecret } from '../../../supabase/functions/_shared/webhooks/generate-keys.ts'
import type { Stack } from '../../stack/stack.ts'

export type Scene = {
  /** The superuser: sets the scene, outside the clock. */
  admin: postgres.Sql
  /** As the functions' own connection. */
  sql: postgres.Sql
  organizationId: string
  /** Takes the place of all endpoints so far. */
  endpoints(urls: string[], options?: Record<string, unknown>): Promise<void>
  /** One statement, one transaction; the events' types are what the endpoints want. Answers how long it took, in ms. */
  emit(count: number): Promise<number>
  /** No worker is rung until {@link wake}. */
  hush(): Promise<void>
  wake(): Promise<void>
  /** Nothing is queued, nothing is logged. */
  empty(): Promise<void>
  end(): Promise<void>
}

/** About what an order's event holds. */
export const EVENT_DATA = {
  stream: 'orders',
  integration_id: '9f0c2f64-6f0a-4f0e-9d7e-0d5f1f7b7d11',
  record_id: '3d6fd2a5-18a9-4f53-a3b8-1f8d9f6f2f57',
  source_id: 'pi_3Qx8kL2eZvKYlo2C1gU5hB7D',
  changed_fields: ['status', 'paid_at', 'total_amount'],
}

export async function openScene(stack: Stack): Promise<Scene> {
  const admin = postgres(stack.adminDbUrl, { max: 1, onnotice: () => {} })
  const sql = postgres(stack.dbUrl, { max: 4, onnotice: () => {} })
  const [organization] = await sql<{ id: string }[]>`
    insert into public.organizations (name) values ('Benchmark') returning id`
  const organizationId = organization!.id
  return {
    admin,
    sql,
    organizationId,
    async endpoints(urls, options = {}) {
      await sql`delete from public.app_webhooks`
      for (const url of urls) {
        await sql`
          select public.create_webhook_endpoint(${organizationId}, ${url},
            ${
          sql.json({ event_types: ['bench.*'], ...options } as postgres.JSONValue)
        }, ${generateSecret()})`
      }
    },
    async emit(count) {
      const startedAt = performance.now()
      await sql`
        select private.emit_events(${organizationId}, array_agg('bench.created'::text), array_agg('order/' || i),
          array_agg(${sql.json(EVENT_DATA)}::jsonb || jsonb_build_object('n', i)))
        from generate_series(1, ${count}::int) as i`
      return performance.now() - startedAt
    },
    async hush() {
      await admin`update private.worker_wakes set awake_until = 'infinity' where worker = 'webhook-deliver'`
    },
    async wake() {
      await admin`update private.worker_wakes set awake_until = null, rung_at = null where worker = 'webhook-deliver'`
      await sql`select private.wake_worker('webhook-deliver')`
    },
    async empty() {
      await admin`truncate public.events, public.webhook_deliveries, private.webhook_queue, public.webhook_attempts`
      await admin`vacuum analyze private.webhook_queue`
    },
    async end() {
      await Promise.all([admin.end({ timeout: 1 }), sql.end({ timeout: 1 })])
    },
  }
}
