// The body counts byte for byte, whatever is in it.
import fc from 'fast-check'
import { Webhook } from 'standardwebhooks'
import { describe, expect, it } from 'vitest'
import {
  generateKeyPair,
  generateSecret,
} from '../../../supabase/functions/_shared/webhooks/generate-keys.ts'
import { signatureHeaders } from '../../../supabase/functions/_shared/webhooks/sign.ts'
import { verify, verifyBytes } from '../../../supabase/functions/_shared/webhooks/verify.ts'
import {
  aWebhook,
  bytes,
  id,
  now,
  outcome,
  secret,
  signedByUs,
  text,
  timestamp,
  withHeaders,
} from './a-webhook.ts'

const { secretKey, publicKey } = generateKeyPair()

describe('the body', () => {
  it.each([
    ['CRLF', '{\r\n"a": 1\r\n}\r\n', '{\n"a": 1\n}\n'],
    ['a byte order mark', '\ufeff{"a": 1}', '{"a": 1}'],
    ['letters beyond ASCII', '{"a": "Grün 🌿"}', '{"a": "Gru\u0308n 🌿"}'],
    ['white space at its end', '{"a": 1} ', '{"a": 1}'],
  ])('counts byte for byte: with %s', async (_, body, changed) => {
    const message = aWebhook(body)

    expect(await outcome(verify(message, secret, { now }))).toBe('accepted')
    expect(await outcome(verify({ ...message, body: changed }, secret, { now })))
      .toBe('no_matching_signature')
  })

  it.each([secret, publicKey])('is verified when it is not UTF-8, with %.6s', async (key) => {
    const latin = Uint8Array.of(0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xfc, 0x22, 0x7d) // {"a":"ü"}
    const message = signedByUs(latin, secretKey)

    const verified = await verifyBytes(message, key, { now })

    expect(verified).toEqual({ id, timestamp, body: latin })
    expect(await outcome(verify(message, key, { now }))).toBe('invalid_json')
    // as it looks once somebody has made a text of it
    const body = new TextDecoder().decode(latin)
    expect(await outcome(verifyBytes({ ...message, body }, key, { now })))
      .toBe('no_matching_signature')
  })

  it('may be empty, which is no JSON', async () => {
    expect(await outcome(verifyBytes(aWebhook(''), secret, { now }))).toBe('accepted')
    expect(await outcome(verify(aWebhook(''), secret, { now }))).toBe('invalid_json')
  })

  it('is not parsed before it is verified', async () => {
    const message = withHeaders(aWebhook('{broken'), { 'webhook-signature': 'v1,AAAA' })

    expect(await outcome(verify(message, secret, { now }))).toBe('no_matching_signature')
    expect(await outcome(verify(aWebhook('{broken'), secret, { now }))).toBe('invalid_json')
  })

  it('is taken as a Request, a Buffer, an ArrayBuffer or a text', async () => {
    const { headers } = aWebhook()
    const url = 'https://app.example/webhooks'

    const forms = [
      new Request(url, { method: 'POST', headers, body: text }),
      { headers: new Headers(headers), body: text },
      { headers, body: Buffer.from(text) },
      { headers, body: bytes(text).buffer },
      { headers, body: bytes(`??${text}??`).subarray(2, -2) },
    ]

    const outcomes = await Promise.all(forms.map((form) => outcome(verify(form, secret, { now }))))
    expect(outcomes).toEqual(forms.map(() => 'accepted'))
  })

  it('has to be raw: what a parser has had is refused with a code of its own', async () => {
    const { headers } = aWebhook()
    const read = new Request('https://app.example/', { method: 'POST', headers, body: text })
    await read.text()
    const parsed = { headers, body: JSON.parse(text) }
    const none = { headers, body: undefined as unknown as string }

    await expect(verify(read, secret, { now })).rejects.toMatchObject({
      code: 'invalid_body',
      message: expect.stringContaining('has been read'),
    })
    expect(await outcome(verify(parsed, secret, { now }))).toBe('invalid_body')
    expect(await outcome(verify(none, secret, { now }))).toBe('invalid_body')
  })

  it('may have up to maxBytes, whether its length was announced or not', async () => {
    const { headers } = aWebhook()
    const init = { method: 'POST', headers, body: text }
    const announced = () =>
      new Request('https://app.example/', {
        ...init,
        headers: { ...headers, 'content-length': `${text.length}` },
      })
    const streamed = () => new Request('https://app.example/', init)
    const forms = [announced, streamed, () => ({ headers, body: text })]

    for (const form of forms) {
      const judge = (maxBytes: number) => outcome(verify(form(), secret, { now, maxBytes }))
      expect(await judge(text.length)).toBe('accepted')
      expect(await judge(text.length - 1)).toBe('body_too_large')
    }
  })

  it('is not even read when its announced length is too large', async () => {
    const { headers } = aWebhook()
    const request = new Request('https://app.example/', {
      method: 'POST',
      headers: { ...headers, 'content-length': `${text.length}` },
      body: text,
    })

    expect(await outcome(verify(request, secret, { now, maxBytes: 1 }))).toBe('body_too_large')
    expect(request.bodyUsed).toBe(false)
  })

  it.each([NaN, -1])('is never compared with a limit of %s', async (maxBytes) => {
    await expect(verify(aWebhook(), secret, { now, maxBytes })).rejects.toThrow(RangeError)
  })

  it('may have a mebibyte when nothing else is said', async () => {
    const body = JSON.stringify('x'.repeat(1024 * 1024 - 2))

    expect(await outcome(verify(signedByUs(bytes(body), secretKey), secret, { now }))).toBe(
      'accepted',
    )
    expect(await outcome(verify(signedByUs(bytes(body + ' '), secretKey), secret, { now }))).toBe(
      'body_too_large',
    )
  })
})

