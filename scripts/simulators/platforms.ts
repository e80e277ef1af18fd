// Which outside platforms can be simulated here? One line each, in the order of their ports.
import { startAirtableSimulator } from './airtable.ts'
import { startDutchieSimulator } from './dutchie.ts'
import { startGmailSimulator } from './gmail.ts'
import { startHubSpotSimulator } from './hubspot.ts'
import { startJsonFeedSimulator } from './json-feed.ts'
import { startLeaflySimulator } from './leafly.ts'
import { startLinkedInSimulator } from './linkedin.ts'
import { startMailchimpSimulator } from './mailchimp.ts'
import { startSalesforceSimulator } from './salesforce.ts'
import { startShopifySimulator } from './shopify.ts'
import { startSlackSimulator } from './slack.ts'
import { startStripeSimulator } from './stripe.ts'
import { startTreezSimulator, type TreezSimulator } from './treez.ts'
import { startXSimulator } from './x.ts'

export type SimulatedPlatform = {
  /** Origin; for the feed, its whole address. */
  url: string
  /** What `CONNECTOR_OVERRIDES` takes; a feed has its address in the settings instead. */
  baseUrl?: string
  settings?: Record<string, unknown>
  /** What an owner types into the connect form. */
  credentials?: unknown
  /** Our app there, for `OAUTH_CLIENTS`: its owner signs in. */
  client?: { client_id: string; client_secret: string }
  stop(): Promise<unknown>
}

/** By slug. `port` 0 picks a free one. */
export const PLATFORMS: Record<string, (port: number) => Promise<SimulatedPlatform>> = {
  treez: (port) => startTreezSimulator({ port }).then(asPlatform),
  'json-feed': (port) => startJsonFeedSimulator({ port }),
  airtable: (port) => startAirtableSimulator({ port }),
  dutchie: (port) => startDutchieSimulator({ port }),
  gmail: (port) => startGmailSimulator({ port }),
  hubspot: (port) => startHubSpotSimulator({ port }),
  leafly: (port) => startLeaflySimulator({ port }),
  linkedin: (port) => startLinkedInSimulator({ port }),
  mailchimp: (port) => startMailchimpSimulator({ port }),
  salesforce: (port) => startSalesforceSimulator({ port }),
  shopify: (port) => startShopifySimulator({ port }),
  slack: (port) => startSlackSimulator({ port }),
  stripe: (port) => startStripeSimulator({ port }),
  x: (port) => startXSimulator({ port }),
}

/** Of its two sets of credentials the one that can be typed in. */
export function asPlatform(treez: TreezSimulator): SimulatedPlatform {
  return { ...treez, credentials: treez.credentials.v2 }
}

/** What the functions have to be told so that these connectors lead here. */
export function functionsEnvOf(platforms: Record<string, SimulatedPlatform>) {
  const entries = Object.entries(platforms)
  return {
    CONNECTOR_OVERRIDES: JSON.stringify(Object.fromEntries(
      entries.flatMap(([slug, { baseUrl }]) => baseUrl ? [[slug, { baseUrl }]] : []),
    )),
    OAUTH_CLIENTS: JSON.stringify(Object.fromEntries(
      entries.flatMap(([slug, { client }]) => client ? [[slug, client]] : []),
    )),
  }
}
