-- Syncs: what is synced (sync_streams), each run's record (sync_logs), the queue of runs that are
-- not finished (private.sync_runs), and the records that were refused (sync_errors).

create table public.sync_streams (
  integration_id uuid not null,
  organization_id uuid not null,
  stream text not null,
  enabled boolean not null default true, -- false: only by hand
  direction text not null default 'in',
  conflict_policy text not null default 'remote_wins',
  batch_size int not null default 2000, -- records written in one transaction; below 2000 the cost of the call itself shows
  filter jsonb not null default '{}',
  cursor jsonb, -- { since }: the newest source_updated_at a finished run has seen; null: never finished
  full_sync_interval_minutes int not null default 1440, -- how often a scheduled run reads everything, to see deletions
  mass_delete_percent int not null default 25, -- a run that would delete more stops and asks
  last_full_sync_at timestamptz,
  next_sync_at timestamptz not null default now(),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (integration_id, stream),
  foreign key (integration_id, organization_id) references public.integrations (id, organization_id) on delete cascade,
  constraint sync_streams_direction_is_known check (direction in ('in', 'out', 'both')),
  constraint sync_streams_conflict_policy_is_known check (conflict_policy in ('local_wins', 'remote_wins', 'latest_wins')),
  constraint sync_streams_batch_size_is_1_to_5000 check (batch_size between 1 and 5000),
  constraint sync_streams_full_sync_interval_is_positive check (full_sync_interval_minutes > 0),
  constraint sync_streams_mass_delete_percent_is_a_percentage check (mass_delete_percent between 0 and 100)
);
comment on table public.sync_streams is 'One kind of record of one integration: how it is synced, and how far it got.';
create index sync_streams_organization_id_idx on public.sync_streams (organization_id, created_at desc);
create index sync_streams_next_sync_at_idx on public.sync_streams (next_sync_at) where enabled;
alter table public.sync_streams enable row level security;
create policy "members read their organization's streams"
  on public.sync_streams for select to authenticated
  using (organization_id = any ((select private.organization_ids('viewer'))::uuid[]));
create policy "managers tune their organization's streams"
  on public.sync_streams for update to authenticated
  using (organization_id = any ((select private.organization_ids('manager'))::uuid[]))
  with check (organization_id = any ((select private.organization_ids('manager'))::uuid[]));
grant select, update (enabled, batch_size, filter, full_sync_interval_minutes, mass_delete_percent)
  on public.sync_streams to authenticated;
grant select on public.sync_streams to service_role;
create trigger sync_streams_touch before update on public.sync_streams
  for each row execute function private.touch_updated_at();

create table public.sync_logs (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null,
  integration_id uuid not null,
  stream text not null,
  sync_type text not null,
  mode text not null, -- full: everything, and what is gone is deleted; incremental: what changed since the cursor
  status text not null default 'queued',
  fetched_count int not null default 0,
  created_count int not null default 0,
  updated_count int not null default 0,
  unchanged_count int not null default 0,
  deleted_count int not null default 0,
  error_count int not null default 0, -- refused records
  error jsonb, -- { code, message, next }: why it failed, or what a person should look at
  requested_by uuid references auth.users (id) on delete set null,
  attempt_count int not null default 0, -- how many workers have taken it up
  created_at timestamptz not null default now(),
  started_at timestamptz,
  finished_at timestamptz,
  duration_ms bigint generated always as ((extract(epoch from finished_at - started_at) * 1000)::bigint) stored,
  foreign key (integration_id, organization_id) references public.integrations (id, organization_id) on delete cascade,
  constraint sync_logs_sync_type_is_known check (sync_type in ('scheduled', 'manual', 'webhook')),
  constraint sync_logs_mode_is_known check (mode in ('full', 'incremental')),
  constraint sync_logs_status_is_known check (status in ('queued', 'running', 'success', 'partial', 'failed')),
  constraint sync_logs_finished_run_has_a_finish_time
    check ((status in ('success', 'partial', 'failed')) = (finished_at is not null)),
  constraint sync_logs_failed_run_says_why check (status <> 'failed' or error is not null)
);
comment on table public.sync_logs is 'One row a run of one stream''s sync; kept 90 days.';
create index sync_logs_organization_id_created_at_idx on public.sync_logs (organization_id, created_at desc);
create index sync_logs_integration_id_created_at_idx on public.sync_logs (integration_id, created_at desc);
create index sync_logs_requested_by_idx on public.sync_logs (requested_by);
create index sync_logs_finished_at_idx on public.sync_logs (finished_at);
alter table public.sync_logs enable row level security;
create policy "members read their organization's sync logs"
  on public.sync_logs for select to authenticated
  using (organization_id = any ((select private.organization_ids('viewer'))::uuid[]));
