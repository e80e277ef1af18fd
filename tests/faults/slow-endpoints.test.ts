// Endpoints that are slow, silent or many: who is delivered to meanwhile, and by how many workers and calls.
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { storeWorkerSecrets } from '../../scripts/stack/worker-secrets.ts'
import { createPinnedCaller } from '../../supabase/functions/_shared/http/pinned-call.ts'
import {
  dataApiDatabase,
  type Database,
} from '../../supabase/functions/_shared/platform/database.ts'
import {
  DELIVERY_OPTIONS,
  type DeliveryOptions,
  runDeliveryWorker,
} from '../../supabase/functions/_shared/webhooks/deliver.ts'
import { generateSecret } from '../../supabase/functions/_shared/webhooks/generate-keys.ts'
import { type FaultStack, startFaultStack } from '../support/fault-stack.ts'
import { startWebhookReceiver, type WebhookReceiver } from '../support/webhook-receiver.ts'

const faulty: FaultStack = await startFaultStack({ functions: false })
const { admin, service, stack } = faulty
const db = dataApiDatabase(service)
const { call } = createPinnedCaller({ allowPrivateNetworks: true })

let receiver: WebhookReceiver
beforeEach(async () => {
  receiver = await startWebhookReceiver()
  await admin`delete from public.organizations`
  await admin`select private.clear_orphaned_deliveries()`
  return () => receiver.stop()
})

/** A worker in this process that leaves soon after its work. */
function work(options: Partial<DeliveryOptions> = {}, database: Database = db): Promise<number> {
  return runDeliveryWorker(faulty.outside({ db: database }), call, {
    ...DELIVERY_OPTIONS,
    lingerMs: 300,
    ...options,
  })
}

async function createEndpoint(
  path: string,
  options: Record<string, unknown> = {},
  organizationId: string = randomUUID(),
) {
  await admin`
    insert into public.organizations (id, name) values (${organizationId}, 'Receivers') on conflict do nothing`
  const { data, error } = await service.rpc('create_webhook_endpoint', {
    p_organization_id: organizationId,
    p_url: receiver.url + path,
    p_options: { event_types: ['booking.created'], ...options },
    p_signing_secret: generateSecret(),
  })
  if (error) throw new Error(error.message, { cause: error })
  return { id: data.id as string, organizationId }
}

const emit = (organizationId: string, count = 1, subject: string | null = null) =>
  admin`
    insert into public.events (organization_id, type, subject, data, origin)
    select ${organizationId}, 'booking.created', ${subject}, '{}', 'app' from generate_series(1, ${count})`

async function countQueued(): Promise<number> {
  const [row] = await admin`select count(*)::int as count from private.webhook_queue`
  return row?.count
}

/** Lets the calls to a path hang until it is called. */
function hold(path: string): () => void {
  const { promise, resolve } = Promise.withResolvers<void>()
  receiver.answer(path, async (_webhook, response) => {
    await promise
    response.writeHead(204).end()
  })
  return resolve
}

