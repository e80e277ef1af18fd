// Endpoints that hang, break off, answer byte by byte or with 10 MB, or redirect, on a share of their calls: each gets every
// event, and twice only what it had not said yes to.
import { createHmac } from 'node:crypto'
import process from 'node:process'
import { expect, it, vi } from 'vitest'
import { peakMemoryMb, resetPeakMemory } from '../../scripts/bench/process-usage.ts'
import { readKeys, verifyBytesWith } from '../../supabase/functions/_shared/webhooks/verify.ts'
import { startFaultStack } from '../support/fault-stack.ts'
import { type Fault, faultyEndpoints } from '../support/faulty-answers.ts'
import { createEndpoint, emitEvents } from '../support/webhook-endpoints.ts'
import { type ReceivedWebhook, startWebhookReceiver } from '../support/webhook-receiver.ts'

/** For each endpoint. Those that hang take 20 s in any case; docs/reliability.md says how to ask for more events. */
const EVENTS = Number(process.env['PLUGBOARD_TEST_EVENTS'] ?? 2_000)
const LONGER = Math.max(1, EVENTS / 2_000)
vi.setConfig({ testTimeout: 120_000 * LONGER })

const { admin, stack, outside } = await startFaultStack()
const { db } = outside()
const receiver = await startWebhookReceiver()
const elsewhere = await startWebhookReceiver()
const seesMemory = process.platform === 'linux'

/** Registers an endpoint with these faults; answers what came of it so far. */
async function open(name: string, faults: Fault[], organizationId: string) {
  const path = `/${name.replaceAll(' ', '-')}`
  const endpoint = await createEndpoint(
    { owner: admin, call: (_actor, name, args = {}) => db.call(name, args) },
    receiver.url + path,
    {
      organizationId,
      event_types: ['booking.created'],
      max_concurrency: 100,
      retry_pauses_s: [1, 1, 1],
    },
  )
  const seen = new Set<string>()
  const accepted: string[] = []
  const refused: string[] = []
  const failures: Record<string, number> = {}
  receiver.answer(path, ({ id, body }, response) => {
    const fault = seen.has(id)
      ? undefined
      : faults.find(({ meets }) => meets(JSON.parse(body.toString()).data.number))
    seen.add(id)
    if (fault?.error) {
      refused.push(id)
      const wasUsed = (response.socket?.bytesWritten ?? 0) > 0
      if (!fault.isRepeated || !wasUsed) {
        const { code, message } = fault.error
        const why = `${code}: ${message}`
        failures[why] = (failures[why] ?? 0) + 1
      }
    } else accepted.push(id)
    if (fault) fault.answer(response)
    else response.writeHead(204).end()
  })
  return { name, path, endpoint, accepted, refused, failures }
}

/** Resolves when the queue is empty. */
const drained = () =>
  vi.waitFor(async () => {
    const [row] = await admin`select count(*)::int as count from private.webhook_queue`
    if (row?.count > 0) throw new Error(`${row?.count} are left`)
  }, { timeout: 100_000 * LONGER, interval: 100 })

async function countSigned(webhooks: ReceivedWebhook[], secret: string): Promise<number> {
  const hmac = (key: Uint8Array, content: Uint8Array) =>
    createHmac('sha256', key).update(content).digest('base64')
  const keys = readKeys(secret)
  const verified = await Promise.allSettled(
    webhooks.map((webhook) => verifyBytesWith(hmac, webhook, keys, { now: () => webhook.at })),
  )
  return verified.filter(({ status }) => status === 'fulfilled').length
}

/** What the log of its deliveries says. */
async function logOf(endpointId: string) {
  const deliveries = await admin`
    select status, count(*)::int as count, sum(attempt_count)::int as attempts
    from public.webhook_deliveries where endpoint_id = ${endpointId} group by status`
  const attempts = await admin`
    select outcome, error ->> 'code' as code, error ->> 'message' as message, count(*)::int as count,
      max(octet_length(response_body)) as most_kept
    from public.webhook_attempts where endpoint_id = ${endpointId} group by 1, 2, 3`
  const failed = attempts.filter(({ outcome }) => outcome !== 'succeeded')
  return {
    deliveries: [...deliveries],
    succeeded: attempts.find(({ outcome }) => outcome === 'succeeded')?.count,
    failures: Object.fromEntries(
      failed.map(({ code, message, count }) => [`${code}: ${message}`, count]),
    ),
    mostKept: Math.max(...attempts.map(({ most_kept }) => most_kept ?? 0)),
  }
}

const sum = (counts: Record<string, number>) => Object.values(counts).reduce((a, b) => a + b, 0)

it('five endpoints with a fault each get every event, once where the fault did not meet it', async () => {
  const [organization] = await admin`
    insert into public.organizations (name) values ('Receivers') returning id`
  const endpoints = []
  for (const [name, faults] of Object.entries(faultyEndpoints(EVENTS, `${elsewhere.url}/hook`))) {
    endpoints.push(await open(name, faults, organization?.id))
  }
  const pid = stack.functions.pid()
  if (seesMemory) resetPeakMemory(pid)
  const memoryBefore = seesMemory ? peakMemoryMb(pid) : 0
  const startedAt = Date.now()

  await emitEvents(admin, organization?.id, EVENTS)
  await drained()

  const seconds = Math.round((Date.now() - startedAt) / 1000)
  const memoryMb = seesMemory ? Math.round(peakMemoryMb(pid) - memoryBefore) : 0
  console.log(JSON.stringify({ seconds, memoryMb }))
  const events = (await admin`select id from public.events where type = 'booking.created'`)
    .map(({ id }) => id as string).sort()
  expect(events).toHaveLength(EVENTS)
  for (const { name, path, endpoint, accepted, refused, failures } of endpoints) {
    const received = receiver.at(path)
    const ids = received.map(({ id }) => id)
    const twice = ids.sort().filter((id, index) => ids[index - 1] === id)
    const log = await logOf(endpoint.id)
    const lost = EVENTS - new Set(accepted).size
    console.log(
      JSON.stringify({ name, lost, twice: twice.length, refused: refused.length, ...log }),
    )

    expect(await countSigned(received, endpoint.secret)).toBe(received.length)
    expect(accepted.sort()).toEqual(events) // each is said yes to once
    expect(twice).toEqual(refused.sort()) // the first time it was not
    expect(log.deliveries).toEqual([
      { status: 'succeeded', count: EVENTS, attempts: EVENTS + sum(failures) },
    ])
    expect(log.succeeded).toBe(EVENTS)
    expect(log.failures).toEqual(failures)
    expect(log.mostKept).toBeLessThanOrEqual(16_384)
  }
  expect(memoryMb).toBeLessThan(200)
  expect(elsewhere.received).toEqual([])
  await fetch(elsewhere.url)
  expect(elsewhere.received).toHaveLength(1) // it would have been seen
  await Promise.all([receiver.stop(), elsewhere.stop()])
})
