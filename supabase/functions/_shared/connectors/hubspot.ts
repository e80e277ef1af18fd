// HubSpot, a CRM: its contacts in, contacts written back in hundreds.
import { z } from 'zod'
import type { ContactColumns } from '../contracts/contacts.ts'
import { readRetryAfter } from '../http/retry.ts'
import { AppError } from '../platform/errors.ts'
import { defineConnector, type Failure, type JudgedAnswer } from './define-connector.ts'
import { action, type ActionAnswer, inBatches, ItemFailure } from './vocabulary/actions.ts'
import { headerKey, oauth2, secret } from './vocabulary/auth.ts'
import { platformWords } from './vocabulary/platform-words.ts'
import { readPath } from './vocabulary/read-path.ts'
import type { ReadContext, ReadResult } from './vocabulary/stream-definition.ts'
import { timestamp } from './vocabulary/timestamp.ts'

const settings = z.strictObject({
  auth: z.enum(['oauth', 'private_app']).default('oauth').meta({
    title: 'How to connect',
    description:
      'oauth: sign in at HubSpot. private_app: the token of a private app of your account.',
  }),
})

const CONTACTS = '/crm/v3/objects/contacts'
/** HubSpot answers with a few properties only, unless it is told which. */
const PROPERTIES = [
  'email',
  'firstname',
  'lastname',
  'phone',
  'mobilephone',
  'company',
  'jobtitle',
  'lifecyclestage',
  'hs_email_optout',
  'hs_email_hard_bounce_reason_enum',
  'address',
  'city',
  'state',
  'zip',
  'country',
  'lastmodifieddate',
  'hs_merged_object_ids',
]

const text = z.string().nullish()
const Contact = z.object({
  id: z.string().min(1),
  archived: z.boolean().nullish(),
  archivedAt: timestamp.nullish(),
  updatedAt: timestamp.nullish(),
  properties: z.object({
    email: text,
    firstname: text,
    lastname: text,
    phone: text,
    mobilephone: text,
    company: text,
    jobtitle: text,
    lifecyclestage: text,
    hs_email_optout: text,
    hs_email_hard_bounce_reason_enum: text,
    address: text,
    city: text,
    state: text,
    zip: text,
    country: text,
    lastmodifieddate: timestamp.nullish(),
    hs_merged_object_ids: text,
  }),
})
type Contact = z.output<typeof Contact>

const check = {
  path: '/account-info/v3/details',
  account: (body: unknown) => ({ hub_id: String(readPath(body, 'portalId') ?? '') }),
  accountName: (body: unknown) => {
    const domain = readPath(body, 'uiDomain')
    const hub = readPath(body, 'portalId')
    return typeof domain === 'string' ? `${hub} at ${domain}` : undefined
  },
}

