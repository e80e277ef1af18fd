// How does a test sign in and disconnect with the engine in its own process? As our app at one platform.
import { expect } from 'vitest'
import { type Authorization, browser } from '../../scripts/simulators/parts/oauth/browser.ts'
import { disconnectIntegration } from '../../supabase/functions/_shared/integrations/disconnect-integration.ts'
import { beginSignIn } from '../../supabase/functions/_shared/oauth/begin-sign-in.ts'
import {
  type FinishedSignIn,
  finishSignIn,
} from '../../supabase/functions/_shared/oauth/finish-sign-in.ts'
import type { Outside } from '../../supabase/functions/_shared/platform/outside.ts'
import { testEnvironment } from './environment.ts'
import type { FaultStack } from './fault-stack.ts'

export type SigningIn = {
  /** Default: a new one. */
  organization_id?: string
  /** Connects this one again. */
  integration_id?: string
  /** Who signs in; default is whom the consent page suggests. */
  account?: string
  /** What they press; default: allow. */
  decision?: Authorization['decision']
  /** Changes the authorization response on its way. */
  change?(answer: URLSearchParams): void
  /** The engine that finishes it. */
  by?: Outside
}

export function ourApp({ admin, outside: engine }: FaultStack) {
  return {
    /** An engine that knows our app at a platform, and sign-ins there. */
    appOf(
      connector: string,
      platform: {
        baseUrl: string
        client: { client_id: string; client_secret: string }
        settings?: Record<string, unknown>
      },
    ) {
      const return_url = 'http://127.0.0.1:3999/accounts'
      const outside = engine({
        environment: testEnvironment({
          CONNECTOR_OVERRIDES: { [connector]: { baseUrl: platform.baseUrl } },
          OAUTH_CLIENTS: { [connector]: platform.client },
          PLUGBOARD_RETURN_URLS: [return_url],
        }),
      })
      const signIn = async (
        { organization_id, integration_id, account, decision, change, by = outside }: SigningIn =
          {},
      ): Promise<FinishedSignIn> => {
        const begun = await beginSignIn(outside, {
          organization_id: organization_id ?? await anOrganization(admin),
          ...(integration_id === undefined ? {} : { integration_id }),
          connector,
          settings: platform.settings ?? {},
          return_url,
          finish_in: 'app',
        }, null)
        const landed = await browser().authorize(begun.authorization_url, {
          stopAt: return_url,
          ...(account === undefined ? {} : { account }),
          ...(decision === undefined ? {} : { decision }),
        })
        const answer = new URL(landed.url).searchParams
        change?.(answer)
        return await finishSignIn(by, answer, { user_id: null })
      }
      return { outside, signIn }
    },
    /** Disconnects, and answers what the activity log says of it. */
    async disconnect(outside: Outside, integration_id: string) {
      const { status } = await disconnectIntegration(outside, { integration_id }, null)
      expect(status).toBe('disconnected')
      return await admin`
        select detail from public.activity_logs
        where subject_id = ${integration_id} and action = 'integration.disconnected'
        order by created_at`
    },
  }
}

async function anOrganization(admin: FaultStack['admin']): Promise<string> {
  const [organization] = await admin`
    insert into public.organizations (name) values ('Accounts') returning id`
  return organization!['id']
}
