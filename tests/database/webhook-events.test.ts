// Webhooks at the door of the database: taken in once, for whom they are, and kept from everybody else.
import { createHash, randomUUID } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import { refusal, useDatabase } from '../support/database.ts'
import { connectIntegration, createIntegration } from '../support/integrations.ts'
import { createTeam } from '../support/people.ts'
import {
  claimWebhooks,
  emptyWebhookQueue,
  receiveWebhook,
  receiveWebhooks,
} from '../support/webhook-events.ts'

const database = useDatabase()
const { admin, owner, call } = database
beforeEach(() => emptyWebhookQueue(database))

const eventsOf = (integrationId: string) =>
  owner`select * from public.webhook_events where integration_id = ${integrationId} order by received_at`

type Open = {
  version: string | null
  secrets: { secret: string }[]
  path_token_hash: string | null
}

const open = (integrationId: string) =>
  call<Open | null>('service_role', 'open_webhook_receiver', { p_integration_id: integrationId })

const setSecret = (integrationId: string, secret: string, overlapSeconds = 3600) =>
  call('service_role', 'set_webhook_secret', {
    p_integration_id: integrationId,
    p_secret: secret,
    p_overlap_seconds: overlapSeconds,
  })

describe('a webhook', () => {
  it('is kept as it was sent, and is due at once', async () => {
    const { id, organization_id } = await createIntegration(database)

    const received = await receiveWebhook(database, {
      integrationId: id,
      body: '\u{feff}{"a": 1}\r\n',
    })

    expect(received).toEqual({ accepted: true, duplicate: false })
    const [event] = await eventsOf(id)
    expect(event).toMatchObject({ organization_id, status: 'received', type: 'product.updated' })
    expect(event?.body.toString()).toBe('\u{feff}{"a": 1}\r\n')
    expect(
      await owner`
      select run_at <= clock_timestamp() as due from private.webhook_event_keys
      where webhook_event_id = ${event?.id}`,
    ).toEqual([{ due: true }])
  })

  it('that comes twenty times at once is taken in once', async () => {
    const { id } = await createIntegration(database)

    const received = await Promise.all(
      Array.from(
        { length: 20 },
        () => receiveWebhook(database, { integrationId: id, key: 'evt_1' }),
      ),
    )

    expect(received.filter(({ duplicate }) => !duplicate)).toEqual([{
      accepted: true,
      duplicate: false,
    }])
    expect(received.every(({ accepted }) => accepted)).toBe(true)
    expect(await eventsOf(id)).toHaveLength(1)
  })

  it('with the same number is another one at another door', async () => {
    const ours = await createIntegration(database)
    const theirs = await createIntegration(database)

    await receiveWebhook(database, { integrationId: ours.id, key: 'evt_1' })
    const other = await receiveWebhook(database, { integrationId: theirs.id, key: 'evt_1' })

    expect(other.duplicate).toBe(false)
  })

  it('of more than 1 MB is refused whole', async () => {
    const { id } = await createIntegration(database)

    const tooLarge = receiveWebhook(database, { integrationId: id, body: 'x'.repeat(1_000_001) })

    await expect(tooLarge).rejects.toMatchObject(refusal('body_too_large'))
    expect(
      (await receiveWebhook(database, { integrationId: id, body: 'x'.repeat(1_000_000) })).accepted,
    )
      .toBe(true)
    expect(await eventsOf(id)).toHaveLength(1)
  })

  it('rings for a worker, but not for one that is awake', async () => {
    const { id } = await createIntegration(database)
    const rings = async (wake: { rung_at: null; awake_until: Date | null }) => {
      await owner`
        update private.worker_wakes set rung_at = ${wake.rung_at}, awake_until = ${wake.awake_until}
        where worker = 'webhook-receive'`
      await receiveWebhook(database, { integrationId: id })
      const [{ rung }] = await owner<[{ rung: boolean }]>`
        select rung_at is not null as rung from private.worker_wakes where worker = 'webhook-receive'`
      return rung
    }

    const whenAwake = await rings({ rung_at: null, awake_until: new Date(Date.now() + 60_000) })
    const whenGone = await rings({ rung_at: null, awake_until: new Date(Date.now() - 1) })

    expect([whenAwake, whenGone]).toEqual([false, true])
  })

  it('goes with its organization', async () => {
    const team = await createTeam(database)
    const { id } = await connectIntegration(database, team.organizationId)
    await receiveWebhook(database, { integrationId: id })
    await setSecret(id, 'a secret that goes too')

    await database.call('service_role', 'disconnect_integration', { p_integration_id: id })
    await database.actAs(
      team.owner,
      (sql) => sql`delete from public.organizations where id = ${team.organizationId}`,
    )

    expect(await eventsOf(id)).toEqual([])
    expect(await owner`select 1 from private.webhook_event_keys where receiver = ${id}`).toEqual([])
    expect(
      await admin`
      select 1 from vault.decrypted_secrets where decrypted_secret = 'a secret that goes too'`,
    ).toEqual([])
  })
})

