// Whom does an invitation let in? The person it was sent to, once, while it is open.
import { describe, expect, it } from 'vitest'
import { refusal, useDatabase } from '../support/database.ts'
import { addMember, createPerson, createTeam, type Person, type Role } from '../support/people.ts'

const database = useDatabase()
const { admin, actAs, call } = database

type Invitation = { invitation_id: string; token: string; expires_at: string }

const invite = (by: Person, organizationId: string, email: string, role?: string) =>
  call<Invitation>(by, 'invite_member', {
    organization_id: organizationId,
    email,
    ...(role ? { role } : {}),
  })
const accept = (person: Person, invitation: Invitation) =>
  call<string>(person, 'accept_invitation', { token: invitation.token })
const notFound = refusal('invitation_not_found')

async function roleOf(organizationId: string, person: Person): Promise<string | null> {
  const [membership] = await admin<{ role: string }[]>`
    select role from public.organization_members
    where organization_id = ${organizationId} and user_id = ${person.id}`
  return membership?.role ?? null
}

describe('an invitation', () => {
  it('lets the invited person in with the role it names', async () => {
    const { organizationId, manager } = await createTeam(database)
    const person = await createPerson(database)
    const invitation = await invite(manager, organizationId, person.email, 'viewer')

    const joined = await accept(person, invitation)

    expect(joined).toBe(organizationId)
    expect(await roleOf(organizationId, person)).toBe('viewer')
  })

  it('is for a member unless it says otherwise, and for an address in any case', async () => {
    const { organizationId, manager } = await createTeam(database)
    const person = await createPerson(database)
    const invitation = await invite(manager, organizationId, `  ${person.email.toUpperCase()} `)

    await accept(person, invitation)

    expect(await roleOf(organizationId, person)).toBe('member')
  })

  it('does not let in who has the link but another address', async () => {
    const { organizationId, manager } = await createTeam(database)
    const [person, other] = await Promise.all([createPerson(database), createPerson(database)])
    const invitation = await invite(manager, organizationId, person.email)

    await expect(accept(other, invitation)).rejects.toMatchObject(notFound)
    await expect(accept(person, invitation)).resolves.toBe(organizationId)
  })

  it('does not let in whose address is not confirmed; once it is, it does', async () => {
    const { organizationId, manager } = await createTeam(database)
    const person = await createPerson(database, { isConfirmed: false })
    const invitation = await invite(manager, organizationId, person.email)

    await expect(accept(person, invitation)).rejects.toMatchObject(notFound)
    await admin`update auth.users set email_confirmed_at = now() where id = ${person.id}`
    await expect(accept(person, invitation)).resolves.toBe(organizationId)
  })

  it('works once', async () => {
    const { organizationId, manager } = await createTeam(database)
    const person = await createPerson(database)
    const invitation = await invite(manager, organizationId, person.email)

    await accept(person, invitation)

    await expect(accept(person, invitation)).rejects.toMatchObject(notFound)
  })

  it('works once when two accept at the same time', async () => {
    const { organizationId, manager } = await createTeam(database)
    const person = await createPerson(database)
    const invitation = await invite(manager, organizationId, person.email)

    const outcomes = await Promise.allSettled([
      accept(person, invitation),
      accept(person, invitation),
    ])

    expect(outcomes.map((outcome) => outcome.status).toSorted()).toEqual(['fulfilled', 'rejected'])
  })

  it.each(
    [
      ['manager', 'member', 'member'],
      ['owner', 'manager', 'manager'],
    ] as const,
  )(
    'sent by the %s to a new %s lets nobody in while its sender is only %s',
    async (by, role, now) => {
      const team = await createTeam(database)
      const person = await createPerson(database)
      const invitation = await invite(team[by], team.organizationId, person.email, role)
      const setSender = (held: Role) =>
        admin`
      update public.organization_members set role = ${held}
      where organization_id = ${team.organizationId} and user_id = ${team[by].id}`
      await addMember(database, team.organizationId, await createPerson(database), 'owner')

      await setSender(now)
      await expect(accept(person, invitation)).rejects.toMatchObject(notFound)
      await setSender(by)
      await expect(accept(person, invitation)).resolves.toBe(team.organizationId)
      expect(await roleOf(team.organizationId, person)).toBe(role)
    },
  )

  it('lets nobody in once its sender has left', async () => {
    const { organizationId, manager, owner } = await createTeam(database)
    const [one, other] = await Promise.all([createPerson(database), createPerson(database)])
    const ofManager = await invite(manager, organizationId, one.email)
    const ofOwner = await invite(owner, organizationId, other.email)

    await actAs(manager, (sql) =>
      sql`
      delete from public.organization_members where user_id = ${manager.id}`)

    await expect(accept(one, ofManager)).rejects.toMatchObject(notFound)
    await expect(accept(other, ofOwner)).resolves.toBe(organizationId)
  })

  it('expires', async () => {
    const { organizationId, manager } = await createTeam(database)
    const person = await createPerson(database)
    const invitation = await invite(manager, organizationId, person.email)
    const setExpiry = (at: string) =>
      admin`
      update public.organization_invitations set expires_at = now() + ${at}::interval
      where id = ${invitation.invitation_id}`

    await setExpiry('-1 second')
    await expect(accept(person, invitation)).rejects.toMatchObject(notFound)
    await setExpiry('1 hour')
    await expect(accept(person, invitation)).resolves.toBe(organizationId)
  })

  it('that was withdrawn lets nobody in', async () => {
    const { organizationId, manager } = await createTeam(database)
    const person = await createPerson(database)
    const invitation = await invite(manager, organizationId, person.email)

    await actAs(manager, (sql) =>
      sql`
      delete from public.organization_invitations where id = ${invitation.invitation_id}`)

    await expect(accept(person, invitation)).rejects.toMatchObject(notFound)
    expect(
      await admin`
      select 1 from private.invitation_tokens where invitation_id = ${invitation.invitation_id}`,
    )
      .toEqual([])
  })

  it('sent again replaces the one before', async () => {
    const { organizationId, manager } = await createTeam(database)
    const person = await createPerson(database)
    const first = await invite(manager, organizationId, person.email, 'viewer')
    const second = await invite(manager, organizationId, person.email, 'member')

    await expect(accept(person, first)).rejects.toMatchObject(notFound)
    await expect(accept(person, second)).resolves.toBe(organizationId)
    expect(await roleOf(organizationId, person)).toBe('member')
  })

  it('leaves a member the role they hold', async () => {
    const { organizationId, owner } = await createTeam(database)
    const person = await createPerson(database)
    await addMember(database, organizationId, person, 'manager')
    const invitation = await invite(owner, organizationId, person.email, 'viewer')

    await accept(person, invitation)

    expect(await roleOf(organizationId, person)).toBe('manager')
  })

  it('shows its token once: what is kept is a hash that no client reads', async () => {
    const { organizationId, manager } = await createTeam(database)
    const invitation = await invite(manager, organizationId, 'someone@example.com')

    const [kept] = await admin<{ row: string }[]>`
      select to_jsonb(invitation)::text || to_jsonb(secret)::text as row
      from public.organization_invitations as invitation
      join private.invitation_tokens as secret on secret.invitation_id = invitation.id
      where invitation.id = ${invitation.invitation_id}`

    expect(invitation.token).toMatch(/^[0-9a-f]{64}$/)
    expect(kept?.row).not.toContain(invitation.token)
  })

  it.each(['nobody', '@example.com', ''])(
    'is not made for %j, which is no address',
    async (email) => {
      const { organizationId, manager } = await createTeam(database)

      await expect(invite(manager, organizationId, email)).rejects.toMatchObject({
        constraint_name: 'organization_invitations_email_is_an_address',
      })
    },
  )
})

