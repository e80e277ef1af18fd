// Mailchimp, newsletters: the members of an audience and its daily numbers in; members, tags and consent out.
import { z } from 'zod'
import type { ContactColumns } from '../contracts/contacts.ts'
import { AppError } from '../platform/errors.ts'
import { defineConnector, type Failure, type JudgedAnswer } from './define-connector.ts'
import { memberId, memberPath, mergeFields, STATUSES } from './mailchimp/members.ts'
import { lookup, push } from './mailchimp/push-members.ts'
import { OVERLAP_SECONDS, readMembers } from './mailchimp/read-members.ts'
import { webhooks } from './mailchimp/webhooks.ts'
import { action, type ActionAnswer } from './vocabulary/actions.ts'
import { type AccountFacts, basicKey, type CheckCall, oauth2, secret } from './vocabulary/auth.ts'
import { decimal } from './vocabulary/decimal.ts'
import { platformWords } from './vocabulary/platform-words.ts'
import { readPath } from './vocabulary/read-path.ts'
import type { ReadContext, ReadResult } from './vocabulary/stream-definition.ts'
import { timestamp } from './vocabulary/timestamp.ts'

const settings = z.strictObject({
  list_id: z.string().trim().regex(/^[0-9a-z]{6,20}$/, 'must be an audience id like abc123def4')
    .meta({
      title: 'Audience id',
      description: 'In Mailchimp: Audience, Settings, Audience name and defaults.',
    }),
  auth: z.enum(['oauth', 'api_key']).default('oauth').meta({
    title: 'How to connect',
    description: 'oauth: sign in at Mailchimp. api_key: a key of your account.',
  }),
})

const Member = z.object({
  id: z.string().min(1),
  email_address: z.string().min(1),
  full_name: z.string().nullish(),
  status: z.string(),
  merge_fields: z.record(z.string(), z.unknown()).nullish(),
  last_changed: timestamp,
  tags: z.array(z.object({ name: z.string() })).nullish(),
})
type Member = z.output<typeof Member>

/** The columns of a day of activity, and what they are called here. */
const METRICS = {
  opens: 'unique_opens',
  clicks: 'recipient_clicks',
  subscribed: 'subs',
  unsubscribed: 'unsubs',
} as const
type Metric = keyof typeof METRICS
const METRIC_NAMES = Object.keys(METRICS) as Metric[]

const DailyNumber = z.object({
  day: z.iso.date(),
  metric: z.enum(METRIC_NAMES),
  value: decimal,
})

/** What is known of a member after a write. */
const MemberState = z.object({ member_id: z.string(), status: z.string() })

const audience: CheckCall = {
  path: '/lists/{list_id}',
  query: { fields: 'id,name' },
  accountName: (body) => textAt(body, 'name'),
  account: (body): AccountFacts => factOf('audience_name', textAt(body, 'name')),
}
const account: CheckCall = {
  path: '/',
  query: { fields: 'account_id' },
  account: (body): AccountFacts => factOf('account_id', textAt(body, 'account_id')),
  then: audience,
}

