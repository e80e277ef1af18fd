// What does an action come to when something goes wrong before, between or after its requests?
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { Account } from '../../supabase/functions/_shared/connectors/account.ts'
import {
  type ActionOutcome,
  runAction,
} from '../../supabase/functions/_shared/connectors/run-action.ts'
import { action } from '../../supabase/functions/_shared/connectors/vocabulary/actions.ts'
import { AppError } from '../../supabase/functions/_shared/platform/errors.ts'

const Parent = z.object({ subject: z.string() })

/** Two posts, after a look at what is replied to. */
const reply = {
  name: 'reply',
  ...action({
    title: 'Reply',
    description: 'Replies twice.',
    input: z.strictObject({ text: z.string() }),
    output: z.object({ ids: z.array(z.number()) }),
    repeatable: false,
    before: () => [{ path: '/parent' }],
    requests: ({ text }, { found }) => {
      const { subject } = Parent.parse(found[0])
      return [1, 2].map(() => ({
        method: 'POST' as const,
        path: '/reply',
        json: { text, subject },
      }))
    },
    read: (answers) => ({ ids: answers.map(({ body }) => (body as { id: number }).id) }),
  }),
}

/** Answers the calls in their order; an error is thrown. */
async function run(...answers: unknown[]) {
  const sent: string[] = []
  const call: Account['call'] = ({ method = 'GET', path }, { trace } = { repeatable: true }) => {
    sent.push(`${method} ${path}`)
    if (trace) trace.sent = true
    const answer = answers.shift()
    return answer instanceof Error
      ? Promise.reject(answer)
      : Promise.resolve({ status: 200, body: answer, headers: new Headers(), length: 2 })
  }
  const outcome: ActionOutcome | { thrown: unknown } = await runAction(reply, { text: 'hi' }, {
    account: { call } as Account,
    settings: {},
    facts: {},
    idempotency_key: 'k',
    now: new Date(),
  }).catch((thrown: unknown) => ({ thrown }))
  return { outcome, sent }
}

const parent = { subject: 'Hello' }

describe('an action', () => {
  it('is done when every request is answered', async () => {
    const { outcome, sent } = await run(parent, { id: 1 }, { id: 2 })

    expect(outcome).toEqual({ status: 'success', output: { ids: [1, 2] } })
    expect(sent).toEqual(['GET /parent', 'POST /reply', 'POST /reply'])
  })

  it('has failed, and is not unknown, when what is read first cannot be understood', async () => {
    const { outcome, sent } = await run({ odd: true })

    expect(outcome).toMatchObject({ thrown: { code: 'provider_bad_answer' } })
    expect(sent).toEqual(['GET /parent'])
  })

  it('has failed when what is read first is refused', async () => {
    const { outcome } = await run(new AppError('provider_not_found'))

    expect(outcome).toMatchObject({ thrown: { code: 'provider_not_found' } })
  })

  it('is partial when a later request is refused, with what was done', async () => {
    const { outcome } = await run(parent, { id: 1 }, new AppError('provider_forbidden'))

    expect(outcome).toMatchObject({
      status: 'partial',
      output: { ids: [1] },
      error: { code: 'provider_forbidden' },
    })
  })

  it.each(['provider_timeout', 'provider_unavailable', 'provider_bad_answer'] as const)(
    'is unknown after %s, and nothing more is sent',
    async (code) => {
      const { outcome, sent } = await run(parent, new AppError(code), { id: 2 })

      expect(outcome).toMatchObject({ status: 'unknown', error: { code } })
      expect(sent).toEqual(['GET /parent', 'POST /reply'])
    },
  )

  it('is unknown when it was answered with what nobody documents', async () => {
    const { outcome } = await run(parent, { id: 1 }, { id: 'two' })

    expect(outcome).toMatchObject({ status: 'unknown', error: { code: 'provider_bad_answer' } })
  })
})
