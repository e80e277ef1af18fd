// A platform that is nothing but its authorization server, and our side of OAuth as `oauth4webapi` speaks it.
import * as oauth from 'oauth4webapi'
import { expect, onTestFinished } from 'vitest'
import { faults } from '../../../scripts/simulators/parts/faults.ts'
import { startSimulatorServer } from '../../../scripts/simulators/parts/http-server.ts'
import { type Authorization, browser } from '../../../scripts/simulators/parts/oauth/browser.ts'
import { answerOAuthControl } from '../../../scripts/simulators/parts/oauth/control-routes.ts'
import {
  oauthServer,
  type OAuthServerOptions,
} from '../../../scripts/simulators/parts/oauth-server.ts'
import { requestLog } from '../../../scripts/simulators/parts/request-log.ts'

export const REDIRECT_URI = 'https://app.example/oauth-callback'
const insecure = { [oauth.allowInsecureRequests]: true }

export async function startPlatform(changes: Partial<OAuthServerOptions> = {}) {
  const injected = faults()
  const log = requestLog()
  const options: OAuthServerOptions = {
    platform: 'Acme',
    authorization_path: '/oauth2/v1/authorize',
    token_path: '/oauth2/v1/token',
    revocation_path: '/oauth2/v1/revoke',
    client: {
      client_id: 'plugboard',
      client_secret: 'a secret: with & + %',
      token_endpoint_auth_method: 'client_secret_basic',
    },
    redirect_uris: [REDIRECT_URI],
    pkce: 'required',
    scopes: ['products:read', 'products:write'],
    rotation: true,
    access_token_seconds: 3600,
    accounts: ['ada@acme.example'],
    faults: injected,
    ...changes,
  }
  const server = oauthServer(options)
  const http = await startSimulatorServer({
    port: 0,
    faults: injected,
    log,
    mount: server.handle,
    answer: () => ({ status: 404, body: { error: 'not found' } }),
    control: (request) => answerOAuthControl(request, server) ?? { status: 404 },
  })
  onTestFinished(http.stop)

  const as: oauth.AuthorizationServer = {
    issuer: http.url,
    authorization_endpoint: http.url + options.authorization_path,
    token_endpoint: http.url + options.token_path,
    revocation_endpoint: http.url + (options.revocation_path ?? ''),
    authorization_response_iss_parameter_supported: options.issuer_parameter ?? false,
  }
  const client: oauth.Client = { client_id: options.client.client_id }
  const { client_secret = '', token_endpoint_auth_method: method } = options.client
  const authentication = (secret = client_secret) =>
    method === 'none'
      ? oauth.None()
      : method === 'client_secret_post'
      ? oauth.ClientSecretPost(secret)
      : oauth.ClientSecretBasic(secret)

  /** The address a person is sent to, and what has to be kept until they are back. */
  async function ask(parameters: Record<string, string | null> = {}) {
    const verifier = oauth.generateRandomCodeVerifier()
    const state = oauth.generateRandomState()
    const url = new URL(as.authorization_endpoint!)
    const query = {
      client_id: client.client_id,
      redirect_uri: REDIRECT_URI,
      response_type: 'code',
      scope: 'products:read',
      state,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      ...parameters,
    }
    for (const [name, value] of Object.entries(query)) {
      if (value !== null) url.searchParams.set(name, value)
    }
    return { url: url.href, state, verifier }
  }

  /** Asks, lets a person answer, and reads what came back with them. */
  async function consent(
    authorization: Authorization = {},
    parameters: Record<string, string | null> = {},
    with_ = browser(),
  ) {
    const asked = await ask(parameters)
    const landed = await with_.authorize(asked.url, { stopAt: REDIRECT_URI, ...authorization })
    return { ...asked, landed, callback: new URL(landed.url) }
  }

  /** The token endpoint's answer to the code in `callback`, unread. */
  async function exchange(
    { callback, state, verifier }: { callback: URL; state: string; verifier: string },
    changes: { redirect_uri?: string; verifier?: string | symbol; secret?: string } = {},
  ) {
    const parameters = oauth.validateAuthResponse(as, client, callback, state)
    return await oauth.authorizationCodeGrantRequest(
      as,
      client,
      authentication(changes.secret),
      parameters,
      changes.redirect_uri ?? REDIRECT_URI,
      (changes.verifier ?? verifier) as string,
      insecure,
    )
  }

  const refresh = async (refresh_token: string) =>
    await oauth.refreshTokenGrantRequest(as, client, authentication(), refresh_token, insecure)
  const revoke = async (token: string) =>
    await oauth.revocationRequest(as, client, authentication(), token, insecure)
  const read = async (answer: Response) =>
    await oauth.processAuthorizationCodeResponse(as, client, answer)

  /** A verb of the control API over HTTP. */
  const post = async (verb: string, body?: unknown) =>
    await fetch(`${http.url}/_control/oauth/${verb}`, {
      method: 'POST',
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })

  /** Through the whole flow: a connected account. */
  async function connect(
    account = 'ada@acme.example',
    parameters: Record<string, string | null> = {},
  ) {
    return await read(await exchange(await consent({ account }, parameters)))
  }

  return {
    ...{
      options,
      as,
      client,
      server,
      control: server.control,
      log,
      faults: injected,
      origin: http.url,
    },
    ...{ ask, consent, exchange, refresh, revoke, read, connect, post },
  }
}

/** What a refused token call says. */
export const refusal = async (answer: Response) => ({
  status: answer.status,
  error: (await answer.json() as { error: string }).error,
})

/** The body of a token call that was granted. */
export async function granted(answer: Response) {
  expect(answer.status).toBe(200)
  return await answer.json() as { access_token: string; refresh_token: string; expires_in: number }
}
