// How does one call to a platform end? With an answer that means success, or with an AppError.
import type { HttpClient } from '../http/client.ts'
import { AppError } from '../platform/errors.ts'
import { withQuery } from './addresses.ts'
import { type Authentication, refused } from './authenticate.ts'
import type { Connector } from './define-connector.ts'
import type { AccountValues } from './vocabulary/auth.ts'
import { storable } from './vocabulary/storable.ts'

export type PlatformCall = {
  method?: 'GET' | 'POST'
  url: string
  query?: Record<string, string>
}

/** The body is safe to store. */
export type PlatformAnswer = {
  body: unknown
  headers: Headers
  /** Characters of the body as it came. */
  length: number
}

export type CallParts = {
  connector: Connector
  account: AccountValues
  http: HttpClient
  authentication: Authentication
}

/** A function that sends a call, and once more with a new token where the old one may have ended. */
export function platformCaller(
  { connector, account, http, authentication }: CallParts,
): (call: PlatformCall) => Promise<PlatformAnswer> {
  async function send({ method, url, query }: PlatformCall) {
    await authentication.prepare()
    const response = await http.send({
      method: method ?? 'GET',
      url: withQuery(url, { ...query, ...authentication.query }),
      repeatable: true, // everything the vocabulary can say only reads
      authorize: authentication.authorize,
    })
    const body = response.json()
    return {
      body: storable(body, response.text),
      headers: response.headers,
      length: response.text.length,
      failure: connector.failure(body),
    }
  }

  return async (call) => {
    try {
      const first = await send(call).catch(async (error: unknown) => {
        if (!isUnauthorized(error) || !(await authentication.renew())) {
          throw error
        }
        return await send(call)
      })
      const again = first.failure?.renewToken === true &&
        await authentication.renew()
      const { failure, ...answer } = again ? await send(call) : first
      if (failure) throw new AppError(failure.code, { detail: failure.detail })
      return answer
    } catch (error) {
      throw isUnauthorized(error) ? refused(connector, account, error) : error
    }
  }
}

const isUnauthorized = (error: unknown) =>
  error instanceof AppError && error.code === 'provider_unauthorized'
