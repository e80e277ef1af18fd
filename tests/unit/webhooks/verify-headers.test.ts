// Strange timestamps, ids and header names.
import { createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { verify } from '../../../supabase/functions/_shared/webhooks/verify.ts'
import { aWebhook, id, now, outcome, secret, text, timestamp, withHeaders } from './a-webhook.ts'

describe('webhook-timestamp', () => {
  it.each<[number, string]>([
    [-300, 'accepted'],
    [-301, 'timestamp_too_old'],
    [300, 'accepted'],
    [301, 'timestamp_too_new'],
  ])('%i s away', async (seconds, expected) => {
    const message = aWebhook(text, timestamp + seconds)

    expect(await outcome(verify(message, secret, { now }))).toBe(expected)
  })

  it('is compared with whole seconds: 300.999 s are 300', async () => {
    const later = () => (timestamp + 300) * 1000 + 999

    expect(await outcome(verify(aWebhook(), secret, { now: later }))).toBe('accepted')
  })

  it('is compared with the tolerance that was asked for', async () => {
    const message = aWebhook(text, timestamp - 11)

    expect(await outcome(verify(message, secret, { now, toleranceSeconds: 11 }))).toBe('accepted')
    expect(await outcome(verify(message, secret, { now, toleranceSeconds: 10 })))
      .toBe('timestamp_too_old')
  })

  it.each([NaN, -1])('is never compared with a tolerance of %s', async (toleranceSeconds) => {
    await expect(verify(aWebhook(), secret, { now, toleranceSeconds })).rejects.toThrow(RangeError)
  })

  it.each([
    '1614265330.0',
    '1614265330.5',
    '1614265330x',
    '1.61426533e9',
    '0x60379a72',
    '+1614265330',
    '-1614265330',
    ' 1614265330',
    '1614265330 ',
    '01614265330',
    '1_614_265_330',
    '１６１４２６５３３０',
    '1614265330, 1614265330',
    '9'.repeat(40),
    '1614265330\n',
  ])('%j is none, even when it was signed so', async (header) => {
    const key = Buffer.from(secret.replace('whsec_', ''), 'base64')
    const signature = createHmac('sha256', key).update(`${id}.${header}.${text}`).digest('base64')
    const message = withHeaders(aWebhook(), {
      'webhook-timestamp': header,
      'webhook-signature': `v1,${signature}`,
    })

    expect(await outcome(verify(message, secret, { now, toleranceSeconds: Infinity })))
      .toBe('invalid_header')
  })

  it('in milliseconds lies far ahead', async () => {
    const message = aWebhook(text, timestamp * 1000)

    expect(await outcome(verify(message, secret, { now }))).toBe('timestamp_too_new')
  })
})

describe('the headers', () => {
  it.each([
    ['Webhook-Id', 'Webhook-Timestamp', 'Webhook-Signature'],
    ['WEBHOOK-ID', 'WEBHOOK-TIMESTAMP', 'WEBHOOK-SIGNATURE'],
  ])('may be written %s', async (...names) => {
    const { headers, body } = aWebhook()
    const renamed = Object.values(headers).map((value, index) => [names[index], value])

    expect(await outcome(verify({ headers: Object.fromEntries(renamed), body }, secret, { now })))
      .toBe('accepted')
  })

  it('of another name do not count', async () => {
    const { headers, body } = aWebhook()
    const svix = Object.entries(headers).map(([name, value]) => [
      name.replace('webhook', 'svix'),
      value,
    ])

    expect(await outcome(verify({ headers: Object.fromEntries(svix), body }, secret, { now })))
      .toBe('missing_header')
  })

  it('may bring the signatures one by one, but neither two ids nor two timestamps', async () => {
    const { headers, body } = aWebhook()
    const twice = (name: string) => ({
      headers: { ...headers, [name]: [headers[name] ?? '', headers[name] ?? ''] },
      body,
    })

    expect(await outcome(verify(twice('webhook-signature'), secret, { now }))).toBe('accepted')
    expect(await outcome(verify(twice('webhook-id'), secret, { now }))).toBe('invalid_header')
    expect(await outcome(verify(twice('webhook-timestamp'), secret, { now }))).toBe(
      'invalid_header',
    )
  })

  it.each(['msg.1614265330', 'msg 1', 'müsli', 'msg\u0000'])(
    'may not bring %j as the id',
    async (header) => {
      const message = withHeaders(aWebhook(), { 'webhook-id': header })

      expect(await outcome(verify(message, secret, { now }))).toBe('invalid_header')
    },
  )
})
