// How does a person use Plugboard? Signed up through the real Auth, with the client library in hand.
import { randomUUID } from 'node:crypto'
import { createClient, type SupabaseClient } from '@supabase/supabase-js'
import type { TreezSimulator } from '../../scripts/simulators/treez.ts'
import { createPlugboard, type Integration, type Plugboard, type Result } from '../../src/index.ts'
import { sharedStack } from './shared-stack.ts'

export type Shop = {
  supabase: SupabaseClient
  plugboard: Plugboard
  userId: string
  organizationId: string
  /** Connects a store; `settings` and `credentials` replace those of API v2. */
  connect(
    store: TreezSimulator,
    options?: { name?: string; settings?: Record<string, unknown>; credentials?: object },
  ): Promise<Integration>
  /** Syncs products to the end and answers the run's log. */
  sync(integrationId: string, mode?: 'full' | 'incremental'): Promise<SyncOutcome>
}

type SyncOutcome = Awaited<ReturnType<Plugboard['syncs']['get']>> extends Result<infer Log> ? Log
  : never

/** Signs somebody up who opens an organization. */
export async function openShop(name = 'Green Leaf'): Promise<Shop> {
  const { url, publishableKey } = sharedStack
  const supabase = createClient(url, publishableKey, {
    auth: { persistSession: false, autoRefreshToken: false },
  })
  const { data, error } = await supabase.auth.signUp({
    email: `${randomUUID()}@example.com`,
    password: randomUUID(),
  })
  if (error) throw error
  const plugboard = createPlugboard(supabase)
  const { id: organizationId } = good(await plugboard.organizations.create({ name }))
  return {
    supabase,
    plugboard,
    userId: data.user!.id,
    organizationId,
    connect: async (store, options = {}) =>
      good(
        await plugboard.integrations.connect({
          organization_id: organizationId,
          connector: 'treez',
          settings: { ...store.settings, ...options.settings },
          credentials: { ...(options.credentials ?? store.credentials.v2) },
          ...(options.name ? { name: options.name } : {}),
        }),
      ),
    async sync(integration_id, mode) {
      const run = good(
        await plugboard.syncs.start({
          integration_id,
          stream: 'products',
          ...(mode ? { mode } : {}),
        }),
      )
      return good(await plugboard.syncs.watch(run.sync_log_id, { intervalMs: 100 }))
    },
  }
}

/** The data, or the error thrown. */
export function good<Data>(result: Result<Data>): Data {
  if (result.error) throw result.error
  return result.data
}
