// How do two transactions meet? At a point both have reached, or at a lock that one holds.
import type postgres from 'postgres'
import { expect } from 'vitest'
import { type Actor, become, type TestDatabase } from './database.ts'

/** Lets nobody on before `size` callers have come. */
export function meeting(size: number): () => Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  let missing = size
  return () => {
    if (--missing === 0) resolve()
    return promise
  }
}

export type OpenTransaction = {
  sql: postgres.TransactionSql
  commit(): Promise<void>
  rollBack(): Promise<void>
}

/** A transaction that stays open until the test ends it. */
export async function openTransaction(
  { owner }: TestDatabase,
  actor?: Actor,
): Promise<OpenTransaction> {
  const connection = await owner.reserve()
  const sql = connection as unknown as postgres.TransactionSql // the same queries, without savepoints
  const end = async (how: 'commit' | 'rollback') => {
    await connection.unsafe(how)
    connection.release()
  }
  await connection`begin`
  if (actor) await become(sql, actor)
  return { sql, commit: () => end('commit'), rollBack: () => end('rollback') }
}

/** Resolves when some transaction waits for another one's lock. */
export async function someoneWaitsForALock({ admin }: TestDatabase): Promise<void> {
  await expect.poll(() => admin`select 1 from pg_locks where not granted`, {
    interval: 10,
    timeout: 5_000,
  }).not
    .toHaveLength(0)
}
