// A project's keys for a test: signs user tokens as Supabase Auth does and verifies them offline.
import { exportJWK, generateKeyPair, SignJWT } from 'jose'

export type SupabaseKeys = Awaited<ReturnType<typeof supabaseKeys>>

export async function supabaseKeys() {
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const jwk = { ...(await exportJWK(publicKey)), kid: 'test-key', alg: 'ES256', use: 'sig' }
  return {
    /** For `serve(…, …, { supabase })`. */
    supabase: {
      url: 'http://127.0.0.1:9', // nothing listens there: these tests need no network
      publishableKeys: { default: 'sb_publishable_test' },
      secretKeys: { default: 'sb_secret_test', worker: 'sb_secret_second' },
      jwks: { keys: [jwk] },
    },
    /** A user's access token; `claims` replaces what is in it, `header` what it says of its key. */
    userToken(
      userId: string,
      claims: Record<string, unknown> = {},
      header: { kid?: string } = { kid: 'test-key' },
    ): Promise<string> {
      return new SignJWT({ role: 'authenticated', ...claims })
        .setProtectedHeader({ alg: 'ES256', ...header })
        .setSubject(userId)
        .setIssuedAt()
        .setExpirationTime(claims.exp === undefined ? '1h' : Number(claims.exp))
        .sign(privateKey)
    },
  }
}
