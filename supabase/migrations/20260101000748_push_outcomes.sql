-- What becomes of changes that were sent; and what a run would send, without sending it.

-- What was sent of these changes both sides have now. A change that is no newer than that is done; of another the rest is to
-- be sent.
create function private.agree_on_sent(settings public.sync_streams, record_ids uuid[])
returns void
language plpgsql
set search_path = ''
as $$
begin
  delete from private.outbound_changes as done
  where done.integration_id = settings.integration_id and done.stream = settings.stream
    and done.record_id = any (agree_on_sent.record_ids) and done.version = done.sending_version;
  execute format($sql$
    update private.outbound_changes as later set
      source_id = held.source_id,
      operation = case later.operation when 'create' then 'update' else later.operation end,
      -- what a new record was not given is empty there
      base = coalesce(later.base, private.pick('{}', $4)) || coalesce(later.sending, '{}'),
      base_hash = held.content_hash,
      sending = null, sending_version = null, sending_at = null, attempt_count = 0, run_at = now(), refused = false
    from %s as held
    where later.integration_id = $1 and later.stream = $2 and later.record_id = any ($3) and held.id = later.record_id
    $sql$, private.stream_table(settings.stream))
  using settings.integration_id, settings.stream, agree_on_sent.record_ids, settings.push_columns;
  perform private.resolve_push_errors(settings.integration_id, settings.stream, agree_on_sent.record_ids, 'pushed');
end;
$$;

-- The common case of what follows, for many changes at once: rows that are live, keep their id or get their first one, which
-- nobody holds, and of which no version was read since the answer. Answers which they were. Its caller writes as sync.
create function private.finish_sent_changes(settings public.sync_streams, outcomes jsonb)
returns uuid[]
language plpgsql
set search_path = ''
as $$
declare
  sent uuid[];
begin
  execute format($sql$
    with told as (
      select *, count(*) over (partition by source_id) as count_of_id
      from jsonb_to_recordset($3) as told (
        record_id uuid, version bigint, status text, source_id text, source_updated_at timestamptz, answered_at timestamptz)
      where status = 'sent'
    ), plain as (
      update %1$s as held set
        source_id = coalesce(told.source_id, held.source_id), content_hash = 'pushed:' || told.version,
        source_updated_at = coalesce(told.source_updated_at, held.source_updated_at),
        last_synced_at = coalesce(told.answered_at, clock_timestamp())
      from told, private.outbound_changes as change
      where held.id = told.record_id and held.deleted_at is null and change.integration_id = $1 and change.stream = $2
        and change.record_id = held.id and change.sending_version = told.version
        and (held.last_synced_at is null or held.last_synced_at <= told.answered_at)
        and (coalesce(told.source_id, held.source_id) = held.source_id
          or held.source_id = 'local:' || held.id and told.count_of_id = 1 and not exists (
            select 1 from %1$s as other where other.integration_id = $1 and other.source_id = told.source_id))
      returning held.id
    )
    select coalesce(array_agg(id), '{}') from plain
    $sql$, private.stream_table(settings.stream))
  into sent using settings.integration_id, settings.stream, finish_sent_changes.outcomes;
  perform private.agree_on_sent(settings, sent);
  return sent;
end;
$$;

-- The platform has what was sent of a change: its row takes the id and the version; what was changed meanwhile stays to be
-- sent. Its caller writes as sync.
create function private.finish_sent_change(
  settings public.sync_streams, change private.outbound_changes, record_id uuid, sent_version bigint, new_source_id text,
  source_updated_at timestamptz, answered_at timestamptz, sync_log_id uuid
)
returns void
language plpgsql
set search_path = ''
as $$
declare
  synced_table regclass := private.stream_table(settings.stream);
  held private.synced_record;
  edits jsonb := '{}'::jsonb;
  is_known boolean := coalesce(change.sending_version = finish_sent_change.sent_version, false);
