import { describe, expect, it, onTestFinished } from 'vitest'
import {
  type LinkedInSimulatorOptions,
  startLinkedInSimulator,
} from '../../scripts/simulators/linkedin.ts'
import { openAccount } from '../../supabase/functions/_shared/connectors/account.ts'
import { findAction } from '../../supabase/functions/_shared/connectors/define-connector.ts'
import { linkedin } from '../../supabase/functions/_shared/connectors/linkedin.ts'
import { readInput, runAction } from '../../supabase/functions/_shared/connectors/run-action.ts'
import {
  fixedGrant,
  memoryTokenCache,
} from '../../supabase/functions/_shared/connectors/token-cache.ts'
import { createHttpClient } from '../../supabase/functions/_shared/http/client.ts'
import { createLog } from '../../supabase/functions/_shared/platform/log.ts'
import { fakeClock } from '../support/fake-clock.ts'
import { signInAt } from '../support/sign-in-at.ts'
import { conformance } from './conformance.ts'
import { linkedinWebhooks } from './webhooks/linkedin.ts'

const URN = 'urn:li:share:7234567890123456001'

conformance(linkedin, {
  settings: {},
  credentials: {},
  account: { person_id: 'yrZCpj2Z12' },
  token: { access_token: 'token-of-ada' },
  streams: {},
  webhooks: linkedinWebhooks,
  actions: {
    post: {
      input: {
        text: 'New: *Crème* [sic] #launch @acme (50 % off) a_b <3 ~ \\o/ {x|y}',
        visibility: 'CONNECTIONS',
        link: { url: 'https://acme.example/launch', title: 'The launch' },
      },
      wrongInput: { input: { text: 'a'.repeat(3001) }, path: 'text' },
      requests: [{
        request: 'POST /rest/posts',
        body: {
          author: 'urn:li:person:yrZCpj2Z12',
          commentary:
            'New: \\*Crème\\* \\[sic\\] \\#launch \\@acme \\(50 % off\\) a\\_b \\<3 \\~ \\\\o/ \\{x\\|y\\}',
          visibility: 'CONNECTIONS',
          distribution: {
            feedDistribution: 'MAIN_FEED',
            targetEntities: [],
            thirdPartyDistributionChannels: [],
          },
          content: { article: { source: 'https://acme.example/launch', title: 'The launch' } },
          lifecycleState: 'PUBLISHED',
          isReshareDisabledByAuthor: false,
        },
      }],
      answers: [{ status: 201, headers: { 'x-restli-id': URN } }],
      output: { post_id: URN, permalink: `https://www.linkedin.com/feed/update/${URN}/` },
    },
    delete_post: {
      input: { post_id: URN },
      wrongInput: { input: { post_id: '7234567890123456001' }, path: 'post_id' },
      requests: [{ request: `DELETE /rest/posts/${encodeURIComponent(URN)}` }],
      answers: [{ status: 204 }],
      output: { post_id: URN, deleted: true },
    },
  },
})

/** A simulated LinkedIn and a member signed in there. */
async function setUp(
  { settings = {}, account = 'ada@acme.example', ...options }: LinkedInSimulatorOptions & {
    settings?: Record<string, unknown>
    account?: string
  } = {},
) {
  // of today, since tokens end by the real clock; at noon, so that midnight is far
  const clock = fakeClock(`${new Date().toISOString().slice(0, 10)}T12:00:00Z`)
  const network = await startLinkedInSimulator({ now: clock.now, ...options })
  onTestFinished(network.stop)
  const values = linkedin.readAccount({ settings, credentials: {} })
  const signing = signInAt(network, linkedin, values.settings)
  const token = await signing.signIn(account)
  const open = (facts: Record<string, string>) =>
    openAccount({
      connector: linkedin,
      ...values,
      account: facts,
      clock,
      tokens: memoryTokenCache(),
      grant: fixedGrant(token.access_token),
      overrides: { linkedin: { baseUrl: network.baseUrl } },
      http: createHttpClient({
        clock,
        allowPrivateNetworks: true,
        random: () => 0.5,
        timeoutMs: 500,
        log: createLog({}, () => {}),
      }),
    })
  const { account: facts, account_name } = await open({}).check()
  const act = async (name: string, input: Record<string, unknown>) => {
    const action = findAction(linkedin, name)
    return await runAction(action, readInput(action, input), {
      account: open(facts),
      settings: values.settings,
      facts,
      idempotency_key: 'key',
      now: clock.now(),
    })
  }
  return { network, signing, token, facts, account_name, values, act }
}

