// Which connectors are there? One line each; a test compares this list with the folder.
import { airtable } from './airtable.ts'
import type { Connector } from './define-connector.ts'
import { jsonFeed } from './json-feed.ts'
import { linkedin } from './linkedin.ts'
import { treez } from './treez.ts'
import { x } from './x.ts'

export const connectors: readonly Connector[] = [
  airtable,
  jsonFeed,
  linkedin,
  treez,
  x,
]

export function findConnector(slug: string): Connector | undefined {
  return connectors.find((connector) => connector.slug === slug)
}
