// Does a platform stop to send when an account is disconnected, and do its credentials go, whatever the platform answers?
import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { disconnectIntegration } from '../../supabase/functions/_shared/integrations/disconnect-integration.ts'
import { type Clock, systemClock } from '../../supabase/functions/_shared/platform/clock.ts'
import { useFunctions } from '../support/functions.ts'
import { keepGrant } from '../support/integrations.ts'
import { createTeam, type Team } from '../support/people.ts'
import { stripeAccount, subscribedAccount } from '../support/subscribed-account.ts'
import { useSubscribingEngine } from '../support/subscriptions.ts'

const functions = useFunctions()
const { database } = functions
const { owner, admin } = database
const engine = useSubscribingEngine(database)
const { connect, look, outside, rows } = engine

const hexId = () => randomUUID().replaceAll('-', '')

let team: Team
beforeAll(async () => {
  team = await createTeam(database)
})

const subscribed = () =>
  subscribedAccount(engine, team.organizationId, { apiKey: `rk_test_${hexId()}` })
type Subscribed = Awaited<ReturnType<typeof subscribed>>

/** Nobody waits between the tries of one call. */
const impatient: Clock = { ...systemClock, sleep: () => Promise.resolve() }

const goDown = ({ simulator }: Pick<Subscribed, 'simulator'>) =>
  simulator.control.setFault({ kind: 'status', status: 500, times: null })

/** What calls before came to is forgotten. */
async function comeBack({ simulator }: Pick<Subscribed, 'simulator'>) {
  simulator.control.clear()
  await owner`delete from private.request_budgets`
}

const disconnect = ({ id, platform }: Pick<Subscribed, 'id' | 'platform'>, more = {}) =>
  disconnectIntegration(
    outside(platform, { clock: impatient }),
    { integration_id: id, ...more },
    team.manager.id,
  )

const lookAgain = ({ id, platform }: Pick<Subscribed, 'id' | 'platform'>) =>
  look(id, outside(platform, { clock: impatient }))

/** Subscribed, and disconnected while the platform was down. */
async function left() {
  const account = await subscribed()
  goDown(account)
  await disconnect(account)
  return account
}

/** The same account, connected again. */
async function connectAgain({ id, platform }: Pick<Subscribed, 'id' | 'platform'>) {
  const [known] = await owner`select external_account_id from public.integrations where id = ${id}`
  const again = await database.call<{ id: string }>('service_role', 'connect_integration', {
    p_organization_id: team.organizationId,
    p_connector: platform.connector,
    p_external_account_id: known!['external_account_id'],
    p_name: 'Main street',
    p_settings: platform.settings,
    p_credentials: platform.credentials,
  })
  expect(again.id).toBe(id)
}

const activity = (id: string, action: string) =>
  owner`
    select outcome, actor_id, detail from public.activity_logs
    where subject_id = ${id} and action = ${`integration.${action}`} order by created_at`

const integration = async (id: string) =>
  (await owner`select * from public.integrations where id = ${id}`)[0]!

/** How many secrets in Vault hold the account's key. */
const secretsOf = async ({ platform }: Pick<Subscribed, 'platform'>) =>
  (await admin`
    select from vault.decrypted_secrets
    where decrypted_secret like ${`%${platform.credentials['api_key']}%`}`).length

const removals = ({ simulator }: Pick<Subscribed, 'simulator'>) =>
  simulator.requests.filter(({ method }) => method === 'DELETE').length

/** Moves the end of the time for which the credentials are kept. */
const endIn = (id: string, minutes: number) =>
  owner`
    update public.integrations set credentials_kept_until = now() + make_interval(mins => ${minutes})
    where id = ${id}`

