import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AppError } from '../../../supabase/functions/_shared/platform/errors.ts'
import { createLog } from '../../../supabase/functions/_shared/platform/log.ts'

function recordingLog(bindings: Record<string, unknown> = {}) {
  const lines: string[] = []
  const log = createLog(bindings, (line) => lines.push(line))
  return { log, lines, last: () => JSON.parse(lines.at(-1) ?? 'null') }
}

const jwt = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl'

describe('log', () => {
  it('writes one JSON line a call, with time, level, message and every binding', () => {
    const { log, lines, last } = recordingLog({ request_id: 'r1' })

    log.with({ stream: 'products' }).warn('page\nskipped', { page: 3 })

    expect(lines).toHaveLength(1)
    expect(lines[0]).not.toContain('\n')
    expect(last()).toMatchObject({
      request_id: 'r1',
      stream: 'products',
      level: 'warn',
      message: 'page\nskipped',
      page: 3,
    })
    expect(Date.parse(last().time)).not.toBeNaN()
  })

  it.each([
    'authorization',
    'Authorization',
    'access_token',
    'refreshToken',
    'x-worker-token',
    'apikey',
    'api_key',
    'X-Api-Key',
    'client_secret',
    'password',
    'credentials',
    'Cookie',
    'set-cookie',
    'private_key',
    'code',
    'code_verifier',
    'state',
    'PLUGBOARD_DATABASE_URL',
  ])('redacts a field named %s at any depth', (name) => {
    const { log, lines } = recordingLog()

    log.info('x', {
      [name]: 'hunter2',
      deep: [{ deeper: { [name]: 'hunter2', list: ['hunter2'] } }],
    })

    expect(lines[0]).toContain('[redacted]')
    expect(lines[0]!.match(/hunter2/g)).toHaveLength(1) // the harmlessly named list
  })

  it.each(['provider_timeout', '23505', 'PGRST116', 'ECONNRESET'])(
    'keeps the error code %s, which is not a secret',
    (code) => {
      const { log, last } = recordingLog()

      log.error('x', { error: { code } })

      expect(last().error.code).toBe(code)
    },
  )

  it('keeps a yes or no about a secret', () => {
    const { log, last } = recordingLog()

    log.info('x', { has_token: true, token: null })

    expect(last()).toMatchObject({ has_token: true, token: null })
  })

  it.each([
    `failed for ${jwt}`,
    'Authorization: Bearer abcdef123456',
    'GET https://user:hunter2pass@example.com/',
    'GET https://example.com/?access_token=hunter2&page=2',
    'key sb_secret_abcdefghijk',
    'secret whsec_c2VjcmV0c2VjcmV0',
    'secret key whsk_c2VjcmV0c2VjcmV0',
    '-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----',
  ])('takes a secret out of the text %s', (text) => {
    const { log, lines } = recordingLog()

    log.info(text, { note: text })

    expect(lines[0]).not.toMatch(/hunter2|abcdef|c2VjcmV0|MIIE|eyJzdWIi/)
    expect(lines[0]).toContain('[redacted]')
  })

  it('leaves ordinary text alone', () => {
    const { log, last } = recordingLog()

    log.info('synced', {
      url: 'https://example.com/products?page=2',
      state_count: 3,
      name: 'Basic tee',
    })

    expect(last()).toMatchObject({ url: 'https://example.com/products?page=2', name: 'Basic tee' })
  })

  it('tells an error with its causes', () => {
    const { log, last } = recordingLog()
    const error = new AppError('provider_timeout', { cause: new Error('Bearer abcdef123456') })

    log.error('x', { error })

    expect(last().error).toMatchObject({ name: 'AppError', code: 'provider_timeout' })
    expect(last().error.stack).toContain('log.test.ts')
    expect(last().error.cause.message).toBe('Bearer [redacted]')
  })

  it('tells a header list without its secrets', () => {
    const { log, last } = recordingLog()

    log.info('x', { headers: new Headers({ authorization: 'hunter2', accept: 'text/plain' }) })

    expect(last().headers).toEqual({ authorization: '[redacted]', accept: 'text/plain' })
  })

  it('survives cycles, throwing getters, big integers and deep nesting', () => {
    const { log, last } = recordingLog()
    const cycle: Record<string, unknown> = {}
    cycle.self = cycle
    const trap = {
      get boom() {
        throw new Error('no')
      },
    }
    let deep: unknown = 1
    for (let level = 0; level < 50; level++) deep = { deep }

    log.info('x', { cycle, trap, big: 10n ** 20n, deep, when: new Date(NaN) })

    expect(last()).toMatchObject({
      cycle: { self: '[circular]' },
      trap: '[unreadable]',
      big: '100000000000000000000',
      when: 'Invalid Date',
    })
  })

  it.each(['a', '"', '\u0000', 'ü'])(
    'cuts a line of %j at 10 000 characters and keeps it JSON',
    (letter) => {
      const { log, lines, last } = recordingLog()
      const fields = Object.fromEntries(
        Array.from({ length: 50 }, (_, index) => [`field_${index}`, letter.repeat(3_000)]),
      )

      log.info(letter.repeat(20_000), fields)

      expect(lines[0]!.length).toBeLessThanOrEqual(10_000)
      expect(last()).toMatchObject({ truncated: true, level: 'info' })
    },
  )

  it('never throws and never writes a longer or broken line, whatever it is given', () => {
    const { log, lines } = recordingLog()

    fc.assert(
      fc.property(fc.string(), fc.dictionary(fc.string(), fc.anything()), (message, fields) => {
        log.info(message, fields)
        JSON.parse(lines.at(-1)!)
        expect(lines.at(-1)!.length).toBeLessThanOrEqual(10_000)
      }),
      { numRuns: 300 },
    )
  })
})
