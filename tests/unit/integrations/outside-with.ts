// What an engine works with in a unit test: SQL functions that answer what they are told, the rest real.
import type { Integration } from '../../../supabase/functions/_shared/contracts/integrations.ts'
import { systemClock } from '../../../supabase/functions/_shared/platform/clock.ts'
import { createLog } from '../../../supabase/functions/_shared/platform/log.ts'
import type { Outside } from '../../../supabase/functions/_shared/platform/outside.ts'
import { testEnvironment } from '../../support/environment.ts'

export type Calls = { name: string; args: Record<string, unknown> }[]

/** @param answers By the SQL function's name; one that throws makes its call fail. */
export function outsideWith(
  answers: Record<string, () => unknown>,
  parts: Partial<Outside> = {},
): { outside: Outside; calls: Calls } {
  const calls: Calls = []
  const known: Record<string, () => unknown> = {
    acquire_request: () => ({ wait_ms: 0, circuit: 'closed' }),
    ...answers,
  }
  const outside: Outside = {
    db: {
      async call<T>(name: string, args: Record<string, unknown>) {
        calls.push({ name, args })
        return await (known[name]?.() ?? null) as T
      },
      end: () => Promise.resolve(),
    },
    environment: testEnvironment(),
    log: createLog({}, () => {}),
    clock: systemClock,
    ...parts,
  }
  return { outside, calls }
}

/** A connected feed at this address. */
export function feedIntegration(url: string, change: Partial<Integration> = {}): Integration {
  const at = '2026-01-01T00:00:00Z'
  return {
    id: '11111111-1111-4111-8111-111111111111',
    organization_id: '22222222-2222-4222-8222-222222222222',
    connector: 'json-feed',
    external_account_id: new URL(url).href,
    name: 'Corner shop',
    status: 'connected',
    settings: { url, currency: 'USD' },
    account: {},
    sync_interval_minutes: 60,
    webhooks: null,
    consecutive_failures: 0,
    last_error: null,
    last_synced_at: null,
    last_checked_at: null,
    connected_at: at,
    disconnected_at: null,
    credentials_kept_until: null,
    created_at: at,
    updated_at: at,
    ...change,
  }
}
