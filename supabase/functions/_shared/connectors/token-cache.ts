// Where does an exchanged token live between two runs?

/** The engine passes one kept in Vault; its entry belongs to one account. */
export interface TokenCache {
  read(): Promise<{ access_token: string; expires_at: string } | null>
  write(token: { access_token: string; expires_at: string }): Promise<void>
  clear(): Promise<void>
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
