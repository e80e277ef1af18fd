// Does the audit trail say who did what, and do its months come and go by themselves?
import { randomUUID } from 'node:crypto'
import type { TransactionSql } from 'postgres'
import { describe, expect, it } from 'vitest'
import { undone, useDatabase } from '../support/database.ts'
import { connectIntegration, createIntegration } from '../support/integrations.ts'
import { createOrganization, createPerson, createTeam } from '../support/people.ts'
import { claimRun, finishRun, openRun, startSync } from '../support/sync-runs.ts'

const database = useDatabase()
const { admin, actAs, call } = database

type Line = {
  actor_type: string
  actor_id: string | null
  action: string
  outcome: string
  subject_type: string
  subject_id: string
  detail: Record<string, unknown>
}

async function linesOf(organizationId: string): Promise<Line[]> {
  return await admin<Line[]>`
    select actor_type, actor_id, action, outcome, subject_type, subject_id, detail
    from public.activity_logs where organization_id = ${organizationId} order by created_at, action`
}

describe('a line', () => {
  it('names the person who created an organization, and what they became', async () => {
    const person = await createPerson(database)

    const organizationId = await createOrganization(database, person)

    expect(await linesOf(organizationId)).toEqual([{
      actor_type: 'user',
      actor_id: person.id,
      action: 'member.added',
      outcome: 'success',
      subject_type: 'user',
      subject_id: person.id,
      detail: { role: 'owner' },
    }])
  })

  it('names who changed a role and who removed whom', async () => {
    const { organizationId, owner, manager, viewer } = await createTeam(database)

    await actAs(owner, (sql) =>
      sql`
      update public.organization_members set role = 'member' where user_id = ${viewer.id}`)
    await actAs(manager, (sql) =>
      sql`
      delete from public.organization_members where user_id = ${viewer.id}`)

    expect((await linesOf(organizationId)).slice(-2)).toMatchObject([
      {
        actor_id: owner.id,
        action: 'member.role_changed',
        subject_id: viewer.id,
        detail: { from: 'viewer', to: 'member' },
      },
      { actor_id: manager.id, action: 'member.removed', detail: { role: 'member' } },
    ])
  })

  it('names the system where nobody asked, and the service where the secret key did', async () => {
    const team = await createTeam(database) // members added by SQL, as a script would
    const { organizationId } = team
    const integration = await connectIntegration(database, organizationId)

    const lines = await linesOf(organizationId)

    expect(lines.find((line) => line.subject_id === team.viewer.id)).toMatchObject({
      actor_type: 'system',
      actor_id: null,
    })
    expect(lines.find((line) => line.subject_id === integration.id)).toMatchObject({
      actor_type: 'service',
      actor_id: null,
      action: 'integration.connected',
    })
  })

  it('follows an integration through its life, with the person the service acts for', async () => {
    const person = await createPerson(database)
    const organizationId = await createOrganization(database, person)
    const integration = await connectIntegration(database, organizationId, { actorId: person.id })
    const update = (change: Record<string, unknown>) =>
      call('service_role', 'update_integration', {
        p_integration_id: integration.id,
        p_actor_id: person.id,
        ...change,
      })

    await update({ p_name: 'High street' })
    await update({ p_name: 'High street' }) // changes nothing, so says nothing
    await update({ p_paused: true })
    await update({ p_paused: false })
    await call('service_role', 'record_integration_check', {
      p_integration_id: integration.id,
      p_error: { code: 'provider_unauthorized', message: 'The key is wrong.', next: 'owner' },
    })
    await call('service_role', 'record_integration_check', { p_integration_id: integration.id })
    await call('service_role', 'disconnect_integration', {
      p_integration_id: integration.id,
      p_actor_id: person.id,
    })
    await connectIntegration(database, organizationId, { actorId: person.id })
    await admin`delete from public.integrations where id = ${integration.id}`

    const lines = (await linesOf(organizationId)).filter((line) =>
      line.subject_id === integration.id
    )
    expect(lines.map((line) => [line.action, line.actor_type, line.outcome])).toEqual([
      ['integration.connected', 'user', 'success'],
      ['integration.updated', 'user', 'success'],
      ['integration.paused', 'user', 'success'],
      ['integration.resumed', 'user', 'success'],
      ['integration.failed', 'service', 'failure'],
      ['integration.recovered', 'service', 'success'],
      ['integration.disconnected', 'user', 'success'],
      ['integration.deleted', 'system', 'success'],
    ])
    expect(lines[4]?.detail).toMatchObject({ error: { code: 'provider_unauthorized' } })
  })

  it('tells how a run ended, for whom it was done and what it counted', async () => {
    const person = await createPerson(database)
    const integration = await createIntegration(database)
    const error = { code: 'provider_unavailable', message: 'It is down.', next: 'retry' }
    const asked = await openRun(database, integration.id, { requestedBy: person.id })
    await finishRun(database, asked)
    const scheduled = await openRun(database, integration.id, { type: 'scheduled' })
    await finishRun(database, scheduled, 'failed', error)

    const lines = (await linesOf(integration.organization_id)).filter((line) =>
      line.subject_type === 'sync_log'
    )

    expect(lines).toMatchObject([
      {
        action: 'sync.completed',
        outcome: 'success',
        actor_type: 'user',
        actor_id: person.id,
        subject_id: asked.sync_log_id,
        detail: { integration_id: integration.id, stream: 'products', mode: 'full', fetched: 0 },
      },
      {
        action: 'sync.failed',
        outcome: 'failure',
        actor_id: null,
        subject_id: scheduled.sync_log_id,
        detail: { error },
      },
    ])
  })

  it.each(
    [
      ['the person who', 'manual', true, 'user'],
      ['the service where the secret key', 'manual', false, 'service'],
      ['the system where the schedule', 'scheduled', false, 'system'],
      ['the system where a webhook', 'webhook', false, 'system'],
    ] as const,
  )('about a run names %s asked for it', async (_, type, isAsked, actorType) => {
    const person = await createPerson(database)
    const integration = await createIntegration(database)
    const run = await openRun(database, integration.id, {
      type,
      ...(isAsked ? { requestedBy: person.id } : {}),
    })

    await finishRun(database, run)

    const lines = await linesOf(integration.organization_id)
    expect(lines.find((line) => line.subject_id === run.sync_log_id)).toMatchObject({
      actor_type: actorType,
      actor_id: isAsked ? person.id : null,
    })
  })

  it('holds no credentials', async () => {
    const secret = `key-${randomUUID()}`
    const integration = await createIntegration(database, { credentials: { api_key: secret } })

    const found = await admin`
      select 1 from public.activity_logs as line
      where organization_id = ${integration.organization_id} and to_jsonb(line)::text like ${`%${secret}%`}`

    expect(found).toEqual([])
  })

  it('is not written for an organization that is being deleted', async () => {
    const { organization_id, id } = await createIntegration(database)
    await claimRun(database, (await startSync(database, id)).id)

    await admin`delete from public.organizations where id = ${organization_id}`

    expect(await linesOf(organization_id)).toEqual([])
  })

  it('outlives the account of the person it names', async () => {
    const { organizationId, owner, viewer } = await createTeam(database)
    await actAs(viewer, (sql) =>
      sql`
      delete from public.organization_members where user_id = ${viewer.id}`)

    await admin`delete from auth.users where id = ${viewer.id}`

    const lines = await linesOf(organizationId)
    expect(lines.at(-1)).toMatchObject({ action: 'member.removed', actor_id: viewer.id })
    expect(lines[0]).toMatchObject({ actor_id: owner.id })
  })
})

