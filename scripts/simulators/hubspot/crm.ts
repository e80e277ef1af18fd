// Which contacts does the simulated HubSpot account hold, and how do they change?
import { seededPeople } from '../parts/seeded-people.ts'

export type HubSpotContact = {
  id: string
  /** All of them, also those an answer leaves out. */
  properties: Record<string, string | null>
  createdAt: string
  archivedAt: string | null
}

export type Crm = {
  /** Live or archived ones, in the order of their ids. */
  list(archived?: boolean): HubSpotContact[]
  find(id: string): HubSpotContact | undefined
  findByEmail(email: string): HubSpotContact | undefined
  add(properties: Record<string, string | null>): HubSpotContact
  /** Moves the time of change to now, or to `at`. */
  change(ids: readonly string[], properties?: Record<string, string | null>, at?: Date): void
  archive(ids: readonly string[]): void
  /** The loser is archived and its id listed at the survivor. */
  merge(loser: string, survivor: string): void
  /** The live contact that this one was merged into. */
  survivorOf(id: string): HubSpotContact | undefined
}

export function createCrm(
  { seed, contacts, now, told = () => {} }: {
    seed: number
    contacts: number
    now(): number
    /** What an app's webhook would say. */
    told?(type: string, id: string, more?: Record<string, unknown>): void
  },
): Crm {
  const held = new Map<string, HubSpotContact>()
  /** Ids by lowercased email, of whoever got it last: ten thousand are not searched for each of a hundred. */
  const emails = new Map<string, string>()
  const survivors = new Map<string, string>()
  const noteEmail = ({ id, properties }: HubSpotContact) => {
    if (properties.email) emails.set(properties.email.toLowerCase(), id)
  }
  // above what a 32-bit number holds
  let nextId = 90_011_000_000n
  const iso = (ms: number) => new Date(ms).toISOString()

  const add = (properties: Record<string, string | null>, at = now()): HubSpotContact => {
    const id = String(nextId++)
    const contact = {
      id,
      createdAt: iso(at),
      archivedAt: null,
      properties: {
        hs_object_id: id,
        createdate: iso(at),
        lastmodifieddate: iso(at),
        hs_merged_object_ids: null,
        ...properties,
      },
    }
    held.set(id, contact)
    noteEmail(contact)
    return contact
  }
  const of = (id: string) => {
    const contact = held.get(id)
    if (!contact) throw new Error(`no contact ${id}`)
    return contact
  }
  const change: Crm['change'] = (ids, properties = {}, at) => {
    for (const id of ids) {
      const contact = of(id)
      Object.assign(contact.properties, properties, {
        lastmodifieddate: iso(at?.getTime() ?? now()),
      })
      noteEmail(contact)
      for (const [propertyName, propertyValue] of Object.entries(properties)) {
        told('contact.propertyChange', id, { propertyName, propertyValue })
      }
    }
  }
  const archive: Crm['archive'] = (ids) => {
    for (const id of ids) {
      of(id).archivedAt = iso(now())
      told('contact.deletion', id)
    }
  }

  seededPeople(seed, contacts).forEach((person, index) => {
    add({
      email: person.email,
      firstname: person.first_name,
      lastname: person.last_name,
      phone: person.phone,
      company: person.company,
      jobtitle: person.job_title,
      city: person.city,
      lifecyclestage: ['subscriber', 'lead', 'customer'][index % 3]!,
      hs_email_optout: index % 10 === 0 ? 'true' : null,
    }, now() - (contacts - index) * 60_000)
  })

  return {
    list: (archived = false) =>
      [...held.values()].filter(({ archivedAt }) => (archivedAt !== null) === archived),
    find: (id) => held.get(id),
    findByEmail(email) {
      const wanted = email.toLowerCase()
      const has = (contact: HubSpotContact | undefined) =>
        contact?.archivedAt === null && contact.properties.email?.toLowerCase() === wanted
      const id = emails.get(wanted)
      if (id === undefined) return undefined
      return has(held.get(id)) ? held.get(id) : [...held.values()].find(has)
    },
    add(properties) {
      const contact = add(properties)
      told('contact.creation', contact.id)
      return contact
    },
    change,
    archive,
    merge(loser, survivor) {
      const merged = of(survivor).properties.hs_merged_object_ids
      change([survivor], { hs_merged_object_ids: [...(merged ? [merged] : []), loser].join(';') })
      archive([loser])
      survivors.set(loser, survivor)
    },
    survivorOf(id) {
      const survivor = held.get(survivors.get(id) ?? '')
      return survivor?.archivedAt === null ? survivor : undefined
    },
  }
}
