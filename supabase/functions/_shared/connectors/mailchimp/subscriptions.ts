// How does Mailchimp come to send webhooks? By one of the audience, to an address that nobody else knows.
import { z } from 'zod'
import { AppError } from '../../platform/errors.ts'
import type { Subscriptions } from '../vocabulary/subscriptions.ts'

const PATH = '/lists/{list_id}/webhooks'
const NAME = 'members'

const SPEC = {
  events: {
    subscribe: true,
    unsubscribe: true,
    profile: true,
    cleaned: true,
    upemail: true,
    campaign: false,
  },
  // what was written by the API comes from us, or is found by the next sync
  sources: { user: true, admin: true, api: false },
}

const id = z.string().regex(/^[A-Za-z0-9]+$/)
const flags = (names: string[]) =>
  z.object(Object.fromEntries(names.map((name) => [name, z.boolean().default(false)])))
const List = z.object({ webhooks: z.array(z.unknown()) })
const Webhook = z.object({
  id,
  url: z.string(),
  events: flags(Object.keys(SPEC.events)),
  sources: flags(Object.keys(SPEC.sources)),
})
const Made = z.object({ id })

export const subscriptions: Subscriptions = {
  proof: 'address',
  // with a signing secret only signed webhooks are believed, and the API does not turn signing on
  wanted: ({ hasSecret }) => hasSecret ? [] : [{ name: NAME, spec: SPEC }],
  // the whole list comes at once
  list: () => ({ path: PATH }),
  readList(body) {
    const list = List.safeParse(body).data
    if (!list) throw badAnswer('without the webhooks of the audience')
    const webhooks = list.webhooks.flatMap((item) => Webhook.safeParse(item).data ?? [])
    return {
      subscriptions: webhooks.map(({ id, url, events, sources }) => ({
        id,
        address: url,
        name: NAME,
        spec: { events, sources },
        works: true,
        expires_at: null,
      })),
      next: null,
    }
  },
  create: (_, address) => ({ method: 'POST', path: PATH, json: { url: address, ...SPEC } }),
  readCreated(body) {
    const made = Made.safeParse(body).data
    if (!made) throw badAnswer('without the id of a new webhook')
    return { id: made.id, secret: null, expires_at: null }
  },
  remove: (id) => ({ method: 'DELETE', path: `${PATH}/${id}`, accept: [404] }),
}

const badAnswer = (how: string) =>
  new AppError('provider_bad_answer', { detail: `Mailchimp answered ${how}.` })
