// kill -9 of the function server while webhooks come in and are worked on: none is lost, each counts once.
import { randomBytes } from 'node:crypto'
import process from 'node:process'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { connectAccount, type FaultStack, startFaultStack } from '../support/fault-stack.ts'
import { signedWebhook } from '../support/webhook-senders.ts'

const COUNT = Number(process.env['PLUGBOARD_TEST_EVENTS'] ?? 1_000)
const LONGER = Math.max(1, COUNT / 2_000)
vi.setConfig({ testTimeout: 120_000 * LONGER })
const SECRET = `whsec_${randomBytes(32).toString('base64')}`

const faulty: FaultStack = await startFaultStack()
const { admin, service, stack } = faulty
let integrationId: string
/** What the door said where it did not say yes; 0 where it said nothing. */
let refusals: number[]
beforeEach(async () => {
  refusals = []
  await admin`update private.webhook_event_keys set run_at = null, lease_token = null`
  integrationId = await connectAccount(faulty, {
    connector: 'json-feed',
    settings: { url: 'http://127.0.0.1:9/feed' },
  })
  const { error } = await service.rpc('set_webhook_secret', {
    p_integration_id: integrationId,
    p_secret: SECRET,
  })
  if (error) throw new Error(error.message)
})

const url = () => `${stack.functionsUrl}/webhook-receive/${integrationId}`