export const mailchimp = defineConnector({
  slug: 'mailchimp',
  name: 'Mailchimp',
  description:
    'Members of a Mailchimp audience, both ways, and its opens, clicks and subscriptions by day.',
  category: 'marketing',
  docs: 'https://mailchimp.com/developer/marketing/api/', // read 2026-11-20
  guide: [
    'An integration is one audience; connect again for another. Sign in at Mailchimp, or choose `api_key` and make a key',
    'under Account, Extras, API keys. Either way it has the rights of the whole account: Mailchimp knows no scopes.',
    '',
    'First and last name, phone, company and address are the merge fields `FNAME`, `LNAME`, `PHONE`, `COMPANY` and',
    '`ADDRESS`; every merge field is in `source_data`. A member is known by the hash of the address, so one whose address',
    'changes is a new one, and the old one ends. Archived members end at once; one that was deleted for good ends with',
    'the next complete run.',
    '',
    'A contact made here becomes a member in the marketing status it has, and a transactional one where it has none.',
    'Mailchimp takes whole addresses only, with line 1, city, region and postal code. Deleting archives.',
    '',
    'The daily numbers go back as far as Mailchimp shows them, half a year; older ones stay.',
    '',
    'Mailchimp takes ten calls of an account at the same time. Kept is a pace, and no count: five calls a second of all its',
    'audiences together, evenly, which are ten at the same time where every answer takes two seconds. Slower answers, and the few calls',
    'that try an account before it is connected, can make them more; Mailchimp refuses those (429), which wait and are sent again.',
  ].join('\n'),
  settings,

  auth: {
    setting: 'auth',
    modes: {
      oauth: oauth2({
        authorization_endpoint: 'https://login.mailchimp.com/oauth2/authorize',
        token_endpoint: 'https://login.mailchimp.com/oauth2/token',
        token_endpoint_auth_method: 'client_secret_post',
        scope: '',
        pkce: false,
        readTokenAnswer,
        headers: (access_token) => ({ authorization: `OAuth ${access_token}` }),
        baseUrl: ({ account }) => `${endpointOf(account.api_endpoint)}/3.0`,
        check: {
          path: 'https://login.mailchimp.com/oauth2/metadata',
          // answers 200 to a bad token as well: only an address proves anything
          account: (body) => ({ api_endpoint: endpointOf(textAt(body, 'api_endpoint')) }),
          then: account,
        },
      }),
      api_key: basicKey({
        settings,
        credentials: z.strictObject({
          api_key: secret('API key')
            .refine((key) => DATA_CENTER.test(key), 'must end with its data center, such as -us21'),
        }),
        username: () => 'plugboard',
        password: ({ credentials }) => credentials.api_key,
        baseUrl: ({ credentials }) =>
          `https://${DATA_CENTER.exec(String(credentials.api_key))?.[1]}.api.mailchimp.com/3.0`,
        check: account,
      }),
    },
  },

  // What counts there is ten calls at the same time, of all audiences: evenly sent, answers that take two seconds
  // are ten at once.
  rateLimit: { requestsPerSecond: 5, burst: 1 },
  accountId: ({ settings, account }) =>
    account.account_id ? `${account.account_id}/${settings.list_id}` : settings.list_id,
  budgetKey: ({ settings, account }) => `mailchimp:${account.account_id ?? settings.list_id}`,
  failure: readFailure,
  webhooks: webhooks(memberId),

  streams: {
    contacts: {
      read: readMembers,
      incremental: { overlapSeconds: OVERLAP_SECONDS },
      // Those of one second come in no order that Mailchimp states, and an import can make more of them than a
      // page holds: whoever a single scan did not show may still be there.
      confirmsAbsence: false,
      lookup,
      push,
      id: 'id',
      record: Member,
      toRecord: (member) => ({
        source_id: member.id,
        source_updated_at: member.last_changed,
        columns: columnsOf(member),
        ...(member.status === 'archived' ? { deleted: true } : {}),
      }),
    },

    analytics: {
      read: readActivity,
      id: (raw) => {
        const [day, metric] = [textAt(raw, 'day'), textAt(raw, 'metric')]
        return day && metric ? `${day}:${metric}` : null
      },
      record: DailyNumber,
      toRecord: ({ day, metric, value }, { settings, account }) => ({
        source_id: `${day}:${metric}`,
        source_updated_at: startOf(day),
        columns: { day, metric, value, dimension: account.audience_name ?? settings.list_id },
      }),
    },
  },

  actions: {
    upsert_member: action({
      settings,
      title: 'Add or update a member',
      description: 'Writes one member of the audience by email address, and adds tags.',
      input: z.strictObject({
        email: z.email(),
        status_if_new: z.enum(['subscribed', 'pending', 'unsubscribed', 'transactional']).meta({
          description:
            'For somebody new. subscribed: you have their consent; pending: Mailchimp asks them by email.',
        }),
        status: z.enum(['subscribed', 'pending', 'unsubscribed', 'transactional']).optional().meta({
          description: 'For a member who is there already; left out: stays as it is.',
        }),
        first_name: z.string().optional(),
        last_name: z.string().optional(),
        phone: z.string().optional(),
        merge_fields: z.record(
          z.string().regex(/^[A-Z][A-Z0-9_]{0,9}$/, 'must be the tag of a merge field'),
          z.union([z.string(), z.number(), z.record(z.string(), z.string())]),
        ).default({}).meta({ description: 'More merge fields by their tags.' }),
        tags: z.array(z.string().trim().min(1).max(100)).max(100).default([]),
      }),
      output: MemberState,
      repeatable: true,
      requests: ({ email, status_if_new, status, tags, ...member }) => [
        {
          method: 'PUT',
          path: memberPath(memberId(email)),
          json: {
            email_address: email,
            status_if_new,
            ...(status === undefined ? {} : { status }),
            merge_fields: { ...member.merge_fields, ...mergeFields(member) },
          },
        },
        // those of the call before would be for new members only
        ...(tags.length === 0 ? [] : [tagsCall(email, tags, [])]),
      ],
      read: ([answer], { email }) => stateOf(answer, email),
    }),

    set_tags: action({
      settings,
      title: 'Tag a member',
      description: 'Adds tags to a member of the audience and takes others away.',
      input: z.strictObject({
        email: z.email(),
        add: z.array(z.string().trim().min(1).max(100)).max(100).default([]),
        remove: z.array(z.string().trim().min(1).max(100)).max(100).default([]),
      }).superRefine(({ add, remove }, context) => {
        if (add.length + remove.length === 0) {
          context.addIssue({ code: 'custom', path: ['add'], message: 'must name a tag' })
        }
        const both = remove.findIndex((tag) => add.includes(tag))
        if (both >= 0) {
          context.addIssue({
            code: 'custom',
            path: ['remove', both],
            message: 'is also to be added',
          })
        }
      }),
      output: z.object({ member_id: z.string() }),
      repeatable: true,
      requests: ({ email, add, remove }) => [tagsCall(email, add, remove)],
      read: (_, { email }) => ({ member_id: memberId(email) }),
    }),

    unsubscribe: action({
      settings,
      title: 'Unsubscribe a member',
      description: 'Sends no more campaigns to this address; only the person can undo it.',
      input: z.strictObject({ email: z.email() }),
      output: MemberState,
      repeatable: true,
      requests: ({ email }) => [{
        method: 'PATCH',
        path: memberPath(memberId(email)),
        json: { status: 'unsubscribed' },
      }],
      read: ([answer], { email }) => stateOf(answer, email),
    }),

    archive_member: action({
      settings,
      title: 'Archive a member',
      description: 'Takes a member out of the audience; the address can be added again.',
      input: z.strictObject({ email: z.email() }),
      output: z.object({ member_id: z.string() }),
      repeatable: false, // the second call is refused, as if nothing had been done
      requests: ({ email }) => [{ method: 'DELETE', path: memberPath(memberId(email)) }],
      read: (_, { email }) => ({ member_id: memberId(email) }),
    }),
  },
})