export const hubspot = defineConnector({
  slug: 'hubspot',
  name: 'HubSpot',
  description: 'Contacts of a HubSpot CRM, both ways.',
  category: 'crm',
  docs: 'https://developers.hubspot.com/docs/api-reference/crm-contacts-v3/guide', // read 2026-11-20
  guide: [
    'Sign in at HubSpot, or choose `private_app` and give the token of a private app (Settings, Integrations,',
    'Private Apps) with the scopes `crm.objects.contacts.read` and `crm.objects.contacts.write`.',
    '',
    'A contact in the lifecycle stage `customer` is a customer, one in a lead stage a lead. A contact merged into',
    'another ends when the survivor is synced. Whoever opted out of all email is `unsubscribed`, a hard bounce is',
    '`bounced`; HubSpot knows no subscription of its own beyond that, so the others have none.',
    '',
    'A run that asks for changes searches by the time of change. HubSpot’s search lags some seconds behind and shows at most',
    '10,000 results; both are provided for. Contacts in the recycle bin end too: such a run looks at the first 2,000 of',
    'them, and those beyond end with the next complete run.',
  ].join('\n'),
  settings,

  auth: {
    setting: 'auth',
    modes: {
      oauth: oauth2({
        authorization_endpoint: 'https://app.hubspot.com/oauth/authorize',
        token_endpoint: 'https://api.hubapi.com/oauth/2026-03/token',
        revocation_endpoint: 'https://api.hubapi.com/oauth/2026-03/token/revoke',
        token_endpoint_auth_method: 'client_secret_post',
        scope: 'oauth crm.objects.contacts.read crm.objects.contacts.write',
        requiredScope: 'crm.objects.contacts.read',
        readTokenAnswer,
        account: hubOf,
      }),
      private_app: headerKey({
        settings,
        credentials: z.strictObject({ access_token: secret('Private app token') }),
        value: ({ credentials }) => `Bearer ${credentials.access_token}`,
      }),
    },
  },
  baseUrl: 'https://api.hubapi.com',
  check,

  // 100 in 10 seconds, rolling, is the least that any account has.
  rateLimit: { requestsPerSecond: 9, burst: 10 },
  limits: { search: { requestsPerSecond: 4, burst: 1 } }, // HubSpot's own: 5 a second
  accountId: ({ account }) => account.hub_id ?? '',
  failure: readFailure,

  streams: {
    contacts: {
      read: readContacts,
      incremental: { overlapSeconds: 60 },
      id: 'id',
      record: Contact,
      toRecord: (contact) => ({
        source_id: contact.id,
        source_updated_at: contact.archived
          ? contact.archivedAt ?? contact.updatedAt ?? null
          : contact.properties.lastmodifieddate ?? contact.updatedAt ?? null,
        columns: columnsOf(contact),
        supersedes: (contact.properties.hs_merged_object_ids ?? '').split(';')
          .map((id) => id.trim())
          .filter((id) => id !== '' && id !== contact.id),
        ...(contact.archived ? { deleted: true } : {}),
      }),
    },
  },

  actions: {
    upsert_contacts: action({
      settings,
      title: 'Create or update contacts',
      description:
        'Writes contacts by their email address, a hundred in a call; null empties a property.',
      input: z.strictObject({
        contacts: z.array(z.strictObject({
          email: z.email(),
          properties: z.record(
            z.string().regex(/^[a-z][a-z0-9_]*$/, 'must be the internal name of a property'),
            z.union([z.string(), z.number(), z.boolean(), z.null()]),
          ).default({}),
        })).min(1).max(1000),
      }).superRefine(({ contacts }, context) => {
        const seen = new Set<string>()
        contacts.forEach(({ email }, index) => {
          const key = email.toLowerCase()
          if (seen.has(key)) { // HubSpot refuses a whole call for it
            context.addIssue({
              code: 'custom',
              path: ['contacts', index, 'email'],
              message: 'is there twice',
            })
          }
          seen.add(key)
        })
      }),
      output: z.object({
        created: z.int(),
        updated: z.int(),
        contacts: z.array(z.object({ id: z.string(), email: z.string().nullable() })),
        failed: z.array(ItemFailure),
      }),
      repeatable: true,
      requests: ({ contacts }) =>
        inBatches([...contacts.entries()], BATCH, (batch) => ({
          method: 'POST',
          path: `${CONTACTS}/batch/upsert`,
          json: {
            inputs: batch.map(([index, { email, properties }]) => ({
              idProperty: 'email',
              id: email,
              objectWriteTraceId: String(index),
              properties: { email, ...written(properties) },
            })),
          },
        })),
      read: (answers, { contacts }) => {
        const results = answers.flatMap(({ body }) => listAt(body, 'results'))
        return {
          created: results.filter((result) => readPath(result, 'new') === true).length,
          updated: results.filter((result) => readPath(result, 'new') !== true).length,
          contacts: results.map((result) => ({
            id: String(readPath(result, 'id')),
            email: (readPath(result, 'properties.email') ?? null) as string | null,
          })),
          failed: answers.flatMap((answer, batch) =>
            failuresOf(answer, contacts.map(({ email }) => email), batch * BATCH)
          ),
        }
      },
    }),
  },
})

/** HubSpot's own limit of one call. */
const BATCH = 100

// How the contacts are read: all of them by list, changes by search, deletions from the recycle bin.

type Times = {
  /** The newest change seen, RFC 3339. */
  changed: string | null
  /** The newest deletion seen. */
  archived: string | null
  /** When this run began. */
  started: string
}
/** Epoch milliseconds as text, as HubSpot filters by them. */
type Milliseconds = string
type ContactsPlace =
  & Times
  & (
    | { step: 'all'; after: string | null }
    /** `past`: what changed at `from` itself has been read. */
    | { step: 'changed'; from: Milliseconds; past: boolean; archivedFrom: string }
    /** Contacts that all changed at one time, in the order of their ids. */
    | { step: 'same_time'; at: Milliseconds; behind: string; archivedFrom: string }
    | { step: 'archived'; archivedFrom: string; after: string | null; pages: number }
  )

