// What becomes of a sign-in: the way there and back, and every way in which it can go wrong.
import { beforeAll, describe, expect, it } from 'vitest'
import { browser } from '../../scripts/simulators/parts/oauth/browser.ts'
import { hashOf } from '../../supabase/functions/_shared/oauth/secrets.ts'
import type { Integration } from '../../supabase/functions/_shared/contracts/integrations.ts'
import { useFunctions } from '../support/functions.ts'
import { createTeam, type Team } from '../support/people.ts'
import {
  beginSignIn,
  follow,
  landing,
  openAirtable,
  RETURN_URL,
  signIn,
} from '../support/sign-in.ts'

const functions = useFunctions()
const { call, database } = functions
const { admin: sql } = database
let team: Team
beforeAll(async () => {
  team = await createTeam(database)
})

const read = async (id: string | null) => {
  const [row] = await sql<Integration[]>`select * from public.integrations where id = ${id}`
  return row
}

/** How long ago it began, as if. */
const age = (minutes: number) =>
  sql`update private.oauth_states set expires_at = expires_at - make_interval(mins => ${minutes})`

describe('signing in', () => {
  it('leads to the platform and back to the app, with the account connected and its rows synced', async () => {
    const airtable = await openAirtable(functions)

    const { page, integration_id, error } = await signIn(
      functions,
      team.manager,
      team.organizationId,
      airtable,
      { connect: { name: 'Our base' } },
    )

    const [stream] = await sql`
      select stream from public.sync_streams where integration_id = ${integration_id} and stream = 'contacts'`
    const sync = await call(team.manager, '/sync', { integration_id, stream: 'contacts' })
    expect(error).toBeNull()
    expect(page.url.startsWith(RETURN_URL)).toBe(true) // what the app had in its query is still there
    expect(await read(integration_id)).toMatchObject({
      status: 'connected',
      name: 'Our base',
      organization_id: team.organizationId,
      external_account_id: airtable.settings.base_id,
      created_by: team.manager.id,
    })
    expect(stream).toBeDefined()
    expect(sync.body).toMatchObject({ status: 'success', stats: { created: 30 } })
    expect(airtable.oauth.control.counters()).toMatchObject({ codes_exchanged: 1 })
  })

  it('puts no token, code or verifier into any address but the platform’s own', async () => {
    const airtable = await openAirtable(functions)

    const { page } = await signIn(functions, team.manager, team.organizationId, airtable)

    const ours = page.chain.filter((url) => !url.startsWith(airtable.url))
    const tokens = await sql<{ secret: string }[]>`
      select decrypted_secret as secret from vault.decrypted_secrets
      where name is distinct from 'plugboard_functions_url'`
    expect(tokens.length).toBeGreaterThan(2)
    for (const { secret } of tokens) {
      expect(page.chain.filter((url) => url.includes(secret))).toEqual([])
    }
    expect(ours.filter((url) => url.includes('code_verifier'))).toEqual([])
    expect(page.url).not.toContain('code=')
  })

  it.each([
    ['denied at the platform', 'oauth_denied', { decision: 'deny' as const }],
  ])('%s connects nothing and says so', async (_, code, consent) => {
    const airtable = await openAirtable(functions)
    const fresh = await createTeam(database)

    const denied = await signIn(functions, fresh.manager, fresh.organizationId, airtable, {
      consent,
    })
    const allowed = await signIn(functions, fresh.manager, fresh.organizationId, airtable)

    expect(denied).toMatchObject({ integration_id: null, error: code })
    expect(allowed.error).toBeNull()
  })

  it('that took longer than ten minutes is refused as expired', async () => {
    const airtable = await openAirtable(functions)
    const slow = await beginSignIn(functions, team.manager, team.organizationId, airtable)
    await age(11)

    const opened = landing(await browser().open(slow.authorization_url, { stopAt: RETURN_URL }))
    const inTime = await signIn(functions, team.manager, team.organizationId, airtable)

    expect(opened).toMatchObject({ integration_id: null, error: 'oauth_state_expired' })
    expect(inTime.error).toBeNull()
  })

  it('that expires while the person is at the platform is refused on its way back', async () => {
    const airtable = await openAirtable(functions)
    const { authorization_url } = await beginSignIn(
      functions,
      team.manager,
      team.organizationId,
      airtable,
    )
    const slow = browser()
    const consent = await slow.open(authorization_url)
    await age(11)

    const back = landing(await slow.press(consent, 'allow', {}, { stopAt: RETURN_URL }))

    expect(back).toMatchObject({ integration_id: null, error: 'oauth_state_expired' })
    expect(airtable.oauth.control.counters()).toMatchObject({ codes_exchanged: 0 })
  })

  it('that comes back twice counts once', async () => {
    const airtable = await openAirtable(functions)
    const same = browser()
    const { page, integration_id } = await signIn(
      functions,
      team.manager,
      team.organizationId,
      airtable,
      { browser: same },
    )
    const callback = page.chain.find((url) => url.includes('/oauth-callback?'))!

    const again = landing(await same.open(callback, { stopAt: RETURN_URL }))

    expect(integration_id).not.toBeNull()
    expect(again).toMatchObject({ integration_id: null, error: 'oauth_state_used' })
    expect(airtable.oauth.control.counters()).toMatchObject({ codes_exchanged: 1 })
  })

  it('that comes back to another browser is refused, and still good for the one that went', async () => {
    const airtable = await openAirtable(functions)
    const { authorization_url } = await beginSignIn(
      functions,
      team.manager,
      team.organizationId,
      airtable,
    )
    const own = browser()
    const consent = await own.open(authorization_url)
    const callback = await own.press(consent, 'allow', {}, {
      stopAt: `${functionsUrlOf(authorization_url)}/oauth-callback?`,
    })

    const stranger = landing(await browser().open(callback.url, { stopAt: RETURN_URL }))
    const owner = landing(await own.open(callback.url, { stopAt: RETURN_URL }))

    expect(stranger).toMatchObject({ integration_id: null, error: 'oauth_other_browser' })
    expect(owner.error).toBeNull()
    expect(owner.integration_id).not.toBeNull()
  })

  it('opened in a second browser is refused there', async () => {
    const airtable = await openAirtable(functions)
    const { authorization_url } = await beginSignIn(
      functions,
      team.manager,
      team.organizationId,
      airtable,
    )
    const own = browser()
    await own.open(authorization_url)

    const second = landing(await browser().open(authorization_url, { stopAt: RETURN_URL }))
    const first = await follow(authorization_url, { browser: own })

    expect(second.error).toBe('oauth_other_browser')
    expect(first.error).toBeNull()
  })

  it('of somebody who lost the right to connect in between is refused', async () => {
    const airtable = await openAirtable(functions)
    const fresh = await createTeam(database)
    const { authorization_url } = await beginSignIn(
      functions,
      fresh.manager,
      fresh.organizationId,
      airtable,
    )
    await sql`
      update public.organization_members set role = 'viewer' where user_id = ${fresh.manager.id}`

    const back = await follow(authorization_url)

    expect(back).toMatchObject({ integration_id: null, error: 'not_a_manager' })
    expect((await signIn(functions, fresh.owner, fresh.organizationId, airtable)).error).toBeNull()
  })

  it('that nobody here began gets a sentence, and leads nowhere', async () => {
    const answer = await functions.send(
      'not signed in',
      `/oauth-callback?code=x&state=${'a'.repeat(43)}&return_url=https://evil.example`,
      { redirect: 'manual' },
    )

    expect(answer.status).toBe(400)
    expect(answer.headers.get('location')).toBeNull()
    expect(answer.headers.get('content-type')).toContain('text/plain')
    expect(answer.text).toContain('was not started here')
  })

  it('whose code the platform refuses says so', async () => {
    const airtable = await openAirtable(functions)
    airtable.oauth.control.failNextTokenCall({ status: 400, body: { error: 'invalid_grant' } })

    const refused = await signIn(functions, team.manager, team.organizationId, airtable)
    const accepted = await signIn(functions, team.manager, team.organizationId, airtable)

    expect(refused.error).toBe('oauth_exchange_failed')
    expect(accepted.error).toBeNull()
  })

  it('without the scopes that are needed asks for them, and keeps nothing', async () => {
    const airtable = await openAirtable(functions)
    const fresh = await createTeam(database)
    airtable.oauth.control.allowOnlyNextTime(['data.records:read'])

    const partly = await signIn(functions, fresh.manager, fresh.organizationId, airtable)
    const kept =
      await sql`select 1 from public.integrations where organization_id = ${fresh.organizationId}`
    const wholly = await signIn(functions, fresh.manager, fresh.organizationId, airtable)

    expect(partly.error).toBe('oauth_scope_missing')
    expect(kept).toEqual([])
    expect(wholly.error).toBeNull()
  })
})