describe('disconnecting', () => {
  it('ends what is subscribed, and says so', async () => {
    const account = await subscribed()
    const { simulator, id } = account

    const done = await disconnect(account)

    expect(simulator.webhooks).toEqual([])
    expect(await rows(id)).toEqual([])
    expect(await secretsOf(account)).toBe(0)
    expect(done.credentials_kept_until).toBeNull()
    expect(await activity(id, 'disconnected')).toMatchObject([{ detail: { unsubscribed: true } }])
  })

  it('while a worker subscribes leaves nothing at the platform', async () => {
    const { simulator, platform } = await stripeAccount()
    const id = await connect(team.organizationId, platform)
    const racing = outside(platform, {
      async fetch(input, init) {
        const answer = await fetch(input, init)
        // the worker holds the lease: nobody else could unsubscribe
        if (init?.method === 'POST') {
          await database.call('service_role', 'disconnect_integration', { p_integration_id: id })
        }
        return answer
      },
    })

    await look(id, racing)

    expect(simulator.requests.filter(({ method }) => method === 'POST')).toHaveLength(1)
    expect(simulator.webhooks).toEqual([])
  })

  it('revokes the sign-in by which its owner connected again meanwhile', async () => {
    const account = await subscribed()
    const { id, platform } = account
    let isAgain = false
    const racing = outside(platform, {
      async fetch(input, init) {
        if (!isAgain) {
          isAgain = true
          await connectAgain(account)
          await keepGrant(database, id)
        }
        return await fetch(input, init)
      },
    })

    await disconnectIntegration(racing, { integration_id: id }, null)

    // Stripe has nothing to revoke it with, but it was not passed over
    expect(await activity(id, 'disconnected')).toMatchObject([
      { detail: { unsubscribed: true, revoked: false } },
    ])
  })

  it('asks the platform nothing where nothing was ever subscribed', async () => {
    const { simulator, platform } = await stripeAccount()
    const id = await connect(team.organizationId, platform, false)

    await disconnectIntegration(outside(platform), { integration_id: id }, null)

    expect(simulator.requests).toEqual([])
    const [written] = await activity(id, 'disconnected')
    expect(written!['detail']).not.toHaveProperty('unsubscribed')
  })
})

