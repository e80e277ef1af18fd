// How does another process bend the authorization server? `/_control/oauth/<verb>`, beside the platform's own verbs.
import { z } from 'zod'
import { jsonOf, type SimulatorAnswer, type SimulatorRequest } from '../http-server.ts'
import type { OAuthServer } from '../oauth-server.ts'

const Which = z.strictObject({
  account: z.string().optional(),
  access_token: z.string().optional(),
  refresh_token: z.string().optional(),
}).transform((which) =>
  Object.fromEntries(Object.entries(which).filter(([, value]) => value !== undefined))
)
const Scopes = z.strictObject({ scopes: z.array(z.string()) })
const Uris = z.strictObject({ redirect_uris: z.union([z.array(z.string()), z.literal('any')]) })
const Failure = z.strictObject({
  status: z.int(),
  body: z.union([z.record(z.string(), z.unknown()), z.string()]).default({
    error: 'temporarily_unavailable',
  }),
  headers: z.record(z.string(), z.string()).default({}),
  times: z.int().positive().nullable().default(1),
})
const Seconds = z.int().positive()

const DONE: SimulatorAnswer = { body: { ok: true } }

/** `null` when the verb is not one of OAuth's: then it is the platform's. */
export function answerOAuthControl(
  request: SimulatorRequest,
  { control, setRedirectUris }: Pick<OAuthServer, 'control' | 'setRedirectUris'>,
): SimulatorAnswer | null {
  const prefix = '/_control/oauth/'
  if (!request.url.pathname.startsWith(prefix)) return null
  const verb = `${request.method} ${request.url.pathname.slice(prefix.length)}`
  const body = jsonOf(request) ?? {}
  try {
    switch (verb) {
      case 'GET counters':
        return { body: control.counters() }
      case 'GET consents':
        return { body: control.consents() }
      case 'POST deny-next-consent':
        control.denyNextConsent()
        return DONE
      case 'POST allow-only-next-time':
        control.allowOnlyNextTime(Scopes.parse(body).scopes)
        return DONE
      case 'POST expire-access-tokens':
        control.expireAccessTokens(Which.parse(body))
        return DONE
      case 'POST expire-refresh-tokens':
        control.expireRefreshTokens(Which.parse(body))
        return DONE
      case 'POST revoke-grants':
        control.revokeGrants(Which.parse(body))
        return DONE
      case 'POST fail-next-token-call':
        control.failNextTokenCall(Failure.parse(body))
        return DONE
      case 'POST lose-next-token-answer':
        control.loseNextTokenAnswer()
        return DONE
      case 'POST access-token-seconds':
        control.setLifetimes({
          access_token_seconds: z.strictObject({ seconds: Seconds.nullable() }).parse(body).seconds,
        })
        return DONE
      case 'POST refresh-token-seconds':
        control.setLifetimes({
          refresh_token_seconds: z.strictObject({ seconds: Seconds }).parse(body).seconds,
        })
        return DONE
      case 'POST redirect-uris':
        setRedirectUris(Uris.parse(body).redirect_uris)
        return DONE
    }
  } catch (error) {
    return { status: 400, body: { error: error instanceof Error ? error.message : String(error) } }
  }
  return { status: 404, body: { error: `no such control: ${verb}` } }
}
