// What an owner granted is taken back at the platform: what of a sign-in meanwhile, a crash, an odd or no answer?
import { describe, expect, it, onTestFinished } from 'vitest'
import { startHubSpotSimulator } from '../../scripts/simulators/hubspot.ts'
import { startShopifySimulator } from '../../scripts/simulators/shopify.ts'
import { startXSimulator } from '../../scripts/simulators/x.ts'
import { checkIntegration } from '../../supabase/functions/_shared/integrations/check-integration.ts'
import { connectAccount } from '../../supabase/functions/_shared/integrations/connect-account.ts'
import { disconnectIntegration } from '../../supabase/functions/_shared/integrations/disconnect-integration.ts'
import { updateIntegration } from '../../supabase/functions/_shared/integrations/update-integration.ts'
import { type Clock, systemClock } from '../../supabase/functions/_shared/platform/clock.ts'
import type { Outside } from '../../supabase/functions/_shared/platform/outside.ts'
import { startFaultStack } from '../support/fault-stack.ts'
import { ourApp } from '../support/our-app.ts'

const faulty = await startFaultStack({ functions: false })
const { appOf, disconnect } = ourApp(faulty)

/** Nobody waits between the tries of one call. */
const impatient: Clock = { ...systemClock, sleep: () => Promise.resolve() }

/** A HubSpot account that its owner has signed in to. */
async function signedIn() {
  const platform = await startHubSpotSimulator()
  onTestFinished(platform.stop)
  const { outside, signIn } = appOf('hubspot', platform)
  const { id, organization_id } = (await signIn()).integration!
  // or those of later tests would share their account
  onTestFinished(async () => {
    await faulty.admin`delete from private.oauth_grants where integration_id = ${id}`
  })
  return {
    id,
    organization_id,
    platform,
    outside: { ...outside, clock: impatient },
    signInAgain: (by?: Outside) => signIn({ organization_id, ...(by ? { by } : {}) }),
    /** An engine that does this once, before or after its first call there. */
    during: (at: { before: string } | { after: string }, then: () => Promise<unknown>): Outside => {
      let isDone = false
      const once = async (isDue: boolean) => {
        if (!isDue || isDone) return
        isDone = true
        await then()
      }
      return {
        ...outside,
        clock: impatient,
        async fetch(input, init) {
          const path = new URL(String(input)).pathname
          await once('before' in at && path.includes(at.before))
          const answer = await fetch(input, init)
          await once('after' in at && path.includes(at.after))
          return answer
        },
      }
    },
    /** An engine whose calls of one SQL function meet this first. */
    beforeCall: (name: string, then: () => Promise<unknown>): Outside => ({
      ...outside,
      clock: impatient,
      db: {
        ...outside.db,
        async call(called, args) {
          if (called === name) await then()
          return await outside.db.call(called, args)
        },
      },
    }),
    /** An engine whose platform answers a revocation so. */
    answering: (answer: () => Response | Promise<never>): Outside => ({
      ...outside,
      clock: impatient,
      fetch: async (input, init) =>
        String(input).endsWith('/revoke') ? await answer() : await fetch(input, init),
    }),
    status: async () => {
      const [row] = await faulty.admin`select status from public.integrations where id = ${id}`
      return row?.['status'] as string
    },
    /** Whether what is held here opens the platform. */
    isGood: async () => {
      const open = await outside.db.call<{ token: { access_token: string } | null }>(
        'open_integration',
        { p_integration_id: id },
      )
      return open.token !== null && platform.oauth.verify(open.token.access_token) !== null
    },
    logged: async (action: string) => {
      const rows = await faulty.admin`
        select detail from public.activity_logs
        where subject_id = ${id} and action = ${`integration.${action}`} order by created_at`
      return rows.map((row) => row['detail'] as Record<string, unknown>)
    },
  }
}

/** What a platform says that knows the token no longer. */
const invalidToken = () => Response.json({ error: 'invalid_token' }, { status: 400 })

