// Salesforce, a CRM: contacts and leads in, contacts written back in two hundreds.
import { z } from 'zod'
import type { ContactColumns } from '../contracts/contacts.ts'
import { AppError } from '../platform/errors.ts'
import { defineConnector, type Failure, type JudgedAnswer } from './define-connector.ts'
import { lookup, push } from './salesforce/push-people.ts'
import { OVERLAP_SECONDS, readPeople } from './salesforce/read-people.ts'
import { BATCH, resultsOf, upsertContacts } from './salesforce/write-people.ts'
import { action, inBatches, ItemFailure } from './vocabulary/actions.ts'
import { type AccountFacts, oauth2 } from './vocabulary/auth.ts'
import { platformWords } from './vocabulary/platform-words.ts'
import { readPath } from './vocabulary/read-path.ts'
import { linesOf } from './vocabulary/street.ts'
import { timestamp } from './vocabulary/timestamp.ts'

const settings = z.strictObject({
  login_host: z.string().trim().toLowerCase()
    .regex(
      /^(login|test)\.salesforce\.com$|^([a-z0-9-]+\.)+my\.salesforce\.com$/,
      'must be login.salesforce.com, test.salesforce.com or your …my.salesforce.com address',
    )
    .default('login.salesforce.com')
    .meta({
      title: 'Where you sign in',
      description: 'login.salesforce.com; test.salesforce.com for a sandbox; or your My Domain.',
    }),
  leads: z.boolean().default(true).meta({
    title: 'Leads too',
    description: 'Off where the user has no access to leads.',
  }),
  record_type: z.string().trim().min(1).max(80).optional().meta({
    title: 'Record type',
    description: 'Only contacts and leads whose record type has this name.',
  }),
  email_opt_out: z.boolean().default(true).meta({
    title: 'Read email opt-out and bounces',
    description: 'Off where the user cannot see these fields.',
  }),
  external_id_field: z.string().trim()
    .regex(/^[A-Za-z]\w{0,79}$/, 'must be the API name of a field, such as Shop_Id__c')
    .optional()
    .meta({
      title: 'External id field',
      description:
        'API name of the field of Contact by which new contacts are written; it must be an external id.',
    }),
  api_version: z.string().regex(/^v\d{2,3}\.0$/, 'must look like v63.0').default('v63.0').meta({
    title: 'API version',
  }),
})

const text = z.string().nullish()
const Person = z.object({
  attributes: z.object({ type: z.enum(['Contact', 'Lead']) }),
  Id: z.string().min(15),
  FirstName: text,
  LastName: text,
  Name: text,
  Email: text,
  Phone: text,
  MobilePhone: text,
  Title: text,
  HasOptedOutOfEmail: z.boolean().nullish(),
  EmailBouncedDate: text,
  IsDeleted: z.boolean().nullish(),
  SystemModstamp: timestamp,
  // of a contact
  Account: z.object({ Name: text }).nullish(),
  MailingStreet: text,
  MailingCity: text,
  MailingState: text,
  MailingPostalCode: text,
  MailingCountry: text,
  // of a lead
  Company: text,
  Street: text,
  City: text,
  State: text,
  PostalCode: text,
  Country: text,
  IsConverted: z.boolean().nullish(),
})
type Person = z.output<typeof Person>