describe('webhooks that are stored together', () => {
  it('are kept as those that are stored alone, each at its own door', async () => {
    const ours = await createIntegration(database)
    const theirs = await createIntegration(database)
    await receiveWebhook(database, { integrationId: ours.id, body: '{"a":1}' })

    const accepted = await receiveWebhooks(database, [
      { integrationId: ours.id, body: '{"a":1}' },
      { integrationId: theirs.id, body: '\u{feff}{"b": 2}\r\n' },
    ])

    expect(accepted).toEqual([true, true])
    const likeOthers = ({ id: _, received_at, ...event }: Record<string, unknown>) => ({
      ...event,
      isNow: Date.now() - (received_at as Date).getTime() < 60_000,
    })
    const [alone, together] = await eventsOf(ours.id)
    expect(likeOthers(together!)).toEqual(likeOthers(alone!))
    const [other] = await eventsOf(theirs.id)
    expect(other).toMatchObject({ organization_id: theirs.organization_id, status: 'received' })
    expect(other?.body.toString()).toBe('\u{feff}{"b": 2}\r\n')
    expect((await claimWebhooks(database)).events.map(({ headers }) => headers)).toEqual(
      Array(3).fill({ 'content-type': 'application/json' }),
    )
  })

  it('are taken in once, also twice in one call and in calls at the same time', async () => {
    const { id } = await createIntegration(database)
    const keys = Array.from({ length: 10 }, (_, number) => `evt_${number}`)
    const webhooks = keys.map((key) => ({ integrationId: id, key }))

    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, round) =>
        receiveWebhooks(
          database,
          round % 2 === 0 ? [...webhooks, ...webhooks] : webhooks.toReversed(),
        )),
    )

    expect(answers.flat().every(Boolean)).toBe(true)
    expect(await eventsOf(id)).toHaveLength(10)
  })

  it('are refused each by itself: unknown, disconnected, verified with what was before', async () => {
    const { id } = await createIntegration(database)
    const gone = await createIntegration(database)
    await owner`update public.integrations set status = 'disconnected' where id = ${gone.id}`
    const changed = await createIntegration(database)
    await setSecret(changed.id, 'the first secret')
    const { version } = (await open(changed.id))!
    await setSecret(changed.id, 'the second secret')

    const accepted = await receiveWebhooks(database, [
      { integrationId: randomUUID() },
      { integrationId: gone.id },
      { integrationId: changed.id, version },
      { integrationId: changed.id, version: (await open(changed.id))!.version },
      { integrationId: id },
    ])

    expect(accepted).toEqual([false, false, false, true, true])
    expect(await eventsOf(gone.id)).toEqual([])
    expect(await eventsOf(changed.id)).toHaveLength(1)
  })

  it('are refused together where one has more than 1 MB', async () => {
    const { id } = await createIntegration(database)
    const both = (length: number) =>
      receiveWebhooks(database, [
        { integrationId: id },
        { integrationId: id, body: 'x'.repeat(length) },
      ])

    await expect(both(1_000_001)).rejects.toMatchObject(refusal('body_too_large'))
    expect(await eventsOf(id)).toEqual([])
    expect(await both(1_000_000)).toEqual([true, true])
  })

  it('ring for a worker, unless nothing new is among them or one is awake', async () => {
    const { id } = await createIntegration(database)
    const rings = async (key: string, awakeUntil: Date | null) => {
      await owner`
        update private.worker_wakes set rung_at = null, awake_until = ${awakeUntil}
        where worker = 'webhook-receive'`
      await receiveWebhooks(database, [{ integrationId: id, key }])
      const [{ rung }] = await owner<[{ rung: boolean }]>`
        select rung_at is not null as rung from private.worker_wakes where worker = 'webhook-receive'`
      return rung
    }

    const whenAwake = await rings('evt_1', new Date(Date.now() + 60_000))
    const whenGone = await rings('evt_2', new Date(Date.now() - 1))
    const whenKnown = await rings('evt_2', new Date(Date.now() - 1))

    expect([whenAwake, whenGone, whenKnown]).toEqual([false, true, false])
  })
})

