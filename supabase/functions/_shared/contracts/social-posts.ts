// A post on a social network as every connector's mapping yields it: our own, or one that mentions us.
import { z } from 'zod'
import { Timestamp } from './contract.ts'
import { SentimentScore } from './messages.ts'

const Count = z.int().nonnegative() // null when the platform does not count, or does not tell us

/** The columns of `social_posts` that come from the platform. */
export const SocialPostColumns = z.object({
  kind: z.enum(['post', 'reply', 'repost', 'quote']),
  is_own: z.boolean(), // written by the connected account
  author_id: z.string().nullable(),
  author_name: z.string().nullable(),
  author_handle: z.string().nullable(),
  body_text: z.string().nullable(),
  language: z.string().nullable(), // BCP 47, as the platform says
  published_at: Timestamp,
  permalink: z.string().nullable(),
  conversation_id: z.string().nullable(),
  reply_to_id: z.string().nullable(),
  like_count: Count.nullable(),
  reply_count: Count.nullable(),
  repost_count: Count.nullable(),
  quote_count: Count.nullable(),
  impression_count: Count.nullable(),
  media_urls: z.array(z.string()),
  sentiment_score: SentimentScore.nullable(),
  requires_response: z.boolean(),
})
export type SocialPostColumns = z.infer<typeof SocialPostColumns>
