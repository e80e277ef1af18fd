// What does a webhook of HubSpot say? Up to a hundred events of any portals that installed the app, in no order.
import { z } from 'zod'
import { readPath } from '../vocabulary/read-path.ts'
import {
  givenToUs,
  hashOf,
  inOrder,
  textAt,
  type WebhookNotice,
  type Webhooks,
} from '../vocabulary/webhooks.ts'
import { appSubscriptions } from './app-subscriptions.ts'

/** What HubSpot's apps can be asked for, and this one needs. */
const SUBSCRIPTIONS =
  '`contact.creation`, `contact.deletion`, `contact.privacyDeletion`, `contact.merge`, `contact.restore` and ' +
  '`contact.propertyChange` of the properties that are synced'

export const webhooks: Webhooks = {
  scheme: 'hubspot',
  doors: [
    {
      at: 'app',
      setup: inOrder(
        'Set `OAUTH_CLIENTS` with the app’s `client_secret`, as for sign-ins.',
        `In our app at HubSpot, under Webhooks, enter {address} as the target URL and subscribe to ${SUBSCRIPTIONS}. ` +
          'HubSpot lets only the app’s own page or its developer key do this.',
        'Activate the subscriptions. The one address serves all accounts that installed the app.',
        'Or leave the last two to Plugboard: with the app’s number and the key of the developer account (which legacy apps ' +
          'have) as `app_id` and `developer_key` it does them by itself. It leaves alone what else the app subscribes to, ' +
          'and another target URL.',
      ),
    },
    {
      at: 'integration',
      setup: inOrder(
        givenToUs('the client secret, which the private app shows under Auth'),
        `In the private app, under Webhooks, enter {address} as the target URL and subscribe to ${SUBSCRIPTIONS}. ` +
          'HubSpot has no API for this.',
      ),
    },
  ],
  accounts: ({ body }) => eventsOf(body).map(({ portalId }) => portalId),
  type({ body }) {
    const types = new Set(itemsOf(body).map((item) => readPath(item, 'subscriptionType')))
    return types.size === 1 ? textAt([...types], '0') : types.size === 0 ? null : 'several'
  },
  // the number of the attempt changes in it, so its bytes are others when it comes again
  dedupeKey: ({ body }) => {
    const events = eventsOf(body)
    const isRead = events.length > 0 && events.length === itemsOf(body).length
    return isRead
      ? hashOf(events.map((event) => keyOf(event, event.subscriptionType)).sort())
      : null
  },
  notices: ({ body }) => eventsOf(body).flatMap(noticesOf),
  appSubscriptions,
}

const id = z.union([z.int().positive().transform(String), z.string().regex(/^[1-9]\d*$/)])
const LAST_MS = 253_402_300_799_999 // the end of the year 9999

const Event = z.object({
  portalId: id,
  subscriptionId: id.nullish(),
  eventId: id.nullish(),
  subscriptionType: z.string(),
  objectTypeId: z.string().nullish(),
  occurredAt: z.int().min(0).max(LAST_MS),
  objectId: id.nullish(),
  propertyName: z.string().nullish(),
  changeSource: z.unknown().optional(),
  // of a merge
  primaryObjectId: id.nullish(),
  mergedObjectIds: z.array(id).nullish(),
  newObjectId: id.nullish(),
})
type Event = z.output<typeof Event>

const KINDS: Record<string, WebhookNotice['kind']> = {
  creation: 'changed',
  propertyChange: 'changed',
  associationChange: 'changed',
  restore: 'changed',
  deletion: 'deleted',
  privacyDeletion: 'deleted',
}
/** HubSpot's number for contacts, where a subscription is of objects of any type. */
const CONTACT_TYPE = '0-1'

const itemsOf = (body: unknown): unknown[] => Array.isArray(body) ? body : []

const eventsOf = (body: unknown): Event[] =>
  itemsOf(body).flatMap((item) => Event.safeParse(item).data ?? [])

function noticesOf(event: Event): WebhookNotice[] {
  const [object, what = ''] = event.subscriptionType.split('.')
  const isContact = object === 'contact' ||
    object === 'object' && event.objectTypeId === CONTACT_TYPE
  if (!isContact) return []
  if (what === 'merge') return mergeNotices(event)
  const kind = Object.hasOwn(KINDS, what) ? KINDS[what] : undefined
  return kind && event.objectId ? [notice(event, event.objectId, kind)] : []
}

/** The survivor is one of the merged contacts, or a new one that takes the place of all of them. */
function mergeNotices(event: Event): WebhookNotice[] {
  const { primaryObjectId, mergedObjectIds, newObjectId } = event
  const survivor = newObjectId ?? primaryObjectId
  if (!survivor) return []
  const merged = new Set([primaryObjectId ?? survivor, ...mergedObjectIds ?? []])
  merged.delete(survivor)
  return [
    notice(event, survivor, 'changed'),
    ...[...merged].map((loser) => notice(event, loser, 'deleted')),
  ]
}

function notice(event: Event, source_id: string, kind: WebhookNotice['kind']): WebhookNotice {
  return {
    account: event.portalId,
    stream: 'contacts',
    source_id,
    kind,
    occurred_at: new Date(event.occurredAt).toISOString(),
    dedupe_key: keyOf(event, source_id),
    ...(event.changeSource === 'INTEGRATION' ? { is_own_write: true as const } : {}),
  }
}

/** An event's id is not its own alone. */
const keyOf = (event: Event, what: string) => {
  const { portalId, subscriptionId, eventId, objectId, occurredAt, propertyName } = event
  return [portalId, subscriptionId, eventId, objectId, occurredAt, propertyName, what]
    .map((part) => part ?? '').join(':')
}
