// The queue of webhook subscriptions: who may look at an integration's now, and what a stale worker can still do.
import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { refusal, undone, useDatabase } from '../support/database.ts'
import { connectIntegration, type IntegrationRow, keepGrant } from '../support/integrations.ts'
import { createOrganization, createPerson } from '../support/people.ts'

type Claimed = {
  integration_id: string
  lease_token: string
  has_secret: boolean
  subscriptions: { name: string; status: string; external_id: string | null }[]
}

const database = useDatabase()
const { owner, admin, call } = database
const CONNECTOR = 'subscribed-store'

let organizationId: string
beforeAll(async () => {
  await owner`
    insert into public.connectors (
      slug, name, description, category, docs_url, auth_types, settings_schema, credentials_schema, streams, capabilities
    )
    values (
      ${CONNECTOR}, ${CONNECTOR}, 'For tests.', 'pos', 'https://example.com', '{api_key}', '{}', '{}', '[]',
      '{webhooks,webhook_subscriptions}'
    )
    on conflict do nothing`
  organizationId = await createOrganization(database, await createPerson(database))
})

/** An integration that is the only one due. */
async function connected(connector = CONNECTOR, account = randomUUID()): Promise<IntegrationRow> {
  await owner`update private.webhook_subscription_runs set run_at = 'infinity'`
  return await connectIntegration(database, organizationId, { connector, account })
}

const claim = () => call<Claimed[]>('service_role', 'claim_webhook_subscriptions')
const claimOf = (id: string) =>
  call<Claimed | { is_held: true } | null>('service_role', 'claim_webhook_subscriptions_of', {
    p_integration_id: id,
  })

async function claimed(id: string): Promise<Claimed> {
  const [mine] = await claim()
  expect(mine?.integration_id).toBe(id)
  return mine!
}

const change = (
  name: string,
  { integration_id, lease_token }: Claimed,
  more: Record<string, unknown> = {},
) =>
  call('service_role', name, {
    p_integration_id: integration_id,
    p_lease_token: lease_token,
    ...more,
  })

const save = (held: Claimed, external_id: string, secret: string | null = null) =>
  change('save_webhook_subscription', held, {
    p_name: 'events',
    p_subscription: { external_id, spec_hash: 'hash' },
    p_secret: secret,
  })

const finish = (held: Claimed, more: Record<string, unknown> = {}) =>
  change('finish_webhook_subscriptions', held, more)

const minutesTo = async (id: string) =>
  (await owner`
    select round(extract(epoch from run_at - now()) / 60)::int as minutes
    from private.webhook_subscription_runs where integration_id = ${id}`)[0]?.minutes

const update = (id: string, change: Record<string, unknown>) =>
  call('service_role', 'update_integration', { p_integration_id: id, ...change })

describe('an integration', () => {
  it('is due when it is connected, and nobody gets it twice', async () => {
    const { id } = await connected()

    const claims = await Promise.all(Array.from({ length: 10 }, claim))

    expect(claims.flat().map(({ integration_id }) => integration_id)).toEqual([id])
  })

  it('whose platform cannot be subscribed to is never due', async () => {
    const { id } = await connected('sample-store')

    expect(await claim()).toEqual([])
    expect(await minutesTo(id)).toBeUndefined()
  })

  it('is due again in an hour, and at once when its settings, its choice or its credentials change', async () => {
    const { id } = await connected()
    const changes = [
      { p_settings: { store: 'another' } },
      { p_webhooks: true },
      { p_credentials: { api_key: randomUUID() } },
    ]

    await finish(await claimed(id))
    expect(await minutesTo(id)).toBe(60)
    for (const change of changes) {
      await update(id, change)
      await finish(await claimed(id))
    }
    await update(id, { p_name: 'Another name' })

    expect(await claim()).toEqual([])
  })

  it('that changes while a worker looks is looked at again', async () => {
    const { id } = await connected()
    const held = await claimed(id)

    await update(id, { p_webhooks: true })
    expect(await claim()).toEqual([])
    await finish(held)

    expect(await claim()).toMatchObject([{ integration_id: id }])
  })

  it('is left alone while it is paused, and due when it is resumed', async () => {
    const { id } = await connected()
    await update(id, { p_paused: true })

    expect(await claim()).toEqual([])
    await update(id, { p_paused: false })

    expect(await claim()).toMatchObject([{ integration_id: id }])
  })

  it('is nobody’s any more once it is disconnected', async () => {
    const { id } = await connected()
    const held = await claimed(id)
    await save(held, 'one')

    await call('service_role', 'disconnect_integration', { p_integration_id: id })

    await expect(save(held, 'two')).rejects.toMatchObject(refusal('integration_disconnected'))
    expect(await owner`select from public.webhook_subscriptions where integration_id = ${id}`)
      .toHaveLength(0)
    expect(await claimOf(id)).toBeNull()
  })
})

