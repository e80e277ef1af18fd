// Does a check tell an account that is ill from a failure of our own?
import { describe, expect, it } from 'vitest'
import { checkIntegration } from '../../../supabase/functions/_shared/integrations/check-integration.ts'
import { DatabaseError } from '../../../supabase/functions/_shared/platform/database.ts'
import type { Outside } from '../../../supabase/functions/_shared/platform/outside.ts'
import { answering, loopbackServer } from '../../support/loopback-server.ts'
import { feedIntegration, outsideWith } from './outside-with.ts'

function check(
  url: string,
  answers: Record<string, () => unknown> = {},
  parts: Partial<Outside> = {},
) {
  const integration = feedIntegration(url)
  const { outside, calls } = outsideWith({
    open_integration: () => ({ integration, credentials_id: null, credentials: {}, token: null }),
    ...answers,
  }, parts)
  return { calls, checked: checkIntegration(outside, integration.id) }
}

describe('a check', () => {
  it('of an account that answers is healthy, and is kept', async () => {
    const { url } = await loopbackServer(answering(200, {}, '[]'))

    const { calls, checked } = check(url)

    await expect(checked).resolves.toMatchObject({ status: 'healthy' })
    expect(calls.at(-1)).toMatchObject({
      name: 'record_integration_check',
      args: { p_error: null },
    })
  })

  it('of an account that does not says what happened and what to do, and is kept', async () => {
    const { url } = await loopbackServer(answering(403))

    const { calls, checked } = check(url)

    const { status, error } = await checked
    expect(status).toBe('unhealthy')
    expect(error).toEqual({
      code: 'provider_forbidden',
      next: 'owner',
      message:
        `Corner shop (json-feed): ${new URL(url).host} answered 403: the platform does not ` +
        "let this account do that. Ask the account's administrator for the missing right.",
    })
    expect(calls.at(-1)).toMatchObject({
      name: 'record_integration_check',
      args: { p_error: error },
    })
  })

  it('of a platform that stalls ends in time, and does not promise to come again', async () => {
    const { url } = await loopbackServer(() => {})

    const { checked } = check(url, {}, { answerWithinMs: 50 })

    await expect(checked).resolves.toMatchObject({
      status: 'unhealthy',
      error: {
        code: 'provider_timeout',
        message:
          'Corner shop (json-feed): JSON product feed did not answer within 0.05 s. Try again later.',
      },
    })
  })

  it('during which our own database fails is an error, not the illness of the account', async () => {
    const { url } = await loopbackServer(answering(200, {}, '[]'))
    const failure = new DatabaseError('', 'connection closed')

    const { calls, checked } = check(url, {
      acquire_request: () => {
        throw failure
      },
    })

    await expect(checked).rejects.toBe(failure)
    expect(calls.map(({ name }) => name)).not.toContain('record_integration_check')
  })
})
