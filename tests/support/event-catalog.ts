// Is every event that Plugboard wrote one that its catalog describes?
import { expect } from 'vitest'
import { EVENT_TYPES } from '../../supabase/functions/_shared/contracts/event-catalog.ts'
import type { TestDatabase } from './database.ts'

export type EventRow = {
  id: string
  type: string
  subject: string | null
  data: Record<string, unknown>
}

const known = new Map(EVENT_TYPES.map((type) => [type.name, type]))

/** What is wrong with an event's data: a field that is missing, wrong, or not in the catalog. Null: nothing. */
export function misfit(type: string, data: unknown): string | null {
  const parsed = known.get(type)?.data.safeParse(data)
  if (!parsed) return 'is no type of the catalog'
  if (!parsed.success) return parsed.error.message
  try {
    expect(parsed.data).toEqual(data) // parsing drops what the schema does not name
    return null
  } catch (error) {
    return (error as Error).message
  }
}

/** Fails when an event in the test's database does not fit. Answers which types were met. */
export async function expectEventsToFit({ owner }: TestDatabase): Promise<Set<string>> {
  const events = await owner<{ type: string; data: unknown }[]>`
    select type, data from public.events where origin = 'plugboard' order by created_at desc limit 20000`
  const misfits = events.map(({ type, data }) => ({ type, data, wrong: misfit(type, data) }))
    .filter(({ wrong }) => wrong !== null)
  expect(misfits.slice(0, 5)).toEqual([])
  return new Set(events.map(({ type }) => type))
}

/** An organization's events in the order in which they were written, without those of who joined it. */
export async function eventsOf(
  { owner }: TestDatabase,
  organizationId: string,
): Promise<EventRow[]> {
  return await owner<EventRow[]>`
    select id, type, subject, data from public.events
    where organization_id = ${organizationId} and type <> 'user.added' order by created_at, subject`
}
