// Fifty callers in ten processes need the same token when it ends, and whoever renews it may be killed: once an expiry,
// never lost in silence.
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import {
  askAll,
  type Caller,
  startCaller,
  startCallers,
} from '../../scripts/bench/refresh/callers.ts'
import type { Told } from '../../scripts/bench/refresh/caller.ts'
import {
  type SignedInAccount,
  signedInAccount,
} from '../../scripts/bench/refresh/signed-in-account.ts'
import { airtable } from '../../supabase/functions/_shared/connectors/airtable.ts'
import type { OpenIntegration } from '../../supabase/functions/_shared/integrations/open-integration.ts'
import { storedGrant } from '../../supabase/functions/_shared/oauth/stored-grant.ts'
import { type Clock, systemClock } from '../../supabase/functions/_shared/platform/clock.ts'
import { directDatabase } from '../../supabase/functions/_shared/platform/database.ts'
import { createLog } from '../../supabase/functions/_shared/platform/log.ts'
import { type FaultStack, startFaultStack } from '../support/fault-stack.ts'

const CALLERS = 50
/** `npm run bench -- refresh` lets two hundred expire and kills two hundred, which takes minutes. */
const EXPIRIES = 50
const KILLED = 25

let faulty: FaultStack
beforeAll(async () => {
  faulty = await startFaultStack({ functions: false })
})

const tokensOf = (told: Told[]) =>
  new Set(told.map((each) => each.kind === 'token' ? each.access_token : JSON.stringify(each)))

async function statusOf({ admin, setup }: SignedInAccount) {
  const [row] = await admin`
    select status, last_error from public.integrations where id = ${setup.integrationId}`
  return row
}

/** Turns the clock to when the platform may be asked again; answers how far that was, in seconds. */
async function toNextTry({ admin, setup }: SignedInAccount): Promise<number> {
  const [held] = await admin<{ pause: number }[]>`
    with before as (
      select integration_id, greatest(next_refresh_at, refresh_lease_expires_at) - now() as pause
      from private.oauth_grants where integration_id = ${setup.integrationId}
    )
    update private.oauth_grants as grants set next_refresh_at = next_refresh_at - before.pause,
      refresh_lease_expires_at = refresh_lease_expires_at - before.pause, tries_counted_since = tries_counted_since - before.pause
    from before where before.integration_id = grants.integration_id
    returning ceil(extract(epoch from before.pause))::int as pause`
  return held!.pause
}

/**
 * A day of callers who ask whenever they may, as fast as the clock can be turned; answers the pauses between, in seconds to
 * the nearest ten.
 */
async function aDayOf(account: SignedInAccount, ask: () => Promise<unknown>): Promise<number[]> {
  const pauses: number[] = []
  for (let elapsed = 0; elapsed < 86_400;) {
    await ask()
    const pause = await toNextTry(account)
    pauses.push(Math.round(pause / 10) * 10)
    elapsed += Math.max(pause, 1)
  }
  return pauses
}

/** How often its people were told. */
async function askedToSignIn({ admin, setup }: SignedInAccount): Promise<number> {
  const [row] = await admin<{ count: number }[]>`
    select count(*)::int as count from public.events
    where type = 'integration.reauthorization_required' and data ->> 'integration_id' = ${setup.integrationId}`
  return row!.count
}

/** In this process. */
async function grantOf({ setup }: SignedInAccount, clock = systemClock) {
  const { databaseUrl, integrationId, environment } = setup
  const db = directDatabase(databaseUrl)
  const open = await db.call<OpenIntegration>('open_integration', {
    p_integration_id: integrationId,
  })
  const { settings, account } = open.integration
  const outside = { db, environment, log: createLog({}, () => {}), clock, fetch }
  const grant = storedGrant(outside, open, airtable, { settings, credentials: {}, account })
  return { grant, token: await grant.current(), end: () => db.end() }
}

