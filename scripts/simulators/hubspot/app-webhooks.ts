// The webhooks of an app at HubSpot: one target URL and what it subscribes to, for all accounts; events in arrays, signed (v3).
import { createHmac } from 'node:crypto'
import { z } from 'zod'
import { jsonOf, type SimulatorAnswer, type SimulatorRequest } from '../parts/http-server.ts'
import type { WebhookSender } from '../parts/webhook-sender.ts'

export type AppSubscription = {
  id: number
  eventType: string
  propertyName?: string
  active: boolean
}

export type AppWebhooks = {
  /** Where they go; null: nowhere. */
  target(): string | null
  subscriptions: AppSubscription[]
  /** What a person sets on the app's page: everything to this address; null: nothing. */
  setUp(url: string | null): void
  /** Answers what begins with `/webhooks/v3/`; null for everything else. */
  answer(request: SimulatorRequest): SimulatorAnswer | null
  tell(type: string, objectId: string, more?: Record<string, unknown>): void
}

const TYPES = ['creation', 'deletion', 'privacyDeletion', 'merge', 'restore', 'propertyChange']
  .map((what) => `contact.${what}`)

const Settings = z.object({
  targetUrl: z.url({ protocol: /^https?$/ }),
  throttling: z.object({ maxConcurrentRequests: z.int().min(5) }),
})
const Creation = z.object({
  eventType: z.enum(TYPES),
  propertyName: z.string().min(1).optional(),
  active: z.boolean(),
})

type App = {
  id: number
  clientSecret: string
  developerKey: string
  hub: string
  now(): number
}

export function appWebhooks(
  sender: WebhookSender,
  { id: appId, clientSecret, developerKey, hub, now }: App,
): AppWebhooks {
  let address: string | null = null
  let isSetUpByHand = false
  let told = 0
  let made = 2_400
  const subscriptions: AppSubscription[] = []

  function settings(request: SimulatorRequest): SimulatorAnswer {
    if (request.method === 'PUT') {
      const parsed = Settings.safeParse(jsonOf(request))
      if (!parsed.success) return invalid('Invalid webhook settings')
      address = parsed.data.targetUrl
    }
    if (address === null) return problem(404, 'OBJECT_NOT_FOUND', 'The app has no webhook settings')
    if (request.method === 'DELETE') {
      address = null
      return { status: 204 }
    }
    const throttling = { maxConcurrentRequests: 10, period: 'SECONDLY' }
    return { body: { targetUrl: address, throttling, createdAt: new Date(now()).toISOString() } }
  }

  function collection(request: SimulatorRequest): SimulatorAnswer {
    if (request.method === 'GET') return { body: { results: subscriptions } }
    const parsed = Creation.safeParse(jsonOf(request))
    if (!parsed.success) return invalid('Invalid subscription')
    const { eventType, propertyName, active } = parsed.data
    if ((eventType === 'contact.propertyChange') !== (propertyName !== undefined)) {
      return invalid('propertyName goes with propertyChange')
    }
    const isThere = subscriptions.some((other) =>
      other.eventType === eventType && other.propertyName === propertyName
    )
    if (isThere) return problem(409, 'CONFLICT', 'The subscription already exists')
    const subscription = {
      id: ++made,
      eventType,
      ...(propertyName === undefined ? {} : { propertyName }),
      active,
    }
    subscriptions.push(subscription)
    return { status: 201, body: subscription }
  }

  function one(request: SimulatorRequest, id: number): SimulatorAnswer {
    const at = subscriptions.findIndex((subscription) => subscription.id === id)
    if (at < 0) return problem(404, 'OBJECT_NOT_FOUND', 'There is no such subscription')
    if (request.method === 'DELETE') {
      subscriptions.splice(at, 1)
      return { status: 204 }
    }
    if (request.method === 'PATCH') {
      subscriptions[at]!.active = z.object({ active: z.boolean() }).parse(jsonOf(request)).active
    }
    return { body: subscriptions[at] }
  }

  return {
    target: () => address,
    subscriptions,
    setUp(url) {
      address = url
      isSetUpByHand = url !== null
    },
    answer(request) {
      const { pathname, searchParams } = request.url
      const [, app, what, id] = /^\/webhooks\/v3\/(\d+)\/(settings|subscriptions)(?:\/(\d+))?$/
        .exec(pathname) ?? []
      if (app === undefined) return null
      // an account's token is no key of the app's
      if (searchParams.get('hapikey') !== developerKey || Number(app) !== appId) {
        return problem(401, 'INVALID_AUTHENTICATION', 'The API key provided is invalid.')
      }
      if (what === 'settings') return settings(request)
      return id === undefined ? collection(request) : one(request, Number(id))
    },
    tell(subscriptionType, objectId, more = {}) {
      const subscription = subscriptions.find(({ eventType, propertyName, active }) =>
        active && eventType === subscriptionType && propertyName === more['propertyName']
      )
      if (address === null || !subscription && !isSetUpByHand) return
      const url = address
      const body = JSON.stringify([{
        eventId: ++told,
        subscriptionId: subscription?.id ?? 2_400,
        portalId: Number(hub),
        appId,
        occurredAt: now(),
        subscriptionType,
        attemptNumber: 0,
        objectId: Number(objectId),
        changeSource: 'CRM_UI',
        ...more,
      }])
      sender.send({
        url,
        body,
        headers() {
          const time = now()
          const signed = createHmac('sha256', clientSecret).update(`POST${url}${body}${time}`)
          return {
            'content-type': 'application/json',
            'x-hubspot-request-timestamp': String(time),
            'x-hubspot-signature-v3': signed.digest('base64'),
          }
        },
      })
    },
  }
}

const invalid = (message: string) => problem(400, 'VALIDATION_ERROR', message)

function problem(status: number, category: string, message: string): SimulatorAnswer {
  return { status, body: { status: 'error', category, message } }
}