describe('endpoints that do not answer', () => {
  it.each([
    ['one with a hundred calls', 1, 100, 100],
    ['thirty with ten calls each', 30, 10, DELIVERY_OPTIONS.slots.slowAtOnce],
  ])(
    '%s: another endpoint gets its events meanwhile',
    async (_name, count, max_concurrency, hanging) => {
      const release = []
      for (let number = 0; number < count; number++) {
        const path = `/slow-${number}`
        const slow = await createEndpoint(path, { max_concurrency })
        release.push(hold(path))
        await emit(slow.organizationId, 2 * max_concurrency)
      }
      const fast = await createEndpoint('/fast')
      const working = work({ slots: { ...DELIVERY_OPTIONS.slots, slowAfterMs: 200 } })
      await vi.waitFor(() => expect(receiver.underWay).toBeGreaterThanOrEqual(hanging), {
        timeout: 15_000,
      })
      const latencies: number[] = []

      for (let number = 1; number <= 50; number++) {
        const emittedAt = Date.now()
        await emit(fast.organizationId)
        await vi.waitFor(() => expect(receiver.at('/fast')).toHaveLength(number), {
          interval: 1,
          timeout: 10_000,
        })
        latencies.push(Date.now() - emittedAt)
      }

      expect(receiver.underWay).toBeGreaterThanOrEqual(hanging) // all the time
      latencies.sort((one, other) => one - other)
      console.log(
        `beside ${receiver.underWay} hanging calls: p50 ${latencies[25]} ms, worst ${
          latencies[49]
        } ms`,
      )
      for (const letGo of release) letGo()
      await working
      expect(await countQueued()).toBe(0)
      expect(receiver.received).toHaveLength(2 * count * max_concurrency + 50)
    },
    60_000,
  )

  it('are given up at the time limit, also where a byte comes now and then', async () => {
    const silent = await createEndpoint('/silent')
    hold('/silent')
    const trickling = await createEndpoint('/trickling')
    receiver.answer('/trickling', (_webhook, response) => {
      const text = 'HTTP/1.1 200 OK\r\nx-slow: '
      let sent = 0
      const timer = setInterval(() => response.socket?.write(text[sent++] ?? 'x'), 20)
      response.once('close', () => clearInterval(timer))
    })
    await emit(silent.organizationId)
    await emit(trickling.organizationId)

    await work({ timeoutMs: 700 })

    const attempts =
      await admin`select outcome, error, latency_ms from public.webhook_attempts where endpoint_id in (${silent.id}, ${trickling.id})`
    expect(attempts).toHaveLength(2)
    for (const { latency_ms, ...attempt } of attempts) {
      expect(attempt).toEqual({
        outcome: 'failed',
        error: { code: 'timed_out', message: 'The endpoint did not answer within 0.7 s.' },
      })
      expect(latency_ms).toBeGreaterThanOrEqual(690)
    }
  })

  it('hold nothing that has not begun: it is given back, and no attempt is counted', async () => {
    const slow = await createEndpoint('/slow', { max_concurrency: 1 })
    receiver.answer('/slow', (_webhook, response) => {
      setTimeout(() => response.writeHead(204).end(), 600)
    })
    await emit(slow.organizationId, 3)

    await work({ beginWithinMs: 200 })

    expect(receiver.received).toHaveLength(3)
    const deliveries =
      await admin`select status, attempt_count from public.webhook_deliveries where endpoint_id = ${slow.id}`
    expect(deliveries).toEqual(Array(3).fill({ status: 'succeeded', attempt_count: 1 }))
    const attempts =
      await admin`select attempt_number, outcome from public.webhook_attempts where endpoint_id = ${slow.id}`
    expect(attempts).toEqual(Array(3).fill({ attempt_number: 1, outcome: 'succeeded' }))
  })
})

