// Who is asking? Connections to the stack's Postgres as each kind of caller.
import postgres from 'postgres'
import { afterAll } from 'vitest'
import type { Person } from './people.ts'
import { sharedStack } from './shared-stack.ts'

/**
 * Callers as the Data API knows them: a signed-in person, nobody, the secret key, or `authenticated`:
 * a token that names no person.
 */
export type Actor = Person | 'anon' | 'service_role' | 'authenticated'

export type TestDatabase = {
  /** The superuser `supabase_admin`: reads what nobody may, for asserts. */
  admin: postgres.Sql
  /** The role `postgres`, which owns our tables and runs migrations and scheduled jobs. */
  owner: postgres.Sql
  /**
   * Does `work` in one transaction with the actor's role and claims, on the connection the Data API
   * uses; commits unless told to roll back. Transactions of several calls run side by side.
   */
  actAs<Result>(
    actor: Actor,
    work: (sql: postgres.TransactionSql) => Promise<Result>,
    ending?: 'commit' | 'roll back',
  ): Promise<Result>
  /** Calls `public.<name>` with named arguments as the actor and answers its value, a row as an object. */
  call<Result>(actor: Actor, name: string, args?: Record<string, unknown>): Promise<Result>
}

/** Opens connections to the shared stack for one test file and closes them after it. */
export function useDatabase(): TestDatabase {
  const { dbUrl, adminDbUrl } = sharedStack
  const connect = (url: string, max: number) =>
    postgres(url, { max, onnotice: () => {}, prepare: false })
  const admin = connect(adminDbUrl, 2)
  const owner = connect(dbUrl, 4)
  const api = connect(dbUrl.replace('//postgres:', '//authenticator:'), 24)
  afterAll(() => Promise.all([admin, owner, api].map((sql) => sql.end({ timeout: 1 }))))

  const actAs: TestDatabase['actAs'] = (actor, work, ending = 'commit') => {
    const workAsActor = async (sql: postgres.TransactionSql) => {
      await become(sql, actor)
      return await work(sql)
    }
    return ending === 'commit' ? committed(api, workAsActor) : undone(api, workAsActor)
  }
  return {
    admin,
    owner,
    actAs,
    call: (actor, name, args) => actAs(actor, (sql) => callFunction(sql, name, args)),
  }
}

async function committed<Result>(
  sql: postgres.Sql,
  work: (sql: postgres.TransactionSql) => Promise<Result>,
): Promise<Result> {
  let result: { is: Result } | undefined
  await sql.begin(async (transaction) => {
    result = { is: await work(transaction) }
  })
  return result!.is
}

/** Does `work` in a transaction that is rolled back, and answers its result. */
export async function undone<Result>(
  sql: postgres.Sql,
  work: (sql: postgres.TransactionSql) => Promise<Result>,
): Promise<Result> {
  let result: { is: Result } | undefined
  const rollBack = new Error('rolled back')
  await sql.begin(async (transaction) => {
    result = { is: await work(transaction) }
    throw rollBack
  }).catch((error) => {
    if (error !== rollBack) throw error
  })
  return result!.is
}

/** Takes on an actor's role and claims for the rest of the transaction, as PostgREST does. */
export async function become(sql: postgres.TransactionSql, actor: Actor): Promise<void> {
  const role = typeof actor === 'string' ? actor : 'authenticated'
  const claims = typeof actor === 'string' ? { role } : { role, sub: actor.id, email: actor.email }
  await sql`
    select set_config('request.jwt.claims', ${
    JSON.stringify(claims)
  }, true), set_config('role', ${role}, true)`
}

/** Calls `public.<name>` within a transaction and answers its value, a row as an object. */
export async function callFunction<Result>(
  sql: postgres.Sql | postgres.TransactionSql,
  name: string,
  args: Record<string, unknown> = {},
): Promise<Result> {
  const named = Object.keys(args).map((key, index) => `${key} => $${index + 1}`)
  const rows = await sql.unsafe(
    `select to_jsonb(answer) as answer from public.${name}(${named.join(', ')}) as answer`,
    Object.values(args) as postgres.ParameterOrJSON<never>[],
  )
  return (rows[0]?.answer ?? null) as Result
}

/** What a refusal by `private.refuse` looks like to the driver: for `rejects.toMatchObject`. */
export const refusal = (code: string) => ({ code: 'PB001', message: code })

/** What Postgres answers where a grant is missing or a policy's check fails. */
export const permissionDenied = { code: '42501' }
