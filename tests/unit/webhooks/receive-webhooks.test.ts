// The door over the Data API, which is a server of the test here: what it asks, how often, and what it does when nobody answers.
import { createHmac } from 'node:crypto'
import { expect, it } from 'vitest'
import { receiveWebhooks } from '../../../supabase/functions/_shared/webhooks/receive-webhooks.ts'
import { createLog } from '../../../supabase/functions/_shared/platform/log.ts'
import { fakeClock } from '../../support/fake-clock.ts'
import { loopbackServer } from '../../support/loopback-server.ts'

const START = '2026-11-20T09:00:00.000Z'
const SECRET = 'whsec_of_the_first_hour'
const integrationId = '4d2c2b0a-6d7e-4f07-9a55-6f2f4f1c7f55'

type Receiver = { connector: string; version: string | null; secrets: string[] } | null

/** The door of one integration of Stripe; `receiver` and `stored` are what the database says. */
async function setUp(
  answers: { receiver?: () => Receiver | 'silence'; stored?: () => object | 'silence' } = {},
) {
  const receiver = answers.receiver ??
    (() => ({ connector: 'stripe', version: 'v1', secrets: [SECRET] }))
  const stored = answers.stored ?? (() => ({ accepted: true, duplicate: false }))
  const clock = fakeClock(START)
  const lines: string[] = []
  const server = await loopbackServer((request, response) => {
    const asked: Receiver | object | 'silence' = request.url?.endsWith('/open_webhook_receiver')
      ? receiver()
      : stored()
    if (asked === 'silence') return
    const answer = asked && 'secrets' in asked
      ? {
        ...asked,
        settings: {},
        path_token_hash: null,
        secrets: (asked as NonNullable<Receiver>).secrets.map((secret) => ({
          secret,
          expires_at: null,
        })),
      }
      : asked
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
  })
  const door = receiveWebhooks({
    environment: { SUPABASE_URL: server.url },
    supabase: { url: server.url, secretKeys: { default: 'sb_secret_test' } },
    clock,
    bodyMs: 50,
    log: createLog({}, (line) => lines.push(line)),
  })
  const send = (body: string | ReadableStream = '{}', secret = SECRET, id = integrationId) => {
    const time = Math.floor(clock.now().getTime() / 1000)
    const signature = createHmac('sha256', secret).update(`${time}.${body}`).digest('hex')
    return door(
      new Request(`http://functions/webhook-receive/${id}`, {
        method: 'POST',
        headers: {
          'stripe-signature': `t=${time},v1=${signature}`,
          cookie: 'a=b',
          authorization: 'Bearer x',
        },
        body,
        ...(typeof body === 'string' ? {} : { duplex: 'half' }),
      } as RequestInit),
    )
  }
  const calls = () => server.requests.map(({ path }) => path.split('/').at(-1))
  return { clock, lines, send, calls, requests: server.requests }
}

it('asks the Data API once for each webhook, and once a minute for the receiver', async () => {
  const { clock, send, calls } = await setUp()

  for (let number = 0; number < 5; number++) await send(`{"id":"evt_${number}"}`)
  clock.advance(61_000)
  await send('{"id":"evt_6"}')

  expect(calls()).toEqual([
    'open_webhook_receiver',
    ...Array(5).fill('receive_webhook'),
    'open_webhook_receiver',
    'receive_webhook',
  ])
})

it('asks for the receiver once when many come at the same time', async () => {
  const { send, calls } = await setUp()

  await Promise.all(Array.from({ length: 20 }, (_, number) => send(`{"id":"evt_${number}"}`)))

  expect(calls().filter((call) => call === 'open_webhook_receiver')).toHaveLength(1)
})

it('keeps the headers it was verified with, and none that open other doors', async () => {
  const { send, requests } = await setUp()

  await send('{"id":"evt_1"}')

  const { p_headers } = JSON.parse(requests.at(-1)!.body)
  expect(Object.keys(p_headers).sort()).toEqual(['content-type', 'stripe-signature'])
})

it('asks once a second at most for whoever guesses, known or not', async () => {
  const { clock, send, calls } = await setUp({ receiver: () => null })

  for (let number = 0; number < 10; number++) await send()
  clock.advance(1_001)
  for (let number = 0; number < 10; number++) await send()

  expect(calls()).toEqual(['open_webhook_receiver', 'open_webhook_receiver'])
})

it('finds a secret that was set since, at the next webhook', async () => {
  let secrets = ['another secret']
  const { clock, send } = await setUp({
    receiver: () => ({ connector: 'stripe', version: 'v1', secrets }),
  })

  const before = await send()
  secrets = [SECRET]
  clock.advance(1_001)
  const after = await send()

  expect([before.status, after.status]).toEqual([401, 200])
})

it('reads a receiver again that has changed since, and believes the new one only', async () => {
  let version = 'v1'
  let secrets = [SECRET]
  const { send, requests } = await setUp({
    receiver: () => ({ connector: 'stripe', version, secrets }),
    stored: () => ({
      accepted: JSON.parse(requests.at(-1)!.body).p_receiver_version === version,
      duplicate: false,
    }),
  })
  await send('{"id":"evt_1"}')

  version = 'v2'
  const same = await send('{"id":"evt_2"}')
  version = 'v3'
  secrets = ['the leaked one is out']
  const leaked = await send('{"id":"evt_3"}')

  expect([same.status, leaked.status]).toEqual([200, 401])
})

it('says later when the database is silent, before a platform has given up', async () => {
  const { send, lines } = await setUp({ stored: () => 'silence' })
  const startedAt = performance.now()

  const answer = await send()

  expect(answer.status).toBe(503)
  expect(answer.headers.get('retry-after')).toBe('5')
  expect(performance.now() - startedAt).toBeLessThan(3_000)
  expect(lines.join('\n')).not.toContain(SECRET)
})

it('says later when two silent answers together take too long for a platform', async () => {
  const { send } = await setUp({ receiver: () => 'silence', stored: () => 'silence' })
  const startedAt = performance.now()

  const answer = await send()

  expect(answer.status).toBe(503)
  expect(performance.now() - startedAt).toBeLessThan(3_000)
})

it('writes one line a minute of what is refused, which says how many it stands for', async () => {
  const { clock, lines, send } = await setUp()
  const refusals = () => lines.filter((line) => line.includes('a webhook was refused'))

  for (let number = 0; number < 10; number++) await send('{}', 'a guess')
  const first = refusals()
  clock.advance(60_001)
  await send('{}', 'a guess')

  expect(first).toHaveLength(1)
  expect(refusals()).toHaveLength(2)
  expect(JSON.parse(refusals()[1]!)).toMatchObject({ since_the_last_line: 10 })
})

it('gives up a body that does not come to its end, and lets go of it', async () => {
  const { send, calls } = await setUp()
  let isLetGo = false
  const endless = new ReadableStream<Uint8Array>({
    start: (stream) => stream.enqueue(new TextEncoder().encode('{')),
    cancel: () => void (isLetGo = true),
  })

  const answer = await send(endless)

  expect([answer.status, isLetGo, calls()]).toEqual([408, true, []])
})