grant select on public.sync_logs to authenticated, service_role;

-- The work itself: a row is its own job. It leaves the table when its run ends, so the table stays small.
-- A worker holds a run by its lease; whoever holds an older lease_token can no longer write.
create table private.sync_runs (
  sync_log_id uuid primary key references public.sync_logs (id) on delete cascade,
  organization_id uuid not null,
  integration_id uuid not null,
  stream text not null,
  status text not null default 'queued',
  run_at timestamptz not null default now(),
  attempt_count int not null default 0, -- claims since the last committed page
  lease_token uuid,
  leased_at timestamptz,
  lease_expires_at timestamptz,
  progress jsonb not null default '{}', -- the engine's place in the run: _shared/sync/progress.ts
  last_error jsonb, -- why it was given back the last time
  allow_mass_delete boolean not null default false,
  constraint sync_runs_status_is_known check (status in ('queued', 'running')),
  -- longer than the longest slice (100 s) with its last call, so that a living worker keeps its run
  constraint sync_runs_lease_outlives_a_call check (lease_token is null or lease_expires_at >= leased_at + interval '150 seconds'),
  constraint sync_runs_lease_belongs_to_running check (status = 'running' or lease_token is null)
);
-- one run of a stream at a time, and at most one waiting behind it
create unique index sync_runs_one_running_idx on private.sync_runs (integration_id, stream) where status = 'running';
create unique index sync_runs_one_queued_idx on private.sync_runs (integration_id, stream) where status = 'queued';
create index sync_runs_run_at_idx on private.sync_runs (run_at);
alter table private.sync_runs enable row level security;

-- What a full run has seen so far, as 64-bit hashes of source ids, one row a write. Unlogged: it costs
-- no WAL, and a run that finds it emptied by a database crash starts its scan again.
create unlogged table private.sync_seen (
  sync_log_id uuid not null,
  batch_number int not null,
  source_id_hashes bigint[] not null,
  primary key (sync_log_id, batch_number)
);
alter table private.sync_seen enable row level security;
alter table private.sync_seen alter column source_id_hashes set storage external;

-- Where paging by number may skip a record without it being gone, only what two full runs in a row
-- missed is deleted: these are the records the last one missed.
create table private.sync_absences (
  integration_id uuid not null references public.integrations (id) on delete cascade,
  stream text not null,
  source_id text not null,
  sync_log_id uuid not null,
  primary key (integration_id, stream, source_id)
);
alter table private.sync_absences enable row level security;

