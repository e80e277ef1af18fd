// X (formerly Twitter): an account's own posts and what mentions it, over API v2; posting, replying, deleting.
import { z } from 'zod'
import type { SocialPostColumns } from '../contracts/social-posts.ts'
import { AppError } from '../platform/errors.ts'
import { requiresResponse } from '../text/requires-response.ts'
import { sentimentScore } from '../text/sentiment.ts'
import { weightedLength } from '../text/weighted-length.ts'
import { defineConnector, type Failure, type JudgedAnswer } from './define-connector.ts'
import { webhooks } from './x/webhooks.ts'
import { action } from './vocabulary/actions.ts'
import { oauth2 } from './vocabulary/auth.ts'
import type { PlatformCall } from './vocabulary/platform-call.ts'
import { perWindow } from './vocabulary/rate-limit.ts'
import { platformWords } from './vocabulary/platform-words.ts'
import { readPath } from './vocabulary/read-path.ts'
import type { ReadContext, ReadResult } from './vocabulary/stream-definition.ts'
import { timestamp } from './vocabulary/timestamp.ts'

const settings = z.strictObject({
  read_back: z.int().min(100).max(3200).default(400).meta({
    title: 'Posts to read back',
    description:
      'How many of the newest own posts, and of the newest mentions, a full sync goes through. X charges for each.',
  }),
})

const Count = z.int().nonnegative().nullish()

const Post = z.object({
  id: z.string().regex(/^\d+$/),
  text: z.string(),
  created_at: timestamp,
  author_id: z.string(),
  author: z.object({ name: z.string(), username: z.string() }).nullish(),
  conversation_id: z.string().nullish(),
  lang: z.string().nullish(),
  note_tweet: z.object({ text: z.string() }).nullish(),
  edit_history_tweet_ids: z.array(z.string()).nullish(),
  referenced_tweets: z.array(z.object({ type: z.string(), id: z.string() })).nullish(),
  public_metrics: z.object({
    like_count: Count,
    reply_count: Count,
    retweet_count: Count,
    quote_count: Count,
    impression_count: Count,
  }).nullish(),
  media: z.array(
    z.object({ url: z.string().nullish(), preview_image_url: z.string().nullish() }),
  ).nullish(),
})
type Post = z.output<typeof Post>

/** Without these an object is an id and a text. */
const FIELDS = {
  'tweet.fields':
    'author_id,conversation_id,created_at,edit_history_tweet_ids,lang,note_tweet,public_metrics,referenced_tweets',
  expansions: 'author_id,attachments.media_keys',
  'user.fields': 'name,username',
  'media.fields': 'url,preview_image_url',
}

const QUARTER_HOUR = 15 * 60
const DAY = 24 * 60 * 60

