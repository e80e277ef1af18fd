// What the webhooks of every connector have to get right: believed as its platform signs them, read without
// ever failing, known again when they come twice.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Connector } from '../../supabase/functions/_shared/connectors/define-connector.ts'
import { parseRecord } from '../../supabase/functions/_shared/connectors/parse-record.ts'
import type {
  InboundWebhook,
  WebhookNotice,
  Webhooks,
} from '../../supabase/functions/_shared/connectors/vocabulary/webhooks.ts'
import {
  inboundWebhook,
  readWebhook,
} from '../../supabase/functions/_shared/webhooks/read-webhook.ts'
import type { ReceiverSecrets } from '../../supabase/functions/_shared/webhooks/scheme.ts'
import type { PublishedKeys } from '../../supabase/functions/_shared/webhooks/schemes/scheme-definition.ts'
import {
  headersToKeep,
  publishedKeys,
  verifyWebhook,
} from '../../supabase/functions/_shared/webhooks/verify-webhook.ts'

type Sent = { headers?: Record<string, string>; body: string }

export type WebhookFixture = Sent & {
  /** What it is about: one of each kind that the connector tells apart. */
  name: string
  type: string
  /** Whose it is, for platforms that send to one address of our app. */
  accounts?: string[]
  notices: Omit<WebhookNotice, 'dedupe_key'>[]
  /** As it comes a second time, where not all of it is the same. */
  again?: Sent
  /** Nothing of it is synced with these settings. */
  unwantedWith?: Record<string, unknown>
}

export type WebhookFixtures = {
  secrets: ReceiverSecrets
  /** As the platform signs, by test code of its own: headers for a body that is sent now. */
  sign(body: string): Record<string, string> | Promise<Record<string, string>>
  keys?: PublishedKeys
  /** The account the webhooks are of, where it is another than that of the streams. */
  account?: Parameters<Connector['readAccount']>[0]
  webhooks: WebhookFixture[]
}

const ADDRESS = 'https://project.example/functions/v1/webhook-receive/acme'
export const SENT_AT = '2026-11-20T09:00:00.000Z'
const noKeys = publishedKeys(() => Promise.reject(new Error('no keys are published here')))

const bytes = (text: string) => new TextEncoder().encode(text)

export function received(
  { headers = {}, body }: Sent,
  received_at = SENT_AT,
): InboundWebhook {
  return inboundWebhook({
    headers: new Headers({ 'content-type': 'application/json', ...headers }),
    body: bytes(body),
    received_at: new Date(received_at),
  })
}