export const salesforce = defineConnector({
  slug: 'salesforce',
  name: 'Salesforce',
  description: 'Contacts and leads of a Salesforce org, contacts both ways.',
  category: 'crm',
  docs: 'https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest', // read 2026-11-20
  guide: [
    'Our app is an External Client App with PKCE and the scopes `api` and `refresh_token`. Sandboxes sign in at',
    '`test.salesforce.com`.',
    '',
    'Leads are contacts of kind `lead`, under their own ids. A lead that is converted ends, and the contact it became',
    'goes on. Deleted records end with the next run for changes while they are in the recycle bin, and with the next',
    'complete run in any case.',
    '',
    'The action writes contacts by a field of Contact that is marked as an external id: name it in the settings. Where it',
    'is named, contacts made here keep their own id in it, so that none is made twice; without it Salesforce is asked',
    'for the email before one is made. New rows become contacts, in the record type of the settings where they name one.',
    'A phone that is emptied here empties phone and mobile phone there.',
    '',
    'Calls count against the org’s allocation of the last 24 hours: when 95 % of it is used, Plugboard pauses and leaves',
    'the rest to others.',
  ].join('\n'),
  settings,

  auth: oauth2({
    authorization_endpoint: 'https://{login_host}/services/oauth2/authorize',
    token_endpoint: 'https://{login_host}/services/oauth2/token',
    revocation_endpoint: 'https://{login_host}/services/oauth2/revoke',
    token_endpoint_auth_method: 'client_secret_post',
    scope: 'api refresh_token',
    requiredScope: 'api refresh_token', // without the second it would end with the first session
    // The answer does not say. Two hours is how long a session lasts unless the org decides otherwise; one that
    // ends earlier shows as INVALID_SESSION_ID.
    lifetimeSeconds: 7_200,
    account: factsOf,
  }),
  baseUrl: ({ account }) => instanceOf(account.instance_url),
  check: {
    path: '/services/data/{api_version}/query',
    query: { q: 'SELECT Id, Name FROM Organization' },
    accountName: (body) => {
      const name = firstOf(body, 'Name')
      return typeof name === 'string' ? name : undefined
    },
    account: (body): AccountFacts => {
      const id = firstOf(body, 'Id')
      return typeof id === 'string' ? { organization_id: id } : {}
    },
  },

  // There is no limit by the second; this keeps the share of one organization polite.
  rateLimit: { requestsPerSecond: 5, burst: 5 },
  accountId: ({ account }) => account.organization_id ?? '',
  failure: readFailure,
  pause: ({ headers }) => {
    const [, used, most] = /api-usage=(\d+)\/(\d+)/.exec(headers.get('sforce-limit-info') ?? '') ??
      []
    return Number(used) >= Number(most) * 0.95 ? ALLOCATION_PAUSE_MS : null
  },

  streams: {
    contacts: {
      read: readPeople,
      incremental: { overlapSeconds: OVERLAP_SECONDS },
      lookup,
      push,
      id: 'Id',
      record: Person,
      toRecord: (person) => ({
        source_id: person.Id,
        source_updated_at: person.SystemModstamp,
        columns: columnsOf(person),
        // the contact it was converted to is a record of its own
        ...(person.IsDeleted || person.IsConverted ? { deleted: true } : {}),
      }),
    },
  },

  actions: {
    upsert_contacts: action({
      settings,
      title: 'Create or update contacts',
      description:
        'Writes contacts by the external id field of the settings, two hundred in a call; each is written or refused by itself.',
      input: z.strictObject({
        contacts: z.array(z.strictObject({
          external_id: z.string().trim().min(1).max(255),
          first_name: z.string().nullable().optional(),
          last_name: z.string().min(1).optional().meta({
            description: 'Salesforce wants one of every new contact.',
          }),
          email: z.email().nullable().optional(),
          phone: z.string().nullable().optional(),
          job_title: z.string().nullable().optional(),
          fields: z.record(
            z.string().regex(/^[A-Za-z]\w*$/, 'must be the API name of a field'),
            z.union([z.string(), z.number(), z.boolean(), z.null()]),
          ).default({}).meta({ description: 'More fields of Contact by their API names.' }),
        })).min(1).max(2000),
      }).superRefine(({ contacts }, context) => {
        const seen = new Set<string>()
        contacts.forEach(({ external_id, fields }, index) => {
          const key = external_id.toLowerCase() // Salesforce makes no difference
          if (seen.has(key)) {
            context.addIssue({
              code: 'custom',
              path: ['contacts', index, 'external_id'],
              message: 'is there twice',
            })
          }
          seen.add(key)
          for (const name of Object.keys(fields)) {
            if (!NO_FIELDS.includes(name.toLowerCase())) continue
            context.addIssue({
              code: 'custom',
              path: ['contacts', index, 'fields', name],
              message: 'is no field that can be written',
            })
          }
        })
      }),
      output: z.object({
        created: z.int(),
        updated: z.int(),
        contacts: z.array(z.object({ id: z.string(), external_id: z.string() })),
        failed: z.array(ItemFailure),
      }),
      repeatable: true,
      requests: ({ contacts }, { settings }) => {
        const field = settings.external_id_field
        if (field === undefined) {
          throw new AppError('invalid_settings', {
            detail:
              'Name the external id field of Contact in the settings: contacts are written by it.',
            errors: [{
              path: 'settings.external_id_field',
              message: 'is needed to write contacts',
            }],
          })
        }
        const errors = contacts.flatMap(({ fields }, index) =>
          Object.keys(fields).filter((name) => name.toLowerCase() === field.toLowerCase())
            .map((name) => ({
              path: `input.contacts.${index}.fields.${name}`,
              message: 'is the external id, which is said beside the fields',
            }))
        )
        if (errors.length > 0) {
          throw new AppError('invalid_input', {
            detail: `${field} says which contact is written: give it as external_id.`,
            errors,
          })
        }
        return inBatches(contacts, BATCH, (batch) =>
          upsertContacts(
            field,
            batch.map(({ external_id, fields, ...contact }) => ({
              ...fields,
              ...fieldsOf(contact),
              [field]: external_id,
            })),
          ))
      },
      read: (answers, { contacts }) => {
        // the answers stand where the records stood
        const results = answers.flatMap(({ body }) => resultsOf(body)).map((result, index) => ({
          ...result,
          index,
          external_id: contacts[index]?.external_id ?? '',
        }))
        const done = results.filter(({ isDone }) => isDone)
        return {
          created: done.filter(({ isNew }) => isNew).length,
          updated: done.filter(({ isNew }) => !isNew).length,
          contacts: done.map(({ id, external_id }) => ({ id, external_id })),
          failed: results.filter(({ isDone }) => !isDone).map(({ index, code, message }) => ({
            index,
            code,
            message,
          })),
        }
      },
    }),
  },
})

