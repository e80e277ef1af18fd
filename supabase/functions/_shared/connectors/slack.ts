// Slack: the messages of a workspace's channels, and posting into them.
import { z } from 'zod'
import { defineConnector } from './define-connector.ts'
import { readFailure } from './slack/failure.ts'
import { columnsOf, isDeleted, Message, sourceId } from './slack/message.ts'
import { readMessages } from './slack/read-messages.ts'
import { timeOf, TS } from './slack/timestamps.ts'
import { webhooks } from './slack/webhooks.ts'
import { action } from './vocabulary/actions.ts'
import { type AccountFacts, headerKey, oauth2, secret } from './vocabulary/auth.ts'
import { perWindow } from './vocabulary/rate-limit.ts'
import { readPath } from './vocabulary/read-path.ts'

const channelId = z.string().trim().regex(/^[CDGU][A-Z\d]{2,20}$/, 'must be an id like C01ABCDEF')

const settings = z.strictObject({
  auth: z.enum(['oauth', 'bot_token']).default('oauth').meta({
    title: 'Sign-in',
    description: 'oauth: the owner signs in at Slack. bot_token: the token of an app of your own.',
  }),
  channels: z.array(channelId).max(500).default([]).meta({
    title: 'Channels',
    description: 'Ids of the channels to read. Empty: every channel the bot is in.',
  }),
  days: z.int().min(1).max(3650).default(30).meta({
    title: 'Days',
    description: 'How far back messages are read.',
  }),
  thread_days: z.int().min(0).max(90).default(7).meta({
    title: 'Thread days',
    description: 'How long after its beginning a thread is followed. 0: no replies are read.',
  }),
  reading_limit: z.enum(['standard', 'restricted']).default('standard').meta({
    title: 'Reading limit',
    description:
      'restricted: for an app that is distributed outside the Slack Marketplace, which gets 15 messages a minute.',
  }),
})

/** Slack's tiers, in calls a minute for each method and workspace. */
const tier = (requests: number) => perWindow({ requests, seconds: 60, burst: requests / 10 })
const ONE_A_MINUTE = { requestsPerSecond: 1 / 60, burst: 1 }
const ONE_A_SECOND = { requestsPerSecond: 1, burst: 1 }