describe('a platform that is down when an account is disconnected', () => {
  it('holds nobody up, who is told that the credentials are kept, and until when', async () => {
    const account = await subscribed()
    goDown(account)

    const { status, credentials_kept_until } = await disconnect(account)

    expect(status).toBe('disconnected')
    const days = (Date.parse(credentials_kept_until!) - Date.now()) / 86_400_000
    expect(days).toBeCloseTo(3, 2)
    expect(await activity(account.id, 'disconnected')).toMatchObject([{
      actor_id: team.manager.id,
      detail: {
        unsubscribed: false,
        credentials_kept_until: expect.stringContaining(credentials_kept_until!.slice(0, 19)),
      },
    }])
    expect(await activity(account.id, 'credentials_deleted')).toEqual([])
  })

  it('and comes back has the subscription removed, once, and then the secrets go', async () => {
    const account = await left()
    const { simulator, id } = account
    expect(simulator.webhooks).toHaveLength(1)
    expect(await secretsOf(account)).toBe(1)

    await lookAgain(account) // still down
    expect(await rows(id)).toMatchObject([
      { status: 'failed', error: { code: 'provider_unavailable' } },
    ])
    await comeBack(account)
    for (const _ of [1, 2]) await lookAgain(account)

    expect(simulator.webhooks).toEqual([])
    expect(removals(account)).toBe(1)
    expect(await secretsOf(account)).toBe(0)
    expect(await rows(id)).toEqual([])
    expect(await integration(id)).toMatchObject({
      status: 'disconnected',
      credentials_kept_until: null,
    })
    expect(await activity(id, 'credentials_deleted')).toMatchObject([
      { actor_id: null, detail: { unsubscribed: true } },
    ])
  })

  it('is known to send no more also when the worker died between revoking and writing so', async () => {
    const account = await left()
    const { id, platform, simulator } = account
    await comeBack(account)

    await engine.dieAt({ before: 'end_webhook_subscriptions' }, id, platform)
    simulator.control.revokeCredentials()
    await lookAgain(account)

    expect(simulator.webhooks).toEqual([])
    expect(await activity(id, 'credentials_deleted')).toMatchObject([
      { detail: { unsubscribed: true } },
    ])
  })

  it('is asked again after growing pauses, the last time before the credentials go', async () => {
    const account = await left()
    const { id } = account
    expect(await engine.dueIn(id)).toBeLessThanOrEqual(0)
    const pauses: number[] = []

    for (let tries = 0; tries < 3; tries++) {
      await owner`delete from private.request_budgets`
      await lookAgain(account)
      pauses.push(Math.round(await engine.dueIn(id) / 60))
    }
    await endIn(id, 20)
    await lookAgain(account)
    pauses.push(Math.round(await engine.dueIn(id) / 60))

    expect(pauses).toEqual([1, 5, 15, 10])
  })

  it('is asked again at once by whoever disconnects again, and later after the next longer pause', async () => {
    const [answered, silent] = [await left(), await left()]
    await comeBack(answered)

    await disconnect(answered)
    await lookAgain(silent)
    await owner`delete from private.request_budgets`
    await disconnect(silent)

    expect(answered.simulator.webhooks).toEqual([])
    expect(await secretsOf(answered)).toBe(0)
    expect(Math.round(await engine.dueIn(silent.id) / 60)).toBe(5)
  })

  it('and never comes back has the secrets deleted at the end all the same, and the log says so', async () => {
    const account = await left()
    await endIn(account.id, 10)

    await lookAgain(account)

    expect(account.simulator.webhooks).toHaveLength(1)
    expect(await secretsOf(account)).toBe(0)
    expect(await rows(account.id)).toEqual([])
    expect(await activity(account.id, 'credentials_deleted')).toMatchObject([
      { detail: { unsubscribed: false } },
    ])
  })

  it('keeps no secret longer where no worker comes up either, nor says that a sign-in was revoked', async () => {
    const [early, late, signedIn] = [await left(), await left(), await left()]
    await keepGrant(database, signedIn.id)
    await endIn(early.id, 1)
    for (const { id } of [late, signedIn]) await endIn(id, -1)

    await owner`select private.look_after_integrations()`

    expect([await secretsOf(early), await secretsOf(late), await secretsOf(signedIn)])
      .toEqual([1, 0, 0])
    const [ofLate] = await activity(late.id, 'credentials_deleted')
    expect(ofLate).toMatchObject({ detail: { unsubscribed: false } })
    expect(ofLate!['detail']).not.toHaveProperty('revoked')
    expect(await activity(signedIn.id, 'credentials_deleted')).toMatchObject([
      { detail: { unsubscribed: false, revoked: false } },
    ])
    expect(await activity(early.id, 'credentials_deleted')).toEqual([])
  })

  it('keeps nothing where the manager wants the credentials deleted at once, then or later', async () => {
    const [now, later] = [await subscribed(), await left()]
    goDown(now)

    for (const account of [now, later]) {
      const done = await disconnect(account, { delete_credentials_at_once: true })
      expect(done.credentials_kept_until).toBeNull()
      expect(await secretsOf(account)).toBe(0)
    }

    expect(await activity(now.id, 'disconnected')).toMatchObject([
      { detail: { unsubscribed: false } },
    ])
    expect(await activity(later.id, 'credentials_deleted')).toMatchObject([
      { actor_id: team.manager.id, detail: { unsubscribed: false } },
    ])
  })

  it('keeps the credentials no longer when somebody disconnects again', async () => {
    const account = await left()
    await endIn(account.id, 60)

    const { credentials_kept_until } = await disconnect(account)

    expect(Date.parse(credentials_kept_until!) - Date.now()).toBeLessThan(3_600_000)
  })

  it('leaves credentials that nothing but unsubscribing gets', async () => {
    const account = await left()
    const ask = { integration_id: account.id }

    const answers = await Promise.all([
      functions.call(team.manager, '/integrations/check', ask),
      functions.call(team.manager, '/sync', { ...ask, stream: 'contacts' }),
      functions.call(team.manager, '/integrations/update', { ...ask, credentials: {} }),
    ])
    const open = await database.call('service_role', 'open_integration', {
      p_integration_id: account.id,
    })

    expect(answers.map(({ body }) => body)).toMatchObject([
      { code: 'integration_disconnected' },
      { code: 'integration_disconnected' },
      { code: 'integration_disconnected' },
    ])
    expect(open).toMatchObject({ credentials_id: null, credentials: null, token: null })
    expect(await secretsOf(account)).toBe(1)
  })

  it('is not waited for where it refuses us, since no other try would help', async () => {
    const account = await subscribed()
    account.simulator.control.revokeCredentials()

    const { credentials_kept_until } = await disconnect(account)

    expect(credentials_kept_until).toBeNull()
    expect(await secretsOf(account)).toBe(0)
  })

  it.each([403, 404])(
    'and answers %i, as a gateway may, is asked again after a pause',
    async (status) => {
      const account = await subscribed()
      account.simulator.control.setFault({ kind: 'status', status, times: null })

      const { credentials_kept_until } = await disconnect(account)
      await lookAgain(account)
      const pause = Math.round(await engine.dueIn(account.id) / 60)
      await comeBack(account)
      await lookAgain(account)

      expect(credentials_kept_until).not.toBeNull()
      expect(pause).toBe(1)
      expect(account.simulator.webhooks).toEqual([])
    },
  )

  it('and does not remove one of two has the other removed all the same', async () => {
    const account = await subscribed()
    const { simulator, platform, id } = account
    simulator.webhooks.push({ ...simulator.webhooks[0]!, id: 'we_another' })
    let first: string | null = null
    const refusing = outside(platform, {
      clock: impatient,
      fetch(input, init) {
        if (init?.method !== 'DELETE') return fetch(input, init)
        first ??= String(input)
        return String(input) === first
          ? Promise.resolve(new Response(null, { status: 503 }))
          : fetch(input, init)
      },
    })

    const { credentials_kept_until } = await disconnectIntegration(
      refusing,
      { integration_id: id },
      null,
    )

    expect(credentials_kept_until).not.toBeNull()
    expect(simulator.webhooks).toHaveLength(1)
    expect(first).toContain(simulator.webhooks[0]!.id)
  })

  it('is left alone while a worker is at it, whose endpoint goes too', async () => {
    const { simulator, platform } = await stripeAccount()
    const id = await connect(team.organizationId, platform)
    let time = Date.now()
    const hurried: Clock = {
      now: () => new Date(time),
      sleep: (ms) => Promise.resolve(void (time += ms)),
    }
    let kept: string | null = null
    const racing = outside(platform, {
      async fetch(input, init) {
        const answer = await fetch(input, init)
        if (init?.method === 'POST') {
          const done = await disconnectIntegration(
            outside(platform, { clock: hurried }),
            { integration_id: id },
            null,
          )
          kept = done.credentials_kept_until
        }
        return answer
      },
    })

    await look(id, racing)
    expect(kept).not.toBeNull()
    expect(simulator.webhooks).toEqual([])
    await look(id, outside(platform))

    expect(await integration(id)).toMatchObject({ credentials_kept_until: null })
    expect(await activity(id, 'credentials_deleted')).toMatchObject([
      { detail: { unsubscribed: true } },
    ])
  })
})