create table public.sync_errors (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null,
  integration_id uuid not null,
  stream text not null,
  source_id text, -- null: the record did not even say its id
  source_key text not null, -- source_id, or a hash of the payload
  sync_log_id uuid references public.sync_logs (id) on delete set null,
  payload jsonb not null, -- the record as the platform sent it; a manager may repair it and replay
  code text not null,
  message text not null,
  issues jsonb not null default '[]', -- [{ path, message }]
  attempt_count int not null default 1,
  created_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now(), -- when this payload was last read at the platform
  resolved_at timestamptz,
  resolution text,
  foreign key (integration_id, organization_id) references public.integrations (id, organization_id) on delete cascade,
  constraint sync_errors_resolution_is_known check (resolution in ('synced', 'replayed', 'gone', 'dismissed')),
  constraint sync_errors_resolved_error_says_how check ((resolved_at is null) = (resolution is null))
);
comment on table public.sync_errors is 'Records a sync refused, with their payload: repairable, and replayed after a fix.';
create unique index sync_errors_one_open_idx on public.sync_errors (integration_id, stream, source_key) where resolved_at is null;
create index sync_errors_organization_id_created_at_idx on public.sync_errors (organization_id, created_at desc);
create index sync_errors_integration_id_idx on public.sync_errors (integration_id, organization_id);
create index sync_errors_sync_log_id_idx on public.sync_errors (sync_log_id);
alter table public.sync_errors enable row level security;
create policy "members read their organization's sync errors"
  on public.sync_errors for select to authenticated
  using (organization_id = any ((select private.organization_ids('member'))::uuid[]));
create policy "managers repair and dismiss their organization's sync errors"
  on public.sync_errors for update to authenticated
  using (organization_id = any ((select private.organization_ids('manager'))::uuid[]))
  with check (organization_id = any ((select private.organization_ids('manager'))::uuid[]));
grant select, update (payload, resolved_at, resolution) on public.sync_errors to authenticated;
grant select on public.sync_errors to service_role;

-- Makes the rows for the streams a connector offers; keeps those that are there.
create function private.ensure_streams(integration_id uuid)
returns void
language sql
set search_path = ''
as $$
  insert into public.sync_streams (integration_id, organization_id, stream, direction, next_sync_at)
  select integration.id, integration.organization_id, stream.entry ->> 'name', stream.entry ->> 'direction', now()
  from public.integrations as integration
  join public.connectors as connector on connector.slug = integration.connector
  cross join jsonb_array_elements(connector.streams) as stream (entry)
  where integration.id = ensure_streams.integration_id
  on conflict do nothing;
$$;

-- Asks for a run of one stream, and answers the log of the run that will do it. A run that is already
-- queued serves everyone who asks; one that is running serves too, unless more is asked of it.
-- mode null: by hand everything; by schedule what changed, with a full run when one is due.
create function public.start_sync(
  p_integration_id uuid, p_stream text, p_sync_type text, p_mode text default null,
  p_allow_mass_delete boolean default false, p_requested_by uuid default null, p_wake boolean default true
)
returns public.sync_logs
language plpgsql
security definer
set search_path = ''
as $$
declare
  integration public.integrations;
  stream public.sync_streams;
  chosen_mode text;
  open_run record;
  log public.sync_logs;
