// Work on webhooks that came in: who gets them, what becomes of them, and what one that failed does next.
import { randomUUID } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import { registerAppInstance } from '../support/app-instances.ts'
import { refusal, useDatabase } from '../support/database.ts'
import { createIntegration, sampleFeed } from '../support/integrations.ts'
import { createTeam } from '../support/people.ts'
import { product } from '../support/sync-runs.ts'
import {
  claimWebhooks,
  emptyWebhookQueue,
  finishWebhooks,
  passWebhookWaits,
  receiveAppEvent,
  receiveWebhook,
} from '../support/webhook-events.ts'

const database = useDatabase()
const { owner, call } = database
beforeEach(() => emptyWebhookQueue(database))

const statusesOf = async (integrationId: string) =>
  (await owner`
    select status, error ->> 'code' as code from public.webhook_events
    where integration_id = ${integrationId} order by received_at`).map(({ status, code }) => ({
    status,
    code,
  }))

/** What a worker says of a webhook that is about no record. */
const told = (webhook_event_id: string, integration_id: string) => ({
  webhook_event_id,
  integration_id,
  connector: 'sample-store',
  type: 'note.added',
})

const failure = { code: 'provider_unavailable', message: 'away', next: 'retry' }

/** Claims what is due and answers the lease and the first webhook. */
async function claimOne() {
  const lease = randomUUID()
  const { events } = await claimWebhooks(database, lease)
  return { lease, id: events[0]?.id ?? '', events }
}

describe('claiming', () => {
  it('hands out what came with all that is needed to read it', async () => {
    const { id } = await createIntegration(database)
    await receiveWebhook(database, { integrationId: id, body: '{"a":1}', type: 'product.updated' })

    const { events, integrations } = await claimWebhooks(database)

    expect(events).toMatchObject([{
      integration_id: id,
      type: 'product.updated',
      headers: { 'content-type': 'application/json' },
      attempt_count: 1,
    }])
    expect(Buffer.from(events[0]!.body, 'base64').toString()).toBe('{"a":1}')
    expect(integrations).toMatchObject([{ id, streams: ['products'], state: null }])
  })

  it('hands each out once, to eight workers at the same time', async () => {
    const { id } = await createIntegration(database)
    for (let number = 0; number < 40; number++) {
      await receiveWebhook(database, { integrationId: id })
    }

    const claims = await Promise.all(
      Array.from({ length: 8 }, () => claimWebhooks(database, randomUUID(), 5)),
    )

    const ids = claims.flatMap(({ events }) => events.map((event) => event.id))
    expect(ids).toHaveLength(40)
    expect(new Set(ids).size).toBe(40)
  })

  it('whose answer was lost is answered again for the same lease', async () => {
    const { id } = await createIntegration(database)
    await receiveWebhook(database, { integrationId: id })
    const lease = randomUUID()

    const first = await claimWebhooks(database, lease)
    const again = await claimWebhooks(database, lease)
    const other = await claimWebhooks(database)

    expect(again.events).toEqual(first.events)
    expect(other.events).toEqual([])
  })

  it('takes what a dead worker held ten at a time, then alone, since one of them may have killed it', async () => {
    const { id } = await createIntegration(database)
    for (let number = 0; number < 12; number++) {
      await receiveWebhook(database, { integrationId: id })
    }
    const claims: number[] = []
    const claim = async () => claims.push((await claimWebhooks(database)).events.length)

    await claim()
    await passWebhookWaits(database)
    await claim()
    await claim()
    await passWebhookWaits(database)
    await claim()

    expect(claims).toEqual([12, 10, 2, 1])
  })

  it('gives up one that six workers died of, and leaves the others', async () => {
    const { id } = await createIntegration(database)
    await receiveWebhook(database, { integrationId: id, key: 'poison' })
    for (let death = 0; death < 6; death++) {
      await claimWebhooks(database)
      await passWebhookWaits(database)
    }
    const after = await claimWebhooks(database)
    await receiveWebhook(database, { integrationId: id, key: 'sound' })
    const next = await claimWebhooks(database)

    expect([after.events.length, next.events.length]).toEqual([0, 1])
    expect(await statusesOf(id)).toEqual([
      { status: 'failed', code: 'worker_died' },
      { status: 'received', code: null },
    ])
  })

  it('passes over a paused integration until it is resumed', async () => {
    const { id } = await createIntegration(database)
    const other = await createIntegration(database)
    await call('service_role', 'update_integration', { p_integration_id: id, p_paused: true })
    await receiveWebhook(database, { integrationId: id })
    await receiveWebhook(database, { integrationId: other.id })

    const paused = await claimWebhooks(database)
    await call('service_role', 'update_integration', { p_integration_id: id, p_paused: false })
    const resumed = await claimWebhooks(database)

    expect(paused.events.map((event) => event.integration_id)).toEqual([other.id])
    expect(resumed.events.map((event) => event.integration_id)).toEqual([id])
  })

  it('names no integration that was disconnected since, and streams that are read by hand only neither', async () => {
    const gone = await createIntegration(database)
    const manual = await createIntegration(database)
    await receiveWebhook(database, { integrationId: gone.id })
    await receiveWebhook(database, { integrationId: manual.id })
    await call('service_role', 'disconnect_integration', { p_integration_id: gone.id })
    await owner`update public.sync_streams set enabled = false where integration_id = ${manual.id}`

    const { events, integrations } = await claimWebhooks(database)

    expect(events).toHaveLength(2)
    expect(integrations).toMatchObject([{ id: manual.id, streams: [] }])
  })

  it('finds all organizations that a webhook of our app is about, but the paused', async () => {
    const accounts = [randomUUID(), randomUUID()]
    const [one, two] = [
      await createIntegration(database, { account: accounts[0]!, signedIn: true }),
      await createIntegration(database, { account: accounts[1]!, signedIn: true }),
    ]
    const paused = await createIntegration(database, { account: accounts[1]!, signedIn: true })
    await createIntegration(database, {
      account: accounts[0]!,
      connector: sampleFeed,
      signedIn: true,
    })
    await call('service_role', 'update_integration', {
      p_integration_id: paused.id,
      p_paused: true,
    })
    await receiveWebhook(database, { accounts })

    const { integrations } = await claimWebhooks(database)

    expect(integrations.map(({ id }) => id).sort()).toEqual([one.id, two.id].sort())
  })
})

