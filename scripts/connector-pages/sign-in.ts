// What does a developer set up, and what does an owner allow, before a sign-in (OAuth) works?
import type { Connector } from '../../supabase/functions/_shared/connectors/define-connector.ts'
import type { OAuth2 } from '../../supabase/functions/_shared/connectors/vocabulary/auth.ts'
import { code, codeList } from './markdown.ts'
import { appSecretForWebhooks, oauthClients } from './oauth-clients.ts'

export function signIn(connector: Connector, auth: OAuth2): string[] {
  const { name } = connector
  const method = auth.token_endpoint_auth_method ?? 'client_secret_basic'
  return [
    `The owner signs in at ${name} (OAuth, RFC 6749) and types no credentials here. Once for the project:`,
    '',
    `1. Register an app at ${name} with the redirect URI \`<project url>/functions/v1/oauth-callback\`.`,
    `2. ${scopes(auth)}`,
    `3. Put it into the project's secrets: ${
      code(oauthClients(connector))
    }. That is one JSON object for all ` +
    'platforms: [add this to what it holds](../deploy.md#platforms-where-the-owner-signs-in).' +
    forWebhooks(connector),
    '',
    ...facts(auth, method).map((fact) => `- ${fact}`),
  ]
}

function forWebhooks(connector: Connector): string {
  const secret = appSecretForWebhooks(connector)
  return secret === undefined ? '' : ` ${code(secret)} is for [webhooks](#webhooks) alone.`
}

function scopes({ scope, requiredScope }: OAuth2): string {
  if (scope === '') return 'There are no scopes to choose.'
  const asked = `Give it the scopes that a sign-in asks for: ${codeList(scope.split(' '))}.`
  return requiredScope === undefined
    ? asked
    : `${asked} Without ${codeList(requiredScope.split(' '))} an owner is not connected.`
}

function facts(auth: OAuth2, method: string): string[] {
  return [
    `Sign-in at ${code(auth.authorization_endpoint)}, tokens from ${
      code(auth.token_endpoint)
    }; the app proves ` +
    `itself there by ${method === 'none' ? 'nothing but its client id' : code(method)} (RFC 7591).`,
    auth.pkce === false
      ? 'No PKCE: the platform does not take it.'
      : 'PKCE with S256 (RFC 7636) protects the code.',
    ...(auth.issuer === undefined
      ? []
      : [`The answer has to name the issuer ${code(auth.issuer)} (RFC 9207).`]),
    ...(auth.verifyResponse === undefined
      ? []
      : ["The answer has to carry the platform's signature."]),
    'A refresh keeps the new refresh token where the platform sends one, else the old one.',
    ...(auth.lifetimeSeconds === undefined ? [] : [
      `A token whose answer does not say how long it lives counts as good for ${auth.lifetimeSeconds} s.`,
    ]),
    auth.revocation_endpoint !== undefined || auth.revoke !== undefined
      ? 'Disconnecting revokes the tokens at the platform.'
      : 'Disconnecting forgets the tokens here; the owner withdraws the access itself at the platform.',
    ...(auth.account === undefined
      ? []
      : ['Facts of the account come with the tokens and are kept, see below.']),
  ]
}
