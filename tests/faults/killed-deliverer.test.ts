// kill -9 of the function server while it delivers, and Postgres restarts: nothing is lost, and what comes twice was
// under way and has the same webhook-id.
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { generateSecret } from '../../supabase/functions/_shared/webhooks/generate-keys.ts'
import { answering as answeringDatabase } from '../support/answering.ts'
import { type DeliveryGate, installDeliveryGate } from '../support/delivery-gate.ts'
import { type FaultStack, startFaultStack } from '../support/fault-stack.ts'
import { emitEvents } from '../support/webhook-endpoints.ts'
import { startWebhookReceiver, type WebhookReceiver } from '../support/webhook-receiver.ts'

/** More take longer and prove the same; docs/reliability.md says how to ask for them. */
const EVENTS = Number(process.env['PLUGBOARD_TEST_EVENTS'] ?? 1_000)
vi.setConfig({ testTimeout: 120_000 * Math.max(1, EVENTS / 2_000) })
/** The fault comes when so many have been received. */
const MIDDLE = 300
/** Calls that the endpoint takes at once, and its deliveries that may be claimed and not finished at any moment. */
const AT_ONCE = 50
const MOST_LEASED = 2 * AT_ONCE

const faulty: FaultStack = await startFaultStack()
const { admin, service, stack } = faulty
let gate: DeliveryGate
let receiver: WebhookReceiver
let organizationId: string
beforeAll(async () => {
  gate = await installDeliveryGate(stack.adminDbUrl)
})
beforeEach(async () => {
  receiver = await startWebhookReceiver()
  const [organization] = await admin`
    insert into public.organizations (name) values ('Receivers') returning id`
  organizationId = organization?.id
  const { error } = await service.rpc('create_webhook_endpoint', {
    p_organization_id: organizationId,
    p_url: `${receiver.url}/hook`,
    p_options: { event_types: ['booking.created'], max_concurrency: AT_ONCE },
    p_signing_secret: generateSecret(),
  })
  if (error) throw new Error(error.message, { cause: error })
  return () => receiver.stop()
})

const inTheMiddle = () =>
  vi.waitFor(() => {
    if (receiver.received.length < MIDDLE) throw new Error(`${receiver.received.length} received`)
  }, { timeout: 30_000, interval: 2 })

/** Deliveries that somebody has claimed and not finished, as Postgres knows it. */
async function countLeased(): Promise<number> {
  const [row] = await admin`
    select count(*)::int as count from private.webhook_queue where lease_token is not null`
  return row?.count
}

/** As a minute of silence would: the leases of the dead run out, and the schedule rings. */
async function letLeasesEnd(): Promise<void> {
  await admin`
    with moved as (
      update private.webhook_queue
      set leased_at = leased_at - interval '61 seconds', run_at = run_at - interval '61 seconds'
      where lease_token is not null
      returning attempt_id
    )
    update public.webhook_attempts set created_at = created_at - interval '61 seconds'
    where id in (select attempt_id from moved)`
  await admin`update private.worker_wakes set rung_at = null, awake_until = null`
  await stack.cron.run('ring-for-due-deliveries')
}

/**
 * Resolves when the queue is empty. Whenever nothing moves any more, a minute passes: later than a living worker
 * tells Postgres again what Postgres did not hear.
 */
async function drained(): Promise<void> {
  let [seen, since] = [-1, Date.now()]
  await vi.waitFor(async () => {
    const [row] = await admin`select count(*)::int as count from private.webhook_queue`
    if (row?.count === 0) return
    if (row?.count !== seen || receiver.underWay > 0) [seen, since] = [row?.count, Date.now()]
    if (Date.now() - since > 15_000) {
      since = Date.now()
      await letLeasesEnd()
    }
    throw new Error(`${row?.count} are left`)
  }, { timeout: 90_000 * Math.max(1, EVENTS / 2_000), interval: 50 })
}