/** What a record says of itself beside its fields: its type, and which record it is. */
const NO_FIELDS = ['attributes', 'id']

function fieldsOf(
  { first_name, last_name, email, phone, job_title }: {
    first_name?: string | null | undefined
    last_name?: string | undefined
    email?: string | null | undefined
    phone?: string | null | undefined
    job_title?: string | null | undefined
  },
) {
  return Object.fromEntries(
    Object.entries({
      FirstName: first_name,
      LastName: last_name,
      Email: email,
      Phone: phone,
      Title: job_title,
    }).filter(([, value]) => value !== undefined),
  )
}

// Where an org lives.

/** The host comes from outside and gets our token: null where it is not Salesforce's own. */
function originOf(url: unknown): string | null {
  const parsed = URL.parse(String(url ?? ''))
  const isTheirs = parsed?.protocol === 'https:' && parsed.port === '' &&
    /\.(salesforce|force)\.com$/.test(parsed.hostname)
  return parsed && isTheirs ? parsed.origin : null
}

function instanceOf(url: string | undefined): string {
  const origin = originOf(url)
  if (origin !== null) return origin
  throw new AppError('oauth_response_invalid', {
    detail: 'Salesforce has not said where this org lives, or named a place that is not its own.',
  })
}

/**
 * `id` is `https://login.salesforce.com/id/{organization}/{user}`. Nothing throws here: with the answer of a
 * refresh the new refresh token would be lost.
 */
