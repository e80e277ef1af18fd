// HubSpot, a CRM: its contacts in, contacts written back in hundreds.
import { z } from 'zod'
import type { ContactColumns } from '../contracts/contacts.ts'
import { readRetryAfter } from '../http/retry.ts'
import { defineConnector, type Failure, type JudgedAnswer } from './define-connector.ts'
import { lookup, push } from './hubspot/push-contacts.ts'
import { OVERLAP_SECONDS, readContacts } from './hubspot/read-contacts.ts'
import { webhooks } from './hubspot/webhooks.ts'
import { BATCH, refusalsOf, resultsOf, upsertByEmail } from './hubspot/write-contacts.ts'
import { action, inBatches, ItemFailure } from './vocabulary/actions.ts'
import { headerKey, oauth2, secret } from './vocabulary/auth.ts'
import { platformWords } from './vocabulary/platform-words.ts'
import { perWindow } from './vocabulary/rate-limit.ts'
import { readPath } from './vocabulary/read-path.ts'
import { linesOf } from './vocabulary/street.ts'
import { timestamp } from './vocabulary/timestamp.ts'

const settings = z.strictObject({
  auth: z.enum(['oauth', 'private_app']).default('oauth').meta({
    title: 'How to connect',
    description:
      'oauth: sign in at HubSpot. private_app: the token of a private app of your account.',
  }),
})

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
    'A contact made here is written by its email, where it has one: one that is there already is not made twice. A phone',
    'that is emptied here empties phone and mobile phone there. HubSpot has one street address: the second line follows the first in it.',
    '',
    'Webhooks in HubSpot’s older signatures (`X-HubSpot-Signature`, v1 and v2) are taken only where the body is a list of',
    'events, as subscriptions send it. One whose body is an object, as a workflow sends it under v2, is refused with 401: those',
    'signatures are a plain hash, and whoever has seen one can make that of a longer body. Under v3 an object is taken.',
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
  rateLimit: perWindow({ requests: 100, seconds: 10, burst: 10 }),
  // a little under 5 a second, one at a time: so no second, wherever it begins, sees more than 5
  limits: { search: { requestsPerSecond: 4.5, burst: 1 } },
  accountId: ({ account }) => account.hub_id ?? '',
  failure: readFailure,
  webhooks,

  streams: {
    contacts: {
      read: readContacts,
      incremental: { overlapSeconds: OVERLAP_SECONDS },
      lookup,
      push,
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
        contacts.forEach(({ email, properties }, index) => {
          // another one would leave nobody whom a second try could find
          if ('email' in properties) {
            context.addIssue({
              code: 'custom',
              path: ['contacts', index, 'properties', 'email'],
              message: 'is said beside the properties',
            })
          }
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
        inBatches([...contacts.entries()], BATCH, (batch) =>
          upsertByEmail(
            batch.map(([index, { email, properties }]) => ({
              trace: String(index),
              email,
              properties,
            })),
          )),
      read: (answers, { contacts }) => {
        const results = answers.flatMap(({ body }) => resultsOf(body))
        return {
          created: results.filter((result) => readPath(result, 'new') === true).length,
          updated: results.filter((result) => readPath(result, 'new') !== true).length,
          contacts: results.map((result) => ({
            id: String(readPath(result, 'id')),
            email: (readPath(result, 'properties.email') ?? null) as string | null,
          })),
          failed: answers.flatMap(({ body }, batch) => {
            const first = batch * BATCH
            const items = contacts.slice(first, first + BATCH).map(({ email }, offset) => ({
              trace: String(first + offset),
              names: [email.toLowerCase()],
            }))
            return refusalsOf(body, items).map((refusal) => ({
              ...refusal,
              index: first + refusal.index,
            }))
          }),
        }
      },
    }),
  },
})

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
        ...linesOf(address),
        city: city || null,
        region: state || null,
        postal_code: zip || null,
        country: country || null,
      }
      : null,
    image_url: null,
  }
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
