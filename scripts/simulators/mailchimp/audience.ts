// Who is in the simulated audience, how do members change, and what happened on which day?
import { createHash } from 'node:crypto'
import { seededPeople } from '../parts/seeded-people.ts'
import { seededRandom } from '../parts/seeded-random.ts'

export type Member = {
  email_address: string
  status: string
  merge_fields: Record<string, unknown>
  tags: Set<string>
  /** Milliseconds since the epoch; the wire shows whole seconds. */
  last_changed: number
}

export type ActivityDay = {
  day: string
  emails_sent: number
  unique_opens: number
  recipient_clicks: number
  hard_bounce: number
  soft_bounce: number
  subs: number
  unsubs: number
  other_adds: number
  other_removes: number
}

export type Audience = {
  /** By their ids, in the order they came. */
  members: Map<string, Member>
  /** The tags of its merge fields: what is written to others is passed over. */
  mergeFields: Set<string>
  /** Addresses that were deleted for good. */
  forgotten: Set<string>
  /** The newest first, as the wire shows them. */
  activity: ActivityDay[]
  add(email: string, fields?: Partial<Omit<Member, 'email_address'>>): string
  /** Moves `last_changed` to now. */
  change(ids: readonly string[], fields?: Partial<Member>): void
  /** Gives the member another address, and with it another id. */
  rename(id: string, email: string): void
  /** A list passes the member over, as it does with one of many who changed in one second. */
  hideFromLists(id: string): void
  hidden: ReadonlySet<string>
  /** For good: not in any list any more. */
  erase(ids: readonly string[]): void
}

export const idOf = (email: string) => createHash('md5').update(email.toLowerCase()).digest('hex')

export function createAudience(
  { seed, members: count, now }: { seed: number; members: number; now(): number },
): Audience {
  const members = new Map<string, Member>()
  const forgotten = new Set<string>()
  const hidden = new Set<string>()
  const add: Audience['add'] = (email, fields = {}) => {
    const id = idOf(email)
    members.set(id, {
      email_address: email,
      status: 'subscribed',
      merge_fields: {},
      tags: new Set(),
      last_changed: now(),
      ...fields,
    })
    return id
  }
  const of = (id: string) => {
    const member = members.get(id)
    if (!member) throw new Error(`no member ${id}`)
    return member
  }
  seededPeople(seed, count).forEach((person, index) =>
    add(index % 7 === 0 ? person.email.toUpperCase() : person.email, {
      status: ['subscribed', 'subscribed', 'unsubscribed', 'pending', 'cleaned'][index % 5]!,
      merge_fields: {
        FNAME: person.first_name,
        LNAME: person.last_name,
        PHONE: person.phone,
        COMPANY: person.company,
        ADDRESS: index % 2 === 0 ? '' : { addr1: '1 Pine St', city: person.city, country: 'US' },
      },
      tags: new Set(index % 3 === 0 ? ['vip'] : []),
      last_changed: now() - (count - index) * 1_000,
    })
  )
  const random = seededRandom(seed)
  return {
    members,
    mergeFields: new Set(['FNAME', 'LNAME', 'PHONE', 'COMPANY', 'ADDRESS']),
    forgotten,
    hidden,
    hideFromLists: (id) => void hidden.add(id),
    activity: Array.from({ length: 180 }, (_, ago) => ({
      day: new Date(now() - ago * 86_400_000).toISOString().slice(0, 10),
      emails_sent: random.between(0, 500),
      unique_opens: random.between(0, 200),
      recipient_clicks: random.between(0, 50),
      hard_bounce: 0,
      soft_bounce: random.between(0, 3),
      subs: random.between(0, 9),
      unsubs: random.between(0, 3),
      other_adds: 0,
      other_removes: 0,
    })),
    add,
    change(ids, fields = {}) {
      for (const id of ids) Object.assign(of(id), fields, { last_changed: now() })
    },
    rename(id, email) {
      const member = of(id)
      member.email_address = email
      if (idOf(email) === id) return
      members.delete(id)
      members.set(idOf(email), member)
    },
    erase(ids) {
      for (const id of ids) {
        forgotten.add(of(id).email_address.toLowerCase())
        members.delete(id)
      }
    },
  }
}