/** The promise after every fault. */
async function expectAllDelivered(fault: string, underWay: number): Promise<void> {
  await drained()
  const [row] = await admin`
    select count(*) filter (where delivery.status = 'succeeded')::int as succeeded,
      (select count(*)::int from public.webhook_attempts as attempt
        where attempt.organization_id = ${organizationId} and attempt.outcome = 'unknown') as unknown,
      (select count(*)::int from public.webhook_attempts as attempt
        where attempt.organization_id = ${organizationId} and attempt.outcome is null) as unfinished
    from public.webhook_deliveries as delivery where delivery.organization_id = ${organizationId}`
  const ids = new Set(receiver.received.map(({ id }) => id))
  const events = await admin`
    select id from public.events where organization_id = ${organizationId} and type = 'booking.created'`
  const lost = events.filter(({ id }) => !ids.has(id)).length
  const twice = receiver.received.length - ids.size
  console.log(JSON.stringify({ fault, events: events.length, lost, twice, underWay, ...row }))

  expect({ lost, events: events.length }).toEqual({ lost: 0, events: EVENTS })
  expect(twice).toBeLessThanOrEqual(underWay)
  expect(row).toMatchObject({ succeeded: EVENTS, unfinished: 0 })
}

describe('without a fault', () => {
  it('each event is received once', async () => {
    await emitEvents(admin, organizationId, EVENTS)

    await expectAllDelivered('none', 0)
  })
})

describe('the worker is killed', () => {
  it.each(
    [
      ['before its claim is committed', 'claim', 'roll back'],
      ['after its claim and the attempts are written, before a call', 'claim', 'commit'],
      ['after the answers, before they are written', 'finish', 'roll back'],
      ['after the answers are written, before it hears of that', 'finish', 'commit'],
    ] as const,
  )('%s', async (name, commit, outcome) => {
    await emitEvents(admin, organizationId, EVENTS)
    await inTheMiddle()
    await gate.close(commit)
    await gate.reached()

    await stack.functions.kill()
    await gate.open(outcome)
    const underWay = await countLeased()
    await stack.functions.ready()
    await letLeasesEnd()

    await expectAllDelivered(`killed ${name}`, underWay)
  })

  it('during its calls', async () => {
    let isSilent = false
    receiver.answer('/hook', (_webhook, response, earlier) => {
      isSilent ||= earlier === MIDDLE
      if (!isSilent) response.writeHead(204).end()
    })
    await emitEvents(admin, organizationId, EVENTS)
    await vi.waitFor(() => expect(receiver.underWay).toBe(AT_ONCE), {
      timeout: 30_000,
      interval: 5,
    })

    await stack.functions.kill()
    isSilent = false
    receiver.answer('/hook', (_webhook, response) => response.writeHead(204).end())
    const underWay = await countLeased()
    await stack.functions.ready()
    await letLeasesEnd()

    await expectAllDelivered('killed during its calls', underWay)
  })

  it('again and again', async () => {
    let underWay = 0
    await emitEvents(admin, organizationId, EVENTS)
    for (let deaths = 1; deaths <= 4; deaths++) {
      await vi.waitFor(
        () => expect(receiver.received.length).toBeGreaterThan(deaths * 150),
        { timeout: 30_000, interval: 2 },
      )
      await stack.functions.kill()
      underWay += await countLeased()
      await stack.functions.ready()
      await letLeasesEnd()
    }

    await expectAllDelivered('killed four times', underWay)
  })
})

describe('Postgres restarts', () => {
  it.each(['fast', 'immediate'] as const)('%s', async (mode) => {
    await emitEvents(admin, organizationId, EVENTS)
    await inTheMiddle()

    await stack.postgres.restart(mode)
    await answeringDatabase(admin)

    await expectAllDelivered(`Postgres restarts (${mode})`, MOST_LEASED)
  })

  it.each(['fast', 'immediate'] as const)('%s while answers are being written', async (mode) => {
    await emitEvents(admin, organizationId, EVENTS)
    await inTheMiddle()
    await gate.close('finish')
    await gate.reached()
    expect(await countLeased()).toBeLessThanOrEqual(MOST_LEASED)

    await stack.postgres.restart(mode)
    await answeringDatabase(admin)
    await gate.open('commit')

    await expectAllDelivered(
      `Postgres restarts (${mode}) while answers are being written`,
      MOST_LEASED,
    )
  })
})
