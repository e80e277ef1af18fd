-- What a run writes: batches, absences, refused records and their replay.

-- All an engine needs to go on with a run: _shared/sync/claimed-run.ts.
create function private.describe_run(run private.sync_runs)
returns jsonb
language sql
stable
set search_path = ''
as $$
  select public.open_integration(run.integration_id) || jsonb_build_object(
    'sync_log_id', run.sync_log_id,
    'lease_token', run.lease_token,
    'stream', run.stream,
    'mode', log.mode,
    'progress', run.progress,
    'has_rows', private.stream_has_rows(run.integration_id, run.stream),
    'since', stream.cursor ->> 'since',
    'bookmark', stream.cursor -> 'bookmark',
    'batch_size', stream.batch_size,
    'direction', stream.direction,
    'push_batch_size', stream.push_batch_size
  )
  from public.sync_logs as log
  join public.sync_streams as stream on stream.integration_id = log.integration_id and stream.stream = log.stream
  where log.id = run.sync_log_id;
$$;

-- Commits one batch of a run: rows, counts, refused records, what was seen, and the place to go on
-- from, together. The lease is extended. Two ways to call it:
--   * p_records null asks first: nothing is written and { differing: [positions from 0] } says which of
--     p_source_ids are new here, changed, or held as deleted – unless there is nothing to write, which commits;
--   * p_records given commits, with only the records that differ in it.
-- p_source_ids and p_content_hashes describe all accepted records of the batch, p_refused the others.
-- p_progress.batch_count numbers the batches of a run: a number already committed is not written again.
create function public.write_sync_page(
  p_sync_log_id uuid, p_lease_token uuid, p_source_ids text[], p_content_hashes text[], p_progress jsonb,
  p_fetched int, p_records jsonb default null, p_deletions jsonb default '[]', p_refused jsonb default '[]',
  p_lease_seconds int default 180
)
returns jsonb
language plpgsql
security definer
set search_path = ''
set statement_timeout = '60s'
as $$
declare
  run private.sync_runs := private.hold_sync_run(p_sync_log_id, p_lease_token);
  differing jsonb;
  merged jsonb := jsonb_build_object('created', 0, 'updated', 0, 'deleted', 0);
begin
  -- the answer to this very batch was lost on its way, and the worker sends it again
  if (p_progress ->> 'batch_count')::int <= coalesce((run.progress ->> 'batch_count')::int, 0) then
    return jsonb_build_object('committed', true) || merged;
  end if;
  if p_records is null then
    execute format($sql$
      select coalesce(jsonb_agg(page.position - 1), '[]')
      from unnest($2, $3) with ordinality as page (source_id, content_hash, position)
      -- "offset 0" makes it one index look-up a record: the planner would rather read a whole smaller table
      left join lateral (
        select * from %s as held where held.integration_id = $1 and held.source_id = page.source_id offset 0
      ) as held on true
      where held.content_hash is distinct from page.content_hash
        -- still listed, though the platform says since when it is gone: nothing new
        or held.deleted_at is not null and (held.source_deleted_at >= held.source_updated_at) is not true
      $sql$, private.stream_table(run.stream))
    into differing
    using run.integration_id, p_source_ids, p_content_hashes;
    if differing <> '[]' then
      return jsonb_build_object('committed', false, 'differing', differing);
    end if;
  end if;

  if p_records is not null or p_deletions <> '[]' then
    merged := private.merge_records(run.integration_id, run.stream, coalesce(p_records, '[]'), p_deletions, run.sync_log_id);
  end if;
  if p_refused <> '[]' then
    perform private.keep_refused(run.sync_log_id, run.organization_id, run.integration_id, run.stream, p_refused);
  end if;
  perform private.resolve_errors(run.integration_id, run.stream, p_source_ids, 'synced');

  insert into private.sync_seen (sync_log_id, batch_number, source_id_hashes)
  select p_sync_log_id, (p_progress ->> 'batch_count')::int,
    array(select hashtextextended(seen.source_id, 0) from unnest(p_source_ids) as seen (source_id)
      union all
      select hashtextextended(refused ->> 'source_id', 0) from jsonb_array_elements(p_refused) as refused
      where refused ->> 'source_id' is not null)
  where p_progress ->> 'scanning' = 'true';

  update public.sync_logs set
    fetched_count = fetched_count + p_fetched,
    created_count = created_count + (merged ->> 'created')::int,
    updated_count = updated_count + (merged ->> 'updated')::int,
    deleted_count = deleted_count + (merged ->> 'deleted')::int,
    unchanged_count = unchanged_count + coalesce(array_length(p_source_ids, 1), 0)
      - (merged ->> 'created')::int - (merged ->> 'updated')::int,
    error_count = error_count + jsonb_array_length(p_refused)
  where id = p_sync_log_id;
  -- read again between two full runs, so not missed twice in a row
  delete from private.sync_absences as missed
  where missed.integration_id = run.integration_id and missed.stream = run.stream
    and missed.source_id = any (p_source_ids) and p_progress ->> 'scanning' is distinct from 'true';
  update private.sync_runs set
    progress = p_progress, leased_at = clock_timestamp(),
    lease_expires_at = clock_timestamp() + make_interval(secs => p_lease_seconds),
    -- a part of a page is no step ahead: the next worker would begin with the same page
    attempt_count = case
      when (p_progress -> 'cursor', p_progress -> 'phase') is distinct from (run.progress -> 'cursor', run.progress -> 'phase')
      then 0 else run.attempt_count
    end
  where sync_log_id = p_sync_log_id;
  return jsonb_build_object('committed', true) || merged;
