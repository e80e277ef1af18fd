// What every action of a connector has to get right. `conformance` calls it for each of them.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openAccount } from '../../supabase/functions/_shared/connectors/account.ts'
import {
  type Connector,
  findAction,
} from '../../supabase/functions/_shared/connectors/define-connector.ts'
import {
  planAction,
  readInput,
  runAction,
} from '../../supabase/functions/_shared/connectors/run-action.ts'
import {
  fixedGrant,
  memoryTokenCache,
} from '../../supabase/functions/_shared/connectors/token-cache.ts'
import { createHttpClient } from '../../supabase/functions/_shared/http/client.ts'
import { createLog } from '../../supabase/functions/_shared/platform/log.ts'
import { fakeClock } from '../support/fake-clock.ts'
import type { ConnectorFixture } from './conformance.ts'
import { quotingRefusal, REFUSALS } from './scripted-platform.ts'

export type ActionFixture = {
  input: Record<string, unknown>
  /** An input that is refused before anything is sent, and the path of the field at fault. */
  wrongInput: { input: Record<string, unknown>; path: string }
  /** What is sent for `input`, as `METHOD /path?query`, with bodies as they arrive (JSON parsed). */
  requests: { request: string; body?: unknown }[]
  /** What the platform answers to each of the requests, as it documents it. */
  answers: { status?: number; headers?: Record<string, string>; body?: unknown }[]
  output: unknown
  status?: 'success' | 'partial'
}

type Received = { request: string; body?: unknown }

export function actionConformance(
  connector: Connector,
  fixture: ConnectorFixture,
  name: string,
  actionFixture: ActionFixture,
): void {
  const action = findAction(connector, name)
  const { answers, requests, status = 'success' } = actionFixture

  /** `fault` answers the writes instead. Reads of `other` are answered and not kept. */
  async function setUp(
    fault?: { status?: number; statuses?: number[]; body?: unknown; hang?: boolean },
  ) {
    const received: Received[] = []
    const server = createServer(async (request, response) => {
      const body = await text(request)
      const path = new URL(request.url!, 'http://platform').pathname
      const other = fixture.other?.[`${request.method} ${path}`]
      if (other !== undefined) {
        response.writeHead(200, { 'content-type': 'application/json' })
        return response.end(JSON.stringify(typeof other === 'function' ? other() : other))
      }
      received.push({ request: `${request.method} ${request.url}`, ...bodyOf(body) })
      if (fault?.hang) return
      const answer = fault ? { body: {}, ...fault } : answers[received.length - 1]!
      response.writeHead(fault?.statuses?.[received.length - 1] ?? answer.status ?? 200, {
        'content-type': 'application/json',
        ...('headers' in answer ? answer.headers : {}),
      })
      response.end(answer.body === undefined ? '' : JSON.stringify(answer.body))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    })
    const clock = fakeClock('2026-11-20T09:00:00Z')
    const values = connector.readAccount(fixture)
    const account = openAccount({
      connector,
      ...values,
      clock,
      tokens: memoryTokenCache(),
      grant: fixture.token && fixedGrant(fixture.token.access_token),
      overrides: {
        [connector.slug]: { baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}` },
      },
      http: createHttpClient({
        clock,
        allowPrivateNetworks: true,
        random: () => 0.5,
        timeoutMs: fault?.hang ? 250 : 30_000,
        log: createLog({}, () => {}),
      }),
    })
    const run = {
      account,
      settings: values.settings,
      facts: values.account,
      idempotency_key: '6f1c1e9e-0000-4000-8000-000000000000',
      now: clock.now(),
    }
    return { received, run }
  }

  describe(`action ${name}`, () => {
    it('sends what the platform documents and reads its answer', async () => {
      const { received, run } = await setUp()

      const outcome = await runAction(action, readInput(action, actionFixture.input), run)

      expect(received).toEqual(requests)
      expect(outcome).toEqual({ status, output: actionFixture.output })
    })

    it('refuses a wrong input by its field, before anything is sent', () => {
      const { input, path } = actionFixture.wrongInput

      expect(() => readInput(action, input)).toThrow(expect.objectContaining({
        code: 'invalid_input',
        errors: expect.arrayContaining([expect.objectContaining({ path: `input.${path}` })]),
      }))
      expect(() => readInput(action, actionFixture.input)).not.toThrow()
    })

    it('sends nothing in a dry run, and shows what it would', async () => {
      const { received, run } = await setUp()

      const plan = await planAction(action, readInput(action, actionFixture.input), run)

      expect(received).toEqual([])
      expect(plan).toHaveLength(requests.length)
    })

    it('is unknown when the answer never comes, and is sent again only where that is safe', async () => {
      const { received, run } = await setUp({ hang: true })

      const outcome = await runAction(action, readInput(action, actionFixture.input), run)

      expect(outcome).toMatchObject({ status: 'unknown', error: { code: 'provider_timeout' } })
      expect(received).toHaveLength(action.repeatable ? 4 : 1)
    })

    if (action.repeatable) {
      it.each([403, 404, 429])(
        'is unknown when the first answer is lost (500) and the second try is refused (%i)',
        async (refusal) => {
          const { received, run } = await setUp({ statuses: [500, ...Array(3).fill(refusal)] })

          const outcome = await runAction(action, readInput(action, actionFixture.input), run)

          expect(received.length).toBeGreaterThan(1)
          expect(['unknown', 'success', 'partial']).toContain(outcome.status)
        },
      )
    }

    it('fails without doubt when the platform refuses (403)', async () => {
      const { received, run } = await setUp({ status: 403 })

      const outcome = await runAction(action, readInput(action, actionFixture.input), run)

      expect(outcome).toMatchObject({ status: 'failed', error: { code: 'provider_forbidden' } })
      expect(received).toHaveLength(1)
    })

    it.each(REFUSALS.filter((status) => status >= 400))(
      'fails (%i) in words that quote a person: the error leaves the address out',
      async (status) => {
        const person = 'ada@people.example'
        const said = quotingRefusal(person)
        for (const body of [said, [{ ...said, errorCode: 'NO' }]]) {
          const { run } = await setUp({ status, body })

          const outcome = await runAction(action, readInput(action, actionFixture.input), run)

          expect(outcome.status).not.toBe('success')
          expect(outcome).toHaveProperty('error')
          expect('error' in outcome && outcome.error?.detail).not.toContain(person)
        }
      },
    )
  })
}

function bodyOf(text: string): { body?: unknown } {
  if (text === '') return {}
  try {
    return { body: JSON.parse(text) }
  } catch {
    return { body: text }
  }
}