describe('kept credentials', () => {
  const disconnect = (id: string, p_keep_credentials = true) =>
    call<IntegrationRow>('service_role', 'disconnect_integration', {
      p_integration_id: id,
      p_keep_credentials,
    })
  const end = (held: Claimed) => change('end_webhook_subscriptions', held, { p_unsubscribed: true })

  /** Disconnected with one subscription left, and due. */
  async function left() {
    const integration = await connected()
    const held = await claimed(integration.id)
    await save(held, 'one')
    await finish(held)
    await disconnect(integration.id)
    return integration
  }

  it('let a worker end what is left, and begin nothing', async () => {
    const { id } = await left()
    const held = await claimed(id)
    expect(held.subscriptions).toMatchObject([{ external_id: 'one' }])

    await expect(change('begin_webhook_subscription', held, { p_name: 'more' })).rejects
      .toMatchObject(refusal('integration_disconnected'))
    await expect(save(held, 'two', randomUUID())).rejects.toMatchObject(
      refusal('integration_disconnected'),
    )
    await end(held)

    expect(await owner`select from private.integration_credentials where integration_id = ${id}`)
      .toHaveLength(0)
    expect(await claimOf(id)).toBeNull()
  })

  it('are kept with a note of what is left, to which a failure adds nothing', async () => {
    const { id } = await left()
    const failures = ['events', 'more'].map((name) => ({
      name,
      error: { code: 'provider_unavailable', message: 'Down.', next: 'retry' },
    }))

    const names = async (held: Claimed) => {
      await finish(held, { p_failures: failures })
      await owner`
        update private.webhook_subscription_runs set run_at = now() - interval '1 second' where integration_id = ${id}`
      const next = await claimed(id)
      return { next, names: next.subscriptions.map(({ name }) => name) }
    }
    const failed = await names(await claimed(id))
    await change('forget_webhook_subscription', failed.next, { p_name: 'events' })
    const forgotten = await names(failed.next)

    expect([failed.names, forgotten.names]).toEqual([['events'], []])
  })

  it('are not deleted by a worker that was overtaken', async () => {
    const { id } = await left()
    const stale = await claimed(id)
    await owner`
      update private.webhook_subscription_runs set run_at = now() - interval '1 second' where integration_id = ${id}`
    const fresh = await claimed(id)

    await expect(end(stale)).rejects.toMatchObject(refusal('lease_lost'))
    await expect(end(fresh)).resolves.not.toThrow()
  })

  it('leave the lease to whoever has it, so that nobody subscribes anew meanwhile', async () => {
    const account = randomUUID()
    const { id } = await connected(CONNECTOR, account)
    const held = await claimed(id)
    await save(held, 'one')
    await disconnect(id)
    await connectIntegration(database, organizationId, {
      connector: CONNECTOR,
      account,
    })

    expect(await claim()).toEqual([])
    await end(held) // nothing of the account that is connected again
    expect(await owner`select from private.integration_credentials where integration_id = ${id}`)
      .toHaveLength(1)
    expect(await claimed(id)).toMatchObject({ subscriptions: [{ external_id: 'one' }] })
  })

  it('are revoked no more once the owner has signed in again', async () => {
    const account = randomUUID()
    const { id } = await connected(CONNECTOR, account)
    await keepGrant(database, id)
    await disconnect(id)
    const { credentials_id } = await call<{ credentials_id: string }>(
      'service_role',
      'open_integration',
      { p_integration_id: id, p_to_unsubscribe: true },
    )
    const tokens = () =>
      call('service_role', 'begin_grant_revocation', {
        p_integration_id: id,
        p_credentials_id: credentials_id,
      })
    expect(await tokens()).not.toBeNull()

    await connectIntegration(database, organizationId, {
      connector: CONNECTOR,
      account,
      signedIn: true,
    })

    expect(await tokens()).toBeNull()
  })

  it('are only kept where there are any', async () => {
    const { id } = await connected()
    await disconnect(id, false)

    expect(await disconnect(id)).toMatchObject({ credentials_kept_until: null })
  })

  it('wake the worker by schedule when a try is due', async () => {
    const { id } = await left()
    const isRung = (minutes: number) =>
      undone(owner, async (sql) => {
        await sql`update public.integrations set last_checked_at = now()`
        await sql`update private.app_subscription_runs set run_at = 'infinity'`
        await sql`
          update private.webhook_subscription_runs set run_at = now() + make_interval(mins => ${minutes})
          where integration_id = ${id}`
        await sql`delete from private.wakes_at_commit`
        await sql`select private.look_after_integrations()`
        return (await sql`select worker from private.wakes_at_commit`).map(({ worker }) => worker)
      })

    expect([await isRung(5), await isRung(-5)]).toEqual([[], ['integrations']])
  })
})