describe("an owner's invitation", () => {
  it.each(
    [
      ['owner', false],
      ['manager', false],
      ['member', true],
      ['viewer', true],
    ] as const,
  )(
    'to become %s: may a manager replace or withdraw it? %s; an owner may',
    async (role, mayManager) => {
      const { organizationId, owner, manager } = await createTeam(database)
      const [one, other] = await Promise.all([createPerson(database), createPerson(database)])
      const invitation = await invite(owner, organizationId, one.email, role)
      await invite(owner, organizationId, other.email, role)
      const withdraw = (by: Person) =>
        actAs(by, (sql) =>
          sql`
        delete from public.organization_invitations where id = ${invitation.invitation_id}`)
      const replace = (by: Person) => invite(by, organizationId, other.email, 'viewer')

      const replacing = replace(manager)
      if (mayManager) await expect(replacing).resolves.toBeTruthy()
      else await expect(replacing).rejects.toMatchObject(refusal('not_a_manager'))
      expect((await withdraw(manager)).count).toBe(mayManager ? 1 : 0)

      expect((await withdraw(owner)).count).toBe(mayManager ? 0 : 1)
      await expect(replace(owner)).resolves.toBeTruthy()
    },
  )
})

describe('inviting', () => {
  it.each(
    [
      ['owner', 'owner', true],
      ['owner', 'manager', true],
      ['manager', 'manager', false],
      ['manager', 'owner', false],
      ['manager', 'member', true],
      ['manager', 'viewer', true],
      ['member', 'viewer', false],
      ['viewer', 'viewer', false],
    ] as const,
  )('by the %s as %s: %s', async (by, role, isAllowed) => {
    const team = await createTeam(database)

    const invited = invite(team[by], team.organizationId, 'someone@example.com', role)

    if (isAllowed) await expect(invited).resolves.toMatchObject({ token: expect.any(String) })
    else await expect(invited).rejects.toMatchObject(refusal('not_a_manager'))
  })

  it("into somebody else's organization answers as if there were none", async () => {
    const [ours, theirs] = [await createTeam(database), await createTeam(database)]
    const nowhere = crypto.randomUUID()

    for (const organizationId of [ours.organizationId, nowhere]) {
      await expect(invite(theirs.owner, organizationId, 'someone@example.com')).rejects
        .toMatchObject({ ...refusal('organization_not_found'), detail: '' })
    }
    await expect(invite(ours.owner, ours.organizationId, 'someone@example.com')).resolves
      .toBeTruthy()
  })
})
