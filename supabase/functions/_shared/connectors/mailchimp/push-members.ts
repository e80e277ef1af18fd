// How do local changes of contacts go to Mailchimp? New members many at once by address, others one by one.
import type { ContactColumns } from '../../contracts/contacts.ts'
import { AppError } from '../../platform/errors.ts'
import { platformWords } from '../vocabulary/platform-words.ts'
import {
  emailKey,
  emailOf,
  type Push,
  type PushedRecord,
  type PushOutcome,
} from '../vocabulary/push.ts'
import { readPath } from '../vocabulary/read-path.ts'
import type { IdLookup } from '../vocabulary/stream-definition.ts'
import { timestampText } from '../vocabulary/timestamp.ts'
import { memberId, memberPath, mergeFields } from './members.ts'

type Member = PushedRecord<'contacts'>
type Columns = Partial<ContactColumns>

const COLUMNS = [
  'email',
  'first_name',
  'last_name',
  'phone',
  'company',
  'marketing_status',
  'address',
] as const

/**
 * New members come in batches, since one that is known is known by the address. A batch would make a new member of
 * one whose address changes, and wants a status, which here may be older than an unsubscription there: so updates
 * go to the member itself, who keeps what is not named.
 */
export const push: Push<Record<string, unknown>, 'contacts'> = {
  columns: COLUMNS,
  batch: 50, // it takes 500, but each is looked for by itself before, at five a second
  updateBatch: 1,
  key: 'email',
  idFollowsKey: true,
  refuse: refusalOf,
  find: {
    max: 1,
    call: ([member]) => {
      const email = member && emailOf(member)
      return email ? readCall(memberId(email)) : null
    },
    // one that is archived is in the list again when it is created
    records(body) {
      const found = foundIn(body)
      return Array.isArray(found)
        ? found.filter((member) => readPath(member, 'status') !== 'archived')
        : found
    },
  },
  create: (members) => ({
    method: 'POST',
    path: '/lists/{list_id}',
    json: {
      members: members.map(({ columns, changed }) => ({
        email_address: columns.email?.trim(),
        status: STATUS_OF[columns.marketing_status ?? ''] ?? 'transactional',
        merge_fields: mergeFieldsOf(columns, changed),
      })),
      update_existing: true,
    },
  }),
  update([member]) {
    const { source_id, columns, changed } = member!
    return {
      method: 'PATCH',
      path: memberPath(source_id!),
      json: {
        ...(changed.includes('email') ? { email_address: columns.email?.trim() } : {}),
        ...(changed.includes('marketing_status')
          ? { status: STATUS_OF[columns.marketing_status ?? ''] }
          : {}),
        merge_fields: mergeFieldsOf(columns, changed),
      },
    }
  },
  written({ body }, members) {
    const [first] = members
    if (members.length === 1 && first!.source_id !== null) return [memberOutcome(body, first!)]
    return batchOutcomes(body, members)
  },
  remove: {
    batch: 1,
    call: ([id]) => ({ method: 'DELETE', path: memberPath(id!), accept: [404, 405] }),
    // 404 is one that is not there, 405 one that is archived
    removed: (_, ids) => ids.map((source_id) => ({ source_id })),
  },
}

/** Members have an address each, so they are asked for one by one. */
export const lookup: IdLookup = {
  max: 1,
  call: ([id]) => readCall(id!),
  records: foundIn,
}

const readCall = (id: string) => ({
  path: memberPath(id),
  query: { exclude_fields: '_links' },
  accept: [404],
})

function foundIn(body: unknown): unknown {
  if (readPath(body, 'status') === 404) return []
  return typeof readPath(body, 'email_address') === 'string' ? [body] : undefined
}

const STATUS_OF: Record<string, string> = {
  subscribed: 'subscribed',
  unsubscribed: 'unsubscribed',
  pending: 'pending',
}

function mergeFieldsOf(columns: Columns, changed: Member['changed']) {
  return mergeFields(Object.fromEntries(changed.map((column) => [column, columns[column]])))
}

function refusalOf(member: Member, _: unknown, shown?: unknown): string | null {
  const { source_id, columns, changed } = member
  const { email, marketing_status, address } = columns
  if (!emailKey(email)) {
    return 'Mailchimp knows its members by their address, and this contact has none.'
  }
  if (changed.includes('marketing_status')) {
    if (marketing_status === 'bounced') {
      return 'Mailchimp itself says whose mail bounces: set another marketing status.'
    }
    if (source_id !== null && !marketing_status) {
      return 'A member always has a status at Mailchimp: set unsubscribed instead of none.'
    }
  }
  if (changed.includes('address') && address) {
    const missing = (['line1', 'city', 'region', 'postal_code'] as const)
      .filter((part) => !address[part]?.trim())
    if (missing.length > 0) {
      return `Mailchimp takes whole addresses only, and this one has no ${missing.join(', ')}.`
    }
  }
  return refusalOfFields(shown, member)
}

function memberOutcome(shown: unknown, member: Member): PushOutcome {
  const email = readPath(shown, 'email_address')
  if (typeof email !== 'string' || email === '') {
    throw new AppError('provider_bad_answer', {
      detail: 'Mailchimp does not say what became of a member.',
    })
  }
  const message = refusalOfFields(shown, member)
  if (message !== null) {
    const trouble = { code: 'MERGE_FIELD_MISSING', message }
    // one that is new is there now: the next look finds it, and what is still missing is refused as its update
    return member.source_id === null ? { retry: trouble } : { refused: trouble }
  }
  const source_updated_at = timestampText(readPath(shown, 'last_changed'))
  const id = readPath(shown, 'id')
  return {
    source_id: typeof id === 'string' && id !== '' ? id : memberId(email), // it follows the address
    ...(source_updated_at === null ? {} : { source_updated_at }),
  }
}

/** Mailchimp passes over fields that the audience does not have, without a word; a member shows all that it has. */
function refusalOfFields(shown: unknown, { columns, changed }: Member): string | null {
  const held = readPath(shown, 'merge_fields')
  if (typeof held !== 'object' || held === null) return null
  const missing = Object.entries(mergeFieldsOf(columns, changed)).flatMap(([tag, value]) =>
    value === '' || Object.hasOwn(held, tag) ? [] : [tag]
  )
  return missing.length === 0
    ? null
    : `The audience has no merge field ${missing.join(', ')}: add it at Mailchimp, and push again.`
}

/** By address: an answer has the members in lists of those it made, those it had, and those it refused. */
function batchOutcomes(body: unknown, members: Member[]): PushOutcome[] {
  const written = byAddress([...listAt(body, 'new_members'), ...listAt(body, 'updated_members')])
  const refused = byAddress(listAt(body, 'errors'))
  return members.map((member) => {
    const email = emailOf(member) ?? ''
    const found = written.get(email)
    if (found !== undefined) return memberOutcome(found, member)
    const error = refused.get(email)
    return error === undefined
      ? { retry: { code: 'NO_ANSWER', message: 'Mailchimp does not say what became of it.' } }
      : {
        refused: {
          code: String(readPath(error, 'error_code') ?? 'ERROR_GENERIC'),
          message: platformWords(readPath(error, 'field_message')) ||
            platformWords(readPath(error, 'error')) || 'Mailchimp says no more.',
        },
      }
  })
}

const listAt = (body: unknown, path: string): unknown[] => {
  const found = readPath(body, path)
  return Array.isArray(found) ? found : []
}

const byAddress = (items: unknown[]) =>
  new Map(items.map((item) => [emailKey(String(readPath(item, 'email_address') ?? '')), item]))
