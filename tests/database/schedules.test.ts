// What happens by itself: which streams are queued, who is woken, and what is swept away?
import type { TransactionSql } from 'postgres'
import { beforeEach, describe, expect, it } from 'vitest'
import { openTransaction } from '../support/concurrency.ts'
import { callFunction, undone, useDatabase } from '../support/database.ts'
import { createIntegration, type IntegrationRow } from '../support/integrations.ts'
import {
  type ClaimedRun,
  claimRun,
  expireLease,
  finishRun,
  lease,
  openRun,
  product,
  startSync,
  syncOnce,
  writePage,
} from '../support/sync-runs.ts'

const database = useDatabase()
const { admin, owner, call } = database

/** Rings as the commit would, in a transaction that is undone. */
const ringAsAtCommit = async (sql: TransactionSql) => {
  await sql`set constraints private.ring_worker immediate`
  await sql`set constraints private.ring_worker deferred`
}

/** What a transaction would have queued for pg_net, did it commit now. Undone transactions never send it. */
const rings = async (sql: TransactionSql) => {
  await ringAsAtCommit(sql)
  return await sql<{ url: string; headers: Record<string, string> }[]>`
    select url, headers from net.http_request_queue`
}

/** Makes the doorbell ready, as when the worker has come up since the last ring. */
const answerWake = (sql: TransactionSql) => sql`select public.answer_wake('sync')`

// what an earlier test rang and the worker of pg_net has not fetched yet would be counted here
beforeEach(async () => {
  await expect.poll(() => admin`select 1 from net.http_request_queue`).toHaveLength(0)
})

