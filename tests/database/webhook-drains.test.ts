// Webhooks that only say that a list has grown: one worker, a real list, and what becomes of each of them.
import { randomUUID } from 'node:crypto'
import { afterAll, beforeEach, expect, it, onTestFinished } from 'vitest'
import { startAirtableSimulator } from '../../scripts/simulators/airtable.ts'
import { systemClock } from '../../supabase/functions/_shared/platform/clock.ts'
import { directDatabase } from '../../supabase/functions/_shared/platform/database.ts'
import { createLog } from '../../supabase/functions/_shared/platform/log.ts'
import type { Outside } from '../../supabase/functions/_shared/platform/outside.ts'
import {
  runWebhookWorker,
  WEBHOOK_SHARE,
} from '../../supabase/functions/_shared/webhooks/run-webhook-worker.ts'
import { useDatabase } from '../support/database.ts'
import { testEnvironment } from '../support/environment.ts'
import { createIntegration } from '../support/integrations.ts'
import { createOrganization, createPerson } from '../support/people.ts'
import { sharedStack } from '../support/shared-stack.ts'
import { emptyWebhookQueue, receiveWebhook } from '../support/webhook-events.ts'

const database = useDatabase()
const { owner, call } = database
const db = directDatabase(sharedStack.dbUrl)
afterAll(() => db.end())
beforeEach(() => emptyWebhookQueue(database))

const outside = (baseUrl: string): Outside => ({
  db,
  environment: testEnvironment({ CONNECTOR_OVERRIDES: { airtable: { baseUrl } } }),
  log: createLog({}, () => {}),
  clock: systemClock,
})
const share = { ...WEBHOOK_SHARE, idleMs: 0 }

/** A connected base, and how often its list was asked for. */
async function base() {
  const simulator = await startAirtableSimulator({ people: 3, items: 3, requestsPerSecond: 0 })
  onTestFinished(() => simulator.stop())
  const { id } = await call<{ id: string }>('service_role', 'connect_integration', {
    p_organization_id: await createOrganization(database, await createPerson(database)),
    p_connector: 'airtable',
    p_external_account_id: randomUUID(),
    p_name: 'A base',
    p_settings: { ...simulator.settings, auth: 'personal_access_token' },
    p_credentials: simulator.credentials,
  })
  const made = await fetch(`${simulator.baseUrl}/v0/bases/${simulator.base.id}/webhooks`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${simulator.credentials.token}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({
      notificationUrl: 'https://project.example/functions/v1/webhook-receive/1',
      specification: { options: { filters: { dataTypes: ['tableData'] } } },
    }),
  })
  const webhook = await made.json() as { id: string }
  const ping = () =>
    receiveWebhook(database, {
      integrationId: id,
      connector: 'airtable',
      body: JSON.stringify({ base: { id: simulator.base.id }, webhook: { id: webhook.id } }),
    })
  const asked = () => simulator.requests.filter(({ path }) => path.includes('/payloads')).length
  return { id, simulator, ping, asked }
}

const statusesOf = async (integrationId: string) =>
  (await owner`
    select status, error ->> 'code' as code from public.webhook_events
    where integration_id = ${integrationId}`).map(({ status, code }) => code ?? status)

it('many about one list are answered by one reading of it', async () => {
  const { id, simulator, ping, asked } = await base()
  simulator.control.change(1)
  for (let count = 0; count < 5; count++) await ping()

  await runWebhookWorker(outside(simulator.baseUrl), share)

  expect(await statusesOf(id)).toEqual(Array(5).fill('processed'))
  expect(asked()).toBe(1)
})

it('many about a list that cannot be read fail by one try', async () => {
  const { id, simulator, ping, asked } = await base()
  for (let count = 0; count < 3; count++) await ping()
  simulator.control.setFault({ kind: 'status', status: 403, body: '{}' })

  await runWebhookWorker(outside(simulator.baseUrl), share)

  expect(await statusesOf(id)).toEqual(Array(3).fill('provider_forbidden'))
  expect(asked()).toBe(1)
})

it('a worker whose CPU is spent leaves, long before it would for want of work', async () => {
  const { id } = await createIntegration(database)
  for (let count = 0; count < 2; count++) await receiveWebhook(database, { integrationId: id })

  const worker = runWebhookWorker(outside('http://127.0.0.1:9'), {
    ...WEBHOOK_SHARE,
    idleMs: 3_600_000,
    cpuMs: 2,
  })

  expect(await worker).toBe(2)
})