begin
  select * into integration from public.integrations where id = p_integration_id;
  if not found then
    perform private.refuse('integration_not_found');
  end if;
  if integration.status in ('disconnected', 'pending') then
    perform private.refuse('integration_disconnected', format('%s is not connected: connect the account first.', integration.name));
  elsif integration.status = 'paused' then
    perform private.refuse('integration_paused', format('%s is paused: resume it first.', integration.name));
  end if;
  -- the lock makes two callers take turns, so that both get the same run
  select * into stream from public.sync_streams
  where integration_id = p_integration_id and sync_streams.stream = p_stream for update;
  if not found then
    perform private.refuse('stream_not_found', format('%s has no stream %s.', integration.name, p_stream));
  end if;

  chosen_mode := case
    when stream.cursor is null then 'full'
    when p_mode is not null then p_mode
    when p_sync_type = 'manual' then 'full'
    when stream.last_full_sync_at is null
      or stream.last_full_sync_at < now() - make_interval(mins => stream.full_sync_interval_minutes) then 'full'
    else 'incremental'
  end;
  if not exists (
    select 1 from public.connectors as connector, jsonb_array_elements(connector.streams) as entry
    where connector.slug = integration.connector and entry ->> 'name' = p_stream and (entry ->> 'incremental')::boolean
  ) then
    chosen_mode := 'full';
  end if;

  for open_run in
    select run.sync_log_id, run.status, run.allow_mass_delete, open_log.mode
    from private.sync_runs as run
    join public.sync_logs as open_log on open_log.id = run.sync_log_id
    where run.integration_id = p_integration_id and run.stream = p_stream
    order by run.status desc -- the running one first
  loop
    if open_run.status = 'queued' then
      update private.sync_runs set run_at = least(run_at, now()), allow_mass_delete = allow_mass_delete or p_allow_mass_delete
      where sync_log_id = open_run.sync_log_id and status = 'queued';
      if not found then
        open_run.status := 'running'; -- a worker took it up meanwhile
      end if;
    end if;
    if open_run.status = 'queued' then
      update public.sync_logs set
        mode = case when chosen_mode = 'full' then 'full' else mode end,
        requested_by = coalesce(requested_by, p_requested_by)
      where id = open_run.sync_log_id
      returning * into log;
    elsif (chosen_mode = 'incremental' or open_run.mode = 'full') and (open_run.allow_mass_delete or not p_allow_mass_delete) then
      select * into log from public.sync_logs where id = open_run.sync_log_id;
    else
      continue;
    end if;
    if p_wake then
      perform private.wake_worker('sync');
    end if;
    return log;
  end loop;

  insert into public.sync_logs (organization_id, integration_id, stream, sync_type, mode, requested_by)
  values (integration.organization_id, p_integration_id, p_stream, p_sync_type, chosen_mode, p_requested_by)
  returning * into log;
  insert into private.sync_runs (sync_log_id, organization_id, integration_id, stream, allow_mass_delete)
  values (log.id, integration.organization_id, p_integration_id, p_stream, p_allow_mass_delete);
  if p_wake then
    perform private.wake_worker('sync');
  end if;
  return log;
end;
$$;
grant execute on function public.start_sync(uuid, text, text, text, boolean, uuid, boolean) to service_role;

create function public.read_sync_log(p_sync_log_id uuid)
returns public.sync_logs
language sql
stable
security definer
set search_path = ''
as $$
  select log.* from public.sync_logs as log where log.id = p_sync_log_id;
$$;
grant execute on function public.read_sync_log(uuid) to service_role;

-- Hands out one due run under a new lease, with all the engine needs to go on with it, or null.
-- Due is what is queued and not held back by a running run of the same stream, and what is running
-- under a lease that ran out. p_sync_log_id asks for that run only.
create function public.claim_sync_run(p_sync_log_id uuid default null, p_lease_seconds int default 180)
returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  run private.sync_runs;
  log public.sync_logs;
begin
  update private.sync_runs as claimed set
    status = 'running',
    attempt_count = claimed.attempt_count + 1,
    lease_token = gen_random_uuid(),
    leased_at = clock_timestamp(),
    lease_expires_at = clock_timestamp() + make_interval(secs => p_lease_seconds)
  where claimed.sync_log_id = any (array(
    select due.sync_log_id
    from private.sync_runs as due
    where (p_sync_log_id is null or due.sync_log_id = p_sync_log_id)
      and due.run_at <= clock_timestamp()
      and (due.status = 'running' and coalesce(due.lease_expires_at, '-infinity') <= clock_timestamp()
        or due.status = 'queued' and not exists (
          select 1 from private.sync_runs as ahead
          where ahead.integration_id = due.integration_id and ahead.stream = due.stream and ahead.status = 'running'
        ))
    order by due.run_at
    limit 1
    for update skip locked
  ))
  returning * into run;
  if not found then
    return null;
  end if;

  update public.sync_logs set
    status = 'running', started_at = coalesce(started_at, now()), attempt_count = sync_logs.attempt_count + 1
  where id = run.sync_log_id
  returning * into log;

  -- asked for at the very moment the account was disconnected
  if exists (select 1 from public.integrations where id = run.integration_id and status = 'disconnected') then
    perform private.end_open_runs(run.integration_id, 'integration_disconnected',
      'The account was disconnected while this run was open.');
    return null;
  end if;
  -- five tries without a page written: the sixth would end the same way
  if run.attempt_count > 5 then
    perform public.finish_sync_run(run.sync_log_id, run.lease_token, 'failed', coalesce(run.last_error, jsonb_build_object(
      'code', 'worker_died', 'next', 'developer',
      'message', 'The worker stopped five times at the same place in this run; its logs say why.')));
    return null;
  end if;

  return public.open_integration(run.integration_id) || jsonb_build_object(
    'sync_log_id', run.sync_log_id,
    'lease_token', run.lease_token,
    'stream', run.stream,
    'mode', log.mode,
    'progress', run.progress,
    'allow_mass_delete', run.allow_mass_delete,
    'has_rows', private.stream_has_rows(run.integration_id, run.stream),
    'since', (select streams.cursor ->> 'since' from public.sync_streams as streams
      where streams.integration_id = run.integration_id and streams.stream = run.stream),
    'batch_size', (select streams.batch_size from public.sync_streams as streams
      where streams.integration_id = run.integration_id and streams.stream = run.stream)
  );