describe('asking to sign in', () => {
  const request = (airtable: { settings: object }, more: Record<string, unknown>) => ({
    organization_id: team.organizationId,
    connector: 'airtable',
    settings: airtable.settings,
    return_url: RETURN_URL,
    ...more,
  })

  it.each([
    'https://evil.example/settings',
    'https://app.example.com/settingsx',
    'https://app.example.com.evil.example/settings',
    'https://app.example.com@evil.example/settings',
    'http://app.example.com/settings',
    'https://app.example.com/other',
    'http://127.0.0.1:3998/',
    'javascript:alert(1)',
  ])('to come back to %s is refused, and to the app is not', async (return_url) => {
    const airtable = await openAirtable(functions)

    const refused = await call(
      team.manager,
      '/integrations/connect',
      request(airtable, { return_url }),
    )
    const accepted = await call(
      team.manager,
      '/integrations/connect',
      request(airtable, { return_url: 'https://app.example.com/settings/accounts?x=1' }),
    )

    expect(refused.status).toBe(400)
    expect(['return_url_refused', 'invalid_request']).toContain(refused.body.code)
    expect(accepted.status).toBe(200)
  })

  it('needs a return address, and takes no credentials beside it', async () => {
    const airtable = await openAirtable(functions)

    const neither = await call(
      team.manager,
      '/integrations/connect',
      request(airtable, { return_url: undefined }),
    )
    const keys = await call(
      team.manager,
      '/integrations/connect',
      request(airtable, { return_url: undefined, credentials: {} }),
    )
    const both = await call(
      team.manager,
      '/integrations/connect',
      request(airtable, { credentials: {} }),
    )

    expect(neither.body.code).toBe('invalid_request')
    expect(keys.body.code).toBe('sign_in_required')
    expect(both.body.code).toBe('invalid_request')
  })

  it('is for owners and managers', async () => {
    const airtable = await openAirtable(functions)

    const answers = await Promise.all(
      [team.owner, team.manager, team.member, team.viewer].map((person) =>
        call(person, '/integrations/connect', request(airtable, {}))
      ),
    )

    expect(answers.map(({ status }) => status)).toEqual([200, 200, 403, 403])
  })

  it('keeps neither the state nor the verifier where a table can be read', async () => {
    const airtable = await openAirtable(functions)

    const { authorization_url } = await beginSignIn(
      functions,
      team.manager,
      team.organizationId,
      airtable,
    )

    const state = new URL(authorization_url).searchParams.get('state')!
    const [row] = await sql`
      select to_jsonb(started)::text as row, decrypted_secret as verifier
      from private.oauth_states as started
      join vault.decrypted_secrets as secret on secret.id = started.verifier_secret_id
      where state_hash = decode(${hashOf(state)}, 'hex')`
    expect(state).toMatch(/^[\w-]{43}$/)
    expect(row?.verifier).toMatch(/^[\w-]{43,128}$/)
    expect(row?.row).not.toContain(state)
    expect(row?.row).not.toContain(row?.verifier)
  })
})

