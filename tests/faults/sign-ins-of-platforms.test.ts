// Every platform bends OAuth in its own way: does the one engine get in, renew, say no and know the account again at each?
import { describe, expect, it, onTestFinished } from 'vitest'
import { startAirtableSimulator } from '../../scripts/simulators/airtable.ts'
import { startGmailSimulator } from '../../scripts/simulators/gmail.ts'
import { startHubSpotSimulator } from '../../scripts/simulators/hubspot.ts'
import { startLinkedInSimulator } from '../../scripts/simulators/linkedin.ts'
import { startMailchimpSimulator } from '../../scripts/simulators/mailchimp.ts'
import type { OAuthServer } from '../../scripts/simulators/parts/oauth-server.ts'
import { startSalesforceSimulator } from '../../scripts/simulators/salesforce.ts'
import { startShopifySimulator } from '../../scripts/simulators/shopify.ts'
import { startSlackSimulator } from '../../scripts/simulators/slack.ts'
import { startXSimulator } from '../../scripts/simulators/x.ts'
import { connectors } from '../../supabase/functions/_shared/connectors/index.ts'
import { checkIntegration } from '../../supabase/functions/_shared/integrations/check-integration.ts'
import type { Outside } from '../../supabase/functions/_shared/platform/outside.ts'
import { startFaultStack } from '../support/fault-stack.ts'
import { ourApp } from '../support/our-app.ts'

const faulty = await startFaultStack({ functions: false })
const { appOf } = ourApp(faulty)

type Platform = Parameters<ReturnType<typeof ourApp>['appOf']>[1] & {
  oauth: OAuthServer
  stop(): Promise<void>
}

const STARTS: Record<string, () => Promise<Platform>> = {
  airtable: startAirtableSimulator,
  gmail: startGmailSimulator,
  hubspot: startHubSpotSimulator,
  linkedin: () => startLinkedInSimulator({ refreshTokens: true }),
  mailchimp: startMailchimpSimulator,
  salesforce: startSalesforceSimulator,
  shopify: startShopifySimulator,
  slack: startSlackSimulator,
  x: startXSimulator,
}

/** Their tokens end with the grant. */
const WITHOUT_END = new Set(['mailchimp', 'slack'])

async function at(connector: string) {
  const platform = await STARTS[connector]!()
  onTestFinished(platform.stop)
  const { outside, signIn } = appOf(connector, platform)
  return {
    platform,
    outside,
    signIn,
    check: (id: string) => checkIntegration(outside, id),
    /** Lets the token that is held end now. */
    end: async (id: string) => {
      await faulty.admin`
        update private.integration_credentials set token_expires_at = now() where integration_id = ${id}`
      await faulty.admin`delete from private.request_budgets`
    },
  }
}

it('every connector whose owner signs in is tried here', () => {
  const signingIn = connectors
    .filter(({ modes }) => Object.values(modes).some(({ type }) => type === 'oauth2'))
    .map(({ slug }) => slug)

  expect(signingIn.toSorted()).toEqual(Object.keys(STARTS).toSorted())
})

describe.each(Object.keys(STARTS))('at %s', (connector) => {
  it('a sign-in connects the account, another one finds it again, and one that is denied changes nothing', async () => {
    const { signIn, check } = await at(connector)
    const { integration } = await signIn()
    const { id, organization_id } = integration!

    const denied = await signIn({ organization_id, decision: 'deny' })
    const afterDenied = await check(id)
    const again = await signIn({ organization_id })

    expect(integration).toMatchObject({ status: 'connected' })
    expect(denied.error).toMatchObject({ code: 'oauth_denied' })
    expect(afterDenied).toMatchObject({ status: 'healthy' })
    expect(again.integration).toMatchObject({ id, status: 'connected' })
    expect(await check(id)).toMatchObject({ status: 'healthy' })
  })

  it.skipIf(WITHOUT_END.has(connector))(
    'a token that ends is renewed as often as it takes, until the owner takes our app off the list',
    async () => {
      const { platform: { oauth }, signIn, check, end } = await at(connector)
      const { id } = (await signIn()).integration!

      const checks = []
      for (let time = 0; time < 3; time++) {
        await end(id)
        checks.push((await check(id)).status)
      }
      oauth.control.revokeGrants()
      await end(id)
      const revoked = await check(id)

      expect(checks).toEqual(['healthy', 'healthy', 'healthy'])
      expect(oauth.control.counters()).toMatchObject({ refreshes_granted: 3 })
      expect(revoked).toMatchObject({
        status: 'unhealthy',
        error: { code: 'reconnect_required', next: 'owner' },
      })
      const [row] = await faulty.admin`select status from public.integrations where id = ${id}`
      expect(row).toEqual({ status: 'needs_reconnect' })
    },
  )
})

describe('signing in again', () => {
  it('leaves the account connected, whatever a check says that began with the access before', async () => {
    const { platform, outside, signIn, check, end } = await at('x')
    const { id, organization_id } = (await signIn()).integration!
    await end(id)
    platform.oauth.control.revokeGrants()
    const slow: Outside = {
      ...outside,
      async fetch(input, init) {
        const answer = await fetch(input, init)
        if (String(input).endsWith('/oauth2/token')) await signIn({ organization_id })
        return answer
      },
    }

    const late = await checkIntegration(slow, id)
    const [row] = await faulty.admin`
      select status, last_error from public.integrations where id = ${id}`

    expect(late).toMatchObject({ status: 'unhealthy', error: { code: 'reconnect_required' } })
    expect(row).toEqual({ status: 'connected', last_error: null })
    expect(await check(id)).toMatchObject({ status: 'healthy' })
  })

  it('as somebody else is refused, and leaves the account as it was', async () => {
    const { platform, signIn, check } = await at('x')
    const { id, organization_id } = (await signIn()).integration!
    const other: Parameters<typeof signIn>[0] = {
      organization_id,
      integration_id: id,
      account: 'fieldnotes',
    }

    const refused = await signIn(other)
    const own = await signIn({ ...other, account: 'acme' })

    expect(platform.oauth.control.counters()).toMatchObject({ codes_exchanged: 3 })
    expect(refused.error).toMatchObject({ code: 'oauth_account_mismatch' })
    expect(own.integration).toMatchObject({ id, account: { username: 'acme' } })
    expect(await check(id)).toMatchObject({ status: 'healthy' })
  })
})
