-- A run from being asked for to its end: start, claim, release, restart, finish.

-- Makes the rows for the streams a connector offers, or for those of them that are named; those that are
-- there are due now. One that the account no longer has is kept, and synced no more. push_columns: { stream: [column, …] },
-- what this account lets us write; a stream that is not in it is only read from now on.
create function private.ensure_streams(integration_id uuid, streams text[] default null, push_columns jsonb default '{}')
returns void
language sql
set search_path = ''
as $$
  insert into public.sync_streams as held (integration_id, organization_id, stream, direction, push_columns, next_sync_at)
  select integration.id, integration.organization_id, stream.entry ->> 'name',
    case stream.entry ->> 'direction' when 'push' then 'push' else 'pull' end,
    (select array_agg(pushed.name) from jsonb_array_elements_text(ensure_streams.push_columns -> (stream.entry ->> 'name')) as pushed (name)),
    now()
  from public.integrations as integration
  join public.connectors as connector on connector.slug = integration.connector
  cross join jsonb_array_elements(connector.streams) as stream (entry)
  where integration.id = ensure_streams.integration_id
    and (ensure_streams.streams is null or stream.entry ->> 'name' = any (ensure_streams.streams))
  on conflict (integration_id, stream) do update set
    next_sync_at = now(), offered = true, push_columns = excluded.push_columns,
    direction = case when excluded.push_columns is null then excluded.direction else held.direction end;
  update public.sync_streams as stream set offered = false
  where stream.integration_id = ensure_streams.integration_id
    and ensure_streams.streams is not null and not stream.stream = any (ensure_streams.streams);
$$;

-- Asks for a run of one stream, and answers the log of the run that will do it. A run that is already
-- queued serves everyone who asks; one that is running serves too, unless more is asked of it, or a push: it may have
-- passed the change by. mode null: by hand everything; by schedule what changed, with a full run when one is due. A
-- push asked for by hand tries again what the platform refused.
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
  modes text[] := array['push', 'incremental', 'full']; -- each does what the ones before it do
  chosen_mode text;
  open_run record;
  log public.sync_logs;
begin
  select * into integration from public.integrations where id = p_integration_id;
  if not found then
    perform private.refuse('integration_not_found');
  end if;
  perform private.require_connected(integration);
  -- the lock makes two callers take turns, so that both get the same run
  select * into stream from public.sync_streams
  where integration_id = p_integration_id and sync_streams.stream = p_stream for update;
  if not found then
    perform private.refuse('stream_not_found', format('%s has no stream %s.', integration.name, p_stream));
  end if;

  if p_mode = 'push' and not stream.pushes then
    perform private.refuse('stream_not_pushed', format('%s is not set to push its stream %s.', integration.name, p_stream));
  end if;

  chosen_mode := case
    when stream.direction = 'push' or p_mode = 'push' then 'push'
    when stream.cursor is null then 'full'
    when p_mode is not null then p_mode
    when p_sync_type = 'manual' then 'full'
    when stream.last_full_sync_at is null
      or stream.last_full_sync_at < now() - make_interval(mins => stream.full_sync_interval_minutes) then 'full'
    else 'incremental'
  end;
  if chosen_mode = 'incremental' and not exists (
    select 1 from public.connectors as connector, jsonb_array_elements(connector.streams) as entry
    where connector.slug = integration.connector and entry ->> 'name' = p_stream and (entry ->> 'incremental')::boolean
  ) then
    chosen_mode := 'full';
  end if;
  if chosen_mode = 'push' and p_sync_type = 'manual' then
    perform private.retry_refused_changes(p_integration_id, p_stream);
  end if;

  loop
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
          mode = modes[greatest(array_position(modes, mode), array_position(modes, chosen_mode))],
          -- what only a change had asked for is now what this caller asks for
          sync_type = case when mode = 'push' and chosen_mode <> 'push' then p_sync_type else sync_type end,
          requested_by = coalesce(requested_by, p_requested_by)
        where id = open_run.sync_log_id
        returning * into log;
      -- one under way may have read past the record that a webhook tells of
      elsif p_sync_type <> 'webhook' and chosen_mode <> 'push'
        and array_position(modes, open_run.mode) >= array_position(modes, chosen_mode)
        and (open_run.allow_mass_delete or not p_allow_mass_delete) then
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
    values (log.id, integration.organization_id, p_integration_id, p_stream, p_allow_mass_delete)
    on conflict do nothing;
    exit when found;
    -- a change that was committed just now has queued one: it serves this caller too
    delete from public.sync_logs as unused where unused.id = log.id;
  end loop;
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
-- under a lease that ran out. p_sync_log_id asks for that run only. A claim whose answer was lost is
-- answered again for the same p_lease_token.
create function public.claim_sync_run(
  p_sync_log_id uuid default null, p_lease_token uuid default gen_random_uuid(), p_lease_seconds int default 180
)
returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  run private.sync_runs;
  held_status text;