end;
$$;
grant execute on function public.write_sync_page(uuid, uuid, text[], text[], jsonb, int, jsonb, jsonb, jsonb, int) to service_role;

-- Keeps records that could not be mapped: [{ source_id, payload, code, message, issues }]. One open row a
-- record, however often it comes. A payload that a person repaired stays, with what was found in it last.
create function private.keep_refused(sync_log_id uuid, organization_id uuid, integration_id uuid, stream text, refused jsonb)
returns void
language sql
set search_path = ''
as $$
  insert into public.sync_errors as held (
    organization_id, integration_id, stream, source_id, source_key, sync_log_id, payload, code, message, issues
  )
  select distinct on (2, 3, 5)
    keep_refused.organization_id, keep_refused.integration_id, keep_refused.stream, record ->> 'source_id',
    coalesce(record ->> 'source_id', 'payload:' || encode(extensions.digest((record -> 'payload')::text, 'sha256'), 'hex')),
    keep_refused.sync_log_id, record -> 'payload', record ->> 'code', record ->> 'message', coalesce(record -> 'issues', '[]')
  from jsonb_array_elements(keep_refused.refused) as record
  on conflict (integration_id, stream, source_key) where resolved_at is null do update set
    sync_log_id = excluded.sync_log_id,
    payload = case when held.repaired_at is null then excluded.payload else held.payload end,
    code = case when held.repaired_at is null then excluded.code else held.code end,
    message = case when held.repaired_at is null then excluded.message else held.message end,
    issues = case when held.repaired_at is null then excluded.issues else held.issues end,
    attempt_count = held.attempt_count + 1, last_seen_at = now();
$$;

-- A record that came through ends its open error. plpgsql keeps the plan: this runs with every batch.
create function private.resolve_errors(integration_id uuid, stream text, source_ids text[], resolution text)
returns void
language plpgsql
set search_path = ''
as $$
begin
  update public.sync_errors as refused set resolved_at = now(), resolution = resolve_errors.resolution
  where refused.integration_id = resolve_errors.integration_id and refused.stream = resolve_errors.stream
    and refused.direction = 'pull' and refused.resolved_at is null and refused.source_key = any (resolve_errors.source_ids);
end;
$$;

-- The records a complete scan did not see, after p_after, p_limit of them. { lost_scan: true } when a
-- database crash emptied what was seen: scan again. Otherwise { live, absent, held, witness, source_ids }.
-- held: so many are missing that a person must agree (start_sync with allow_mass_delete); witness: a record
-- that was seen, by which a look-up by id can be tried. Records from before progress.reaches_back_to, and those
-- whose id begins with none of progress.covers, count for nothing here: the scan could not see them. Reads
-- only, so it takes no lock.
create function public.list_absent(p_sync_log_id uuid, p_lease_token uuid, p_after text default '', p_limit int default 5000)
returns jsonb
language plpgsql
security definer
set search_path = ''
set statement_timeout = '60s'
-- right after a first load the table has no statistics, and a nested loop would compare each with each
set enable_nestloop = off
as $$
declare
  run private.sync_runs;
  percent int;
  covers text[];
  found_absent jsonb;
  absent_count bigint;
