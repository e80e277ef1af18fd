import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Stack, startStack } from '../../scripts/stack/stack.ts'
import { createProject } from './throwaway-project.ts'

const migration = `
create extension if not exists pg_cron;
create extension if not exists pg_net with schema extensions;
create extension if not exists supabase_vault;
create function public.on_sign_up() returns trigger language plpgsql security definer set search_path = '' as
  $$ begin return new; end $$;
create trigger on_sign_up after insert on auth.users for each row execute function public.on_sign_up();
create table public.profiles (id uuid primary key references auth.users (id) on delete cascade);
create function public.first_user() returns uuid language sql security definer set search_path = '' as
  $$ select id from auth.users limit 1 $$;
create policy "read media" on storage.objects for select to authenticated using (bucket_id = 'media');
`

let stack: Stack
let sql: postgres.Sql
const project = createProject({ 'migrations/20260101000000_extensions.sql': migration })
const codeOf = async (statement: PromiseLike<unknown>) => {
  try {
    await statement
    return null
  } catch (error) {
    return error instanceof postgres.PostgresError ? error.code : error
  }
}

beforeAll(async () => {
  stack = await startStack({
    ephemeral: true,
    functions: false,
    cron: false,
    supabaseDir: project.supabaseDir,
  })
  sql = postgres(stack.dbUrl, { max: 2, onnotice: () => {} })
}, 60_000)
afterAll(async () => {
  await sql?.end()
  await stack?.stop()
  project.remove()
})

describe('role postgres', () => {
  it('runs migrations as hosted does: many rights, but no superuser', async () => {
    const [role] = await sql`
      select rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls from pg_roles where rolname = current_user`

    expect(role).toEqual({
      rolsuper: false,
      rolcreatedb: true,
      rolcreaterole: true,
      rolreplication: true,
      rolbypassrls: true,
    })
  })

  it('may become the API roles, and may not do what hosted forbids', async () => {
    await sql.begin(async (transaction) => {
      await transaction`set local role authenticated`
      expect((await transaction`select current_user`)[0]).toEqual({ current_user: 'authenticated' })
    })

    expect(await codeOf(sql`create table auth.mine ()`)).toBe('42501')
    expect(await codeOf(sql`create role boss superuser`)).toBe('42501')
    expect(await codeOf(sql`alter role authenticator set statement_timeout = '1h'`)).toBe('42501')
    expect(
      await codeOf(
        sql`create event trigger mine on ddl_command_end execute function public.on_sign_up()`,
      ),
    ).toBe(
      '42501',
    )
    expect(await codeOf(sql`set session_replication_role = 'replica'`)).toBe('42501')
    expect(await codeOf(sql`select pg_read_file('PG_VERSION')`)).toBe('42501')
  })

  it('sees the caller in auth.uid() and auth.jwt(), however the claims are set', async () => {
    const id = crypto.randomUUID()
    const [row] = await sql.begin(async (transaction) => {
      await transaction`select set_config('request.jwt.claims', ${
        JSON.stringify({ sub: id, role: 'authenticated' })
      }, true)`
      return await transaction`select auth.uid() as uid, auth.role() as role, auth.jwt() ->> 'sub' as sub`
    })

    expect(row).toEqual({ uid: id, role: 'authenticated', sub: id })
  })
})

