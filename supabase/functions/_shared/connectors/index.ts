// Which connectors are there? One line each; a test compares this list with the folder.
import { airtable } from './airtable.ts'
import type { Connector } from './define-connector.ts'
import { dutchie } from './dutchie.ts'
import { gmail } from './gmail.ts'
import { hubspot } from './hubspot.ts'
import { jsonFeed } from './json-feed.ts'
import { leafly } from './leafly.ts'
import { linkedin } from './linkedin.ts'
import { mailchimp } from './mailchimp.ts'
import { salesforce } from './salesforce.ts'
import { shopify } from './shopify.ts'
import { slack } from './slack.ts'
import { stripe } from './stripe.ts'
import { treez } from './treez.ts'
import { x } from './x.ts'

export const connectors: readonly Connector[] = [
  airtable,
  dutchie,
  gmail,
  hubspot,
  jsonFeed,
  leafly,
  linkedin,
  mailchimp,
  salesforce,
  shopify,
  slack,
  stripe,
  treez,
  x,
]

export function findConnector(slug: string): Connector | undefined {
  return connectors.find((connector) => connector.slug === slug)
}
