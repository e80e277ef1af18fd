// Who is the same person? Contacts of any integration with the same address, and nobody else.
import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import type { ContactColumns } from '../../supabase/functions/_shared/contracts/contacts.ts'
import { useDatabase } from '../support/database.ts'
import {
  connectIntegration,
  createIntegration,
  type IntegrationRow,
} from '../support/integrations.ts'
import { addMember, createPerson } from '../support/people.ts'
import { applyRecords, streamRecord } from '../support/stream-records.ts'

const database = useDatabase()
const { admin, owner, actAs, call } = database

type PersonRow = {
  id: string
  email: string
  full_name: string | null
  phone: string | null
  company: string | null
  contact_count: number
}
const peopleOf = ({ organization_id }: IntegrationRow) =>
  admin<PersonRow[]>`
    select id, email, full_name, phone, company, contact_count from public.people
    where organization_id = ${organization_id} order by email`

const contact = (sourceId: string, columns: Partial<ContactColumns> = {}, day = 1) =>
  streamRecord('contacts', sourceId, columns, day)
const apply = ({ id }: IntegrationRow, ...contacts: ReturnType<typeof contact>[]) =>
  applyRecords(database, id, 'contacts', contacts)
const remove = ({ id }: IntegrationRow, sourceId: string, at = '2026-02-01T00:00:00Z') =>
  applyRecords(database, id, 'contacts', [], [{ source_id: sourceId, source_deleted_at: at }])

/** Two accounts of one organization of their own. */
async function twoAccounts(): Promise<[IntegrationRow, IntegrationRow]> {
  const one = await createIntegration(database)
  return [one, await connectIntegration(database, one.organization_id)]
}

describe('two addresses', () => {
  const personOf = async (email: string | null, organizationId: string) => {
    const [row] = await admin`select private.person_id(${organizationId}, ${email}) as id`
    return row?.id as string | null
  }
  const organizationId = randomUUID()

  it.each([
    ['ada@example.com', 'ADA@Example.Com'],
    ['ada@example.com', ' ada@example.com\n'],
    ['ada@example.com', '\u00a0ada@example.com'],
    ['ärger@example.com', 'ÄRGER@example.com'],
    ['\u00e4rger@example.com', 'a\u0308rger@example.com'],
    ['ὀδυσσεύς@example.com', 'ὈΔΥΣΣΕΎς@example.com'],
  ])('%j and %j are one person', async (one, other) => {
    const id = await personOf(one, organizationId)

    expect(id).toMatch(/^[0-9a-f-]{36}$/)
    expect(await personOf(other, organizationId)).toBe(id)
  })

  it.each([
    ['ada@example.com', 'a.da@example.com'],
    ['ada@example.com', 'ada+news@example.com'],
    ['ada@example.com', 'ada@example.co'],
    ['arger@example.com', 'ärger@example.com'],
  ])('%j and %j are two: nothing cleverer is tried', async (one, other) => {
    expect(await personOf(one, organizationId)).not.toBe(await personOf(other, organizationId))
  })

  it.each([null, '', ' ', 'n/a', 'none', '@', 'ada@', '@example.com', `${'a'.repeat(400)}@b.c`])(
    '%j is nobody, so that those without an address are not one person',
    async (email) => {
      expect(await personOf(email, organizationId)).toBeNull()
      expect(await personOf('a@b', organizationId)).not.toBeNull()
    },
  )

  it('that are the same are two people in two organizations', async () => {
    const [ours, theirs] = [await createIntegration(database), await createIntegration(database)]

    await apply(ours, contact('1'))
    await apply(theirs, contact('1'))

    const [[our], [their]] = [await peopleOf(ours), await peopleOf(theirs)]
    expect(our?.email).toBe(their?.email)
    expect(our?.id).not.toBe(their?.id)
  })
})

