// The environment an engine gets in tests that run it in this process.
import type { Outside } from '../../supabase/functions/_shared/platform/outside.ts'

export function testEnvironment(
  changes: Partial<Outside['environment']> = {},
): Outside['environment'] {
  return {
    SUPABASE_URL: 'http://127.0.0.1:54321',
    CONNECTOR_OVERRIDES: {},
    OAUTH_CLIENTS: {},
    PLUGBOARD_ALLOW_PRIVATE_NETWORKS: true,
    PLUGBOARD_RETURN_URLS: [],
    ...changes,
  }
}
