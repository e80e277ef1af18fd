// Who runs an organization, and does it always keep an owner?
import { afterAll, describe, expect, it } from 'vitest'
import { meeting, openTransaction, someoneWaitsForALock } from '../support/concurrency.ts'
import { permissionDenied, refusal, useDatabase } from '../support/database.ts'
import { expectEventsToFit } from '../support/event-catalog.ts'
import { connectIntegration } from '../support/integrations.ts'
import { addMember, createOrganization, createPerson, createTeam } from '../support/people.ts'

const database = useDatabase()
afterAll(() => expectEventsToFit(database))
const { admin, actAs, call } = database

/** The role held, or null. */
async function roleOf(organizationId: string, person: { id: string }): Promise<string | null> {
  const [membership] = await admin<{ role: string }[]>`
    select role from public.organization_members
    where organization_id = ${organizationId} and user_id = ${person.id}`
  return membership?.role ?? null
}

describe('creating an organization', () => {
  it('makes the caller its owner, and nobody else a member', async () => {
    const person = await createPerson(database)

    const created = await call<{ id: string; name: string }>(person, 'create_organization', {
      name: '  Green Leaf ',
    })

    const members = await admin`
      select user_id, role from public.organization_members where organization_id = ${created.id}`
    expect(created.name).toBe('Green Leaf')
    expect(members).toEqual([{ user_id: person.id, role: 'owner' }])
  })

  it('is refused to a caller whose token names nobody', async () => {
    await expect(call('authenticated', 'create_organization', { name: 'Green Leaf' })).rejects
      .toMatchObject(
        refusal('unauthorized'),
      )
  })

  it.each(['', '   ', 'x'.repeat(201)])(
    'refuses a name without 1 to 200 characters',
    async (name) => {
      const person = await createPerson(database)

      await expect(call(person, 'create_organization', { name })).rejects.toMatchObject({
        constraint_name: 'organizations_name_is_1_to_200_characters',
      })
      await expect(call(person, 'create_organization', { name: 'x'.repeat(200) })).resolves
        .toBeTruthy()
    },
  )

  it('happens only when asked: signing up creates nothing', async () => {
    const person = await createPerson(database)

    const seen = await actAs(person, (sql) => sql`select id from public.organizations`)

    expect(seen).toEqual([])
  })
})

describe('the last owner', () => {
  it('cannot leave; after making somebody else owner they can', async () => {
    const { organizationId, owner, manager } = await createTeam(database)
    const leave = () =>
      actAs(owner, (sql) =>
        sql`
        delete from public.organization_members
        where organization_id = ${organizationId} and user_id = ${owner.id}`)

    await expect(leave()).rejects.toMatchObject(refusal('last_owner'))
    await actAs(owner, (sql) =>
      sql`
      update public.organization_members set role = 'owner'
      where organization_id = ${organizationId} and user_id = ${manager.id}`)
    await leave()

    expect(await roleOf(organizationId, owner)).toBeNull()
    expect(await roleOf(organizationId, manager)).toBe('owner')
  })

  it('cannot step down; beside another owner they can', async () => {
    const { organizationId, owner, manager } = await createTeam(database)
    const stepDown = () =>
      actAs(owner, (sql) =>
        sql`
        update public.organization_members set role = 'viewer'
        where organization_id = ${organizationId} and user_id = ${owner.id}`)

    await expect(stepDown()).rejects.toMatchObject(refusal('last_owner'))
    await actAs(owner, (sql) =>
      sql`
      update public.organization_members set role = 'owner'
      where organization_id = ${organizationId} and user_id = ${manager.id}`)
    await stepDown()

    expect(await roleOf(organizationId, owner)).toBe('viewer')
  })

  it('stays when two owners leave at once: one goes, the other is refused', async () => {
    const { organizationId, owner, manager } = await createTeam(database)
    await admin`
      update public.organization_members set role = 'owner' where user_id = ${manager.id}`
    const bothHaveBegun = meeting(2)
    const leave = (person: typeof owner) =>
      actAs(person, async (sql) => {
        await bothHaveBegun()
        await sql`delete from public.organization_members
          where organization_id = ${organizationId} and user_id = ${person.id}`
      })

    const outcomes = await Promise.allSettled([leave(owner), leave(manager)])

    const owners = await admin`
      select 1 from public.organization_members where organization_id = ${organizationId} and role = 'owner'`
    expect(outcomes.map((outcome) => outcome.status).toSorted()).toEqual(['fulfilled', 'rejected'])
    expect(outcomes.find((outcome) => outcome.status === 'rejected')?.reason).toMatchObject(
      refusal('last_owner'),
    )
    expect(owners).toHaveLength(1)
  })

  it("stays when the second owner decides while the first one's leaving is not committed", async () => {
    const { organizationId, owner, manager } = await createTeam(database)
    await admin`
      update public.organization_members set role = 'owner' where user_id = ${manager.id}`
    const first = await openTransaction(database, owner)
    await first.sql`delete from public.organization_members
      where organization_id = ${organizationId} and user_id = ${owner.id}`

    const second = actAs(manager, (sql) =>
      sql`
      update public.organization_members set role = 'manager'
      where organization_id = ${organizationId} and user_id = ${manager.id}`)
    const refused = expect(second).rejects.toMatchObject(refusal('last_owner'))
    await someoneWaitsForALock(database)
    await first.commit()

    await refused
    expect(await roleOf(organizationId, manager)).toBe('owner')
  })

  it('may not delete the organization while an account is connected, and may once it is not', async () => {
    const { organizationId, owner } = await createTeam(database)
    const { id } = await connectIntegration(database, organizationId)
    const deletion = () =>
      actAs(owner, (sql) => sql`delete from public.organizations where id = ${organizationId}`)

    await expect(deletion()).rejects.toMatchObject(refusal('organization_has_integrations'))
    await call('service_role', 'disconnect_integration', { p_integration_id: id })
    const deleted = await deletion()

    expect(deleted.count).toBe(1)
  })

  it('may not delete it either when an account is connected at the same moment', async () => {
    const { organizationId, owner } = await createTeam(database)
    const { id } = await connectIntegration(database, organizationId)
    await call('service_role', 'disconnect_integration', { p_integration_id: id })
    const connecting = await openTransaction(database)
    await connecting
      .sql`select 1 from public.organizations where id = ${organizationId} for key share` // as a new row does
    await connecting.sql`update public.integrations set status = 'connected' where id = ${id}`

    const deletion = actAs(
      owner,
      (sql) => sql`delete from public.organizations where id = ${organizationId}`,
    )
    const refused = expect(deletion).rejects.toMatchObject(refusal('organization_has_integrations'))
    await someoneWaitsForALock(database)
    await connecting.commit()

    await refused
  })

  it('may delete the organization, with everyone in it', async () => {
    const { organizationId, owner } = await createTeam(database)

    await actAs(owner, (sql) => sql`delete from public.organizations where id = ${organizationId}`)

    const left = await admin`
      select 1 from public.organization_members where organization_id = ${organizationId}`
    expect(left).toEqual([])
  })
})

