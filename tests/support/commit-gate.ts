// How does a test stop a worker exactly at one of its commits? A deferred trigger on the queue of runs
// fires within COMMIT, and waits there for a lock that the test holds.
import type postgres from 'postgres'
import { vi } from 'vitest'
import { openPool } from '../../scripts/stack/pool.ts'
import { answering } from './answering.ts'

/**
 * One commit of a run, named by what it did: `claim`, `batch 2`, `absent 1`, `finish`, `release`, `restart`; of a push
 * `intent update`, `save update`, and so for `create` and `delete`.
 */
export type CommitLabel = string

export type CommitGate = {
  /** Every such commit waits from now on, until {@link CommitGate.open}. */
  close(label: CommitLabel): Promise<void>
  /** Resolves when a transaction waits within its COMMIT. */
  reached(): Promise<void>
  /** Lets what waits commit, or undoes it as the loss of its connection would; resolves when that is done. */
  open(outcome?: 'commit' | 'roll back'): Promise<void>
  /** What a run has committed, in order; not what it pushed. */
  commits(syncLogId: string): Promise<CommitLabel[]>
}

const LOCK = 20_260_101

/** Installs the trigger and answers the gate; nothing waits yet. */
export async function installCommitGate(adminDbUrl: string): Promise<CommitGate> {
  const admin = openPool(adminDbUrl, { max: 2, idle_timeout: 2 })
  await admin.unsafe(INSTALL)
  let lock: postgres.Sql | null = null

  const atTheLock = (granted: boolean) =>
    admin<{ pid: number }[]>`
      select pid from pg_locks
      where locktype = 'advisory' and objid = ${LOCK} and mode = 'ShareLock' and granted = ${granted}`
  const noneAtTheLock = (granted: boolean) =>
    vi.waitFor(async () => {
      if ((await atTheLock(granted)).length > 0) throw new Error('a commit is still at the gate')
    }, { timeout: 5_000, interval: 5 })
  return {
    async close(label) {
      await answering(admin)
      await lock?.end({ timeout: 1 }) // of a test that failed before it opened
      lock = openPool(adminDbUrl, { max: 1 })
      await lock`select pg_advisory_lock(${LOCK})`
      await admin`update faults.gate set label = ${label}`
    },
    async reached() {
      await vi.waitFor(async () => {
        if ((await atTheLock(false)).length === 0) throw new Error('no commit waits at the gate')
      }, { timeout: 20_000, interval: 10 })
    },
    async open(outcome = 'commit') {
      await answering(admin)
      await admin`update faults.gate set label = null`
      if (outcome === 'roll back') {
        for (const { pid } of await atTheLock(false)) await admin`select pg_cancel_backend(${pid})`
        await noneAtTheLock(false)
      }
      await lock?.end({ timeout: 1 })
      lock = null
      // the lock is held until its transaction has ended: now the commit can be seen
      await noneAtTheLock(false)
      await noneAtTheLock(true)
    },
    async commits(syncLogId) {
      const rows = await admin<{ label: string }[]>`
        select label from faults.commits where sync_log_id = ${syncLogId} order by id`
      return rows.map(({ label }) => label)
    },
  }
}

const INSTALL = `
  create schema faults;
  create table faults.gate (label text);
  insert into faults.gate values (null);
  create table faults.commits (id bigserial primary key, sync_log_id uuid not null, label text not null);

  create function faults.pass() returns trigger language plpgsql security definer set search_path = '' as $$
  declare
    done text := case
      when tg_op = 'DELETE' then 'finish'
      when new.lease_token is distinct from old.lease_token then
        case when new.lease_token is null then 'release' else 'claim' end
      when new.progress = old.progress then null -- a test moved the lease
      when new.progress = '{}' then 'restart'
      when (new.progress ->> 'absent_after') > (old.progress ->> 'absent_after') then 'absent ' || 1 + (
        select count(*) from faults.commits as earlier
        where earlier.sync_log_id = old.sync_log_id and earlier.label like 'absent %')
      else 'batch ' || (new.progress ->> 'batch_count')
    end;
  begin
    if done is null then
      return null;
    end if;
    insert into faults.commits (sync_log_id, label) values (old.sync_log_id, done);
    if exists (select 1 from faults.gate where gate.label = done) then
      perform pg_catalog.pg_advisory_xact_lock_shared(${LOCK});
    end if;
    return null;
  end;
  $$;
  create constraint trigger pass_the_gate after update or delete on private.sync_runs
    deferrable initially deferred for each row execute function faults.pass();

  create function faults.pass_change() returns trigger language plpgsql security definer set search_path = '' as $$
  declare
    done text := case
      when tg_op = 'DELETE' then 'save ' || old.operation
      when old.sending_at is null and new.sending_at is not null then 'intent ' || new.operation
      when old.sending_at is not null and new.sending_at is null then 'save ' || old.operation
    end;
  begin
    if exists (select 1 from faults.gate where gate.label = done) then
      perform pg_catalog.pg_advisory_xact_lock_shared(${LOCK});
    end if;
    return null;
  end;
  $$;
  create constraint trigger pass_the_gate after update or delete on private.outbound_changes
    deferrable initially deferred for each row execute function faults.pass_change();
`
