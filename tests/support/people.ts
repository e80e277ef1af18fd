// Who are the people in a test? Users made by SQL, and an organization with one of each role.
import { randomUUID } from 'node:crypto'
import type { TestDatabase } from './database.ts'

/** A user: `id` is auth.users.id. */
export type Person = { id: string; email: string }

export type Role = 'owner' | 'manager' | 'member' | 'viewer'

/** An organization with one person in each role. */
export type Team = { organizationId: string } & Record<Role, Person>

/** Makes a user whose address is confirmed unless told otherwise. */
export async function createPerson(
  { admin }: TestDatabase,
  options: { email?: string; isConfirmed?: boolean } = {},
): Promise<Person> {
  const id = randomUUID()
  const email = options.email ?? `${id}@example.com`
  const confirmedAt = options.isConfirmed === false ? null : new Date()
  await admin`
    insert into auth.users (id, email, email_confirmed_at) values (${id}, ${email}, ${confirmedAt})`
  return { id, email }
}

/** Makes an organization as its owner does; answers its id. */
export async function createOrganization(
  database: TestDatabase,
  owner: Person,
  name = 'Green Leaf',
): Promise<string> {
  const { id } = await database.call<{ id: string }>(owner, 'create_organization', { name })
  return id
}

/** Puts a person into an organization without an invitation. */
export async function addMember(
  { owner: sql }: TestDatabase,
  organizationId: string,
  person: Person,
  role: Role,
): Promise<void> {
  await sql`
    insert into public.organization_members (organization_id, user_id, role)
    values (${organizationId}, ${person.id}, ${role})`
}

/** Makes an organization with an owner, a manager, a member and a viewer. */
export async function createTeam(database: TestDatabase): Promise<Team> {
  const [owner, manager, member, viewer] = await Promise.all([
    createPerson(database),
    createPerson(database),
    createPerson(database),
    createPerson(database),
  ])
  const organizationId = await createOrganization(database, owner)
  await addMember(database, organizationId, manager, 'manager')
  await addMember(database, organizationId, member, 'member')
  await addMember(database, organizationId, viewer, 'viewer')
  return { organizationId, owner, manager, member, viewer }
}
