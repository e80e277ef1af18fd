-- What pg_cron runs, and how a commit wakes a worker.

-- One row a worker function: when it was last rung and has not come up since.
create table private.worker_wakes (
  worker text primary key, -- the Edge Function's path
  rung_at timestamptz
);
alter table private.worker_wakes enable row level security;
insert into private.worker_wakes (worker) values ('sync'), ('integrations');

-- Rings a worker's doorbell after this transaction commits. One ring is enough until the worker has come
-- up; a lost ring is repeated by the minute's job. Without the Vault secrets plugboard_functions_url and
-- plugboard_worker_token nothing is rung, and nothing fails.
-- Definer's rights: reads Vault for whoever queues work.
create function private.wake_worker(worker text)
returns void
language plpgsql
security definer
set search_path = ''
as $$
declare
  functions_url text;
  worker_token text;
begin
  -- skip locked: whoever holds the row is ringing right now
  perform 1 from private.worker_wakes as doorbell
  where doorbell.worker = wake_worker.worker
    and (doorbell.rung_at is null or doorbell.rung_at < clock_timestamp() - interval '10 seconds')
  for update skip locked;
  if not found then
    return;
  end if;
  select max(secret.decrypted_secret) filter (where secret.name = 'plugboard_functions_url'),
    max(secret.decrypted_secret) filter (where secret.name = 'plugboard_worker_token')
  into functions_url, worker_token
  from vault.decrypted_secrets as secret
  where secret.name in ('plugboard_functions_url', 'plugboard_worker_token');
  if functions_url is null or worker_token is null then
    return;
  end if;
  perform net.http_post(
    url := functions_url || '/' || wake_worker.worker || '/work',
    body := jsonb_build_object('reason', 'wake'),
    headers := jsonb_build_object('Content-Type', 'application/json', 'x-worker-token', worker_token),
    timeout_milliseconds := 5000);
  update private.worker_wakes as doorbell set rung_at = clock_timestamp() where doorbell.worker = wake_worker.worker;
end;
$$;

-- The worker is up: the next ring counts again.
create function public.answer_wake(p_worker text)
returns void
language sql
security definer
set search_path = ''
as $$
  update private.worker_wakes set rung_at = null where worker = p_worker and rung_at is not null;
$$;
grant execute on function public.answer_wake(text) to service_role;

-- When the next run is due: a worker with time left sleeps towards it. Null: nothing waits.
create function public.next_sync_run_at()
returns timestamptz
language sql
stable
security definer
set search_path = ''
as $$
  select min(greatest(run.run_at, coalesce(run.lease_expires_at, '-infinity')))
  from private.sync_runs as run
  where not (run.status = 'queued' and exists (
    select 1 from private.sync_runs as ahead
    where ahead.integration_id = run.integration_id and ahead.stream = run.stream and ahead.status = 'running'));
$$;
grant execute on function public.next_sync_run_at() to service_role;

-- Queues a run of every stream that is due, and rings for runs a dead worker left behind.
create function private.queue_due_syncs()
returns int
language plpgsql
set search_path = ''
as $$
declare
  due record;
  queued_count int := 0;
begin
  for due in
    select stream.integration_id, stream.stream, integration.sync_interval_minutes
    from public.sync_streams as stream
    join public.integrations as integration on integration.id = stream.integration_id
    where stream.enabled and stream.offered and stream.direction in ('in', 'both') and stream.next_sync_at <= now()
      and integration.status in ('connected', 'error')
    order by stream.next_sync_at
    limit 500
    for update of stream skip locked
  loop
    begin
      perform public.start_sync(due.integration_id, due.stream, 'scheduled');
    exception when sqlstate 'PB001' then
      -- paused or disconnected in this very moment; the others are due all the same
      raise notice 'sync of % not queued: %', due.integration_id, sqlerrm;
    end;
    -- the run's end sets the next time; this one counts should it never end
    update public.sync_streams as stream set next_sync_at = now() + make_interval(mins => due.sync_interval_minutes)
    where stream.integration_id = due.integration_id and stream.stream = due.stream;
    queued_count := queued_count + 1;
  end loop;
  if public.next_sync_run_at() <= now() then
    perform private.wake_worker('sync');
  end if;
  return queued_count;
end;
$$;

-- Hands out accounts whose hourly check is due, as a list of ids. last_checked_at moves here already, so that nobody
-- checks twice and a worker that dies costs one check.
create function public.claim_due_checks(p_limit int default 20)
returns jsonb
language sql
security definer
set search_path = ''
as $$
  with claimed as (
    update public.integrations as claimed set last_checked_at = clock_timestamp()
    where claimed.id = any (array(
      select due.id from public.integrations as due
      where due.status in ('connected', 'error')
        and coalesce(due.last_checked_at, due.connected_at) < now() - interval '1 hour'
      order by due.last_checked_at nulls first
      limit p_limit
      for update skip locked
    ))
    returning claimed.id
  )
  select coalesce(jsonb_agg(claimed.id), '[]') from claimed;
$$;
grant execute on function public.claim_due_checks(int) to service_role;

-- Rings for the accounts whose check is due, ends actions whose worker died, forgets what sign-ins no longer need.
create function private.look_after_integrations()
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform private.end_lost_actions();
  perform private.forget_verifiers();
  if exists (
    select 1 from public.integrations as due
    where due.status in ('connected', 'error') and coalesce(due.last_checked_at, due.connected_at) < now() - interval '1 hour'
  ) then
    perform private.wake_worker('integrations');
  end if;
end;
$$;

-- Keeps partitions ahead of time and takes away what is past its retention.
create function private.maintain_logs()
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform private.ensure_partitions('public.activity_logs', 'month');
  perform private.drop_old_partitions('public.activity_logs', interval '13 months');
  delete from public.sync_logs where finished_at < now() - interval '90 days';
  delete from public.sync_errors where resolved_at < now() - interval '90 days';
  delete from private.integration_actions where finished_at < now() - interval '30 days';
  delete from private.oauth_states where expires_at < now() - interval '1 day';
  delete from private.sync_seen as seen
  where not exists (select 1 from private.sync_runs as run where run.sync_log_id = seen.sync_log_id);
  delete from private.request_budgets
  where greatest(next_free_at, blocked_until, open_until) < now() - interval '1 day'; -- nobody has called since
  delete from cron.job_run_details where end_time < now() - interval '7 days';
end;
$$;

select cron.schedule('queue-due-syncs', '* * * * *', 'select private.queue_due_syncs()');
select cron.schedule('look-after-integrations', '* * * * *', 'select private.look_after_integrations()');
select cron.schedule('maintain-logs', '17 3 * * *', 'select private.maintain_logs()');
-- The last five weeks each hour; once a night everything, since a first sync brings years.
select cron.schedule('roll-up-analytics', '41 * * * *', $$
  select private.roll_up_analytics(case when extract(hour from now()) = 2 then '-infinity' else current_date - 35 end)
$$);
