// How do local changes of contacts go to HubSpot? By email where there is one, by id once they are there.
import type { ContactColumns } from '../../contracts/contacts.ts'
import { AppError } from '../../platform/errors.ts'
import {
  emailKey,
  emailOf,
  holdsAll,
  madeSince,
  type Push,
  type PushedRecord,
  type PushOutcome,
} from '../vocabulary/push.ts'
import type { PlatformCall } from '../vocabulary/platform-call.ts'
import { readPath } from '../vocabulary/read-path.ts'
import type { IdLookup } from '../vocabulary/stream-definition.ts'
import { streetOf } from '../vocabulary/street.ts'
import { timestampText } from '../vocabulary/timestamp.ts'
import { CONTACTS, PROPERTIES } from './read-contacts.ts'
import {
  archiveById,
  asText,
  BATCH,
  type CallItem,
  createAll,
  refusalsOf,
  resultsByItem,
  updateById,
  upsertByEmail,
  type WrittenProperties,
} from './write-contacts.ts'

type Contact = PushedRecord<'contacts'>

/** Refusals that another look at what is there, or another time, may end. */
const PASSING = ['OBJECT_NOT_FOUND', 'RATE_LIMITS', 'INTERNAL_ERROR']

/** Contacts of one search. */
const MOST_FOUND = 200

export const push: Push<Record<string, unknown>, 'contacts'> = {
  columns: ['email', 'first_name', 'last_name', 'phone', 'company', 'job_title', 'address'],
  batch: BATCH,
  key: 'email',
  together: (contact) => emailOf(contact) === null ? 'no email' : 'email',
  find: {
    max: BATCH,
    call: (contacts) =>
      emailOf(contacts[0]!) === null
        ? recentWithoutEmail(contacts)
        : readCall(contacts.map((contact) => emailOf(contact)!), { idProperty: 'email' }),
    records: foundIn,
    next(body, call) {
      const after = readPath(body, 'paging.next.after')
      return typeof after === 'string' && after !== ''
        ? { ...call, json: { ...call.json as object, after } }
        : null
    },
    // a call may take 30 seconds, and its contact be found by a search some seconds later
    lagSeconds: 60,
    matches(raw, contact) {
      const email = emailOf(contact)
      const held = readPath(raw, 'properties.email')
      if (email !== null) return emailKey(String(held ?? '')) === email
      const made = timestampText(readPath(raw, 'properties.createdate'))
      return contact.sending_at !== null && !held && made !== null &&
        made >= madeSince(contact.sending_at) &&
        holdsAll(readPath(raw, 'properties'), asText(propertiesOf(contact)))
    },
  },
  create(contacts) {
    const inputs = contacts.map((contact, index) => ({
      trace: String(index),
      properties: propertiesOf(contact),
    }))
    return emailOf(contacts[0]!) === null
      ? createAll(inputs)
      : upsertByEmail(inputs.map((input, index) => ({
        ...input,
        email: contacts[index]!.columns.email!.trim(),
      })))
  },
  update: (contacts) =>
    updateById(contacts.map((contact, index) => ({
      trace: String(index),
      id: contact.source_id!,
      properties: propertiesOf(contact),
    }))),
  written({ body }, contacts) {
    const items: CallItem[] = contacts.map((contact, index) => ({
      trace: String(index),
      names: [contact.source_id ?? emailOf(contact)].flatMap((name) => name?.toLowerCase() ?? []),
    }))
    const results = resultsByItem(body, items)
    const refusals = new Map(refusalsOf(body, items).map((refusal) => [refusal.index, refusal]))
    return contacts.map((contact, index) => outcomeOf(results[index], refusals.get(index), contact))
  },
  remove: {
    batch: BATCH,
    call: archiveById,
    removed: (_, ids) => ids.map((source_id) => ({ source_id })), // 204, gone or not
  },
}