describe('fifty callers in ten processes and fifty expiries', () => {
  let account: SignedInAccount
  let callers: Caller[]
  beforeAll(async () => {
    account = await signedInAccount(faulty.stack)
    callers = await startCallers(account.setup, CALLERS)
  }, 120_000)
  afterAll(async () => {
    await Promise.all(callers.map((caller) => caller.kill()))
    await account.stop()
  })

  it(
    'make exactly fifty refreshes, and everybody works with the same good token',
    async () => {
      const { oauth } = account.airtable
      const before = oauth.control.counters()
      const odd: string[] = []

      for (let expiry = 0; expiry < EXPIRIES; expiry++) {
        await account.expire()
        const told = await askAll(callers, { kind: 'go' })
        const tokens = [...tokensOf(told)]
        if (tokens.length !== 1 || !oauth.verify(tokens[0]!)) odd.push(...tokens)
      }

      const after = oauth.control.counters()
      expect(odd).toEqual([])
      expect(after.refreshes_granted - before.refreshes_granted).toBe(EXPIRIES)
      expect(after.refreshes_refused).toBe(before.refreshes_refused)
    },
    300_000,
  )

  it(
    'the same when the one who renews is killed each time before the platform was asked',
    async () => {
      const { oauth } = account.airtable
      const before = oauth.control.counters()
      const odd: string[] = []
      // made ahead, a few at a time: each is killed after one refresh
      const victims = Array.from({ length: 4 }, () => startCaller(account.setup))

      for (let expiry = 0; expiry < KILLED; expiry++) {
        await account.expire()
        const victim = await victims.shift()!
        if (expiry + victims.length + 1 < KILLED) victims.push(startCaller(account.setup))
        const [stopped] = await victim.ask({ kind: 'before' })
        await victim.kill()
        await account.endLease()
        const told = await askAll(callers, { kind: 'go' })
        const tokens = [...tokensOf(told)]
        if (stopped?.kind !== 'stopped' || tokens.length !== 1 || !oauth.verify(tokens[0]!)) {
          odd.push(JSON.stringify(stopped), ...tokens)
        }
      }

      const after = oauth.control.counters()
      expect(odd).toEqual([])
      expect(after.refreshes_granted - before.refreshes_granted).toBe(KILLED)
      expect(after.refreshes_refused).toBe(before.refreshes_refused)
    },
    300_000,
  )

  it('wait for one who is still at it, as long as its lease lasts', async () => {
    const { oauth } = account.airtable
    await account.expire()
    const before = oauth.control.counters()
    const release = oauth.control.holdTokenEndpoint()
    const waiting = askAll(callers, { kind: 'go' })
    await faulty.admin`select pg_sleep(0.3)` // all of them are asking by now, whatever the order

    release()
    const told = await waiting

    expect(tokensOf(told).size).toBe(1)
    expect(oauth.control.counters().refreshes_granted - before.refreshes_granted).toBe(1)
  }, 60_000)
})

describe('the one who renews is killed after the platform has answered', () => {
  it('so the new token is lost: the next one learns it, the owner is asked to sign in, and nobody tries on', async () => {
    const account = await signedInAccount(faulty.stack)
    const [victim, next] = await Promise.all([
      startCaller(account.setup),
      startCaller(account.setup),
    ])
    await account.expire()
    const { oauth } = account.airtable

    const [stopped] = await victim.ask({ kind: 'after' })
    await victim.kill()
    await account.endLease()
    const [told] = await next.ask({ kind: 'go' })
    const status = await statusOf(account)
    const counted = oauth.control.counters()
    const [again] = await next.ask({ kind: 'go' })

    expect(stopped?.kind).toBe('stopped')
    expect(told).toMatchObject({ kind: 'refused', code: 'reconnect_required' })
    expect(status).toMatchObject({
      status: 'needs_reconnect',
      last_error: { code: 'reconnect_required', next: 'owner' },
    })
    expect(status?.last_error.message).toContain('its answer never came')
    expect(again).toMatchObject({ kind: 'refused', code: 'reconnect_required' })
    expect(oauth.control.counters()).toEqual(counted) // the platform was not asked again
    const [activity] = await account.admin`
      select action, outcome from public.activity_logs
      where subject_id = ${account.setup.integrationId} and action = 'integration.needs_reconnect'`
    expect(activity).toMatchObject({ outcome: 'failure' })
    await next.kill()
    await account.stop()
  })
})

