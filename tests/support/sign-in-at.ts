// How does a test get a token from a simulated platform? By the real sign-in, as the connector declares it.
import * as oauth from 'oauth4webapi'
import { browser } from '../../scripts/simulators/parts/oauth/browser.ts'
import type { Connector } from '../../supabase/functions/_shared/connectors/define-connector.ts'
import type { OAuth2 } from '../../supabase/functions/_shared/connectors/vocabulary/auth.ts'

const REDIRECT_URI = 'https://app.example/oauth-callback'
const insecure = { [oauth.allowInsecureRequests]: true }

export type SignInAt = {
  url: string
  client: { client_id: string; client_secret: string }
}

/** The sign-in of a connector at a simulator: every step over HTTP, with a browser that presses Allow. */
export function signInAt(
  { url, client: { client_id, client_secret } }: SignInAt,
  connector: Connector,
  settings: Record<string, unknown> = {},
) {
  const auth = connector.auth(settings) as OAuth2
  const here = (address: string) => url + new URL(address).pathname
  const as: oauth.AuthorizationServer = {
    issuer: url,
    authorization_endpoint: here(auth.authorization_endpoint),
    token_endpoint: here(auth.token_endpoint),
    ...(auth.revocation_endpoint ? { revocation_endpoint: here(auth.revocation_endpoint) } : {}),
  }
  const client: oauth.Client = { client_id }
  const authentication = auth.token_endpoint_auth_method === 'client_secret_post'
    ? oauth.ClientSecretPost(client_secret)
    : oauth.ClientSecretBasic(client_secret)

  /** Some platforms have a token answer of their own; the connector says how it reads. */
  const inStandardWords = (answer: Response, said: unknown): Response => {
    if (!auth.readTokenAnswer) return answer
    const read = auth.readTokenAnswer(said) as { error?: string }
    return Response.json(read, { status: read.error === undefined ? 200 : 400 })
  }

  return {
    /**
     * @param account Who signs in; default is whom the consent page suggests.
     * @returns The tokens, and the platform's own `answer`.
     */
    async signIn(
      account?: string,
    ): Promise<oauth.TokenEndpointResponse & { answer: oauth.JsonValue }> {
      const verifier = oauth.generateRandomCodeVerifier()
      const state = oauth.generateRandomState()
      const asked = new URL(as.authorization_endpoint!)
      const query = {
        client_id,
        redirect_uri: REDIRECT_URI,
        response_type: 'code',
        scope: auth.scope.replaceAll(' ', auth.scopeSeparator ?? ' '),
        state,
        ...auth.parameters,
        ...(auth.pkce === false ? {} : {
          code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
          code_challenge_method: 'S256',
        }),
      }
      for (const [name, value] of Object.entries(query)) asked.searchParams.set(name, value)
      const landed = await browser().authorize(asked.href, {
        stopAt: REDIRECT_URI,
        ...(account === undefined ? {} : { account }),
      })
      const callback = new URL(landed.url)
      const answer = await oauth.authorizationCodeGrantRequest(
        as,
        client,
        authentication,
        oauth.validateAuthResponse(as, client, callback, state),
        REDIRECT_URI,
        auth.pkce === false ? oauth.nopkce : verifier,
        insecure,
      )
      const said = await answer.clone().json() as oauth.JsonValue
      const tokens = await oauth.processAuthorizationCodeResponse(
        as,
        client,
        inStandardWords(answer, said),
      )
      return { ...tokens, answer: said }
    },
    /** The token endpoint's answer to a refresh, unread. */
    refresh: (refresh_token: string): Promise<Response> =>
      oauth.refreshTokenGrantRequest(as, client, authentication, refresh_token, insecure),
    revoke: (token: string): Promise<Response> =>
      oauth.revocationRequest(as, client, authentication, token, insecure),
  }
}