/** What HubSpot shows of contacts it merged has another id: it is no answer about the one that was asked for. */
export const lookup: IdLookup = {
  max: BATCH,
  call: (ids) => readCall(ids),
  records(body, ids) {
    const found = foundIn(body)
    return Array.isArray(found)
      ? found.filter((contact) => ids.includes(String(readPath(contact, 'id'))))
      : found
  },
}

const readCall = (ids: string[], more: { idProperty?: string } = {}): PlatformCall => ({
  method: 'POST',
  path: `${CONTACTS}/batch/read`,
  json: { ...more, properties: PROPERTIES, inputs: ids.map((id) => ({ id })) },
  accept: [404],
})

function foundIn(body: unknown): unknown {
  return readPath(body, 'category') === 'OBJECT_NOT_FOUND' ? [] : readPath(body, 'results')
}

/** Contacts that were made about when these were sent; null where none of these was. */
function recentWithoutEmail(contacts: Contact[]): PlatformCall | null {
  const times = contacts.flatMap(({ uncertain, sending_at }) =>
    uncertain && sending_at !== null ? [sending_at] : []
  ).sort()
  const [first] = times
  if (first === undefined) return null
  return {
    method: 'POST',
    path: `${CONTACTS}/search`,
    limit: 'search',
    json: {
      filterGroups: [{
        filters: [
          {
            propertyName: 'createdate',
            operator: 'GTE',
            value: String(Date.parse(madeSince(first))),
          },
          { propertyName: 'email', operator: 'NOT_HAS_PROPERTY' },
        ],
      }],
      // ours are among the last that were made: nothing is sent between a lost answer and the look
      sorts: [{ propertyName: 'createdate', direction: 'DESCENDING' }],
      properties: PROPERTIES,
      limit: MOST_FOUND,
    },
  }
}

function outcomeOf(
  result: unknown,
  refusal: { code: string; message: string } | undefined,
  contact: Contact,
): PushOutcome {
  const id = readPath(result, 'id')
  if (typeof id === 'string' && id !== '') {
    const source_updated_at = timestampText(readPath(result, 'properties.lastmodifieddate')) ??
      timestampText(readPath(result, 'updatedAt'))
    return { source_id: id, ...(source_updated_at === null ? {} : { source_updated_at }) }
  }
  if (refusal) {
    const trouble = { code: refusal.code, message: refusal.message || 'HubSpot says no more.' }
    return PASSING.includes(refusal.code) ? { retry: trouble } : { refused: trouble }
  }
  // sent again, a contact that HubSpot may have made without a key would be there twice
  if (contact.source_id === null && emailOf(contact) === null) {
    throw new AppError('provider_bad_answer', {
      detail: 'HubSpot does not say what became of a contact.',
    })
  }
  return { retry: { code: 'NO_ANSWER', message: 'HubSpot does not say what became of it.' } }
}

function propertiesOf({ columns, changed }: Contact): WrittenProperties {
  return Object.assign(
    {},
    ...changed.map((column) => PROPERTIES_OF[column]?.(columns) ?? {}),
  ) as WrittenProperties
}

type Columns = Partial<ContactColumns>

const PROPERTIES_OF: Partial<
  Record<keyof ContactColumns, (columns: Columns) => WrittenProperties>
> = {
  email: ({ email }) => ({ email: email?.trim() ?? null }),
  first_name: ({ first_name }) => ({ firstname: first_name ?? null }),
  last_name: ({ last_name }) => ({ lastname: last_name ?? null }),
  // a mobile number shows as the phone of whoever has no other
  phone: ({ phone }): WrittenProperties => phone ? { phone } : { phone: null, mobilephone: null },
  company: ({ company }) => ({ company: company ?? null }),
  job_title: ({ job_title }) => ({ jobtitle: job_title ?? null }),
  address: ({ address }) => ({
    address: streetOf(address),
    city: address?.city ?? null,
    state: address?.region ?? null,
    zip: address?.postal_code ?? null,
    country: address?.country ?? null,
  }),
}