describe('a person', () => {
  let one: IntegrationRow
  let other: IntegrationRow
  beforeAll(async () => {
    ;[one, other] = await twoAccounts()
  })

  it('is one, though two platforms write the address differently, and what each said stays', async () => {
    await apply(one, contact('1', { email: 'Ada@Example.com', full_name: 'Ada L.' }))
    await apply(other, contact('c-9', { email: ' ada@example.com', full_name: 'Ada Lovelace' }, 2))

    const people = await peopleOf(one)
    const contacts = await admin`
      select email, full_name, person_id from public.contacts
      where organization_id = ${one.organization_id} order by full_name`

    expect(people).toMatchObject([
      { email: 'ada@example.com', full_name: 'Ada Lovelace', contact_count: 2 },
    ])
    expect(contacts).toEqual([
      { email: 'Ada@Example.com', full_name: 'Ada L.', person_id: people[0]?.id },
      { email: ' ada@example.com', full_name: 'Ada Lovelace', person_id: people[0]?.id },
    ])
  })

  it('has each of name, phone and company from the newest live contact that has it', async () => {
    const [one, other] = await twoAccounts()
    const named = {
      full_name: null,
      first_name: 'Ada',
      last_name: null,
      phone: '1',
      company: 'Old',
    }
    await apply(one, contact('1', named, 1))
    await apply(other, contact('1', { ...named, first_name: ' ', phone: null, company: 'New' }, 5))

    const both = await peopleOf(one)
    await remove(other, '1')
    const withoutNewer = await peopleOf(one)

    expect(both).toMatchObject([
      { full_name: 'Ada', phone: '1', company: 'New', contact_count: 2 },
    ])
    expect(withoutNewer).toMatchObject([{ company: 'Old', contact_count: 1 }])
  })

  it('stays with nobody live while a deleted contact is kept, and goes with the last row', async () => {
    const account = await createIntegration(database)
    await apply(account, contact('1'))

    await remove(account, '1')
    const afterDeletion = await peopleOf(account)
    await call('service_role', 'disconnect_integration', {
      p_integration_id: account.id,
      p_delete_data: true,
    })

    expect(afterDeletion).toMatchObject([
      { email: 'ada@example.com', full_name: null, contact_count: 0 },
    ])
    expect(await peopleOf(account)).toEqual([])
  })

  it('is another one when the address changes, and the first goes when nobody else has it', async () => {
    const account = await createIntegration(database)
    await apply(account, contact('1', { email: 'old@example.com' }), contact('2'))

    await apply(account, contact('1', { email: 'new@example.com' }, 2))
    const moved = await peopleOf(account)
    await apply(account, contact('1', { email: null }, 3))

    expect(moved.map(({ email }) => email)).toEqual(['ada@example.com', 'new@example.com'])
    expect((await peopleOf(account)).map(({ email }) => email)).toEqual(['ada@example.com'])
  })

  it('is not written when a contact changes in nothing that a person shows', async () => {
    const account = await createIntegration(database)
    await apply(account, contact('1'))
    const read = () =>
      admin`select xmin, updated_at from public.people where organization_id = ${account.organization_id}`
    const before = await read()

    await apply(account, contact('1', { job_title: 'Analyst' }, 2))
    const after = await read()
    await apply(account, contact('1', { company: 'Other' }, 3))

    expect(after).toEqual(before)
    expect(await read()).not.toEqual(before)
  })

  it('follows within one transaction of several statements, a deletion and a new one together', async () => {
    const account = await createIntegration(database)
    await apply(account, contact('1', { email: 'gone@example.com' }))

    await applyRecords(database, account.id, 'contacts', [contact('2', { phone: '2' }, 2)], [
      { source_id: '1', source_deleted_at: '2026-02-01T00:00:00Z' },
    ])

    expect(await peopleOf(account)).toMatchObject([
      { email: 'ada@example.com', phone: '2', contact_count: 1 },
      { email: 'gone@example.com', contact_count: 0 },
    ])
  })

  it('of an organization that goes goes with it', async () => {
    const manager = await createPerson(database)
    const account = await createIntegration(database)
    await addMember(database, account.organization_id, manager, 'owner')
    await apply(account, contact('1'))

    await database.call('service_role', 'disconnect_integration', { p_integration_id: account.id })
    const deleted = await actAs(
      manager,
      (sql) => sql`delete from public.organizations where id = ${account.organization_id}`,
    )

    expect(deleted.count).toBe(1)
    expect(await peopleOf(account)).toEqual([])
  })

  it('leaves no note behind, in whatever way the transaction ends', async () => {
    const account = await createIntegration(database)
    await apply(account, contact('1'))
    const failing = owner.begin(async (sql) => {
      await sql`update public.contacts set company = 'X' where integration_id = ${account.id}`
      await sql`select 1 / 0`
    })

    await expect(failing).rejects.toMatchObject({ code: '22012' })
    expect(await admin`select 1 from private.stale_people`).toEqual([])
    expect(await peopleOf(account)).toMatchObject([{ company: 'Analytical Engines' }])
  })
})
