// The one way out: every call to an outside platform goes through here and ends as data or AppError.
import { type Clock, systemClock } from '../platform/clock.ts'
import { AppError, type ErrorCode } from '../platform/errors.ts'
import { createLog, type Log } from '../platform/log.ts'
import { type Answer, answerError, readJson, readJsonOnce } from './answer.ts'
import { attempt } from './attempt.ts'
import type { Grant, Outcome, RequestBudget } from './budget.ts'
import type { HttpRequest, HttpResponse } from './request.ts'
import { isRepeatable, isWorthRetrying, withRetries } from './retry.ts'

export type HttpClientOptions = {
  fetch?: typeof globalThis.fetch
  clock?: Clock
  /** From 0 to below 1, for jitter. */
  random?: () => number
  /** The account's share; without one nothing limits the calls. */
  budget?: RequestBudget
  /** For a local stack with simulators only. */
  allowPrivateNetworks?: boolean
  /** For one attempt, from the name lookup to the last byte. 30 000 by default. */
  timeoutMs?: number
  /** After decompression. 20 MiB by default. */
  maxResponseBytes?: number
  /** The first one included. 4 by default. */
  maxAttempts?: number
  /** A longer wait is not sat out but thrown, with `retryAfterMs`. 60 000 by default. */
  maxRetryAfterMs?: number
  log?: Log
  /** Gives up at once, while waiting too; the error is `unavailable`. */
  signal?: AbortSignal
  /** All addresses of a name, for the private-network guard. */
  resolve?: (host: string) => Promise<string[]>
}

export interface HttpClient {
  /**
   * Sends a request, again where that is safe and can help. Answers 2xx only; everything else is
   * an AppError whose `cause` is what happened: a `ProviderAnswer` where the platform answered.
   */
  send(request: HttpRequest): Promise<HttpResponse>
}

/** The platform did not do its part; enough of these in a row open the circuit. */
const FAILURES = new Set<ErrorCode>(['provider_unavailable', 'provider_timeout'])

/** Thrown before anything was sent, so they say nothing about the platform. */
const NOT_SENT = new Set<ErrorCode>([
  'private_network_refused',
  'invalid_credentials',
  'circuit_open',
  'unavailable',
])

/** A turn that is used later than this belongs to the calls after it. */
const LATE_MS = 100

export function createHttpClient(options: HttpClientOptions = {}): HttpClient {
  const {
    fetch = globalThis.fetch,
    clock = systemClock,
    random = Math.random,
    timeoutMs = 30_000,
    maxResponseBytes = 20 * 1024 * 1024,
    maxAttempts = 4,
    maxRetryAfterMs = 60_000,
    log = createLog(),
    budget,
    signal,
  } = options
  const attemptOptions = { ...options, fetch, maxResponseBytes }

  /** Waits for the account's turn. */
  async function takeTurn(
    host: string,
    { limit, cost }: HttpRequest,
  ): Promise<Grant['circuit']> {
    if (!budget) return 'closed'
    for (;;) {
      const askedAt = clock.now().getTime()
      const grant = await budget.acquire({ limit, cost, maxWaitMs: maxRetryAfterMs })
      const retryAfterMs = grant.retry_after_ms ?? undefined
      if (grant.circuit === 'open') {
        throw new AppError('circuit_open', {
          detail: `Calls to ${host} are paused after repeated failures.`,
          retryAfterMs,
        })
      }
      if (grant.wait_ms > maxRetryAfterMs) {
        throw new AppError('provider_rate_limited', {
          detail: `The budget of calls to ${host} is used up for now.`,
          retryAfterMs: grant.wait_ms,
        })
      }
      if (grant.wait_ms === 0) return grant.circuit
      // counted from the middle of the question: an answer that was long on its way moves no turn
      const turnAt = (askedAt + clock.now().getTime()) / 2 + grant.wait_ms
      await clock.sleep(Math.max(0, Math.ceil(turnAt - clock.now().getTime())), signal)
      // Slept through it, as a process that was frozen does: everybody who woke with us would call at once.
      if (grant.circuit !== 'closed' || clock.now().getTime() - turnAt <= LATE_MS) {
        return grant.circuit
      }
    }
  }

  async function report(
    outcome: Outcome,
    retryAfterMs?: number,
    limit?: string,
  ): Promise<void> {
    try {
      await budget?.report(outcome, retryAfterMs, limit)
    } catch (error) {
      // the call's own outcome matters more; the budget learns from the next one
      log.warn('could not report to the request budget', { outcome, error })
    }
  }

  return {
    async send(request) {
      const repeatable = request.repeatable ??
        isRepeatable((request.method ?? 'GET').toUpperCase())
      const host = URL.parse(request.url)?.host ?? 'the platform'
      let circuit: Grant['circuit'] = 'closed'
      let hasFailed = false // the latest attempt that was sent

      try {
        const answer = await withRetries({
          clock,
          random,
          maxAttempts,
          signal,
          shouldRetry: (error) =>
            // a half-open circuit lets one call through: that call is the answer
            circuit === 'closed' && isWorthRetrying(error, repeatable) &&
            (error.retryAfterMs ?? 0) <= maxRetryAfterMs,
          onRetry: (error, waitMs) => log.warn('sending again', { host, wait_ms: waitMs, error }),
        }, async () => {
          circuit = await takeTurn(host, request)
          try {
            return await sendOnce(request)
          } catch (error) {
            hasFailed = error instanceof AppError && FAILURES.has(error.code)
            if (hasFailed && request.trace?.sent) request.trace.lost = true
            if (error instanceof AppError && error.code === 'provider_rate_limited') {
              if (request.trace) request.trace.sent = false // turned away
              await report('throttled', error.retryAfterMs, request.limit)
            }
            throw error
          }
        })
        // a good call over a closed circuit costs the database nothing
        if (circuit !== 'closed') await report('success')
        const pauseMs = request.pause?.(answer, () => readJsonOnce(answer)) ?? 0
        if (pauseMs > 0) await report('throttled', pauseMs, request.limit)
        return toResponse(answer)
      } catch (error) {
        if (signal?.aborted) {
          throw error instanceof AppError ? error : new AppError('unavailable', {
            detail: `The call to ${host} was cancelled.`,
            cause: error,
          })
        }
        if (hasFailed) await report('failure')
        else if (circuit !== 'closed' && provesAlive(error)) await report('success')
        throw error
      }
    },
  }

  async function sendOnce(request: HttpRequest): Promise<Answer> {
    const answer = await attempt(request, {
      ...attemptOptions,
      timeoutMs: request.timeoutMs ?? timeoutMs,
    })
    const judged = request.judge?.(answer)
    if (judged === 'success') return answer
    const error = judged ?? answerError(answer, clock.now())
    if (error) throw error
    return answer
  }
}

/** Does this error mean that the platform answered, if not as we hoped? 429 is reported by itself. */
function provesAlive(error: unknown): boolean {
  return error instanceof AppError && !NOT_SENT.has(error.code) &&
    error.code !== 'provider_rate_limited'
}

function toResponse(answer: Answer): HttpResponse {
  return {
    status: answer.status,
    headers: answer.headers,
    url: answer.url.href,
    bytes: answer.bytes,
    get text() {
      return answer.text
    },
    json: () => readJson(answer),
  }
}