describe('a token that has not ended', () => {
  const letLive = ({ admin, setup: { integrationId } }: SignedInAccount, seconds: number) =>
    admin`
      update private.integration_credentials set token_expires_at = now() + make_interval(secs => ${seconds})
      where integration_id = ${integrationId}`

  it.each([
    ['of an hour', 3600, 310, 290],
    ['of a minute', 60, 20, 10],
  ])('%s is renewed ahead of its end, not sooner', async (_, lifetime, early, due) => {
    const account = await signedInAccount(faulty.stack)
    const { oauth } = account.airtable
    await account.admin`
      update private.oauth_grants set lifetime_seconds = ${lifetime}
      where integration_id = ${account.setup.integrationId}`

    const tokens: string[] = []
    for (const seconds of [early, due]) {
      await letLive(account, seconds)
      const { token, end } = await grantOf(account)
      tokens.push(token)
      await end()
    }

    expect(oauth.control.counters()).toMatchObject({ refreshes_granted: 1, refreshes_refused: 0 })
    expect(new Set(tokens).size).toBe(2)
    expect(oauth.verify(tokens[1]!)).not.toBeNull()
    await account.stop()
  })

  it('serves everybody else while one renews it', async () => {
    const account = await signedInAccount(faulty.stack)
    const { oauth } = account.airtable
    await letLive(account, 200)
    const release = oauth.control.holdTokenEndpoint()
    const renewing = grantOf(account)
    await vi.waitFor(async () => {
      const [grant] = await account.admin`
        select 1 from private.oauth_grants
        where integration_id = ${account.setup.integrationId} and refresh_lease_token is not null`
      expect(grant).toBeDefined()
    })

    const others = await Promise.all([grantOf(account), grantOf(account)])
    const meanwhile = oauth.control.counters()
    release()
    const renewed = await renewing

    expect(new Set(others.map(({ token }) => token)).size).toBe(1)
    expect(meanwhile).toMatchObject({ refreshes_granted: 0 })
    expect(others.map(({ token }) => token)).not.toContain(renewed.token)
    expect(oauth.control.counters()).toMatchObject({ refreshes_granted: 1, refreshes_refused: 0 })
    await Promise.all([renewed, ...others].map(({ end }) => end()))
    await account.stop()
  })
})

describe('whoever renews is killed each time', () => {
  it('so the platform is asked after growing pauses and at most twenty times in a day', async () => {
    const account = await signedInAccount(faulty.stack)
    await account.expire()
    const { admin, setup: { integrationId } } = account
    let tried = 0
    const pauses = await aDayOf(account, async () => {
      const [asked] = await admin`
        select public.begin_token_refresh(${integrationId}, generation, gen_random_uuid(), false, '{}') as turn
        from private.oauth_grants where integration_id = ${integrationId}`
      if (asked?.turn.state === 'refresh') tried++
    })
    await account.stop()

    expect(pauses.slice(0, 5)).toEqual([60, 60, 120, 240, 480]) // no sooner than its lease ends
    expect(tried).toBeLessThanOrEqual(20)
    expect(tried).toBeGreaterThan(8)
  })
})

describe('a worker whose clock is hours ahead', () => {
  it('works with the token that Postgres knows to be good, and asks for no other', async () => {
    const account = await signedInAccount(faulty.stack)
    const ahead: Clock = { ...systemClock, now: () => new Date(Date.now() + 7_200_000) }
    const before = account.airtable.oauth.control.counters()

    const tokens = new Set<string>()
    for (let worker = 0; worker < 3; worker++) {
      const { token, end } = await grantOf(account, ahead)
      tokens.add(token)
      await end()
    }
    const held = account.airtable.oauth.control.counters()
    await account.expire()
    const { token, end } = await grantOf(account, ahead)
    await end()

    expect(tokens.size).toBe(1)
    expect(held).toEqual(before)
    expect(tokens).not.toContain(token)
    expect(account.airtable.oauth.control.counters().refreshes_granted)
      .toBe(before.refreshes_granted + 1)
    await account.stop()
  })
})