describe('queue-due-syncs', () => {
  /** Runs the job with the stream due in so many minutes, and answers what became of it. All undone. */
  async function outcomeFor(
    integration: IntegrationRow,
    options: { dueInMinutes?: number; change?: string } = {},
  ) {
    return await undone(owner, async (sql) => {
      // first in line, whatever other tests left behind
      await sql`
        update public.sync_streams set next_sync_at = now() + make_interval(mins => ${
        options.dueInMinutes ?? -10_000
      })
        where integration_id = ${integration.id}`
      if (options.change) await sql.unsafe(options.change, [integration.id])
      await sql`select private.queue_due_syncs()`
      const logs = await sql`
        select sync_type, status from public.sync_logs
        where integration_id = ${integration.id} and finished_at is null`
      const [stream] = await sql`
        select round(extract(epoch from next_sync_at - now()) / 60)::int as next_in_minutes
        from public.sync_streams where integration_id = ${integration.id}`
      return { logs: [...logs], next_in_minutes: stream?.next_in_minutes }
    })
  }

  it('queues what is due, and makes it due again after its interval', async () => {
    const integration = await createIntegration(database, { syncIntervalMinutes: 45 })

    expect(await outcomeFor(integration)).toEqual({
      logs: [{ sync_type: 'scheduled', status: 'queued' }],
      next_in_minutes: 45,
    })
  })

  it('leaves alone what is not due yet', async () => {
    const integration = await createIntegration(database)

    expect(await outcomeFor(integration, { dueInMinutes: 5 })).toEqual({
      logs: [],
      next_in_minutes: 5,
    })
  })

  it.each([
    ['paused', `update public.integrations set status = 'paused' where id = $1`, 0],
    ['disconnected', `update public.integrations set status = 'disconnected' where id = $1`, 0],
    ['in error', `update public.integrations set status = 'error' where id = $1`, 1],
    [
      'switched off',
      `update public.sync_streams set enabled = false where integration_id = $1`,
      0,
    ],
    [
      'pushed only',
      `update public.sync_streams set direction = 'push', push_columns = '{name}' where integration_id = $1`,
      0,
    ],
    [
      'both ways',
      `update public.sync_streams set direction = 'both', push_columns = '{name}' where integration_id = $1`,
      1,
    ],
  ])('of a stream that is %s queues %#', async (_, change, count) => {
    const integration = await createIntegration(database)

    expect((await outcomeFor(integration, { change })).logs).toHaveLength(count)
  })

  it('joins a run that is queued or running already', async () => {
    const integration = await createIntegration(database)
    await syncOnce(database, integration.id, [])
    const queued = await startSync(database, integration.id)
    const besideQueued = await outcomeFor(integration)
    await claimRun(database, queued.id)

    const besideRunning = await outcomeFor(integration)

    expect(besideQueued.logs).toEqual([{ sync_type: 'manual', status: 'queued' }])
    expect(besideRunning.logs).toEqual([{ sync_type: 'manual', status: 'running' }])
  })

  it('running twice at once queues a stream once', async () => {
    const integration = await createIntegration(database)
    const makeDue = (sql: TransactionSql) =>
      sql`
      update public.sync_streams set next_sync_at = now() - interval '10 days'
      where integration_id = ${integration.id}`
    const first = await openTransaction(database)
    await makeDue(first.sql)
    await first.sql`select private.queue_due_syncs()`

    // the first one holds its streams: the second passes them by without waiting
    const second = await undone(owner, async (sql) => {
      await sql`select private.queue_due_syncs()`
      return await sql`
        select 1 from private.sync_runs where integration_id = ${integration.id}`
    })
    const queuedByFirst = await first.sql`
      select 1 from private.sync_runs where integration_id = ${integration.id}`
    await first.rollBack()

    expect(queuedByFirst).toHaveLength(1)
    expect(second).toHaveLength(0)
  })

  it('rings for a run whose worker died', async () => {
    const { id } = await createIntegration(database)
    const run = await openRun(database, id)
    await expireLease(database, run)

    const [rung, due] = await undone(owner, async (sql) => {
      await sql`update public.sync_streams set next_sync_at = now() + interval '1 hour' where next_sync_at <= now()`
      await answerWake(sql)
      await sql`select private.queue_due_syncs()`
      return [await rings(sql), (await sql`select public.next_sync_run_at() <= now() as is_due`)[0]]
    })
    await finishRun(database, (await claimRun(database, run.sync_log_id))!)

    expect(due).toEqual({ is_due: true })
    expect(rung).toHaveLength(1)
  })

  it('passes by an integration that is paused in that very moment, and queues the others', async () => {
    const [before, paused, after] = [
      await createIntegration(database),
      await createIntegration(database),
      await createIntegration(database),
    ]

    const logs = await undone(owner, async (sql) => {
      for (const [index, { id }] of [before, paused, after].entries()) {
        await sql`
          update public.sync_streams set next_sync_at = now() - make_interval(mins => ${
          10_000 - index
        })
          where integration_id = ${id}`
      }
      // the job has listed all three when the first one's run is queued
      await sql.unsafe(`
        create function pg_temp.pause_the_second() returns trigger language plpgsql as $$
        begin
          update public.integrations set status = 'paused' where id = '${paused.id}';
          return null;
        end $$;
        create trigger pause_the_second after insert on public.sync_logs
          for each row execute function pg_temp.pause_the_second()`)
      await sql`select private.queue_due_syncs()`
      return await sql`
        select integration_id from public.sync_logs
        where integration_id in ${sql([before.id, paused.id, after.id])}`
    })

    expect(logs.map((log) => log.integration_id).toSorted()).toEqual(
      [before.id, after.id].toSorted(),
    )
  })

  it('is scheduled for every minute; each partitioned table has a job of its own, and the sweep its hours of the night', async () => {
    const jobs = await admin`select jobname, schedule, command from cron.job order by jobname`

    expect(jobs).toEqual([
      {
        jobname: 'clear-orphaned-deliveries',
        schedule: '* * * * *',
        command: 'select private.clear_orphaned_deliveries()',
      },
      {
        jobname: 'delete-old-rows',
        schedule: '*/5 2-4 * * *',
        command: 'select private.delete_old_rows()',
      },
      {
        jobname: 'forget-webhook-event-keys',
        schedule: '*/5 * * * *',
        command: 'select private.forget_webhook_event_keys()',
      },
      {
        jobname: 'free-stranded-lanes',
        schedule: '*/10 * * * *',
        command: 'select private.free_stranded_lanes()',
      },
      {
        jobname: 'look-after-integrations',
        schedule: '* * * * *',
        command: 'select private.look_after_integrations()',
      },
      ...[
        ['activity-logs', '7 * * * *', 'activity_logs'],
        ['events', '*/10 * * * *', 'maintain_events()'],
        ['webhook-attempts', '17 * * * *', 'public.webhook_attempts'],
        ['webhook-deliveries', '27 * * * *', 'public.webhook_deliveries'],
        ['webhook-events', '37 * * * *', 'public.webhook_events'],
      ].map(([name, schedule, command]) => ({
        jobname: `maintain-${name}`,
        schedule,
        command: expect.stringContaining(command!),
      })),
      {
        jobname: 'queue-due-syncs',
        schedule: '* * * * *',
        command: 'select private.queue_due_syncs()',
      },
      {
        jobname: 'ring-for-due-deliveries',
        schedule: '* * * * *',
        command: 'select public.ring_for_due_deliveries()',
      },
      {
        jobname: 'ring-for-images',
        schedule: '* * * * *',
        command: 'select private.ring_for_images()',
      },
      {
        jobname: 'ring-for-webhook-events',
        schedule: '* * * * *',
        command: 'select private.ring_for_webhook_events()',
      },
      {
        jobname: 'roll-up-analytics',
        schedule: '41 * * * *',
        command: expect.stringContaining('select private.roll_up_analytics('),
      },
    ])
  })
})

