// Is a test's own pool of connections whole again? After a restart of Postgres a connection may look
// alive until it is used once.
import type postgres from 'postgres'
import { vi } from 'vitest'

/** Resolves when every connection of the pool answers. */
export async function answering(sql: postgres.Sql): Promise<void> {
  await vi.waitFor(
    // slow enough that none of them is free to answer twice
    () => Promise.all(Array.from({ length: sql.options.max }, () => sql`select pg_sleep(0.02)`)),
    { timeout: 20_000, interval: 20 },
  )
}
