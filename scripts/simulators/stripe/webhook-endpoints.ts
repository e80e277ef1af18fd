// Stripe's webhook endpoints: made, listed and deleted by API, each with a secret that is shown once, and events for them.
import { createHash, createHmac } from 'node:crypto'
import { formOf, type SimulatorAnswer, type SimulatorRequest } from '../parts/http-server.ts'
import type { WebhookSender } from '../parts/webhook-sender.ts'
import { listPage, stripeError } from './lists.ts'
import type { StripeEvent } from './objects.ts'

export type WebhookEndpoint = {
  id: string
  object: 'webhook_endpoint'
  url: string
  enabled_events: string[]
  api_version: string | null
  status: 'enabled' | 'disabled'
  created: number
  description: string | null
  livemode: boolean
  metadata: Record<string, string>
}

export type WebhookEndpoints = {
  all: (WebhookEndpoint & { secret: string })[]
  /** Answers `/v1/webhook_endpoints[/id]`. */
  answer(request: SimulatorRequest, id: string | undefined): SimulatorAnswer
  /** Sends an event to whoever has asked for its type. */
  tell(event: StripeEvent): void
}

const MOST_ENDPOINTS = 16

export function webhookEndpoints(sender: WebhookSender, now: () => number): WebhookEndpoints {
  const all: WebhookEndpoints['all'] = []
  let made = 0
  const seconds = () => Math.floor(now() / 1000)
  const shown = ({ secret: _, ...endpoint }: WebhookEndpoints['all'][number]) => endpoint

  function create(request: SimulatorRequest): SimulatorAnswer {
    const form = formOf(request)
    const events = Object.entries(form).flatMap(([name, value]) =>
      /^enabled_events\[\d*\]$/.test(name) ? [value] : []
    )
    if (!URL.canParse(form['url'] ?? '') || events.length === 0) {
      return stripeError(400, {
        param: 'url',
        message: 'Invalid URL: An explicit scheme is needed',
      })
    }
    if (all.length >= MOST_ENDPOINTS) {
      return stripeError(400, { message: 'You have reached the maximum of 16 webhook endpoints' })
    }
    const id = `we_1${String(++made).padStart(14, '0')}`
    const endpoint = {
      id,
      object: 'webhook_endpoint' as const,
      url: form['url']!,
      enabled_events: events,
      api_version: form['api_version'] ?? null,
      status: 'enabled' as const,
      created: seconds(),
      description: form['description'] ?? null,
      livemode: false,
      metadata: {},
      secret: `whsec_${createHash('sha256').update(id + form['url']).digest('hex')}`,
    }
    all.push(endpoint)
    return { body: endpoint }
  }

  return {
    all,
    answer(request, id) {
      if (id === undefined) {
        if (request.method === 'POST') return create(request)
        return { body: listPage('webhook_endpoints', all.toReversed(), request.url, shown) }
      }
      const endpoint = all.find((endpoint) => endpoint.id === id)
      if (!endpoint) {
        const message = `No such webhook endpoint: '${id}'`
        return stripeError(404, { code: 'resource_missing', param: 'id', message })
      }
      if (request.method !== 'DELETE') return { body: shown(endpoint) }
      all.splice(all.indexOf(endpoint), 1)
      return { body: { id, object: 'webhook_endpoint', deleted: true } }
    },
    tell(event) {
      for (const { url, secret, enabled_events, api_version, status } of all) {
        const isAsked = enabled_events.includes('*') || enabled_events.includes(event.type)
        if (status !== 'enabled' || !isAsked) continue
        const body = JSON.stringify({ ...event, api_version, pending_webhooks: 1 })
        sender.send({ url, body, headers: () => signed(body, secret) })
      }
    },
  }

  /** The secret's text is the key. */
  function signed(body: string, secret: string): Record<string, string> {
    const time = seconds()
    const hex = createHmac('sha256', secret).update(`${time}.${body}`).digest('hex')
    return {
      'content-type': 'application/json; charset=utf-8',
      'stripe-signature': `t=${time},v1=${hex}`,
      'user-agent': 'Stripe/1.0 (+https://stripe.com/docs/webhooks)',
    }
  }
}
