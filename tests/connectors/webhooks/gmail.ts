import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { publishedKeys } from '../../../supabase/functions/_shared/webhooks/verify-webhook.ts'
import { SENT_AT, type WebhookFixtures } from '../webhook-conformance.ts'

const { publicKey, privateKey } = await generateKeyPair('RS256')
const jwks = { keys: [{ ...await exportJWK(publicKey), kid: 'k1', alg: 'RS256' }] }
const SENDER = 'push@our-project.iam.gserviceaccount.com'
/** As a test's clock has it; a token for real time would have ended. */
const time = Date.parse(SENT_AT) / 1000
const token = await new SignJWT({ email: SENDER, email_verified: true })
  .setProtectedHeader({ alg: 'RS256', kid: 'k1' })
  .setIssuer('https://accounts.google.com')
  .setAudience('https://project.example/functions/v1/webhook-receive/acme')
  .setIssuedAt(time).setExpirationTime(time + 3600).sign(privateKey)

const push = (change: object, messageId: string, more: object = {}) =>
  JSON.stringify({
    message: {
      data: Buffer.from(JSON.stringify(change)).toString('base64'),
      messageId,
      message_id: messageId,
      publishTime: '2026-11-20T08:59:59.5Z',
      attributes: {},
    },
    subscription: 'projects/p/subscriptions/s',
    ...more,
  })
const said = {
  account: 'ada@acme.example',
  stream: 'messages' as const,
  source_id: null,
  kind: 'changed' as const,
  whole_stream: true as const,
  occurred_at: '2026-11-20T08:59:59.500Z',
}

export const gmailWebhooks: WebhookFixtures = {
  secrets: {
    signing: [],
    app: { client_id: 'c', service_account: SENDER },
    pathTokenMatches: false,
  },
  sign: () => ({ authorization: `Bearer ${token}` }),
  keys: publishedKeys(() => Promise.resolve(Response.json(jwks))),
  webhooks: [
    {
      name: 'a change in a mailbox',
      body: push(
        { emailAddress: 'Ada@Acme.example', historyId: '9007199254740993' },
        '136969346945',
      ),
      again: {
        body: push(
          { emailAddress: 'Ada@Acme.example', historyId: '9007199254740993' },
          '136969346945',
          { deliveryAttempt: 2 },
        ),
      },
      type: 'history',
      accounts: ['ada@acme.example'],
      notices: [said],
    },
    {
      name: 'a change whose place is a number',
      body: push({ emailAddress: 'ada@acme.example', historyId: 50012 }, '2'),
      type: 'history',
      accounts: ['ada@acme.example'],
      notices: [said],
    },
    {
      name: 'an address that Postgres would not take',
      body: push({ emailAddress: 'ada@acme.example\0', historyId: 50013 }, '4'),
      type: 'history',
      accounts: ['ada@acme.example'],
      notices: [said],
    },
    {
      name: 'a message of somebody who tries out the topic',
      body: push({ hello: 'world' }, '3'),
      type: 'unknown',
      accounts: [],
      notices: [],
    },
  ],
}