describe('waking the worker', () => {
  const wake = async (sql: TransactionSql) => {
    await sql`select private.wake_worker('sync')`
    await ringAsAtCommit(sql)
  }

  it("sends one request with the token to the worker's address, however often it is rung", async () => {
    const rung = await undone(owner, async (sql) => {
      await answerWake(sql)
      for (let time = 0; time < 3; time++) await wake(sql)
      return await rings(sql)
    })

    expect(rung).toMatchObject([{
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/functions\/v1\/sync\/work$/),
      headers: { 'x-worker-token': expect.stringMatching(/.{20,}/) },
    }])
  })

  it('rings again after the worker came up, and after ten seconds without it', async () => {
    const counts = await undone(owner, async (sql) => {
      const count = async () => (await rings(sql)).length
      await answerWake(sql)
      await wake(sql)
      const first = await count()
      await answerWake(sql)
      await wake(sql)
      const afterAnswer = await count()
      await sql`update private.worker_wakes set rung_at = clock_timestamp() - interval '11 seconds'`
      await wake(sql)
      return [first, afterAnswer, await count()]
    })

    expect(counts).toEqual([1, 2, 3])
  })

  it('rings nobody, and fails nothing, where the secrets are not set', async () => {
    const ringsWithout = (secret: string) =>
      undone(owner, async (sql) => {
        await answerWake(sql)
        await sql`delete from vault.secrets where name = ${secret}`
        await wake(sql)
        return (await rings(sql)).length
      })

    const counts = [
      await ringsWithout('plugboard_functions_url'),
      await ringsWithout('plugboard_worker_token'),
      await ringsWithout('something else'),
    ]

    expect(counts).toEqual([0, 0, 1])
  })

  it('happens with the commit that queues work: undone work wakes nobody', async () => {
    const { id } = await createIntegration(database)
    const start = (sql: TransactionSql) =>
      sql`select public.start_sync(${id}, 'products', 'manual')`
    const sent = async () => {
      const [ring] = await admin`select rung_at from private.worker_wakes where worker = 'sync'`
      return ring?.rung_at
    }
    await undone(owner, start) // waits for a ring that another transaction is just committing
    await admin`select public.answer_wake('sync')`

    await undone(owner, start)
    const afterUndone = await sent()
    await owner.begin(start)

    expect(afterUndone).toBeNull()
    expect(await sent()).not.toBeNull()
  })

  it('rings for whoever commits first, also beside a transaction that woke the worker before and goes on', async () => {
    const long = await openTransaction(database)
    await long.sql`select private.wake_worker('sync')`
    await admin`select public.answer_wake('sync')`

    await owner`select private.wake_worker('sync')`

    const [doorbell] = await admin`
      select rung_at is not null as is_rung from private.worker_wakes where worker = 'sync'`
    await long.rollBack()
    expect(doorbell).toEqual({ is_rung: true })
  })

  it('rings once at the commit of a transaction that wakes a worker many times', async () => {
    const notes = await undone(owner, async (sql) => {
      await sql`select private.wake_worker('sync') from generate_series(1, 100)`
      const before = await sql`
        select count(*)::int as count from private.wakes_at_commit where transaction_id = pg_current_xact_id()`
      await ringAsAtCommit(sql)
      const after = await sql`
        select count(*)::int as count from private.wakes_at_commit where transaction_id = pg_current_xact_id()`
      return [before[0]?.count, after[0]?.count]
    })

    expect(notes).toEqual([1, 0])
  })

  it('does not wait for somebody who is ringing right now', async () => {
    const ringing = await openTransaction(database)
    await answerWake(ringing.sql)
    await wake(ringing.sql)

    const rung = await undone(owner, async (sql) => {
      await wake(sql)
      return await rings(sql)
    })
    await ringing.rollBack()

    expect(rung).toEqual([])
  })
})

