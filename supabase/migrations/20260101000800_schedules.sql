-- What pg_cron runs, and how a commit wakes a worker.

-- One row a worker function: when it was last rung and has not come up since, and until when one that is up will look
-- for work by itself.
create table private.worker_wakes (
  worker text primary key, -- the Edge Function's path
  rung_at timestamptz,
  awake_until timestamptz
);
alter table private.worker_wakes enable row level security;
insert into private.worker_wakes (worker) values ('sync'), ('integrations'), ('webhook-deliver');

-- Whom this transaction is to wake, until it commits; nobody else ever sees a row.
create unlogged table private.wakes_at_commit (
  transaction_id xid8 not null default pg_current_xact_id(),
  worker text not null,
  primary key (transaction_id, worker)
);
alter table private.wakes_at_commit enable row level security;

-- Rings a worker's doorbell, however often it is called, once when this transaction commits. Not earlier: whoever held the
-- doorbell for the length of a transaction would keep those from ringing who commit before it.
-- Definer's rights: notes for whoever queues work.
create function private.wake_worker(worker text)
returns void
language sql
security definer
set search_path = ''
as $$
  insert into private.wakes_at_commit (worker) values (wake_worker.worker) on conflict do nothing;
$$;

-- One ring is enough until the worker has come up; a lost ring is repeated by the minute's job. Without the Vault secrets
-- plugboard_functions_url and plugboard_worker_token nothing is rung, and nothing fails.
-- Definer's rights: it runs at the commit, as whoever commits, and reads Vault.
create function private.ring_worker()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  functions_url text;
  worker_token text;
begin
  delete from private.wakes_at_commit as noted where noted.transaction_id = new.transaction_id and noted.worker = new.worker;
  -- skip locked: whoever holds the row is ringing right now
  perform 1 from private.worker_wakes as doorbell
  where doorbell.worker = new.worker
    and (doorbell.rung_at is null or doorbell.rung_at < clock_timestamp() - interval '10 seconds')
    and (doorbell.awake_until is null or doorbell.awake_until < clock_timestamp())
  for update skip locked;
  if not found then
    return null;
  end if;
  select max(secret.decrypted_secret) filter (where secret.name = 'plugboard_functions_url'),
    max(secret.decrypted_secret) filter (where secret.name = 'plugboard_worker_token')
  into functions_url, worker_token
  from vault.decrypted_secrets as secret
  where secret.name in ('plugboard_functions_url', 'plugboard_worker_token');
  if functions_url is null or worker_token is null then
    return null;
  end if;
  perform net.http_post(
    url := functions_url || '/' || new.worker || '/work',
    body := jsonb_build_object('reason', 'wake'),
    headers := jsonb_build_object('Content-Type', 'application/json', 'x-worker-token', worker_token),
    timeout_milliseconds := 5000);
  update private.worker_wakes as doorbell set rung_at = clock_timestamp() where doorbell.worker = new.worker;
  return null;
end;
$$;
create constraint trigger ring_worker
  after insert on private.wakes_at_commit
  deferrable initially deferred
  for each row execute function private.ring_worker();

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

-- Queues a run of every stream that is due or holds a change that is, and rings for runs a dead worker left behind.
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
    where stream.enabled and stream.offered and stream.direction in ('pull', 'both') and stream.next_sync_at <= now()
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
  for due in
    select stream.integration_id, stream.stream
    from public.sync_streams as stream
    join public.integrations as integration on integration.id = stream.integration_id
    where stream.pushes and stream.enabled and stream.offered and integration.status in ('connected', 'error')
      and exists (
        select 1 from private.outbound_changes as change
        where change.integration_id = stream.integration_id and change.stream = stream.stream
          and change.fits and not change.refused and change.run_at <= now())
      and not exists (
        select 1 from private.sync_runs as run where run.integration_id = stream.integration_id and run.stream = stream.stream)
    order by stream.integration_id, stream.stream
    limit 500
  loop
    perform private.ask_for_push(due.integration_id, due.stream);
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

-- Rings for the accounts whose check or webhook subscriptions are due, ends actions whose worker died, forgets what sign-ins no
-- longer need and, before all else, what disconnecting has left for too long.
create function private.look_after_integrations()
returns void
language plpgsql
set search_path = ''
as $$
declare
  late record;
begin
  for late in
    select integration.id, exists (
      select 1 from private.oauth_grants as grants
      where grants.integration_id = integration.id and grants.revocation_started_at is not null) as is_interrupted
    from public.integrations as integration where integration.credentials_kept_until <= now() for update skip locked
  loop
    -- no worker came to take a sign-in back, or to say that it did
    perform private.delete_kept_credentials(late.id, false, case when not late.is_interrupted then false end);
  end loop;
  perform private.end_lost_actions();
  perform private.forget_verifiers();
  if exists (
    select 1 from public.integrations as due
    where due.status in ('connected', 'error') and coalesce(due.last_checked_at, due.connected_at) < now() - interval '1 hour'
  ) or exists (
    select 1 from private.webhook_subscription_runs as due
    join public.integrations as integration on integration.id = due.integration_id
    where due.run_at <= now() and (integration.status in ('connected', 'error') or integration.credentials_kept_until is not null)
  ) or exists (select 1 from private.app_subscription_runs as due where due.run_at <= now()) then
    perform private.wake_worker('integrations');
  end if;
end;
$$;

