// Published and computed vectors of each platform, and what may not pass for them.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type {
  InboundRequest,
  ReceiverSecrets,
  RefusalReason,
  WebhookScheme,
} from '../../../supabase/functions/_shared/webhooks/scheme.ts'
import { ask, bytes, post, shared } from './ask.ts'

const SECRET = 'test_secret_0123456789'
const BODY = '{"hello":"world","n":1}'
/** As HubSpot's older versions have to be: a list. */
const EVENTS = '[{"portalId":62515,"eventId":1}]'
const SECONDS = '1700000000'
const now = (seconds: number) => new Date((1_700_000_000 + seconds) * 1000)

const own = (...signing: string[]): ReceiverSecrets => ({ ...shared, signing })
const app = (name: 'client_secret' | 'signing_secret', value = SECRET): ReceiverSecrets => ({
  ...shared,
  app: { client_id: 'our-app', [name]: value },
})

type Vector = {
  name: string
  scheme: WebhookScheme
  secrets: ReceiverSecrets
  /** The same with another secret. */
  others: ReceiverSecrets
  /** The same with a new secret put before the old one. */
  rotating?: ReceiverSecrets
  headers: Record<string, string>
  body?: string
  url?: string
  /** The header that carries the signature. */
  header: string
  /** It has no time of its own otherwise. */
  isTimed?: boolean
}

const ownKey = (secret = SECRET) => ({
  secrets: own(secret),
  others: own('another_secret_012345'),
  rotating: own('a_newer_secret_0123456', secret),
})
const appKey = (name: 'client_secret' | 'signing_secret') => ({
  secrets: app(name),
  others: app(name, 'another_secret_012345'),
})