begin
  select * into held from private.read_row(synced_table, finish_sent_change.record_id);
  -- gone here, or a version from the platform has said already what became of it
  if held.id is null or not (is_known or private.is_local(held)) then
    return;
  end if;
  if finish_sent_change.new_source_id <> held.source_id then
    edits := private.fold_record(settings, finish_sent_change.new_source_id, change, finish_sent_change.sync_log_id);
    execute format('update %s set source_id = $2 where id = $1', synced_table)
    using finish_sent_change.record_id, finish_sent_change.new_source_id;
    if not private.is_local(held) then
      -- nothing that is still said of the old id brings it back
      perform private.merge_records(settings.integration_id, settings.stream, '[]', jsonb_build_array(jsonb_build_object(
        'source_id', held.source_id, 'absent_at', greatest(held.last_synced_at, finish_sent_change.answered_at))));
    end if;
  end if;
  -- a version that was read after the answer stays
  if held.deleted_at is null then
    execute format($sql$
      update %s as held set content_hash = 'pushed:' || $2, source_updated_at = coalesce($3, held.source_updated_at), last_synced_at = $4
      where held.id = $1 and (held.last_synced_at is null or held.last_synced_at <= $4)
      $sql$, synced_table)
    using finish_sent_change.record_id, finish_sent_change.sent_version, finish_sent_change.source_updated_at, finish_sent_change.answered_at;
    perform private.write_columns(synced_table, finish_sent_change.record_id, edits);
  end if;
  if edits <> '{}' then
    update private.outbound_changes as later set version = nextval('private.outbound_versions')
    where later.integration_id = settings.integration_id and later.stream = settings.stream
      and later.record_id = finish_sent_change.record_id;
  end if;
  perform private.agree_on_sent(settings, array[finish_sent_change.record_id]);
end;
$$;

-- The platform no longer has a record. Whoever wanted it back meanwhile has it as a new one.
create function private.finish_deleted_change(
  settings public.sync_streams, change private.outbound_changes, record_id uuid, answered_at timestamptz
)
returns void
language plpgsql
set search_path = ''
as $$
declare
  held private.synced_record;
begin
  select * into held from private.read_row(private.stream_table(settings.stream), finish_deleted_change.record_id);
  if held.id is null or private.is_local(held) then
    return;
  elsif change.operation = 'update' then
    perform private.begin_again(change);
  else
    perform private.drop_changes(settings.integration_id, settings.stream, array[finish_deleted_change.record_id], 'pushed');
  end if;
  perform private.merge_records(settings.integration_id, settings.stream, '[]', jsonb_build_array(jsonb_build_object(
    'source_id', held.source_id, 'source_deleted_at', greatest(held.last_synced_at, finish_deleted_change.answered_at))));
end;
$$;

-- The platform does not take a change: it waits for somebody to change the record or to ask by hand, and says why.
create function private.keep_refused_change(
  settings public.sync_streams, change private.outbound_changes, error jsonb, sync_log_id uuid
)
returns void
language plpgsql
set search_path = ''
as $$
declare
  columns jsonb := private.read_columns(private.stream_table(settings.stream), change.record_id, settings.push_columns);
begin
  update private.outbound_changes as held set refused = true, last_error = keep_refused_change.error
  where held.integration_id = settings.integration_id and held.stream = settings.stream and held.record_id = change.record_id;
  insert into public.sync_errors as held (
    organization_id, integration_id, stream, source_id, direction, source_key, sync_log_id, payload, code, message
  )
  values (change.organization_id, change.integration_id, change.stream, nullif(change.source_id, 'local:' || change.record_id),
    'push', 'push:' || change.record_id, keep_refused_change.sync_log_id, coalesce(columns, '{}'),
    coalesce(keep_refused_change.error ->> 'code', 'push_refused'),
    coalesce(keep_refused_change.error ->> 'message', 'The platform did not say why.'))
  on conflict (integration_id, stream, source_key) where resolved_at is null do update set
    source_id = excluded.source_id, sync_log_id = excluded.sync_log_id, payload = excluded.payload, code = excluded.code,
    message = excluded.message, attempt_count = held.attempt_count + 1, last_seen_at = now();