/** Sends one as a platform does: again, until it hears yes. Answers how often. */
async function deliver(number: number): Promise<number> {
  const body = JSON.stringify({
    type: 'order.placed',
    timestamp: '2026-11-20T09:00:00Z',
    data: { number },
  })
  for (let attempt = 1;; attempt++) {
    const sent = signedWebhook('json-feed', body, { secret: SECRET, url: url() })
    const status = await fetch(url(), { method: 'POST', ...sent })
      .then(async (response) => {
        await response.text()
        return response.status
      })
      .catch(() => 0)
    if (status === 200) return attempt
    refusals.push(status)
    if (status !== 0 && status < 500) throw new Error(`the door answered ${status}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

/** All of them, twenty at a time. Answers how many had to be sent again. */
async function deliverAll(
  count: number,
  onDelivered: (done: number) => void = () => {},
): Promise<number> {
  let next = 0
  let done = 0
  let again = 0
  const lane = async () => {
    while (next < count) {
      if (await deliver(next++) > 1) again++
      onDelivered(++done)
    }
  }
  await Promise.all(Array.from({ length: 20 }, lane))
  return again
}

/** So many webhooks wait, stored as the door stores them, without a ring. */
async function fillQueue(count: number): Promise<void> {
  await admin`update private.worker_wakes set awake_until = now() + interval '1 minute'`
  await admin`
    select count(public.receive_webhook('json-feed', 'order.placed', number::text, '{"content-type": "application/json"}',
      '{"scheme": "standard-webhooks", "verified_at": "2026-11-20T09:00:00.000Z"}',
      translate(encode(convert_to(format('{"data":{"number":%s}}', number), 'UTF8'), 'base64'), E'\n', ''),
      ${integrationId}, (select version from private.webhook_receivers where integration_id = ${integrationId})))
    from generate_series(0, ${count - 1}) as number`
}

/** As after leases and pauses, and as if nobody had been rung. */
async function letTimePass(): Promise<void> {
  await admin`
    update private.webhook_event_keys set run_at = now() - interval '1 second' where run_at < 'infinity'`
  await ring()
}

async function ring(): Promise<void> {
  await admin`update private.worker_wakes set rung_at = null, awake_until = null`
  await stack.cron.run('ring-for-webhook-events')
}

/** Webhooks by status, and which numbers became an event how often. */
async function outcome() {
  const statuses = await admin`
    select status, count(*)::int as count from public.webhook_events
    where integration_id = ${integrationId} group by status`
  const [emitted] = await admin`
    select count(*)::int as events, count(distinct data #>> '{body,data,number}')::int as numbers
    from public.events where type = 'webhook.received' and data ->> 'integration_id' = ${integrationId}`
  return { ...Object.fromEntries(statuses.map(({ status, count }) => [status, count])), ...emitted }
}

const complete = (count: number) => ({ processed: count, events: count, numbers: count })

/** The lock that a statement waits for holds it until it is let go. */
async function holding(table: 'private.webhook_event_keys' | 'public.events') {
  const connection = await admin.reserve()
  await connection`begin`
  await connection.unsafe(`lock table ${table} in share row exclusive mode`)
  const waiting = async () => {
    const [row] = await admin`
      select count(distinct pid)::int as count from pg_locks where relation = ${table}::regclass and not granted`
    return row?.count as number
  }
  return {
    waiting,
    /** The statements that wait never commit. */
    async kill() {
      await admin`
        select pg_terminate_backend(pid) from pg_locks where relation = ${table}::regclass and not granted`
      await this.letGo()
    },
    async letGo() {
      await connection`rollback`
      connection.release()
    },
  }
}

describe('the receiver is killed', () => {
  it('four times while they come: the platform sends again, and each is there once', async () => {
    const kills: Promise<void>[] = []

    const again = await deliverAll(COUNT, (done) => {
      if (done % (COUNT / 4) === 100) kills.push(stack.functions.kill())
    })
    await Promise.all(kills)
    await stack.functions.ready()
    await letTimePass()

    console.log(`${COUNT} webhooks, ${kills.length} kills, ${again} had to be sent again`)
    expect(kills.length).toBeGreaterThanOrEqual(3)
    expect(again).toBeGreaterThan(0)
    await expect.poll(outcome, { timeout: 60_000 * LONGER, interval: 500 }).toEqual(complete(COUNT))
  })

  it('after the insert and before the answer: sent again, it is known', async () => {
    const held = await holding('private.webhook_event_keys')
    const delivered = deliver(1)
    await expect.poll(held.waiting, { timeout: 10_000 }).toBeGreaterThan(0)
    await stack.functions.kill()
    await held.letGo()

    expect(await delivered).toBeGreaterThan(1)
    await letTimePass()

    await expect.poll(outcome, { timeout: 20_000 }).toEqual(complete(1))
  })

  it('before the insert is committed: sent again, it is taken in', async () => {
    const held = await holding('private.webhook_event_keys')
    const delivered = deliver(1)
    await expect.poll(held.waiting, { timeout: 10_000 }).toBeGreaterThan(0)
    await stack.functions.kill()
    await held.kill()

    expect(await delivered).toBeGreaterThan(1)
    await letTimePass()

    await expect.poll(outcome, { timeout: 20_000 }).toEqual(complete(1))
  })
})

describe('the worker is killed', () => {
  it('before it claims: the next one works on all', async () => {
    await stack.functions.kill()
    await fillQueue(COUNT)
    await stack.functions.ready()

    await ring()

    await expect.poll(outcome, { timeout: 60_000 * LONGER, interval: 500 }).toEqual(complete(COUNT))
  })

  it('after it claimed, before it finishes: nothing was done, and the next one does it once', async () => {
    await fillQueue(COUNT)
    const held = await holding('public.events')
    await ring()
    await expect.poll(held.waiting, { timeout: 20_000 }).toBeGreaterThan(0)
    await stack.functions.kill()
    await held.kill()
    const afterDeath = await outcome()
    await stack.functions.ready()

    await letTimePass()

    expect(afterDeath).toEqual({ received: COUNT, events: 0, numbers: 0 })
    await expect.poll(outcome, { timeout: 60_000 * LONGER, interval: 500 }).toEqual(complete(COUNT))
  })

  it('after it finished, before it heard so: nothing is done twice', async () => {
    await fillQueue(COUNT)
    const held = await holding('public.events')
    await ring()
    await expect.poll(held.waiting, { timeout: 20_000 }).toBeGreaterThan(0)
    await stack.functions.kill()
    await held.letGo()
    await stack.functions.ready()

    await letTimePass()

    await expect.poll(outcome, { timeout: 60_000 * LONGER, interval: 500 }).toEqual(complete(COUNT))
  })
})

describe('Postgres is restarted', () => {
  it('while webhooks come: the door says later, and each is there once', async () => {
    let restarting: Promise<void> | undefined
    let isBack = false
    let takenSince = 0

    const again = await deliverAll(COUNT, (done) => {
      if (done === 50) restarting = stack.postgres.restart().then(() => void (isBack = true))
      if (isBack) takenSince++
    })
    await restarting
    await letTimePass()

    console.log(`${COUNT} webhooks, ${again} had to be sent again`)
    expect(takenSince).toBeGreaterThan(0) // it was down in the middle of them
    expect(refusals.filter((status) => status !== 503)).toEqual([])
    await expect.poll(outcome, { timeout: 60_000 * LONGER, interval: 500 }).toEqual(complete(COUNT))
  })
})
