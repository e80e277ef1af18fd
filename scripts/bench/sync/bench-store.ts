// The stack as the benchmark uses it: an organization, its integrations, and each way into Postgres.
import { createClient, type SupabaseClient } from '@supabase/supabase-js'
import postgres from 'postgres'
import type { Stack } from '../../stack/stack.ts'
import {
  dataApiDatabase,
  type Database,
  directDatabase,
} from '../../../supabase/functions/_shared/platform/database.ts'

export type Integration = { id: string; organization_id: string }

export type BenchStore = {
  /** The superuser: sets the scene, outside the clock. */
  admin: postgres.Sql
  /** supabase-js with the secret key. */
  supabase: SupabaseClient
  /** The product's two transports. */
  databases: { dataApi: Database; direct: Database }
  connect(account: {
    external_account_id: string
    credentials: Record<string, string>
  }): Promise<Integration>
  /** No products, and nothing that the last measurement leaves to the next one. */
  empty(): Promise<void>
  /** As autovacuum leaves the table before the next sync; here it must not come in between. */
  settle(): Promise<void>
  end(): Promise<void>
}

export async function openBench(stack: Stack): Promise<BenchStore> {
  const admin = postgres(stack.adminDbUrl, { max: 1, onnotice: () => {} })
  const supabase = createClient(stack.url, stack.secretKey, { auth: { persistSession: false } })
  const databases = {
    dataApi: dataApiDatabase(supabase),
    direct: directDatabase(stack.dbUrl),
  }
  // What people write without us needs rights on the table that our functions do not.
  await admin`grant select, insert, update on public.products to service_role`
  const [organization] = await admin<{ id: string }[]>`
    insert into public.organizations (name) values ('Benchmark') returning id`

  return {
    admin,
    supabase,
    databases,
    connect: ({ external_account_id, credentials }) =>
      databases.direct.call<Integration>('connect_integration', {
        p_organization_id: organization!.id,
        p_connector: 'treez',
        p_external_account_id: external_account_id,
        p_name: external_account_id,
        p_settings: { dispensary: external_account_id },
        p_credentials: credentials,
      }),
    async empty() {
      await admin`truncate public.products`
      await admin`checkpoint`
    },
    async settle() {
      await admin`vacuum (analyze) public.products`
    },
    async end() {
      await Promise.all([admin.end({ timeout: 1 }), databases.direct.end()])
    },
  }
}