const LIST_SIZE = 100
const SEARCH_SIZE = 200
const OVERLAP_MS = 60_000
/** Of the recycle bin: it is in no order of time, so that all of it would have to be read each time. */
const ARCHIVED_PAGES = 20

async function readContacts(context: ReadContext): Promise<ReadResult> {
  const place = (context.place as ContactsPlace | null) ?? firstPlace(context)
  switch (place.step) {
    case 'all':
      return await readAll(place, context)
    case 'changed':
      return await readChanged(place, context)
    case 'same_time':
      return await readSameTime(place, context)
    case 'archived':
      return await readArchived(place, context)
  }
}

function firstPlace({ since, bookmark, now }: ReadContext): ContactsPlace {
  const times: Times = { changed: null, archived: null, started: now.toISOString() }
  if (since === null) return { ...times, step: 'all', after: null }
  // changes and deletions have times of their own: one newest time of both would skip some of the other
  const from = (kept: unknown) =>
    typeof kept === 'string' ? new Date(Date.parse(kept) - OVERLAP_MS).toISOString() : since
  const changedFrom = from(bookmark?.changed)
  return {
    ...times,
    changed: changedFrom,
    step: 'changed',
    from: String(Date.parse(changedFrom)),
    past: false,
    archivedFrom: from(bookmark?.archived),
  }
}

async function readAll(
  place: ContactsPlace & { step: 'all' },
  context: ReadContext,
): Promise<ReadResult> {
  const { records, after } = await list(place.after, false, context)
  const changed = newest(place.changed, records, 'properties.lastmodifieddate')
  // what changed behind our back while the list was read is newer than its beginning
  const bookmark = {
    changed: earlier(changed ?? place.started, place.started),
    archived: place.started,
  }
  return { records, next: after === null ? null : { ...place, changed, after }, bookmark }
}

/**
 * The oldest change first, each page a search of its own that begins at the last time of the page before:
 * no search comes near the 10,000 results HubSpot shows, and a contact that changes meanwhile, which moves
 * to the end, makes none slip through.
 */
async function readChanged(
  place: ContactsPlace & { step: 'changed' },
  context: ReadContext,
): Promise<ReadResult> {
  const { from, past, archivedFrom } = place
  const { records, isLast } = await search(context, {
    filters: [{ propertyName: 'lastmodifieddate', operator: past ? 'GT' : 'GTE', value: from }],
    sortBy: 'lastmodifieddate',
  })
  const changed = newest(place.changed, records, 'properties.lastmodifieddate')
  const times: Times = { changed, archived: place.archived, started: place.started }
  if (isLast) {
    return {
      records,
      next: { ...times, step: 'archived', archivedFrom, after: null, pages: 0 },
    }
  }
  const last = String(Date.parse(timeOf(records.at(-1), 'properties.lastmodifieddate') ?? ''))
  if (last === 'NaN') {
    throw new AppError('provider_bad_answer', {
      detail: 'HubSpot shows a contact that changed without a time.',
    })
  }
  const first = String(Date.parse(timeOf(records[0], 'properties.lastmodifieddate') ?? ''))
  return first === last
    // a whole page of one time: an import, say
    ? await readSameTime(
      { ...times, step: 'same_time', at: last, behind: '0', archivedFrom },
      context,
    )
    : { records, next: { ...times, step: 'changed', from: last, past: false, archivedFrom } }
}

async function readSameTime(
  place: ContactsPlace & { step: 'same_time' },
  context: ReadContext,
): Promise<ReadResult> {
  const { at, behind, archivedFrom, ...times } = place
  const { records, isLast } = await search(context, {
    filters: [
      { propertyName: 'lastmodifieddate', operator: 'EQ', value: at },
      { propertyName: 'hs_object_id', operator: 'GT', value: behind },
    ],
    sortBy: 'hs_object_id',
  })
  return {
    records,
    next: isLast
      ? { ...times, step: 'changed', from: at, past: true, archivedFrom }
      : { ...place, behind: String(readPath(records.at(-1), 'id')) },
  }
}

