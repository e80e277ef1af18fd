// Our OAuth app at a platform, and the platform's endpoints for one account.
import {
  type AuthorizationServer,
  type Client,
  type ClientAuth,
  ClientSecretBasic,
  ClientSecretPost,
  None,
} from 'oauth4webapi'
import { addresses } from '../connectors/addresses.ts'
import type { Connector } from '../connectors/define-connector.ts'
import type { AccountValues, OAuth2 } from '../connectors/vocabulary/auth.ts'
import { AppError } from '../platform/errors.ts'
import type { Outside } from '../platform/outside.ts'

export type SignInClient = {
  connector: Connector
  auth: OAuth2
  account: AccountValues
  server: AuthorizationServer
  client: Client
  clientAuth: ClientAuth
  client_secret: string | undefined
  /** The whole address of a path below the account's base address. */
  address(path: string): string
}

/** How an account authenticates, where that is by its owner's sign-in; null where it is not. */
export function signInAuth(connector: Connector, settings: AccountValues['settings']) {
  const auth = connector.auth(settings)
  return auth.type === 'oauth2' ? auth : null
}

/** @throws AppError `oauth_client_missing` */
export function signInClient(
  { environment }: Pick<Outside, 'environment'>,
  connector: Connector,
  account: AccountValues,
): SignInClient {
  const auth = signInAuth(connector, account.settings)
  if (!auth) throw new TypeError(`${connector.slug} does not sign in with these settings`)
  const app = environment.OAUTH_CLIENTS[connector.slug]
  if (!app) {
    throw new AppError('oauth_client_missing', {
      detail: `Register an app at ${connector.name} and put it into the secret OAUTH_CLIENTS as ` +
        `{"${connector.slug}":{"client_id":"…","client_secret":"…"}}.`,
    })
  }
  const address = addresses(connector, account, environment.CONNECTOR_OVERRIDES)
  const token_endpoint = address.of(auth.token_endpoint)
  return {
    connector,
    auth,
    account,
    server: {
      issuer: auth.issuer ?? new URL(auth.token_endpoint.replaceAll(/[{}]/g, '')).origin,
      authorization_endpoint: address.of(auth.authorization_endpoint),
      token_endpoint,
      ...(auth.revocation_endpoint === undefined
        ? {}
        : { revocation_endpoint: address.of(auth.revocation_endpoint) }),
      authorization_response_iss_parameter_supported: auth.issuer !== undefined,
    },
    client: { client_id: app.client_id },
    clientAuth: authenticationOf(connector, auth, app.client_secret),
    client_secret: app.client_secret,
    address: address.of,
  }
}

function authenticationOf(
  connector: Connector,
  { token_endpoint_auth_method = 'client_secret_basic' }: OAuth2,
  client_secret: string | undefined,
): ClientAuth {
  // without a secret the app is a public client, which only names itself (RFC 6749, section 2.1)
  if (token_endpoint_auth_method === 'none' || client_secret === undefined) {
    if (token_endpoint_auth_method === 'client_secret_post') {
      throw new AppError('oauth_client_missing', {
        detail: `${connector.name} wants a client_secret: add it to OAUTH_CLIENTS.`,
      })
    }
    return None()
  }
  return token_endpoint_auth_method === 'client_secret_post'
    ? ClientSecretPost(client_secret)
    : ClientSecretBasic(client_secret)
}
