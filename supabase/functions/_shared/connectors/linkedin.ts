// LinkedIn: publishing posts as a member or as a page, and deleting them.
import { z } from 'zod'
import { AppError } from '../platform/errors.ts'
import { defineConnector, type Failure, type JudgedAnswer } from './define-connector.ts'
import { webhooks } from './linkedin/webhooks.ts'
import { action } from './vocabulary/actions.ts'
import {
  type AccountFacts,
  type AccountValues,
  type CheckCall,
  oauth2,
  UNPROVEN,
  type Values,
} from './vocabulary/auth.ts'
import { perWindow } from './vocabulary/rate-limit.ts'
import { platformWords } from './vocabulary/platform-words.ts'
import { readPath } from './vocabulary/read-path.ts'

const settings = z.strictObject({
  post_as: z.enum(['member', 'page']).default('member').meta({
    title: 'Post as',
    description: 'The member who signs in, or a page that they administer.',
  }),
  organization_id: z.string().trim().regex(/^\d+$/, 'is the number in the address of the page')
    .optional().meta({
      title: 'Page',
      description: 'With "page": the number in linkedin.com/company/…/admin.',
    }),
  api_version: z.string().regex(/^20\d\d(0[1-9]|1[0-2])$/, 'must be a month like 202607')
    .default('202607').meta({
      title: 'API version',
      description: 'LinkedIn keeps each for about a year, then refuses it.',
    }),
}).refine(({ post_as, organization_id }) => post_as === 'member' || organization_id !== undefined, {
  path: ['organization_id'],
  message: 'is needed to post as a page',
})
type Settings = z.output<typeof settings>

/** Who signed in. */
const member: CheckCall = {
  path: '/v2/userinfo',
  accountName: (body) => {
    const name = readPath(body, 'name')
    return typeof name === 'string' ? name : undefined
  },
  account: (body): AccountFacts => {
    const person_id = readPath(body, 'sub')
    if (typeof person_id === 'string' && person_id !== '') return { person_id }
    throw new AppError('provider_bad_answer', {
      detail: 'LinkedIn does not say whose account this is.',
    })
  },
}

const PAGES_ASKED = 100

/** Which pages that member administers. */
const pages: CheckCall = {
  path: '/rest/organizationAcls',
  query: { q: 'roleAssignee', role: 'ADMINISTRATOR', count: String(PAGES_ASKED) },
  headers: { 'linkedin-version': '{api_version}', 'x-restli-protocol-version': '2.0.0' },
  notKnown: [403], // the scope it takes is not one that every app gets
  verify: refusePageOfOthers,
  account: (body, { settings }) => isListed(body, settings) ? {} : UNPROVEN,
}

const signIn = (scope: string, check: CheckCall) =>
  oauth2({
    check,
    authorization_endpoint: 'https://www.linkedin.com/oauth/v2/authorization',
    token_endpoint: 'https://www.linkedin.com/oauth/v2/accessToken',
    token_endpoint_auth_method: 'client_secret_post',
    scope,
    requiredScope: scope.split(' ').find((one) => one.startsWith('w_')),
    pkce: false, // a code_challenge can break LinkedIn's exchange
    lifetimeSeconds: 60 * 24 * 3600,
  })

const POST_URN = /^urn:li:(share|ugcPost):\d+$/