async function readArchived(
  place: ContactsPlace & { step: 'archived' },
  context: ReadContext,
): Promise<ReadResult> {
  const { records, after } = await list(place.after, true, context)
  const archived = newest(place.archived, records, 'archivedAt')
  const pages = place.pages + 1
  const gone = records.filter((record) => {
    const at = timeOf(record, 'archivedAt')
    return at === null || Date.parse(at) >= Date.parse(place.archivedFrom)
  })
  return {
    records: gone,
    next: after === null || pages === ARCHIVED_PAGES ? null : { ...place, archived, after, pages },
    bookmark: {
      changed: place.changed,
      archived: earlier(archived ?? place.started, place.started),
    },
  }
}

async function list(after: string | null, archived: boolean, { call }: ReadContext) {
  const { body } = await call({
    path: CONTACTS,
    query: {
      limit: String(LIST_SIZE),
      archived: String(archived),
      properties: PROPERTIES.join(','),
      ...(after === null ? {} : { after }),
    },
  }).catch((error: unknown) => {
    // the first page went through with the same words, so it is the place that HubSpot does not know
    throw after !== null && error instanceof AppError &&
        ['provider_rejected', 'provider_not_found'].includes(error.code)
      ? new AppError('provider_cursor_expired', { cause: error })
      : error
  })
  const next = readPath(body, 'paging.next.after')
  return {
    records: resultsOf(body),
    after: typeof next === 'string' && next !== '' ? next : null,
  }
}

async function search(
  { call }: ReadContext,
  { filters, sortBy }: { filters: Record<string, string>[]; sortBy: string },
) {
  const { body } = await call({
    method: 'POST',
    path: `${CONTACTS}/search`,
    limit: 'search',
    json: {
      filterGroups: [{ filters }],
      sorts: [{ propertyName: sortBy, direction: 'ASCENDING' }], // HubSpot takes one only
      properties: PROPERTIES,
      limit: SEARCH_SIZE,
    },
  })
  const records = resultsOf(body)
  const total = readPath(body, 'total')
  const isLast = records.length === 0 ||
    (typeof total === 'number' ? total <= records.length : records.length < SEARCH_SIZE)
  return { records, isLast }
}

function resultsOf(body: unknown): unknown[] {
  const results = readPath(body, 'results')
  if (Array.isArray(results)) return results
  throw new AppError('provider_bad_answer', {
    detail: 'HubSpot answered without a list of contacts.',
  })
}

function timeOf(record: unknown, path: string): string | null {
  const parsed = timestamp.safeParse(readPath(record, path))
  return parsed.success ? parsed.data : null
}

function newest(known: string | null, records: unknown[], path: string): string | null {
  return records.reduce<string | null>((newest, record) => {
    const time = timeOf(record, path)
    return time !== null && (newest === null || time > newest) ? time : newest
  }, known)
}

const earlier = (one: string, other: string) => one < other ? one : other

// What a contact becomes.

const LEAD_STAGES = ['lead', 'marketingqualifiedlead', 'salesqualifiedlead']

function columnsOf({ properties }: Contact): ContactColumns {
  const stage = properties.lifecyclestage
  const { address, city, state, zip, country } = properties
  const hasAddress = [address, city, state, zip, country].some(Boolean)
  return {
    kind: stage === 'customer'
      ? 'customer'
      : LEAD_STAGES.includes(stage ?? '')
      ? 'lead'
      : 'contact',
    email: properties.email || null,
    first_name: properties.firstname || null,
    last_name: properties.lastname || null,
    full_name: [properties.firstname, properties.lastname].filter(Boolean).join(' ') || null,
    phone: properties.phone || properties.mobilephone || null,
    company: properties.company || null,
    job_title: properties.jobtitle || null,
    marketing_status: properties.hs_email_optout === 'true'
      ? 'unsubscribed'
      : properties.hs_email_hard_bounce_reason_enum
      ? 'bounced'
      : null,
    tags: [],
    address: hasAddress
      ? {
        line1: address || null,
        line2: null,
        city: city || null,
        region: state || null,
        postal_code: zip || null,
        country: country || null,
      }
      : null,
    image_url: null,
  }
}

/** HubSpot's values are text, and '' empties one. */
function written(properties: Record<string, string | number | boolean | null>) {
  return Object.fromEntries(
    Object.entries(properties).map(([name, value]) => [name, value === null ? '' : String(value)]),
  )
}

const listAt = (body: unknown, path: string): unknown[] => {
  const found = readPath(body, path)
  return Array.isArray(found) ? found : []
}