const VECTORS: Vector[] = [
  {
    name: 'Stripe',
    scheme: 'stripe',
    ...ownKey(),
    header: 'stripe-signature',
    headers: {
      'stripe-signature':
        `t=${SECONDS},v1=a3b10baf4a758fd8ea3003e0a365add13bc154f3e28a2ba3b31289a9affbd09b`,
    },
    isTimed: true,
  },
  {
    name: 'Slack',
    scheme: 'slack',
    ...appKey('signing_secret'),
    header: 'x-slack-signature',
    headers: {
      'x-slack-request-timestamp': SECONDS,
      'x-slack-signature': 'v0=82dc9a09151ad66b66dd1239a6bd9b77769b489c994e23bf36156f1c2ae7dc54',
    },
    isTimed: true,
  },
  {
    name: 'Shopify',
    scheme: 'shopify',
    ...appKey('client_secret'),
    header: 'x-shopify-hmac-sha256',
    headers: { 'x-shopify-hmac-sha256': 'GFf72on4P/A9jc6BEZkayb21cCt5STGsThvG5Gv+i8w=' },
  },
  {
    name: 'Shopify, the newer kind',
    scheme: 'shopify',
    ...ownKey(),
    header: 'shopify-hmac-sha256',
    headers: { 'shopify-hmac-sha256': 'GFf72on4P/A9jc6BEZkayb21cCt5STGsThvG5Gv+i8w=' },
  },
  {
    name: 'X',
    scheme: 'x',
    ...appKey('signing_secret'),
    header: 'x-twitter-webhooks-signature',
    headers: {
      'x-twitter-webhooks-signature': 'sha256=GFf72on4P/A9jc6BEZkayb21cCt5STGsThvG5Gv+i8w=',
    },
  },
  {
    name: 'GitHub',
    scheme: 'github',
    ...ownKey(),
    header: 'x-hub-signature-256',
    headers: {
      'x-hub-signature-256':
        'sha256=1857fbda89f83ff03d8dce8111991ac9bdb5702b794931ac4e1bc6e46bfe8bcc',
    },
  },
  {
    name: "GitHub's own example",
    scheme: 'github',
    ...ownKey("It's a Secret to Everybody"),
    header: 'x-hub-signature-256',
    headers: {
      'x-hub-signature-256':
        'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17',
    },
    body: 'Hello, World!',
  },
  {
    name: 'Leafly',
    scheme: 'leafly',
    ...ownKey(),
    header: 'x-leafly-signature',
    headers: {
      'x-leafly-signature': '1857fbda89f83ff03d8dce8111991ac9bdb5702b794931ac4e1bc6e46bfe8bcc',
    },
  },
  {
    name: 'LinkedIn',
    scheme: 'linkedin',
    ...appKey('client_secret'),
    header: 'x-li-signature',
    headers: {
      'x-li-signature': '62c989ad76c591ab6c0be8d9fc9611e5d38b22a12a07181cd862a069b1b2755a',
    },
  },
  {
    name: 'HubSpot v3',
    scheme: 'hubspot',
    ...appKey('client_secret'),
    url: 'https://app.example.com/hooks/hubspot?a=b',
    header: 'x-hubspot-signature-v3',
    headers: {
      'x-hubspot-request-timestamp': `${SECONDS}000`,
      'x-hubspot-signature-v3': '+7kWzmJ+kPBMbekgrzKoNtCJqyDJBJKAh6Vger+QKcY=',
    },
    isTimed: true,
  },
  {
    name: 'HubSpot v2',
    scheme: 'hubspot',
    ...appKey('client_secret'),
    url: 'https://app.example.com/hooks/hubspot?a=b',
    header: 'x-hubspot-signature',
    body: EVENTS,
    headers: {
      'x-hubspot-signature-version': 'v2',
      'x-hubspot-signature': '940b23efa905a0c7f13821c48c87129b7fe9bdad02f194e9dc0ebeb5bbf3ead1',
    },
  },
  {
    name: 'HubSpot v1, to a private app',
    scheme: 'hubspot',
    ...ownKey(),
    header: 'x-hubspot-signature',
    body: EVENTS,
    headers: {
      'x-hubspot-signature-version': 'v1',
      'x-hubspot-signature': 'ec52fd2ff675333169cad26e8eb564161c216114188e24d619f2b58ef6e020f3',
    },
  },
  {
    name: 'Mailchimp',
    scheme: 'mailchimp',
    ...ownKey(),
    header: 'x-mailchimp-signature',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      'x-mailchimp-signature':
        `t=${SECONDS},v1=2826d1e731eba1746cae95a3670d5b5652e56d904c9028cfa901a131ddb02854`,
    },
    body: 'type=subscribe&fired_at=2026-11-20+08%3A00%3A00&data%5Bemail%5D=a%40example.com',
    isTimed: true,
  },
  {
    name: 'Airtable',
    scheme: 'airtable',
    secrets: own('dGVzdF9zZWNyZXRfMDEyMzQ1Njc4OQ=='),
    others: own('YW5vdGhlcl9zZWNyZXRfMDEyMzQ1'),
    rotating: own('YW5vdGhlcl9zZWNyZXRfMDEyMzQ1', 'dGVzdF9zZWNyZXRfMDEyMzQ1Njc4OQ=='),
    header: 'x-airtable-content-mac',
    headers: {
      'x-airtable-content-mac':
        'hmac-sha256=a1b6cddc5a185440efdb2d290f25befead1c25def7c60f3506bc9232142dac3c',
    },
    body:
      '{"base":{"id":"appEXAMPLE00000001"},"webhook":{"id":"achEXAMPLE00000001"},"timestamp":"2026-11-20T08:00:00.000Z"}',
  },
  {
    name: 'X-Webhook-Signature',
    scheme: 'x-webhook-signature',
    ...ownKey(),
    header: 'x-webhook-signature',
    headers: {
      'x-webhook-signature': '1857fbda89f83ff03d8dce8111991ac9bdb5702b794931ac4e1bc6e46bfe8bcc',
    },
  },
]