describe('an integration that', () => {
  it.each(['disconnected', 'pending'])('is %s takes nothing; connected it does', async (status) => {
    const { id } = await createIntegration(database)
    await owner`update public.integrations set status = ${status} where id = ${id}`

    const refused = await receiveWebhook(database, { integrationId: id })
    const receiver = await open(id)
    await owner`update public.integrations set status = 'connected' where id = ${id}`
    const accepted = await receiveWebhook(database, { integrationId: id })

    expect([refused.accepted, receiver, accepted.accepted]).toEqual([false, null, true])
  })

  it('is unknown takes nothing', async () => {
    const { id } = await createIntegration(database)

    const refused = await receiveWebhook(database, { integrationId: randomUUID() })

    expect(refused).toEqual({ accepted: false, duplicate: false })
    expect((await receiveWebhook(database, { integrationId: id })).accepted).toBe(true)
  })

  it('is paused takes them in', async () => {
    const { id } = await createIntegration(database)
    await call('service_role', 'update_integration', { p_integration_id: id, p_paused: true })

    expect((await receiveWebhook(database, { integrationId: id })).accepted).toBe(true)
  })

  it('has other secrets by now takes nothing that was verified with the old ones', async () => {
    const { id } = await createIntegration(database)
    await setSecret(id, 'the first secret')
    const before = await open(id)
    await setSecret(id, 'the second secret')
    const after = await open(id)

    const withOld = await receiveWebhook(database, { integrationId: id, version: before!.version })
    const withNew = await receiveWebhook(database, { integrationId: id, version: after!.version })

    expect([withOld.accepted, withNew.accepted]).toEqual([false, true])
  })
})