function stateOf(answer: ActionAnswer | undefined, email: string) {
  return {
    member_id: textAt(answer?.body, 'id') ?? memberId(email),
    status: textAt(answer?.body, 'status') ?? '',
  }
}

function tagsCall(email: string, add: string[], remove: string[]) {
  const tags = [
    ...add.map((name) => ({ name, status: 'active' })),
    ...remove.map((name) => ({ name, status: 'inactive' })),
  ]
  return { method: 'POST' as const, path: `${memberPath(memberId(email))}/tags`, json: { tags } }
}

function textAt(value: unknown, path: string): string | undefined {
  const found = readPath(value, path)
  return typeof found === 'string' && found !== '' ? found : undefined
}

const factOf = (name: string, value: string | undefined): AccountFacts =>
  value === undefined ? {} : { [name]: value }

// Where an account lives.

const DATA_CENTER = /-([a-z]{2,4}\d{1,4})$/

/** The host comes from outside and gets our token: it has to be Mailchimp's own. */
function endpointOf(url: string | undefined): string {
  const parsed = URL.parse(url ?? '')
  const isTheirs = parsed?.protocol === 'https:' && parsed.port === '' &&
    /^[a-z0-9-]+\.api\.mailchimp\.com$/.test(parsed.hostname)
  if (parsed && isTheirs) return parsed.origin
  throw new AppError('provider_bad_answer', {
    detail: 'Mailchimp does not say at which of its data centers this account lives.',
  })
}

/** It lives for ever (`expires_in: 0`), and `scope` is null. */
function readTokenAnswer(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || !('access_token' in body)) return body
  const { expires_in, scope: _, ...answer } = body as Record<string, unknown>
  return {
    token_type: 'bearer',
    ...answer,
    ...(Number(expires_in) > 0 ? { expires_in } : {}),
  }
}

