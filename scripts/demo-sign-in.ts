// The demo's second account: its owner signs in at the platform, by the redirects a browser follows.
import { browser } from './simulators/parts/oauth/browser.ts'
import type { AirtableSimulator } from './simulators/airtable.ts'
import type { Plugboard } from '../src/index.ts'
import { good } from './good.ts'

/** The page of an app that would have asked: nobody listens there, so that where the browser lands is only read. */
const RETURN_URL = 'http://127.0.0.1:3000/integrations'

type Say = (line: string) => void

/** Connects the simulated Airtable base, syncs its contacts and writes one row. */
export async function playSignIn(
  plugboard: Plugboard,
  organization_id: string,
  airtable: AirtableSimulator,
  say: Say,
): Promise<void> {
  await clearEarlier(plugboard, organization_id, airtable)
  const { authorization_url } = good(
    await plugboard.integrations.connect({
      organization_id,
      connector: 'airtable',
      name: 'Newsletter base',
      settings: airtable.settings,
      return_url: RETURN_URL,
    }),
  )
  const page = await browser().authorize(authorization_url, { stopAt: RETURN_URL })
  const landed = new URL(page.url).searchParams
  const integration_id = landed.get('integration_id')
  if (!integration_id) throw new Error(`The sign-in ended with ${landed.get('error')}.`)
  say(
    `signed in at a simulated Airtable: ${page.chain.length} redirects, tokens straight into Vault`,
  )

  const started = good(
    await plugboard.syncs.start({ integration_id, stream: 'contacts', wait: false }),
  )
  const log = good(await plugboard.syncs.watch(started.sync_log_id))
  say(`contacts: ${log.status}, ${log.fetched_count} fetched, ${log.created_count} created`)

  const acted = good(
    await plugboard.integrations.act({
      integration_id,
      action: 'upsert_records',
      input: {
        table: 'People',
        merge_on: ['Email'],
        records: [{ Name: 'Grace Hopper', Email: 'grace@example.com' }],
      },
    }),
  )
  say(`an action: upsert_records, ${acted.status}`)
}

/** The simulated base starts afresh with every start. */
async function clearEarlier(
  plugboard: Plugboard,
  organization_id: string,
  { settings }: AirtableSimulator,
): Promise<void> {
  for (const earlier of good(await plugboard.integrations.list({ organization_id }))) {
    if (earlier.connector !== 'airtable' || earlier.status === 'disconnected') continue
    if (earlier.external_account_id !== settings.base_id) continue
    good(await plugboard.integrations.disconnect({ integration_id: earlier.id, delete_data: true }))
  }
}