describe('any bytes', () => {
  const anyBody = fc.uint8Array({ maxLength: 2000 })
  const anyId = fc.stringMatching(/^[\w-]{1,40}$/)

  it('verify as they were signed, and with one flipped bit they do not', async () => {
    const property = fc.asyncProperty(
      anyBody,
      anyId,
      fc.nat({ max: 2 ** 31 }),
      fc.nat(),
      async (body, id, timestamp, flip) => {
        const secret = generateSecret()
        const options = { now: () => timestamp * 1000 }
        for (const part of [{ secrets: [secret] }, { secrets: [], ed25519Keys: [secretKey] }]) {
          const headers = signatureHeaders({ id, timestamp, body, ...part })
          const key = part.ed25519Keys ? publicKey : secret

          const verified = await verifyBytes({ headers, body }, key, options)
          expect(verified).toEqual({ id, timestamp, body })

          const signature = headers['webhook-signature']
          const [version, base64 = ''] = signature.split(',')
          const flippedSignature = `${version},${
            Buffer.from(flipped(Buffer.from(base64, 'base64'), flip)).toString('base64')
          }`
          const forged = [
            { headers: { ...headers, 'webhook-signature': flippedSignature }, body },
            { headers, body: body.length === 0 ? Uint8Array.of(0) : flipped(body, flip) },
            { headers: { ...headers, 'webhook-id': `${id}0` }, body },
          ]
          for (const message of forged) {
            expect(await outcome(verifyBytes(message, key, options))).toBe('no_matching_signature')
          }
        }
      },
    )
    await fc.assert(property, { numRuns: 100 })
  })

  it('of JSON are judged as the official library judges them', async () => {
    const property = fc.asyncProperty(fc.json(), anyId, async (body, id) => {
      const secret = generateSecret()
      const at = Math.floor(Date.now() / 1000) // the reference knows no other clock
      const ours = signatureHeaders({ id, timestamp: at, body: bytes(body), secrets: [secret] })
      const theirs = {
        'webhook-id': id,
        'webhook-timestamp': `${at}`,
        'webhook-signature': new Webhook(secret).sign(id, new Date(at * 1000), body),
      }

      expect(theirs).toEqual(ours)
      expect(new Webhook(secret).verify(body, ours)).toEqual(JSON.parse(body))
      expect((await verify({ headers: theirs, body }, secret)).payload).toEqual(JSON.parse(body))
    })
    await fc.assert(property, { numRuns: 100 })
  })
})

/** The bytes with one bit turned over. */
function flipped(bytes: Uint8Array, position: number): Uint8Array {
  const copy = Uint8Array.from(bytes)
  const bit = position % (copy.length * 8)
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7))
  return copy
}