-- Rings, where nobody is awake, for deliveries that are due, or will be so soon, and that no ring has brought to a worker.
create function public.ring_for_due_deliveries(p_within_ms int default 0)
returns void
language plpgsql
security definer
set search_path = ''
as $$
begin
  if public.next_webhook_delivery_at() <= clock_timestamp() + make_interval(secs => p_within_ms / 1000.0) then
    perform private.wake_worker('webhook-deliver');
  end if;
end;
$$;
grant execute on function public.ring_for_due_deliveries(int) to service_role;

-- Events with what waits to be sent of them. Deliveries held for a month go first and in a transaction of their own: one
-- without its event would be sent empty, and they are many. Their events go with the first run that finds none left.
create function private.maintain_events(at_most int default 20000)
returns void
language plpgsql
set search_path = ''
set lock_timeout = '2s'
as $$
declare
  kept_since timestamptz := date_trunc('day', now() - interval '30 days', 'UTC');
begin
  delete from private.webhook_queue as held
  where held.position = any (array(
    select queued.position from private.webhook_queue as queued
    where queued.event_created_at < kept_since and (queued.lease_token is null or queued.run_at < clock_timestamp())
    limit at_most
    for update skip locked));
  if found or exists (select 1 from private.webhook_queue as queued where queued.event_created_at < kept_since) then
    perform private.ensure_partitions('public.events', 'day', 7);
  else
    perform private.maintain_partitions('public.events', 'day', 7, interval '30 days');
  end if;
end;
$$;

-- Takes away what is past its retention where no partition goes whole, at most so many rows of each table at a time.
create function private.delete_old_rows(at_most int default 25000)
returns void
language plpgsql
set search_path = ''
as $$
begin
  delete from private.webhook_endpoint_secrets where ctid = any (array(
    select old.ctid from private.webhook_endpoint_secrets as old where old.expires_at < now() limit at_most));
  delete from private.webhook_receiver_secrets where ctid = any (array(
    select old.ctid from private.webhook_receiver_secrets as old where old.expires_at < now() limit at_most));
  delete from private.app_instance_secrets where ctid = any (array(
    select old.ctid from private.app_instance_secrets as old where old.expires_at < now() limit at_most));
  delete from public.sync_logs where ctid = any (array(
    select old.ctid from public.sync_logs as old where old.finished_at < now() - interval '90 days' limit at_most));
  delete from public.sync_conflicts where ctid = any (array(
    select old.ctid from public.sync_conflicts as old where old.decided_at < now() - interval '90 days' limit at_most));
  delete from public.sync_errors where ctid = any (array(
    select old.ctid from public.sync_errors as old where old.resolved_at < now() - interval '90 days' limit at_most));
  delete from private.integration_actions where ctid = any (array(
    select old.ctid from private.integration_actions as old where old.finished_at < now() - interval '30 days' limit at_most));
  delete from private.oauth_states where ctid = any (array(
    select old.ctid from private.oauth_states as old where old.expires_at < now() - interval '1 day' limit at_most));
  delete from private.sync_seen where ctid = any (array(
    select old.ctid from private.sync_seen as old where not exists (select 1 from private.sync_runs as run where run.sync_log_id = old.sync_log_id) limit at_most));
  -- nobody has called since
  delete from private.request_budgets where ctid = any (array(
    select old.ctid from private.request_budgets as old where greatest(old.next_free_at, old.blocked_until, old.open_until) < now() - interval '1 day' limit at_most));
  delete from cron.job_run_details where ctid = any (array(
    select old.ctid from cron.job_run_details as old where old.end_time < now() - interval '7 days' limit at_most));
end;
$$;

select cron.schedule('queue-due-syncs', '* * * * *', 'select private.queue_due_syncs()');
select cron.schedule('look-after-integrations', '* * * * *', 'select private.look_after_integrations()');
select cron.schedule('ring-for-due-deliveries', '* * * * *', 'select public.ring_for_due_deliveries()');
select cron.schedule('clear-orphaned-deliveries', '* * * * *', 'select private.clear_orphaned_deliveries()');
select cron.schedule('free-stranded-lanes', '*/10 * * * *', 'select private.free_stranded_lanes()');
-- a week ahead, and each hour, so that a run that gave up costs nothing
select cron.schedule('maintain-activity-logs', '7 * * * *',
  $$select private.maintain_partitions('public.activity_logs', 'month', 2, '13 months')$$);
select cron.schedule('maintain-events', '*/10 * * * *', 'select private.maintain_events()');
select cron.schedule('maintain-webhook-attempts', '17 * * * *',
  $$select private.maintain_partitions('public.webhook_attempts', 'day', 7, '30 days')$$);
select cron.schedule('maintain-webhook-deliveries', '27 * * * *',
  $$select private.maintain_partitions('public.webhook_deliveries', 'day', 7, '30 days')$$);
select cron.schedule('maintain-webhook-events', '37 * * * *',
  $$select private.maintain_partitions('public.webhook_events', 'day', 7, '30 days')$$);
select cron.schedule('delete-old-rows', '*/5 2-4 * * *', 'select private.delete_old_rows()');
-- The last five weeks each hour; once a night everything, since a first sync brings years.
select cron.schedule('roll-up-analytics', '41 * * * *', $$
  select private.roll_up_analytics(case when extract(hour from now()) = 2 then '-infinity' else current_date - 35 end)
$$);
