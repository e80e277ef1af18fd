import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createClient } from '@supabase/supabase-js'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { LosableConnection } from '../../scripts/stack/rest-own-connections.ts'
import { type Stack, startStack } from '../../scripts/stack/stack.ts'
import { createProject } from './throwaway-project.ts'

const migration = `
create table public.notes (
  id int primary key generated always as identity,
  owner_id uuid not null default auth.uid() references auth.users (id),
  body jsonb
);
alter table public.notes enable row level security;
create policy "owners read" on public.notes for select to authenticated using (owner_id = (select auth.uid()));
create policy "owners write" on public.notes for insert to authenticated with check (owner_id = (select auth.uid()));
grant select, insert, update, delete on public.notes to authenticated, service_role;

create table public.ungranted (id int primary key);

insert into storage.buckets (id, name, public, allowed_mime_types) values ('media', 'media', false, array['image/png']);
create policy "owners store" on storage.objects for insert to authenticated
  with check (bucket_id = 'media' and (storage.foldername(name))[1] = (select auth.uid())::text);
create policy "owners fetch" on storage.objects for select to authenticated
  using (bucket_id = 'media' and (storage.foldername(name))[1] = (select auth.uid())::text);

create function public.echo(
  texts text[] default null, id uuid default null, body jsonb default null, number int default 7,
  flag boolean default null, at timestamptz default null
) returns jsonb language sql set search_path = '' as $$
  select jsonb_build_object('texts', to_jsonb(texts), 'id', id, 'body', body, 'type', jsonb_typeof(body),
    'number', number, 'flag', flag, 'at', at);
$$;
create function public.refuse() returns void language plpgsql set search_path = '' as $$
begin raise exception 'no' using errcode = 'PB001', detail = 'because', hint = 'ask again'; end $$;
create function public.nothing() returns void language sql set search_path = '' as $$ select $$;
create function public.pairs() returns table (x int, y text) language sql set search_path = '' as
  $$ values (1, 'a'), (2, 'b') $$;
create function public.words() returns setof text language sql set search_path = '' as $$ values ('a'), ('b') $$;
create function public.statement_timeout() returns text language sql set search_path = '' as
  $$ select current_setting('statement_timeout') $$;
create function public.hurried() returns void language sql set search_path = '' set statement_timeout = '100ms' as
  $$ select pg_catalog.pg_sleep(5) $$;
create function public.internal() returns int language sql set search_path = '' as $$ select 1 $$;
revoke execute on function public.internal() from public;
grant execute on function public.internal() to service_role;
`

let stack: Stack
const project = createProject({ 'migrations/20260101000000_notes.sql': migration })
const anon = () => createClient(stack.url, stack.publishableKey)
const service = () => createClient(stack.url, stack.secretKey)
const signUp = async () => {
  const client = createClient(stack.url, stack.publishableKey)
  const { data } = await client.auth.signUp({
    email: `${crypto.randomUUID()}@example.com`,
    password: 'correct horse',
  })
  return {
    client,
    userId: data.user?.id,
    token: data.session?.access_token ?? '',
    session: data.session,
  }
}

beforeAll(async () => {
  stack = await startStack({ ephemeral: true, functions: false, supabaseDir: project.supabaseDir })
}, 60_000)
afterAll(async () => {
  await stack?.stop()
  project.remove()
})