describe('partitions', () => {
  const maintain = (sql: TransactionSql) =>
    sql`select private.maintain_partitions('public.activity_logs', 'month', 2, '13 months')`
  /** Names of the months, as `YYYY_MM` from now. */
  const month = (offset: number) => {
    const now = new Date()
    const first = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + offset, 1))
    return first.toISOString().slice(0, 7).replace('-', '_')
  }
  const partitions = async (sql: TransactionSql) =>
    (await sql`
      select inhrelid::regclass::text as name from pg_inherits
      where inhparent = 'public.activity_logs'::regclass order by 1`)
      .map((row) => row.name.replace('private.activity_logs_', ''))

  it('exist for this month and the next two, and are not made twice', async () => {
    const found = await undone(database.owner, async (sql) => {
      await maintain(sql)
      await maintain(sql)
      return await partitions(sql)
    })

    expect(found).toEqual([month(0), month(1), month(2), 'default'])
  })

  it('are made with row level security when they are missing', async () => {
    const [found, open] = await undone(database.owner, async (sql) => {
      await sql.unsafe(`drop table private.activity_logs_${month(2)}`)
      await maintain(sql)
      return [
        await partitions(sql),
        await sql`
          select relname from pg_class
          where relnamespace = 'private'::regnamespace and relname like 'activity_logs%' and relkind = 'r'
            and not relrowsecurity`,
      ] as const
    })

    expect(found).toContain(month(2))
    expect(open).toEqual([])
  })

  it('catch lines of a month nobody prepared, which move to their month once it is', async () => {
    const { organization_id } = await createIntegration(database)
    const where = await undone(database.owner, async (sql) => {
      const partitionOfLine = async () =>
        (await sql`
          select tableoid::regclass::text as name from public.activity_logs
          where organization_id = ${organization_id} and action = 'late.line'`).map((row) =>
          row.name
        )
      await sql.unsafe(`drop table private.activity_logs_${month(0)}`)
      await sql`
        insert into public.activity_logs (organization_id, actor_type, action)
        values (${organization_id}, 'system', 'late.line')`
      const before = await partitionOfLine()
      await maintain(sql)
      return [before, await partitionOfLine()]
    })

    expect(where).toEqual([['private.activity_logs_default'], [
      `private.activity_logs_${month(0)}`,
    ]])
  })

  it('are dropped when their whole month is older than 13 months', async () => {
    const addMonth = (offset: number) => {
      const from = month(offset).replace('_', '-') + '-01T00:00:00Z'
      const to = month(offset + 1).replace('_', '-') + '-01T00:00:00Z'
      return `create table private.activity_logs_${month(offset)}
        partition of public.activity_logs for values from ('${from}') to ('${to}')`
    }
    const found = await undone(database.owner, async (sql) => {
      for (const offset of [-15, -14, -13, -12]) await sql.unsafe(addMonth(offset))
      await maintain(sql)
      return await partitions(sql)
    })

    expect(found).not.toContain(month(-15))
    expect(found).toEqual(
      [...[-13, -12, 0, 1, 2].map(month), 'default'],
    )
  })
})