begin
  select * into run from private.sync_runs where sync_log_id = p_sync_log_id and lease_token = p_lease_token;
  if not found then
    perform private.refuse('lease_lost', 'Another worker has taken over this run, or it was ended.');
  end if;
  if (select count(*) from private.sync_seen where sync_log_id = p_sync_log_id)
    <> (run.progress ->> 'batch_count')::int then
    return jsonb_build_object('lost_scan', true);
  end if;
  covers := private.covered_ids(run.progress);
  execute format($sql$
    with seen as materialized (
      select distinct unnest(batch.source_id_hashes) as hash from private.sync_seen as batch where batch.sync_log_id = $2
    ), live as (
      select held.source_id, seen.hash is not null as is_seen,
        -- what came in after the scan began, by a webhook, is not absent
        seen.hash is null and held.last_synced_at <= $5 as is_absent
      from %s as held
      left join seen on seen.hash = hashtextextended(held.source_id, 0)
      where held.integration_id = $1 and held.deleted_at is null
        and held.last_synced_at is not null -- read once; others are ours, such as a rolled-up number
        and (held.source_updated_at < $6) is not true
        -- by length and hash: comparing each id with each beginning takes seconds where there are hundreds
        and ($7 is null or exists (
          select 1 from unnest($8) as size where left(held.source_id, size) = any ($7) offset 0))
    ), next as (
      select source_id from live where is_absent and source_id > $3 order by source_id limit $4
    )
    select jsonb_build_object(
      'live', (select count(*) from live),
      'absent', (select count(*) from live where is_absent),
      'seen', (select count(*) from seen),
      'witness', (select min(source_id) from live where is_seen),
      'source_ids', (select coalesce(jsonb_agg(source_id order by source_id), '[]') from next))
    $sql$, private.stream_table(run.stream))
  into found_absent
  using run.integration_id, p_sync_log_id, p_after, p_limit, (run.progress ->> 'scan_started_at')::timestamptz,
    (run.progress ->> 'reaches_back_to')::timestamptz, covers,
    array(select distinct length(beginning) from unnest(covers) as beginning);

  absent_count := (found_absent ->> 'absent')::bigint;
  select stream.mass_delete_percent into percent
  from public.sync_streams as stream
  where stream.integration_id = run.integration_id and stream.stream = run.stream;
  return found_absent || jsonb_build_object('held', not run.allow_mass_delete and absent_count > 0 and (
    (found_absent ->> 'seen')::bigint = 0
    -- a handful may always go: a quarter of eight products is two
    or absent_count > case when percent = 0 then 0 else greatest(10, (found_absent ->> 'live')::bigint * percent / 100) end));
end;
$$;
grant execute on function public.list_absent(uuid, uuid, text, int) to service_role;

-- Marks records as gone. With p_needs_two_scans only those that the last full run missed too are;
-- the others are remembered for the next one, unless a person has agreed to the deletion.
create function public.delete_absent(
  p_sync_log_id uuid, p_lease_token uuid, p_source_ids text[], p_progress jsonb, p_needs_two_scans boolean default false
)
returns jsonb
language plpgsql
security definer
set search_path = ''
set statement_timeout = '60s'
as $$
declare
  run private.sync_runs := private.hold_sync_run(p_sync_log_id, p_lease_token);
  gone text[] := p_source_ids;
  merged jsonb;
