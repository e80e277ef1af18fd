import { createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { ReceiverSecrets } from '../../../supabase/functions/_shared/webhooks/scheme.ts'
import { ADDRESS, ask, get, post, shared } from './ask.ts'

const SECRET = 'test_secret_0123456789'
const now = new Date(1_700_000_000_000)
const refused = (reason: string) => ({ kind: 'refused', reason })
const knowing = (app: ReceiverSecrets['app']): ReceiverSecrets => ({ ...shared, app })

describe('X asks for its token to be signed', () => {
  const secrets = knowing({ signing_secret: SECRET })
  const crc = (token: string, known = secrets) =>
    ask('x', get(`${ADDRESS}?crc_token=${encodeURIComponent(token)}`), known, now)

  it('and gets it', async () => {
    expect(await crc('crc_token_abc')).toEqual({
      kind: 'handshake',
      status: 200,
      contentType: 'application/json',
      body: '{"response_token":"sha256=Ot5o32tiP5Lam2u0CWbqAwTSU4Z3/yBOTuANgm/4qEE="}',
    })
  })

  it('but whoever asks for a webhook to be signed, so as to send it, gets nothing', async () => {
    expect(await crc('{"data":{}}')).toEqual(refused('malformed_challenge'))
    expect(await crc('')).toEqual(refused('malformed_challenge'))
    expect(await ask('x', get(ADDRESS), secrets, now)).toEqual(refused('malformed_challenge'))
    expect((await crc('crc_token_abc')).kind).toBe('handshake')
  })

  it('and what was signed for that is no webhook', async () => {
    const headers = {
      'x-twitter-webhooks-signature': 'sha256=Ot5o32tiP5Lam2u0CWbqAwTSU4Z3/yBOTuANgm/4qEE=',
    }

    expect(await ask('x', post('crc_token_abc', headers), secrets, now))
      .toEqual(refused('wrong_signature'))
  })

  it('and gets nothing where our app has no secret', async () => {
    expect(await crc('crc_token_abc', shared)).toEqual(refused('no_secret'))
    expect(await crc('crc_token_abc', knowing({ client_secret: SECRET })))
      .toEqual(refused('no_secret'))
  })
})

describe('LinkedIn asks for its code to be signed', () => {
  const secrets = knowing({ client_secret: SECRET })
  const ofCode = (code: string, known = secrets) =>
    ask('linkedin', get(`${ADDRESS}?challengeCode=${encodeURIComponent(code)}`), known, now)
  const code = '890e4665-4dfe-4ab1-b689-ed553bceeed0'

  it('and gets it', async () => {
    expect(await ofCode(code)).toEqual({
      kind: 'handshake',
      status: 200,
      contentType: 'application/json',
      body: JSON.stringify({
        challengeCode: code,
        challengeResponse: '527c8bbd8af0c1094001710bff65cebe3569c7f8113f54bc4733da9b1f7ce1bc',
      }),
    })
  })

  it('but whoever asks for a webhook to be signed, so as to send it, gets nothing', async () => {
    expect(await ofCode('hmacsha256={"notifications":[]}')).toEqual(refused('malformed_challenge'))
    expect(await ofCode('hmacsha256=')).toEqual(refused('malformed_challenge'))
    expect(await ofCode(code, shared)).toEqual(refused('no_secret'))
  })
})

describe('Slack asks for its word to be repeated', () => {
  const body = '{"type":"url_verification","token":"t","challenge":"3eZbrw1a"}'
  const sign = (content: string) =>
    `v0=${createHmac('sha256', SECRET).update(`v0:1700000000:${content}`).digest('hex')}`
  const headers = { 'x-slack-request-timestamp': '1700000000', 'x-slack-signature': sign(body) }
  const secrets = knowing({ signing_secret: SECRET })

  it('and hears it, as text', async () => {
    expect(await ask('slack', post(body, headers), secrets, now)).toEqual({
      kind: 'handshake',
      status: 200,
      contentType: 'text/plain; charset=utf-8',
      body: '3eZbrw1a',
    })
  })

  it('but nobody else does', async () => {
    expect(await ask('slack', post(body), secrets, now)).toEqual(refused('missing_signature'))
    expect(await ask('slack', post(body.replace('3e', '4e'), headers), secrets, now))
      .toEqual(refused('wrong_signature'))
  })

  it('and a webhook that holds no word is a webhook', async () => {
    const event = '{"type":"url_verification","challenge":7}'
    const signed = { ...headers, 'x-slack-signature': sign(event) }

    expect(await ask('slack', post(event, signed), secrets, now)).toEqual({ kind: 'verified' })
  })
})

describe('an address with a token', () => {
  const told: ReceiverSecrets = { ...shared, pathTokenMatches: true }

  it('lets in what is not signed, where the platform signs nothing', async () => {
    expect(await ask('path-token', post('{"a":1}'), told, now)).toEqual({ kind: 'verified' })
    expect(await ask('path-token', post('{"a":1}'), shared, now))
      .toEqual(refused('wrong_path_token'))
    expect(await ask('path-token', get(ADDRESS), told, now)).toEqual(refused('wrong_method'))
  })

  it.each(['GET', 'HEAD'])('is what Mailchimp looks for by %s', async (method) => {
    expect(await ask('mailchimp', get(ADDRESS, method), told, now))
      .toMatchObject({ kind: 'handshake', status: 200 })
    expect(await ask('mailchimp', get(ADDRESS, method), shared, now))
      .toEqual(refused('wrong_path_token'))
  })

  it('lets in what Mailchimp did not sign, until there is a secret', async () => {
    const webhook = post('type=subscribe')

    expect(await ask('mailchimp', webhook, told, now)).toEqual({ kind: 'verified' })
    expect(await ask('mailchimp', webhook, shared, now)).toEqual(refused('wrong_path_token'))
    expect(await ask('mailchimp', webhook, { ...told, signing: [SECRET] }, now))
      .toEqual(refused('missing_signature'))
  })

  it('is answered when Leafly calls it with nothing, and nothing is kept', async () => {
    const known = { ...told, signing: [SECRET] }

    expect(await ask('leafly', post(''), known, now))
      .toEqual({ kind: 'handshake', status: 200, contentType: 'text/plain', body: '' })
    expect(await ask('leafly', post(''), { ...known, pathTokenMatches: false }, now))
      .toEqual(refused('missing_signature'))
    expect(await ask('leafly', post('{}'), known, now)).toEqual(refused('missing_signature'))
    expect(await ask('leafly', post('', { 'x-leafly-signature': '0'.repeat(64) }), known, now))
      .toEqual(refused('wrong_signature'))
  })

  it('replaces no signature', async () => {
    for (const scheme of ['stripe', 'slack', 'shopify', 'hubspot', 'standard-webhooks'] as const) {
      expect((await ask(scheme, post('{}'), told, now)).kind).toBe('refused')
    }
  })
})
