// What does a webhook of HubSpot say? Up to a hundred events of any portals that installed the app, in no order.
import { z } from 'zod'
import type { WebhookNotice } from '../vocabulary/webhooks.ts'

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

export function webhookNotices(body: unknown): WebhookNotice[] {
  if (!Array.isArray(body)) return []
  return body.flatMap((item: unknown) => {
    const event = Event.safeParse(item)
    return event.success ? noticesOf(event.data) : []
  })
}

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
  const { portalId, subscriptionId, eventId, objectId, occurredAt, propertyName } = event
  return {
    account: portalId,
    stream: 'contacts',
    source_id,
    kind,
    occurred_at: new Date(occurredAt).toISOString(),
    // an event's id is not its own alone; the number of the attempt is left out
    dedupe_key: [portalId, subscriptionId, eventId, objectId, occurredAt, propertyName, source_id]
      .map((part) => part ?? '').join(':'),
  }
}