export const linkedin = defineConnector({
  slug: 'linkedin',
  name: 'LinkedIn',
  description: 'Posts on LinkedIn as a member or as a page.',
  category: 'social',
  docs: 'https://learn.microsoft.com/linkedin/marketing/community-management/shares/posts-api', // read 2026-11-20
  guide: [
    'Our app at LinkedIn needs the products _Sign In with LinkedIn using OpenID Connect_ and _Share on LinkedIn_; to',
    'post as a page also _Community Management_, and the person who signs in has to administer the page.',
    'Connecting a page asks LinkedIn which pages that person administers, and is refused where the page is not among',
    'them. LinkedIn does not let every app ask that: where it refuses the question (403), the page is taken as typed, and',
    'a page of somebody else shows at the first post. Webhooks about a page come only where LinkedIn has confirmed it.',
    '',
    'A sign-in lasts 60 days. Unless LinkedIn has approved our app for refresh tokens, the owner has to sign in again',
    'then.',
    '',
    'Texts appear as they are written: names and hashtags in them become no links. The same text cannot be posted',
    'twice in a row: LinkedIn answers with the post it has already, which then counts as done.',
  ].join('\n'),
  settings,

  auth: {
    setting: 'post_as',
    modes: {
      member: signIn('openid profile w_member_social', member),
      page: signIn('openid profile w_organization_social', { ...member, then: pages }),
    },
  },
  baseUrl: 'https://api.linkedin.com',
  accountId: ({ settings, account }) =>
    settings.post_as === 'page'
      ? `organization:${settings.organization_id}`
      : account.person_id ?? '',

  // LinkedIn limits by the day, and says how much only in its developer portal; this is our own courtesy.
  rateLimit: perWindow({ requests: 10, seconds: 10, burst: 5 }),
  failure: readFailure,
  webhooks,

  streams: {},

  actions: {
    post: action({
      settings,
      title: 'Post',
      description: 'Publishes a post, with a link if one is given.',
      input: z.strictObject({
        text: z.string().trim().min(1, 'must not be empty').max(
          3000,
          'is longer than 3000 characters',
        ),
        visibility: z.enum(['PUBLIC', 'CONNECTIONS', 'LOGGED_IN']).default('PUBLIC'),
        link: z.strictObject({
          url: z.url({ protocol: /^https?$/, error: 'must be a web address' }),
          title: z.string().trim().min(1).max(400),
          description: z.string().trim().max(4000).optional(),
        }).optional(),
      }),
      output: z.object({ post_id: z.string().regex(POST_URN), permalink: z.url() }),
      repeatable: false,
      requests: ({ text, visibility, link }, { settings, account }) => [{
        method: 'POST',
        path: '/rest/posts',
        headers: versioned(settings),
        json: {
          author: authorOf(settings, account),
          commentary: littleText(text),
          visibility,
          distribution: {
            feedDistribution: 'MAIN_FEED',
            targetEntities: [],
            thirdPartyDistributionChannels: [],
          },
          ...(link ? { content: { article: articleOf(link) } } : {}),
          lifecycleState: 'PUBLISHED',
          isReshareDisabledByAuthor: false,
        },
      }],
      accept: ({ status, body }) => status === 422 && duplicateOf(body) !== null,
      // a good answer is empty: the id is in a header
      read: ([answer]) => {
        const post_id = answer?.status === 422
          ? duplicateOf(answer.body)
          : answer?.headers.get('x-restli-id')
        return {
          post_id: post_id ?? '',
          permalink: `https://www.linkedin.com/feed/update/${post_id}/`,
        }
      },
    }),
    delete_post: action({
      settings,
      title: 'Delete a post',
      description: 'Deletes a post; one that is gone already is no error.',
      input: z.strictObject({
        post_id: z.string().regex(POST_URN, 'must be like urn:li:share:123'),
      }),
      output: z.object({ post_id: z.string(), deleted: z.literal(true) }),
      repeatable: true,
      requests: ({ post_id }, { settings }) => [{
        method: 'DELETE',
        path: `/rest/posts/${encodeURIComponent(post_id)}`,
        headers: { ...versioned(settings), 'x-restli-method': 'DELETE' },
      }],
      read: (_, { post_id }) => ({ post_id, deleted: true as const }),
    }),
  },
})

const versioned = ({ api_version }: Settings) => ({
  'linkedin-version': api_version,
  'x-restli-protocol-version': '2.0.0',
})

const authorOf = ({ post_as, organization_id }: Settings, { person_id }: AccountFacts) =>
  post_as === 'page' ? `urn:li:organization:${organization_id}` : `urn:li:person:${person_id}`

const Pages = z.object({
  elements: z.array(z.object({
    organization: z.string(),
    state: z.string().default('APPROVED'),
  })),
})

function refusePageOfOthers(body: unknown, { settings }: AccountValues): void {
  const parsed = Pages.safeParse(body)
  if (!parsed.success) {
    throw new AppError('provider_bad_answer', {
      detail: 'LinkedIn’s list of the pages that this person administers cannot be read.',
    })
  }
  // among so many it may be a later one
  if (isListed(body, settings) || parsed.data.elements.length >= PAGES_ASKED) return
  throw new AppError('invalid_settings', {
    detail:
      `Whoever signed in does not administer the page ${settings.organization_id} at LinkedIn.`,
    errors: [{
      path: 'settings.organization_id',
      message: 'is not a page that this person administers',
    }],
  })
}

const isListed = (body: unknown, { organization_id }: Values): boolean =>
  Pages.safeParse(body).data?.elements.some(({ organization, state }) =>
    organization === `urn:li:organization:${organization_id}` && state === 'APPROVED'
  ) ?? false

/** LinkedIn looks at no page itself: without a title there is no card. */
function articleOf(
  { url, title, description }: { url: string; title: string; description?: string },
) {
  return { source: url, title, ...(description === undefined ? {} : { description }) }
}

/** Text in the "little" format, where these characters mean something unless a backslash stands before them. */
function littleText(text: string): string {
  return text.replaceAll(/[\\|{}@[\]()<>#*_~]/g, '\\$&')
}

/** The post that LinkedIn has already; null when the refusal has another reason. */
function duplicateOf(body: unknown): string | null {
  const message = String(readPath(body, 'message') ?? '')
  return /duplicate of (urn:li:(?:share|ugcPost):\d+)/i.exec(message)?.[1] ?? null
}

/** What a refusal means where its status does not say it. */
function readFailure({ status, body, now }: JudgedAnswer): Failure | null {
  const said = platformWords(readPath(body, 'message'))
  if (status === 426) {
    return {
      code: 'invalid_settings',
      detail: `LinkedIn no longer serves this API version: set a newer month. ${said}`.trim(),
    }
  }
  // a day's quota is back at midnight, UTC; nothing in the answer says so
  if (status === 429 && /\bDAY\b/i.test(said)) {
    const midnight = new Date(now).setUTCHours(24, 0, 0, 0)
    return {
      code: 'provider_rate_limited',
      detail: `LinkedIn: the posts of this day are used up. ${said}`,
      retryAfterMs: midnight - now.getTime(),
    }
  }
  return null
}