describe('pg_cron', () => {
  it('replaces a job of the same name and keeps its pause', async () => {
    const [first] = await sql`select cron.schedule('tidy', '5 4 * * *', 'select 1') as id`
    await sql`select cron.alter_job(${first?.id}, active := false)`

    const [second] = await sql`select cron.schedule('tidy', '10 seconds', 'select 2') as id`

    expect(second).toEqual(first)
    expect(
      await sql`select schedule, command, active, username from cron.job where jobname = 'tidy'`,
    ).toEqual([
      { schedule: '10 seconds', command: 'select 2', active: false, username: 'postgres' },
    ])
  })

  it.each(['* * * *', '60 seconds', '0 seconds', 'every minute', '1 2 3 4 5 6'])(
    'refuses the schedule "%s"',
    async (schedule) => {
      expect(await codeOf(sql`select cron.schedule('bad', ${schedule}, 'select 1')`)).toBe('22023')
    },
  )

  it.each(['* * * * *', '*/5 0-6,12 1 jan mon-fri', '0 3 $ * *', '1 second', '59 seconds'])(
    'takes the schedule "%s"',
    async (schedule) => {
      expect(await codeOf(sql`select cron.schedule('good', ${schedule}, 'select 1')`)).toBeNull()
    },
  )

  it('unschedules by name or id, and raises for a job that is not there', async () => {
    const [job] = await sql`select cron.schedule('short-lived', '* * * * *', 'select 1') as id`

    expect((await sql`select cron.unschedule(${job?.id}::bigint) as done`)[0]).toEqual({
      done: true,
    })
    await expect(sql`select cron.unschedule('short-lived')`).rejects.toThrow(
      'could not find valid entry for job',
    )
  })

  it('lets jobs change through its functions only', async () => {
    expect(await codeOf(sql`select * from cron.job`)).toBeNull()
    expect(await codeOf(sql`insert into cron.job (schedule, command) values ('* * * * *', 'x')`))
      .toBe('42501')
    expect(await codeOf(sql`update cron.job set active = false`)).toBe('42501')
    expect(await codeOf(sql`delete from cron.job`)).toBe('42501')
  })
})

describe('Vault', () => {
  it('stores ciphertext that only its own row reads', async () => {
    const [created] =
      await sql`select vault.create_secret('hunter2', 'door', 'the front door') as id`
    const [row] = await sql`select * from vault.decrypted_secrets where id = ${created?.id}`
    const admin = postgres(stack.adminDbUrl, { max: 1 })
    const [other] = await sql`select vault.create_secret('other') as id`
    await admin`
      update vault.secrets as target set secret = source.secret, nonce = source.nonce
      from vault.secrets as source where target.id = ${other?.id} and source.id = ${created?.id}`
    await admin.end()

    expect(row).toMatchObject({
      name: 'door',
      description: 'the front door',
      decrypted_secret: 'hunter2',
    })
    expect(Buffer.from(row?.secret, 'base64').toString('latin1')).not.toContain('hunter2')
    expect(
      await codeOf(
        sql`select decrypted_secret from vault.decrypted_secrets where id = ${other?.id}`,
      ),
    ).toBe('22000')
    await sql`delete from vault.secrets where id = ${other?.id}`
  })

  it('updates what is given and keeps the rest', async () => {
    const [created] = await sql`select vault.create_secret('old', 'rotating', 'kept') as id`

    await sql`select vault.update_secret(${created?.id}, 'new')`

    const [row] = await sql`
      select name, description, decrypted_secret from vault.decrypted_secrets where id = ${created?.id}`
    expect(row).toEqual({ name: 'rotating', description: 'kept', decrypted_secret: 'new' })
  })

  it('is for the service and postgres, and for nobody else', async () => {
    const as = (role: string) =>
      sql.begin(async (transaction) => {
        await transaction`select set_config('role', ${role}, true)`
        await transaction`select decrypted_secret from vault.decrypted_secrets limit 1`
      })

    expect(await codeOf(as('service_role'))).toBeNull()
    expect(await codeOf(as('authenticated'))).toBe('42501')
    expect(await codeOf(as('anon'))).toBe('42501')
    expect(await codeOf(sql`update vault.secrets set name = 'mine'`)).toBe('42501')
  })

  it('knows where and with what to wake the functions', async () => {
    const rows = await sql`
      select name, decrypted_secret as value from vault.decrypted_secrets where name like 'plugboard_%' order by name`

    expect(rows[0]).toEqual({ name: 'plugboard_functions_url', value: stack.functionsUrl })
    expect(rows[1]?.value).toHaveLength(43)
  })
})