function factsOf(answer: unknown): AccountFacts {
  const [, organization_id, user_id] =
    /\/id\/(\w{15,18})\/(\w{15,18})$/.exec(String(readPath(answer, 'id') ?? '')) ?? []
  const instance_url = originOf(readPath(answer, 'instance_url'))
  return {
    ...(instance_url === null ? {} : { instance_url }),
    ...(organization_id && user_id ? { organization_id, user_id } : {}),
  }
}

const firstOf = (body: unknown, field: string): unknown =>
  readPath((readPath(body, 'records') as unknown[] | undefined)?.[0], field)

// What a contact or lead becomes.

function columnsOf(person: Person): ContactColumns {
  const isLead = person.attributes.type === 'Lead'
  const [street, city, region, postal_code, country] = isLead
    ? [person.Street, person.City, person.State, person.PostalCode, person.Country]
    : [
      person.MailingStreet,
      person.MailingCity,
      person.MailingState,
      person.MailingPostalCode,
      person.MailingCountry,
    ]
  return {
    kind: isLead ? 'lead' : 'contact',
    email: person.Email || null,
    first_name: person.FirstName || null,
    last_name: person.LastName || null,
    full_name: person.Name || null,
    phone: person.Phone || person.MobilePhone || null,
    company: (isLead ? person.Company : person.Account?.Name) || null,
    job_title: person.Title || null,
    marketing_status: person.HasOptedOutOfEmail
      ? 'unsubscribed'
      : person.EmailBouncedDate
      ? 'bounced'
      : null,
    tags: [],
    address: [street, city, region, postal_code, country].some(Boolean)
      ? {
        ...linesOf(street),
        city: city || null,
        region: region || null,
        postal_code: postal_code || null,
        country: country || null,
      }
      : null,
    image_url: null,
  }
}

// What Salesforce's answers mean.

/** The allocation rolls over 24 hours, so some of it comes back all the time. */
const ALLOCATION_PAUSE_MS = 15 * 60_000
const CONCURRENCY_PAUSE_MS = 30_000

/** A refusal is a list of one. Salesforce never says when to come back. */
function readFailure({ status, body }: JudgedAnswer): Failure | null {
  if (status < 400 || !Array.isArray(body)) return null
  const code = readPath(body[0], 'errorCode')
  const message = readPath(body[0], 'message')
  if (typeof code !== 'string') return null
  const words = platformWords(message)
  switch (code) {
    case 'REQUEST_LIMIT_EXCEEDED': {
      const isConcurrency = /concurrent/i.test(String(message))
      return {
        code: 'provider_rate_limited',
        detail: isConcurrency
          ? 'Too many long calls are under way at this Salesforce org.'
          : 'The calls this Salesforce org may get in 24 hours are used up.',
        retryAfterMs: isConcurrency ? CONCURRENCY_PAUSE_MS : ALLOCATION_PAUSE_MS,
      }
    }
    case 'INVALID_QUERY_LOCATOR':
      return {
        code: 'provider_cursor_expired',
        detail: 'Salesforce no longer knows how far this query was read.',
      }
    case 'UNABLE_TO_LOCK_ROW':
    case 'SERVER_UNAVAILABLE':
      return { code: 'provider_unavailable', detail: `Salesforce says ${code}.` }
    case 'API_DISABLED_FOR_ORG':
      return {
        code: 'provider_forbidden',
        detail: 'This Salesforce edition, or this user, has no access to the API.',
      }
    case 'INVALID_FIELD':
    case 'INVALID_TYPE': {
      const [, missing] = /(?:No such column|sObject type) '(\w+)'/.exec(String(message)) ?? []
      return {
        code: 'provider_rejected',
        detail: missing === undefined
          ? `Salesforce says ${code}.`
          : `The user who signed in cannot see ${missing} at Salesforce: give access to it, or leave it out in the settings.`,
      }
    }
  }
  return status === 400 || status === 403
    ? {
      code: status === 403 ? 'provider_forbidden' : 'provider_rejected',
      detail: `Salesforce says ${code}: ${words}`,
    }
    : null
}