export const x = defineConnector({
  slug: 'x',
  name: 'X',
  description: 'Own posts and mentions of an X account; posting, replying and deleting.',
  category: 'social',
  docs: 'https://docs.x.com/x-api', // read 2026-11-20
  guide: [
    'Our app at X needs OAuth 2.0 as a confidential client, with read and write access. The owner signs in there.',
    '',
    'X charges by use: about $0.005 for each post read (once a day for the same post), $0.015 for each post',
    'written, $0.20 when its text has a link. Syncs between two full ones read only what is new; the daily full',
    'sync reads the newest posts again, as many as **Posts to read back** says, for their numbers and to notice',
    'deletions. When the credits end, X refuses, and the integration says so.',
    '',
    'However much is asked for, X shows about the newest 3,200 own posts and 800 mentions. Older posts that were',
    'synced before stay as they are. A post missing among those that were read is asked for by its id before it',
    'counts as deleted. An edited post has a new id; its earlier versions end.',
    '',
    'Mentions carry a sentiment score and whether they seem to want an answer; both are guesses from the words.',
  ].join('\n'),
  settings,

  auth: oauth2({
    authorization_endpoint: 'https://x.com/i/oauth2/authorize',
    token_endpoint: 'https://api.x.com/2/oauth2/token',
    revocation_endpoint: 'https://api.x.com/2/oauth2/revoke',
    scope: 'tweet.read tweet.write users.read offline.access',
    lifetimeSeconds: 7200,
    // an ended refresh token is an `invalid_request` here, with only its words to tell
    readTokenAnswer: (body) =>
      readPath(body, 'error') === 'invalid_request' &&
        /token was invalid/i.test(String(readPath(body, 'error_description')))
        ? { ...(body as object), error: 'invalid_grant' }
        : body,
  }),
  baseUrl: 'https://api.x.com',
  check: {
    path: '/2/users/me',
    query: { 'user.fields': 'name,username' },
    limit: 'me',
    accountName: (body) => {
      const username = readPath(body, 'data.username')
      return typeof username === 'string' ? `@${username}` : undefined
    },
    account: (body) => {
      const facts = Me.safeParse(readPath(body, 'data'))
      if (facts.success) return { user_id: facts.data.id, username: facts.data.username }
      throw new AppError('provider_bad_answer', { detail: 'X does not say whose account this is.' })
    },
  },
  accountId: ({ account }) => account.user_id ?? '',

  // X limits by endpoint only; this is our own courtesy.
  rateLimit: { requestsPerSecond: 10, burst: 10 },
  limits: {
    me: perWindow({ requests: 75, seconds: QUARTER_HOUR, burst: 15 }),
    tweets: {
      ...perWindow({ requests: 900, seconds: QUARTER_HOUR, burst: 90 }),
      app: perWindow({ requests: 10_000, seconds: QUARTER_HOUR, burst: 1000 }),
    },
    mentions: {
      ...perWindow({ requests: 300, seconds: QUARTER_HOUR, burst: 30 }),
      app: perWindow({ requests: 450, seconds: QUARTER_HOUR, burst: 45 }),
    },
    lookup: {
      ...perWindow({ requests: 5000, seconds: QUARTER_HOUR, burst: 100 }),
      app: perWindow({ requests: 3500, seconds: QUARTER_HOUR, burst: 350 }),
    },
    post: {
      ...perWindow({ requests: 100, seconds: QUARTER_HOUR, burst: 20 }),
      app: perWindow({ requests: 10_000, seconds: DAY, burst: 1000 }),
    },
    delete: perWindow({ requests: 50, seconds: QUARTER_HOUR, burst: 10 }),
  },
  failure: readFailure,
  pause: ({ headers, now }) =>
    headers.get('x-rate-limit-remaining') === '0'
      ? untilReset(headers.get('x-rate-limit-reset'), now) ?? null
      : null,
  webhooks: webhooks(postsOf),

  streams: {
    social_posts: {
      read: readPosts,
      incremental: { overlapSeconds: 0 }, // by id: an id is never handed out late
      lookup: {
        max: 100,
        call: (ids) => ({
          path: '/2/tweets',
          query: { ...FIELDS, ids: ids.join(',') },
          limit: 'lookup',
        }),
        // with none of them left there is no `data`, only an error for each
        records: (body) =>
          readPath(body, 'data') === undefined && Array.isArray(readPath(body, 'errors'))
            ? []
            : postsOf(body),
      },
      id: 'id',
      record: Post,
      toRecord: (post, { account }) => ({
        source_id: post.id,
        source_updated_at: post.created_at,
        columns: columnsOf(post, account.user_id),
        ...versionOf(post),
      }),
    },
  },

  actions: {
    post: action({
      settings,
      title: 'Post',
      description: 'Publishes a post, which may answer or quote another one.',
      input: z.strictObject({
        text: postText(),
        reply_to: postId('Id of the post to answer').optional(),
        quote: postId('Id of the post to quote').optional(),
      }),
      output: z.object({ post_id: z.string(), permalink: z.url() }),
      repeatable: false,
      requests: ({ text, reply_to, quote }) => [publish({
        text,
        ...(reply_to === undefined ? {} : { reply: { in_reply_to_tweet_id: reply_to } }),
        ...(quote === undefined ? {} : { quote_tweet_id: quote }),
      })],
      read: ([answer], _, { account }) => published(answer?.body, account.username),
    }),
    reply: action({
      settings,
      title: 'Reply',
      description: 'Answers a post.',
      input: z.strictObject({ post_id: postId('Id of the post to answer'), text: postText() }),
      output: z.object({ post_id: z.string(), permalink: z.url() }),
      repeatable: false,
      requests: (
        { post_id, text },
      ) => [publish({ text, reply: { in_reply_to_tweet_id: post_id } })],
      read: ([answer], _, { account }) => published(answer?.body, account.username),
    }),
    delete_post: action({
      settings,
      title: 'Delete a post',
      description: 'Deletes one of the account’s own posts.',
      input: z.strictObject({ post_id: postId('Id of the post') }),
      output: z.object({ post_id: z.string(), deleted: z.literal(true) }),
      repeatable: true,
      requests: ({ post_id }) => [
        { method: 'DELETE', path: `/2/tweets/${post_id}`, limit: 'delete' },
      ],
      accept: ({ status }) => status === 404, // gone already
      read: (_, { post_id }) => ({ post_id, deleted: true as const }),
    }),
  },
})

