import { describe, expect, it } from 'vitest'
import type { Webhooks } from '../../../supabase/functions/_shared/connectors/vocabulary/webhooks.ts'
import {
  inboundWebhook,
  readWebhook,
} from '../../../supabase/functions/_shared/webhooks/read-webhook.ts'
import {
  headersToKeep,
  keptHeaders,
} from '../../../supabase/functions/_shared/webhooks/verify-webhook.ts'
import { bytes } from './ask.ts'

const acme: Webhooks = {
  scheme: 'github',
  doors: [{ at: 'integration', setup: 'Put {address} there.' }],
  type: () => 'thing.changed',
  notices: () => [],
}
const received = (body: string, received_at = '2026-11-20T09:00:00Z') =>
  inboundWebhook({ headers: new Headers(), body: bytes(body), received_at: new Date(received_at) })
const notice = {
  account: null,
  stream: 'products' as const,
  source_id: 'p1',
  kind: 'changed' as const,
  occurred_at: '2026-11-20T09:00:00.000Z',
  dedupe_key: 'k1',
}

describe('a webhook that is read', () => {
  it('is known by its bytes where its platform numbers nothing', () => {
    const key = (body: string, at?: string) => readWebhook(acme, received(body, at)).dedupe_key

    expect(key('{"a":1}', '2026-11-21T09:00:00Z')).toBe(key('{"a":1}'))
    expect(key('{"a":1} ')).not.toBe(key('{"a":1}'))
    expect(readWebhook({ ...acme, dedupeKey: () => 'evt_1' }, received('')).dedupe_key).toBe(
      'evt_1',
    )
  })

  it('has a key that fits an index, however long the platform’s is', () => {
    const key = (text: string) =>
      readWebhook({ ...acme, dedupeKey: () => text }, received('{}')).dedupe_key

    expect(key('x'.repeat(500))).toBe('x'.repeat(500))
    expect(key('x'.repeat(501))).toMatch(/^sha256:[0-9a-f]{64}$/)
    expect(key('x'.repeat(501))).not.toBe(key('x'.repeat(502)))
    expect(key('a\0b')).not.toBe(key('a\0c'))
  })

  it.each([
    [null, 'unknown'],
    ['', 'unknown'],
    [' \n', 'unknown'],
    ['products/update', 'products/update'],
    ['a\r\nb\0é', 'a b'],
    ['x'.repeat(300), 'x'.repeat(200)],
  ])('has a type that is one line (%j)', (said, type) => {
    expect(readWebhook({ ...acme, type: () => said }, received('{}')).type).toBe(type)
  })

  it('names each account once, and leaves out records that can have no row', () => {
    const webhook = readWebhook({
      ...acme,
      accounts: () => ['a', 'b', 'a'],
      notices: () => [
        notice,
        { ...notice, source_id: '' },
        { ...notice, source_id: 'x'.repeat(501) },
        { ...notice, source_id: null, whole_stream: true },
      ],
    }, received('{}'))

    expect(webhook.accounts).toEqual(['a', 'b'])
    expect(webhook.notices.map(({ source_id }) => source_id)).toEqual(['p1', null])
  })
})

it('what verified a webhook, and what tells what it holds, is kept of its headers', () => {
  expect(headersToKeep('slack')).toEqual([
    'content-type',
    'x-slack-signature',
    'x-slack-request-timestamp',
  ])
  expect(headersToKeep('github', ['x-github-event'])).toEqual([
    'content-type',
    'x-hub-signature-256',
    'x-github-event',
  ])
})

it('a token that vouches for any body is not kept', () => {
  expect(headersToKeep('google-oidc')).toEqual(['content-type'])
})

it('what opens other doors is not kept either, whoever asks for it', () => {
  const headers = new Headers({ cookie: 'c', authorization: 'a', 'x-topic': 't', 'x-other': 'o' })

  expect(keptHeaders('mailchimp', headers, ['authorization', 'x-topic', 'cookie', 'x-absent']))
    .toEqual({ 'x-topic': 't' })
})