describe('calling more workers', () => {
  /** Queues this many runs, and lets the work see no other; all of it is undone. */
  async function withQueued<Result>(
    count: number,
    work: (sql: TransactionSql, syncLogIds: string[]) => Promise<Result>,
  ): Promise<Result> {
    const integrations = await Promise.all(
      Array.from({ length: count }, () => createIntegration(database)),
    )
    const logs = await Promise.all(integrations.map(({ id }) => startSync(database, id)))
    const ids = logs.map((log) => log.id)
    return await undone(admin, async (sql) => {
      await sql`delete from private.sync_runs where sync_log_id not in ${sql(ids)}`
      return await work(sql, ids)
    })
  }
  /** Does the work with the doorbell ready, and answers whether it was rung. */
  async function isRungBy(sql: TransactionSql, work: () => Promise<unknown>): Promise<boolean> {
    await answerWake(sql)
    await work()
    await ringAsAtCommit(sql)
    const [doorbell] = await sql`
      select rung_at is not null as is_rung from private.worker_wakes where worker = 'sync'`
    return doorbell?.is_rung
  }
  const claim = (sql: TransactionSql, syncLogId?: string) =>
    callFunction<ClaimedRun>(sql, 'claim_sync_run', { p_sync_log_id: syncLogId ?? null })
  const finish = (sql: TransactionSql, run: ClaimedRun) =>
    callFunction(sql, 'finish_sync_run', { ...lease(run), p_status: 'success' })

  it('a claim rings while another run is due, until eight workers are at work', async () => {
    const rung = await withQueued(9, async (sql) => {
      const rung: boolean[] = []
      for (let worker = 1; worker <= 8; worker++) rung.push(await isRungBy(sql, () => claim(sql)))
      return rung
    })

    expect(rung).toEqual([true, true, true, true, true, true, true, false])
  })

  it('a claim and the end of a run ring for nobody where nothing else is due', async () => {
    const rung = await withQueued(2, async (sql, [first, second]) => {
      await sql`
        update private.sync_runs set run_at = now() + interval '1 hour' where sync_log_id = ${second!}`
      let run: ClaimedRun | undefined
      const byClaim = await isRungBy(sql, async () => run = await claim(sql, first))
      return [byClaim, await isRungBy(sql, () => finish(sql, run!))]
    })

    expect(rung).toEqual([false, false])
  })

  it('the end of a run rings for any run that is due', async () => {
    const rung = await withQueued(2, async (sql, [first]) => {
      const run = await claim(sql, first)
      return await isRungBy(sql, () => finish(sql, run))
    })

    expect(rung).toBe(true)
  })
})

