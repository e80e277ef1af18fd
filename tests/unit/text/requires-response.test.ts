// Who waits for our answer? Those who ask, as far as words can tell, and no machine.
import { describe, expect, it } from 'vitest'
import {
  type Incoming,
  requiresResponse,
} from '../../../supabase/functions/_shared/text/requires-response.ts'

const asks = (body_text: string | null, more: Partial<Incoming> = {}) =>
  requiresResponse({ direction: 'inbound', body_text, ...more })

describe('a text that asks', () => {
  it.each([
    'Is the stool in stock?',
    'Is it in stock?! Thanks',
    'She said "is it there?"',
    'Please call me back tomorrow.',
    'Could you send the invoice',
    'Let me know when it ships',
    'ist der Stuhl lieferbar?',
    '在庫はありますか？よろしく。',
    'هل هو متوفر؟',
  ])('waits for an answer: %j', (text) => {
    expect(asks(text)).toBe(true)
  })

  it.each([
    null,
    '',
    'Thanks, that answers my question!',
    'Please find attached our price list.',
    'Please note that we are closed on Monday.',
    'Your order has shipped: https://shop.example/track?id=1',
    'It was 5?3 or so',
    'I am pleased with it.',
    'Can you believe it works, no reply needed',
  ])('and one that does not, does not: %j', (text) => {
    expect(asks(text)).toBe(false)
  })

  it('may ask in its subject alone', () => {
    expect(asks('See attachment', { subject: 'Invoice missing?' })).toBe(true)
    expect(asks('See attachment', { subject: 'Invoice' })).toBe(false)
  })

  it('asks in its own words: what it quotes was asked by us', () => {
    const reply =
      'Yes, thanks.\n\nOn Mon, 5 Jan 2026 at 9:00, Shop\n<shop@example.com> wrote:\n> Did it arrive?'

    expect(asks(reply)).toBe(false)
    expect(asks(`And the bill?\n${reply}`)).toBe(true)
  })
})

describe('nobody waits for an answer to', () => {
  it.each<[string, Partial<Incoming>]>([
    ['what we wrote', { direction: 'outbound' }],
    ['what others were asked', { isToUs: false }],
    ['a mailing list', { isMailingList: true }],
    ['a machine', { isAutomated: true }],
    ['a sender who reads nothing', { sender_address: 'no-reply@shop.example' }],
    ['one spelt otherwise', { sender_address: 'DoNotReply+7@shop.example' }],
    ['a bounce', { sender_address: 'mailer-daemon@mail.example' }],
  ])('%s', (_who, flags) => {
    expect(asks('Did it arrive?', flags)).toBe(false)
    expect(asks('Did it arrive?', { sender_address: 'noreen@shop.example' })).toBe(true)
  })
})

it('is wrong about questions that nobody means, and requests in other languages', () => {
  expect(asks('What a day, right? Anyway, all is well.')).toBe(true)
  expect(asks('Bitte rufen Sie mich zurück.')).toBe(false)
})
