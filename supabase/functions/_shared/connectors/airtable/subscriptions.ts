// How does Airtable come to send webhooks? By one of the base, which ends after 7 days and shows its secret once.
import { z } from 'zod'
import { AppError } from '../../platform/errors.ts'
import type { Subscriptions } from '../vocabulary/subscriptions.ts'
import { timestamp } from '../vocabulary/timestamp.ts'

const PATH = '/bases/{base_id}/webhooks'
const NAME = 'rows'

/** Changes of rows and cells of any table; what concerns no table we sync is left out when it is read. */
const SPECIFICATION = { options: { filters: { dataTypes: ['tableData'] } } }

const id = z.string().regex(/^ach[A-Za-z0-9]+$/)
const List = z.object({ webhooks: z.array(z.unknown()) })
const Webhook = z.object({
  id,
  notificationUrl: z.string().nullish(),
  expirationTime: timestamp.nullish(),
  areNotificationsEnabled: z.boolean().default(true),
  isHookEnabled: z.boolean().default(true),
  specification: z.unknown(),
})
const Made = z.object({
  id,
  macSecretBase64: z.string().min(1),
  expirationTime: timestamp.nullish(),
})
const Renewed = z.object({ expirationTime: timestamp })

export const subscriptions: Subscriptions = {
  proof: 'shown-once',
  wanted: () => [{ name: NAME, spec: SPECIFICATION }],
  list: () => ({ path: PATH }),
  readList(body) {
    const list = List.safeParse(body).data
    if (!list) throw badAnswer('without the webhooks of the base')
    const webhooks = list.webhooks.flatMap((item) => Webhook.safeParse(item).data ?? [])
    return {
      subscriptions: webhooks.map((webhook) => ({
        id: webhook.id,
        address: webhook.notificationUrl ?? '',
        name: NAME,
        spec: webhook.specification,
        works: webhook.areNotificationsEnabled && webhook.isHookEnabled,
        expires_at: webhook.expirationTime ?? null,
      })),
      next: null,
    }
  },
  create: ({ spec }, address) => ({
    method: 'POST',
    path: PATH,
    json: { notificationUrl: address, specification: spec },
  }),
  readCreated(body) {
    const made = Made.safeParse(body).data
    if (!made) throw badAnswer('without the secret of a new webhook')
    return {
      id: made.id,
      secret: made.macSecretBase64,
      expires_at: made.expirationTime ?? null,
    }
  },
  renewal: {
    call: (id) => ({ method: 'POST', path: `${PATH}/${id}/refresh` }),
    expiresAt(body) {
      const renewed = Renewed.safeParse(body).data
      if (!renewed) throw badAnswer('without the time a webhook ends')
      return renewed.expirationTime
    },
  },
  remove: (id) => ({ method: 'DELETE', path: `${PATH}/${id}`, accept: [404] }),
}

const badAnswer = (how: string) =>
  new AppError('provider_bad_answer', { detail: `Airtable answered ${how}.` })
