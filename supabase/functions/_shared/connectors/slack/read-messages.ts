// Which messages does a sync of a Slack workspace read? Channel after channel, each page's threads behind it.
import { AppError, isCode } from '../../platform/errors.ts'
import { readPath } from '../vocabulary/read-path.ts'
import type { Place, ReadContext, ReadResult } from '../vocabulary/stream-definition.ts'
import { daysAfter, earliest, isLater, latest, TS, tsOf } from './timestamps.ts'

type Settings = {
  channels: string[]
  days: number
  thread_days: number
  reading_limit: 'standard' | 'restricted'
}
type Reading = ReadContext<Settings>
type Raw = Record<string, unknown>

/** A thread whose replies are still to be read: its first message, and from when. */
type Thread = { ts: string; oldest?: string; cursor?: string }

type At = {
  /** When the run began, in seconds. */
  started: number
  /** Channels still to be read; the first is being read. */
  channels: string[]
  /** Where the list of channels goes on; null at its end. */
  more: string | null
  /** Where the first channel's history goes on. */
  cursor?: string
  /** Set once the first channel's history has been read to its end. */
  done?: boolean
  /** Set when something of the first channel could not be read. */
  incomplete?: boolean
  threads: Thread[]
  /** The newest message seen, by channel. */
  newest: Record<string, string>
  /** By user; null once Slack does not let us ask. */
  names: Record<string, string> | null
}

/** So many names go with a run; whoever else writes is asked for again. */
const MOST_NAMES = 500

/** What nobody wrote: somebody joined, a topic changed, something was pinned. */
export const NOTICES =
  /^(?:(?:channel|group|bot|reminder|pinned|unpinned)_(?!message|convert)|ekm_access_denied$)/

export async function readMessages(context: Reading): Promise<ReadResult> {
  const { settings, bookmark, now } = context
  const isFirst = context.place === null
  // a channel that is not listed any more, being archived or left, keeps its messages, as Slack does
  const covers: string[] = []
  const at: At = isFirst
    ? {
      started: Math.floor(now.getTime() / 1000),
      channels: [...settings.channels],
      more: settings.channels.length > 0 ? null : '',
      threads: [],
      newest: { ...bookmark?.channels as At['newest'] | undefined },
      names: {},
    }
    : structuredClone(context.place) as At
  if (at.channels.length === 0 && at.more !== null) await listChannels(context, at)

  const channel = at.channels[0]
  const read = channel === undefined
    ? { records: [], passedOver: [] }
    : at.threads.length > 0
    ? await readThread(context, at, channel)
    : await readHistory(context, at, channel)
  const records = await withNames(context, at, read.records)

  if (at.done && at.threads.length === 0) {
    if (!at.incomplete) covers.push(`${channel}:`)
    at.channels.shift()
    delete at.done
    delete at.incomplete
    delete at.cursor
  }
  const isOver = at.channels.length === 0 && at.more === null
  return {
    records,
    next: isOver ? null : at as Place,
    ...(isOver ? { bookmark: { channels: at.newest } } : {}),
    covers,
    passedOver: read.passedOver,
    ...(isFirst
      ? { reachesBackTo: new Date((at.started - settings.days * 86_400) * 1000).toISOString() }
      : {}),
  }
}

/** The next page of channels that the bot is in. */
async function listChannels({ call }: Reading, at: At): Promise<void> {
  const { body } = await call({
    path: '/users.conversations',
    query: {
      types: 'public_channel,private_channel',
      exclude_archived: 'true',
      limit: '200',
      ...(at.more ? { cursor: at.more } : {}),
    },
    limit: 'list',
  })
  at.channels = listAt(body, 'channels').flatMap((channel) => textAt(channel, 'id') ?? [])
  at.more = textAt(body, 'response_metadata.next_cursor') ?? null
}

