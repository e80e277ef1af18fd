// A platform that is none, for tests of what a connector's own words do in the engine.
import { z } from 'zod'
import { defineConnector } from '../../supabase/functions/_shared/connectors/define-connector.ts'
import { oauth2 } from '../../supabase/functions/_shared/connectors/vocabulary/auth.ts'

/** What every connector has to say of itself. */
export const ACME = {
  slug: 'acme',
  name: 'Acme',
  description: 'Acme.',
  category: 'commerce',
  docs: 'https://acme.example/docs',
  rateLimit: { requestsPerSecond: 1, burst: 1 },
} as const

export type OAuthWords = Partial<Parameters<typeof oauth2>[0]>

/** Its owner signs in, for a shop, `north` when not said. */
export function acmeSigningIn(words: OAuthWords) {
  return defineConnector({
    ...ACME,
    settings: z.strictObject({ shop: z.string().default('north') }),
    auth: oauth2({
      authorization_endpoint: 'https://{shop}.acme.example/authorize',
      token_endpoint: 'https://{shop}.acme.example/token',
      scope: 'read write',
      ...words,
    }),
    baseUrl: 'https://api.acme.example',
    accountId: ({ settings }) => settings.shop,
    streams: {},
  })
}
