import { describe, expect, it } from 'vitest'
import { createPlugboard } from '../../../src/index.ts'
import { fakeSupabase, json } from './fake-supabase.ts'
import { integrationId, organizationId } from './rows.ts'

const id = '0b8d5c0e-8c4f-4d4b-9d0f-2f3a1a0c9b77'
const row = {
  id,
  organization_id: organizationId,
  integration_id: integrationId,
  app_instance_id: null,
  connector: 'stripe',
  type: 'customer.updated',
  status: 'failed',
  error: { code: 'invalid_record', message: 'no', next: 'developer' },
  received_at: '2026-11-20T09:00:00.123456+00:00',
  processed_at: null,
}

describe('webhook events', () => {
  it('are listed newest first without their bodies, and go on behind the last of a page', async () => {
    const { supabase, requests } = fakeSupabase(json([row]), json([]))
    const { webhookEvents } = createPlugboard(supabase)

    const { data } = await webhookEvents.list({ integration_id: integrationId, status: 'failed' })
    await webhookEvents.list({ before: data![0] })

    const [first, second] = requests.map(({ query }) => Object.fromEntries(query ?? []))
    expect(data).toEqual([row])
    expect(first).toMatchObject({ order: 'received_at.desc,id.desc', status: 'eq.failed' })
    expect(first?.select).not.toContain('body')
    expect(second?.or).toBe(
      `(received_at.lt."${row.received_at}",and(received_at.eq."${row.received_at}",id.lt."${id}"))`,
    )
  })

  it('have their bytes when one is asked for', async () => {
    const { supabase } = fakeSupabase(json([{ ...row, body: '\\x7b22c3bc227d' }]), json([]))
    const { webhookEvents } = createPlugboard(supabase)

    const { data } = await webhookEvents.get(id)
    const { error } = await webhookEvents.get(id)

    expect(new TextDecoder().decode(data?.body)).toBe('{"ü"}')
    expect(error?.code).toBe('webhook_event_not_found')
  })

  it('are replayed, and verified again, through the functions, as doors are set up', async () => {
    const receiver = {
      connector: 'stripe',
      doors: [{
        at: 'integration',
        address: 'https://project.example/functions/v1/a',
        setup: 'Do.',
      }],
      secrets: [{ created_at: row.received_at, expires_at: null }],
      path_token_created_at: null,
    }
    const results = [{ webhook_event_id: id, verified: false, reason: 'wrong_signature' }]
    const { supabase, requests } = fakeSupabase(
      json({ replayed: 2, next: null }),
      json(receiver),
      json(receiver),
      json({ address: 'https://project.example/functions/v1/a/b' }),
      json(results),
    )
    const { webhookEvents, integrations } = createPlugboard(supabase)
    const integration = { integration_id: integrationId }

    const replayed = await webhookEvents.replay(integration)
    const shown = await integrations.webhook(integration)
    const set = await integrations.setWebhookSecret({ ...integration, secret: 'whsec_1234' })
    const path = await integrations.rotateWebhookPath(integration)
    const verified = await webhookEvents.verify({
      app_instance_id: integrationId,
      webhook_event_ids: [id],
    })

    expect(requests.map(({ path }) => path.replace('/functions/v1/integrations/', ''))).toEqual([
      'replay-webhooks',
      'webhook',
      'set-webhook-secret',
      'rotate-webhook-path',
      'verify-webhooks',
    ])
    expect(verified.data).toEqual(results)
    expect([replayed.data, shown.data, set.data, path.data?.address]).toEqual([
      { replayed: 2, next: null },
      receiver,
      receiver,
      'https://project.example/functions/v1/a/b',
    ])
  })
})
