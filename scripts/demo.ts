// The demo: a manager connects a store, syncs its catalog, the store changes, a second sync follows; then an account
// by signing in.
import { createClient, type SupabaseClient } from '@supabase/supabase-js'
import type { SyncLog } from '../supabase/functions/_shared/contracts/sync.ts'
import { createPlugboard, type Plugboard } from '../src/index.ts'
import { playSignIn } from './demo-sign-in.ts'
import { good } from './good.ts'
import type { AirtableSimulator } from './simulators/airtable.ts'
import type { TreezSimulator } from './simulators/treez.ts'
import type { Stack } from './stack/stack.ts'
import { table } from './table.ts'

/** Who may sign in to the demo, and where. */
export const demoUser = { email: 'manager@example.com', password: 'plugboard-demo' }

export type Demo = { organization_id: string; integration_id: string; access_token: string }

type Say = (line: string) => void

/** Plays the demo through the client library, as a front end would. Throws when anything fails. */
export async function playDemo(
  stack: Pick<Stack, 'url' | 'publishableKey'>,
  { treez: store, airtable }: { treez: TreezSimulator; airtable: AirtableSimulator },
  say: Say,
): Promise<Demo> {
  const supabase: SupabaseClient = createClient(stack.url, stack.publishableKey, {
    auth: { persistSession: false, autoRefreshToken: false },
  })
  const plugboard = createPlugboard(supabase)

  const access_token = await signIn(supabase, say)
  const organization_id = await chooseOrganization(plugboard, say)
  await clearEarlierDemo(plugboard, organization_id, store, say)

  const integration = good(
    await plugboard.integrations.connect({
      organization_id,
      connector: 'treez',
      name: 'Main Street',
      settings: store.settings,
      credentials: store.credentials.v2,
    }),
  )
  say(`connected ${integration.name}, a simulated Treez store with ${store.ids().length} products`)

  const logs = [await sync(plugboard, integration.id, 'first sync', say)]
  say(`at the store: ${changeTheStore(store)}`)
  logs.push(await sync(plugboard, integration.id, 'second sync', say))

  say('')
  for (const line of table(logs.map(toRow))) say(line)
  const refused =
    good(await plugboard.syncs.errors({ integration_id: integration.id, limit: 1 }))[0]
  if (refused) {
    say(`errors are records the store sent broken, kept for repair, such as: ${refused.message}`)
  }
  say('')
  await playSignIn(plugboard, organization_id, airtable, say)
  return { organization_id, integration_id: integration.id, access_token }
}

async function signIn(supabase: SupabaseClient, say: Say): Promise<string> {
  const known = await supabase.auth.signInWithPassword(demoUser)
  const session = known.data.session ?? (await supabase.auth.signUp(demoUser)).data.session
  if (!session) throw new Error('The demo user could neither sign in nor sign up.')
  say(`signed ${known.data.session ? 'in' : 'up'} as ${demoUser.email}`)
  return session.access_token
}

async function chooseOrganization(plugboard: Plugboard, say: Say): Promise<string> {
  const [known] = good(await plugboard.organizations.list())
  if (known) return known.id
  const created = good(await plugboard.organizations.create({ name: 'Demo Dispensary' }))
  say(`created the organization ${created.name}`)
  return created.id
}

/**
 * The simulated store starts afresh with every start, so last time's products would be strangers.
 * Other accounts of the organization are left alone.
 */
async function clearEarlierDemo(
  plugboard: Plugboard,
  organization_id: string,
  { settings }: TreezSimulator,
  say: Say,
) {
  for (const earlier of good(await plugboard.integrations.list({ organization_id }))) {
    if (earlier.connector !== 'treez' || earlier.status === 'disconnected') continue
    if (earlier.external_account_id !== settings.dispensary.toLowerCase()) continue
    good(await plugboard.integrations.disconnect({ integration_id: earlier.id, delete_data: true }))
    say(`cleared ${earlier.name} of an earlier start`)
  }
}

/** Starts a sync and tells how far it is until it has ended. */
async function sync(
  plugboard: Plugboard,
  integration_id: string,
  title: string,
  say: Say,
): Promise<SyncLog> {
  const input = { integration_id, stream: 'products', wait: false }
  const started = good(await plugboard.syncs.start(input))
  let told = 0
  const onProgress = ({ fetched_count, finished_at }: SyncLog) => {
    if (fetched_count === told || finished_at) return
    told = fetched_count
    say(`${title}: ${fetched_count} products so far`)
  }
  const log = good(await plugboard.syncs.watch(started.sync_log_id, { onProgress }))
  const seconds = ((log.duration_ms ?? 0) / 1000).toFixed(1)
  say(`${title}: ${log.status}, ${log.fetched_count} products in ${seconds} s`)
  return log
}

function changeTheStore({ control, ids }: TreezSimulator): string {
  const [survivor, loser, ...others] = ids('sound')
  if (survivor === undefined || loser === undefined) throw new Error('The store has no products.')
  control.merge(loser, survivor)
  control.change(others.slice(0, 12))
  control.sell(others.slice(12, 17))
  control.remove(others.slice(17, 20))
  control.add(4)
  control.breakRecords(others.slice(20, 21))
  return '12 products changed, 5 sold, 1 merged, 3 removed, 4 added, 1 broken'
}

const toRow = (log: SyncLog, index: number) => ({
  sync: index === 0 ? 'first' : 'second',
  status: log.status,
  fetched: log.fetched_count,
  created: log.created_count,
  updated: log.updated_count,
  unchanged: log.unchanged_count,
  deleted: log.deleted_count,
  errors: log.error_count,
  'time (s)': ((log.duration_ms ?? 0) / 1000).toFixed(1),
})
