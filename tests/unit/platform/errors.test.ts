import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { AppError, ERRORS, toProblem } from '../../../supabase/functions/_shared/platform/errors.ts'
import { errorDocs } from '../../../scripts/generate-error-docs.ts'

describe('errors', () => {
  it.each(Object.entries(ERRORS))(
    '%s has a stable code, an error status and a title',
    (code, error) => {
      expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/)
      expect(error.status).toBeGreaterThanOrEqual(400)
      expect(error.status).toBeLessThan(600)
      expect(error.title).not.toBe('')
    },
  )

  it('an AppError becomes an RFC 9457 problem with its code, request id and fields', () => {
    const error = new AppError('invalid_request', {
      detail: 'name is missing',
      errors: [{ path: 'name', message: 'is missing' }],
    })

    const problem = toProblem(error, 'request-1')

    expect(problem).toEqual({
      status: 400,
      body: {
        type: 'urn:plugboard:error:invalid_request',
        title: 'The request is not valid',
        status: 400,
        detail: 'name is missing',
        code: 'invalid_request',
        next: 'developer',
        request_id: 'request-1',
        errors: [{ path: 'name', message: 'is missing' }],
      },
    })
  })

  it('the cause of an AppError is kept for logs and never answered', () => {
    const error = new AppError('unavailable', { cause: new Error('password=hunter2') })

    const { body } = toProblem(error, 'request-1')

    expect(error.cause).toBeInstanceOf(Error)
    expect(JSON.stringify(body)).not.toContain('hunter2')
  })

  it.each([new Error('at secret.ts:1'), 'at secret.ts:1', null, undefined, { secret: 1 }])(
    'anything else thrown becomes internal_error and shows nothing of itself: %o',
    (thrown) => {
      const { status, body } = toProblem(thrown, 'request-1')

      expect(status).toBe(500)
      expect(body.code).toBe('internal_error')
      expect(JSON.stringify(body)).not.toContain('secret')
    },
  )
})

describe('the page of errors', () => {
  it('is generated from the table and fresh', () => {
    const page = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8')

    expect(page).toBe(errorDocs())
  })
})
