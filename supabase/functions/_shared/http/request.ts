// What goes out to a platform and what comes back.
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