describe('a worker that leaves', () => {
  const isRung = async () =>
    (await owner`
      select rung_at is not null as rung from private.worker_wakes where worker = 'webhook-receive'`)[
      0
    ]?.rung
  const claim = (awakeMs: number) =>
    call('service_role', 'claim_webhook_events', {
      p_lease_token: randomUUID(),
      p_awake_ms: awakeMs,
    })

  it('says so, and the next webhook rings; while it looks by itself, none does', async () => {
    const { id } = await createIntegration(database)
    await owner`update private.worker_wakes set rung_at = null, awake_until = null`

    await claim(60_000)
    await receiveWebhook(database, { integrationId: id })
    const whileAwake = await isRung()
    await claim(0)
    await receiveWebhook(database, { integrationId: id })

    expect([whileAwake, await isRung()]).toEqual([false, true])
  })
})

describe('finishing', () => {
  it('writes records, events and the status in one transaction', async () => {
    const { id, organization_id } = await createIntegration(database)
    await receiveWebhook(database, { integrationId: id })
    const claimed = await claimOne()

    await finishWebhooks(database, claimed.lease, [{
      id: claimed.id,
      status: 'processed',
      writes: [{
        integration_id: id,
        stream: 'products',
        records: [product('p1')],
        deletions: [],
        refused: [],
      }],
      emitted: [{
        organization_id,
        subject: `integration/${id}`,
        data: told(claimed.id, id),
      }],
    }])

    expect(await statusesOf(id)).toEqual([{ status: 'processed', code: null }])
    expect(await owner`select source_id from public.products where integration_id = ${id}`).toEqual(
      [
        { source_id: 'p1' },
      ],
    )
    expect(
      await owner`
      select subject, data from public.events where organization_id = ${organization_id} and type = 'webhook.received'`,
    )
      .toEqual([{ subject: `integration/${id}`, data: told(claimed.id, id) }])
    expect((await claimWebhooks(database)).events).toEqual([])
  })

  it('twice, because the first answer was lost, does it once', async () => {
    const { id, organization_id } = await createIntegration(database)
    await receiveWebhook(database, { integrationId: id })
    const claimed = await claimOne()
    const outcomes = [{
      id: claimed.id,
      status: 'processed',
      emitted: [{ organization_id, subject: `integration/${id}`, data: told(claimed.id, id) }],
    }]

    await finishWebhooks(database, claimed.lease, outcomes)
    await finishWebhooks(database, claimed.lease, outcomes)

    expect(
      await owner`
      select 1 from public.events where organization_id = ${organization_id} and type = 'webhook.received'`,
    )
      .toHaveLength(1)
  })

  it('by a worker that was overtaken changes nothing', async () => {
    const { id, organization_id } = await createIntegration(database)
    await receiveWebhook(database, { integrationId: id })
    const slow = await claimOne()
    await passWebhookWaits(database)
    await claimOne()

    await finishWebhooks(database, slow.lease, [{
      id: slow.id,
      status: 'processed',
      emitted: [{ organization_id, subject: `integration/${id}`, data: told(slow.id, id) }],
    }])

    expect(await statusesOf(id)).toEqual([{ status: 'received', code: null }])
    expect(
      await owner`
      select 1 from public.events where organization_id = ${organization_id} and type = 'webhook.received'`,
    )
      .toEqual([])
  })

  it('with a record that the table does not take leaves nothing half-written', async () => {
    const { id, organization_id } = await createIntegration(database)
    await receiveWebhook(database, { integrationId: id })
    const claimed = await claimOne()

    const finishing = finishWebhooks(database, claimed.lease, [{
      id: claimed.id,
      status: 'processed',
      writes: [{
        integration_id: id,
        stream: 'products',
        records: [product('good'), { ...product('bad'), source_updated_at: 'soon' }],
        deletions: [],
        refused: [],
      }],
      emitted: [{ organization_id, subject: `integration/${id}`, data: told(claimed.id, id) }],
    }])

    await expect(finishing).rejects.toMatchObject({ code: expect.stringMatching(/^22/) })
    expect(await statusesOf(id)).toEqual([{ status: 'received', code: null }])
    expect(await owner`select 1 from public.products where integration_id = ${id}`).toEqual([])
  })

  it('asks for one run of a stream, however many webhooks want it, behind one that is under way', async () => {
    const { id } = await createIntegration(database)
    await owner`
      update public.sync_streams set cursor = '{}', last_full_sync_at = now() where integration_id = ${id}`
    const running = await call<{ id: string }>('service_role', 'start_sync', {
      p_integration_id: id,
      p_stream: 'products',
      p_sync_type: 'scheduled',
    })
    await call('service_role', 'claim_sync_run', {
      p_sync_log_id: running.id,
      p_lease_token: randomUUID(),
    })
    for (const key of ['1', '2']) await receiveWebhook(database, { integrationId: id, key })
    const { lease, events } = await claimOne()

    await finishWebhooks(
      database,
      lease,
      events.map((event) => ({
        id: event.id,
        status: 'processed',
        syncs: [{ integration_id: id, stream: 'products' }],
      })),
    )

    expect(
      await owner`
      select sync_type, mode, status from public.sync_logs where integration_id = ${id} order by created_at`,
    )
      .toEqual([
        { sync_type: 'scheduled', mode: 'incremental', status: 'running' },
        { sync_type: 'webhook', mode: 'incremental', status: 'queued' },
      ])
  })

  it('does without a sync of an account that cannot be used just now', async () => {
    const { id } = await createIntegration(database)
    await receiveWebhook(database, { integrationId: id })
    const claimed = await claimOne()
    await owner`update public.integrations set status = 'needs_reconnect' where id = ${id}`

    await finishWebhooks(database, claimed.lease, [{
      id: claimed.id,
      status: 'processed',
      syncs: [{ integration_id: id, stream: 'products' }],
    }])

    expect(await statusesOf(id)).toEqual([{ status: 'processed', code: null }])
  })

  it('moves where a drain ended, unless another worker has moved it', async () => {
    const { id } = await createIntegration(database)
    await call('service_role', 'set_webhook_secret', { p_integration_id: id, p_secret: 'drained' })
    const stateOf = async () =>
      (await owner`select state from private.webhook_receivers where integration_id = ${id}`)[0]
        ?.state
    const version = (await owner`
      select version from private.webhook_receivers where integration_id = ${id}`)[0]?.version
    const drain = async (before: unknown, after: unknown) => {
      await receiveWebhook(database, { integrationId: id, version })
      const claimed = await claimOne()
      await finishWebhooks(database, claimed.lease, [{
        id: claimed.id,
        status: 'processed',
        state: { integration_id: id, before, after },
      }])
      return await stateOf()
    }

    const first = await drain(null, { cursor: 5 })
    const second = await drain({ cursor: 5 }, { cursor: 9 })
    const late = await drain({ cursor: 5 }, { cursor: 7 })

    expect([first, second, late]).toEqual([{ cursor: 5 }, { cursor: 9 }, { cursor: 9 }])
  })

  it('has an account checked at once that may have let our app go, and no other', async () => {
    const [left, other] = [await createIntegration(database), await createIntegration(database)]
    await owner`
      update public.integrations set last_checked_at = now() where id in ${
      owner([left.id, other.id])
    }`
    await receiveWebhook(database, { integrationId: left.id })
    const claimed = await claimOne()

    await finishWebhooks(database, claimed.lease, [
      { id: claimed.id, status: 'processed', checks: [left.id] },
    ])

    const due = await call<string[]>('service_role', 'claim_due_checks', { p_limit: 1000 })
    expect([due.includes(left.id), due.includes(other.id)]).toEqual([true, false])
  })

  it('with more to read gives it back at once, as often as it takes', async () => {
    const { id } = await createIntegration(database)
    await receiveWebhook(database, { integrationId: id })

    for (let page = 0; page < 10; page++) {
      const claimed = await claimOne()
      await finishWebhooks(database, claimed.lease, [{ id: claimed.id, again: true }])
    }

    expect((await claimWebhooks(database)).events).toMatchObject([{ attempt_count: 1 }])
  })
})