begin
  if p_needs_two_scans and not run.allow_mass_delete then
    gone := array(
      select missed.source_id from private.sync_absences as missed
      where missed.integration_id = run.integration_id and missed.stream = run.stream
        and missed.sync_log_id <> p_sync_log_id and missed.source_id = any (p_source_ids));
    insert into private.sync_absences (integration_id, stream, source_id, sync_log_id)
    select run.integration_id, run.stream, missing.source_id, p_sync_log_id
    from unnest(p_source_ids) as missing (source_id)
    on conflict on constraint sync_absences_pkey do nothing;
  end if;
  merged := private.merge_records(run.integration_id, run.stream, '[]', coalesce((
    select jsonb_agg(jsonb_build_object('source_id', missing.source_id, 'absent_at', run.progress ->> 'scan_started_at'))
    from unnest(gone) as missing (source_id)), '[]'), run.sync_log_id);
  perform private.resolve_errors(run.integration_id, run.stream, gone, 'gone');
  update public.sync_logs set deleted_count = deleted_count + (merged ->> 'deleted')::int where id = p_sync_log_id;
  update private.sync_runs set progress = p_progress, attempt_count = 0, leased_at = clock_timestamp(),
    lease_expires_at = clock_timestamp() + interval '180 seconds'
  where sync_log_id = p_sync_log_id;
  return merged;
end;
$$;
grant execute on function public.delete_absent(uuid, uuid, text[], jsonb, boolean) to service_role;

-- Merges records outside a run: a replayed error, a webhook.
create function public.apply_records(
  p_integration_id uuid, p_stream text, p_records jsonb, p_deletions jsonb default '[]', p_resolution text default 'synced'
)
returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  merged jsonb := private.merge_records(p_integration_id, p_stream, p_records, p_deletions);
begin
  perform private.resolve_errors(p_integration_id, p_stream,
    array(select record ->> 'source_id' from jsonb_array_elements(p_records) as record), p_resolution);
  return merged;
end;
$$;
grant execute on function public.apply_records(uuid, text, jsonb, jsonb, text) to service_role;

-- All a replay needs: { connector, settings, account, open_count, errors: [{ id, payload, last_seen_at }] }. The errors
-- are the open ones behind p_after, in the order of their ids, so that a caller comes past each once, whatever
-- becomes of it; open_count counts them without the limit. Null: there is no such integration.
create function public.list_open_sync_errors(
  p_integration_id uuid, p_stream text, p_ids uuid[] default null, p_after uuid default null, p_limit int default 500
)
returns jsonb
language sql
stable
security definer
set search_path = ''
as $$
  select jsonb_build_object(
    'connector', integration.connector,
    'settings', integration.settings,
    'account', integration.account,
    'open_count', (select count(*) from public.sync_errors as candidate
      where candidate.integration_id = integration.id and candidate.stream = p_stream and candidate.direction = 'pull'
        and candidate.resolved_at is null and (p_ids is null or candidate.id = any (p_ids)) and (p_after is null or candidate.id > p_after)),
    'errors', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'id', refused.id, 'payload', refused.payload, 'last_seen_at', refused.last_seen_at) order by refused.id), '[]')
      from (
        select * from public.sync_errors as candidate
        where candidate.integration_id = integration.id and candidate.stream = p_stream and candidate.direction = 'pull'
          and candidate.resolved_at is null and (p_ids is null or candidate.id = any (p_ids)) and (p_after is null or candidate.id > p_after)
        order by candidate.id
        limit p_limit
      ) as refused))
  from public.integrations as integration
  where integration.id = p_integration_id;
$$;
grant execute on function public.list_open_sync_errors(uuid, text, uuid[], uuid, int) to service_role;

-- Outcome of a replay, by error: [{ id, ok, code, message, issues }]. One that was ended meanwhile, by a sync
-- or a person, is not opened again.
create function public.record_replay(p_integration_id uuid, p_outcomes jsonb)
returns void
language sql
security definer
set search_path = ''
as $$
  update public.sync_errors as refused set
    attempt_count = refused.attempt_count + 1,
    code = coalesce(outcome ->> 'code', refused.code),
    message = coalesce(outcome ->> 'message', refused.message),
    issues = coalesce(outcome -> 'issues', refused.issues),
    resolved_at = case when (outcome ->> 'ok')::boolean then now() else refused.resolved_at end,
    resolution = case when (outcome ->> 'ok')::boolean then 'replayed' else refused.resolution end
  from jsonb_array_elements(p_outcomes) as outcome
  where refused.id = (outcome ->> 'id')::uuid and refused.integration_id = p_integration_id and refused.direction = 'pull';
$$;
grant execute on function public.record_replay(uuid, jsonb) to service_role;
