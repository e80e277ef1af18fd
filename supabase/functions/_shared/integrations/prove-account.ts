// Do these settings and credentials work? One cheap call with what a person typed, before it is kept.
import { openAccount } from '../connectors/account.ts'
import type { Connector } from '../connectors/define-connector.ts'
import { memoryTokenCache, type OAuthGrant } from '../connectors/token-cache.ts'
import type { AccountFacts } from '../connectors/vocabulary/auth.ts'
import { AppError } from '../platform/errors.ts'
import type { Outside } from '../platform/outside.ts'
import { answerInTime } from './answer-in-time.ts'
import { accountHttp } from './open-integration.ts'

type Values = {
  settings: Record<string, unknown>
  credentials: Record<string, unknown>
  account: AccountFacts
}

export type Proved = {
  account_name?: string
  /** What the platform says of the account. */
  account: AccountFacts
  /** The access token that was exchanged for the credentials, where the platform has such. */
  token: { access_token: string; expires_at: string } | null
}

/**
 * Makes the connector's cheap call.
 *
 * @param organizationId Whose budget for unproved credentials is used.
 * @param grant The token of a sign-in that has just ended.
 * @throws AppError `invalid_credentials` or `invalid_settings` for what the platform refuses
 */
export async function proveAccount(
  outside: Outside,
  connector: Connector,
  values: Values,
  organizationId: string,
  grant?: OAuthGrant,
): Promise<Proved> {
  const tokens = memoryTokenCache()
  // An organization's own: a stranger who names somebody's account must not use up that account's
  // turns nor open its circuit, and whoever guesses credentials gets no more turns by guessing others.
  const budgetKey = `${connector.slug}:unproved:${organizationId}`
  try {
    return await answerInTime(outside, connector.name, async (signal) => {
      const account = openAccount({
        connector,
        ...values,
        http: accountHttp(connector, values.settings, budgetKey, outside, signal),
        clock: outside.clock,
        overrides: outside.environment.CONNECTOR_OVERRIDES,
        tokens,
        grant,
      })
      const { account_name, ...proved } = await account.check()
      // what integrations.name can hold
      const name = account_name?.trim().slice(0, 200).trim().toWellFormed()
      return { ...proved, ...(name ? { account_name: name } : {}), token: await tokens.read() }
    })
  } catch (error) {
    throw asInputError(error, connector, values.settings)
  }
}

/** What the platform refuses while connecting is what the person typed. */
function asInputError(
  error: unknown,
  connector: Connector,
  settings: Values['settings'],
): unknown {
  if (!(error instanceof AppError)) return error
  const { name } = connector
  switch (error.code) {
    case 'provider_unauthorized':
    case 'provider_forbidden':
      if (connector.auth(settings).type === 'none') {
        return settingsError(`${name} is not open to everybody at this address.`, connector, error)
      }
      return new AppError('invalid_credentials', {
        detail: `${name} refused these credentials.`,
        errors: [{ path: 'credentials', message: 'were refused by the platform' }],
        cause: error,
      })
    case 'provider_not_found':
      return settingsError(`${name} knows nothing at this address.`, connector, error)
    default:
      return error
  }
}

/** Names the field where only one has to be filled in, so that no other can be at fault. */
function settingsError(detail: string, connector: Connector, cause: AppError): AppError {
  const required = Object.entries(connector.settings.shape)
    .filter(([, field]) => !field.safeParse(undefined).success)
    .map(([key]) => key)
  const message = 'leads to nothing that can be read'
  return new AppError('invalid_settings', {
    detail,
    errors: required.length === 1 ? [{ path: `settings.${required[0]}`, message }] : undefined,
    cause,
  })
}