describe('an account that is connected again before it was unsubscribed', () => {
  async function isSubscribedOnce({ simulator, id, ...account }: Subscribed) {
    expect(simulator.webhooks).toHaveLength(1)
    expect(await engine.secrets(id)).toEqual([simulator.webhooks[0]!.secret])
    expect(await rows(id)).toMatchObject([
      { status: 'active', external_id: simulator.webhooks[0]!.id, error: null },
    ])
    expect(await integration(id)).toMatchObject({
      status: 'connected',
      credentials_kept_until: null,
    })
    expect(await secretsOf(account)).toBe(1)
    expect(await activity(id, 'credentials_deleted')).toEqual([])
  }

  it('is subscribed once, and keeps its credentials beyond the time', async () => {
    const account = await left()
    await comeBack(account)

    await connectAgain(account)
    await lookAgain(account)
    await owner`select private.look_after_integrations()`

    await isSubscribedOnce(account)
  })

  it.each(['GET', 'DELETE'])('while a worker unsubscribes (%s) is subscribed once', async (at) => {
    const account = await left()
    const { platform, id } = account
    await comeBack(account)
    let isAgain = false
    const racing = outside(platform, {
      async fetch(input, init) {
        const answer = await fetch(input, init)
        if (init?.method === at && !isAgain) {
          isAgain = true
          await connectAgain(account)
          // another worker finds nothing due
          await look(id, outside(platform))
        }
        return answer
      },
    })

    await look(id, racing)

    expect(isAgain).toBe(true)
    await isSubscribedOnce(account)
  })
})
