// How does a test sync contacts with an Airtable base both ways? A team, a base, and each person's own client.
import { createClient, type SupabaseClient } from '@supabase/supabase-js'
import { expect, vi } from 'vitest'
import type { AirtableSimulator } from '../../scripts/simulators/airtable.ts'
import {
  createPlugboard,
  type Database,
  type Plugboard,
  type SyncConflict,
  type SyncStreamSettings,
} from '../../src/index.ts'
import type { Integration } from '../../supabase/functions/_shared/contracts/integrations.ts'
import type { FunctionCaller, Functions } from './functions.ts'
import { createTeam, type Person, type Team } from './people.ts'
import { sharedStack } from './shared-stack.ts'
import { good } from './shop.ts'
import { openAirtable } from './sign-in.ts'

type Contacts = Database['public']['Tables']['contacts']
export type ContactRow = Contacts['Row']
/** What a front end may change of one. */
export type ContactChanges = Contacts['Update']

export type TwoWayBase = {
  airtable: AirtableSimulator
  team: Team
  integration_id: string
  /** A person's own client, as their front end has it. */
  as(person: Person): Promise<{ supabase: SupabaseClient<Database>; plugboard: Plugboard }>
  /** Calls `/sync` for contacts. */
  sync(
    mode: 'push' | 'full' | 'incremental',
    caller?: FunctionCaller,
  ): Promise<Record<string, unknown> & { stats: Record<string, number> }>
  /** The live ones, by address. */
  contacts(): Promise<ContactRow[]>
  contact(email: string): Promise<ContactRow>
  /** Rows of the table People as people see them, by address. */
  people(): { id: string; fields: Record<string, unknown> }[]
  person(email: string): { id: string; fields: Record<string, unknown> }
  /** Somebody types into the table at Airtable. */
  type(email: string, cells: Record<string, unknown>): void
  conflicts(): Promise<SyncConflict[]>
  /** Changes that have still to go out. */
  open(): Promise<number>
}

const CONTACTS = {
  table: 'People',
  email: 'Email',
  first_name: 'First name',
  last_name: 'Last name',
  full_name: 'Name',
  phone: 'Phone',
  tags: 'Tags',
  last_modified: 'Last modified',
}

/** Connects a base of its own, reads it once, and sets its contacts to go both ways. */
export async function openTwoWayBase(
  functions: Functions,
  settings: SyncStreamSettings = {},
  options: { people?: number } = {},
): Promise<TwoWayBase> {
  const { database, remote, call } = functions
  const team = await createTeam(database)
  const airtable = await openAirtable(functions, {
    requestsPerSecond: 0,
    people: options.people ?? 6,
  })
  const connected = await call<Integration>(team.manager, '/integrations/connect', {
    organization_id: team.organizationId,
    connector: 'airtable',
    settings: {
      ...airtable.settings,
      auth: 'personal_access_token',
      contacts: CONTACTS,
      tables: [],
    },
    credentials: airtable.credentials,
  })
  if (connected.status !== 200) throw new Error(connected.text)
  const integration_id = connected.body.id
  await database.owner`
    update public.sync_streams set next_sync_at = now() + interval '1 day'
    where integration_id = ${integration_id}`
  const { url, publishableKey } = sharedStack

  const base: TwoWayBase = {
    airtable,
    team,
    integration_id,
    async as({ id, email }) {
      const authorization = `Bearer ${await remote.signToken({ sub: id, email })}`
      const supabase = createClient<Database>(url, publishableKey, {
        auth: { persistSession: false, autoRefreshToken: false },
        global: { headers: { authorization } },
      })
      return { supabase, plugboard: createPlugboard(supabase as never) }
    },
    async sync(mode, caller = team.manager) {
      const { status, body, text } = await call<
        Record<string, unknown> & { stats: Record<string, number> }
      >(caller, '/sync', { integration_id, stream: 'contacts', mode })
      if (status >= 300) throw new Error(text)
      return body
    },
    contacts: async () =>
      await database.owner<ContactRow[]>`
        select * from public.contacts
        where integration_id = ${integration_id} and deleted_at is null order by email`,
    async contact(email) {
      const found = (await base.contacts()).filter((contact) => contact.email === email)
      expect(found).toHaveLength(1)
      return found[0]!
    },
    people() {
      const people = airtable.base.find('People')!
      return [...people.rows.values()].map((row) => airtable.base.show(people, row))
        .sort((a, b) => String(a.fields['Email']) < String(b.fields['Email']) ? -1 : 1)
    },
    person(email) {
      const found = base.people().filter(({ fields }) => fields['Email'] === email)
      expect(found).toHaveLength(1)
      return found[0]!
    },
    type(email, cells) {
      const people = airtable.base.find('People')!
      airtable.base.change(people.rows.get(base.person(email).id)!, cells)
    },
    conflicts: async () =>
      good(
        await (await base.as(team.member)).plugboard.syncs.conflicts.list({ integration_id }),
      ),
    async open() {
      const [row] = await database.admin<{ count: number }[]>`
        select count(*)::int as count from private.outbound_changes
        where integration_id = ${integration_id}`
      return row!.count
    },
  }
  const first = await base.sync('full')
  if (first['error']) throw new Error(`the first sync: ${first['error']}`)
  // another worker may have taken the run
  await vi.waitFor(async () => expect(await base.contacts()).toHaveLength(base.people().length), {
    timeout: 15_000,
    interval: 20,
  })
  const { plugboard } = await base.as(team.manager)
  good(
    await plugboard.syncs.streams.update({
      integration_id,
      stream: 'contacts',
      direction: 'both',
      ...settings,
    }),
  )
  return base
}

/** Waits until what was changed here has gone out by itself. */
export const goneOut = (base: TwoWayBase) =>
  vi.waitFor(async () => expect(await base.open()).toBe(0), { timeout: 20_000, interval: 50 })