export function webhookConformance(
  connector: Connector,
  webhooks: Webhooks,
  fixtures: WebhookFixtures,
  account: Parameters<Connector['readAccount']>[0],
): void {
  const ofAccount = connector.readAccount(fixtures.account ?? account)
  const read = (sent: Sent, at?: string) => readWebhook(webhooks, received(sent, at))
  const verify = async (
    sent: Sent,
    { body = bytes(sent.body), secrets = fixtures.secrets, isSigned = true } = {},
  ) => {
    const { kind } = await verifyWebhook(
      webhooks.scheme,
      {
        method: 'POST',
        url: ADDRESS,
        headers: new Headers({
          ...sent.headers,
          ...isSigned ? await fixtures.sign(sent.body) : {},
        }),
        body,
      },
      secrets,
      new Date(SENT_AT),
      fixtures.keys ?? noKeys,
    )
    return kind
  }

  it('says at which doors it comes in, and what to set up there', () => {
    for (const { at, setup } of webhooks.doors) {
      expect(setup).toMatch(/^1\. /m)
      expect(setup).toContain('{address}')
      // where what it is checked with has to go
      if (at === 'app') expect(setup).toContain('OAUTH_CLIENTS')
      else expect(setup).toMatch(/setWebhookSecret|rotateWebhookPath/)
    }
    const isForApp = webhooks.doors.some(({ at }) => at === 'app')
    expect(webhooks.accounts !== undefined).toBe(isForApp)
  })

  describe.each(fixtures.webhooks)('$name', (fixture) => {
    const { type, accounts = [], notices, again, unwantedWith } = fixture

    it('is believed as the platform signs it, and not without its secret', async () => {
      const nothing: ReceiverSecrets = { signing: [], app: null, pathTokenMatches: false }

      expect(await verify(fixture)).toBe('verified')
      expect(await verify(fixture, { secrets: nothing })).toBe('refused')
      if (fixtures.secrets.pathTokenMatches) return
      expect(await verify(fixture, { isSigned: false })).toBe('refused')
    })

    it('says what happened, in whose account, to which records', () => {
      const webhook = read(fixture)

      expect(webhook.type).toBe(type)
      expect(webhook.accounts).toEqual(accounts)
      expect(webhook.notices.map(({ dedupe_key: _, ...notice }) => notice)).toEqual(notices)
      const isForApp = webhooks.doors.every(({ at }) => at === 'app')
      if (isForApp) {
        for (const { account } of webhook.notices) expect(accounts).toContain(account)
      }
    })

    it('brings records that the stream itself can read', () => {
      for (const { stream, source_id, record } of notices) {
        if (record === undefined) continue
        const parsed = parseRecord(connector, stream, record, ofAccount)
        expect(parsed).toMatchObject({ ok: true, record: { source_id } })
      }
    })

    it('is known again when it comes twice, and later', () => {
      const first = read(fixture)
      const second = read(again ?? fixture, '2026-11-20T10:30:00Z')

      expect(second.dedupe_key).toBe(first.dedupe_key)
      const keys = ({ notices }: typeof first) => notices.map(({ dedupe_key }) => dedupe_key)
      expect(keys(second)).toEqual(keys(first))
      expect(new Set(keys(first)).size, 'each notice has a key of its own').toBe(notices.length)
    })

    it('can be read again from the headers that are kept', () => {
      const kept = headersToKeep(webhooks.scheme, webhooks.headers)
      const headers = Object.fromEntries(
        Object.entries(fixture.headers ?? {}).filter(([name]) => kept.includes(name)),
      )

      expect(read({ ...fixture, headers })).toEqual(read(fixture))
    })

    if (notices.length > 0) {
      it('is about what the account syncs', () => {
        const webhook = received(fixture)
        const concerned = (settings: Record<string, unknown>) =>
          webhooks.notices(webhook).map((notice) =>
            webhooks.isSynced?.(notice, { ...ofAccount, settings, webhook }) ?? true
          )

        expect(concerned(ofAccount.settings)).toEqual(notices.map(() => true))
        if (!unwantedWith) return
        expect(concerned({ ...ofAccount.settings, ...unwantedWith })).toEqual(
          notices.map(() => false),
        )
      })
    }
  })

  it('tells each of them from all others', () => {
    const keys = fixtures.webhooks.map((fixture) => read(fixture).dedupe_key)

    expect(new Set(keys).size).toBe(keys.length)
  })

  const named = fixtures.webhooks.find(({ accounts }) => accounts !== undefined)
  if (named) {
    it('names an account as the connector does', () => {
      expect(read(named).accounts).toContain(connector.accountId(ofAccount))
    })
  }

  it('never fails, and says nothing that cannot be kept, whatever comes', () => {
    const bodies = fixtures.webhooks.map(({ body }) => body)
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json(),
          fc.string(),
          // one of its own with something else in one place
          fc.tuple(fc.constantFrom(...bodies), fc.nat(), fc.jsonValue()).map(withOther),
        ),
        fc.constantFrom(...fixtures.webhooks.map(({ headers }) => headers ?? {}), {}),
        (body, headers) => {
          const webhook = read({ headers, body })
          expect(webhook.type).toMatch(/^[\x21-\x7e][\x20-\x7e]{0,199}$/)
          expect(webhook.dedupe_key).toMatch(/^[\x20-\x7e]{1,500}$/)
          for (const account of webhook.accounts) expect(account).toBeTypeOf('string')
          for (const notice of webhook.notices) expectWellFormed(connector, notice)
        },
      ),
      { numRuns: 300 },
    )
  })
}

function expectWellFormed(connector: Connector, notice: WebhookNotice): void {
  expect(Object.keys(connector.streams)).toContain(notice.stream)
  expect(new Date(notice.occurred_at).toISOString()).toBe(notice.occurred_at)
  expect(notice.dedupe_key).toMatch(/^[\x20-\x7e]{1,500}$/)
  expect(notice.source_id === null).toBe(notice.whole_stream === true)
  if (notice.kind === 'deleted') expect(notice.record).toBeUndefined()
}

/** JSON with another value at one of its places; a form keeps its own text. */
function withOther([body, at, value]: [string, number, unknown]): string {
  if (!/^[[{]/.test(body)) return body.replaceAll(/=[^&]*/g, () => at % 2 ? '=' : '=%00x')
  let place = 0
  const count = [...body.matchAll(/[:,[]/g)].length
  return JSON.stringify(
    JSON.parse(body, (_, inner) => place++ === at % Math.max(1, count) ? value : inner),
  ) ?? 'null'
}
