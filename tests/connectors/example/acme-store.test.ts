import { acmeStore } from './acme-store.ts'
import { conformance } from '../conformance.ts'

const stool = { id: 'p1', title: 'Oak stool', price: 49.5, updated_at: '2026-11-20T09:00:00Z' }
const lamp = { id: 'p2', title: 'Lamp', price: null, updated_at: '2026-11-20T09:00:00Z' }
const columns = {
  name: 'Oak stool',
  description: null,
  brand: null,
  category: null,
  sku: null,
  status: 'active' as const,
  price_amount: '49.5',
  price_currency: 'EUR',
  price_tiers: [],
  variants: [],
  image_urls: [],
  stock_quantity: null,
}
const source_updated_at = '2026-11-20T09:00:00.000Z'

conformance(acmeStore, {
  settings: { shop: 'north' },
  credentials: { api_key: 'secret-of-north' },
  streams: {
    products: {
      pages: [[stool], [lamp]],
      body: (records, { page, last }) => ({
        data: records,
        paging: { next: last ? null : `place-${page + 1}` },
      }),
      synced: [
        { source_id: 'p1', source_updated_at, columns },
        {
          source_id: 'p2',
          source_updated_at,
          columns: { ...columns, name: 'Lamp', price_amount: null },
        },
      ],
      required: 'title',
      wrongType: { path: 'price', value: 'a lot' },
    },
  },
})