/** All versions of a post know each other, oldest first, and X shows an earlier one to whoever asks for it by its id. */
function versionOf({ id, edit_history_tweet_ids }: Post) {
  const versions = edit_history_tweet_ids ?? []
  const at = versions.indexOf(id)
  return {
    supersedes: versions.slice(0, Math.max(0, at)),
    ...(at >= 0 && at < versions.length - 1 ? { deleted: true } : {}),
  }
}

const Me = z.object({ id: z.string().regex(/^\d+$/), username: z.string().min(1) })

/** The two lists of the stream, and about how far back X shows each. */
const LISTS = { tweets: 3200, mentions: 800 } as const
type List = keyof typeof LISTS
const NAMES = Object.keys(LISTS) as List[]

/** Ids are 64 bits: as numbers, neighbours would be the same. */
type Place = {
  /** The lists that have another page. */
  tokens: Partial<Record<List, string>>
  /** Posts seen of each. */
  seen: Record<List, number>
  newest: Partial<Record<List, string>>
  reachesBackTo: string | null
}

/** One page of each list that has one. Both come newest first. */
async function readPosts(
  { all, place, bookmark, settings: { read_back } }: ReadContext<z.output<typeof settings>>,
): Promise<ReadResult> {
  const since = (bookmark ?? {}) as Partial<Record<List, string>>
  const here: Place = place as Place | null ?? {
    tokens: {},
    seen: { tweets: 0, mentions: 0 },
    newest: since,
    reachesBackTo: null,
  }
  const due = NAMES.filter((list) => place === null || here.tokens[list] !== undefined)
  const answers = await all(due.map((list) => pageCall(list, here.tokens[list], since[list])))

  const next: Place = { ...here, tokens: {}, seen: { ...here.seen }, newest: { ...here.newest } }
  const records = due.flatMap((list, index) => {
    const body = answers[index]?.body
    const posts = pagePosts(body)
    next.seen[list] += posts.length
    next.newest[list] = newest([here.newest[list], ...posts.map(({ id }) => id)])
    const token = readPath(body, 'meta.next_token')
    const goesOn = typeof token === 'string' && token !== ''
    // what is new is read however much it is
    if (goesOn && (since[list] !== undefined || next.seen[list] < read_back)) {
      next.tokens[list] = token
    } else if (goesOn || next.seen[list] >= LISTS[list] * 0.9) {
      next.reachesBackTo = later(next.reachesBackTo, posts.at(-1)?.created_at)
    }
    return posts
  })
  const isDone = Object.keys(next.tokens).length === 0
  return {
    records,
    next: isDone ? null : next,
    ...(isDone ? { bookmark: next.newest } : {}),
    ...(isDone && next.reachesBackTo !== null ? { reachesBackTo: next.reachesBackTo } : {}),
  }
}

