import { describe, expect, it } from 'vitest'
import {
  isWorthRetrying,
  jitteredDelay,
  readRetryAfter,
} from '../../../supabase/functions/_shared/http/retry.ts'
import { AppError, type ErrorCode } from '../../../supabase/functions/_shared/platform/errors.ts'

const now = new Date('2026-11-20T09:00:00Z')

describe('Retry-After', () => {
  it.each([
    ['7', 7_000],
    ['0', 0],
    [' 12 ', 12_000],
    ['Fri, 20 Nov 2026 09:00:30 GMT', 30_000],
    ['Friday, 20-Nov-26 09:00:30 GMT', 30_000],
    ['Fri, 20 Nov 2026 08:00:00 GMT', 0], // past: now
    ['999999999999', 2_147_483_647], // what a Postgres int holds
  ])('%j is %i ms', (text, expected) => {
    expect(readRetryAfter(new Headers({ 'retry-after': text }), now)).toBe(expected)
  })

  it.each(['', '-5', '1.5', 'soon', '1e9', '2026-11-20', '7, 8', 'Fri, 99 Nov'])(
    '%j means nothing',
    (text) => {
      expect(readRetryAfter(new Headers({ 'retry-after': text }), now)).toBeUndefined()
    },
  )

  it('may be missing', () => {
    expect(readRetryAfter(new Headers(), now)).toBeUndefined()
  })
})

describe('jitter', () => {
  it.each([[1, 250], [2, 500], [3, 1_000], [6, 8_000], [7, 10_000], [50, 10_000]])(
    'retry %i waits anything below %i ms',
    (retryCount, limit) => {
      expect(jitteredDelay(retryCount, () => 0)).toBe(0)
      expect(jitteredDelay(retryCount, () => 0.5)).toBe(limit / 2)
      expect(jitteredDelay(retryCount, () => 0.9999)).toBeLessThan(limit)
    },
  )
})

describe('what is sent again', () => {
  it.each<[ErrorCode, boolean, boolean]>([
    ['provider_rate_limited', true, true],
    ['provider_rate_limited', false, true], // 429: it was not carried out
    ['provider_unavailable', true, true],
    ['provider_unavailable', false, false], // nobody knows whether it was
    ['provider_timeout', true, true],
    ['provider_timeout', false, false],
    ['provider_unauthorized', true, false],
    ['provider_rejected', true, false],
    ['provider_bad_answer', true, false],
    ['provider_answer_too_large', true, false],
    ['circuit_open', true, false],
    ['private_network_refused', true, false],
  ])('%s with repeatable %s: %s', (code, repeatable, expected) => {
    expect(isWorthRetrying(new AppError(code), repeatable)).toBe(expected)
  })

  it('an error of our own code is never covered up by trying again', () => {
    expect(isWorthRetrying(new TypeError('bug'), true)).toBe(false)
  })
})