describe('a manager', () => {
  it('makes a viewer a member, but neither manager nor owner', async () => {
    const { organizationId, manager, viewer } = await createTeam(database)
    const setRole = (role: string) =>
      actAs(manager, (sql) =>
        sql`
        update public.organization_members set role = ${role}
        where organization_id = ${organizationId} and user_id = ${viewer.id}`)

    await setRole('member')

    expect(await roleOf(organizationId, viewer)).toBe('member')
    await expect(setRole('manager')).rejects.toMatchObject(permissionDenied)
    await expect(setRole('owner')).rejects.toMatchObject(permissionDenied)
  })

  it('cannot promote themself, nor change or remove an owner or another manager', async () => {
    const { organizationId, owner, manager, member } = await createTeam(database)
    const second = await createPerson(database)
    await addMember(database, organizationId, second, 'manager')
    const demote = (personId: string) =>
      actAs(manager, (sql) =>
        sql`
        update public.organization_members set role = 'viewer'
        where organization_id = ${organizationId} and user_id = ${personId}`)
    const remove = (personId: string) =>
      actAs(manager, (sql) =>
        sql`
        delete from public.organization_members
        where organization_id = ${organizationId} and user_id = ${personId}`)

    const counts = []
    for (const person of [owner, second, manager, member]) {
      counts.push((await demote(person.id)).count)
    }
    for (const person of [owner, second, member]) counts.push((await remove(person.id)).count)

    expect(counts).toEqual([0, 0, 0, 1, 0, 0, 1])
  })

  it('renames the organization; a member changes nothing', async () => {
    const { organizationId, manager, member } = await createTeam(database)
    const rename = (person: typeof manager, name: string) =>
      actAs(
        person,
        (sql) => sql`update public.organizations set name = ${name} where id = ${organizationId}`,
      )

    const byMember = await rename(member, 'By a member')
    const byManager = await rename(manager, 'By a manager')

    expect([byMember.count, byManager.count]).toEqual([0, 1])
  })
})

describe('anyone', () => {
  it('may leave, and sees nothing of the organization afterwards', async () => {
    const { organizationId, viewer } = await createTeam(database)

    await actAs(viewer, (sql) =>
      sql`
      delete from public.organization_members
      where organization_id = ${organizationId} and user_id = ${viewer.id}`)

    const seen = await actAs(viewer, (sql) => sql`select id from public.organizations`)
    expect(seen).toEqual([])
  })

  it('may belong to several organizations, with the rights of each role where it holds', async () => {
    const person = await createPerson(database)
    const own = await createOrganization(database, person, 'Own')
    const { organizationId: joined } = await createTeam(database)
    await addMember(database, joined, person, 'viewer')

    const renamed = await actAs(person, (sql) =>
      sql`
      update public.organizations set name = 'Renamed' where id in (${own}, ${joined}) returning id`)

    expect(renamed.map((row) => row.id)).toEqual([own])
  })
})