end;
$$;
grant execute on function public.claim_sync_run(uuid, int) to service_role;

-- Locks the run for this transaction and proves the lease; every write of a run begins with it.
create function private.hold_sync_run(sync_log_id uuid, lease_token uuid)
returns private.sync_runs
language plpgsql
set search_path = ''
as $$
declare
  run private.sync_runs;
begin
  select * into run from private.sync_runs as held
  where held.sync_log_id = hold_sync_run.sync_log_id and held.lease_token = hold_sync_run.lease_token
  for update;
  if not found then
    perform private.refuse('lease_lost', 'Another worker has taken over this run, or it was ended.');
  end if;
  return run;
end;
$$;

-- Gives a run back before it is finished: due again after p_pause_ms, at the place last committed.
-- p_error says why, should it come to nothing.
create function public.release_sync_run(
  p_sync_log_id uuid, p_lease_token uuid, p_pause_ms int default 0, p_error jsonb default null
)
returns void
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform private.hold_sync_run(p_sync_log_id, p_lease_token);
  update private.sync_runs set
    lease_token = null, leased_at = null, lease_expires_at = null, last_error = p_error,
    run_at = now() + make_interval(secs => p_pause_ms / 1000.0)
  where sync_log_id = p_sync_log_id;
  if p_pause_ms = 0 then
    perform private.wake_worker('sync');
  end if;
end;
$$;
grant execute on function public.release_sync_run(uuid, uuid, int, jsonb) to service_role;

-- Starts a run's reading over: its place at the platform is no longer known, or what it saw was lost.
create function public.restart_sync_run(p_sync_log_id uuid, p_lease_token uuid)
returns void
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform private.hold_sync_run(p_sync_log_id, p_lease_token);
  update private.sync_runs set progress = '{}' where sync_log_id = p_sync_log_id;
  delete from private.sync_seen where sync_log_id = p_sync_log_id;
end;
$$;
grant execute on function public.restart_sync_run(uuid, uuid) to service_role;

-- How long to wait after the n-th failure in a row before the schedule tries again.
create function private.failure_pause(failure_count int)
returns interval
language sql
immutable
set search_path = ''
as $$
  select (array['1 minute', '5 minutes', '15 minutes', '1 hour', '4 hours', '1 day']::interval[])[least(failure_count, 6)];
$$;

-- Ends a run; a success with refused records is partial. Success and partial move the stream's cursor and clear the integration's failures; the
-- third failure in a row, or one that only the owner can mend, puts the integration into error.
create function public.finish_sync_run(p_sync_log_id uuid, p_lease_token uuid, p_status text, p_error jsonb default null)
returns public.sync_logs
language plpgsql
security definer
set search_path = ''
as $$
declare
  run private.sync_runs := private.hold_sync_run(p_sync_log_id, p_lease_token);
  log public.sync_logs;
  integration public.integrations;