export const slack = defineConnector({
  slug: 'slack',
  name: 'Slack',
  description: 'Messages of the channels of a Slack workspace; posts into them.',
  category: 'communication',
  docs: 'https://docs.slack.dev/apis/web-api', // read 2026-11-20
  guide: [
    'The bot reads the channels it was invited to (`/invite @your-app`), or those of them that `channels` names; one',
    'that it is not in is passed over, and the sync ends as partial and names it. With `auth: bot_token` enter the token',
    'of an app of your own (`xoxb-…`, under *OAuth & Permissions*) with the scopes `channels:read`, `channels:history`,',
    '`groups:read`, `groups:history`, `users:read` and `chat:write`. Direct messages are read where `channels` names them',
    'and the token may (`im:history`).',
    '',
    'A full sync reads the last `days` of each channel. In between the newest messages are read, and the last',
    '`thread_days` of each channel again: for edits, and for new replies to threads that began in that time. Edits of',
    'replies, and of what is older, are found by a full sync. A reply that comes later than `thread_days` after its',
    'thread began is not read, unless it is also sent to the channel. Slack does not say what was deleted; a full sync',
    'finds it missing. The messages of a channel that was archived, that the bot has left or that `channels` names no',
    'longer stay as they were last read.',
    '',
    'An app that is sold or given to others outside the Slack Marketplace may read 15 messages a minute: choose',
    '`reading_limit: restricted`, few channels and few days. Apps of your own workspace are not restricted.',
  ].join('\n'),
  settings,

  auth: {
    setting: 'auth',
    modes: {
      oauth: oauth2({
        authorization_endpoint: 'https://slack.com/oauth/v2/authorize',
        token_endpoint: 'https://slack.com/api/oauth.v2.access',
        token_endpoint_auth_method: 'client_secret_post',
        // turned on, PKCE makes the app a public client for ever
        pkce: false,
        scope: 'channels:read channels:history groups:read groups:history users:read chat:write',
        scopeSeparator: ',',
        readTokenAnswer,
        account: (answer) =>
          facts({
            team_id: readPath(answer, 'team.id'),
            team: readPath(answer, 'team.name'),
            user_id: readPath(answer, 'bot_user_id'),
          }),
        revoke: { method: 'POST', path: '/auth.revoke' },
      }),
      bot_token: headerKey({
        settings,
        credentials: z.strictObject({
          bot_token: secret('Bot token').regex(/^xox[bpe][-.]/, 'must begin with xoxb-'),
        }),
        value: ({ credentials }) => `Bearer ${credentials.bot_token}`,
      }),
    },
  },
  baseUrl: 'https://slack.com/api',
  check: {
    method: 'POST',
    path: '/auth.test',
    accountName: (body) => facts({ team: readPath(body, 'team') }).team,
    account: (body) =>
      facts({
        team_id: readPath(body, 'team_id'),
        team: readPath(body, 'team'),
        user_id: readPath(body, 'user_id'),
        bot_id: readPath(body, 'bot_id'),
        url: ownUrl(readPath(body, 'url')),
      }),
  },
  accountId: ({ account }) => account.team_id ?? '',
  // Slack limits each method by itself; this only keeps a burst of all of them in bounds
  rateLimit: { requestsPerSecond: 20, burst: 20 },
  limits: ({ reading_limit }) => ({
    list: tier(20),
    history: reading_limit === 'restricted' ? ONE_A_MINUTE : tier(50),
    replies: reading_limit === 'restricted' ? ONE_A_MINUTE : tier(50),
    users: tier(100),
    post: ONE_A_SECOND, // for each channel
  }),
  failure: readFailure,
  webhooks,

  streams: {
    messages: {
      incremental: { overlapSeconds: 0 },
      id: sourceId,
      record: Message,
      toRecord: (message, { account }) => {
        const source_id = String(sourceId(message))
        return isDeleted(message) ? { source_id, source_updated_at: null, deleted: true } : {
          source_id,
          // when it was sent: what a scan reaches goes by that, and of two readings the later one counts
          source_updated_at: timeOf(message.ts),
          columns: columnsOf(message, account),
        }
      },
      read: readMessages,
    },
  },

  actions: {
    post_message: action({
      settings,
      title: 'Post a message',
      description: 'Posts a message into a channel, or a reply into a thread.',
      repeatable: false, // Slack would post it twice
      input: z.strictObject({
        channel: channelId.meta({ description: 'The id of the channel, or of a person.' }),
        text: z.string().min(1).max(40_000).meta({
          description: "In Slack's mrkdwn. Slack advises 4,000 characters.",
        }),
        thread_ts: z.string().regex(TS, 'must be like 1780000000.000100').optional().meta({
          description:
            "The `ts` of the thread's first message: what follows the colon in its `source_id`.",
        }),
        blocks: z.array(z.looseObject({ type: z.string().min(1) })).min(1).max(50).optional().meta({
          description: 'Block Kit; `text` is then what notifications show.',
        }),
      }),
      output: z.object({ message_id: z.string(), channel: z.string(), ts: z.string() }),
      requests: ({ channel, text, thread_ts, blocks }) => [{
        method: 'POST',
        path: '/chat.postMessage',
        headers: { 'content-type': 'application/json; charset=utf-8' },
        json: {
          channel,
          text,
          ...(thread_ts === undefined ? {} : { thread_ts }),
          ...(blocks === undefined ? {} : { blocks }),
        },
        limit: `post:${channel}`,
      }],
      read: ([answer]) => {
        const channel = readPath(answer?.body, 'channel') as string
        const ts = readPath(answer?.body, 'ts') as string
        return { message_id: `${channel}:${ts}`, channel, ts }
      },
    }),
  },
})

/** The token answer in RFC 6749's words: `"ok": false` comes with status 200, scopes with commas. */
function readTokenAnswer(body: unknown): unknown {
  const { ok, error, access_token, scope, refresh_token, expires_in } = (body ?? {}) as Record<
    string,
    unknown
  >
  if (ok !== true) return { error: TOKEN_ERRORS[String(error)] ?? String(error ?? 'server_error') }
  return {
    access_token,
    token_type: 'bearer', // Slack says what kind of token it is instead: `bot`
    ...(typeof scope === 'string' ? { scope: scope.replaceAll(',', ' ') } : {}),
    // only where the app has rotation turned on
    ...(refresh_token === undefined ? {} : { refresh_token }),
    ...(expires_in === undefined ? {} : { expires_in }),
  }
}

const TOKEN_ERRORS: Record<string, string> = {
  invalid_code: 'invalid_grant',
  code_already_used: 'invalid_grant',
  invalid_refresh_token: 'invalid_grant',
  token_revoked: 'invalid_grant',
  token_expired: 'invalid_grant',
  account_inactive: 'invalid_grant',
  invalid_client_id: 'invalid_client',
  bad_client_secret: 'invalid_client',
  bad_redirect_uri: 'invalid_request',
  ratelimited: 'temporarily_unavailable',
  internal_error: 'server_error',
  fatal_error: 'server_error',
}

/** Those that are text. */
function facts(values: Record<string, unknown>): AccountFacts {
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) =>
      typeof value === 'string' && value !== '' ? [[name, value]] : []
    ),
  )
}

/** The workspace's own address, for links; anything else than Slack's is left out. */
function ownUrl(url: unknown): string | null {
  return typeof url === 'string' && /^https:\/\/[a-z\d-]+(?:\.enterprise)?\.slack\.com\/$/.test(url)
    ? url
    : null
}