describe('API keys', () => {
  it('are asked for, and a wrong one is refused', async () => {
    const without = await fetch(`${stack.url}/rest/v1/notes`)
    const wrong = await fetch(`${stack.url}/rest/v1/notes`, {
      headers: { apikey: 'sb_publishable_wrong' },
    })

    expect([without.status, wrong.status]).toEqual([401, 401])
  })

  it('keep the secret key out of browsers, where the publishable one is at home', async () => {
    const call = (apikey: string) =>
      fetch(`${stack.url}/rest/v1/rpc/words`, {
        headers: { apikey, 'user-agent': 'Mozilla/5.0 (X11)' },
      })

    const secret = await call(stack.secretKey)
    const publishable = await call(stack.publishableKey)

    expect([secret.status, publishable.status]).toEqual([401, 200])
  })

  it('answer a browser from another origin', async () => {
    const preflight = await fetch(`${stack.url}/rest/v1/notes`, {
      method: 'OPTIONS',
      headers: { origin: 'http://app.example', 'access-control-request-method': 'POST' },
    })

    expect(preflight.ok).toBe(true)
    expect(preflight.headers.get('access-control-allow-origin')).toBe('*')
  })
})

describe('user tokens', () => {
  it('are ES256 with a kid that the published key set has', async () => {
    const { token } = await signUp()
    const header = JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString())
    const jwks = await (await fetch(`${stack.url}/auth/v1/.well-known/jwks.json`)).json()

    expect(header.alg).toBe('ES256')
    expect(jwks.keys.map((key: { kid: string }) => key.kid)).toEqual([header.kid])
    expect(jwks.keys[0].d).toBeUndefined()
  })

  it('make the caller authenticated as their user, also after a refresh', async () => {
    const { client, userId } = await signUp()
    await client.auth.refreshSession()

    const { data } = await client.from('notes').insert({ body: { hello: 'world' } }).select()
      .single()

    expect(data).toMatchObject({ owner_id: userId, body: { hello: 'world' } })
    expect((await client.auth.getUser()).data.user?.id).toBe(userId)
  })

  it('are refused when changed, expired or signed with another key', async () => {
    const { token, userId } = await signUp()
    const [header, payload, signature] = token.split('.')
    const claims = JSON.parse(Buffer.from(payload ?? '', 'base64url').toString())
    const forged = Buffer.from(JSON.stringify({ ...claims, role: 'service_role' })).toString(
      'base64url',
    )
    const expired = await stack.signToken({
      sub: userId ?? '',
      exp: Math.floor(Date.now() / 1000) - 60,
    })
    const read = async (bearer: string) =>
      (await fetch(`${stack.url}/rest/v1/notes`, {
        headers: { apikey: stack.publishableKey, authorization: `Bearer ${bearer}` },
      })).status

    expect(await read(token)).toBe(200)
    expect(await read(`${header}.${forged}.${signature}`)).toBe(401)
    expect(await read(expired)).toBe(401)
    expect(await read('not-a-token')).toBe(401)
  })

  it('can be made for tests, for any user', async () => {
    const { userId, client } = await signUp()
    await client.from('notes').insert({ body: 1 })
    const token = await stack.signToken({ sub: userId ?? '' })

    const response = await fetch(`${stack.url}/rest/v1/notes?select=body`, {
      headers: { apikey: stack.publishableKey, authorization: `Bearer ${token}` },
    })

    expect(await response.json()).toEqual([{ body: 1 }])
  })
})

describe('grants and policies', () => {
  it('give a new table to nobody, not even to the service', async () => {
    const { client } = await signUp()

    const codes = await Promise.all(
      [anon(), client, service()].map(async (db) =>
        (await db.from('ungranted').select()).error?.code
      ),
    )

    expect(codes).toEqual(['42501', '42501', '42501'])
  })

  it('hide rows from strangers, refuse the anonymous, and let the owner and the service read', async () => {
    const owner = await signUp()
    const stranger = await signUp()
    const { data } = await owner.client.from('notes').insert({ body: 'mine' }).select('id').single()
    const read = (db: ReturnType<typeof anon>) => db.from('notes').select('id').eq('id', data?.id)

    expect((await read(owner.client)).data).toEqual([{ id: data?.id }])
    expect((await read(service())).data).toEqual([{ id: data?.id }])
    expect((await read(stranger.client)).data).toEqual([])
    expect(await read(anon())).toMatchObject({ status: 401, error: { code: '42501' } })
  })

  it('keep a revoked function from everybody but the role it is granted to', async () => {
    const { client } = await signUp()

    expect((await service().rpc('internal')).data).toBe(1)
    expect(await client.rpc('internal')).toMatchObject({ status: 403, error: { code: '42501' } })
    expect(await anon().rpc('internal')).toMatchObject({ status: 401, error: { code: '42501' } })
  })

  it('refuse an update or delete of a whole table, and take one with a filter', async () => {
    const db = service()
    const change = (query: string) =>
      fetch(`${stack.url}/rest/v1/notes${query}`, {
        method: 'DELETE',
        headers: { apikey: stack.secretKey },
      })

    expect(await (await change('')).json()).toMatchObject({
      code: '21000',
      message: 'DELETE requires a WHERE clause',
    })
    expect((await change('?id=lt.0')).status).toBe(204)
    expect((await db.from('notes').select('id')).error).toBeNull()
  })
})

