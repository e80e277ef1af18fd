// Do people stay right when several integrations that know the same ones sync at the same time?
import type { TransactionSql } from 'postgres'
import { describe, expect, it } from 'vitest'
import { meeting, openTransaction, someoneWaitsForALock } from '../support/concurrency.ts'
import { callFunction, useDatabase } from '../support/database.ts'
import {
  connectIntegration,
  createIntegration,
  type IntegrationRow,
} from '../support/integrations.ts'
import { streamRecord } from '../support/stream-records.ts'

const database = useDatabase()
const { admin, actAs } = database

const email = (number: number) => `person${number}@example.com`
const contact = (number: number, day = 1) =>
  streamRecord('contacts', `c${number}`, { email: email(number), full_name: `Day ${day}` }, day)

/** Merges within a transaction, as any of the functions does that write records. */
const merge = (
  sql: TransactionSql,
  { id }: IntegrationRow,
  records: unknown[],
  deletions: unknown[] = [],
) =>
  callFunction(sql, 'apply_records', {
    p_integration_id: id,
    p_stream: 'contacts',
    p_records: records,
    p_deletions: deletions,
  })

async function accounts(count: number): Promise<IntegrationRow[]> {
  const first = await createIntegration(database)
  const others = Array.from(
    { length: count - 1 },
    () => connectIntegration(database, first.organization_id),
  )
  return [first, ...await Promise.all(others)]
}

const peopleOf = (organizationId: string) =>
  admin`
    select email, full_name, contact_count from public.people
    where organization_id = ${organizationId} order by email`

describe('two integrations that meet the same person', () => {
  it.each([['new to both', false], ['known before', true]])(
    'count both of their contacts: %s',
    async (_which, isKnown) => {
      const [one, other] = await accounts(2) as [IntegrationRow, IntegrationRow]
      const { organization_id } = one
      if (isKnown) await actAs('service_role', (sql) => merge(sql, one, [contact(1, 1)]))
      const first = await openTransaction(database, 'service_role')
      const second = await openTransaction(database, 'service_role')
      await merge(first.sql, one, [contact(1, 2)])
      await first.sql`set constraints all immediate` // as its commit begins: the person is held
      await merge(second.sql, other, [contact(1, 3)])

      const committing = second.commit()
      await someoneWaitsForALock(database)
      await first.commit()
      await committing

      expect(await peopleOf(organization_id)).toEqual([
        { email: email(1), full_name: 'Day 3', contact_count: 2 },
      ])
    },
  )

  it('keep who loses the last contact in one and wins a first in the other', async () => {
    const [one, other] = await accounts(2) as [IntegrationRow, IntegrationRow]
    await actAs('service_role', (sql) => merge(sql, one, [contact(1)]))
    const leaving = await openTransaction(database)
    const coming = await openTransaction(database, 'service_role')
    await leaving.sql`delete from public.contacts where integration_id = ${one.id}`
    await leaving.sql`set constraints all immediate`
    await merge(coming.sql, other, [contact(1, 2)])

    const committing = coming.commit()
    await someoneWaitsForALock(database)
    await leaving.commit()
    await committing

    expect(await peopleOf(one.organization_id)).toEqual([
      { email: email(1), full_name: 'Day 2', contact_count: 1 },
    ])
  })

  it('do not lock each other out, whichever of the people each writes first', async () => {
    const [one, other] = await accounts(2) as [IntegrationRow, IntegrationRow]
    const bothHaveWritten = meeting(2)
    const writeInTurn = (account: IntegrationRow, order: number[]) =>
      actAs('service_role', async (sql) => {
        await merge(sql, account, [contact(order[0]!)])
        await bothHaveWritten()
        await merge(sql, account, [contact(order[1]!)])
      })

    await Promise.all([writeInTurn(one, [1, 2]), writeInTurn(other, [2, 1])])

    expect((await peopleOf(one.organization_id)).map((person) => person.contact_count))
      .toEqual([2, 2])
  })
})

it(
  'five integrations writing, changing and deleting the same forty people at once leave them as their contacts say',
  async () => {
    const integrations = await accounts(5)
    const organizationId = integrations[0]!.organization_id
    const rounds = 12
    /** A different third of the people in a different order for each round of each account. */
    const some = (seed: number) =>
      Array.from({ length: 40 }, (_, index) => (index * 7 + seed * 11) % 40)
        .filter((number) => (number + seed) % 3 === 0)

    await Promise.all(integrations.map(async (account, position) => {
      for (let round = 0; round < rounds; round++) {
        const [written, removed] = [some(position + round), some(position + round + 1)]
        await actAs('service_role', (sql) =>
          merge(
            sql,
            account,
            written.map((number) => contact(number, round + 1)),
            removed.map((number) => ({
              source_id: `c${number}`,
              source_deleted_at: `2026-01-${String(round + 1).padStart(2, '0')}T12:00:00Z`,
            })),
          ))
      }
    }))

    const people = await peopleOf(organizationId)
    const asContactsSay = await admin`
    select email, count(*) filter (where deleted_at is null)::int as contact_count,
      (array_agg(full_name order by last_synced_at desc) filter (where deleted_at is null))[1] as full_name
    from public.contacts where organization_id = ${organizationId} group by email order by email`
    expect(people).toHaveLength(40)
    expect(new Set(people.map((person) => person.contact_count)).size).toBeGreaterThan(1)
    expect(people).toEqual(
      asContactsSay.map(({ email, full_name, contact_count }) => ({
        email,
        full_name,
        contact_count,
      })),
    )
  },
  30_000,
)