end;
$$;

-- Writes down what became of changes that were sent: { pushed, failed }. p_outcomes: [{ record_id, version, status,
-- source_id, source_updated_at, answered_at, error: { code, message } }], with status
--   * sent: the platform has it, under source_id where it said one
--   * deleted: it is gone there
--   * refused: never in this form; kept in sync_errors. As push_unconfirmed it was not sent, since what was sent before it is
--     not known, and a person has to look
--   * retry: not now; tried again after the stream's pauses, then refused
--   * unsent: it never left
-- What was not taken leaves what was sent before it, and nobody knows of, as it was. A change that was made while it was sent
-- stays to be sent. Counts each outcome once, also when it is told again.
create function public.finish_outbound_changes(p_sync_log_id uuid, p_lease_token uuid, p_outcomes jsonb)
returns jsonb
language plpgsql
security definer
set search_path = ''
set statement_timeout = '60s'
as $$
declare
  run private.sync_runs := private.hold_sync_run(p_sync_log_id, p_lease_token);
  settings public.sync_streams := private.settings_of(run);
  outcome record;
  change private.outbound_changes;
  writer text := private.write_as('sync');
  sent uuid[];
  pushed int := 0;
  failed int := 0;
begin
  perform private.hold_records(private.stream_table(run.stream), run.integration_id,
    array(select entry ->> 'source_id' from jsonb_array_elements(p_outcomes) as entry where entry ->> 'source_id' is not null),
    array(select (entry ->> 'record_id')::uuid from jsonb_array_elements(p_outcomes) as entry));
  sent := private.finish_sent_changes(settings, p_outcomes);
  pushed := cardinality(sent);
  for outcome in
    select told.record_id, told.version, told.status, told.source_id, told.source_updated_at,
      coalesce(told.answered_at, clock_timestamp()) as answered_at, told.error
    from jsonb_to_recordset(p_outcomes) as told (
      record_id uuid, version bigint, status text, source_id text, source_updated_at timestamptz, answered_at timestamptz, error jsonb)
    where told.record_id <> all (sent)
  loop
    select * into change from private.outbound_changes as pending
    where pending.integration_id = run.integration_id and pending.stream = run.stream and pending.record_id = outcome.record_id;
    if change.sending_version = outcome.version and outcome.status in ('sent', 'deleted') then
      pushed := pushed + 1;
    end if;
    if outcome.status = 'sent' then
      perform private.finish_sent_change(settings, change, outcome.record_id, outcome.version, outcome.source_id,
        outcome.source_updated_at, outcome.answered_at, run.sync_log_id);
    elsif outcome.status = 'deleted' then
      perform private.finish_deleted_change(settings, change, outcome.record_id, outcome.answered_at);
    elsif change.sending_version = outcome.version then
      update private.outbound_changes as held set
        -- it says nothing of the call before, whose question stays open
        sending = change.earlier -> 'sending', sending_version = (change.earlier ->> 'sending_version')::bigint,
        sending_at = (change.earlier ->> 'sending_at')::timestamptz, earlier = null,
        attempt_count = held.attempt_count + case when outcome.status = 'retry' and held.version = outcome.version then 1 else 0 end,
        last_error = coalesce(outcome.error, held.last_error)
      where held.integration_id = run.integration_id and held.stream = run.stream and held.record_id = outcome.record_id;
      -- refused or not, what was changed meanwhile is tried at once
      if change.version = outcome.version and outcome.status = 'retry'
        and change.attempt_count < cardinality(settings.retry_pauses_s) then
        update private.outbound_changes as held set
          run_at = now() + make_interval(secs => settings.retry_pauses_s[change.attempt_count + 1])
        where held.integration_id = run.integration_id and held.stream = run.stream and held.record_id = outcome.record_id;
      elsif change.version = outcome.version and outcome.status in ('retry', 'refused') then
        perform private.keep_refused_change(settings, change, outcome.error, run.sync_log_id);
        failed := failed + 1;
      end if;
    end if;
  end loop;

  update public.sync_logs as log set
    pushed_count = log.pushed_count + pushed,
    failed_count = log.failed_count + failed
  where log.id = p_sync_log_id;
  update private.sync_runs as held set leased_at = clock_timestamp(), lease_expires_at = clock_timestamp() + interval '180 seconds',
    -- a step ahead
    attempt_count = case when pushed + failed > 0 then 0 else held.attempt_count end
  where held.sync_log_id = p_sync_log_id;
  perform private.write_as(writer);
  return jsonb_build_object('pushed', pushed, 'failed', failed);