describe('the work of a worker', () => {
  it('takes one call of the database for two events at most, when they come together', async () => {
    const endpoint = await createEndpoint('/hook')
    let calls = 0
    const counting: Database = {
      call: (name, args) => {
        calls++
        return db.call(name, args)
      },
      end: () => Promise.resolve(),
    }
    await emit(endpoint.organizationId, 500)

    await work({}, counting)

    expect(receiver.received).toHaveLength(500)
    console.log(`${calls} database calls for 500 events`)
    expect(calls).toBeLessThanOrEqual(500 / 2)
  })

  it('that cannot read where to send is given back, and no attempt is counted', async () => {
    const endpoint = await createEndpoint('/hook')
    const forgetful: Database = {
      call: (name, args) =>
        name === 'open_webhook_endpoints'
          ? Promise.reject(new Error('Vault is away'))
          : db.call(name, args),
      end: () => Promise.resolve(),
    }
    await emit(endpoint.organizationId, 3)

    await expect(work({}, forgetful)).rejects.toThrow('Vault is away')
    const waiting = await admin`
      select attempt_count, lease_token, run_at <= now() as is_due from private.webhook_queue where endpoint_id = ${endpoint.id}`
    await work()

    expect(waiting).toEqual(Array(3).fill({ attempt_count: 0, lease_token: null, is_due: true }))
    const attempts = await admin`
      select attempt_number, outcome from public.webhook_attempts where endpoint_id = ${endpoint.id}`
    expect(attempts).toEqual(Array(3).fill({ attempt_number: 1, outcome: 'succeeded' }))
  })

  it('ends with its share, after it has rung for the next one, which goes on', async () => {
    const endpoint = await createEndpoint('/hook')
    await emit(endpoint.organizationId, 500)
    await admin`update private.worker_wakes set rung_at = null`

    await work({ share: { wallMs: 100_000, cpuMs: 40 } })

    const left = await countQueued()
    const [doorbell] = await admin`
      select rung_at is not null as rung from private.worker_wakes where worker = 'webhook-deliver'`
    expect(left).toBeGreaterThan(0)
    expect(await admin`select from private.webhook_queue where lease_token is not null`).toEqual([])
    expect(doorbell).toEqual({ rung: true })
    await work()
    expect(new Set(receiver.received.map(({ id }) => id)).size).toBe(500)
    expect(receiver.received).toHaveLength(500)
  })
})

/**
 * Whoever rings for a worker gets one of this process, the first with so much CPU time and those after it with so much,
 * until the test has ended; answers those that came so far.
 */
async function workWhenRung(
  firstCpuMs: number,
  { cpuMs = firstCpuMs, lingerMs = DELIVERY_OPTIONS.lingerMs } = {},
): Promise<Promise<number>[]> {
  const workers: Promise<number>[] = []
  const first = { ...DELIVERY_OPTIONS.share, cpuMs: firstCpuMs }
  const later = { ...DELIVERY_OPTIONS.share, cpuMs }
  const door = createServer((request, response) => {
    if (request.url === '/webhook-deliver/work') {
      workers.push(work({ share: workers.length === 0 ? first : later, lingerMs }))
    }
    response.end()
  })
  await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve))
  const { port } = door.address() as AddressInfo
  await storeWorkerSecrets(stack.dbUrl, { plugboard_functions_url: `http://127.0.0.1:${port}` })
  await admin`update private.worker_wakes set rung_at = null, awake_until = null`
  onTestFinished(async () => {
    await storeWorkerSecrets(stack.dbUrl, { plugboard_functions_url: stack.functionsUrl })
    door.close()
    door.closeAllConnections()
    first.cpuMs = later.cpuMs = 0 // whoever is up leaves
    await Promise.all(workers)
  })
  return workers
}

