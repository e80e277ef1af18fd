// What a call to a platform looks like in a connector, and what comes back.

export type PlatformCall = {
  /** `GET` when not said. */
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Below the base address, or a whole address; places like `{setting}` are filled. */
  path: string
  /** Added to the address; an array repeats its name. */
  query?: Record<string, string | string[]>
  headers?: Record<string, string>
  /** Sent as `application/json`. */
  json?: unknown
  /** Sent as `application/x-www-form-urlencoded`. */
  form?: Record<string, string>
  /**
   * Which of the connector's `limits` it counts against, besides the account's own; none when not said.
   * `post:general` counts against `post`, apart from `post:random`.
   */
  limit?: string
  /** Turns of the budget it takes, where a platform counts units; 1 when not said. */
  cost?: number
  /** Statuses that are an answer all the same, such as 404 for a record that may be gone by now. */
  accept?: number[]
}

/** The body is safe to store. */
export type PlatformAnswer = {
  status: number
  /** Parsed JSON; undefined when the answer was empty. */
  body: unknown
  headers: Headers
  /** Characters of the body as it came. */
  length: number
}
