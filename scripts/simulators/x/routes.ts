// Which of X's addresses answer, and with what? The endpoints of API v2 that concern posts.
import { jsonOf, type SimulatorAnswer, type SimulatorRequest } from '../parts/http-server.ts'
import type { FixedWindows } from '../parts/fixed-windows.ts'
import type { Network, Person, Post } from './network.ts'
import { absent, invalid, problem } from './problems.ts'

/** About how far back X shows a list. */
export const REACH = { tweets: 3200, mentions: 800 } as const

export type XRoutes = {
  network: Network
  windows: FixedWindows
  /** Whose token is this, and what may it do? */
  verify(access_token: string): { account: string; scopes: readonly string[] } | null
  state: {
    /** What every call is refused with: credits that ended, posts of the month that are read. */
    refusal: 'no_credits' | 'usage_capped' | null
    /** How many there were when tokens were last forgotten. */
    forgotten: number
    tokens: { offset: number; asked: string }[]
  }
}

type Caller = { person: Person; scopes: readonly string[] }

export function answerX(request: SimulatorRequest, parts: XRoutes): SimulatorAnswer {
  const caller = callerOf(request, parts)
  if (!caller) return problem(401, 'Unauthorized', 'Unauthorized')
  const found = ROUTES.find(({ method, path }) =>
    method === request.method && path.test(request.url.pathname)
  )
  if (!found) return problem(404, 'Not Found', 'No such resource')
  const window = parts.windows.take(found.endpoint, caller.person.id)
  const headers = {
    'x-rate-limit-limit': String(window.limit),
    'x-rate-limit-remaining': String(window.remaining),
    'x-rate-limit-reset': String(window.reset),
  }
  const answer = !window.taken
    ? problem(429, 'Too Many Requests', 'Too Many Requests')
    : refusalOf(parts) ?? (caller.scopes.includes(found.scope)
      ? found.answer(request, caller.person, parts)
      : problem(403, 'Forbidden', `The token lacks ${found.scope}.`))
  return { ...answer, headers: { ...answer.headers, ...headers } }
}

type Route = {
  endpoint: string
  method: string
  path: RegExp
  scope: string
  answer(request: SimulatorRequest, person: Person, parts: XRoutes): SimulatorAnswer
}

const ROUTES: readonly Route[] = [
  {
    endpoint: 'me',
    method: 'GET',
    path: /^\/2\/users\/me$/,
    scope: 'users.read',
    answer: (_, person) => ({ body: { data: person } }),
  },
  {
    endpoint: 'tweets',
    method: 'GET',
    path: /^\/2\/users\/\d+\/tweets$/,
    scope: 'tweet.read',
    answer: (request, _, parts) =>
      list(request, parts, parts.network.by(userIn(request)).slice(0, REACH.tweets)),
  },
  {
    endpoint: 'mentions',
    method: 'GET',
    path: /^\/2\/users\/\d+\/mentions$/,
    scope: 'tweet.read',
    answer: (request, _, parts) =>
      list(request, parts, parts.network.mentioning(userIn(request)).slice(0, REACH.mentions)),
  },
  {
    endpoint: 'lookup',
    method: 'GET',
    path: /^\/2\/tweets$/,
    scope: 'tweet.read',
    answer: lookUp,
  },
  {
    endpoint: 'post',
    method: 'POST',
    path: /^\/2\/tweets$/,
    scope: 'tweet.write',
    answer: publish,
  },
  {
    endpoint: 'delete',
    method: 'DELETE',
    path: /^\/2\/tweets\/\d+$/,
    scope: 'tweet.write',
    answer(request, person, { network }) {
      const post = network.find(request.url.pathname.split('/').at(-1)!)
      if (!post) return { status: 404, body: { errors: [absent('0')] } }
      if (post.author_id !== person.id) return problem(403, 'Forbidden', 'Not your post')
      return { body: { data: { deleted: network.remove(post.id) } } }
    },
  },
]

const userIn = (request: SimulatorRequest) => request.url.pathname.split('/')[3]!

function callerOf({ headers }: SimulatorRequest, { verify, network }: XRoutes): Caller | null {
  const consent = verify((headers['authorization'] ?? '').replace(/^Bearer /, ''))
  const person = network.people.find(({ username }) => username === consent?.account)
  return consent && person ? { person, scopes: consent.scopes } : null
}

function refusalOf({ state: { refusal } }: XRoutes): SimulatorAnswer | null {
  if (refusal === 'no_credits') {
    return problem(402, 'Payment Required', 'Your account has no credits left.', 'credits-depleted')
  }
  return refusal === 'usage_capped'
    ? problem(403, 'UsageCapExceeded', 'Usage cap exceeded: Monthly product cap', 'usage-capped')
    : null
}

