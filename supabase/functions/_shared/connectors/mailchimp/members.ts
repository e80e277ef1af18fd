// Where is a member of an audience, and what do our columns become there?
import { Buffer } from 'node:buffer'
import { createHash } from 'node:crypto'
import type { ContactColumns } from '../../contracts/contacts.ts'

/** MD5 is Mailchimp's name for a member, and protects nothing. */
export function memberId(email: string): string {
  return createHash('md5').update(Buffer.from(email.toLowerCase())).digest('hex')
}

/** @param id As {@link memberId} gives it. */
export const memberPath = (id: string) => `/lists/{list_id}/members/${id}`

export const STATUSES: Record<string, ContactColumns['marketing_status']> = {
  subscribed: 'subscribed',
  unsubscribed: 'unsubscribed',
  pending: 'pending',
  cleaned: 'bounced',
}

type Fields = Pick<ContactColumns, 'first_name' | 'last_name' | 'phone' | 'company' | 'address'>

/** Merge fields of the columns that are given; '' empties one. */
export function mergeFields(
  columns: { [Name in keyof Fields]?: Fields[Name] | undefined },
): Record<string, unknown> {
  const { first_name, last_name, phone, company, address } = columns
  return Object.fromEntries(
    Object.entries({
      FNAME: first_name,
      LNAME: last_name,
      PHONE: phone,
      COMPANY: company,
      ADDRESS: address && {
        addr1: address.line1 ?? '',
        addr2: address.line2 ?? '',
        city: address.city ?? '',
        state: address.region ?? '',
        zip: address.postal_code ?? '',
        country: address.country ?? '',
      },
    }).flatMap(([name, value]) => value === undefined ? [] : [[name, value ?? '']]),
  )
}
