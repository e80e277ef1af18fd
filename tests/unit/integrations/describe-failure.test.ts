// Does a failure say once which connection failed, what happened and what to do?
import { describe, expect, it } from 'vitest'
import { describeFailure } from '../../../supabase/functions/_shared/integrations/describe-failure.ts'
import { AppError } from '../../../supabase/functions/_shared/platform/errors.ts'

const integration = { name: 'Main street', connector: 'treez' }

describe('a failure', () => {
  it('that a person has to mend says how', () => {
    const failure = new AppError('provider_unauthorized', { detail: 'The key was refused' })

    expect(describeFailure(failure, integration)).toEqual({
      code: 'provider_unauthorized',
      message:
        'Main street (treez): The key was refused. Enter new credentials for this connection, or sign in again.',
      next: 'owner',
    })
  })

  it('that may pass is tried again by the schedule after a sync, and by a person after a check', () => {
    const failure = new AppError('provider_unavailable', { detail: 'It answered 500.' })

    expect(describeFailure(failure, integration).message)
      .toBe('Main street (treez): It answered 500. It is tried again later by itself.')
    expect(describeFailure(failure, integration, 'check').message)
      .toBe('Main street (treez): It answered 500. Try again later.')
  })

  it('of our own shows nothing of itself', () => {
    const { code, message } = describeFailure(new Error('token=abc'), integration)

    expect(code).toBe('internal_error')
    expect(message).not.toContain('abc')
  })
})
