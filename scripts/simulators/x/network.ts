// Who has posted what on the simulated network? Newest first, as X lists it.
import { seededRandom } from '../parts/seeded-random.ts'

export type Person = { id: string; name: string; username: string }

export type Post = {
  id: string
  text: string
  author_id: string
  created_at: string
  conversation_id: string
  lang: string
  edit_history_tweet_ids: string[]
  referenced_tweets?: { type: 'replied_to' | 'quoted' | 'retweeted'; id: string }[]
  attachments?: { media_keys: string[] }
  public_metrics: Record<string, number>
  /** Ids of the people it names. */
  mentions: string[]
}

export type PostInput =
  & Pick<Post, 'text' | 'author_id'>
  & Partial<Pick<Post, 'referenced_tweets' | 'attachments' | 'lang' | 'created_at'>>

/** What X can tell of an account. */
export type Activity = {
  event_type: 'post.create' | 'post.mention.create' | 'post.delete'
  user_id: string
  payload: Record<string, unknown>
}

export type Network = ReturnType<typeof createNetwork>

const WORDS = {
  own: ['Opening late today', 'New menu is out', 'Thank you for coming', 'Closed on Sunday'],
  mention: [
    'I love this place',
    'the service was terrible',
    'are you open on Sunday?',
    'could you send me the menu',
  ],
}

/** @param options `accounts` are those that people connect; everybody else only mentions them. */
export function createNetwork(
  options: {
    accounts: Person[]
    posts: number
    mentions: number
    seed: number
    now(): number
    told?(activity: Activity): void
  },
) {
  const { accounts, now } = options
  const random = seededRandom(options.seed)
  const visitors: Person[] = ['ada', 'grace', 'linus'].map((username, index) => ({
    id: String(9000 + index),
    name: username[0]!.toUpperCase() + username.slice(1),
    username,
  }))
  const people = [...accounts, ...visitors]
  const posts: Post[] = []
  // the snowflake counter: neighbours are the same number in a double
  let nextId = 1_900_000_000_000_000_001n

  function publish(input: PostInput): Post {
    const id = String(nextId++)
    const answered = input.referenced_tweets?.find(({ type }) => type === 'replied_to')
    const post: Post = {
      id,
      created_at: new Date(now()).toISOString(),
      lang: 'en',
      conversation_id: posts.find((other) => other.id === answered?.id)?.conversation_id ?? id,
      edit_history_tweet_ids: [id],
      public_metrics: {
        retweet_count: 0,
        reply_count: 0,
        like_count: 0,
        quote_count: 0,
        bookmark_count: 0,
        impression_count: 0,
      },
      mentions: people.filter(({ username }) => new RegExp(`@${username}\\b`, 'i').test(input.text))
        .map(({ id }) => id),
      ...input,
    }
    posts.unshift(post)
    return post
  }

  const total = Math.max(options.posts, options.mentions)
  for (const account of accounts) {
    for (let index = 0; index < total; index++) {
      const created_at = new Date(now() - (total - index) * 60_000).toISOString()
      if (index < options.posts) {
        publish({
          text: `${random.pick(WORDS.own)} ${index}`,
          author_id: account.id,
          created_at,
        })
      }
      if (index < options.mentions) {
        publish({
          text: `@${account.username} ${random.pick(WORDS.mention)} ${index}`,
          author_id: random.pick(visitors).id,
          created_at,
        })
      }
    }
  }

  const { told = () => {} } = options
  return {
    people,
    visitors,
    publish(input: PostInput): Post {
      const post = publish(input)
      const { mentions, ...payload } = post
      told({ event_type: 'post.create', user_id: post.author_id, payload })
      for (const user_id of mentions) told({ event_type: 'post.mention.create', user_id, payload })
      return post
    },
    find: (id: string) => posts.find((post) => post.id === id),
    by: (author_id: string) => posts.filter((post) => post.author_id === author_id),
    mentioning: (person_id: string) => posts.filter((post) => post.mentions.includes(person_id)),
    remove(id: string) {
      const at = posts.findIndex((post) => post.id === id)
      const [post] = at >= 0 ? posts.splice(at, 1) : []
      if (post) told({ event_type: 'post.delete', user_id: post.author_id, payload: { id } })
      return post !== undefined
    },
  }
}
