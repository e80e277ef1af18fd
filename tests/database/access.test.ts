// Does row level security and every grant say what the matrix says, for each table and caller?
import type { TransactionSql } from 'postgres'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Actor, permissionDenied, undone, useDatabase } from '../support/database.ts'
import { createPerson, type Person } from '../support/people.ts'
import { type SeededOrganization, seedOrganization } from '../support/seeded-organization.ts'
import { ACCESS, type ActorName, ACTORS } from './access-matrix.ts'

const database = useDatabase()
let ours: SeededOrganization
let theirs: SeededOrganization
let outsider: Person

beforeAll(async () => {
  ours = await seedOrganization(database)
  theirs = await seedOrganization(database)
  outsider = await createPerson(database)
})

describe.for(Object.entries(ACCESS))('%s', ([table, access]) => {
  it(`is read: ${access.select}`, async () => {
    const outcomes = await outcomeForEach(
      `select 1 from public.${table} where ${access.row} limit 1`,
    )

    expect(outcomes).toBe(access.select)
  })

  it(`is inserted into: ${access.insert}`, async () => {
    const outcomes = await outcomeForEach(`insert into public.${table} ${access.newRow}`)

    expect(outcomes).toBe(access.insert)
  })

  it(`is updated: ${access.update}`, async () => {
    const outcomes = await outcomeForEach(
      `update public.${table} set ${access.change} where ${access.row}`,
    )

    expect(outcomes).toBe(access.update)
  })

  it(`is deleted from: ${access.delete}`, async () => {
    const outcomes = await outcomeForEach(`delete from public.${table} where ${access.row}`)

    expect(outcomes).toBe(access.delete)
  })
})

const tenantTables = Object.keys(ACCESS).filter((table) => ACCESS[table]?.isTenants)

it.for(tenantTables)('%s shows everyone their own organization and no other', async (table) => {
  const column = table === 'organizations' ? 'id' : 'organization_id'
  const organizationsSeenBy = (actor: Actor) =>
    database.actAs(actor, async (sql) => {
      const rows = await sql.unsafe(`select distinct ${column} as id from public.${table}`)
      return rows.map((row) => row.id)
    })

  const seen = await Promise.all([theirs.owner, ours.owner].map(organizationsSeenBy))

  expect(seen).toEqual([[theirs.organizationId], [ours.organizationId]])
})

it('covers every table and view of public: a new one needs its lines in the matrix', async () => {
  const tables = await database.admin`
    select relname as name from pg_class
    where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'f') order by 1`

  expect(tables.map((table) => table.name)).toEqual(Object.keys(ACCESS).sort())
})

/** Does the statement as each actor, each time undone, and writes the outcomes in the actors' order. */
async function outcomeForEach(statement: string): Promise<string> {
  const text = statement.replaceAll(':organization_id', `'${ours.organizationId}'`)
    .replaceAll(':integration_id', `'${ours.integration.id}'`)
    .replaceAll(':outsider_id', `'${outsider.id}'`)
  const outcomes: string[] = []
  for (const name of ACTORS) outcomes.push(await outcomeAs(name, text))
  return outcomes.join(' ')
}

async function outcomeAs(name: ActorName, statement: string): Promise<string> {
  const reached = async (sql: TransactionSql) => String((await sql.unsafe(statement)).count)
  try {
    return name === 'postgres'
      ? await undone(database.owner, reached)
      : await database.actAs(actorNamed(name), reached, 'roll back')
  } catch (error) {
    const { code, message } = error as { code?: string; message: string }
    if (code === permissionDenied.code) return '-'
    if (message === 'organization_has_integrations') return 'has_integrations'
    if (code === '23503') return 'foreign_key'
    throw error
  }
}

function actorNamed(name: Exclude<ActorName, 'postgres'>): Actor {
  switch (name) {
    case 'stranger':
      return theirs.owner
    case 'anonymous':
      return 'anon'
    case 'service':
      return 'service_role'
    default:
      return ours[name]
  }
}