/** Newest first, in pages behind tokens that mean nothing to anybody else. */
function list(request: SimulatorRequest, { network, state }: XRoutes, posts: Post[]) {
  const query = request.url.searchParams
  const size = Number(query.get('max_results') ?? 10)
  if (!(size >= 5 && size <= 100)) return invalid('max_results', String(size))
  const since = query.get('since_id')
  if (since !== null && !/^\d+$/.test(since)) return invalid('since_id', since)
  const listed = since === null ? posts : posts.filter(({ id }) => BigInt(id) > BigInt(since))

  const asked = request.url.pathname + since
  const token = query.get('pagination_token')
  const known = state.tokens.find((_, index) =>
    index >= state.forgotten && tokenName(index) === token
  )
  if (token !== null && known?.asked !== asked) return invalid('pagination_token', token)
  const offset = request.fault?.kind === 'repeated_page' ? 0 : known?.offset ?? 0
  const page = request.fault?.kind === 'empty' ? [] : listed.slice(offset, offset + size)
  if (page.length === 0) return { body: { meta: { result_count: 0 } } }
  const more = offset + size < listed.length
  if (more) state.tokens.push({ offset: offset + size, asked })
  return {
    body: {
      ...shown(page, query, network),
      meta: {
        result_count: page.length,
        newest_id: page[0]!.id,
        oldest_id: page.at(-1)!.id,
        ...(more ? { next_token: tokenName(state.tokens.length - 1) } : {}),
      },
    },
  }
}

const tokenName = (index: number) => `7140dibdnow9c7btw${index.toString(36).padStart(6, '0')}`

function lookUp(request: SimulatorRequest, _: Person, { network }: XRoutes): SimulatorAnswer {
  const query = request.url.searchParams
  const ids = (query.get('ids') ?? '').split(',').filter((id) => id !== '')
  if (ids.length === 0 || ids.length > 100) return invalid('ids', ids.join(','))
  const posts = ids.flatMap((id) => network.find(id) ?? [])
  const errors = ids.filter((id) => !network.find(id)).map(absent)
  return {
    body: {
      ...(posts.length > 0 ? shown(posts, query, network) : {}),
      ...(errors.length > 0 ? { errors } : {}),
    },
  }
}

/** Only what was asked for: by itself an object has an id and a text. */
function shown(posts: Post[], query: URLSearchParams, { people }: Network) {
  const asked = (name: string) => (query.get(name) ?? '').split(',')
  const fields = ['id', 'text', 'edit_history_tweet_ids', ...asked('tweet.fields')]
  const expansions = asked('expansions')
  const isMedia = expansions.includes('attachments.media_keys')
  const data = posts.map((post) =>
    Object.fromEntries(
      Object.entries(post).filter(([name]) =>
        fields.includes(name) || isMedia && name === 'attachments'
      ),
    )
  )
  const authors = people.filter(({ id }) => posts.some(({ author_id }) => author_id === id))
  const keys = posts.flatMap(({ attachments }) => attachments?.media_keys ?? [])
  const includes = {
    ...(expansions.includes('author_id') ? { users: authors } : {}),
    ...(isMedia && keys.length > 0
      ? {
        media: keys.map((media_key) => ({
          media_key,
          type: 'photo',
          url: `https://pbs.example/${media_key}.jpg`,
        })),
      }
      : {}),
  }
  return { data, ...(Object.keys(includes).length > 0 ? { includes } : {}) }
}

function publish(request: SimulatorRequest, person: Person, { network }: XRoutes) {
  const body = jsonOf(request) as {
    text?: string
    quote_tweet_id?: string
    reply?: { in_reply_to_tweet_id?: string }
  } | null
  if (typeof body?.text !== 'string' || body.text === '') return invalid('text', '')
  const isKnown = network.by(person.id).some(({ text }) => text === body.text)
  if (isKnown) {
    return problem(
      403,
      'Forbidden',
      'You are not allowed to create a Tweet with duplicate content.',
    )
  }
  const references = [
    ['replied_to', body.reply?.in_reply_to_tweet_id] as const,
    ['quoted', body.quote_tweet_id] as const,
  ].flatMap(([type, id]) => id === undefined ? [] : [{ type, id }])
  const unknown = references.find(({ id }) => !network.find(id))
  if (unknown) {
    return problem(400, 'Invalid Request', `The post ${unknown.id} does not exist.`)
  }
  const { id, text, edit_history_tweet_ids } = network.publish({
    text: body.text,
    author_id: person.id,
    ...(references.length > 0 ? { referenced_tweets: references } : {}),
  })
  return { status: 201, body: { data: { id, text, edit_history_tweet_ids } } }
}
