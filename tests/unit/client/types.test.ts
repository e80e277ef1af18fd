import { createClient } from '@supabase/supabase-js'
import { describe, expectTypeOf, it } from 'vitest'
import {
  type AppInstance,
  type ConnectorInfo,
  createPlugboard,
  type Database,
  type Event,
  type EventTypeInfo,
  type Integration,
  type Member,
  type Organization,
  PlugboardError,
  type SyncConflict,
  type SyncError,
  type SyncLog,
  type SyncResult,
  type SyncStream,
  type WebhookAttempt,
  type WebhookDelivery,
  type WebhookEndpoint,
} from '../../../src/index.ts'
import { fakeSupabase, json } from './fake-supabase.ts'

type Row<Table extends keyof Database['public']['Tables']> =
  Database['public']['Tables'][Table]['Row']

// Checked by tsc; what runs here only has to run.
describe('the types', () => {
  const { supabase } = fakeSupabase(json([]))
  const plugboard = createPlugboard(supabase)

  it('know the data once the error is handled, and the other way round', async () => {
    const answer = await plugboard.integrations.list()

    expectTypeOf(answer.data).toEqualTypeOf<Integration[] | null>()
    if (answer.error) {
      expectTypeOf(answer.error).toEqualTypeOf<PlugboardError>()
      expectTypeOf(answer.data).toEqualTypeOf<null>()
    } else {
      expectTypeOf(answer.data).toEqualTypeOf<Integration[]>()
    }
  })

  it('narrow destructured answers too', async () => {
    const { data, error } = await plugboard.syncs.list()
    if (error) throw error

    expectTypeOf(data).toEqualTypeOf<SyncLog[]>()
  })

  it('take a run’s result for what the contract says', () => {
    type Started = Awaited<ReturnType<typeof plugboard.syncs.start>>

    expectTypeOf<NonNullable<Started['data']>>().toEqualTypeOf<SyncResult>()
  })

  it('know every code, and no others', () => {
    expectTypeOf<'mass_delete_held'>().toExtend<PlugboardError['code']>()
    expectTypeOf<'network_error'>().toExtend<PlugboardError['code']>()
    expectTypeOf<'no_such_code'>().not.toExtend<PlugboardError['code']>()
  })

  it('accept the page before’s last row as the place to go on', () => {
    type Query = NonNullable<Parameters<typeof plugboard.syncs.list>[0]>

    expectTypeOf<SyncLog>().toExtend<NonNullable<Query['before']>>()
    expectTypeOf<Member>().not.toExtend<NonNullable<Query['before']>>()
    type Deliveries = NonNullable<Parameters<typeof plugboard.webhooks.deliveries.list>[0]>
    expectTypeOf<WebhookDelivery>().toExtend<NonNullable<Deliveries['before']>>()
  })

  it('accept clients of any database and schema', () => {
    type Other = {
      public: Database['public']
      shop: {
        Tables: Record<never, never>
        Views: Record<never, never>
        Functions: Record<never, never>
      }
    }
    const options = { auth: { persistSession: false } }
    const url = 'https://project.supabase.example'

    createPlugboard(createClient(url, 'key', options))
    createPlugboard(createClient<Database>(url, 'key', options))
    createPlugboard(createClient<Other, 'shop'>(url, 'key', { ...options, db: { schema: 'shop' } }))
  })

  it('ask only for columns that the tables have', () => {
    expectTypeOf<keyof Integration>().toExtend<keyof Row<'integrations'>>()
    expectTypeOf<keyof SyncLog>().toExtend<keyof Row<'sync_logs'>>()
    expectTypeOf<keyof SyncError>().toExtend<keyof Row<'sync_errors'>>()
    expectTypeOf<keyof ConnectorInfo>().toExtend<keyof Row<'connectors'>>()
    expectTypeOf<keyof Organization>().toExtend<keyof Row<'organizations'>>()
    expectTypeOf<keyof Member>().toExtend<keyof Row<'organization_members'>>()
    expectTypeOf<keyof SyncConflict>().toExtend<keyof Row<'sync_conflicts'>>()
    expectTypeOf<keyof SyncStream>().toExtend<keyof Row<'sync_streams'>>()
    expectTypeOf<keyof Event>().toExtend<keyof Row<'events'>>()
    expectTypeOf<keyof EventTypeInfo>().toExtend<keyof Row<'event_types'>>()
    expectTypeOf<keyof WebhookEndpoint>().toExtend<keyof Row<'app_webhooks'>>()
    expectTypeOf<keyof AppInstance>().toExtend<keyof Row<'app_instances'>>()
    expectTypeOf<keyof WebhookDelivery>().toExtend<keyof Row<'webhook_deliveries'>>()
    expectTypeOf<keyof WebhookAttempt>().toExtend<keyof Row<'webhook_attempts'>>()
  })
})