describe('finishing in the app', () => {
  const begin = (airtable: Awaited<ReturnType<typeof openAirtable>>) =>
    beginSignIn(functions, team.manager, team.organizationId, airtable, { finish_in: 'app' })

  it('is for the user who began it: somebody else’s is refused, and stays good', async () => {
    const airtable = await openAirtable(functions)
    const { authorization_url } = await begin(airtable)
    const page = await browser().authorize(authorization_url, { stopAt: RETURN_URL })
    const parameters = Object.fromEntries(new URL(page.url).searchParams)

    const others = await call(team.owner, '/oauth-callback', { parameters })
    const own = await call<Integration>(team.manager, '/oauth-callback', { parameters })
    const again = await call(team.manager, '/oauth-callback', { parameters })

    expect(others).toMatchObject({ status: 403, body: { code: 'oauth_state_not_yours' } })
    expect(own).toMatchObject({ status: 200, body: { status: 'connected' } })
    expect(again).toMatchObject({ status: 409, body: { code: 'oauth_state_used' } })
  })

  it('is not possible for a sign-in that belongs to a browser', async () => {
    const airtable = await openAirtable(functions)
    const { authorization_url } = await beginSignIn(
      functions,
      team.manager,
      team.organizationId,
      airtable,
    )
    const state = new URL(authorization_url).searchParams.get('state')!

    const answer = await call(team.manager, '/oauth-callback', { parameters: { state, code: 'x' } })

    expect(answer).toMatchObject({ status: 400, body: { code: 'oauth_state_unknown' } })
  })
})