describe('a webhook that fails', () => {
  it('is tried again after 3 s, 1 min, 10 min, 1 h and 6 h, and then waits for a person', async () => {
    const { id } = await createIntegration(database)
    await receiveWebhook(database, { integrationId: id })
    const pauses: (number | null)[] = []

    for (let attempt = 0; attempt < 6; attempt++) {
      const claimed = await claimOne()
      await finishWebhooks(database, claimed.lease, [{ id: claimed.id, error: failure }])
      const [row] = await owner`
        select extract(epoch from run_at - clock_timestamp())::float8 as pause
        from private.webhook_event_keys where receiver = ${id}`
      pauses.push(row?.pause)
      await passWebhookWaits(database)
    }

    expect(pauses.at(-1)).toBeNull()
    for (const [index, least] of [3, 60, 600, 3_600, 21_600].entries()) {
      expect(pauses[index]).toBeGreaterThan(least - 1)
      expect(pauses[index]).toBeLessThanOrEqual(least * 1.25)
    }
    expect(await statusesOf(id)).toEqual([{ status: 'failed', code: 'provider_unavailable' }])
  })

  it('is tried no sooner than the platform asks', async () => {
    const { id } = await createIntegration(database)
    await receiveWebhook(database, { integrationId: id })
    const claimed = await claimOne()

    await finishWebhooks(database, claimed.lease, [
      { id: claimed.id, error: failure, retry_after_ms: 120_000 },
    ])

    const [row] = await owner`
      select extract(epoch from run_at - clock_timestamp())::float8 as pause
      from private.webhook_event_keys where receiver = ${id}`
    expect(row?.pause).toBeGreaterThan(118)
    expect(await statusesOf(id)).toEqual([{ status: 'received', code: 'provider_unavailable' }])
  })

  it('for good is not tried again', async () => {
    const { id } = await createIntegration(database)
    await receiveWebhook(database, { integrationId: id })
    const claimed = await claimOne()

    await finishWebhooks(database, claimed.lease, [{
      id: claimed.id,
      is_final: true,
      error: { code: 'invalid_record', message: 'no', next: 'developer' },
    }])
    await passWebhookWaits(database)

    expect(await statusesOf(id)).toEqual([{ status: 'failed', code: 'invalid_record' }])
    expect((await claimWebhooks(database)).events).toEqual([])
  })
})