describe('the next run', () => {
  it('is due when its pause or its lease ends; one that waits behind another does not count', async () => {
    const { id } = await createIntegration(database)
    await syncOnce(database, id, [product('1')])
    await openRun(database, id, { mode: 'incremental' })
    await startSync(database, id, { mode: 'full' })

    const next = await undone(admin, async (sql) => {
      await sql`delete from private.sync_runs where integration_id <> ${id}`
      const [row] = await sql`
        select extract(epoch from public.next_sync_run_at() - now())::int as in_seconds`
      return row
    })

    expect(next?.in_seconds).toBeGreaterThan(150)
    expect(next?.in_seconds).toBeLessThanOrEqual(180)
  })

  it('is null when nothing waits', async () => {
    const next = await undone(admin, async (sql) => {
      await sql`delete from private.sync_runs`
      return await call('service_role', 'answer_wake', { p_worker: 'nobody' }).then(() =>
        sql`select public.next_sync_run_at() as at`
      )
    })

    expect(next).toEqual([{ at: null }])
  })
})

describe('delete-old-rows', () => {
  it('forgets runs and resolved errors after 90 days, and keeps younger and open ones', async () => {
    const { id } = await createIntegration(database)
    const run = await openRun(database, id)
    const refused = ['old', 'young', 'open'].map((source_id) => ({
      source_id,
      payload: {},
      code: 'invalid_record',
      message: '',
    }))
    await writePage(database, run, [], { refused, progress: { scanning: true } })
    await finishRun(database, run)
    const young = await syncOnce(database, id, [])
    const running = await openRun(database, id)

    const [logs, errors] = await undone(admin, async (sql) => {
      await sql`
        update public.sync_logs set finished_at = now() - interval '91 days' where id = ${run.sync_log_id}`
      await sql`
        update public.sync_errors set resolution = 'dismissed',
          resolved_at = now() - case source_id when 'old' then interval '91 days' else interval '89 days' end
        where integration_id = ${id} and source_id <> 'open'`
      await sql`select private.delete_old_rows()`
      return [
        await sql`select id from public.sync_logs where integration_id = ${id} order by created_at`,
        await sql`select source_id from public.sync_errors where integration_id = ${id} order by 1`,
      ]
    })

    expect(logs.map((log) => log.id)).toEqual([young.id, running.sync_log_id])
    expect(errors.map((error) => error.source_id)).toEqual(['open', 'young'])
  })

  it('forgets what a scan saw when its run is gone, and keeps it while it runs', async () => {
    const [gone, running] = [await createIntegration(database), await createIntegration(database)]
    const runs = [await openRun(database, gone.id), await openRun(database, running.id)]
    for (const run of runs) {
      await writePage(database, run, [product('1')], { progress: { scanning: true } })
    }
    await admin`delete from public.integrations where id = ${gone.id}`

    const left = await undone(owner, async (sql) => {
      await sql`select private.delete_old_rows()`
      return await sql`
        select sync_log_id from private.sync_seen
        where sync_log_id in ${sql(runs.map((run) => run.sync_log_id))}`
    })

    expect(left).toEqual([{ sync_log_id: runs[1]?.sync_log_id }])
  })
  it('forgets what was known of an account nobody has called for a day', async () => {
    const left = await undone(owner, async (sql) => {
      await sql`
        insert into private.request_budgets (key, next_free_at, blocked_until, circuit, open_until) values
          ('made-up:idle', now() - interval '25 hours', '-infinity', 'closed', '-infinity'),
          ('made-up:never called', '-infinity', '-infinity', 'closed', '-infinity'),
          ('made-up:recent', now() - interval '23 hours', '-infinity', 'closed', '-infinity'),
          ('made-up:told to wait', now() - interval '25 hours', now() + interval '1 hour', 'closed', '-infinity'),
          ('made-up:down', now() - interval '25 hours', '-infinity', 'open', now() - interval '23 hours'),
          ('made-up:long down', now() - interval '25 hours', '-infinity', 'open', now() - interval '25 hours'),
          ('made-up:lost probe', now() - interval '25 hours', '-infinity', 'half_open', now() - interval '25 hours')`
      await sql`select private.delete_old_rows()`
      return await sql`
        select key from private.request_budgets where key like 'made-up:%' order by key`
    })

    expect(left.map((budget) => budget.key)).toEqual([
      'made-up:down',
      'made-up:recent',
      'made-up:told to wait',
    ])
  })

  it('takes so many rows of a table at a time, and the rest the next times', async () => {
    const left = await undone(owner, async (sql) => {
      await sql`delete from private.request_budgets`
      await sql`
        insert into private.request_budgets (key, next_free_at)
        select 'made-up:' || number, now() - interval '2 days' from generate_series(1, 5) as number`
      const counts: number[] = []
      for (let time = 0; time < 3; time++) {
        await sql`select private.delete_old_rows(2)`
        const [row] = await sql`select count(*)::int as count from private.request_budgets`
        counts.push(row?.count)
      }
      return counts
    })

    expect(left).toEqual([3, 1, 0])
  })
})