const pageCall = (list: List, token?: string, since_id?: string): PlatformCall => ({
  path: `/2/users/{user_id}/${list}`,
  query: {
    ...FIELDS,
    max_results: '100',
    ...(since_id === undefined ? {} : { since_id }),
    ...(token === undefined ? {} : { pagination_token: token }),
  },
  limit: list,
})

type RawPost = { id?: string; created_at?: string }

/** A list without posts has no `data`, but its count is there. */
function pagePosts(body: unknown): RawPost[] {
  const posts = readPath(body, 'meta.result_count') === 0 ? [] : postsOf(body)
  if (Array.isArray(posts)) return posts
  throw new AppError('provider_bad_answer', { detail: 'X answered without a list of posts.' })
}

/** The posts with their authors and pictures, which the answer keeps beside them. */
function postsOf(body: unknown): unknown {
  const posts = readPath(body, 'data')
  if (!Array.isArray(posts)) return undefined
  const users = included(body, 'users', 'id')
  const media = included(body, 'media', 'media_key')
  return posts.map((post: unknown) => {
    if (typeof post !== 'object' || post === null) return post
    const keys = readPath(post, 'attachments.media_keys')
    return {
      ...post,
      author: users.get(readPath(post, 'author_id')) ?? null,
      media: Array.isArray(keys) ? keys.flatMap((key) => media.get(key) ?? []) : [],
    }
  })
}

function included(body: unknown, kind: string, key: string): Map<unknown, unknown> {
  const objects = readPath(body, `includes.${kind}`)
  return new Map(
    Array.isArray(objects) ? objects.map((object) => [readPath(object, key), object]) : [],
  )
}

function newest(ids: (string | undefined)[]): string | undefined {
  return ids.filter((id) => id !== undefined && /^\d+$/.test(id))
    .reduce((most, id) => most === undefined || BigInt(id!) > BigInt(most) ? id : most, undefined)
}

function later(one: string | null, other: string | undefined): string | null {
  if (one === null || other === undefined) return one ?? other ?? null
  return Date.parse(one) >= Date.parse(other) ? one : other
}

const KINDS = [['replied_to', 'reply'], ['retweeted', 'repost'], ['quoted', 'quote']] as const

function columnsOf(post: Post, user_id: string | undefined): SocialPostColumns {
  const { author, public_metrics: counts } = post
  const referenced = (type: string) => post.referenced_tweets?.find((other) => other.type === type)
  const isOwn = post.author_id === user_id
  const text = plainText(post.note_tweet?.text ?? post.text)
  const kind = KINDS.find(([type]) => referenced(type))?.[1] ?? 'post'
  // `und` and the codes that begin with q, such as qme, are no languages
  const language = /^(?!und|zxx)[a-pr-z][a-z]/i.test(post.lang ?? '') ? post.lang! : null
  return {
    kind,
    is_own: isOwn,
    author_id: post.author_id,
    author_name: author?.name ?? null,
    author_handle: author?.username ?? null,
    body_text: text,
    language,
    published_at: post.created_at,
    permalink: permalink(author?.username, post.id),
    conversation_id: post.conversation_id ?? null,
    reply_to_id: referenced('replied_to')?.id ?? null,
    like_count: counts?.like_count ?? null,
    reply_count: counts?.reply_count ?? null,
    repost_count: counts?.retweet_count ?? null,
    quote_count: counts?.quote_count ?? null,
    impression_count: counts?.impression_count ?? null,
    media_urls: (post.media ?? []).flatMap(({ url, preview_image_url }) =>
      url ?? preview_image_url ?? []
    ),
    sentiment_score: isOwn ? null : sentimentScore(text, language),
    // who passes our words on has nothing to ask
    requires_response: !isOwn && kind !== 'repost' &&
      requiresResponse({ direction: 'inbound', body_text: text }),
  }
}

