// What goes out to a platform and what comes back.
import type { AppError } from '../platform/errors.ts'
import type { Answer } from './answer.ts'

/** Told by whoever sends a request. */
export type Trace = {
  /** The last try is, or may have been, carried out: it left, and was not turned away (429). */
  sent: boolean
  /** A try failed so that nobody knows whether it was carried out, whatever a later one comes to. */
  lost?: boolean
}

export type HttpRequest = {
  /** `GET` when not said. */
  method?: string
  url: string
  headers?: Record<string, string>
  body?: string | Uint8Array
  /**
   * May this be sent again when its outcome is unknown? By default GET, HEAD, PUT, DELETE and
   * OPTIONS may, POST and PATCH may not.
   */
  repeatable?: boolean
  /** Adds credentials. Called for each attempt and redirect, so that a signed token is fresh. */
  authorize?: (
    request: { method: string; url: string; headers: Headers },
  ) => void | Promise<void>
  timeoutMs?: number
  /**
   * Where a redirect of a GET may lead; `same host` when not said. `any host` is for public files, which
   * often are elsewhere: it is refused to whatever could carry credentials, in `authorize`, a header or a
   * body.
   */
  redirects?: 'same host' | 'any host'
  trace?: Trace
  /** Which further limit of the account's budget it counts against. */
  limit?: string
  /** Turns of the budget it takes; 1 when not said. */
  cost?: number
  /**
   * What an answer means where its status does not say it: an error, a success in spite of its status, or
   * (undefined) what the status says. An error is handled as if the status had said so: throttling is
   * waited for.
   */
  judge?: (answer: Answer) => AppError | 'success' | undefined
  /** How long all callers of the account should pause after this good answer, in milliseconds. */
  pause?: (answer: Answer, body: () => unknown) => number | null
}

export type HttpResponse = {
  status: number
  headers: Headers
  /** Where the answer came from, after redirects. */
  url: string
  readonly bytes: Uint8Array
  /** The bytes as UTF-8. */
  readonly text: string
  /** Parses the body. Throws `provider_bad_answer` when it is not JSON. */
  json(): unknown
}