describe('maintain-events', () => {
  const day = (offset: number) =>
    new Date(Date.now() + offset * 86_400_000).toISOString().slice(0, 10)

  /** With a partition of each of these days, an event in it and its delivery held; then lets the job run. All undone. */
  const afterRuns = (times: number, atMost: number) =>
    undone(owner, async (sql) => {
      const { organization_id } = await createIntegration(database)
      for (const offset of [-32, -31, -30]) {
        await sql.unsafe(`
          create table private.events_made_up_${-offset} partition of public.events
            for values from ('${day(offset)}T00:00:00Z') to ('${day(offset + 1)}T00:00:00Z')`)
      }
      const endpoint = crypto.randomUUID()
      await sql`
        with emitted as (
          insert into public.events (organization_id, type, data, origin, created_at)
          select ${organization_id}, 'booking.held', '{}', 'app', made_at
          from unnest(${
        [-32, -31, -30].map((offset) => `${day(offset)}T23:59:59Z`)
      }::timestamptz[]) as made_at
          returning id, created_at
        )
        insert into private.webhook_queue (endpoint_id, event_id, event_created_at)
        select ${endpoint}::uuid, id, created_at from emitted`
      const left: { events: string[]; held: string[] }[] = []
      for (let time = 0; time < times; time++) {
        await sql`select private.maintain_events(${atMost}::int)`
        const events = await sql`
          select created_at from public.events where organization_id = ${organization_id} and type = 'booking.held' order by 1`
        const held = await sql`
          select event_created_at as created_at from private.webhook_queue where endpoint_id = ${endpoint} order by 1`
        const days = (rows: typeof events) =>
          rows.map(({ created_at }) => created_at.toISOString().slice(0, 10))
        left.push({ events: days(events), held: days(held) })
      }
      return left
    })

  it('drops a day when none of its events waits to be sent any more, and those that wait before it', async () => {
    const all = [-32, -31, -30].map(day)
    const kept = [day(-30)]

    expect(await afterRuns(3, 1)).toEqual([
      { events: all, held: all.slice(1) },
      { events: all, held: kept },
      { events: kept, held: kept },
    ])
  })
})

describe('maintaining partitions', () => {
  it('gives up where somebody has held the table for two seconds, and drops the old one the next time', async () => {
    const table = `made_up_${crypto.randomUUID().replaceAll('-', '')}`
    await owner.unsafe(`
      create table private.${table} (at timestamptz not null) partition by range (at);
      create table private.${table}_old partition of private.${table} for values from ('2020-01-01') to ('2020-02-01')`)
    const maintain = () =>
      owner.unsafe(`select private.maintain_partitions('private.${table}', 'day', 1, '30 days')`)
    const reader = await openTransaction(database)
    try {
      await reader.sql.unsafe(`select from private.${table}`)

      await expect(maintain()).rejects.toMatchObject({ code: '55P03' })
      await reader.rollBack()
      await maintain()

      const [old] = await owner`select to_regclass(${`private.${table}_old`}) as name`
      expect(old).toEqual({ name: null })
    } finally {
      await owner.unsafe(`drop table private.${table}`)
    }
  })

  it('also takes old rows that no partition was made for, and keeps young ones', async () => {
    const left = await undone(owner, async (sql) => {
      await sql.unsafe(`
        create table private.made_up (at timestamptz not null) partition by range (at);
        create table private.made_up_default partition of private.made_up default;
        insert into private.made_up values (now() - interval '32 days'), (now() - interval '29 days');
        select private.maintain_partitions('private.made_up', 'day', 1, '30 days')`)
      return await sql`select at > now() - interval '30 days' as young from private.made_up`
    })

    expect([...left]).toEqual([{ young: true }])
  })
})