describe('a LinkedIn account', () => {
  it('is the member who signed in, told by their id', async () => {
    const { facts, account_name, values } = await setUp()

    expect({ facts, account_name }).toEqual({
      facts: { person_id: 'yrZCpj2Z12' },
      account_name: 'Ada Lovelace',
    })
    expect(linkedin.accountId({ ...values, account: facts })).toBe('yrZCpj2Z12')
  })

  it('is the page where the settings say so, and has to be named then', () => {
    const page = { post_as: 'page', organization_id: '2414183' }
    const values = linkedin.readAccount({ settings: page, credentials: {} })

    expect(linkedin.accountId({ ...values, account: { person_id: 'p' } })).toBe(
      'organization:2414183',
    )
    expect(() => linkedin.readAccount({ settings: { post_as: 'page' }, credentials: {} })).toThrow(
      expect.objectContaining({
        code: 'invalid_settings',
        errors: [expect.objectContaining({ path: 'settings.organization_id' })],
      }),
    )
  })

  it('is no page that the one who signs in does not administer', async () => {
    const page = (organization_id: string) => ({
      settings: { post_as: 'page', organization_id },
    })

    const own = await setUp(page('2414183'))

    expect(own.account_name).toBe('Ada Lovelace')
    await expect(setUp(page('2414184'))).rejects.toMatchObject({
      code: 'invalid_settings',
      errors: [{ path: 'settings.organization_id' }],
    })
    await expect(setUp({ ...page('2414183'), account: 'grace@acme.example' })).rejects
      .toMatchObject({ code: 'invalid_settings', detail: expect.stringContaining('2414183') })
  })

  it('is the page as it was typed where our app may not ask who administers it (403)', async () => {
    const settings = { post_as: 'page', organization_id: '2414183' }

    const { facts, network } = await setUp({ settings, pagesMayBeAsked: false })
    const confirmed = await setUp({ settings })

    expect(facts).toEqual({ person_id: 'yrZCpj2Z12', unproven: 'true' })
    expect(confirmed.facts).toEqual({ person_id: 'yrZCpj2Z12' })
    expect(network.requests.at(-1)).toMatchObject({ status: 403 })
  })

  it('gets no refresh token, unless LinkedIn has approved our app', async () => {
    const [most, approved] = [await setUp(), await setUp({ refreshTokens: true })]

    const refreshed = await approved.signing.refresh(approved.token.refresh_token!)

    expect(most.token).toMatchObject({ expires_in: 5_184_000 })
    expect(most.token.refresh_token).toBeUndefined()
    expect(refreshed.status).toBe(200)
  })
})

describe('posting on LinkedIn', () => {
  const text = 'Read *this* (really) #now \\ {or|never}'

  it('shows the text as it was written, and its id comes from the header of an empty answer', async () => {
    const { network, act } = await setUp()

    const outcome = await act('post', { text })

    const [post] = network.posts
    expect(post).toMatchObject({ commentary: text, author: 'urn:li:person:yrZCpj2Z12' })
    expect(outcome).toEqual({
      status: 'success',
      output: {
        post_id: post!.id,
        permalink: `https://www.linkedin.com/feed/update/${post!.id}/`,
      },
    })
  })

  it('twice is done once: the second answer names the post that is there already (422)', async () => {
    const { network, act } = await setUp()

    const first = await act('post', { text })
    const second = await act('post', { text })

    expect(second).toEqual(first)
    expect(network.posts).toHaveLength(1)
  })

  it('whose answer was lost is unknown, and posting again finds it', async () => {
    const { network, act } = await setUp()
    network.control.setFault({ kind: 'lost_answer', path: '/rest/posts' })

    const lost = await act('post', { text })
    const again = await act('post', { text })

    expect(lost).toMatchObject({ status: 'unknown' })
    expect(again).toMatchObject({ status: 'success', output: { post_id: network.posts[0]!.id } })
    expect(network.posts).toHaveLength(1)
  })

  it('refused for another reason (422) has failed', async () => {
    const { network, act } = await setUp()
    network.control.setFault({
      kind: 'status',
      status: 422,
      path: '/rest/posts',
      body: '{"message":"ERROR :: /author :: does not exist"}',
    })

    expect(await act('post', { text })).toMatchObject({
      status: 'failed',
      error: { code: 'provider_rejected' },
    })
  })

  it('as a page works for who administers it, and for nobody else', async () => {
    const settings = { post_as: 'page', organization_id: '2414183' }
    const [administrator, other] = [
      await setUp({ settings }),
      await setUp({ settings, account: 'grace@acme.example', pagesMayBeAsked: false }),
    ]

    expect(await administrator.act('post', { text })).toMatchObject({ status: 'success' })
    expect(administrator.network.posts[0]).toMatchObject({ author: 'urn:li:organization:2414183' })
    expect(await other.act('post', { text })).toMatchObject({
      status: 'failed',
      error: { code: 'provider_forbidden' },
    })
  })

  it('with an API version that LinkedIn has ended (426) asks the owner for a newer one', async () => {
    const [ended, current] = [
      await setUp({ settings: { api_version: '202501' } }),
      await setUp({ settings: { api_version: '202608' } }),
    ]

    expect(await ended.act('post', { text })).toMatchObject({
      status: 'failed',
      error: { code: 'invalid_settings', next: 'owner', detail: expect.stringContaining('202501') },
    })
    expect(await current.act('post', { text })).toMatchObject({ status: 'success' })
  })

  it('beyond the day’s quota (429) is refused until midnight, UTC, and not tried again before', async () => {
    const { network, act } = await setUp()
    network.control.postsLeft(1)

    const [first, second] = [await act('post', { text }), await act('post', { text: 'More' })]

    expect(first).toMatchObject({ status: 'success' })
    expect(second).toMatchObject({ status: 'failed', error: { code: 'provider_rate_limited' } })
    expect(network.requests.filter(({ status }) => status === 429)).toHaveLength(1)
    const failure = linkedin.failure({
      status: 429,
      headers: new Headers(),
      body: { message: 'throttle MEMBER DAY limit is reached' },
      now: new Date('2026-11-20T21:30:00Z'),
    })
    expect(failure).toMatchObject({ retryAfterMs: 2.5 * 3_600_000 })
  })
})

describe('deleting a LinkedIn post', () => {
  it('ends in the same state however often', async () => {
    const { network, act } = await setUp()
    await act('post', { text: 'Gone soon' })
    const post_id = network.posts[0]!.id

    const outcomes = [await act('delete_post', { post_id }), await act('delete_post', { post_id })]

    expect(outcomes).toMatchObject([{ status: 'success' }, { status: 'success' }])
    expect(network.posts).toEqual([])
  })
})