begin
  select * into run from private.sync_runs where lease_token = p_lease_token;
  if found then
    return private.describe_run(run);
  end if;
  update private.sync_runs as claimed set
    status = 'running',
    attempt_count = claimed.attempt_count + 1,
    lease_token = p_lease_token,
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

  update public.sync_logs as log set
    status = 'running', started_at = coalesce(log.started_at, now()), attempt_count = log.attempt_count + 1,
    error = null, -- why it was given back is over
    mode = case stream.direction when 'push' then 'push' else log.mode end -- it may have been set to push only since
  from public.sync_streams as stream
  where log.id = run.sync_log_id and stream.integration_id = log.integration_id and stream.stream = log.stream;

  -- asked for at the very moment the integration was disconnected or paused
  select integration.status into held_status from public.integrations as integration where integration.id = run.integration_id;
  if held_status in ('disconnected', 'paused', 'needs_reconnect') then
    perform private.end_open_runs(run.integration_id,
      case held_status when 'needs_reconnect' then 'reconnect_required' else 'integration_' || held_status end,
      case held_status
        when 'needs_reconnect' then 'The owner has to sign in again before this run can go on.'
        else format('The integration was %s while this run was open.', held_status)
      end);
    return null;
  end if;
  -- five tries at the same place: the sixth would end the same way
  if run.attempt_count > 5 then
    perform public.finish_sync_run(run.sync_log_id, run.lease_token, 'failed', coalesce(run.last_error, jsonb_build_object(
      'code', 'worker_died', 'next', 'developer',
      'message', 'The worker stopped five times at the same place in this run; its logs say why.')));
    return null;
  end if;

  -- a worker works on one run at a time: where more are due, one worker calls the next
  if public.next_sync_run_at() <= clock_timestamp()
    and (select count(*) from private.sync_runs where lease_expires_at > clock_timestamp()) < 8 then
    perform private.wake_worker('sync');
  end if;
  return private.describe_run(run);
end;
$$;
grant execute on function public.claim_sync_run(uuid, uuid, int) to service_role;

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
  -- whoever watches the run sees what it waits for
  update public.sync_logs set error = p_error where id = p_sync_log_id and p_error is not null;
  if p_pause_ms = 0 then
    perform private.wake_worker('sync');
  end if;
end;
$$;
grant execute on function public.release_sync_run(uuid, uuid, int, jsonb) to service_role;

-- Starts a run's reading over: its place at the platform is no longer known, or what it saw was lost.
-- Three times at most: a platform that forgets every place would be read for ever. p_full: as a full run,
-- because the place of the run before is what the platform forgot.
create function public.restart_sync_run(p_sync_log_id uuid, p_lease_token uuid, p_full boolean default false)
returns void
language plpgsql
security definer
set search_path = ''
as $$
declare
  run private.sync_runs := private.hold_sync_run(p_sync_log_id, p_lease_token);
begin
  if run.restart_count >= 3 then
    perform private.refuse('provider_cursor_expired', 'The list had to be read from the start again three times.');
  end if;
  update private.sync_runs set progress = '{}', restart_count = run.restart_count + 1 where sync_log_id = p_sync_log_id;
  update public.sync_logs set fetched_count = 0, unchanged_count = 0, error_count = 0, -- what was pushed and decided stays so
    mode = case when p_full then 'full' else mode end
  where id = p_sync_log_id;
  delete from private.sync_seen where sync_log_id = p_sync_log_id;
