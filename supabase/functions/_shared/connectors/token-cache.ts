// Where do an account's access tokens come from and live between two runs?

/** The engine passes one kept in Vault; its entry belongs to one account. */
export interface TokenCache {
  read(): Promise<{ access_token: string; expires_at: string } | null>
  write(token: { access_token: string; expires_at: string }): Promise<void>
  clear(): Promise<void>
}

/** The tokens of an account whose owner has signed in (RFC 6749). */
export interface OAuthGrant {
  /**
   * A token that is good for a while; refreshed first where it is about to end.
   *
   * @throws AppError `reconnect_required` when the owner has to sign in again
   */
  current(): Promise<string>
  /** Another token than this one, which the platform refused; null when there is none to be had. */
  renew(refused: string): Promise<string | null>
}

/** Forgets everything with the process: for a connection that is not saved yet, and for tests. */
export function memoryTokenCache(): TokenCache {
  let held: { access_token: string; expires_at: string } | null = null
  return {
    read: () => Promise.resolve(held),
    write: (token) => Promise.resolve(void (held = token)),
    clear: () => Promise.resolve(void (held = null)),
  }
}

/** One token that cannot be renewed: right after a sign-in, before anything is saved. */
export function fixedGrant(access_token: string): OAuthGrant {
  return {
    current: () => Promise.resolve(access_token),
    renew: () => Promise.resolve(null),
  }
}