describe('a webhook of our app', () => {
  it('about one account goes to every organization that has connected it', async () => {
    const account = randomUUID()
    const one = await createIntegration(database, { account, signedIn: true })
    const two = await createIntegration(database, { account, signedIn: true })
    const gone = await createIntegration(database, { account, signedIn: true })
    await call('service_role', 'disconnect_integration', { p_integration_id: gone.id })

    const first = await receiveWebhook(database, { accounts: [account], key: 'evt_1' })
    const second = await receiveWebhook(database, { accounts: [account], key: 'evt_1' })

    expect([first.duplicate, second.duplicate]).toEqual([false, true])
    expect(
      [await eventsOf(one.id), await eventsOf(two.id), await eventsOf(gone.id)].map((rows) =>
        rows.length
      ),
    )
      .toEqual([1, 1, 0])
  })

  it('about several accounts is one row, which no organization reads', async () => {
    const team = await createTeam(database)
    const [ours, theirs] = [randomUUID(), randomUUID()]
    await connectIntegration(database, team.organizationId, { account: ours, signedIn: true })
    await createIntegration(database, { account: theirs, signedIn: true })

    await receiveWebhook(database, { accounts: [ours, theirs], body: '["both"]' })

    const rows = await owner`select * from public.webhook_events where accounts @> ${[ours]}`
    expect(rows).toMatchObject([{
      organization_id: null,
      integration_id: null,
      accounts: [ours, theirs],
    }])
    const seen = await database.actAs(team.owner, (sql) =>
      sql`
      select id from public.webhook_events where id = ${rows[0]?.id}`)
    expect(seen).toEqual([])
  })

  it('is not for whoever connected the same account by other means than our app', async () => {
    const [account, other] = [randomUUID(), randomUUID()]
    const signedIn = await createIntegration(database, { account, signedIn: true })
    const byKey = await createIntegration(database, { account })
    const asTyped = await createIntegration(database, { account, signedIn: true })
    await owner`
      update public.integrations set account = '{"unproven": "true"}' where id = ${asTyped.id}`

    await receiveWebhook(database, { accounts: [account] })
    const kept = [await eventsOf(signedIn.id), await eventsOf(byKey.id), await eventsOf(asTyped.id)]
    await receiveWebhook(database, { accounts: [account, other] })
    const { integrations } = await claimWebhooks(database)

    expect(kept.map((rows) => rows.length)).toEqual([1, 0, 0])
    expect(integrations.map(({ id }) => id)).toEqual([signedIn.id])
  })

  it('about accounts that nobody has connected leaves nothing', async () => {
    const account = randomUUID()
    const other = await createIntegration(database, { connector: 'sample-feed' })
    await owner`update public.integrations set external_account_id = ${account} where id = ${other.id}`

    const received = await receiveWebhook(database, { accounts: [account, randomUUID()] })
    const alone = await receiveWebhook(database, { accounts: [account] })
    const nobody = await receiveWebhook(database, { accounts: [] })

    const nothing = { accepted: false, duplicate: false }
    expect([received, alone, nobody]).toEqual([nothing, nothing, nothing])
    expect(await owner`select 1 from public.webhook_events where accounts @> ${[account]}`).toEqual(
      [],
    )
  })
})

describe('a signing secret', () => {
  it('is in Vault alone, newest first, and the one before counts until its overlap ends', async () => {
    const { id } = await createIntegration(database)
    await setSecret(id, 'old secret')
    await setSecret(id, 'new secret', 3600)

    const during = await open(id)
    await owner`
      update private.webhook_receiver_secrets set expires_at = now() - interval '1 second'
      where integration_id = ${id} and expires_at is not null`
    const after = await open(id)

    expect(during!.secrets.map(({ secret }) => secret)).toEqual(['new secret', 'old secret'])
    expect(after!.secrets.map(({ secret }) => secret)).toEqual(['new secret'])
  })

  it('without overlap takes the place of the one before, which leaves Vault', async () => {
    const { id } = await createIntegration(database)
    await setSecret(id, 'a leaked secret')

    await setSecret(id, 'a fresh secret', 0)

    expect((await open(id))!.secrets.map(({ secret }) => secret)).toEqual(['a fresh secret'])
    expect(
      await admin`
      select 1 from vault.decrypted_secrets where decrypted_secret = 'a leaked secret'`,
    ).toEqual([])
  })

  it('that is set again changes nothing', async () => {
    const { id } = await createIntegration(database)
    await setSecret(id, 'the same secret')

    await setSecret(id, 'the same secret')

    expect((await open(id))!.secrets).toHaveLength(1)
  })

  it('goes with the connection', async () => {
    const { id } = await createIntegration(database)
    await setSecret(id, 'forgotten secret')

    await call('service_role', 'disconnect_integration', { p_integration_id: id })

    expect(
      await admin`
      select 1 from vault.decrypted_secrets where decrypted_secret = 'forgotten secret'`,
    ).toEqual([])
    await expect(setSecret(id, 'too late')).rejects.toMatchObject(
      refusal('integration_disconnected'),
    )
  })

  it('leaves a line in the activity log that does not tell it', async () => {
    const team = await createTeam(database)
    const { id } = await connectIntegration(database, team.organizationId)

    await call('service_role', 'set_webhook_secret', {
      p_integration_id: id,
      p_secret: 'nobody reads this',
      p_actor_id: team.manager.id,
    })

    const [line] = await owner`
      select actor_id, detail from public.activity_logs
      where organization_id = ${team.organizationId} and action = 'integration.webhook_secret_set'`
    expect(line).toMatchObject({ actor_id: team.manager.id })
    expect(JSON.stringify(line)).not.toContain('nobody reads this')
  })
})