describe('workers whose shares end while their calls hang', () => {
  it('are each followed by another: who answers gets its events without a pause', async () => {
    const { organizationId } = await createEndpoint('/good')
    await createEndpoint('/silent', { max_concurrency: 100 }, organizationId)
    hold('/silent')
    await createEndpoint('/slow', { max_concurrency: 100 }, organizationId)
    receiver.answer('/slow', (_webhook, response) => {
      setTimeout(() => response.writeHead(204).end(), 3_000) // longer than a share lasts
    })
    const workers = await workWhenRung(40)
    const emittedAt: number[] = []

    // more than may be up at once
    while (workers.length < 7 && emittedAt.length < 200) {
      emittedAt.push(Date.now())
      await emit(organizationId)
      await sleep(100)
    }
    await vi.waitFor(() => expect(receiver.at('/good')).toHaveLength(emittedAt.length), {
      timeout: 10_000,
    })

    const events = await admin`
      select id from public.events
      where organization_id = ${organizationId} and type = 'booking.created' order by position`
    const arrivedAt = new Map(receiver.at('/good').map(({ id, at }) => [id, at]))
    const latencies = events.map(({ id }, index) => arrivedAt.get(id)! - emittedAt[index]!)
    const worst = Math.max(...latencies)
    const [row] = await admin`
      select count(distinct lease_token)::int as waiting from private.webhook_queue`
    console.log(
      `${workers.length} workers, ${row?.waiting} with calls under way: worst of ${latencies.length} ${worst} ms`,
    )
    expect(row?.waiting).toBeGreaterThanOrEqual(5) // as many as may be up at once
    expect(worst).toBeLessThan(3_000)
  })

  it.each([
    ['a retry', { retry_pauses_s: [1] }, 500, false],
    ['a retry, while another call goes on to hang', { retry_pauses_s: [1] }, 500, true],
    ['what waits for a free place at the endpoint', { max_concurrency: 1 }, 204, false],
    ['the next event of the subject', { ordered_by_subject: true }, 204, false],
  ])(
    'leave nothing that is due to the minute’s job when the next one had nothing to do and left: %s',
    async (_name, options, status, besideOneThatHangs) => {
      const { organizationId, id } = await createEndpoint('/hook', options)
      if (besideOneThatHangs) {
        await createEndpoint('/silent', {}, organizationId)
        hold('/silent')
      }
      const { promise: released, resolve: release } = Promise.withResolvers<void>()
      receiver.answer('/hook', async (_webhook, response, earlier) => {
        if (earlier === 0) await released
        response.writeHead(earlier === 0 ? status : 204).end()
      })
      const workers = await workWhenRung(4, { cpuMs: 1_500, lingerMs: 1_500 })

      await emit(organizationId, 2, 'booking/1')
      await vi.waitFor(() => expect(workers).toHaveLength(2), { timeout: 10_000 })
      await workers[1] // it left
      expect(receiver.underWay).toBe(besideOneThatHangs ? 3 : 1)
      release()

      await vi.waitFor(async () =>
        expect(
          await admin`
            select status from public.webhook_deliveries where endpoint_id = ${id}`,
        ).toEqual(Array(2).fill({ status: 'succeeded' })), { timeout: 10_000 })
    },
  )
})

describe('a worker that is about to leave', () => {
  it('stays for a retry that another left due soon after it had looked', async () => {
    const lingerMs = 2_000
    const endpoint = await createEndpoint('/hook')
    let hasLooked = false
    const leaving: Database = {
      async call(name, args) {
        if (args['p_awake_ms'] === 0 && !hasLooked) {
          hasLooked = true
          await emit(endpoint.organizationId)
          await admin`update private.webhook_queue set run_at = now() + interval '1.8 seconds'`
        }
        return await db.call(name, args)
      },
      end: () => Promise.resolve(),
    }

    await work({ lingerMs }, leaving)

    expect(receiver.received).toHaveLength(1)
  })
})

describe('several workers', () => {
  it('send each event once, and together no more calls at once than an endpoint takes', async () => {
    const most = new Map<string, number>()
    const atOnce = new Map<string, number>()
    for (let number = 0; number < 5; number++) {
      const path = `/hook-${number}`
      const endpoint = await createEndpoint(path, { max_concurrency: 4 })
      receiver.answer(path, async (_webhook, response) => {
        atOnce.set(path, (atOnce.get(path) ?? 0) + 1)
        most.set(path, Math.max(most.get(path) ?? 0, atOnce.get(path)!))
        await new Promise((resolve) => setTimeout(resolve, 5))
        atOnce.set(path, atOnce.get(path)! - 1)
        response.writeHead(204).end()
      })
      await emit(endpoint.organizationId, 100)
    }

    await Promise.all([work(), work(), work(), work()])

    expect(await countQueued()).toBe(0)
    expect(receiver.received).toHaveLength(500)
    expect(new Set(receiver.received.map(({ id }) => id)).size).toBe(500)
    expect([...most.values()].every((count) => count <= 4)).toBe(true)
  })
})
