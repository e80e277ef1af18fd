// Which contacts and leads does the simulated org hold, and how do they change?
import { seededPeople } from '../parts/seeded-people.ts'

export type SObjectType = 'Contact' | 'Lead'
export type SObjectRecord = Record<string, unknown> & {
  Id: string
  IsDeleted: boolean
  /** Milliseconds since the epoch; the wire shows text. */
  SystemModstamp: number
  CreatedDate: number
}

export type Org = {
  /** Deleted ones too. */
  records(type: SObjectType): SObjectRecord[]
  find(id: string): SObjectRecord | undefined
  add(type: SObjectType, fields: Record<string, unknown>): SObjectRecord
  /** Moves SystemModstamp to now, or to `at`. */
  change(ids: readonly string[], fields?: Record<string, unknown>, at?: Date): void
  /** Into the recycle bin. */
  remove(ids: readonly string[]): void
  /** Out of the recycle bin, for good. */
  purge(ids: readonly string[]): void
  /** Answers the contact it became. */
  convert(lead: string): SObjectRecord
}

const PREFIX: Record<SObjectType, string> = { Contact: '003', Lead: '00Q' }

export function createOrg(
  { seed, contacts, leads, now }: { seed: number; contacts: number; leads: number; now(): number },
): Org {
  const held: Record<SObjectType, Map<string, SObjectRecord>> = {
    Contact: new Map(),
    Lead: new Map(),
  }
  let nextNumber = 1
  const find = (id: string) => held.Contact.get(id) ?? held.Lead.get(id)
  const of = (id: string) => {
    const record = find(id)
    if (!record) throw new Error(`no record ${id}`)
    return record
  }
  const add = (type: SObjectType, fields: Record<string, unknown>, at = now()) => {
    const Id = `${PREFIX[type]}xx${String(nextNumber++).padStart(10, '0')}AAA`
    const record = { ...fields, Id, IsDeleted: false, SystemModstamp: at, CreatedDate: at }
    held[type].set(Id, record)
    return record
  }
  const change: Org['change'] = (ids, fields = {}, at) => {
    for (const id of ids) {
      Object.assign(of(id), fields, { SystemModstamp: at?.getTime() ?? now() })
    }
  }

  seededPeople(seed, contacts + leads).forEach((person, index) => {
    const common = {
      FirstName: person.first_name,
      LastName: person.last_name,
      Email: person.email,
      Phone: person.phone,
      Title: person.job_title,
      HasOptedOutOfEmail: index % 10 === 0,
      'RecordType.Name': index % 4 === 0 ? "People we won't call" : 'Customers',
    }
    const at = now() - (contacts + leads - index) * 60_000
    if (index < contacts) {
      add('Contact', {
        ...common,
        'Account.Name': person.company,
        MailingStreet: '1 Pine St\nFloor 2',
        MailingCity: person.city,
      }, at)
    } else {
      add('Lead', { ...common, Company: person.company, City: person.city, IsConverted: false }, at)
    }
  })

  return {
    records: (type) => [...held[type].values()],
    find,
    add,
    change,
    remove: (ids) => change(ids, { IsDeleted: true }),
    purge(ids) {
      for (const id of ids) {
        held.Contact.delete(id)
        held.Lead.delete(id)
      }
    },
    convert(id) {
      const lead = of(id)
      const { FirstName, LastName, Email } = lead
      const contact = add('Contact', { FirstName, LastName, Email, 'Account.Name': lead.Company })
      change([id], { IsConverted: true, ConvertedContactId: contact.Id })
      return contact
    },
  }
}