describe.each(VECTORS)('a webhook of $name', (vector) => {
  const { scheme, secrets, others, rotating, headers, header, isTimed } = vector
  const request = post(vector.body ?? BODY, headers, vector.url)
  const answer = (given: InboundRequest = request, known = secrets, at = 0) =>
    ask(scheme, given, known, now(at))
  const refusal = (reason: RefusalReason) => ({ kind: 'refused', reason })
  const verified = { kind: 'verified' }

  it('is believed as its platform signs it', async () => {
    expect(await answer()).toEqual(verified)
  })

  it('is refused once a single bit of its body is another', async () => {
    const flipped = Uint8Array.from(request.body)
    flipped[5]! ^= 1

    expect(await answer({ ...request, body: flipped })).toEqual(refusal('wrong_signature'))
  })

  it('is refused without a body, and with another byte behind it', async () => {
    expect((await answer({ ...request, body: bytes('') })).kind).toBe('refused')
    const longer = { ...request, body: bytes(`${vector.body ?? BODY}\n`) }
    expect(await answer(longer)).toEqual(refusal('wrong_signature'))
  })

  it('is refused with another secret, and believed with the old one while it is replaced', async () => {
    expect(await answer(request, others)).toEqual(refusal('wrong_signature'))
    if (rotating) expect(await answer(request, rotating)).toEqual(verified)
  })

  it('is refused where no secret is known, or an empty one, whatever the address', async () => {
    for (const nothing of [shared, own(''), { ...shared, app: {} }]) {
      const known = { ...nothing, pathTokenMatches: scheme !== 'mailchimp' }
      expect((await answer(request, known)).kind).toBe('refused')
    }
  })

  it('is refused without its signature, and with what is none', async () => {
    const signed = headers[header]!
    for (const broken of ['', 'x', signed.slice(0, -1), `${signed}0`, signed.slice(1), '=', ',']) {
      const changed = post(vector.body ?? BODY, { ...headers, [header]: broken }, vector.url)
      expect((await answer(changed)).kind, broken).toBe('refused')
    }
    const { [header]: _, ...unsigned } = headers
    expect(await answer(post(vector.body ?? BODY, unsigned, vector.url)))
      .toEqual(refusal('missing_signature'))
  })

  it('is believed whatever the case of its headers', async () => {
    const shouted = Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name.toUpperCase(), value]),
    )

    expect(await answer(post(vector.body ?? BODY, shouted, vector.url))).toEqual(verified)
  })

  it.each(['PUT', 'PATCH', 'DELETE', 'OPTIONS'])('is refused as %s', async (method) => {
    expect(await answer({ ...request, method })).toEqual(refusal('wrong_method'))
  })

  if (isTimed) {
    it.each([-300, 300])('is believed %i s from its time', async (seconds) => {
      expect(await answer(request, secrets, seconds)).toEqual(verified)
    })

    it.each([-301, 301])('is refused %i s from its time', async (seconds) => {
      expect(await answer(request, secrets, seconds)).toEqual(refusal('timestamp_out_of_tolerance'))
    })

    it('is refused with another time than it was signed with', async () => {
      const later = Object.fromEntries(
        Object.entries(headers).map(([name, value]) => [
          name,
          value.replace('1700000000', '1700000001'),
        ]),
      )

      expect(await answer(post(vector.body ?? BODY, later, vector.url)))
        .toEqual(refusal('wrong_signature'))
    })

    it.each(['', '1e9', '1700000000.0', '-1700000000', ' ', 'NaN', '9'.repeat(30)])(
      'is refused at the time "%s"',
      async (time) => {
        const changed = Object.fromEntries(
          Object.entries(headers).map(([name, value]) => [
            name,
            value.replace(/^(t=)?1700000000(?:000)?/, `$1${time}`),
          ]),
        )

        expect((await answer(post(vector.body ?? BODY, changed, vector.url))).kind).toBe('refused')
      },
    )
  } else {
    it('is believed years later: its platform gives it no time', async () => {
      expect(await answer(request, secrets, 3e8)).toEqual(verified)
    })
  }
})

describe('a list of signatures', () => {
  const good = 'v1=a3b10baf4a758fd8ea3003e0a365add13bc154f3e28a2ba3b31289a9affbd09b'
  const bad = `v1=${'0'.repeat(64)}`
  const stripe = (header: string) =>
    ask('stripe', post(BODY, { 'stripe-signature': header }), own(SECRET), now(0))

  it('is good with one that fits, wherever it stands', async () => {
    const many = Array.from({ length: 1000 }, () => bad)

    expect(await stripe(`t=${SECONDS},${[...many, good].join(',')}`)).toEqual({ kind: 'verified' })
    expect(await stripe(`${good}, t=${SECONDS}, v0=whatever`)).toEqual({ kind: 'verified' })
    expect(await stripe(`t=${SECONDS},${many.join(',')}`)).toMatchObject({ kind: 'refused' })
  })

  it('is refused with a good one of another version, and with two times', async () => {
    expect(await stripe(`t=${SECONDS},${good.replace('v1', 'v0')}`))
      .toEqual({ kind: 'refused', reason: 'malformed_signature' })
    expect(await stripe(`t=${SECONDS},t=1,${good}`))
      .toEqual({ kind: 'refused', reason: 'malformed_timestamp' })
  })
})