/** A page of a channel, and which of its threads have replies that are not read yet. */
async function readHistory(context: Reading, at: At, channel: string) {
  const { call, settings, bookmark } = context
  const known = (bookmark?.channels as At['newest'] | undefined)?.[channel]
  const back = (days: number) => tsOf(at.started - days * 86_400)
  // a thread is followed for some days, so its first message has to be seen that long
  const oldest = known === undefined
    ? back(settings.days + settings.thread_days)
    : earliest(known, back(settings.thread_days))
  const answer = await call({
    path: '/conversations.history',
    query: {
      channel,
      oldest,
      limit: pageSize(settings),
      ...(at.cursor === undefined ? {} : { cursor: at.cursor }),
    },
    limit: 'history',
  }).catch(orSkip)
  if (answer === null) {
    at.done = true
    at.incomplete = true
    return { records: [], passedOver: [`channel ${channel}`] }
  }
  const messages = listAt(answer.body, 'messages') as Raw[]
  for (const message of messages) {
    const ts = textAt(message, 'ts')
    if (ts === undefined || !TS.test(ts)) continue
    at.newest[channel] = latest(at.newest[channel], ts)
    const latestReply = textAt(message, 'latest_reply')
    const hasReplies = Number(message.reply_count) > 0 && settings.thread_days > 0
    // a reply that is older than the newest message of the run before was read then
    const isRead = known !== undefined && latestReply !== undefined && TS.test(latestReply) &&
      !isLater(latestReply, known)
    if (hasReplies && !isRead) {
      at.threads.push({ ts, ...(known === undefined ? {} : { oldest: known }) })
    }
  }
  const next = textAt(answer.body, 'response_metadata.next_cursor')
  if (next === undefined) at.done = true
  else at.cursor = next
  return { records: written(messages, channel), passedOver: [] }
}

/** A page of the first waiting thread's replies. */
async function readThread({ call, settings }: Reading, at: At, channel: string) {
  const thread = at.threads[0]!
  const answer = await call({
    path: '/conversations.replies',
    query: {
      channel,
      ts: thread.ts,
      latest: daysAfter(thread.ts, settings.thread_days),
      limit: pageSize(settings),
      ...(thread.oldest === undefined ? {} : { oldest: thread.oldest }),
      ...(thread.cursor === undefined ? {} : { cursor: thread.cursor }),
    },
    limit: 'replies',
  }).catch(orSkip)
  const next = answer && textAt(answer.body, 'response_metadata.next_cursor')
  if (next) thread.cursor = next
  else at.threads.shift()
  if (answer === null) {
    // deleted since its channel was read: nothing for a person to do
    at.incomplete = true
    return { records: [], passedOver: [] }
  }
  // the thread's first message heads each page, and came with the channel
  const replies = (listAt(answer.body, 'messages') as Raw[]).filter(({ ts }) => ts !== thread.ts)
  return { records: written(replies, channel), passedOver: [] }
}

/** A channel the bot is not in, or a thread that is gone, does not stop the others. */
function orSkip(error: unknown): null {
  if (isCode(error, 'provider_not_found')) return null
  throw error
}

const written = (messages: Raw[], channel: string) =>
  messages.filter(({ subtype }) => !NOTICES.test(String(subtype ?? '')))
    .map((message): Raw => ({ ...message, channel }))

/** Slack's messages name their writer by id; the names come from `users.info`, each once in a run. */
async function withNames({ all }: Reading, at: At, messages: Raw[]): Promise<Raw[]> {
  const unknown = new Set(
    messages.flatMap(({ user }) =>
      typeof user === 'string' && at.names && !Object.hasOwn(at.names, user) ? [user] : []
    ),
  )
  const found: Record<string, string> = { ...at.names }
  try {
    const users = [...unknown]
    const answers = await all(
      users.map((user) => ({ path: '/users.info', query: { user }, limit: 'users' })),
    )
    users.forEach((user, index) => (found[user] = nameOf(answers[index]!.body)))
  } catch (error) {
    // without `users:read` there are messages without names
    if (!isCode(error, 'provider_forbidden')) throw error
    at.names = null
  }
  if (at.names) at.names = Object.fromEntries(Object.entries(found).slice(-MOST_NAMES))
  return messages.map((message) => {
    const name = found[String(message.user)]
    return name ? { ...message, user_name: name } : message
  })
}

const nameOf = (body: unknown) =>
  textAt(body, 'user.profile.display_name') ?? textAt(body, 'user.real_name') ??
    textAt(body, 'user.name') ?? ''

/** Slack advises 200; an app outside its Marketplace gets 15. */
const pageSize = ({ reading_limit }: Settings) => reading_limit === 'restricted' ? '15' : '200'

function textAt(value: unknown, path: string): string | undefined {
  const text = readPath(value, path)
  return typeof text === 'string' && text !== '' ? text : undefined
}

function listAt(body: unknown, path: string): unknown[] {
  const list = readPath(body, path)
  if (Array.isArray(list)) return list
  throw new AppError('provider_bad_answer', { detail: `Slack answered without ${path}.` })
}
