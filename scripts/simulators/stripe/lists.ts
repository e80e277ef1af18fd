// How does Stripe page its lists, and how does it say no?
import type { SimulatorAnswer } from '../parts/http-server.ts'

type Listed = { id: string; created: number }

/** Newest first. @throws when nobody knows `starting_after` */
export function listPage<Item extends Listed>(
  name: string,
  items: Item[],
  url: URL,
  shown: (item: Item) => object = (item) => item,
) {
  const query = url.searchParams
  const types = query.getAll('types[]')
  const since = Number(query.get('created[gte]') ?? 0)
  const asked = items.filter((item) =>
    item.created >= since &&
    (types.length === 0 || types.includes((item as Item & { type?: string }).type ?? ''))
  )
  const after = query.get('starting_after')
  const start = after === null ? 0 : asked.findIndex(({ id }) => id === after) + 1
  if (after !== null && start === 0) throw new Error('no such object')
  const end = start + Math.min(100, Number(query.get('limit') ?? 10))
  return {
    object: 'list',
    url: `/v1/${name}`,
    has_more: end < asked.length,
    data: asked.slice(start, end).map(shown),
  }
}

export function stripeError(
  status: number,
  error: { code?: string; param?: string; message: string },
): SimulatorAnswer {
  return { status, body: { error: { type: 'invalid_request_error', ...error } } }
}