describe('HubSpot', () => {
  const signed = {
    'x-hubspot-request-timestamp': `${SECONDS}000`,
    'x-hubspot-signature-v3': '+7kWzmJ+kPBMbekgrzKoNtCJqyDJBJKAh6Vger+QKcY=',
  }
  const v1 = {
    'x-hubspot-signature-version': 'v1',
    'x-hubspot-signature': 'ec52fd2ff675333169cad26e8eb564161c216114188e24d619f2b58ef6e020f3',
  }
  const hubspot = (headers: Record<string, string>, url: string, body = BODY) =>
    ask('hubspot', post(body, headers, url), app('client_secret'), now(0))
  const called = 'https://app.example.com/hooks/hubspot?a=b'

  it('signs the address: the same webhook at another one is refused', async () => {
    expect(await hubspot(signed, called)).toEqual({ kind: 'verified' })
    for (const other of ['?a=c', '', '?a=b&c=d']) {
      expect(await hubspot(signed, `https://app.example.com/hooks/hubspot${other}`))
        .toMatchObject({ kind: 'refused' })
    }
  })

  it('signs an address with some of its escapes decoded', async () => {
    expect(await hubspot(signed, 'https://app.example.com%2Fhooks%2fhubspot?a=b'))
      .toEqual({ kind: 'verified' })
    expect(await hubspot(signed, 'https://app.example.com/hooks/hubspot?%61=b'))
      .toMatchObject({ kind: 'refused' })
  })

  it('is not believed by an older signature where the newest one is there and wrong', async () => {
    expect(await hubspot(v1, called, EVENTS)).toEqual({ kind: 'verified' })
    expect(await hubspot({ ...v1, ...signed }, `${called}c`))
      .toEqual({ kind: 'refused', reason: 'wrong_signature' })
  })

  it('is refused with a version nobody knows', async () => {
    expect(await hubspot({ ...v1, 'x-hubspot-signature-version': 'constructor' }, called))
      .toEqual({ kind: 'refused', reason: 'malformed_signature' })
  })
})

describe('whatever comes', () => {
  const names = [...new Set(VECTORS.map(({ scheme }) => scheme)), 'standard-webhooks'] as const
  const headerNames = [...new Set(VECTORS.flatMap(({ headers }) => Object.keys(headers)))]
  const piece = fc.constantFrom(
    't=',
    'v1=',
    'v1,',
    'v0=',
    'sha256=',
    ',',
    ' ',
    SECONDS,
    'A'.repeat(43),
  )
  const value = fc.oneof(
    fc.string(),
    fc.array(fc.oneof(piece, fc.string())).map((pieces) => pieces.join('')),
  ).map((text) => text.replaceAll(/[^\x20-\x7e]/g, ''))

  it.each(names)('%s answers, and believes nothing', async (scheme) => {
    await fc.assert(fc.asyncProperty(
      fc.dictionary(
        fc.constantFrom(...headerNames, 'webhook-id', 'webhook-timestamp', 'webhook-signature'),
        value,
      ),
      fc.oneof(fc.constant(BODY), fc.string()),
      fc.oneof(fc.constant('POST'), fc.constant('GET'), fc.string()),
      fc.oneof(fc.webUrl({ withQueryParameters: true }), fc.string()),
      async (headers, body, method, url) => {
        const secrets = { ...own(SECRET), app: { client_secret: SECRET, signing_secret: SECRET } }
        const request = { ...post(body, headers), method, url }

        expect(await ask(scheme, request, secrets, now(0))).toMatchObject({ kind: 'refused' })
      },
    ))
  })
})

it("our app's secret counts beside the receiver's own, where the account is our app's", async () => {
  const headers = { 'x-shopify-hmac-sha256': 'GFf72on4P/A9jc6BEZkayb21cCt5STGsThvG5Gv+i8w=' }
  const signing = ['another_secret_012345']
  const both = { ...app('client_secret'), signing }

  expect(await ask('shopify', post(BODY, headers), both, now(0))).toEqual({ kind: 'verified' })
  expect(await ask('shopify', post(BODY, headers), { ...both, app: null }, now(0)))
    .toMatchObject({ kind: 'refused' })
})

it('a plain hash of HubSpot’s counts over nothing but a list, since longer bodies can be made for it', async () => {
  const signed = (body: string, signature: string) =>
    ask(
      'hubspot',
      post(body, { 'x-hubspot-signature-version': 'v1', 'x-hubspot-signature': signature }),
      own(SECRET),
      now(0),
    )

  expect(await signed(EVENTS, 'ec52fd2ff675333169cad26e8eb564161c216114188e24d619f2b58ef6e020f3'))
    .toEqual({
      kind: 'verified',
    })
  expect(await signed(BODY, 'e274111c89d47f86fe20376ccb731ae4801f4826a77561c3d7df2214c63c248f'))
    .toEqual({
      kind: 'refused',
      reason: 'wrong_signature',
    })
})
