// How does a test register a business app, and how does that app sign what it sends?
import { createHmac } from 'node:crypto'
import { generateSecret } from '../../supabase/functions/_shared/webhooks/generate-keys.ts'
import type { TestDatabase } from './database.ts'

export type TestAppInstance = {
  id: string
  organization_id: string
  app: string
  name: string
  status: string
  version: number
  created_by: string | null
  /** `whsec_…` */
  secret: string
}

export async function registerAppInstance(
  { call }: Pick<TestDatabase, 'call'>,
  organizationId: string,
  { secret = generateSecret(), ...given }: Record<string, unknown> & { secret?: string } = {},
): Promise<TestAppInstance> {
  const instance = await call<Omit<TestAppInstance, 'secret'>>(
    'service_role',
    'register_app_instance',
    {
      p_organization_id: organizationId,
      p_app: 'booking',
      p_name: 'Bookings',
      p_secret: secret,
      ...given,
    },
  )
  return { ...instance, secret }
}

/** A call as an app makes it: the hex HMAC-SHA256 of the body's bytes, its key the secret as it was shown. */
export function signedByApp(secret: string, body: string): RequestInit {
  return {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-webhook-signature': createHmac('sha256', secret).update(body).digest('hex'),
    },
    body,
  }
}
