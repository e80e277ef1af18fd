// How do a name and a password get into one header?

/** The value of an `Authorization` header (RFC 7617). `btoa` alone takes Latin-1 only. */
export function basicAuthorization(username: string, password: string): string {
  const bytes = new TextEncoder().encode(`${username}:${password}`)
  return `Basic ${btoa(String.fromCharCode(...bytes))}`
}
