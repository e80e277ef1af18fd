// A platform that shows only its newest posts: what is out of its reach stays, what is gone within it goes.
import { beforeAll, describe, expect, it } from 'vitest'
import { browser } from '../../scripts/simulators/parts/oauth/browser.ts'
import { startXSimulator, type XSimulator } from '../../scripts/simulators/x.ts'
import { beginSignIn } from '../../supabase/functions/_shared/oauth/begin-sign-in.ts'
import { finishSignIn } from '../../supabase/functions/_shared/oauth/finish-sign-in.ts'
import {
  type Database,
  directDatabase,
} from '../../supabase/functions/_shared/platform/database.ts'
import type { Outside } from '../../supabase/functions/_shared/platform/outside.ts'
import { runWorker } from '../../supabase/functions/_shared/sync/run-worker.ts'
import { type FaultStack, lastLog, startFaultStack } from '../support/fault-stack.ts'

const RETURN_URL = 'http://127.0.0.1:3999/'
const ACME = '2244994945'

let network: XSimulator
let faulty: FaultStack
let outside: Outside

beforeAll(async () => {
  network = await startXSimulator({ posts: 130, mentions: 20 })
  faulty = await startFaultStack()
  const db: Database & { end(): Promise<void> } = directDatabase(faulty.stack.dbUrl)
  outside = faulty.outside({
    db,
    environment: {
      SUPABASE_URL: faulty.stack.url,
      CONNECTOR_OVERRIDES: { x: { baseUrl: network.baseUrl } },
      OAUTH_CLIENTS: { x: network.client },
      PLUGBOARD_ALLOW_PRIVATE_NETWORKS: true,
      PLUGBOARD_RETURN_URLS: [RETURN_URL],
    },
  })
  return () => Promise.all([db.end(), network.stop()])
})

/** Signs in as the owner does; only this test asks for runs. */
async function connect(account: string): Promise<string> {
  const [organization] = await faulty.admin`
    insert into public.organizations (name) values ('Posts') returning id`
  const { authorization_url } = await beginSignIn(outside, {
    organization_id: organization!.id,
    connector: 'x',
    settings: { read_back: 100 },
    return_url: RETURN_URL,
    finish_in: 'app',
  }, null)
  const page = await browser().authorize(authorization_url, { stopAt: RETURN_URL, account })
  const { integration, error } = await finishSignIn(outside, new URL(page.url).searchParams, {
    user_id: null,
  })
  if (!integration) throw error
  await faulty.admin`
    update public.sync_streams set next_sync_at = now() + interval '1 day'
    where integration_id = ${integration.id}`
  await faulty.admin`delete from private.sync_runs where integration_id = ${integration.id}`
  return integration.id
}

async function sync(integrationId: string, mode: 'full' | 'incremental') {
  const { error } = await faulty.service.rpc('start_sync', {
    p_integration_id: integrationId,
    p_stream: 'social_posts',
    p_sync_type: 'manual',
    p_mode: mode,
    p_wake: false,
  })
  if (error) throw new Error(error.message, { cause: error })
  await runWorker(outside)
  return await lastLog(faulty, integrationId)
}

const liveIds = async (integrationId: string) =>
  (await faulty.admin`
    select source_id from public.social_posts
    where integration_id = ${integrationId} and deleted_at is null`).map((row) => row.source_id)

describe('an X account with more posts than a full sync reads', () => {
  it('loses what was deleted within reach, keeps what is older, and asks nobody about it', async () => {
    const id = await connect('acme')
    const first = await sync(id, 'full')
    for (let count = 0; count < 40; count++) {
      network.network.publish({ text: `News ${count}`, author_id: ACME })
    }
    const news = await sync(id, 'incremental')
    const own = network.network.by(ACME)
    const [within, beyond] = [own[20]!.id, own[135]!.id]
    network.control.remove(within)

    const second = await sync(id, 'full')

    expect(first).toMatchObject({ status: 'success', created_count: 120 })
    expect(news).toMatchObject({ status: 'success', fetched_count: 40, created_count: 40 })
    expect(second).toMatchObject({ status: 'success', deleted_count: 1, created_count: 0 })
    const live = await liveIds(id)
    expect(live).toHaveLength(159)
    expect(live).toContain(beyond)
    expect(live).not.toContain(within)
    // asked for by its id before its row ended, and nothing else was
    const lookups = network.requests.filter(({ path }) => path.startsWith('/2/tweets?'))
    expect(lookups).toHaveLength(1)
    expect(lookups[0]!.path).toContain(within)
    expect(lookups[0]!.path).not.toContain(beyond)
  })
})
