// How does HubSpot come to send webhooks? By the app's one target URL, and what the app is told of every account.
import { z } from 'zod'
import { AppError } from '../../platform/errors.ts'
import type { AppSubscriptions } from '../vocabulary/app-subscriptions.ts'
import { queryKey } from '../vocabulary/auth.ts'
import type { PlatformCall } from '../vocabulary/platform-call.ts'
import { SYNCED_PROPERTIES } from './read-contacts.ts'

const EVENTS = [
  'contact.creation',
  'contact.deletion',
  'contact.privacyDeletion',
  'contact.merge',
  'contact.restore',
]
const PROPERTY_CHANGE = 'contact.propertyChange'
/** There is no more than one, and it has no number. */
const SETTINGS_ID = 'settings'

const Settings = z.object({ targetUrl: z.string() })
const Subscription = z.object({
  id: z.union([z.int(), z.string().min(1)]).transform(String),
  eventType: z.string(),
  propertyName: z.string().nullish(),
  active: z.boolean(),
})
const List = z.object({ results: z.array(z.unknown()) })

const settingsCall = (call: Partial<PlatformCall> = {}): PlatformCall => ({
  ...call,
  path: '/webhooks/v3/{app_id}/settings',
})
const subscriptionsCall = (path = '', call: Partial<PlatformCall> = {}): PlatformCall => ({
  ...call,
  path: `/webhooks/v3/{app_id}/subscriptions${path}`,
})

export const appSubscriptions: AppSubscriptions = {
  secrets: ['client_secret', 'app_id', 'developer_key'],
  auth: queryKey({
    settings: z.object({}),
    credentials: z.object({ developer_key: z.string() }),
    name: 'hapikey',
    value: ({ credentials }) => credentials.developer_key,
  }),
  isOfApp: ({ auth }) => auth === 'oauth',
  webhook: {
    isOnlyOne: true,
    list: () => settingsCall({ accept: [404] }), // none was ever set
    readList({ status, body }) {
      if (status === 404) return { webhooks: [], next: null }
      const { targetUrl } = read(Settings, body, 'the settings of the app’s webhooks')
      return { webhooks: [{ id: SETTINGS_ID, address: targetUrl, works: true }], next: null }
    },
    create: (targetUrl) =>
      settingsCall({
        method: 'PUT',
        json: { targetUrl, throttling: { maxConcurrentRequests: 10, period: 'SECONDLY' } },
      }),
    readCreated(body) {
      read(Settings, body, 'the settings of the app’s webhooks')
      return SETTINGS_ID
    },
    // the subscriptions stay, and send nothing until there is a target again
    remove: () => settingsCall({ method: 'DELETE', accept: [404] }),
  },
  parts: {
    wanted: () =>
      [...EVENTS, ...SYNCED_PROPERTIES.map((property) => `${PROPERTY_CHANGE}:${property}`)]
        .map((name) => ({ name, account: null })),
    list: () => subscriptionsCall(),
    readList({ body }) {
      const { results } = read(List, body, 'the app’s subscriptions')
      const found = results.flatMap((item) => Subscription.safeParse(item).data ?? [])
      return {
        parts: found.map(({ id, eventType, propertyName, active }) => ({
          id,
          name: propertyName ? `${eventType}:${propertyName}` : eventType,
          account: null,
          works: active,
          isOurs: false, // HubSpot does not say who made one
        })),
        next: null,
      }
    },
    create({ name }) {
      const [eventType, propertyName] = name.split(':')
      return subscriptionsCall('', {
        method: 'POST',
        json: { eventType, ...(propertyName ? { propertyName } : {}), active: true },
      })
    },
    readCreated: (body) => read(Subscription, body, 'a new subscription').id,
    repair: (id) => subscriptionsCall(`/${id}`, { method: 'PATCH', json: { active: true } }),
    remove: (id) => subscriptionsCall(`/${id}`, { method: 'DELETE', accept: [404] }),
  },
}

function read<Schema extends z.ZodType>(schema: Schema, body: unknown, what: string) {
  const found = schema.safeParse(body)
  if (found.success) return found.data
  throw new AppError('provider_bad_answer', { detail: `HubSpot answered without ${what}.` })
}
