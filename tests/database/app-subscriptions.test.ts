// The queue of our apps' webhook subscriptions: who may look at a platform's now, and what a stale worker can still do.
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { refusal, useDatabase } from '../support/database.ts'
import { connectIntegration, type IntegrationRow } from '../support/integrations.ts'
import { createOrganization, createPerson } from '../support/people.ts'

type Claimed = {
  connector: string
  lease_token: string
  external_id: string | null
  accounts: { integration_id: string; is_live: boolean; subscriptions: { name: string }[] }[]
}

const database = useDatabase()
const { owner, call } = database
const CONNECTOR = 'app-subscribed-network'

let organizationId: string
beforeAll(async () => {
  await owner`
    insert into public.connectors (
      slug, name, description, category, docs_url, auth_types, settings_schema, credentials_schema, streams, capabilities
    )
    values (
      ${CONNECTOR}, ${CONNECTOR}, 'For tests.', 'social', 'https://example.com', '{oauth2}', '{}', '{}', '[]',
      '{webhooks,app_webhook_subscriptions}'
    )
    on conflict do nothing`
  organizationId = await createOrganization(database, await createPerson(database))
})
beforeEach(async () => {
  await owner`delete from public.integrations where connector = ${CONNECTOR}`
  await owner`delete from private.app_subscription_runs`
})

const connected = (connector = CONNECTOR): Promise<IntegrationRow> =>
  connectIntegration(database, organizationId, { connector })
const claim = () => call<Claimed[]>('service_role', 'claim_app_subscriptions')

async function claimed(): Promise<Claimed> {
  const [mine, ...more] = await claim()
  expect(mine).toMatchObject({ connector: CONNECTOR })
  expect(more).toEqual([])
  return mine!
}

const change = (
  name: string,
  { connector, lease_token }: Claimed,
  more: Record<string, unknown> = {},
) => call('service_role', name, { p_connector: connector, p_lease_token: lease_token, ...more })

const savePart = (held: Claimed, external_id: string, ids: string[]) =>
  change('save_app_subscription', held, {
    p_external_id: external_id,
    p_name: 'post.create',
    p_integration_ids: ids,
  })

const rows = (id: string) =>
  owner`
    select name, status, external_id from public.webhook_subscriptions where integration_id = ${id}`

describe('an app', () => {
  it('is due when an account is connected, and nobody gets it twice', async () => {
    const { id } = await connected()

    const claims = await Promise.all(Array.from({ length: 10 }, claim))

    expect(claims.flat()).toMatchObject([{
      connector: CONNECTOR,
      external_id: null,
      accounts: [{ integration_id: id, is_live: true, subscriptions: [] }],
    }])
  })

  it('whose platform it does not subscribe at is never due', async () => {
    await connected('sample-store')

    expect(await claim()).toEqual([])
  })

  it('that somebody connects to while a worker looks is looked at again', async () => {
    await connected()
    const held = await claimed()

    const { id } = await connected()
    expect(await claim()).toEqual([])
    await change('finish_app_subscriptions', held)

    expect((await claimed()).accounts).toContainEqual(
      expect.objectContaining({ integration_id: id }),
    )
  })

  it('is due in an hour, and at once when an account is disconnected, paused no more, or deleted', async () => {
    const { id } = await connected()
    const other = await connected()
    await change('finish_app_subscriptions', await claimed())
    expect(await claim()).toEqual([])

    await call('service_role', 'update_integration', { p_integration_id: id, p_paused: true })
    expect(await claim()).toEqual([])
    await call('service_role', 'update_integration', { p_integration_id: id, p_paused: false })
    await change('finish_app_subscriptions', await claimed())
    await call('service_role', 'disconnect_integration', { p_integration_id: id })
    const held = await claimed()
    expect(held.accounts.map(({ integration_id }) => integration_id)).toEqual([other.id])
    await change('finish_app_subscriptions', held)
    await owner`delete from public.integrations where id = ${other.id}`

    expect((await claimed()).accounts).toEqual([])
  })
})

describe('a lease', () => {
  it('that ended goes to the next worker, and whoever had it changes nothing more', async () => {
    const { id } = await connected()
    const stale = await claimed()
    await savePart(stale, 'one', [id])
    await owner`update private.app_subscription_runs set run_at = now() - interval '1 second'`

    const fresh = await claimed()

    const attempts = (held: Claimed) => [
      () => change('begin_app_subscription', held),
      () => change('save_app_subscription', held, { p_external_id: 'webhook' }),
      () => savePart(held, 'two', [id]),
      () => change('forget_app_subscriptions', held, { p_integration_ids: [id] }),
      () => change('finish_app_subscriptions', held),
    ]
    for (const attempt of attempts(stale)) {
      await expect(attempt()).rejects.toMatchObject(refusal('lease_lost'))
    }
    expect(await rows(id)).toEqual([{ name: 'post.create', status: 'active', external_id: 'one' }])
    for (const attempt of attempts(fresh)) await attempt()
    expect(await rows(id)).toEqual([])
  })

  it('writes nothing of an account that was disconnected meanwhile, nor of another connector', async () => {
    const { id } = await connected()
    const other = await connected()
    const elsewhere = await connected('sample-store')
    const held = await claimed()
    await call('service_role', 'disconnect_integration', { p_integration_id: id })

    await savePart(held, 'one', [id, other.id, elsewhere.id])
    const error = { code: 'provider_unavailable', message: 'In words.', next: 'retry' }
    await change('finish_app_subscriptions', held, {
      p_failures: [id, elsewhere.id].map((integration_id) => ({
        integration_id,
        name: 'app',
        error,
      })),
    })

    expect(await rows(id)).toEqual([])
    expect(await rows(elsewhere.id)).toEqual([])
    expect(await rows(other.id)).toHaveLength(1)
  })
})
