// What does an action through the whole stack come to, and how often is it done?
import { describe, expect, it, vi } from 'vitest'
import type { AirtableSimulator } from '../../scripts/simulators/airtable.ts'
import type { ActionResult } from '../../supabase/functions/_shared/contracts/integrations.ts'
import { useFunctions } from '../support/functions.ts'
import { createTeam, type Team } from '../support/people.ts'
import { openAirtable, signIn } from '../support/sign-in.ts'

const functions = useFunctions()
const { call, database } = functions
const { admin: sql } = database
/** Whose account it is; one base connects once in an organization. */
let team: Team

async function connected() {
  team = await createTeam(database)
  const airtable = await openAirtable(functions, { requestsPerSecond: 0 })
  const { integration_id } = await signIn(functions, team.manager, team.organizationId, airtable)
  return { airtable, integration_id: integration_id! }
}

const upsert = (integration_id: string, email: string, more: Record<string, unknown> = {}) => ({
  integration_id,
  action: 'upsert_records',
  input: { table: 'People', merge_on: ['Email'], records: [{ Name: 'Ada', Email: email }] },
  ...more,
})
const act = (body: Record<string, unknown>) =>
  call<ActionResult>(team.manager, '/integrations/act', body)
const writes = (airtable: AirtableSimulator) =>
  airtable.requests.filter(({ method }) => method === 'PATCH' || method === 'DELETE')
const activities = (integration_id: string) =>
  sql`
    select action, outcome, actor_id, detail from public.activity_logs
    where subject_id = ${integration_id} and action like 'action.%' order by created_at`

describe('an action', () => {
  it('is done, answered, and written down once, without what was sent', async () => {
    const { airtable, integration_id } = await connected()

    const done = await act(upsert(integration_id, 'ada@example.com'))

    expect(done).toMatchObject({ status: 200, body: { status: 'success' } })
    expect(writes(airtable)).toHaveLength(1)
    const logged = await activities(integration_id)
    expect(logged).toMatchObject([
      { action: 'action.upsert_records', outcome: 'success', actor_id: team.manager.id },
    ])
    expect(JSON.stringify(logged)).not.toContain('ada@example.com')
  })

  it('takes as much as an action may hold, such as 5 MB of attachments in base64', async () => {
    const { airtable, integration_id } = await connected()
    const records = Array.from({ length: 80 }, (_, index) => ({
      Name: 'x'.repeat(90_000),
      Email: `large-${index}@example.com`,
    }))
    const input = { table: 'People', merge_on: ['Email'], records }

    const done = await act({ integration_id, action: 'upsert_records', input })

    expect(JSON.stringify(input).length).toBeGreaterThan(5 * 1024 * 1024 * 4 / 3)
    expect(done).toMatchObject({ status: 200, body: { status: 'success' } })
    expect(writes(airtable)).toHaveLength(8)
  })

  it('in a dry run is shown and not done', async () => {
    const { airtable, integration_id } = await connected()

    const shown = await act(upsert(integration_id, 'dry@example.com', { dry_run: true }))

    expect(shown.body).toMatchObject({ status: 'dry_run', action_id: null })
    expect(shown.body.requests).toMatchObject([{ method: 'PATCH' }])
    expect(writes(airtable)).toEqual([])
    expect(await activities(integration_id)).toEqual([])
  })

  it('with an idempotency key is done once, however often and however many at once ask', async () => {
    const { airtable, integration_id } = await connected()
    const body = upsert(integration_id, 'once@example.com', { idempotency_key: 'order-17' })

    const answers = await Promise.all(Array.from({ length: 6 }, () => act(body)))
    const later = await act(body)

    const codes = answers.map(({ status, body }) => status === 200 ? body.status : 'busy')
    expect(codes).toContain('success')
    expect(codes.filter((code) => code !== 'success' && code !== 'busy')).toEqual([])
    expect(writes(airtable)).toHaveLength(1)
    expect(later.body).toMatchObject({ status: 'success', action_id: expect.any(String) })
    expect(await activities(integration_id)).toHaveLength(1)
  })

  it('whose key was used with another input is refused', async () => {
    const { integration_id } = await connected()
    const first = await act(upsert(integration_id, 'a@example.com', { idempotency_key: 'k' }))

    const other = await act(upsert(integration_id, 'b@example.com', { idempotency_key: 'k' }))

    expect(first.body.status).toBe('success')
    expect(other).toMatchObject({ status: 409, body: { code: 'idempotency_key_reused' } })
  })

  it('that the platform refuses is an answer with the reason', async () => {
    const { airtable, integration_id } = await connected()
    airtable.control.setFault({ kind: 'status', status: 403, times: 1, path: '/v0/' })

    const refused = await act(upsert(integration_id, 'no@example.com'))
    const accepted = await act(upsert(integration_id, 'no@example.com'))

    expect(refused).toMatchObject({
      status: 200,
      body: { status: 'failed', error: { code: 'provider_forbidden', next: 'owner' } },
    })
    expect(accepted.body.status).toBe('success')
    expect((await activities(integration_id)).map(({ outcome }) => outcome))
      .toEqual(['failure', 'success'])
  })

  it('that could not be sent has failed, not unknown, and its key is free for when it works', async () => {
    const { airtable, integration_id } = await connected()
    const body = upsert(integration_id, 'later@example.com', { idempotency_key: 'later' })
    // the access has ended, and could not be renewed a moment ago
    await sql`
      update private.integration_credentials set token_expires_at = now() where integration_id = ${integration_id}`
    await sql`
      update private.oauth_grants set next_refresh_at = now() + interval '1 minute'
      where integration_id = ${integration_id}`
    const refused = await act(body)
    await sql`
      update private.oauth_grants set next_refresh_at = now() where integration_id = ${integration_id}`

    const done = await act(body)

    expect(refused.body).toMatchObject({ status: 'failed', error: { next: 'retry' } })
    expect(done.body).toMatchObject({ status: 'success' })
    expect(writes(airtable)).toHaveLength(1)
  })

  it('whose answer never came is unknown, and nobody is told to try again', async () => {
    const { airtable, integration_id } = await connected()
    airtable.control.setFault({ kind: 'reset', times: 9, path: '/v0/' })

    const lost = await act(upsert(integration_id, 'lost@example.com'))

    expect(lost.body).toMatchObject({ status: 'unknown', error: { next: 'owner' } })
    expect(lost.body.error?.message).toContain('look there')
    airtable.control.clearFaults()
    // the outage has opened the account's circuit
    await sql`update private.request_budgets set circuit = 'closed', open_until = '-infinity', window_failure_count = 0`
  })

  it('whose worker died is known to be unknown, and its key is not done again', async () => {
    const { airtable, integration_id } = await connected()
    const body = upsert(integration_id, 'lost@example.com', { idempotency_key: 'lost' })
    await act(body)
    // as a worker leaves it that is killed in the middle
    await sql`
      update private.integration_actions set status = 'running', finished_at = null, result = null,
        started_at = now() - interval '6 minutes'
      where integration_id = ${integration_id}`

    const meanwhile = await act(body)
    await functions.remote.runCron('look-after-integrations')
    const afterwards = await act(body)

    expect(meanwhile).toMatchObject({ status: 409, body: { code: 'action_in_progress' } })
    expect(afterwards.body).toMatchObject({ status: 'unknown', error: { next: 'owner' } })
    expect(writes(airtable)).toHaveLength(1)
    expect((await activities(integration_id)).at(-1)).toMatchObject({ outcome: 'unknown' })
  })

  it.each([
    ['an unknown action', { action: 'launch' }, 404, 'action_not_found'],
    [
      'a wrong input',
      { input: { table: 'People', merge_on: [], records: [{}] } },
      400,
      'invalid_input',
    ],
  ])('with %s is refused by name before anything is sent', async (_, change, status, code) => {
    const { airtable, integration_id } = await connected()

    const refused = await act({ ...upsert(integration_id, 'x@example.com'), ...change })
    const accepted = await act(upsert(integration_id, 'x@example.com'))

    expect(refused).toMatchObject({ status, body: { code } })
    expect(accepted.body.status).toBe('success')
    expect(writes(airtable)).toHaveLength(1)
  })

  it('is for owners and managers of the organization', async () => {
    const { integration_id } = await connected()
    const stranger = (await createTeam(database)).owner
    const body = upsert(integration_id, 'who@example.com')

    const answers = await Promise.all(
      [team.owner, team.manager, team.member, team.viewer, stranger].map((person) =>
        call(person, '/integrations/act', body)
      ),
    )

    expect(answers.map(({ status }) => status)).toEqual([200, 200, 403, 403, 404])
  })
})

