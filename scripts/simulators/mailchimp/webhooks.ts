// An audience's webhooks: made, listed and deleted by API, and sent as forms for what people did.
import { z } from 'zod'
import { jsonOf, type SimulatorAnswer, type SimulatorRequest } from '../parts/http-server.ts'
import type { WebhookSender } from '../parts/webhook-sender.ts'
import { idOf, type Member } from './audience.ts'
import { invalid, notFound } from './problems.ts'

const EVENTS = ['subscribe', 'unsubscribe', 'profile', 'cleaned', 'upemail', 'campaign'] as const
const SOURCES = ['user', 'admin', 'api'] as const

export type MemberEvent = 'subscribe' | 'unsubscribe' | 'profile'
export type Source = (typeof SOURCES)[number]

export type AudienceWebhook = {
  id: string
  url: string
  events: Record<string, boolean>
  sources: Record<string, boolean>
  list_id: string
}

export type AudienceWebhooks = {
  all: AudienceWebhook[]
  /** Answers `/lists/{list}/webhooks[/id]`. */
  answer(request: SimulatorRequest, id: string | undefined): Promise<SimulatorAnswer>
  tell(type: MemberEvent, member: Member, source: Source, more?: Record<string, string>): void
}

const flags = (names: readonly string[]) =>
  z.object(Object.fromEntries(names.map((name) => [name, z.boolean().default(false)])))
const Creation = z.object({
  url: z.url({ protocol: /^https?$/ }),
  events: flags(EVENTS),
  sources: flags(SOURCES),
})

export function audienceWebhooks(
  sender: WebhookSender,
  { listId, now }: { listId: string; now(): number },
): AudienceWebhooks {
  const all: AudienceWebhook[] = []
  let made = 0

  async function create(request: SimulatorRequest): Promise<SimulatorAnswer> {
    const parsed = Creation.safeParse(jsonOf(request))
    if (!parsed.success) return invalid('url', 'The URL is invalid')
    const { url } = parsed.data
    if (all.some((webhook) => webhook.url === url)) {
      return invalid('url', 'Sorry, you can’t set up multiple WebHooks for one URL')
    }
    const answered = await fetch(url, { signal: AbortSignal.timeout(5_000) }).catch(() => null)
    await answered?.body?.cancel()
    if (!answered?.ok) return invalid('url', 'We couldn’t verify that this URL answers')
    const webhook = {
      id: `${listId.slice(0, 5)}${(++made).toString(16).padStart(5, '0')}`,
      ...parsed.data,
      list_id: listId,
    }
    all.push(webhook)
    return { body: webhook }
  }

  return {
    all,
    async answer(request, id) {
      if (id === undefined && request.method === 'POST') return await create(request)
      if (id === undefined) {
        return { body: { webhooks: all, list_id: listId, total_items: all.length } }
      }
      const at = all.findIndex((webhook) => webhook.id === id)
      if (at < 0) return notFound()
      if (request.method !== 'DELETE') return { body: all[at] }
      all.splice(at, 1)
      return { status: 204 }
    },
    tell(type, member, source, more = {}) {
      const fields = {
        type,
        fired_at: new Date(now()).toISOString().slice(0, 19).replace('T', ' '),
        'data[id]': idOf(member.email_address).slice(0, 10), // not the member's own id
        'data[email]': member.email_address,
        'data[email_type]': 'html',
        'data[list_id]': listId,
        ...Object.fromEntries(
          Object.entries(member.merge_fields).flatMap(([name, value]) =>
            typeof value === 'string' ? [[`data[merges][${name}]`, value]] : []
          ),
        ),
        ...more,
      }
      const body = new URLSearchParams(fields).toString()
      for (const { url, events, sources } of all) {
        if (!events[type] || !sources[source]) continue
        const headers = { 'content-type': 'application/x-www-form-urlencoded' }
        sender.send({ url, body, headers: () => headers })
      }
    },
  }
}
