// How does one call to a platform end? With an answer that means success, or with an AppError.
import { type Answer, ProviderAnswer, readJsonOnce } from '../http/answer.ts'
import type { HttpClient } from '../http/client.ts'
import type { HttpRequest, Trace } from '../http/request.ts'
import type { Clock } from '../platform/clock.ts'
import { AppError, isCode } from '../platform/errors.ts'
import { withQuery } from './addresses.ts'
import { type Authentication, refused } from './authenticate.ts'
import type { Connector, Failure } from './define-connector.ts'
import type { AccountValues } from './vocabulary/auth.ts'
import type { PlatformAnswer, PlatformCall } from './vocabulary/platform-call.ts'
import { storable } from './vocabulary/storable.ts'

export type CallParts = {
  connector: Connector
  account: AccountValues
  http: HttpClient
  clock: Clock
  authentication: Authentication
}

/** A call whose address is complete. */
export type AddressedCall = Omit<PlatformCall, 'path'> & { url: string }

export type CallOptions = {
  /** Whether it may be sent again when its outcome is unknown. */
  repeatable: boolean
  /** Other statuses than 2xx that are an answer all the same. */
  accept?: (answer: PlatformAnswer) => boolean
  /** Told whether the platform may have carried it out. */
  trace?: Trace
}

/** Everything the vocabulary of streams can say only reads. */
const READS: CallOptions = { repeatable: true }

/** A function that sends a call, and once more with a new token where the old one may have ended. */
export function platformCaller(
  { connector, account, http, clock, authentication }: CallParts,
): (call: AddressedCall, options?: CallOptions) => Promise<PlatformAnswer> {
  async function send(call: AddressedCall, { repeatable, accept: isAccepted, trace }: CallOptions) {
    await authentication.prepare()
    let failure: Failure | null = null
    const judge = (answer: Answer): AppError | 'success' | undefined => {
      const { status, headers } = answer
      const isSuccess = status >= 200 && status < 300
      const body = readJsonOnce(answer)
      failure = connector.failure({ status, headers, body, now: clock.now() })
      const isAnswer = call.accept?.includes(status) ||
        isAccepted?.({ status, headers, body, length: answer.text.length })
      if (!isSuccess && isAnswer) return 'success'
      // Inside a success only throttling is the transport's business: the rest may be an ended token.
      if (!failure || isSuccess && failure.code !== 'provider_rate_limited') return undefined
      const { code, detail, retryAfterMs } = failure
      return new AppError(code, { detail, retryAfterMs, cause: new ProviderAnswer(answer) })
    }
    const response = await http.send({
      ...bodyOf(call),
      url: withQuery(call.url, { ...call.query, ...authentication.query }),
      repeatable,
      trace,
      authorize: authentication.authorize,
      limit: call.limit,
      cost: call.cost,
      judge,
      pause: ({ status, headers }, body) =>
        connector.pause({ status, headers, body: body(), now: clock.now() }),
    })
    const body = response.text === '' ? undefined : response.json()
    return {
      status: response.status,
      body: body === undefined ? undefined : storable(body, response.text),
      headers: response.headers,
      length: response.text.length,
      failure: failure as Failure | null,
    }
  }

  return async (call, options = READS) => {
    try {
      const first = await send(call, options).catch(async (error: unknown) => {
        if (!isUnauthorized(error) || !(await authentication.renew())) {
          throw error
        }
        return await send(call, options)
      })
      const again = first.failure?.renewToken === true &&
        await authentication.renew()
      const { failure, ...answer } = again ? await send(call, options) : first
      if (failure && isSuccess(answer.status)) {
        throw new AppError(failure.code, { detail: failure.detail })
      }
      return answer
    } catch (error) {
      throw isUnauthorized(error) ? refused(connector, account, error) : error
    }
  }
}

function bodyOf(
  { method = 'GET', headers, json, form }: AddressedCall,
): Pick<HttpRequest, 'method' | 'headers' | 'body'> {
  if (json !== undefined) {
    return {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(json),
    }
  }
  if (form !== undefined) {
    return {
      method,
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body: new URLSearchParams(form).toString(),
    }
  }
  return { method, headers }
}

const isSuccess = (status: number) => status >= 200 && status < 300

const isUnauthorized = (error: unknown) => isCode(error, 'provider_unauthorized')