describe('signing in again', () => {
  it('keeps the integration, its streams and its rows, and leaves one set of secrets', async () => {
    const airtable = await openAirtable(functions)
    const fresh = await createTeam(database)
    const first = await signIn(functions, fresh.manager, fresh.organizationId, airtable, {
      connect: { name: 'Kept name' },
    })
    await call(fresh.manager, '/sync', { integration_id: first.integration_id, stream: 'contacts' })
    const count = async () => {
      // a verifier goes two minutes after its code was exchanged
      await sql`update private.oauth_states set used_at = used_at - interval '3 minutes'`
      await functions.remote.runCron('look-after-integrations')
      return await sql`select count(*)::int as count from vault.secrets`
    }
    const [before] = await count()

    const { body } = await call<{ authorization_url: string }>(
      fresh.manager,
      '/integrations/reconnect',
      { integration_id: first.integration_id, return_url: RETURN_URL },
    )
    const again = await follow(body.authorization_url)

    const [after] = await count()
    const [rows] = await sql`
      select count(*)::int as count from public.contacts where integration_id = ${first.integration_id}`
    const [stream] = await sql`
      select cursor from public.sync_streams where integration_id = ${first.integration_id} and stream = 'contacts'`
    expect(again).toMatchObject({ integration_id: first.integration_id, error: null })
    expect(await read(first.integration_id)).toMatchObject({
      name: 'Kept name',
      status: 'connected',
    })
    expect(rows?.count).toBe(30)
    expect(stream?.cursor).not.toBeNull()
    expect(after?.count).toBe(before?.count)
  })

  it('keeps what a manager has changed meanwhile, and is written down', async () => {
    const airtable = await openAirtable(functions)
    const fresh = await createTeam(database)
    const first = await signIn(functions, fresh.manager, fresh.organizationId, airtable)
    const { body } = await call<{ authorization_url: string }>(
      fresh.manager,
      '/integrations/reconnect',
      { integration_id: first.integration_id, return_url: RETURN_URL },
    )
    const settings = { ...airtable.settings, tables: ['Inventory'] }
    await call(fresh.manager, '/integrations/update', {
      integration_id: first.integration_id,
      settings,
    })

    await follow(body.authorization_url)

    expect((await read(first.integration_id))?.settings).toMatchObject({ tables: ['Inventory'] })
    const actions = await sql`
      select action from public.activity_logs where subject_id = ${first.integration_id} order by created_at`
    expect(actions.map(({ action }) => action)).toContain('integration.reconnected')
  })

  it('is the only way to new access: credentials are refused, and the token stays', async () => {
    const airtable = await openAirtable(functions)
    const fresh = await createTeam(database)
    const { integration_id } = await signIn(
      functions,
      fresh.manager,
      fresh.organizationId,
      airtable,
    )

    const refused = await call(fresh.manager, '/integrations/update', {
      integration_id,
      credentials: {},
    })
    const check = await call(fresh.manager, '/integrations/check', { integration_id })

    expect(refused).toMatchObject({ status: 409, body: { code: 'sign_in_required' } })
    expect(check.body).toMatchObject({ status: 'healthy' })
  })

  it('connects the same account as the same integration also when asked to connect', async () => {
    const airtable = await openAirtable(functions)
    const fresh = await createTeam(database)

    const first = await signIn(functions, fresh.manager, fresh.organizationId, airtable)
    const second = await signIn(functions, fresh.owner, fresh.organizationId, airtable)

    expect(first.integration_id).not.toBeNull()
    expect(second.integration_id).toBe(first.integration_id)
  })
})

function functionsUrlOf(authorization_url: string): string {
  return authorization_url.slice(0, authorization_url.indexOf('/oauth-callback'))
}