/** Which contacts of a batch were refused: HubSpot says 207 and names them by trace id or by email. */
function failuresOf({ body }: ActionAnswer, emails: string[], first: number): ItemFailure[] {
  const batch = emails.slice(first, first + BATCH).map((email, offset) => ({
    index: first + offset,
    email: email.toLowerCase(),
  }))
  const isNamed = (item: typeof batch[number], names: string[]) =>
    names.includes(String(item.index)) || names.includes(item.email)
  const errors = listAt(body, 'errors').map((error) => ({
    code: String(readPath(error, 'category') ?? 'UNKNOWN'),
    message: platformWords(readPath(error, 'message')),
    names: Object.values((readPath(error, 'context') ?? {}) as object).flat()
      .map((name) => String(name).toLowerCase()),
  }))
  const failures = errors.flatMap(({ code, message, names }) =>
    batch.filter((item) => isNamed(item, names)).map(({ index }) => ({ index, code, message }))
  )
  const nameless = errors.find(({ names }) => !batch.some((item) => isNamed(item, names)))
  if (!nameless) return failures
  // it does not say whom it means: whoever is neither written nor refused by name
  const answered = listAt(body, 'results').flatMap((result) => [
    String(readPath(result, 'objectWriteTraceId') ?? ''),
    String(readPath(result, 'properties.email') ?? '').toLowerCase(),
  ])
  const { code, message } = nameless
  return [
    ...failures,
    ...batch.filter((item) =>
      !isNamed(item, answered) && !failures.some(({ index }) => index === item.index)
    ).map(({ index }) => ({ index, code, message })),
  ]
}

// What HubSpot's answers mean.

/** The granted scopes are a list called `scopes`, and a refusal may keep its code in `status`. */
function readTokenAnswer(body: unknown): unknown {
  if (typeof body !== 'object' || body === null) return body
  const scopes = readPath(body, 'scopes')
  const status = readPath(body, 'status')
  const error = TOKEN_ERRORS[String(status)]
  return {
    ...body,
    ...(Array.isArray(scopes) ? { scope: scopes.join(' ') } : {}),
    ...(error && !('error' in body) ? { error } : {}),
  }
}

const TOKEN_ERRORS: Record<string, string> = {
  BAD_REFRESH_TOKEN: 'invalid_grant',
  BAD_AUTH_CODE: 'invalid_grant',
  BAD_CLIENT_ID: 'invalid_client',
  BAD_CLIENT_SECRET: 'invalid_client',
}

function hubOf(answer: unknown): Record<string, string> {
  const hub = readPath(answer, 'hub_id')
  return typeof hub === 'number' || typeof hub === 'string' ? { hub_id: String(hub) } : {}
}

/** Of a rolling window HubSpot does not say when it opens again, so this is its whole length. */
const WINDOWS_MS: Record<string, number> = {
  SECONDLY: 1_000,
  TEN_SECONDLY_ROLLING: 10_000,
  // it ends at midnight of the account's own time zone, which is asked for each hour
  DAILY: 3_600_000,
}

function readFailure({ status, headers, body, now }: JudgedAnswer): Failure | null {
  const wait = readRetryAfter(headers, now)
  const policy = String(readPath(body, 'policyName') ?? '')
  if (status === 429 && policy in WINDOWS_MS) {
    return {
      code: 'provider_rate_limited',
      detail: policy === 'DAILY'
        ? 'HubSpot’s daily limit of this account is used up until midnight of its time zone.'
        : 'HubSpot asks to slow down.',
      retryAfterMs: wait ?? WINDOWS_MS[policy],
    }
  }
  // the account is being moved to another data center (477), or the contact is being written (423)
  if (status === 477 || status === 423) {
    return {
      code: 'provider_unavailable',
      detail: status === 477
        ? 'HubSpot is moving this account to another data center.'
        : 'Somebody else is writing this at HubSpot.',
      retryAfterMs: wait ?? (status === 477 ? 60_000 : 2_000),
    }
  }
  const category = readPath(body, 'category')
  if (status === 403 && category === 'MISSING_SCOPES') {
    return {
      code: 'provider_forbidden',
      detail:
        'HubSpot was not asked to let us do this: connect again, or give the private app the scope.',
    }
  }
  if ((status === 400 || status === 409) && typeof category === 'string') {
    const words = platformWords(readPath(body, 'message'))
    return { code: 'provider_rejected', detail: `HubSpot says ${category}: ${words}` }
  }
  return null
}
