// What does `OAUTH_CLIENTS` need of one platform, for sign-ins and for webhooks to our app together?
import type { Connector } from '../../supabase/functions/_shared/connectors/define-connector.ts'
import type { AppSecrets, WebhookScheme } from '../../supabase/functions/_shared/webhooks/scheme.ts'

/** Of schemes that check our app's webhooks against something else than the client secret. */
const FOR_WEBHOOKS: Partial<Record<WebhookScheme, keyof AppSecrets>> = {
  'google-oidc': 'service_account',
  slack: 'signing_secret',
  x: 'signing_secret',
}

export function appSecretForWebhooks({ webhooks }: Connector): keyof AppSecrets | undefined {
  const isForApp = webhooks?.doors.some(({ at }) => at === 'app')
  return isForApp ? FOR_WEBHOOKS[webhooks!.scheme] : undefined
}

/** One object for both: the secret is set as a whole, and what is left out would be forgotten. */
export function oauthClients(connector: Connector): string {
  const isPublic = Object.values(connector.modes).some((mode) =>
    mode.type === 'oauth2' && mode.token_endpoint_auth_method === 'none'
  )
  const forWebhooks = appSecretForWebhooks(connector)
  const client = {
    client_id: '…',
    ...(isPublic ? {} : { client_secret: '…' }),
    ...(forWebhooks ? { [forWebhooks]: '…' } : {}),
  }
  return `OAUTH_CLIENTS='${JSON.stringify({ [connector.slug]: client })}'`
}
