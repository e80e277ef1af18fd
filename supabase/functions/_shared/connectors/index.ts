// Which connectors are there? One line each; a test compares this list with the folder.
import { airtable } from './airtable.ts'
import type { Connector } from './define-connector.ts'
import { dutchie } from './dutchie.ts'
import { hubspot } from './hubspot.ts'
import { jsonFeed } from './json-feed.ts'
import { mailchimp } from './mailchimp.ts'
import { salesforce } from './salesforce.ts'
import { shopify } from './shopify.ts'
import { stripe } from './stripe.ts'
import { treez } from './treez.ts'

export const connectors: readonly Connector[] = [
  airtable,
  dutchie,
  hubspot,
  jsonFeed,
  mailchimp,
  salesforce,
  shopify,
  stripe,
  treez,
]

export function findConnector(slug: string): Connector | undefined {
  return connectors.find((connector) => connector.slug === slug)
}
