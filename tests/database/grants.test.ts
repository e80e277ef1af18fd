// Is every right in the catalog one that somebody wrote down, and is nothing left open by default?
import { describe, expect, it } from 'vitest'
import { STREAMS } from '../../supabase/functions/_shared/connectors/vocabulary/streams.ts'
import { type Actor, permissionDenied, refusal, useDatabase } from '../support/database.ts'
import { createPerson } from '../support/people.ts'
import { seedOrganization } from '../support/seeded-organization.ts'
import { ACCESS, EXECUTABLE, PUSHED_STREAMS, UPDATABLE_COLUMNS } from './access-matrix.ts'

const database = useDatabase()
const { admin, actAs } = database

describe('tables', () => {
  it('have row level security, in public and in private, partitions too', async () => {
    const open = await admin`
      select oid::regclass::text as name from pg_class
      where relnamespace in ('public'::regnamespace, 'private'::regnamespace)
        and relkind in ('r', 'p') and not relrowsecurity`

    expect(open).toEqual([])
  })

  it('grant what the matrix says to the API roles, and nothing to anon or PUBLIC', async () => {
    const granted = await admin`
      select relation.relname as table_name, lower(privilege.privilege_type) as privilege,
        array_agg(grantee.name order by grantee.name) as grantees
      from pg_class as relation, aclexplode(relation.relacl) as privilege,
        lateral (select coalesce((select rolname::text from pg_roles where oid = privilege.grantee), 'PUBLIC') as name) as grantee
      where relation.relnamespace = 'public'::regnamespace and relation.relkind in ('r', 'p', 'v', 'm', 'S')
        and privilege.grantee <> relation.relowner
      group by 1, 2 order by 1, 2`

    const expected = Object.entries(ACCESS).flatMap(([table_name, access]) => [
      // an insert and an update are granted by column
      ...(/[01]/.test(access.delete.split(' ').slice(0, -1).join())
        ? [{ table_name, privilege: 'delete', grantees: whoMay(access.delete) }]
        : []),
      { table_name, privilege: 'select', grantees: ['authenticated', 'service_role'] },
    ])
    expect(granted.toSorted(byTable)).toEqual(expected.toSorted(byTable))
  })

  it('let signed-in people write the listed columns only, and the service those that are pushed', async () => {
    const granted = await admin`
      select attribute.attrelid::regclass::text as table_name,
        (select rolname::text from pg_roles where oid = privilege.grantee) as grantee,
        lower(privilege.privilege_type) as privilege,
        array_agg(attribute.attname::text order by attribute.attname) as columns
      from pg_attribute as attribute
      join pg_class as relation on relation.oid = attribute.attrelid
      cross join aclexplode(attribute.attacl) as privilege
      where relation.relnamespace in ('public'::regnamespace, 'private'::regnamespace)
      group by 1, 2, 3`

    const updated = Object.entries(UPDATABLE_COLUMNS).map(([table_name, columns]) => ({
      table_name,
      grantee: 'authenticated',
      privilege: 'update',
      columns,
    }))
    const pushed = PUSHED_STREAMS.flatMap((table_name) =>
      ['authenticated', 'service_role'].flatMap((grantee) => {
        const columns = Object.keys(STREAMS[table_name].shape)
        return [
          {
            table_name,
            grantee,
            privilege: 'insert',
            columns: [...columns, 'integration_id'].toSorted(),
          },
          { table_name, grantee, privilege: 'update', columns: columns.toSorted() },
        ]
      })
    )
    const expected = [...updated, ...pushed]
    expect(granted.toSorted(byTable)).toEqual(expected.toSorted(byTable))
  })

  it("in private are nobody's but their owner's", async () => {
    const granted = await admin`
      select oid::regclass::text as name from pg_class as relation, aclexplode(relation.relacl) as privilege
      where relation.relnamespace = 'private'::regnamespace and privilege.grantee <> relation.relowner`

    expect(granted).toEqual([])
  })

  it('that are partitions are reached through their parent only', async () => {
    const { owner, organizationId } = await seedOrganization(database)
    const [partition] = await admin<{ name: string }[]>`
      select tableoid::regclass::text as name from public.activity_logs
      where organization_id = ${organizationId} limit 1`

    const throughParent = await actAs(owner, (sql) => sql`select 1 from public.activity_logs`)

    expect(partition?.name).toMatch(/^private\.activity_logs_\d{4}_\d{2}$/)
    expect(throughParent.length).toBeGreaterThan(0)
    for (const actor of [owner, 'service_role', 'anon'] as const) {
      await expect(actAs(actor, (sql) => sql.unsafe(`select 1 from ${partition?.name}`))).rejects
        .toMatchObject(permissionDenied)
    }
  })
})

