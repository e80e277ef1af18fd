import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ConnectorInfo } from '../../supabase/functions/_shared/contracts/connectors.ts'
import { connectorInfo } from '../../supabase/functions/_shared/connectors/connector-info.ts'
import type { Connector } from '../../supabase/functions/_shared/connectors/define-connector.ts'
import { connectors, findConnector } from '../../supabase/functions/_shared/connectors/index.ts'
import { RESERVED_SLUGS } from '../../supabase/functions/_shared/connectors/reserved-slugs.ts'
import type { Pagination } from '../../supabase/functions/_shared/connectors/vocabulary/paging.ts'
import { conformance, type ConnectorFixture } from './conformance.ts'
import { type SampleAuth, sampleConnector } from './sample-connectors.ts'

const isConnector = (value: unknown): value is Connector =>
  typeof value === 'object' && value !== null && 'readAccount' in value

const FOLDER = join(import.meta.dirname, '../../supabase/functions/_shared/connectors')

describe('the registry', () => {
  it('lists every connector in the folder', async () => {
    const found: string[] = []
    for (
      const file of readdirSync(FOLDER).filter((name) =>
        name.endsWith('.ts') && name !== 'index.ts'
      )
    ) {
      const exported = Object.values(await import(join(FOLDER, file)) as Record<string, unknown>)
      found.push(...exported.filter(isConnector).map(({ slug }) => slug))
    }

    expect(connectors.map(({ slug }) => slug), 'add the missing line to connectors/index.ts')
      .toEqual(found.sort())
  })

  it.each(connectors.map(({ slug }) => slug))(
    '%s has a file and a test of its name that runs this suite',
    (slug) => {
      expect(readdirSync(FOLDER)).toContain(`${slug}.ts`)
      expect(readFileSync(join(import.meta.dirname, `${slug}.test.ts`), 'utf8')).toMatch(
        /^conformance\(/m,
      )
    },
  )

  it('leaves the first words of our own addresses for webhooks to themselves', () => {
    const slugs = connectors.map(({ slug }) => slug)

    expect(RESERVED_SLUGS).toEqual(expect.arrayContaining(['apps', 'work']))
    expect(slugs.filter((slug) => RESERVED_SLUGS.includes(slug))).toEqual([])
  })

  it('finds a connector by its slug and nothing by another', () => {
    expect(findConnector('treez')?.slug).toBe('treez')
    expect(findConnector('constructor')).toBeUndefined()
  })

  it.each(connectors)('$slug can be a row of the catalog', (connector) => {
    const entry = ConnectorInfo.omit({ available: true }).strict()

    expect(entry.parse(connectorInfo(connector))).toMatchObject({ slug: connector.slug })
  })

  it('says of a connector that it hears of changes by webhooks', () => {
    const connector = sampleConnector({ type: 'none' })
    const { webhooks } = findConnector('treez')!

    expect(connectorInfo({ ...connector, webhooks }).capabilities)
      .toEqual(['sync_in:products', 'incremental:products', 'webhooks'])
    expect(connectorInfo(connector).capabilities)
      .toEqual(['sync_in:products', 'incremental:products'])
  })

  it.each(connectors)('$slug asks for the credentials that its settings call for', (connector) => {
    const { settings_schema, credentials_schema, auth_types } = connectorInfo(connector)
    const { properties } = settings_schema as { properties: Record<string, { enum?: string[] }> }
    const branches = credentials_schema['oneOf'] as
      | { 'x-when': Record<string, string> }[]
      | undefined

    const { modeSetting } = connector
    expect(branches?.map((branch) => branch['x-when'])).toEqual(
      modeSetting === null
        ? undefined
        : properties[modeSetting]?.enum?.map((value) => ({ [modeSetting]: value })),
    )
    expect(auth_types).toEqual([...new Set(Object.values(connector.modes).map(({ type }) => type))])
  })
})

// Every word of the vocabulary runs the same suite, whether a registered connector uses it or not.

type Place = { page: number; last: boolean; total: number }
const key = 'a-secret-of-acme'

function fixture(
  paging: (place: Place) => unknown,
  more: Partial<ConnectorFixture> = {},
): ConnectorFixture {
  const pages = [[{ id: 'a', title: 'Stool' }, { id: 'b', title: 'Lamp' }], [{
    id: 'c',
    title: 'Tray',
  }]]
  return {
    settings: { shop: 'north' },
    credentials: { key },
    streams: {
      products: {
        pages,
        body: (records, place) => ({ products: records, paging: paging(place) }),
        synced: pages.flat().map(({ id, title }) => ({
          source_id: id,
          source_updated_at: null,
          columns: {
            name: title,
            description: null,
            brand: null,
            category: null,
            sku: null,
            status: 'active',
            price_amount: null,
            price_currency: null,
            price_tiers: [],
            variants: [],
            image_urls: [],
            stock_quantity: null,
          },
        })),
        required: 'title',
        wrongType: { path: 'title', value: 7 },
      },
    },
    ...more,
  }
}

const samples: [Pagination, (place: Place) => unknown, string?][] = [
  [{ type: 'page', param: 'page', sizeParam: 'limit', size: 2, first: 0 }, () => ({})],
  [{ type: 'offset', param: 'offset', sizeParam: 'limit', size: 2 }, () => ({})],
  [
    { type: 'offset', param: 'offset', sizeParam: 'limit', size: 50 },
    ({ total }) => ({ total }),
    'paging.total',
  ],
  [
    { type: 'cursor', param: 'after', next: 'paging.next' },
    ({ page, last }) => ({ next: last ? null : `place-${page + 1}` }),
  ],
  [
    { type: 'link', next: 'paging.next' },
    ({ page, last }) => ({
      next: last ? '' : `https://north.acme.example/v1/products?p=${page + 1}`,
    }),
  ],
]
for (const [pagination, paging, total] of samples) {
  conformance(sampleConnector(pagination, 'header', total), fixture(paging), total)
}

const cursor: Pagination = { type: 'cursor', param: 'after', next: 'paging.next' }
const cursorPaging = ({ page, last }: Place) => ({ next: last ? null : `place-${page + 1}` })
for (const auth of ['query', 'basic'] satisfies SampleAuth[]) {
  conformance(sampleConnector(cursor, auth), fixture(cursorPaging))
}
conformance(
  sampleConnector(cursor, 'oauth2'),
  fixture(cursorPaging, {
    credentials: {},
    token: { access_token: 'from-the-owner' },
  }),
)
