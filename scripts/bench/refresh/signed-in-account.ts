// An account whose owner has signed in at a simulated Airtable, in a stack of its own, for processes to share.
import { browser } from '../../simulators/parts/oauth/browser.ts'
import { AIRTABLE_CLIENT, startAirtableSimulator } from '../../simulators/airtable.ts'
import type { Stack } from '../../stack/stack.ts'
import postgres from 'postgres'
import { beginSignIn } from '../../../supabase/functions/_shared/oauth/begin-sign-in.ts'
import { finishSignIn } from '../../../supabase/functions/_shared/oauth/finish-sign-in.ts'
import { systemClock } from '../../../supabase/functions/_shared/platform/clock.ts'
import { directDatabase } from '../../../supabase/functions/_shared/platform/database.ts'
import { createLog } from '../../../supabase/functions/_shared/platform/log.ts'
import type { Outside } from '../../../supabase/functions/_shared/platform/outside.ts'
import type { CallerSetup } from './caller.ts'

const RETURN_URL = 'http://127.0.0.1:3999/'

export type SignedInAccount = {
  setup: CallerSetup
  airtable: Awaited<ReturnType<typeof startAirtableSimulator>>
  /** Lets the token end now, as an hour would. */
  expire(): Promise<void>
  /** Lets the lease of a refresh end now, as a minute would. */
  endLease(): Promise<void>
  admin: postgres.Sql
  stop(): Promise<void>
}

export async function signedInAccount(
  stack: Pick<Stack, 'adminDbUrl' | 'dbUrl'>,
): Promise<SignedInAccount> {
  const airtable = await startAirtableSimulator({ people: 1, items: 1, requestsPerSecond: 0 })
  const admin = postgres(stack.adminDbUrl, { max: 2, onnotice: () => {} })
  const environment: Outside['environment'] = {
    SUPABASE_URL: 'http://127.0.0.1:54321',
    CONNECTOR_OVERRIDES: { airtable: { baseUrl: airtable.url } },
    OAUTH_CLIENTS: { airtable: AIRTABLE_CLIENT },
    PLUGBOARD_ALLOW_PRIVATE_NETWORKS: true,
    PLUGBOARD_RETURN_URLS: [RETURN_URL],
  }
  const db = directDatabase(stack.dbUrl)
  const outside = { db, environment, log: createLog({}, () => {}), clock: systemClock }
  const [organization] = await admin`
    insert into public.organizations (name) values ('Refreshes') returning id`
  const { authorization_url } = await beginSignIn(outside, {
    organization_id: organization!.id,
    connector: 'airtable',
    settings: airtable.settings,
    return_url: RETURN_URL,
    finish_in: 'app',
  }, null)
  const page = await browser().authorize(authorization_url, { stopAt: RETURN_URL })
  const { integration, error } = await finishSignIn(outside, new URL(page.url).searchParams, {
    user_id: null,
  })
  if (!integration) throw error
  return {
    setup: { databaseUrl: stack.dbUrl, integrationId: integration.id, environment },
    airtable,
    async expire() {
      await admin`
        update private.integration_credentials set token_expires_at = now()
        where integration_id = ${integration.id}`
    },
    async endLease() {
      await admin`
        update private.oauth_grants
        set refresh_lease_expires_at = now(), next_refresh_at = next_refresh_at - interval '1 minute'
        where integration_id = ${integration.id} and refresh_lease_token is not null`
    },
    admin,
    async stop() {
      await Promise.all([db.end(), admin.end({ timeout: 1 }), airtable.stop()])
    },
  }
}