describe('rows', () => {
  it.each([
    ['an object', { a: [1, { b: null }] }],
    ['an array', [1, 'x', { a: 1 }]],
    ['an empty array', []],
    ['text', 'plain'],
    ['text that looks like JSON', '{"a":1}'],
    ['text that looks like a number', '5'],
    ['a number', 5],
    ['false', false],
    ['null', null],
  ])('keep %s in a jsonb column as it was', async (_name, body) => {
    const { client } = await signUp()

    const inserted = await client.from('notes').insert([{ body }, { body }]).select('id, body')
    const id = inserted.data?.[0]?.id
    const updated = await service().from('notes').update({ body }).eq('id', id).select('body')
      .single()

    expect(inserted.data?.map((row) => row.body)).toEqual([body, body])
    expect(updated.data).toEqual({ body })
  })
})

describe('storage', () => {
  it('keeps a file under its policies: its owner and the service read it, a stranger does not', async () => {
    const owner = await signUp()
    const stranger = await signUp()
    const path = `${owner.userId}/a/b.png`
    const bytes = new Uint8Array([137, 80, 78, 71, 0, 255])
    const fetchBytes = async (client: ReturnType<typeof anon>) =>
      new Uint8Array(
        await (await client.storage.from('media').download(path)).data?.arrayBuffer() ?? [],
      )

    const { error } = await owner.client.storage.from('media').upload(path, bytes, {
      contentType: 'image/png',
    })

    expect(error).toBeNull()
    expect(await fetchBytes(owner.client)).toEqual(bytes)
    expect(await fetchBytes(service())).toEqual(bytes)
    expect(await fetchBytes(stranger.client)).toEqual(new Uint8Array())
    expect(
      (await stranger.client.storage.from('media').upload(path, bytes, {
        contentType: 'image/png',
        upsert: true,
      })).error?.message,
    ).toContain('row-level security')
  })

  it('signs an address by which anybody may read a file, for its owner only', async () => {
    const [owner, stranger] = [await signUp(), await signUp()]
    const path = `${owner.userId}/signed.png`
    const bytes = new Uint8Array([137, 80, 78, 71])
    await owner.client.storage.from('media').upload(path, bytes, { contentType: 'image/png' })

    const mine = await owner.client.storage.from('media').createSignedUrl(path, 60)
    const theirs = await stranger.client.storage.from('media').createSignedUrl(path, 60)

    const shown = await fetch(mine.data!.signedUrl)
    expect(new Uint8Array(await shown.arrayBuffer())).toEqual(bytes)
    expect((await fetch(mine.data!.signedUrl.replace(/token=.*/, 'token=x'))).ok).toBe(false)
    expect(theirs.error).not.toBeNull()
  })

  it('refuses a type that the bucket does not take, and forgets a removed file', async () => {
    const media = service().storage.from('media')
    await media.upload('kept/x.png', new Uint8Array([1]), { contentType: 'image/png' })

    const wrongType = await media.upload('kept/x.txt', 'text', { contentType: 'text/plain' })
    const removed = await media.remove(['kept/x.png'])

    expect(wrongType.error).not.toBeNull()
    expect(removed.error).toBeNull()
    expect((await media.download('kept/x.png')).error).not.toBeNull()
  })
})

