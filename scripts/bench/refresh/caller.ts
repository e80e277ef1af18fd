// A process of its own whose callers need an account's token when it is told to: run by callers.ts.
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
  /** Callers in the process, each with a connection of its own; 1 when not said. */
  callers?: number
  environment: Outside['environment']
}

/**
 * `before` and `after` stop in the middle of the refresh: before the platform is asked, after it has answered; `save` lets
 * what stopped after the answer go on.
 */
export type Order = { kind: 'go' | 'before' | 'after' | 'save' }

export type Told =
  | { kind: 'token'; access_token: string; took_ms: number }
  | { kind: 'refused'; code: string; detail: string }
  | { kind: 'stopped' }

const setup: CallerSetup = JSON.parse(process.env['CALLER']!)
/** One for each caller of the process; none when it has come up. */
const tell = (...told: Told[]) => process.send!(told)
const count = setup.callers ?? 1
const db = directDatabase(setup.databaseUrl, { max: count })
const never = new Promise<never>(() => {})

let goOn = () => {}
let stoppedCall: Promise<Told[]> = Promise.resolve([])

process.on('message', async ({ kind }: Order) => {
  if (kind === 'save') {
    goOn()
    return tell(...await stoppedCall)
  }
  const needed = Promise.all(Array.from({ length: count }, () => need(kind)))
  if (kind === 'go') tell(...await needed)
  else stoppedCall = needed
})

async function need(kind: Order['kind']): Promise<Told> {
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
        const body = await answer.arrayBuffer()
        tell({ kind: 'stopped' })
        await new Promise<void>((resolve) => goOn = resolve)
        return new Response(body, answer)
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
    return { kind: 'token', access_token, took_ms: performance.now() - startedAt }
  } catch (error) {
    return {
      kind: 'refused',
      code: error instanceof AppError ? error.code : 'internal_error',
      detail: String(error),
    }
  }
}

// connected before it is told to go
await Promise.all(Array.from({ length: count }, () => db.call('next_sync_run_at', {})))
tell()