describe('checking every account', () => {
  it('answers one check an account, and says which does not work', async () => {
    const fresh = await createTeam(database)
    const [good, bad] = [await functions.openStore(), await functions.openStore()]
    await functions.connect(fresh.manager, fresh.organizationId, good, { name: 'Good' })
    await functions.connect(fresh.manager, fresh.organizationId, bad, { name: 'Bad' })
    bad.control.revokeCredentials()
    await sql`update private.integration_credentials set token_secret_id = null, token_expires_at = null`

    const { body } = await call<
      { checks: { name: string; status: string }[]; unchecked: string[] }
    >(
      fresh.manager,
      '/integrations/check-all',
      { organization_id: fresh.organizationId },
    )

    expect(Object.fromEntries(body.checks.map(({ name, status }) => [name, status])))
      .toEqual({ Good: 'healthy', Bad: 'unhealthy' })
    expect(body.unchecked).toEqual([])
  })

  it('is done every hour by the schedule, which writes down changes and no successes', async () => {
    const fresh = await createTeam(database)
    const store = await functions.openStore()
    const { id } = await functions.connect(fresh.manager, fresh.organizationId, store)
    const states = async () => {
      const rows = await sql`
        select action from public.activity_logs
        where subject_id = ${id} and action <> 'integration.connected' order by created_at`
      return rows.map(({ action }) => action)
    }
    /** An hour later, after the work of whoever checks. */
    const checked = async () => {
      await sql`
        update private.integration_credentials set token_secret_id = null where integration_id = ${id}`
      // everybody else was checked just now
      await sql`update public.integrations set last_checked_at = now() where id <> ${id}`
      await sql`update public.integrations set last_checked_at = now() - interval '61 minutes' where id = ${id}`
      await sql`update private.worker_wakes set rung_at = null`
      const asked = store.requests.length
      await functions.remote.runCron('look-after-integrations')
      // whoever claims it sets last_checked_at, too: later than the last call is what came of the check
      await vi.waitFor(async () => {
        const [row] = await sql`select last_checked_at from public.integrations where id = ${id}`
        expect(store.requests.length).toBeGreaterThan(asked)
        expect(row?.last_checked_at.toISOString() >= store.requests.at(-1)!.at).toBe(true)
      }, { timeout: 20_000, interval: 50 })
    }

    await checked()
    await checked()
    const afterSuccesses = await states()
    store.control.setFault({ kind: 'status', status: 403, times: null })
    await checked()
    await checked()
    const afterFailures = await states()
    store.control.clearFaults()
    await checked()
    await checked()

    expect(afterSuccesses).toEqual([])
    expect(afterFailures).toEqual(['integration.failed'])
    expect(await states()).toEqual(['integration.failed', 'integration.recovered'])
  })
})
