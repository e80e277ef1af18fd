// How does a test stop a delivery worker exactly at a commit? A deferred trigger on the queue fires within COMMIT, and
// waits there for a lock that the test holds.
import type postgres from 'postgres'
import { vi } from 'vitest'
import { openPool } from '../../scripts/stack/pool.ts'

/** What a commit did to deliveries. */
export type DeliveryCommit = 'claim' | 'finish'

export type DeliveryGate = {
  /** Every such commit waits from now on, until {@link DeliveryGate.open}. */
  close(commit: DeliveryCommit): Promise<void>
  /** Resolves when a transaction waits within its COMMIT. */
  reached(): Promise<void>
  /** Lets what waits commit, or undoes it as the loss of its connection would; resolves when that is done. */
  open(outcome: 'commit' | 'roll back'): Promise<void>
}

const LOCK = 20_260_850

export async function installDeliveryGate(adminDbUrl: string): Promise<DeliveryGate> {
  const admin = openPool(adminDbUrl, { max: 2, idle_timeout: 2 })
  await admin.unsafe(INSTALL)
  let lock: postgres.Sql | null = null

  const atTheLock = () =>
    admin<{ pid: number; granted: boolean }[]>`
      select pid, granted from pg_locks
      where locktype = 'advisory' and objid = ${LOCK} and mode = 'ShareLock'`
  return {
    async close(commit) {
      lock = openPool(adminDbUrl, { max: 1 })
      await lock`select pg_advisory_lock(${LOCK})`
      await admin`update faults.delivery_gate set commit = ${commit}`
    },
    async reached() {
      await vi.waitFor(async () => {
        const waiting = (await atTheLock()).filter(({ granted }) => !granted)
        if (waiting.length === 0) throw new Error('no commit waits at the gate')
      }, { timeout: 20_000, interval: 5 })
    },
    async open(outcome) {
      await admin`update faults.delivery_gate set commit = null`
      if (outcome === 'roll back') {
        for (const { pid, granted } of await atTheLock()) {
          if (!granted) await admin`select pg_cancel_backend(${pid})`
        }
        await vi.waitFor(async () => {
          const waiting = (await atTheLock()).filter(({ granted }) => !granted)
          if (waiting.length > 0) throw new Error('a commit is still at the gate')
        }, { timeout: 5_000, interval: 5 })
      }
      await lock?.end({ timeout: 1 })
      lock = null
      // the lock is held until its transaction has ended: now the commit can be seen
      await vi.waitFor(async () => {
        if ((await atTheLock()).length > 0) throw new Error('a commit is still under way')
      }, { timeout: 5_000, interval: 5 })
    },
  }
}

const INSTALL = `
  create schema if not exists faults;
  create table faults.delivery_gate (commit text);
  insert into faults.delivery_gate values (null);

  create function faults.pass_delivery() returns trigger language plpgsql security definer set search_path = '' as $$
  declare
    done text := case
      when tg_op = 'DELETE' then 'finish'
      when new.lease_token is not null and new.attempt_id is distinct from old.attempt_id then 'claim'
      when new.lease_token is null and old.lease_token is not null then 'finish'
    end;
  begin
    if exists (select 1 from faults.delivery_gate as gate where gate.commit = done) then
      perform pg_catalog.pg_advisory_xact_lock_shared(${LOCK});
    end if;
    return null;
  end;
  $$;
  create constraint trigger pass_the_gate after update or delete on private.webhook_queue
    deferrable initially deferred for each row execute function faults.pass_delivery();
`