end;
$$;
grant execute on function public.restart_sync_run(uuid, uuid, boolean) to service_role;

-- How long to wait after the n-th failure in a row before the schedule tries again.
create function private.failure_pause(failure_count int)
returns interval
language sql
immutable
set search_path = ''
as $$
  select (array['1 minute', '5 minutes', '15 minutes', '1 hour', '4 hours', '1 day']::interval[])[least(failure_count, 6)];
$$;

-- Beginnings of the ids that a complete scan has read in full. Null: it read all of them.
create function private.covered_ids(progress jsonb)
returns text[]
language sql
immutable
set search_path = ''
as $$
  select case when jsonb_typeof(progress -> 'covers') = 'array' then
    array(select jsonb_array_elements_text(progress -> 'covers'))
  end;
$$;

-- Tells how a run ended.
create function private.emit_sync_event(log public.sync_logs)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform private.emit_event(log.organization_id,
    case
      when log.status = 'failed' then 'sync.failed'
      when log.error ->> 'code' = 'mass_delete_held' then 'sync.held'
      else 'sync.completed'
    end,
    jsonb_build_object('sync_log_id', log.id, 'integration_id', log.integration_id, 'stream', log.stream,
      'sync_type', log.sync_type, 'mode', log.mode, 'status', log.status, 'fetched_count', log.fetched_count,
      'created_count', log.created_count, 'updated_count', log.updated_count, 'unchanged_count', log.unchanged_count,
      'deleted_count', log.deleted_count, 'error_count', log.error_count, 'pushed_count', log.pushed_count,
      'conflict_count', log.conflict_count, 'failed_count', log.failed_count, 'error', log.error),
    'integration/' || log.integration_id);
end;
$$;

-- What a person should look at after a run that came to its end; null: nothing.
create function private.describe_refusals(log public.sync_logs)
returns jsonb
language sql
immutable
set search_path = ''
as $$
  select case
    when (describe_refusals.log).error_count > 0 then jsonb_build_object('code', 'invalid_record', 'next', 'developer',
      'message', format(
        case (describe_refusals.log).error_count when 1 then '%s record was refused and is' else '%s records were refused and are' end
        || ' kept in sync_errors: repair and replay.', (describe_refusals.log).error_count))
    when (describe_refusals.log).failed_count > 0 then jsonb_build_object('code', 'push_refused', 'next', 'owner',
      'message', format(
        case (describe_refusals.log).failed_count when 1 then '%s change was' else '%s changes were' end
        || ' refused by the platform, and sync_errors says why: change the record, or push by hand to try again.',
        (describe_refusals.log).failed_count))
  end;
$$;

-- Ends a run; a success with refusals is partial. Success and partial move the stream's cursor, unless the run only
-- pushed, and clear the integration's failures; the third failure in a row, or one that only the owner can mend, puts
-- the integration into error. Changes that wait for another try have a run queued for when it is due.
create function public.finish_sync_run(p_sync_log_id uuid, p_lease_token uuid, p_status text, p_error jsonb default null)
returns public.sync_logs
language plpgsql
security definer
set search_path = ''
as $$
declare
  run private.sync_runs := private.hold_sync_run(p_sync_log_id, p_lease_token);
  covers text[] := private.covered_ids(run.progress);
  log public.sync_logs;
  refusals jsonb;
  integration public.integrations;
  is_proof boolean;