end;
$$;
grant execute on function public.finish_outbound_changes(uuid, uuid, jsonb) to service_role;

-- What a run would push now: { creates, updates, deletes, filtered, refused, waiting, changes }. filtered: the filter keeps
-- them here; refused: the platform does not take them; waiting: for another try later. changes: the first 100 of those it
-- would push, oldest first, [{ record_id, source_id, operation, changed, before, after }]. Definer's rights: whoever may read
-- the records may ask, and may not reach the changes.
create function public.preview_push(p_integration_id uuid, p_stream text)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  settings public.sync_streams;
  synced_table regclass;
  preview jsonb;
begin
  perform 1 from public.integrations as integration
  where integration.id = p_integration_id
    and ((select auth.role()) = 'service_role' or integration.organization_id = any (private.organization_ids('viewer')));
  if not found then
    perform private.refuse('integration_not_found');
  end if;
  select * into settings from public.sync_streams as stream where stream.integration_id = p_integration_id and stream.stream = p_stream;
  if not found then
    perform private.refuse('stream_not_found', format('The integration has no stream %s.', p_stream));
  elsif not settings.pushes then
    perform private.refuse('stream_not_pushed', format('The stream %s does not push.', p_stream));
  end if;
  synced_table := private.stream_table(p_stream);
  execute format($sql$
    with pending as (
      select change, %2$s as columns, private.condition_holds($3, %3$s) as fits, private.columns_to_write(change, %2$s) as to_write
      from private.outbound_changes as change
      join %1$s as held on held.id = change.record_id
      where change.integration_id = $1 and change.stream = $2
    ), judged as (
      select pending.*, (change).operation, fits and not (change).refused and (change).run_at <= clock_timestamp() as is_due
      from pending where (change).operation <> 'update' or cardinality(to_write) > 0
    ), listed as (
      select * from judged where is_due order by (change).run_at, (change).version limit 100
    )
    select jsonb_build_object(
      'creates', count(*) filter (where is_due and operation = 'create'),
      'updates', count(*) filter (where is_due and operation = 'update'),
      'deletes', count(*) filter (where is_due and operation = 'delete'),
      'filtered', count(*) filter (where not fits),
      'refused', count(*) filter (where fits and (change).refused),
      'waiting', count(*) filter (where fits and not (change).refused and not is_due),
      'changes', (
        select coalesce(jsonb_agg(jsonb_build_object(
          'record_id', (change).record_id, 'source_id', nullif((change).source_id, 'local:' || (change).record_id),
          'operation', operation, 'changed', to_jsonb(to_write), 'before', (change).base,
          'after', case when operation <> 'delete' then columns end) order by (change).run_at, (change).version), '[]')
        from listed))
    from judged
    $sql$, synced_table, private.document_sql('held', coalesce(settings.push_columns, private.record_columns(synced_table))),
    private.document_sql('held', private.record_columns(synced_table)))
  into preview using p_integration_id, p_stream, settings.filter;
  return preview;
end;
$$;
comment on function public.preview_push(uuid, text) is
  'What a run of this stream would push now, without doing it. Whoever may read the records may ask, and the service.';
grant execute on function public.preview_push(uuid, text) to authenticated, service_role;
