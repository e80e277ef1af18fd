// How does Stripe come to send webhooks? By an endpoint of the account, whose signing secret is shown once.
import { z } from 'zod'
import { AppError } from '../../platform/errors.ts'
import type { PlatformCall } from '../vocabulary/platform-call.ts'
import type { ListedSubscription, Subscriptions } from '../vocabulary/subscriptions.ts'

const Endpoint = z.object({
  id: z.string().regex(/^we_[A-Za-z0-9]+$/),
  url: z.string(),
  enabled_events: z.array(z.string()),
  api_version: z.string().nullish(),
  status: z.string(),
})
const Page = z.object({ data: z.array(z.unknown()), has_more: z.boolean() })
const Made = Endpoint.pick({ id: true }).extend({ secret: z.string().min(1) })

const NAME = 'events'

/**
 * @param apiVersion The one that events are to be written in.
 * @param events The types that are sent.
 */
export function subscriptions(apiVersion: string, events: string[]): Subscriptions {
  const headers = { 'stripe-version': apiVersion }
  const spec = { api_version: apiVersion, events: events.toSorted() }
  const at = (path = '', call: Partial<PlatformCall> = {}): PlatformCall => ({
    ...call,
    path: `/webhook_endpoints${path}`,
    headers,
  })
  return {
    proof: 'shown-once',
    wanted: () => [{ name: NAME, spec }],
    list: (after) =>
      at('', { query: { limit: '100', ...(after === null ? {} : { starting_after: after }) } }),
    readList(body) {
      const page = Page.safeParse(body).data
      if (!page) throw badAnswer('without its webhook endpoints')
      const endpoints = page.data.flatMap((item) => Endpoint.safeParse(item).data ?? [])
      return {
        subscriptions: endpoints.map(listed),
        next: page.has_more ? endpoints.at(-1)?.id ?? null : null,
      }
    },
    create: (_, address) =>
      at('', {
        method: 'POST',
        form: {
          url: address,
          api_version: apiVersion,
          description: 'Tells Plugboard what changed.',
          ...Object.fromEntries(
            spec.events.map((event, index) => [`enabled_events[${index}]`, event]),
          ),
        },
      }),
    readCreated(body) {
      const made = Made.safeParse(body).data
      if (!made) throw badAnswer('without the secret of a new webhook endpoint')
      return { id: made.id, secret: made.secret, expires_at: null }
    },
    remove: (id) => at(`/${id}`, { method: 'DELETE', accept: [404] }),
  }
}

const listed = (
  { id, url, enabled_events, api_version, status }: z.output<typeof Endpoint>,
): ListedSubscription => ({
  id,
  address: url,
  name: NAME,
  spec: { api_version: api_version ?? null, events: enabled_events.toSorted() },
  works: status === 'enabled',
  expires_at: null,
})

const badAnswer = (how: string) =>
  new AppError('provider_bad_answer', { detail: `Stripe answered ${how}.` })
