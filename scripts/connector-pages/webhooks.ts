// What has to be set up at the platform before its webhooks come in and are believed?
import type { Connector } from '../../supabase/functions/_shared/connectors/define-connector.ts'
import type {
  WebhookDoor,
  Webhooks,
} from '../../supabase/functions/_shared/connectors/vocabulary/webhooks.ts'
import {
  endsInToken,
  type WebhookScheme,
} from '../../supabase/functions/_shared/webhooks/scheme.ts'
import { code } from './markdown.ts'
import { oauthClients } from './oauth-clients.ts'

const TIMED = 'together with a time that is at most 300 s from ours'

const PROOFS: Record<WebhookScheme, string> = {
  airtable: `signed in ${code('X-Airtable-Content-MAC')}`,
  github: `signed in ${code('X-Hub-Signature-256')}`,
  'google-oidc':
    "sent with a token that Google signed for this address in a service account's name",
  hubspot:
    `signed in ${code('X-HubSpot-Signature-v3')} ${TIMED}; or, where that is not there, in ` +
    `the older ${code('X-HubSpot-Signature')} (v1, v2), over a list of events`,
  leafly: `signed in ${code('X-Leafly-Signature')}`,
  linkedin: `signed in ${code('X-LI-Signature')}`,
  mailchimp: `signed in ${code('X-Mailchimp-Signature')} ${TIMED} where there is a signing ` +
    'secret; otherwise known by the address alone',
  'path-token': 'known by the address alone',
  shopify: `signed in ${code('X-Shopify-Hmac-Sha256')}`,
  slack: `signed in ${code('X-Slack-Signature')} ${TIMED}`,
  'standard-webhooks': `signed in ${code('webhook-signature')} ${TIMED}`,
  stripe: `signed in ${code('Stripe-Signature')} ${TIMED}`,
  x: `signed in ${code('X-Twitter-Webhooks-Signature')}`,
  'x-webhook-signature': `signed in ${code('X-Webhook-Signature')}`,
}

const FOR_ONE = `Owners and managers do this, with [the client](../client.md); ${
  code('integrations.webhook({ integration_id })')
} shows the same with the address filled in.`

const BY_ITSELF =
  'Where the project can be reached by https, Plugboard subscribes by itself when an account is connected, looks each hour ' +
  'whether that still stands, renews what ends, and unsubscribes when the account is disconnected. ' +
  `${code('integrations.update({ integration_id, webhooks: false })')} turns it off, ${
    code('true')
  } on. What is ` +
  `subscribed, and why not, is in ${code('webhook_subscriptions')}.`

const APP_BY_ITSELF =
  'Where the project can be reached by https and has these secrets, Plugboard subscribes our app by itself as long as an account ' +
  'is connected, looks each hour whether that still stands, and unsubscribes what no account needs. ' +
  `${
    code('integrations.update({ integration_id, webhooks: false })')
  } leaves an account out. How it stands, and why not, is in ` +
  `${code('webhook_subscriptions')} (${code('app')}: the app as a whole).`

export function webhooks(connector: Connector): string[] {
  const { name, webhooks } = connector
  if (!webhooks) return []
  return [
    '## Webhooks',
    '',
    `${name}'s webhooks are ${
      proofOf(webhooks)
    }. Anything else is refused. What becomes of them is told in ` +
    '[webhooks that come in](../webhooks-in.md).',
    '',
    ...webhooks.subscriptions ? [BY_ITSELF, ''] : [],
    ...webhooks.doors.flatMap((door) => [...setUp(connector, door, webhooks), '']),
  ]
}

function proofOf({ scheme, otherSchemes }: Webhooks): string {
  const others = (otherSchemes?.schemes ?? []).map((other) =>
    `; with ${code(otherSchemes!.setting)} = ${code(other)}, ${PROOFS[other]}`
  )
  return PROOFS[scheme] + others.join('')
}

function setUp(
  connector: Connector,
  { at, setup }: WebhookDoor,
  { scheme, appSubscriptions }: Webhooks,
): string[] {
  const ends = { app: connector.slug, integration: '<integration id>' }
  const token = at === 'integration' && endsInToken(scheme) ? '/<token>' : ''
  const address = code(`<project url>/functions/v1/webhook-receive/${ends[at]}${token}`)
  return [
    at === 'app' ? '### For all accounts' : '### For one integration',
    '',
    at === 'app' ? 'Once for the project, in this order:' : FOR_ONE,
    '',
    setup.replaceAll('{address}', address),
    ...at === 'app' ? ['', `With what sign-ins need: ${code(oauthClients(connector))}.`] : [],
    ...at === 'app' && appSubscriptions
      ? ['', bySecrets(connector.slug, appSubscriptions.secrets)]
      : [],
  ]
}

function bySecrets(slug: string, secrets: string[]): string {
  const client = Object.fromEntries([...new Set(['client_id', 'client_secret', ...secrets])]
    .map((name) => [name, '…']))
  return `To have it subscribed: ${code(JSON.stringify({ [slug]: client }))}. ${APP_BY_ITSELF}`
}