describe('a refresh that fails', () => {
  it('pauses longer each time, is tried at most twenty times in a day, and works again after', async () => {
    const account = await signedInAccount(faulty.stack)
    const caller = await startCaller(account.setup)
    const { oauth } = account.airtable
    const calls = () =>
      account.airtable.requests.filter(({ path }) => path === '/oauth2/v1/token').length
    await account.expire()
    oauth.control.failNextTokenCall({ status: 503, times: null })
    const before = calls()

    const pauses = await aDayOf(account, () => caller.ask({ kind: 'go' }))
    await account.admin`
      update private.oauth_grants set next_refresh_at = now() + interval '1 hour'
      where integration_id = ${account.setup.integrationId}`
    const tried = calls() - before
    const [held] = await caller.ask({ kind: 'go' })
    const triedAfter = calls() - before
    account.airtable.control.clearFaults()
    await toNextTry(account)
    const [recovered] = await caller.ask({ kind: 'go' })

    expect(pauses.slice(0, 4)).toEqual([30, 60, 120, 240])
    expect(tried).toBeLessThanOrEqual(20)
    expect(tried).toBeGreaterThan(8)
    expect(held).toMatchObject({ kind: 'refused', code: 'provider_unavailable' })
    expect(triedAfter).toBe(tried)
    expect(recovered?.kind).toBe('token')
    await caller.kill()
    await account.stop()
  })

  it('waits for as long as the platform asks, also where it is turned away', async () => {
    const account = await signedInAccount(faulty.stack)
    const caller = await startCaller(account.setup)
    await account.expire()
    const pauses: number[] = []
    for (const [status, seconds] of [[429, 1_800], [503, 3_600], [503, 10_000_000]] as const) {
      account.airtable.oauth.control.failNextTokenCall({
        status,
        headers: { 'retry-after': String(seconds) },
      })
      await caller.ask({ kind: 'go' })
      pauses.push(Math.ceil(await toNextTry(account) / 60))
    }
    const [recovered] = await caller.ask({ kind: 'go' })

    expect(pauses).toEqual([30, 60, 24 * 60])
    expect(recovered?.kind).toBe('token')
    await caller.kill()
    await account.stop()
  })

  it('for good (invalid_grant) ends all trying and asks the owner to sign in', async () => {
    const account = await signedInAccount(faulty.stack)
    const caller = await startCaller(account.setup)
    account.airtable.oauth.control.revokeGrants()
    await account.expire()

    const [first] = await caller.ask({ kind: 'go' })
    const counted = account.airtable.requests.length
    const [second] = await caller.ask({ kind: 'go' })

    expect(first).toMatchObject({ kind: 'refused', code: 'reconnect_required' })
    expect(second).toMatchObject({ kind: 'refused', code: 'reconnect_required' })
    expect(account.airtable.requests.length).toBe(counted)
    expect(await statusOf(account)).toMatchObject({ status: 'needs_reconnect' })
    expect(await askedToSignIn(account)).toBe(1)
    await caller.kill()
    await account.stop()
  })
})

describe('an owner who takes our app off the list after a refresh that failed', () => {
  it.each([
    [429, 'no longer accepts what its owner had granted'],
    [503, 'its answer never came'], // whatever stood behind that may have renewed it
  ])('with %i is told what is known', async (status, said) => {
    const account = await signedInAccount(faulty.stack)
    const caller = await startCaller(account.setup)
    account.airtable.oauth.control.failNextTokenCall({ status })
    await account.expire()

    const [failed] = await caller.ask({ kind: 'go' })
    account.airtable.oauth.control.revokeGrants()
    await toNextTry(account)
    const [ended] = await caller.ask({ kind: 'go' })
    const row = await statusOf(account)

    expect([failed?.kind, ended?.kind]).toEqual(['refused', 'refused'])
    expect(row).toMatchObject({ status: 'needs_reconnect' })
    expect(row?.last_error.message).toContain(said)
    await caller.kill()
    await account.stop()
  })
})

describe('a token of a platform that gives no other one', () => {
  it('when it is refused, asks the owner to sign in; one that was refused before it changes nothing', async () => {
    const account = await signedInAccount(faulty.stack)
    await account.admin`
      update private.oauth_grants set refresh_token_secret_id = null
      where integration_id = ${account.setup.integrationId}`
    const { grant, token, end } = await grantOf(account)

    const afterAnOlder = await grant.renew('the token before')
    const before = await statusOf(account)
    const refused = await grant.renew(token).catch((error: unknown) => error)

    expect(afterAnOlder).toBe(token)
    expect(before).toMatchObject({ status: 'connected' })
    expect(refused).toMatchObject({ code: 'reconnect_required' })
    expect(await statusOf(account)).toMatchObject({
      status: 'needs_reconnect',
      last_error: { code: 'reconnect_required' },
    })
    expect(await askedToSignIn(account)).toBe(1)
    expect(account.airtable.requests.filter(({ path }) => path === '/oauth2/v1/token'))
      .toHaveLength(1) // the sign-in's own
    await end()
    await account.stop()
  })
})

describe('a holder whose answer comes late', () => {
  it('may still save what it got, also when somebody was refused meanwhile with the token it had replaced', async () => {
    const account = await signedInAccount(faulty.stack)
    const [slow, next] = await Promise.all([
      startCaller(account.setup),
      startCaller(account.setup),
    ])
    await account.expire()
    const [held] = await slow.ask({ kind: 'after' }) // replaced there, not saved here
    await account.endLease()
    const [refused] = await next.ask({ kind: 'go' })
    const before = await statusOf(account)

    const [saved] = await slow.ask({ kind: 'save' })
    const after = await statusOf(account)

    expect(held?.kind).toBe('stopped')
    expect(refused).toMatchObject({ kind: 'refused', code: 'reconnect_required' })
    expect(before?.status).toBe('needs_reconnect')
    expect(saved?.kind).toBe('token')
    expect(after).toMatchObject({ status: 'connected', last_error: null })
    await Promise.all([slow.kill(), next.kill(), account.stop()])
  })
})