describe("an address's token", () => {
  it('is known by its hash, and the next one takes its place', async () => {
    const { id } = await createIntegration(database)
    const hash = (token: string) => createHash('sha256').update(token).digest('hex')
    const set = (token: string) =>
      call('service_role', 'set_webhook_path_token', {
        p_integration_id: id,
        p_token_hash: hash(token),
      })

    await set('first')
    const first = await open(id)
    await set('second')
    const second = await open(id)

    expect([first!.path_token_hash, second!.path_token_hash]).toEqual([
      hash('first'),
      hash('second'),
    ])
    expect(second!.version).not.toBe(first!.version)
  })
})

describe('retention', () => {
  /** Keys of webhooks that are long gone, as a busy receiver leaves them. */
  const keepOldKeys = (receiver: string, count: number) =>
    owner`
      insert into private.webhook_event_keys
        (receiver, dedupe_key, webhook_event_id, received_at, headers, proof, body_bytes, run_at)
      select ${receiver}, number, gen_random_uuid(), now() - interval '32 days' + number * interval '1 ms', '{}', '{}', 0, null
      from generate_series(1, ${count}) as number`
  const forgetKeys = async (within = '30 seconds', part = 20_000): Promise<number> => {
    const [row] = await owner`
      select private.forget_webhook_event_keys(${within}::interval, ${part}) as count`
    return row?.count
  }

  it('forgets in one go whatever a busy receiver has left, and not what is kept', async () => {
    const { id } = await createIntegration(database)
    await receiveWebhook(database, { integrationId: id, key: 'kept' })
    await keepOldKeys(id, 45_000)

    expect(await forgetKeys()).toBe(45_000)
    expect(await owner`select dedupe_key from private.webhook_event_keys where receiver = ${id}`)
      .toEqual([{ dedupe_key: 'kept' }])
  })

  it('ends after the part in which its time is over, and goes on with the next one', async () => {
    const { id } = await createIntegration(database)
    await keepOldKeys(id, 50)

    expect([await forgetKeys('0 seconds', 20), await forgetKeys('1 minute', 20)]).toEqual([20, 30])
  })

  it('drops days of webhooks whole, and the keys of what is gone', async () => {
    const { id } = await createIntegration(database)
    await receiveWebhook(database, { integrationId: id, key: 'kept' })
    await receiveWebhook(database, { integrationId: id, key: 'old' })
    await owner`
      update private.webhook_event_keys set received_at = now() - interval '32 days'
      where receiver = ${id} and dedupe_key = 'old'`

    await forgetKeys()
    await owner`select private.maintain_partitions('public.webhook_events', 'day', 7, '30 days')`

    expect(
      await owner`
      select dedupe_key from private.webhook_event_keys where receiver = ${id}`,
    ).toEqual([
      { dedupe_key: 'kept' },
    ])
    const [ahead] = await owner`
      select count(*)::int as days from pg_inherits where inhparent = 'public.webhook_events'::regclass`
    expect(ahead?.days).toBeGreaterThanOrEqual(8)
  })
})