describe('functions over REST', () => {
  it.each([
    ['every type', {
      texts: ['x', 'y,"z"', ''],
      id: '6a5b1f0e-0b1d-4c52-9d3f-0a4f3c9d2b11',
      body: { list: [1, 'x', null] },
      number: 3,
      flag: false,
      at: '2026-11-20T09:00:00+00:00',
      type: 'object',
    }],
    ['a JSON array', { body: [{ a: 1 }, 'b'], type: 'array' }],
    ['an empty JSON array', { body: [], type: 'array' }],
    ['a JSON string', { body: 'text', type: 'string' }],
    ['a JSON string that looks like JSON', { body: '{"a":1}', type: 'string' }],
    ['a JSON number', { body: 5, type: 'number' }],
    ['an empty array', { texts: [] }],
    ['null', { texts: null, number: null, body: null }],
    ['nothing, which leaves the defaults', {}],
  ])('take %s', async (_name, expected: Record<string, unknown>) => {
    const { type: _type, ...args } = expected
    const defaults = {
      texts: null,
      id: null,
      body: null,
      type: null,
      number: 7,
      flag: null,
      at: null,
    }

    const { data } = await service().rpc('echo', args)

    expect(data).toEqual({ ...defaults, ...expected })
  })

  it('answer void, rows and sets', async () => {
    const db = service()

    expect((await db.rpc('nothing')).data).toBeNull()
    expect((await db.rpc('pairs')).data).toEqual([{ x: 1, y: 'a' }, { x: 2, y: 'b' }])
    expect((await db.rpc('words')).data).toEqual(['a', 'b'])
  })

  it('pass on what a function raises: code, message, details and hint', async () => {
    const { error, status } = await service().rpc('refuse')

    expect(status).toBe(400)
    expect(error).toMatchObject({
      code: 'PB001',
      message: 'no',
      details: 'because',
      hint: 'ask again',
    })
  })

  it('have the time that hosted gives their role, or what the function itself asks for', async () => {
    expect((await anon().rpc('statement_timeout')).data).toBe('3s')
    expect((await service().rpc('statement_timeout')).data).toBe('8s')
    expect((await service().rpc('hurried')).error).toMatchObject({ code: '57014' })
  })

  it('are known as soon as they are made', async () => {
    const { default: postgres } = await import('postgres')
    const sql = postgres(stack.dbUrl, { max: 1 })
    await sql.unsafe(
      `create function public.fresh() returns int language sql set search_path = '' as 'select 42'`,
    )
    await sql.end()

    await stack.reloadSchema()

    expect((await anon().rpc('fresh')).data).toBe(42)
  })
})

describe('a connection that is lent to a request', () => {
  const lend = async (options: ConstructorParameters<typeof LosableConnection>[1] = {}) => {
    const { driver } = new LosableConnection(stack.dbUrl, options)
    onTestFinished(() => driver.end())
    return await driver.reserve()
  }

  it('keeps no answer, however long it lives', async () => {
    setFlagsFromString('--expose-gc')
    const collectGarbage = runInNewContext('gc') as () => void
    const connection = await lend()

    const answers = []
    for (let n = 0; n < 20; n++) answers.push(new WeakRef(await connection.unsafe('select 1')))
    await sleep(0) // what was just made stays until its task is over
    collectGarbage()

    // the driver has its latest
    expect(answers.filter((answer) => answer.deref()).length).toBeLessThan(3)
  })

  it('does not end by its age within a transaction', async () => {
    const connection = await lend({ max_lifetime: 0.1 })

    await connection.unsafe('begin')
    await sleep(300)

    await expect(connection.unsafe('commit')).resolves.toMatchObject({ command: 'COMMIT' })
  })
})
