// kill -9 of the function server while it keeps images: nothing is lost, nothing is there twice.
import { beforeEach, describe, expect, it } from 'vitest'
import { type ImageSimulator, startImageSimulator } from '../../scripts/simulators/images.ts'
import { connectAccount, type FaultStack, startFaultStack } from '../support/fault-stack.ts'
import { showing } from '../support/images.ts'
import { imagesAreFetched } from '../support/worker-rings.ts'

const faulty: FaultStack = await startFaultStack()
const { admin, service, stack } = faulty
await imagesAreFetched(admin)
let host: ImageSimulator
let organizationId: string
beforeEach(async () => {
  host = await startImageSimulator()
  return () => host.stop()
})

/** Writes products of a new organization that show these paths of the host. The commit rings for a worker. */
async function showImages(...paths: string[]): Promise<void> {
  const integrationId = await connectAccount(faulty, {
    connector: 'json-feed',
    settings: { url: `${host.url}/feed` },
  })
  const records = paths.map((path, index) => showing(String(index), `${host.url}/${path}`))
  const { error } = await service.rpc('apply_records', {
    p_integration_id: integrationId,
    p_stream: 'products',
    p_records: records,
  })
  if (error) throw new Error(error.message, { cause: error })
  const [row] = await admin`
    select organization_id from public.integrations where id = ${integrationId}`
  organizationId = row?.organization_id
}

/** As after the lease and the pause of whoever died. The first claim finds the leases run out, the next the pause. */
async function letTimePass(): Promise<void> {
  await admin`update public.media_sources set lease_expires_at = now() - interval '1 second' where lease_token is not null`
  await admin`select public.claim_images(gen_random_uuid(), 1)`
  await admin`update public.media_sources set run_at = now(), lease_token = null, lease_expires_at = null where status = 'queued'`
  await admin`update private.worker_wakes set rung_at = null`
  await stack.cron.run('ring-for-images')
}

async function readState() {
  const [state] = await admin`
    select
      (select count(*)::int from public.media_sources
        where organization_id = ${organizationId} and status = 'stored') as stored,
      (select count(*)::int from public.media_assets where organization_id = ${organizationId}) as assets,
      (select count(*)::int from storage.objects
        where bucket_id = 'media' and name like ${`${organizationId}/%`}) as objects,
      (select count(*)::int from public.products
        where organization_id = ${organizationId} and image_asset_id is not null) as linked`
  return state
}

describe('the worker is killed', () => {
  it('between upload and the word of it: the next one finds the file and says so', async () => {
    await showImages('held/1/a', 'held/1/b')
    await expect.poll(() => host.requests, { timeout: 20_000 }).toHaveLength(2)
    // whoever moves the queue waits for this lock: the worker gets as far as uploading
    const lock = await admin.reserve()
    await lock`select pg_advisory_lock(20260101, 830)`
    host.release()
    await expect.poll(async () => (await readState())?.objects, { timeout: 20_000 }).toBe(1)
    await stack.functions.kill()
    await lock`select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and not granted`
    await lock`select pg_advisory_unlock(20260101, 830)`
    lock.release()
    const afterDeath = await readState()
    await stack.functions.ready()

    await letTimePass()

    expect(afterDeath).toEqual({ stored: 0, assets: 0, objects: 1, linked: 0 })
    await expect.poll(readState, { timeout: 20_000 }).toEqual({
      stored: 2,
      assets: 1,
      objects: 1,
      linked: 2,
    })
  })

  it('while it fetches: the next one fetches again', async () => {
    await showImages('held/1/a', 'png/2/b')
    await expect.poll(() => host.requests, { timeout: 20_000 }).toHaveLength(2)
    await stack.functions.kill()
    host.release()
    await stack.functions.ready()

    await letTimePass()

    await expect.poll(readState, { timeout: 20_000 }).toEqual({
      stored: 2,
      assets: 2,
      objects: 2,
      linked: 2,
    })
    expect(host.requests.filter((path) => path === '/held/1/a')).toHaveLength(2)
  })
})