describe('functions', () => {
  it('have an empty search_path', async () => {
    const loose = await admin`
      select oid::regprocedure::text as name from pg_proc
      where pronamespace in ('public'::regnamespace, 'private'::regnamespace)
        and not coalesce(proconfig, '{}') @> array['search_path=""']`

    expect(loose).toEqual([])
  })

  it('may be executed by whom the list names, and by nobody else', async () => {
    const executable = await admin<{ grantee: string; functions: string[] }[]>`
      select coalesce((select rolname::text from pg_roles where oid = privilege.grantee), 'PUBLIC') as grantee,
        array_agg(namespace.nspname || '.' || function.proname || '(' || coalesce((
          select string_agg(format_type(argument, null), ', ' order by position)
          from unnest(function.proargtypes) with ordinality as given (argument, position)), '') || ')') as functions
      from pg_proc as function
      join pg_namespace as namespace on namespace.oid = function.pronamespace
      cross join aclexplode(coalesce(function.proacl, acldefault('f', function.proowner))) as privilege
      where namespace.nspname in ('public', 'private') and privilege.grantee <> function.proowner
      group by 1`

    const found = Object.fromEntries(
      executable.map(({ grantee, functions }) => [grantee, functions.toSorted()]),
    )
    expect(found).toEqual(EXECUTABLE)
  })

  it('in private cannot be called without signing in', async () => {
    const person = await createPerson(database)
    const ask = `select private.organization_ids('viewer') as ids`

    const signedIn = await actAs(person, (sql) => sql.unsafe(ask))

    expect(signedIn[0]?.ids).toEqual([])
    await expect(actAs('anon', (sql) => sql.unsafe(ask))).rejects.toMatchObject(permissionDenied)
  })

  it('that refuse do it for those who call them; nobody calls the refusal itself', async () => {
    const { owner } = await seedOrganization(database)
    const refuse = (actor: Actor) =>
      actAs(actor, (sql) => sql`select private.refuse('not_a_manager')`)

    await expect(database.call(owner, 'accept_invitation', { token: 'unknown' })).rejects
      .toMatchObject(refusal('invitation_not_found'))
    await expect(refuse(owner)).rejects.toMatchObject(permissionDenied)
    await expect(refuse('service_role')).rejects.toMatchObject(permissionDenied)
  })

  it('that may take long have a minute for it: the Data API gives the others eight seconds', async () => {
    const patient = await admin`
      select proname as name, setting from pg_proc, unnest(proconfig) as setting
      where pronamespace in ('public'::regnamespace, 'private'::regnamespace)
        and setting like 'statement_timeout=%' order by proname`

    expect(patient.map(({ name, setting }) => [name, setting])).toEqual(
      [
        'claim_images',
        'claim_outbound_changes',
        'delete_absent',
        'disconnect_integration',
        'finish_outbound_changes',
        'finish_webhook_events',
        'list_absent',
        'replay_webhook_deliveries',
        'replay_webhook_events',
        'request_images',
        'settle_outbound_changes',
        'write_sync_page',
      ]
        .map((name) => [name, 'statement_timeout=60s']),
    )
  })

  it('for the service are refused to an owner and to anonymous callers', async () => {
    const { owner, integration } = await seedOrganization(database)
    const ask = { p_integration_id: integration.id }

    const opened = await database.call('service_role', 'open_integration', ask)

    expect(opened).toMatchObject({ integration: { id: integration.id } })
    await expect(database.call(owner, 'open_integration', ask)).rejects.toMatchObject(
      permissionDenied,
    )
    await expect(database.call('anon', 'open_integration', ask)).rejects.toMatchObject(
      permissionDenied,
    )
  })

  it('for signed-in people are refused to anonymous callers', async () => {
    const person = await createPerson(database)

    const created = await database.call(person, 'create_organization', { name: 'Mine' })

    expect(created).toMatchObject({ name: 'Mine' })
    await expect(database.call('anon', 'create_organization', { name: 'Mine' })).rejects
      .toMatchObject(permissionDenied)
  })
})

describe('Vault', () => {
  it('shows credentials to nobody who signs in', async () => {
    const { owner } = await seedOrganization(database)
    const ask = `select decrypted_secret from vault.decrypted_secrets limit 1`

    const read = await database.owner.unsafe(ask)

    expect(read).toHaveLength(1)
    for (const actor of [owner, 'anon'] as const) {
      await expect(actAs(actor, (sql) => sql.unsafe(ask))).rejects.toMatchObject(permissionDenied)
    }
  })
})

/** The API roles of which some actor is allowed this, by a line of the matrix. */
function whoMay(outcomes: string): string[] {
  const cells = outcomes.split(' ')
  return [
    ...(/[01]/.test(cells.slice(0, 5).join()) ? ['authenticated'] : []),
    ...(/[01]/.test(cells[6]!) ? ['service_role'] : []),
  ]
}

function byTable(one: object, other: object): number {
  return JSON.stringify(one) < JSON.stringify(other) ? -1 : 1
}
