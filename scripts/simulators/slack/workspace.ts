// What is in one workspace? People, channels, and what was said in them, with Slack's own ids.
import type { SeededRandom } from '../parts/seeded-random.ts'

export type SlackMessage = {
  type: 'message'
  ts: string
  text: string
  user?: string
  thread_ts?: string
  [field: string]: unknown
}
export type Channel = { id: string; name: string; botIsIn: boolean; messages: SlackMessage[] }

export type Workspace = {
  team_id: string
  name: string
  url: string
  bot: { user_id: string; bot_id: string }
  people: Map<string, string>
  channels: Map<string, Channel>
  /** Says something; answers its `ts`. */
  post(
    channel: string,
    message:
      & { text: string; user?: string; thread_ts?: string; ts?: string }
      & Record<
        string,
        unknown
      >,
  ): string
  edit(channel: string, ts: string, text: string): void
  /** The first message of a thread leaves a tombstone. */
  remove(channel: string, ts: string): void
}

const SENTENCES = [
  'The delivery was great &amp; on time, thank you!',
  'Can somebody look at <https://acme.example/menu|the menu>?',
  'I hate this printer, it is broken again.',
  'See you at ten.',
]

export function createWorkspace(
  random: SeededRandom,
  options: { team_id: string; name: string; channels: number; messages: number; now(): number },
): Workspace {
  const { team_id, name, now } = options
  const bot = { user_id: `UBOT${team_id.slice(1)}`, bot_id: `BBOT${team_id.slice(1)}` }
  const people = new Map([['U01ADA', 'Ada'], ['U02BEN', 'Ben'], ['U03ZOE', 'Zoë']])
  let counter = 0
  const nextTs = (seconds: number) => {
    counter += 1
    return `${Math.floor(seconds)}.${String(counter % 1_000_000).padStart(6, '0')}`
  }
  const channels = new Map<string, Channel>()
  const need = (id: string) => {
    const channel = channels.get(id)
    if (!channel) throw new Error(`there is no ${id}`)
    return channel
  }

  const post: Workspace['post'] = (id, { text, thread_ts, ts = nextTs(now() / 1000), ...more }) => {
    const { messages } = need(id)
    const parent = thread_ts === undefined
      ? undefined
      : messages.find((message) => message.ts === thread_ts)
    if (thread_ts !== undefined && !parent) throw new Error(`there is no ${thread_ts}`)
    messages.push({
      type: 'message',
      ts,
      text,
      user: 'U01ADA',
      team: team_id,
      ...more,
      ...(thread_ts === undefined ? {} : { thread_ts }),
    })
    messages.sort((a, b) => a.ts < b.ts ? -1 : 1)
    if (parent) {
      Object.assign(parent, {
        thread_ts,
        reply_count: Number(parent['reply_count'] ?? 0) + 1,
        latest_reply: ts,
      })
    }
    return ts
  }

  for (let index = 0; index < options.channels; index++) {
    const id = `C0${index + 1}${team_id.slice(1)}`
    channels.set(id, { id, name: `channel-${index + 1}`, botIsIn: true, messages: [] })
    for (let hour = options.messages; hour > 0; hour--) {
      const user = random.pick([...people.keys()])
      post(id, {
        text: random.pick(SENTENCES),
        user,
        ts: nextTs(now() / 1000 - hour * 3_600),
      })
    }
  }

  return {
    team_id,
    name,
    url: `https://${name}.slack.com/`,
    bot,
    people,
    channels,
    post,
    edit(id, ts, text) {
      const message = need(id).messages.find((message) => message.ts === ts)
      Object.assign(message!, {
        text,
        edited: { user: 'U01ADA', ts: nextTs(now() / 1000) },
      })
    },
    remove(id, ts) {
      const channel = need(id)
      const message = channel.messages.find((message) => message.ts === ts)!
      if (Number(message['reply_count'] ?? 0) > 0) {
        Object.assign(message, {
          subtype: 'tombstone',
          user: 'USLACKBOT',
          text: 'This message was deleted.',
        })
      } else channel.messages = channel.messages.filter((other) => other !== message)
    },
  }
}