begin
  update public.sync_logs set
    status = case when p_status = 'success' and error_count > 0 then 'partial' else p_status end,
    error = case
      when p_status = 'success' and error_count > 0 then jsonb_build_object('code', 'invalid_record', 'next', 'developer',
        'message', format('%s records were refused and are kept in sync_errors: repair and replay them.', error_count))
      else p_error
    end,
    finished_at = clock_timestamp()
  where id = p_sync_log_id
  returning * into log;
  delete from private.sync_runs where sync_log_id = p_sync_log_id;
  delete from private.sync_seen where sync_log_id = p_sync_log_id;

  if p_status = 'failed' then
    update public.integrations as held set
      consecutive_failures = held.consecutive_failures + 1,
      last_error = p_error,
      status = case
        when held.status = 'connected' and (held.consecutive_failures + 1 >= 3 or p_error ->> 'next' = 'owner') then 'error'
        else held.status
      end
    where held.id = run.integration_id
    returning * into integration;
    update public.sync_streams set
      next_sync_at = now() + greatest(private.failure_pause(integration.consecutive_failures),
        case when p_error ->> 'next' = 'owner' then interval '1 hour' else interval '0' end)
    where integration_id = run.integration_id and stream = run.stream;
  else
    update public.integrations as held set
      consecutive_failures = 0, last_synced_at = log.finished_at, last_error = log.error,
      status = case when held.status = 'error' then 'connected' else held.status end
    where held.id = run.integration_id
    returning * into integration;
    -- what this full run saw again, the one before had only skipped
    if log.mode = 'full' then
      delete from private.sync_absences as missed
      where missed.integration_id = run.integration_id and missed.stream = run.stream and missed.sync_log_id <> p_sync_log_id;
    end if;
    update public.sync_streams set
      -- never ahead of our own clock: one record dated in the future would hide every later change
      cursor = jsonb_build_object('since', case
        when run.progress ->> 'watermark' is null then (cursor ->> 'since')::timestamptz
        else least((run.progress ->> 'watermark')::timestamptz, log.started_at)
      end),
      last_full_sync_at = case when log.mode = 'full' then log.started_at else last_full_sync_at end,
      next_sync_at = now() + make_interval(mins => integration.sync_interval_minutes)
    where integration_id = run.integration_id and stream = run.stream;
  end if;

  -- someone may be waiting behind this run
  if exists (
    select 1 from private.sync_runs as behind
    where behind.integration_id = run.integration_id and behind.stream = run.stream and behind.run_at <= now()
  ) then
    perform private.wake_worker('sync');
  end if;

  perform private.record_activity(run.organization_id, 'sync.' || case p_status when 'failed' then 'failed' else 'completed' end,
    'sync_log', log.id::text,
    jsonb_strip_nulls(jsonb_build_object('integration_id', log.integration_id, 'stream', log.stream, 'mode', log.mode,
      'fetched', log.fetched_count, 'created', log.created_count, 'updated', log.updated_count,
      'unchanged', log.unchanged_count, 'deleted', log.deleted_count, 'errors', log.error_count, 'error', log.error)),
    case log.status when 'failed' then 'failure' else log.status end, log.requested_by);
  return log;
end;
$$;
grant execute on function public.finish_sync_run(uuid, uuid, text, jsonb) to service_role;

-- Ends every open run of an integration as failed; a worker that holds one finds its lease lost.
create function private.end_open_runs(integration_id uuid, code text, message text)
returns void
language sql
set search_path = ''
as $$
  with ended as (
    delete from private.sync_runs as run where run.integration_id = end_open_runs.integration_id
    returning run.sync_log_id
  ), forgotten as (
    delete from private.sync_seen where sync_log_id in (select sync_log_id from ended)
  )
  update public.sync_logs as log set
    status = 'failed', finished_at = clock_timestamp(), started_at = coalesce(log.started_at, clock_timestamp()),
    error = jsonb_build_object('code', end_open_runs.code, 'message', end_open_runs.message, 'next', 'owner')
  from ended
  where log.id = ended.sync_log_id;
$$;
