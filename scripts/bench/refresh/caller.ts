// A process of its own that needs an account's token when it is told to: run by callers.ts.
import process from 'node:process'
import { airtable } from '../../../supabase/functions/_shared/connectors/airtable.ts'
import { storedGrant } from '../../../supabase/functions/_shared/oauth/stored-grant.ts'
import type { OpenIntegration } from '../../../supabase/functions/_shared/integrations/open-integration.ts'
import { systemClock } from '../../../supabase/functions/_shared/platform/clock.ts'
import { directDatabase } from '../../../supabase/functions/_shared/platform/database.ts'
import { AppError } from '../../../supabase/functions/_shared/platform/errors.ts'
import { createLog } from '../../../supabase/functions/_shared/platform/log.ts'
import type { Outside } from '../../../supabase/functions/_shared/platform/outside.ts'

/** What the parent passes in `CALLER`. */
export type CallerSetup = {
  databaseUrl: string
  integrationId: string
  environment: Outside['environment']
}

/** `before` and `after` stop in the middle of the refresh: before the platform is asked, after it has answered. */
export type Order = { kind: 'go' | 'before' | 'after' }

export type Told =
  | { kind: 'ready' }
  | { kind: 'token'; access_token: string; took_ms: number }
  | { kind: 'refused'; code: string; detail: string }
  | { kind: 'stopped' }

const setup: CallerSetup = JSON.parse(process.env['CALLER']!)
const tell = (told: Told) => process.send!(told)
const db = directDatabase(setup.databaseUrl, { max: 1 })
const never = new Promise<never>(() => {})

process.on('message', async ({ kind }: Order) => {
  const startedAt = performance.now()
  const outside: Outside = {
    db,
    environment: setup.environment,
    log: createLog({}, () => {}),
    clock: systemClock,
    fetch: async (...request) => {
      if (kind === 'before') {
        tell({ kind: 'stopped' })
        await never
      }
      const answer = await fetch(...request)
      if (kind === 'after') {
        await answer.arrayBuffer()
        tell({ kind: 'stopped' })
        await never
      }
      return answer
    },
  }
  try {
    const open = await db.call<OpenIntegration>('open_integration', {
      p_integration_id: setup.integrationId,
    })
    const { settings, account } = open.integration
    const values = { settings, credentials: {}, account }
    const access_token = await storedGrant(outside, open, airtable, values).current()
    tell({ kind: 'token', access_token, took_ms: performance.now() - startedAt })
  } catch (error) {
    tell({
      kind: 'refused',
      code: error instanceof AppError ? error.code : 'internal_error',
      detail: String(error),
    })
  }
})
await db.call('next_sync_run_at', {}) // connected before it is told to go
tell({ kind: 'ready' })