begin
  select * into log from public.sync_logs where id = p_sync_log_id;
  if p_status = 'success' then
    refusals := private.describe_refusals(log);
  end if;
  update public.sync_logs set
    status = case when refusals is null then p_status else 'partial' end,
    error = coalesce(refusals, p_error),
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
    where integration_id = run.integration_id and stream = run.stream and log.mode <> 'push';
  else
    is_proof := log.mode <> 'push' or log.pushed_count > 0;
    update public.integrations as held set
      -- a push that sent nothing has not found out whether the account works again
      consecutive_failures = case when is_proof then 0 else held.consecutive_failures end,
      last_error = case when is_proof then log.error else held.last_error end,
      status = case when is_proof and held.status = 'error' then 'connected' else held.status end,
      last_synced_at = case when log.mode = 'push' then held.last_synced_at else log.finished_at end
    where held.id = run.integration_id
    returning * into integration;
    -- what this full run saw again, the one before had only skipped
    if log.mode = 'full' then
      delete from private.sync_absences as missed
      where missed.integration_id = run.integration_id and missed.stream = run.stream and missed.sync_log_id <> p_sync_log_id;
    end if;
    update public.sync_streams set
      -- never ahead of our own clock: one record dated in the future would hide every later change
      cursor = jsonb_build_object(
        'since', case
          when run.progress ->> 'watermark' is null then (cursor ->> 'since')::timestamptz
          else least((run.progress ->> 'watermark')::timestamptz, log.started_at)
        end,
        'bookmark', coalesce(nullif(run.progress -> 'new_bookmark', 'null'), cursor -> 'bookmark')),
      last_full_sync_at = case when log.mode = 'full' then log.started_at else last_full_sync_at end,
      next_sync_at = now() + make_interval(mins => integration.sync_interval_minutes)
    where integration_id = run.integration_id and stream = run.stream and log.mode <> 'push';
  end if;

  -- a complete scan says of a refused record too whether it is still there
  if p_status = 'success' and log.mode = 'full' then
    update public.sync_errors as refused set resolved_at = now(), resolution = 'gone'
    where refused.integration_id = run.integration_id and refused.stream = run.stream and refused.direction = 'pull'
      and refused.resolved_at is null and refused.last_seen_at < log.started_at
      and (covers is null or refused.source_id ^@ any (covers));
  end if;

  perform private.ask_for_next_push(run.integration_id, run.stream, case when p_status = 'failed' then
    greatest(private.failure_pause(integration.consecutive_failures),
      case when p_error ->> 'next' = 'owner' then interval '1 hour' else interval '0' end) end);
  -- someone may have waited behind this run
  if public.next_sync_run_at() <= clock_timestamp() then
    perform private.wake_worker('sync');
  end if;

  perform private.emit_sync_event(log);
  perform private.record_activity(run.organization_id, 'sync.' || case p_status when 'failed' then 'failed' else 'completed' end,
    'sync_log', log.id::text,
    jsonb_strip_nulls(jsonb_build_object('integration_id', log.integration_id, 'stream', log.stream, 'mode', log.mode,
      'fetched', log.fetched_count, 'created', log.created_count, 'updated', log.updated_count,
      'unchanged', log.unchanged_count, 'deleted', log.deleted_count, 'errors', log.error_count, 'pushed', log.pushed_count,
      'conflicts', log.conflict_count, 'failed', log.failed_count, 'error', log.error)),
    case log.status when 'failed' then 'failure' else log.status end, log.requested_by,
    case log.sync_type when 'manual' then 'service' else 'system' end);
  return log;
end;
$$;
grant execute on function public.finish_sync_run(uuid, uuid, text, jsonb) to service_role;

-- Ends every open run of an integration as failed; a worker that holds one finds its lease lost.
create function private.end_open_runs(integration_id uuid, code text, message text)
returns void
language plpgsql
set search_path = ''
as $$
declare
  log public.sync_logs;
begin
  for log in
    with ended as (
      delete from private.sync_runs as run where run.integration_id = end_open_runs.integration_id
      returning run.sync_log_id
    ), forgotten as (
      delete from private.sync_seen where sync_log_id in (select sync_log_id from ended)
    )
    update public.sync_logs as ending set
      status = 'failed', finished_at = clock_timestamp(), started_at = coalesce(ending.started_at, clock_timestamp()),
      error = jsonb_build_object('code', end_open_runs.code, 'message', end_open_runs.message, 'next', 'owner')
    from ended
    where ending.id = ended.sync_log_id
    returning ending.*
  loop
    perform private.emit_sync_event(log);
  end loop;
end;
$$;