// What Mailchimp has, in our columns.

function columnsOf(member: Member): ContactColumns {
  const fields = member.merge_fields ?? {}
  const { addr1, addr2, city, state, zip, country } =
    (typeof fields.ADDRESS === 'object' ? fields.ADDRESS ?? {} : {}) as Record<string, string>
  const first_name = textAt(fields, 'FNAME') ?? null
  const last_name = textAt(fields, 'LNAME') ?? null
  return {
    kind: 'contact',
    email: member.email_address,
    first_name,
    last_name,
    full_name: member.full_name || [first_name, last_name].filter(Boolean).join(' ') || null,
    phone: textAt(fields, 'PHONE') ?? null,
    company: textAt(fields, 'COMPANY') ?? null,
    job_title: null,
    marketing_status: STATUSES[member.status] ?? null,
    tags: (member.tags ?? []).map(({ name }) => name),
    address: [addr1, addr2, city, state, zip].some(Boolean) // the country is filled in by itself
      ? {
        line1: addr1 || null,
        line2: addr2 || null,
        city: city || null,
        region: state || null,
        postal_code: zip || null,
        country: country || null,
      }
      : null,
    image_url: null,
  }
}

const startOf = (day: string) => `${day}T00:00:00.000Z`

/** Half a year of days in one answer, four numbers each. */
async function readActivity({ call }: ReadContext): Promise<ReadResult> {
  const { body } = await call({
    path: '/lists/{list_id}/activity',
    query: { count: '1000', exclude_fields: '_links,activity._links' },
  })
  const days = readPath(body, 'activity')
  if (!Array.isArray(days)) {
    throw new AppError('provider_bad_answer', {
      detail: 'Mailchimp answered without the days of its activity.',
    })
  }
  const records = days.flatMap((day: unknown) =>
    METRIC_NAMES.map((metric) => ({
      day: readPath(day, 'day'),
      metric,
      value: readPath(day, METRICS[metric]),
    }))
  )
  const oldest = records.flatMap(({ day }) => z.iso.date().safeParse(day).data ?? []).sort()[0]
  return { records, next: null, ...(oldest ? { reachesBackTo: startOf(oldest) } : {}) }
}

// What Mailchimp's answers mean.

const CLEAR_WORDS: Record<string, string> = {
  'Member Exists': 'There is a member with this address already.',
  'Member In Compliance State':
    'This address unsubscribed, bounced or is under review: only the person can subscribe it again, by a form of yours.',
  'Forgotten Email Not Subscribed':
    'This address was deleted for good: only the person can subscribe it again, by a form of yours.',
  'Resource Not Found': 'Mailchimp knows no such member or audience.',
  'User Disabled': 'This Mailchimp account is disabled.',
  'Wrong Datacenter': 'This API key belongs to another data center than it says.',
}

/** Mailchimp's own titles (RFC 9457) that mean something else than their status. */
const CODES: Record<string, Failure['code']> = { 'Wrong Datacenter': 'provider_unauthorized' }

function readFailure({ status, body }: JudgedAnswer): Failure | null {
  if (status === 200) {
    // the metadata of a sign-in says so at a bad token
    return textAt(body, 'error') !== undefined && textAt(body, 'api_endpoint') === undefined
      ? { code: 'provider_unauthorized', detail: 'Mailchimp refuses the token.' }
      : null
  }
  if (status === 403 && body === undefined) {
    return {
      code: 'provider_rate_limited',
      detail: 'Mailchimp lets nobody in from here for a while.',
      retryAfterMs: 30_000,
    }
  }
  const title = textAt(body, 'title')
  if (title === undefined || ![400, 403, 404, 405, 422].includes(status)) return null
  const errors = readPath(body, 'errors')
  const fields = Array.isArray(errors)
    ? errors.map((error) => `${textAt(error, 'field') ?? 'it'}: ${textAt(error, 'message') ?? ''}`)
      .join('; ')
    : undefined
  return {
    code: CODES[title] ?? CODE_OF[status] ?? 'provider_rejected',
    detail: CLEAR_WORDS[title] ??
      `Mailchimp says ${platformWords(title)}: ${platformWords(fields || textAt(body, 'detail'))}`,
  }
}

const CODE_OF: Record<number, Failure['code']> = {
  403: 'provider_forbidden',
  404: 'provider_not_found',
}