describe('a sign-in that comes back while the account is being disconnected', () => {
  it.each(['before', 'after'] as const)(
    '%s the platform has revoked is refused, since the platform may end all of its owner’s grants',
    async (when) => {
      const account = await signedIn()
      const { platform } = account
      const at = { [when]: '/revoke' } as { before: string } | { after: string }
      let second: Awaited<ReturnType<typeof account.signInAgain>> | undefined
      const racing = account.during(at, async () => {
        second = await account.signInAgain()
      })

      const log = await disconnect(racing, account.id)
      platform.oauth.control.revokeGrants()
      const refused = await account.status()
      const third = await account.signInAgain()

      expect(second?.error).toMatchObject({ code: 'oauth_account_disconnected' })
      expect(refused).toBe('disconnected')
      expect(log).toMatchObject([{ detail: { revoked: true } }])
      expect(third.integration).toMatchObject({ id: account.id, status: 'connected' })
      expect(await account.isGood()).toBe(true)
    },
  )

  it('and ends only after it, with a token from before, is refused', async () => {
    const account = await signedIn()
    const slow = account.beforeCall('connect_oauth_integration', async () => {
      await disconnect(account.outside, account.id)
      account.platform.oauth.control.revokeGrants()
    })

    const second = await account.signInAgain(slow)

    expect(second.error).toMatchObject({ code: 'oauth_account_disconnected' })
    expect(await account.status()).toBe('disconnected')
    await expect(account.signInAgain()).resolves.toMatchObject({
      integration: { status: 'connected' },
    })
  })

  it('before anything was revoked is revoked too, and not passed over', async () => {
    const account = await signedIn()
    let isAgain = false
    const racing = account.beforeCall('begin_grant_revocation', async () => {
      if (isAgain) return
      isAgain = true
      await account.signInAgain()
    })

    const log = await disconnect(racing, account.id)

    expect(log).toMatchObject([{ detail: { revoked: true } }])
    expect(account.platform.oauth.control.counters()).toMatchObject({ consents_given: 2 })
    // the first stands there, as whenever somebody signs in again
    expect(account.platform.oauth.control.consents()).toHaveLength(1)
  })

  it('that was never finished is possible again after some minutes', async () => {
    const account = await signedIn()
    const dying = account.beforeCall('disconnect_integration', () => {
      throw new Error('the worker is dead')
    })
    await disconnectIntegration(dying, { integration_id: account.id }, null).catch(() => {})

    const early = await account.signInAgain()
    await faulty.admin`
      update private.oauth_grants set revocation_started_at = now() - interval '6 minutes'
      where integration_id = ${account.id}`
    const late = await account.signInAgain()

    expect(early.error).toMatchObject({ code: 'oauth_account_disconnected' })
    expect(late.integration).toMatchObject({ id: account.id, status: 'connected' })
    expect(await account.isGood()).toBe(true)
  })
})

describe('a refresh while the account is being disconnected', () => {
  /** An account at X, which replaces refresh tokens, whose access token has ended. */
  async function ended() {
    const platform = await startXSimulator()
    onTestFinished(platform.stop)
    const { outside, signIn } = appOf('x', platform)
    const { id } = (await signIn()).integration!
    // or those of later tests would share their account
    onTestFinished(async () => {
      await faulty.admin`delete from private.oauth_grants`
    })
    await faulty.admin`
      update private.integration_credentials set token_expires_at = now() where integration_id = ${id}`
    /** An engine that waits behind its first call of the token endpoint until it is let go. */
    const slow = () => {
      const answered = Promise.withResolvers<void>()
      const gate = Promise.withResolvers<void>()
      const by: Outside = {
        ...outside,
        async fetch(input, init) {
          const answer = await fetch(input, init)
          if (!String(input).endsWith('/oauth2/token')) return answer
          answered.resolve()
          await gate.promise
          return answer
        },
      }
      return { by, answered: answered.promise, letGo: gate.resolve }
    }
    return { id, platform, outside, signIn, slow }
  }

  it('that the platform has answered already is revoked by whoever got it', async () => {
    const { id, platform, outside, slow } = await ended()
    const { by, answered, letGo } = slow()
    const refreshing = checkIntegration(by, id)
    await answered
    const disconnecting: Outside = {
      ...outside,
      async fetch(input, init) {
        if (!String(input).endsWith('/oauth2/revoke')) return await fetch(input, init)
        letGo()
        await refreshing
        return invalidToken() // it was replaced, so that the platform knows it no longer
      },
    }

    const log = await disconnect(disconnecting, id)

    expect(log).toMatchObject([{ detail: { revoked: true } }])
    expect(platform.oauth.control.counters()).toMatchObject({ refreshes_granted: 1 })
    expect(platform.oauth.control.consents()).toEqual([])
  })

  it('is not begun any more: the tokens that are revoked stay the last ones', async () => {
    const { id, platform, outside } = await ended()
    let check: Awaited<ReturnType<typeof checkIntegration>> | undefined
    const disconnecting: Outside = {
      ...outside,
      async fetch(input, init) {
        if (String(input).endsWith('/oauth2/revoke')) check = await checkIntegration(outside, id)
        return await fetch(input, init)
      },
    }

    const log = await disconnect(disconnecting, id)

    expect(check).toMatchObject({ error: { code: 'provider_unavailable' } })
    expect(log).toMatchObject([{ detail: { revoked: true } }])
    expect(platform.oauth.control.counters()).toMatchObject({ refreshes_granted: 0 })
    expect(platform.oauth.control.consents()).toEqual([])
  })

  it('revokes nothing where another organization has the same account', async () => {
    const { id, platform, signIn, outside, slow } = await ended()
    const others = (await signIn()).integration!
    const { by, answered, letGo } = slow()
    const refreshing = checkIntegration(by, id)
    await answered

    const log = await disconnect(outside, id)
    letGo()
    const check = await refreshing.catch((error: unknown) => error)

    expect(check).toMatchObject({ error: { code: 'integration_disconnected' } })
    expect(log).toMatchObject([{ detail: { revoked: false } }])
    expect(others.external_account_id).toBe('2244994945')
    expect(platform.oauth.control.counters()).toMatchObject({ revocations: 0 })
  })
})