describe('a lease', () => {
  it('that ended goes to the next worker, and whoever had it changes nothing more', async () => {
    const { id } = await connected()
    const stale = await claimed(id)
    await save(stale, 'one')
    await owner`
      update private.webhook_subscription_runs set run_at = now() - interval '1 second' where integration_id = ${id}`

    const fresh = await claimed(id)

    const begin = (held: Claimed) =>
      change('begin_webhook_subscription', held, { p_name: 'events' })
    const forget = (held: Claimed) =>
      change('forget_webhook_subscription', held, { p_name: 'events' })
    for (const stalely of [begin, (held: Claimed) => save(held, 'two'), forget, finish]) {
      await expect(stalely(stale)).rejects.toMatchObject(refusal('lease_lost'))
    }
    expect(fresh.subscriptions).toMatchObject([{ name: 'events', external_id: 'one' }])
    await begin(fresh)
    await save(fresh, 'two')
    await forget(fresh)
    await finish(fresh)
  })

  it('of one integration is had by whoever disconnects, unless a worker is at it', async () => {
    const { id } = await connected()
    const held = await claimed(id)
    await save(held, 'one')

    expect(await claimOf(id)).toEqual({ is_held: true })
    await finish(held)

    expect(await claimOf(id)).toMatchObject({ integration_id: id })
  })
})

describe('a secret that came with a subscription', () => {
  const secretsOf = async (id: string) =>
    (await admin`
      select secret.decrypted_secret as secret from private.webhook_receiver_secrets as held
      join vault.decrypted_secrets as secret on secret.id = held.secret_id
      where held.integration_id = ${id} order by held.created_at desc`).map(({ secret }) => secret)

  it('counts on beside one that a manager gives, and the other way round', async () => {
    const { id } = await connected()
    const held = await claimed(id)
    const [shown, theirs, shownLater, theirsLater] = Array.from({ length: 4 }, () => randomUUID())
    const set = (secret: string | undefined) =>
      call('service_role', 'set_webhook_secret', { p_integration_id: id, p_secret: secret })

    await save(held, 'one', shown)
    await set(theirs)
    await save(held, 'two', shownLater)
    await set(theirsLater)

    const endless = await admin`
      select secret.decrypted_secret as secret, held.expires_at is null as endless
      from private.webhook_receiver_secrets as held
      join vault.decrypted_secrets as secret on secret.id = held.secret_id
      where held.integration_id = ${id} order by held.created_at`
    expect(endless).toEqual([
      { secret: shown, endless: false },
      { secret: theirs, endless: false },
      { secret: shownLater, endless: true },
      { secret: theirsLater, endless: true },
    ])
  })

  it('is the receiver’s newest, once, however often it is saved', async () => {
    const { id } = await connected()
    const held = await claimed(id)
    const secret = randomUUID()

    await save(held, 'one', secret)
    await save(held, 'one', secret)

    expect(await secretsOf(id)).toEqual([secret])
  })

  it('is not one of its managers’, and ends with the subscription; theirs stays', async () => {
    const { id } = await connected()
    const ours = randomUUID()
    const theirs = randomUUID()
    const held = await claimed(id)
    await save(held, 'one', ours)
    await finish(held)
    await owner`update private.webhook_subscription_runs set run_at = now() where integration_id = ${id}`
    const before = await claimed(id)
    await finish(before)

    await call('service_role', 'set_webhook_secret', { p_integration_id: id, p_secret: theirs })
    const after = await claimed(id)
    await change('forget_webhook_subscription', after, { p_name: 'events' })

    expect([before.has_secret, after.has_secret]).toEqual([false, true])
    expect(await secretsOf(id)).toEqual([theirs])
  })
})

describe('a failure', () => {
  const failure = (code: string, next: string) => ({
    p_failures: [{ name: 'events', error: { code, message: 'In words.', next } }],
  })

  it('is tried again after growing pauses, or after what the platform asks for', async () => {
    const { id } = await connected()
    const pauses = []

    for (const p_pause_ms of [0, 0, 3_600_000]) {
      await finish(await claimed(id), { ...failure('provider_unavailable', 'retry'), p_pause_ms })
      pauses.push(await minutesTo(id))
      await owner`update private.webhook_subscription_runs set run_at = now() where integration_id = ${id}`
    }

    expect(pauses).toEqual([1, 5, 60])
  })

  it('that only the owner can mend waits a day', async () => {
    const { id } = await connected()

    await finish(await claimed(id), failure('provider_forbidden', 'owner'))

    expect(await minutesTo(id)).toBe(1440)
    expect(
      await owner`select status, error ->> 'message' as why from public.webhook_subscriptions
      where integration_id = ${id}`,
    ).toEqual([{ status: 'failed', why: 'In words.' }])
  })
})
