// Does the catalog follow the connectors' code, without losing what was connected?
import { describe, expect, it } from 'vitest'
import type { TransactionSql } from 'postgres'
import { callFunction, refusal, undone, useDatabase } from '../support/database.ts'
import { createOrganization, createPerson } from '../support/people.ts'

const database = useDatabase()
const { owner } = database

const entry = (slug: string, name = slug) => ({
  slug,
  name,
  description: 'For tests.',
  category: 'pos',
  docs_url: 'https://example.com' as string | null,
  auth_types: ['api_key', 'oauth2'],
  settings_schema: { type: 'object' },
  credentials_schema: { type: 'object' },
  capabilities: ['sync_in:products'],
  streams: [{ name: 'products', direction: 'pull', incremental: true, detects_deletes: true }],
})
const register = (sql: TransactionSql, ...entries: ReturnType<typeof entry>[]) =>
  sql`select private.register_connectors(${sql.json(entries)})`
const catalog = (sql: TransactionSql) =>
  sql`select slug, name, available from public.connectors where slug like 'made-up-%' order by slug`

describe('registering connectors', () => {
  it('adds new ones, changes known ones and keeps the ones that left as unavailable', async () => {
    const [first, second, third] = await undone(owner, async (sql) => {
      await register(sql, entry('made-up-a'), entry('made-up-b'))
      const first = [...await catalog(sql)]
      await register(sql, entry('made-up-b', 'Renamed'), entry('made-up-c'))
      const second = [...await catalog(sql)]
      await register(sql, entry('made-up-a'))
      return [first, second, [...await catalog(sql)]]
    })

    expect(first).toEqual([
      { slug: 'made-up-a', name: 'made-up-a', available: true },
      { slug: 'made-up-b', name: 'made-up-b', available: true },
    ])
    expect(second).toEqual([
      { slug: 'made-up-a', name: 'made-up-a', available: false },
      { slug: 'made-up-b', name: 'Renamed', available: true },
      { slug: 'made-up-c', name: 'made-up-c', available: true },
    ])
    expect(third?.map((connector) => connector.available)).toEqual([true, false, false])
  })

  it('keeps new accounts from a connector that left, and lets them in while it is there', async () => {
    const organizationId = await createOrganization(database, await createPerson(database))
    const connect = (sql: TransactionSql, account: string) =>
      callFunction(sql, 'connect_integration', {
        p_organization_id: organizationId,
        p_connector: 'made-up-a',
        p_external_account_id: account,
        p_name: account,
        p_settings: {},
        p_credentials: {},
      })

    const connected = await undone(owner, async (sql) => {
      await register(sql, entry('made-up-a'))
      return await connect(sql, 'early')
    })
    const late = undone(owner, async (sql) => {
      await register(sql, entry('made-up-a'))
      await register(sql, entry('made-up-b'))
      await connect(sql, 'late')
    })

    expect(connected).toMatchObject({ status: 'connected' })
    await expect(late).rejects.toMatchObject(refusal('connector_not_found'))
  })

  it('refuses a slug that is not kebab-case', async () => {
    await expect(undone(owner, (sql) => register(sql, entry('Made Up')))).rejects.toMatchObject({
      constraint_name: 'connectors_slug_is_kebab_case',
    })
  })

  it('refuses one that does not say where its platform is documented', async () => {
    const undocumented = { ...entry('made-up-a'), docs_url: null }

    await expect(undone(owner, (sql) => register(sql, undocumented))).rejects.toMatchObject({
      column_name: 'docs_url',
    })
    await expect(undone(owner, (sql) => register(sql, entry('made-up-a')))).resolves.toBeDefined()
  })
})

describe('every table that holds a stream', () => {
  it('shares its columns, their types and their unique key with the others', async () => {
    const tables = await database.admin<{ table_name: string; columns: string[]; key: string }[]>`
      select known.table_name::text as table_name,
        array(
          select attribute.attname || ' ' || format_type(attribute.atttypid, attribute.atttypmod)
            || case when attribute.attnotnull then ' not null' else '' end
            || case when attribute.attgenerated = 's' then ' generated' else '' end
          from pg_attribute as attribute
          where attribute.attrelid = known.table_name and attribute.attnum > 0 and not attribute.attisdropped
            and attribute.attname in (
              select attname from pg_attribute where attrelid = 'private.synced_record'::regclass)
          order by 1
        ) as columns,
        (select pg_get_constraintdef(oid) from pg_constraint
          where conrelid = known.table_name and contype = 'u') as key
      from private.stream_tables as known`

    for (const table of tables) {
      expect(table).toMatchObject({
        key: 'UNIQUE (integration_id, source_id)',
        columns: [
          'absent_at timestamp with time zone',
          'content_hash text',
          'created_at timestamp with time zone not null',
          'deleted_at timestamp with time zone generated',
          'id uuid not null',
          'integration_id uuid not null',
          'last_synced_at timestamp with time zone',
          'organization_id uuid not null',
          'source text not null',
          'source_data jsonb',
          'source_deleted_at timestamp with time zone',
          'source_id text not null',
          'source_updated_at timestamp with time zone',
          'updated_at timestamp with time zone not null',
        ],
      })
    }
    expect(tables.length).toBeGreaterThan(0)
  })
})
