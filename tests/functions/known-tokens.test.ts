// Where can a token be found after everything an account can go through? In Vault, and nowhere else.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { browser } from '../../scripts/simulators/parts/oauth/browser.ts'
import { inParallel } from '../../supabase/functions/_shared/platform/in-parallel.ts'
import { useFunctions } from '../support/functions.ts'
import { createTeam, type Team } from '../support/people.ts'
import { beginSignIn, openAirtable, RETURN_URL, signIn } from '../support/sign-in.ts'

const functions = useFunctions()
const { call, database } = functions
const { admin: sql } = database
let team: Team
beforeAll(async () => {
  team = await createTeam(database)
})

/** Every row of every table but Vault's, as text, that contains one of these. */
async function placesOf(secrets: string[]): Promise<string[]> {
  const tables = await sql<{ name: string }[]>`
    select format('%I.%I', namespace.nspname, class.relname) as name
    from pg_class as class join pg_namespace as namespace on namespace.oid = class.relnamespace
    where class.relkind in ('r', 'p', 'm') and namespace.nspname not in ('pg_catalog', 'information_schema', 'vault', 'pg_toast')`
  const found: string[] = []
  for (const { name } of tables) {
    const [row] = await sql.unsafe(
      `select 1 from ${name} as held, unnest($1::text[]) as secret where position(secret in held::text) > 0 limit 1`,
      [secrets],
    )
    if (row) found.push(name)
  }
  return found
}

describe('tokens', () => {
  it('are in no table, event, error or log after connecting, refreshing, failing and disconnecting', async () => {
    const airtable = await openAirtable(functions)
    const issued = new Set<string>()
    const { integration_id } = await signIn(functions, team.manager, team.organizationId, airtable)
    const collect = async () => {
      const held = await sql<{ secret: string }[]>`
        select secret.decrypted_secret as secret
        from private.integration_credentials as held
        join private.oauth_grants as grants using (integration_id)
        join vault.decrypted_secrets as secret on secret.id in (held.token_secret_id, grants.refresh_token_secret_id)
        where integration_id = ${integration_id}`
      for (const { secret } of held) issued.add(secret)
    }
    await collect()
    // refreshed by a sync whose token has ended
    await sql`
      update private.integration_credentials set token_expires_at = now() where integration_id = ${integration_id}`
    await call(team.manager, '/sync', { integration_id, stream: 'contacts' })
    await collect()
    // refused by the platform, at the token endpoint and at the API
    airtable.oauth.control.failNextTokenCall({
      status: 400,
      body: { error: 'invalid_request', error_description: `bad token ${[...issued].at(-1)}` },
    })
    await sql`
      update private.integration_credentials set token_expires_at = now() where integration_id = ${integration_id}`
    await call(team.manager, '/integrations/check', { integration_id })
    airtable.oauth.control.revokeGrants()
    await sql`update private.oauth_grants set next_refresh_at = '-infinity' where integration_id = ${integration_id}`
    await call(team.manager, '/integrations/check', { integration_id })
    const checked = await call(team.manager, '/integrations/check', { integration_id })
    await collect()
    functions.keepSecret(...issued)

    const places = await placesOf([...issued])
    await call(team.manager, '/integrations/disconnect', { integration_id })
    const afterwards = await placesOf([...issued])
    const left = await sql`
      select 1 from vault.decrypted_secrets where decrypted_secret = any (${[...issued]})`

    expect(issued.size).toBeGreaterThanOrEqual(4) // two access tokens and two refresh tokens at least
    expect(checked.body).toMatchObject({ status: 'unhealthy' })
    expect(places).toEqual([])
    expect(afterwards).toEqual([])
    expect(left).toEqual([])
  })

  it('would be found: the search sees what does stand in a table', async () => {
    const marker = `marker-${crypto.randomUUID()}`
    await sql`update public.organizations set name = ${marker} where id = ${team.organizationId}`

    expect(await placesOf([marker])).toContain('public.organizations')
  })
})

describe('the callback', () => {
  const lands: { status: number; location: string | null }[] = []
  afterAll(() => {
    expect(lands.length).toBeGreaterThanOrEqual(1_000)
  })

  it('answers 1,000 queries without a 500 and leads nobody anywhere else', async () => {
    const airtable = await openAirtable(functions)
    const { authorization_url } = await beginSignIn(
      functions,
      team.manager,
      team.organizationId,
      airtable,
    )
    const url = new URL(authorization_url)
    const state = url.searchParams.get('state')!
    const base = url.origin + url.pathname.replace('/authorize', '')
    const word = fc.oneof(
      fc.constantFrom(
        'code',
        'state',
        'error',
        'iss',
        'return_url',
        'redirect_uri',
        'error_description',
        'hmac',
        'shop',
      ),
      fc.string({ maxLength: 20 }),
    )
    const value = fc.oneof(
      fc.constantFrom(
        state,
        'https://evil.example/',
        '//evil.example',
        "' or 1=1 --",
        '\u0000',
        '\r\nset-cookie: a=b',
        'access_denied',
        '%',
        '../../',
        '{}',
      ),
      fc.string({ maxLength: 200 }),
      fc.string({ unit: 'binary', maxLength: 50 }),
    )
    const query = fc.array(fc.tuple(word, value), { maxLength: 8 })
    const request = fc.record({
      query,
      authorize: fc.boolean(),
      cookie: fc.oneof(fc.constant(null), fc.string({ maxLength: 60 })),
    })

    const send = async (
      { query, authorize, cookie }: typeof request extends fc.Arbitrary<infer Value> ? Value
        : never,
    ) => {
      // half a surrogate cannot be sent, anything else is sent as it is
      const parameters = new URLSearchParams(
        query.map(([key, text]) => [key.toWellFormed(), text.toWellFormed()]),
      )
      const answer = await fetch(`${base}${authorize ? '/authorize' : ''}?${parameters}`, {
        redirect: 'manual',
        headers: cookie === null
          ? {}
          : { cookie: `plugboard-sign-in=${encodeURIComponent(cookie.toWellFormed())}` },
      })
      await answer.arrayBuffer()
      lands.push({ status: answer.status, location: answer.headers.get('location') })
    }
    await inParallel(fc.sample(request, { numRuns: 1_000, seed: 7 }), 16, send)

    expect(lands.filter(({ status }) => status >= 500)).toEqual([])
    const elsewhere = lands.flatMap(({ location }) => location === null ? [] : [new URL(location)])
      .filter(({ href, origin, pathname }) =>
        !href.startsWith(RETURN_URL.split('?')[0]!) &&
          // the authorization endpoint, for the one link that is good
          pathname !== '/oauth2/v1/authorize' || origin === 'https://evil.example'
      )
    expect(elsewhere).toEqual([])
  }, 60_000)

  it('is still good for whoever comes with the right query', async () => {
    const airtable = await openAirtable(functions)

    const landing = await signIn(functions, team.manager, team.organizationId, airtable, {
      browser: browser(),
    })

    expect(landing.error).toBeNull()
  })
})