describe('a replay', () => {
  const replay = (args: Record<string, unknown>) =>
    call<{ replayed: number; next: string | null }>('service_role', 'replay_webhook_events', args)

  /** One of each: failed, processed, and still waiting. */
  async function someWebhooks() {
    const { id } = await createIntegration(database)
    for (const key of ['failed', 'processed', 'waiting']) {
      await receiveWebhook(database, { integrationId: id, key })
    }
    const ids = (await owner`
      select id from public.webhook_events where integration_id = ${id} order by received_at`).map((
      row,
    ) => row.id)
    const lease = randomUUID()
    await claimWebhooks(database, lease, 2)
    await finishWebhooks(database, lease, [
      { id: ids[0], is_final: true, error: failure },
      { id: ids[1], status: 'processed' },
    ])
    return { id, ids }
  }

  it('takes those that failed when nothing else is said', async () => {
    const { id, ids } = await someWebhooks()
    await owner`update private.webhook_event_keys set run_at = null where receiver = ${id}`

    const answer = await replay({ p_integration_id: id })

    expect(answer).toEqual({ replayed: 1, next: null })
    const { events } = await claimWebhooks(database)
    expect(events).toMatchObject([{ id: ids[0], attempt_count: 1 }])
  })

  it('takes those that are named, whatever became of them, and none of another integration', async () => {
    const { id, ids } = await someWebhooks()
    const other = await createIntegration(database)

    const theirs = await replay({ p_integration_id: other.id, p_ids: ids })
    const ours = await replay({ p_integration_id: id, p_ids: [ids[1]] })

    expect([theirs.replayed, ours.replayed]).toEqual([0, 1])
  })

  it('takes those of a span of time', async () => {
    const { id, ids } = await someWebhooks()
    const hourAgo = new Date(Date.now() - 3_600_000)
    await owner`update public.webhook_events set received_at = ${hourAgo} where id = ${ids[0]}`
    await owner`
      update private.webhook_event_keys set received_at = ${hourAgo} where webhook_event_id = ${
      ids[0]
    }`
    const between = new Date(Date.now() - 1_800_000).toISOString()

    const statuses = ['failed', 'processed', 'received']
    const before = await replay({ p_integration_id: id, p_statuses: statuses, p_to: between })
    const after = await replay({ p_integration_id: id, p_statuses: statuses, p_from: between })

    expect([before.replayed, after.replayed]).toEqual([1, 2])
  })

  it('leaves alone what a worker has in its hands', async () => {
    const { id, ids } = await someWebhooks()
    await claimWebhooks(database)

    expect((await replay({ p_integration_id: id, p_ids: [ids[2]] })).replayed).toBe(0)
  })

  it('goes on where it ended, so that it comes to the end of however many', async () => {
    const { id, ids } = await someWebhooks()
    const of = { p_integration_id: id, p_statuses: ['failed', 'processed', 'received'], p_limit: 2 }

    const first = await replay(of)
    const second = await replay({ ...of, p_after: first.next })

    expect([first, second]).toEqual([
      { replayed: 2, next: ids[1] },
      { replayed: 1, next: null },
    ])
  })

  it('takes those of our app about several accounts, which are no integration’s', async () => {
    const accounts = [randomUUID(), randomUUID()]
    const { id, connector } = await createIntegration(database, {
      account: accounts[0]!,
      signedIn: true,
    })
    await receiveWebhook(database, { accounts })
    const claimed = await claimOne()
    await finishWebhooks(database, claimed.lease, [{
      id: claimed.id,
      is_final: true,
      error: failure,
    }])

    const byIntegration = await replay({ p_integration_id: id, p_ids: [claimed.id] })
    const byConnector = await replay({
      p_connector: connector,
      p_ids: [claimed.id],
    })

    expect([byIntegration.replayed, byConnector.replayed]).toEqual([0, 1])
    expect((await claimWebhooks(database)).events).toMatchObject([{ id: claimed.id }])
  })

  it('takes what a business app sent, of that app alone, and the activity log says who asked', async () => {
    const team = await createTeam(database)
    const instances = [
      await registerAppInstance(database, team.organizationId),
      await registerAppInstance(database, team.organizationId),
    ] as const
    for (const instance of instances) await receiveAppEvent(database, instance)
    const lease = randomUUID()
    const { events } = await claimWebhooks(database, lease)
    await finishWebhooks(
      database,
      lease,
      events.map(({ id }) => ({ id, is_final: true, error: failure })),
    )

    const answer = await replay({
      p_app_instance_id: instances[0].id,
      p_actor_id: team.manager.id,
    })

    expect(answer).toEqual({ replayed: 1, next: null })
    expect((await claimWebhooks(database)).events).toMatchObject([
      { app_instance_id: instances[0].id, attempt_count: 1 },
    ])
    expect(
      await owner`
      select subject_type, subject_id, actor_id, detail from public.activity_logs
      where organization_id = ${team.organizationId} and action = 'webhook_events.replayed'`,
    ).toEqual([{
      subject_type: 'app_instance',
      subject_id: instances[0].id,
      actor_id: team.manager.id,
      detail: { app: 'booking', name: 'Bookings', count: 1 },
    }])
  })

  it('of nobody that is known, or of two at once, is refused', async () => {
    const { id } = await createIntegration(database)
    const refusals = [
      [{ p_integration_id: randomUUID() }, 'integration_not_found'],
      [{ p_app_instance_id: randomUUID() }, 'app_instance_not_found'],
      [{ p_integration_id: id, p_app_instance_id: randomUUID() }, 'invalid_request'],
      [{ p_integration_id: id, p_connector: 'hubspot' }, 'invalid_request'],
      [{}, 'invalid_request'],
    ] as const

    for (const [sender, code] of refusals) {
      await expect(replay(sender)).rejects.toMatchObject(refusal(code))
    }
    expect(await replay({ p_integration_id: id })).toEqual({ replayed: 0, next: null })
  })
})

describe('webhooks that are read to be verified again', () => {
  it('come as many as one answer carries, and none of another sender', async () => {
    const { id } = await createIntegration(database)
    const other = await createIntegration(database)
    for (let number = 0; number < 5; number++) {
      await receiveWebhook(database, { integrationId: id, body: 'x'.repeat(900_000) })
    }
    const ids = (await owner`select id from public.webhook_events where integration_id = ${id}`)
      .map((row) => row.id)
    const read = (p_integration_id: string, p_ids: string[]) =>
      call<{ id: string }[]>('service_role', 'read_webhook_events', { p_integration_id, p_ids })

    const first = (await read(id, ids)).map((row) => row.id)
    const second = (await read(id, ids.filter((id) => !first.includes(id)))).map((row) => row.id)

    expect([first.length, second.length]).toEqual([4, 1])
    expect(new Set([...first, ...second])).toEqual(new Set(ids))
    expect(await read(other.id, ids)).toEqual([])
  })
})