describe('a worker that dies between revoking and writing so', () => {
  async function died() {
    const account = await signedIn()
    const dying = account.beforeCall('disconnect_integration', () => {
      throw new Error('the worker is dead')
    })
    await expect(disconnectIntegration(dying, { integration_id: account.id }, null)).rejects
      .toThrow('dead')
    expect(account.platform.oauth.control.counters()).toMatchObject({ revocations: 1 })
    return account
  }

  it('lets the next one write that it was revoked, where the platform knows the token no longer', async () => {
    const account = await died()

    const log = await disconnect(account.answering(invalidToken), account.id)

    expect(log).toMatchObject([{ detail: { revoked: true } }])
  })

  it.each([
    ['an odd answer', () => new Response('no such token', { status: 404 })],
    ['no answer', () => Promise.reject(new TypeError('the line is dead'))],
  ])('lets the next one write that nobody knows, after %s', async (_, answer) => {
    const account = await died()

    const log = await disconnect(account.answering(answer), account.id)

    expect(log).toMatchObject([{ detail: { revoked: 'unknown' } }])
  })

  it('where nobody comes up again either leaves it unknown to the minute’s job', async () => {
    const account = await died()
    await faulty.admin`
      update public.integrations set status = 'disconnected', credentials_kept_until = now() - interval '1 minute'
      where id = ${account.id}`

    await faulty.admin`select private.look_after_integrations()`

    expect(await account.logged('credentials_deleted')).toMatchObject([{ revoked: 'unknown' }])
  })
})

describe('a platform that', () => {
  it('knows the token no longer has nothing left to revoke', async () => {
    const account = await signedIn()

    const log = await disconnect(account.answering(invalidToken), account.id)

    expect(log).toMatchObject([{ detail: { revoked: true } }])
  })

  it('is asked with the token itself, and refuses it, has nothing left to revoke either', async () => {
    const shop = await startShopifySimulator({ products: 1 })
    onTestFinished(shop.stop)
    const { outside, signIn } = appOf('shopify', shop)
    const { id } = (await signIn()).integration!
    shop.oauth.control.revokeGrants()

    const log = await disconnect(outside, id)

    expect(log).toMatchObject([{ detail: { revoked: true } }])
  })

  it('refuses to revoke has not', async () => {
    const account = await signedIn()
    const refusing = account.answering(() =>
      Response.json({ error: 'invalid_client' }, { status: 401 })
    )

    const log = await disconnect(refusing, account.id)

    expect(log).toMatchObject([{ detail: { revoked: false } }])
  })

  it('does not answer may have revoked', async () => {
    const account = await signedIn()

    const log = await disconnect(
      account.answering(() => Promise.reject(new TypeError('the line is dead'))),
      account.id,
    )

    expect(log).toMatchObject([{ detail: { revoked: 'unknown' } }])
  })
})

describe('credentials that are typed in the place of a sign-in', () => {
  const typed = (account: Awaited<ReturnType<typeof signedIn>>) => ({
    settings: { auth: 'private_app' },
    credentials: account.platform.credentials,
  })
  const update = (account: Awaited<ReturnType<typeof signedIn>>, by: Outside = account.outside) =>
    updateIntegration(by, { integration_id: account.id, ...typed(account) }, null)

  it('by an update have it revoked at the platform, which is written down', async () => {
    const account = await signedIn()

    const { status } = await update(account)

    expect(status).toBe('connected')
    expect(account.platform.oauth.control.consents()).toEqual([])
    expect(await account.logged('credentials_replaced')).toMatchObject([{ revoked: true }])
  })

  it('by connecting the same account have it revoked, too', async () => {
    const account = await signedIn()

    const again = await connectAccount(account.outside, {
      organization_id: account.organization_id,
      connector: 'hubspot',
      ...typed(account),
    }, null)

    expect(again).toMatchObject({ id: account.id, status: 'connected' })
    expect(account.platform.oauth.control.consents()).toEqual([])
    expect(await account.logged('credentials_replaced')).toMatchObject([{ revoked: true }])
  })

  it('count also where the platform does not revoke, or the sign-in has ended', async () => {
    const account = await signedIn()
    await faulty.admin`
      update public.integrations set status = 'needs_reconnect' where id = ${account.id}`

    const { status } = await update(
      account,
      account.answering(() => new Response('no', { status: 400 })),
    )

    expect(status).toBe('connected')
    expect(await account.logged('credentials_replaced')).toMatchObject([{ revoked: false }])
  })

  it('that the platform refuses leave the sign-in as it is', async () => {
    const account = await signedIn()

    const wrong = updateIntegration(account.outside, {
      integration_id: account.id,
      settings: { auth: 'private_app' },
      credentials: { access_token: 'pat-wrong' },
    }, null)

    await expect(wrong).rejects.toMatchObject({ code: 'invalid_credentials' })
    expect(await account.isGood()).toBe(true)
    expect(account.platform.oauth.control.counters()).toMatchObject({ revocations: 0 })
  })

  it('say nothing of a sign-in where there was none', async () => {
    const account = await signedIn()
    await update(account)

    await update(account)

    const [, second] = await account.logged('credentials_replaced')
    expect(second).toBeDefined()
    expect(second).not.toHaveProperty('revoked')
  })
})
