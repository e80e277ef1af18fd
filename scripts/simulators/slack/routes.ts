// Which of Slack's methods answer, and with what? Reading channels and threads, names, posting; errors at status 200.
import {
  formOf,
  jsonOf,
  type SimulatorAnswer,
  type SimulatorRequest,
} from '../parts/http-server.ts'
import type { WindowLimit } from '../parts/window-limit.ts'
import type { SlackMessage, Workspace } from './workspace.ts'

export type SlackCaller =
  | { workspace: Workspace; scopes: readonly string[] }
  /** `token_expired`, `token_revoked` or `invalid_auth`. */
  | { error: string }

export type SlackRoutes = {
  caller(token: string): SlackCaller
  revoke(token: string): void
  /** By method; a method without a limit is never refused. */
  limits: Record<string, WindowLimit>
  /** The most that history and replies give at once. */
  mostMessages(): number
}

const SCOPES: Record<string, string> = {
  'users.conversations': 'channels:read',
  'conversations.history': 'channels:history',
  'conversations.replies': 'channels:history',
  'users.info': 'users:read',
  'chat.postMessage': 'chat:write',
}

export function answerSlack(request: SimulatorRequest, parts: SlackRoutes): SimulatorAnswer {
  const method = /^\/api\/([\w.]+)$/.exec(request.url.pathname)?.[1] ?? ''
  const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1]
  if (token === undefined) return failed('not_authed')
  const caller = parts.caller(token)
  if ('error' in caller) return failed(caller.error)
  const { workspace, scopes } = caller
  const needed = SCOPES[method]
  if (needed !== undefined && !scopes.includes(needed)) {
    return failed('missing_scope', { needed, provided: scopes.join(',') })
  }
  const given: Record<string, unknown> = {
    ...Object.fromEntries(request.url.searchParams),
    ...(request.headers['content-type']?.includes('json')
      ? jsonOf(request) as object | null
      : formOf(request)),
  }
  const text = (name: string) => typeof given[name] === 'string' ? given[name] : undefined
  const limit = parts.limits[method]
  const waitMs = limit?.take(
    method === 'chat.postMessage'
      ? `${workspace.team_id}:${text('channel') ?? ''}`
      : workspace.team_id,
  ) ?? 0
  if (waitMs > 0) {
    return {
      status: 429,
      headers: { 'retry-after': String(Math.ceil(waitMs / 1000)) },
      body: { ok: false, error: 'ratelimited' },
    }
  }

  const { bot } = workspace
  switch (method) {
    case 'auth.test':
      return ok({
        url: workspace.url,
        team: workspace.name,
        user: 'plugboard',
        team_id: workspace.team_id,
        ...bot,
      })
    case 'auth.revoke':
      parts.revoke(token)
      return ok({ revoked: true })
    case 'users.conversations': {
      const joined = [...workspace.channels.values()].filter(({ botIsIn }) => botIsIn)
        .map(({ id, name }) => ({ id, name, is_channel: true }))
      const page = paged(joined, given, 1000)
      return page ? ok({ channels: page.items, ...page.metadata }) : failed('invalid_cursor')
    }
    case 'users.info': {
      const id = text('user') ?? ''
      const name = workspace.people.get(id)
      return name === undefined ? failed('user_not_found') : ok({
        user: { id, name: name.toLowerCase(), real_name: name, profile: { display_name: '' } },
      })
    }
    case 'conversations.history':
    case 'conversations.replies': {
      const channel = workspace.channels.get(text('channel') ?? '')
      if (!channel) return failed('channel_not_found')
      if (!channel.botIsIn) return failed('not_in_channel')
      const isThread = method === 'conversations.replies'
      const thread = text('ts') ?? ''
      const oldest = text('oldest') ?? '0000000000.000000'
      const latest = text('latest') ?? '9999999999.999999'
      if (isThread && !channel.messages.some(({ ts }) => ts === thread)) {
        return failed('thread_not_found')
      }
      const found = channel.messages.filter(({ ts, thread_ts, subtype }) =>
        ts > oldest && ts < latest &&
        (isThread
          ? thread_ts === thread && ts !== thread
          : thread_ts === undefined || thread_ts === ts || subtype === 'thread_broadcast')
      )
      if (!isThread) found.reverse()
      const page = paged<SlackMessage>(found, given, parts.mostMessages())
      if (!page) return failed('invalid_cursor')
      // a thread's first message heads each page of it
      const head = isThread ? channel.messages.filter(({ ts }) => ts === thread) : []
      return ok({ messages: [...head, ...page.items], has_more: page.hasMore, ...page.metadata })
    }
    case 'chat.postMessage': {
      const channel = workspace.channels.get(text('channel') ?? '')
      const said = text('text') ?? ''
      const thread_ts = text('thread_ts')
      if (!channel) return failed('channel_not_found')
      if (!channel.botIsIn) return failed('not_in_channel')
      if (said === '' && !Array.isArray(given['blocks'])) return failed('no_text')
      if (thread_ts && !channel.messages.some(({ ts }) => ts === thread_ts)) {
        return failed('thread_not_found')
      }
      const ts = workspace.post(channel.id, {
        text: said.slice(0, 40_000),
        user: bot.user_id,
        bot_id: bot.bot_id,
        ...(thread_ts === undefined ? {} : { thread_ts }),
        ...(given['blocks'] === undefined ? {} : { blocks: given['blocks'] }),
      })
      const message = channel.messages.find((message) => message.ts === ts)
      return ok({ channel: channel.id, ts, message })
    }
  }
  return failed('unknown_method')
}

function paged<Item>(items: Item[], given: Record<string, unknown>, most: number) {
  const size = Math.min(most, Number(given['limit'] ?? 100))
  const cursor = given['cursor']
  const start = cursor === undefined ? 0 : Number(Buffer.from(String(cursor), 'base64').toString())
  if (!Number.isInteger(start) || !Number.isInteger(size) || size < 1) return null
  const hasMore = start + size < items.length
  return {
    items: items.slice(start, start + size),
    hasMore,
    // empty text, not nothing, after the last page
    metadata: {
      response_metadata: {
        next_cursor: hasMore ? Buffer.from(String(start + size)).toString('base64') : '',
      },
    },
  }
}

const ok = (body: object): SimulatorAnswer => ({ body: { ok: true, ...body } })

/** Slack says no with status 200. */
export const failed = (error: string, more: object = {}): SimulatorAnswer => ({
  body: { ok: false, error, ...more },
})