/** X sends these three as in HTML. */
const plainText = (text: string) =>
  text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&')

/** X leads there from any name. */
const permalink = (username: string | undefined, id: string) =>
  `https://x.com/${username ?? 'i'}/status/${id}`

function postText() {
  return z.string().trim().min(1, 'must not be empty')
    .refine((text) => weightedLength(text) <= 280, 'is longer than 280 characters as X counts them')
}

function postId(description: string) {
  return z.string().regex(/^\d{1,19}$/, 'must be the id of a post').meta({ description })
}

const publish = (json: Record<string, unknown>): PlatformCall => ({
  method: 'POST',
  path: '/2/tweets',
  json,
  limit: 'post',
})

function published(body: unknown, username: string | undefined) {
  const post_id = z.string().min(1).parse(readPath(body, 'data.id'))
  return { post_id, permalink: permalink(username, post_id) }
}

/** What an answer means where its status does not say it. */
function readFailure({ status, headers, body, now }: JudgedAnswer): Failure | null {
  const type = String(readPath(body, 'type') ?? '')
  const said = platformWords(readPath(body, 'detail') ?? readPath(body, 'title'))
  if (status === 402 || type.endsWith('/usage-capped')) {
    return {
      code: 'provider_forbidden',
      detail: `X: the credits or the monthly posts of our app there are used up. ${said}`.trim(),
    }
  }
  if (status === 429) {
    const retryAfterMs = untilReset(resetOf(headers), now)
    return retryAfterMs === undefined
      ? null
      : { code: 'provider_rate_limited', detail: 'X asks us to wait.', retryAfterMs }
  }
  if (status === 403 && /duplicate/i.test(said)) {
    return { code: 'provider_rejected', detail: `X has this very post already: ${said}` }
  }
  if (status === 400) {
    const wrong = readPath(body, 'errors')
    const names = Array.isArray(wrong)
      ? wrong.flatMap((error) => Object.keys(Object(readPath(error, 'parameters'))))
      : []
    return names.some((name) => name === 'pagination_token' || name === 'since_id')
      ? { code: 'provider_cursor_expired', detail: `X no longer knows our place: ${said}` }
      : null
  }
  return status === 200 ? hiddenFailure(body) : null
}

/** A 200 of nothing but errors; posts that are not there are an answer, not a failure. */
function hiddenFailure(body: unknown): Failure | null {
  const errors = readPath(body, 'errors')
  const isAnswer = ['data', 'meta'].some((part) => readPath(body, part) !== undefined)
  if (isAnswer || !Array.isArray(errors)) return null
  const other = errors.find((error) => !ABSENT.test(String(readPath(error, 'type'))))
  if (other === undefined) return null
  const said = platformWords(readPath(other, 'detail') ?? readPath(other, 'title'))
  return { code: 'provider_forbidden', detail: `X: ${said || 'no reason given'}` }
}

/** A post that was deleted, and one that this account may no longer see. */
const ABSENT = /\/(resource-not-found|not-authorized-for-resource)$/

/** The window that is used up: a day's, which X names by whom it counts, or the quarter hour's. */
function resetOf(headers: Headers): string | null {
  const day = ['user', 'app'].find((whose) =>
    headers.get(`x-${whose}-limit-24hour-remaining`) === '0'
  )
  return headers.get(day ? `x-${day}-limit-24hour-reset` : 'x-rate-limit-reset')
}

/** Epoch seconds; a second more, since the platform's clock has them whole. */
function untilReset(reset: string | null, now: Date): number | undefined {
  if (reset === null || !/^\d{1,12}$/.test(reset)) return undefined
  return Math.max(1_000, (Number(reset) + 1) * 1000 - now.getTime())
}
