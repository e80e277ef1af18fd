// Where can a token be found after everything an account can go through? In Vault, and nowhere else.
import { beforeAll, describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { browser } from '../../scripts/simulators/parts/oauth/browser.ts'
import { hashOf, randomSecret } from '../../supabase/functions/_shared/oauth/secrets.ts'
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
  type Visit = {
    query: [string, string][]
    /** Beside the query, where the visit is of a sign-in. */
    code: string
    authorize: boolean
    cookie: string | null
  }

  /** Whatever may come by: now and then with this state, which is another browser's. */
  function strangeVisits(state: string): Visit[] {
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
    const cookie = fc.string({ maxLength: 60 })
      .map((text) => `plugboard-sign-in=${encodeURIComponent(text.toWellFormed())}`)
    const visit = fc.record({
      query: fc.array(fc.tuple(word, value), { maxLength: 8 }),
      code: value,
      authorize: fc.boolean(),
      cookie: fc.oneof(fc.constant(null), cookie),
    })
    return fc.sample(visit, { numRuns: 1_000, seed: 7 })
  }

  /** Sign-ins that the browser of this one has opened too; answers their states. */
  async function openLike(state: string, count: number): Promise<string[]> {
    const states = Array.from({ length: count }, randomSecret)
    const hashes = states.map(hashOf)
    await sql`
      insert into private.oauth_states
      select alike.* from private.oauth_states as opened, unnest(${hashes}::text[]) as hash,
        jsonb_populate_record(opened, jsonb_build_object('state_hash', '\\x' || hash)) as alike
      where opened.state_hash = decode(${hashOf(state)}, 'hex')`
    return states
  }

  it(
    'never fails or leads elsewhere: 1,000 queries, a third of them in a good sign-in',
    async () => {
      const airtable = await openAirtable(functions)
      const { authorization_url } = await beginSignIn(
        functions,
        team.manager,
        team.organizationId,
        airtable,
      )
      const link = new URL(authorization_url)
      const callback = link.origin + link.pathname.replace('/authorize', '')
      const state = link.searchParams.get('state')!
      const opened = await fetch(link, { redirect: 'manual' })
      const consent = opened.headers.get('location')!
      const cookie = opened.headers.getSetCookie()[0]!.split(';')[0]!
      const allowed = await browser().authorize(consent, { stopAt: `${callback}?` })
      const code = new URL(allowed.url).searchParams.get('code')!
      functions.keepSecret(code, state, cookie.split('=')[1]!)
      const visits = strangeVisits(state)
      const states = await openLike(state, 334)
      // every third comes with the state and cookie of a sign-in, most of them with one code
      for (const [n, own] of states.entries()) {
        const visit = visits[n * 3]!
        const others = visit.query.filter(([key]) => key !== 'state')
        const hasCode = others.some(([key]) => key === 'code')
        visit.query = [
          ['state', own],
          ...(hasCode ? [] : [['code', visit.code] as [string, string]]),
          ...others,
        ]
        visit.cookie = cookie
      }
      // and one has the good code, between parameters that want to lead it away
      Object.assign(visits[0]!, {
        query: [
          ['return_url', 'https://evil.example/'],
          ['state', states[0]!],
          ['code', code],
          ['redirect_uri', '//evil.example'],
        ],
        authorize: false,
      })

      const lands = await inParallel(visits, 16, async ({ query, authorize, cookie }) => {
        // half a surrogate cannot be sent, anything else is sent as it is
        const parameters = new URLSearchParams(
          query.map(([key, text]) => [key.toWellFormed(), text.toWellFormed()]),
        )
        const answer = await fetch(`${callback}${authorize ? '/authorize' : ''}?${parameters}`, {
          redirect: 'manual',
          headers: cookie === null ? {} : { cookie },
        })
        await answer.arrayBuffer()
        const location = answer.headers.get('location')
        return {
          status: answer.status,
          authorize,
          location: location === null ? null : new URL(location, callback),
        }
      })

      expect(lands.filter(({ status }) => status >= 500)).toEqual([])
      const pageOf = ({ origin, pathname }: URL) => origin + pathname
      const appPage = pageOf(new URL(RETURN_URL))
      // the simulator's, or nobody had pressed Allow there
      const platformPage = pageOf(new URL(consent))
      const redirects = lands.flatMap(({ authorize, location }) =>
        location ? [{ authorize, location, page: pageOf(location) }] : []
      )
      expect(
        redirects.filter(({ authorize, page }) =>
          page !== appPage && !(authorize && page === platformPage)
        ),
      ).toEqual([])
      // and the thousand went everywhere: to the platform, to the exchange of a code, back to the app
      const outcomes = Object.groupBy(
        redirects,
        ({ page, location: { searchParams } }) =>
          page === platformPage ? 'platform' : searchParams.get('error') ?? 'connected',
      )
      const count = (outcome: string) => outcomes[outcome]?.length ?? 0
      const { consents_given, codes_exchanged, codes_refused } = airtable.oauth.control.counters()
      expect({ consents_given, codes_exchanged, connected: count('connected') })
        .toEqual({ consents_given: 1, codes_exchanged: 1, connected: 1 })
      expect(redirects.length).toBeGreaterThanOrEqual(states.length)
      expect(count('platform')).toBeGreaterThanOrEqual(100)
      expect(count('oauth_response_invalid')).toBeGreaterThanOrEqual(10)
      expect(count('oauth_exchange_failed')).toBeGreaterThanOrEqual(50)
      expect(await placesOf([code, state, cookie.split('=')[1]!])).toEqual([])
      expect(codes_refused).toBeGreaterThanOrEqual(50)
    },
    120_000,
  )

  it('is still good for whoever comes with the right query', async () => {
    const airtable = await openAirtable(functions)

    const landing = await signIn(functions, team.manager, team.organizationId, airtable, {
      browser: browser(),
    })

    expect(landing.error).toBeNull()
  })
})
