-- Pushing: what a run under its lease takes up of the outbound changes, and what becomes of them.

-- What a change comes to at the platform. A row that was deleted while it was being made is looked for before it can be
-- deleted there.
create function private.operation_of(change private.outbound_changes)
returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return case when change.operation = 'delete' and change.source_id = 'local:' || change.record_id then 'create' else change.operation end;
end;
$$;

-- Which of its columns a change writes: of a new record those that say something, of another those that differ from what was
-- last agreed. A column that was not pushed then cannot have been changed here.
create function private.columns_to_write(change private.outbound_changes, columns jsonb)
returns text[]
language plpgsql
stable
set search_path = ''
as $$
begin
  return case change.operation
    when 'create' then array(select side.key from jsonb_each(columns_to_write.columns) as side where side.value <> 'null' order by side.key)
    when 'update' then private.differing(columns_to_write.columns, columns_to_write.columns || coalesce(change.base, '{}'))
    else array[]::text[]
  end;
end;
$$;

-- A change as a worker needs it: { record_id, version, operation, source_id, columns, changed, base, content_hash, uncertain,
-- sending, sending_version, sending_at, attempt_count }. source_id is null where the record was never there; `columns` are the push columns now
-- and `changed` those of them to write; uncertain: `sending` was sent at sending_at, and no outcome came.
create function private.describe_change(change private.outbound_changes, columns jsonb, content_hash text, to_write text[])
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'record_id', change.record_id,
    'version', change.version::text,
    'operation', private.operation_of(change),
    'source_id', nullif(change.source_id, 'local:' || change.record_id),
    'columns', describe_change.columns,
    'changed', to_jsonb(describe_change.to_write),
    'base', change.base,
    'content_hash', describe_change.content_hash,
    'uncertain', change.sending_at is not null,
    'sending', change.sending,
    'sending_version', change.sending_version::text,
    'sending_at', change.sending_at,
    'attempt_count', change.attempt_count);
end;
$$;

create function private.settings_of(run private.sync_runs)
returns public.sync_streams
language sql
stable
set search_path = ''
as $$
  select stream.* from public.sync_streams as stream where stream.integration_id = run.integration_id and stream.stream = run.stream;
$$;

-- Hands out changes that are due, at most p_limit, oldest first and all of one operation: { changes }, as private.describe_change
-- writes them. The lease is extended; whoever asks again before the outcomes are written is given the same.
create function public.claim_outbound_changes(p_sync_log_id uuid, p_lease_token uuid, p_limit int)
returns jsonb
language plpgsql
security definer
set search_path = ''
set statement_timeout = '60s'
as $$
declare
  run private.sync_runs := private.hold_sync_run(p_sync_log_id, p_lease_token);
  settings public.sync_streams := private.settings_of(run);
  wanted text;
  changes jsonb := '[]'::jsonb;
  rowless uuid[];
begin
  update private.sync_runs set leased_at = clock_timestamp(), lease_expires_at = clock_timestamp() + interval '180 seconds'
  where sync_log_id = p_sync_log_id;
  if not settings.pushes then
    return jsonb_build_object('changes', '[]'::jsonb);
  end if;
  perform private.refit_changes(settings);
  loop
    select private.operation_of(change) into wanted
    from private.outbound_changes as change
    where change.integration_id = run.integration_id and change.stream = run.stream
      and change.fits and not change.refused and change.run_at <= clock_timestamp()
    order by change.run_at, change.version
    limit 1;
    exit when not found;
    execute format($sql$
      with due as (
        select change from private.outbound_changes as change
        where change.integration_id = $1 and change.stream = $2
          and change.fits and not change.refused and change.run_at <= clock_timestamp() and private.operation_of(change) = $3
        order by change.run_at, change.version
        limit $4
      )
      select coalesce(jsonb_agg(private.describe_change(due.change, %2$s, held.content_hash, private.columns_to_write(due.change, %2$s))
          order by (due.change).run_at, (due.change).version) filter (where held.id is not null), '[]'),
        array_agg((due.change).record_id) filter (where held.id is null)
      from due
      left join %1$s as held on held.id = (due.change).record_id
      $sql$, private.stream_table(run.stream), private.document_sql('held', settings.push_columns))
    into changes, rowless
    using run.integration_id, run.stream, wanted, p_limit;
    exit when rowless is null;
    -- their table was emptied, which no trigger saw
    perform private.drop_changes(run.integration_id, run.stream, rowless);
  end loop;
  return jsonb_build_object('changes', changes);
end;
$$;
grant execute on function public.claim_outbound_changes(uuid, uuid, int) to service_role;

-- Which of these source ids rows of the run's stream have, and when each row was made: { held: { source_id: time } }. What
-- was made there by a call whose answer was lost cannot have come here before that call.
create function public.list_held_records(p_sync_log_id uuid, p_lease_token uuid, p_source_ids text[])
returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  run private.sync_runs := private.hold_sync_run(p_sync_log_id, p_lease_token);
  held jsonb;
begin
  execute format($sql$
    select coalesce(jsonb_object_agg(held.source_id, held.created_at), '{}') from %s as held
    where held.integration_id = $1 and held.source_id = any ($2)
    $sql$, private.stream_table(run.stream))
  into held using run.integration_id, p_source_ids;
  return jsonb_build_object('held', held);
end;
$$;
grant execute on function public.list_held_records(uuid, uuid, text[]) to service_role;

-- Makes way for a record that takes this source_id: a row that holds it already is the same record at the platform, and goes,
-- which is an event where the stream asks for it. Answers what was changed in it and has not gone out. Was it made here and
-- sent too, what we say in its place (`ours`) is written down as a conflict between the two. Its callers write as sync.
create function private.fold_record(
  settings public.sync_streams, source_id text, ours private.outbound_changes, sync_log_id uuid
)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  synced_table regclass := private.stream_table(settings.stream);
  folded_id uuid;
  folded private.synced_record;
  change private.outbound_changes;
  columns jsonb;
  disputed private.disputed_change;
  conflicting text[];
begin
  execute format('select id from %s where integration_id = $1 and source_id = $2', synced_table)
  into folded_id using settings.integration_id, fold_record.source_id;
  if folded_id is null then
    return '{}'::jsonb;
  end if;
  select * into folded from private.read_row(synced_table, folded_id);
  select * into change from private.outbound_changes as pending
  where pending.integration_id = settings.integration_id and pending.stream = settings.stream and pending.record_id = folded_id;
  columns := private.read_columns(synced_table, folded_id, settings.push_columns);
  if folded.content_hash ^@ 'pushed:' and folded.deleted_at is null and ours.record_id is not null then
    disputed.change := ours;
    disputed.mine := private.read_columns(synced_table, ours.record_id, settings.push_columns);
    disputed.theirs := columns;
    disputed.remote_changed_at := folded.last_synced_at;
    conflicting := array(
      select name from unnest(private.differing(disputed.mine, columns)) as name where not private.says_nothing(name, columns -> name));
    if cardinality(conflicting) > 0 then
      -- what was sent last is what the platform has
      perform private.decide_conflict(settings, disputed, 'linked', conflicting, fold_record.sync_log_id, 'local');
    end if;
  end if;
  perform private.drop_changes(settings.integration_id, settings.stream, array[folded_id]);
  execute format('delete from %s where id = $1', synced_table) using folded_id;
  if settings.record_events <> 'none' and folded.deleted_at is null then
    perform private.emit_events(settings.organization_id, array[known.record_name || '.deleted'],
      array[known.record_name || '/' || folded_id], array[jsonb_build_object('stream', settings.stream,
        'integration_id', settings.integration_id, 'record_id', folded_id, 'source_id', fold_record.source_id)])
    from private.stream_tables as known where known.stream = settings.stream;
  end if;
  return case when change.operation = 'update' then private.pick(columns, private.columns_to_write(change, columns)) else '{}'::jsonb end;
end;
$$;

-- Links a row that was made here to the record the platform has of it (`incoming`, as merge_records takes it). What we do not
-- say is theirs; what both say differently is a conflict; what only we say is still to be sent. Its caller writes as sync.
create function private.link_record(settings public.sync_streams, record_id uuid, incoming jsonb, sync_log_id uuid)
returns void
language plpgsql
set search_path = ''
as $$
declare
  synced_table regclass := private.stream_table(settings.stream);
  change private.outbound_changes;
  disputed private.disputed_change;
  held private.synced_record;
  mine jsonb;
  theirs jsonb;
  is_disputed boolean;
  their_side jsonb;
  agreed jsonb;
  conflicting text[];
  written text[]; -- what they have of what we sent, in whatever form they write it
begin
  select * into change from private.outbound_changes as pending
  where pending.integration_id = settings.integration_id and pending.stream = settings.stream and pending.record_id = link_record.record_id;
  select * into held from private.read_row(synced_table, link_record.record_id);
  if change.record_id is null or private.is_local(held) is not true then
    return; -- linked by the call whose answer was lost
  end if;
  mine := private.read_columns(synced_table, link_record.record_id, settings.push_columns);
  execute format('select %2$s from jsonb_populate_record(null::%1$s, $1) as given',
    synced_table, private.document_sql('given', settings.push_columns)) into theirs using link_record.incoming;
  execute format($sql$
    select exists (
      select 1 from private.outbound_changes as change
      join %s as held on held.id = change.record_id
      where change.integration_id = $1 and change.stream = $2 and change.operation = 'update'
        and held.integration_id = $1 and held.source_id = $3)
    $sql$, synced_table)
  into is_disputed using settings.integration_id, settings.stream, link_record.incoming ->> 'source_id';
  if is_disputed then
    -- what was changed in the row that is folded meets what was changed there since it was read
    perform private.merge_records(settings.integration_id, settings.stream, jsonb_build_array(link_record.incoming), '[]',
      link_record.sync_log_id);
  end if;
  their_side := theirs || private.fold_record(settings, link_record.incoming ->> 'source_id', null, link_record.sync_log_id);

  written := array(
    select sent.name from jsonb_object_keys(coalesce(change.sending, '{}')) as sent (name)
    where sent.name <> all (private.contradicting(change.sending, theirs)));
  agreed := (
    select jsonb_object_agg(side.key, case
      -- we have written that ourselves: what was edited since is ours
      when side.key = any (written) then
        case when side.value is distinct from change.sending -> side.key then side.value else their_side -> side.key end
      when private.says_nothing(side.key, side.value) then their_side -> side.key
      -- one address, however it is written
      when side.key = 'email' and private.normalize_email(side.value #>> '{}') = private.normalize_email(their_side ->> side.key)
        then their_side -> side.key
      else side.value
    end)
    from jsonb_each(mine) as side);
  if change.operation = 'create' then
    conflicting := array(
      select name from unnest(private.differing(agreed, their_side)) as name
      where not private.says_nothing(name, their_side -> name) and name <> all (written));
    disputed.change := change;
    disputed.mine := mine;
    disputed.theirs := their_side;
    disputed.remote_changed_at := least(
      (link_record.incoming ->> 'source_updated_at')::timestamptz, (link_record.incoming ->> 'last_synced_at')::timestamptz);
    if cardinality(conflicting) > 0
      and private.decide_conflict(settings, disputed, 'linked', conflicting, link_record.sync_log_id) = 'remote' then
      agreed := agreed || private.pick(their_side, conflicting);
    end if;
  end if;

  execute format($sql$
    update %1$s as held set source_id = given.source_id, source_data = given.source_data, source_updated_at = given.source_updated_at,
      content_hash = given.content_hash, last_synced_at = given.last_synced_at,
      -- deleted here while it was made there
      absent_at = case when held.absent_at is not null then greatest(held.absent_at, given.last_synced_at) end, %2$s
    from jsonb_populate_record(null::%1$s, $2) as given
    where held.id = $1
    $sql$, synced_table,
    (select string_agg(format('%1$I = given.%1$I', name), ', ') from unnest(private.record_columns(synced_table)) as name))
  using link_record.record_id, link_record.incoming || agreed;
  if change.operation = 'create' and agreed = theirs then
    perform private.drop_changes(settings.integration_id, settings.stream, array[link_record.record_id], 'pushed');
  else
    update private.outbound_changes as linked set source_id = link_record.incoming ->> 'source_id',
      operation = case change.operation when 'create' then 'update' else change.operation end,
      base = theirs, base_hash = link_record.incoming ->> 'content_hash', filter_hash = -1, sending = null, sending_version = null, sending_at = null
    where linked.integration_id = settings.integration_id and linked.stream = settings.stream and linked.record_id = link_record.record_id;
  end if;
end;
$$;

-- Takes in what the worker has just read about the changes it holds, and answers those of p_record_ids that are still to be
-- sent, with their intent written: from here on nobody but their outcome knows what became of them.
--   p_records, p_deletions: as merge_records takes them, versions of records looked up by id, and ids that are no more
--   p_links: [{ record_id, record }], the platform has a record with the key of one that is to be made
-- { changes }, as private.describe_change writes them; uncertain is what was known before.
create function public.settle_outbound_changes(
  p_sync_log_id uuid, p_lease_token uuid, p_record_ids uuid[], p_records jsonb default '[]', p_deletions jsonb default '[]',
  p_links jsonb default '[]'
)
returns jsonb
language plpgsql
security definer
set search_path = ''
set statement_timeout = '60s'
as $$
declare
  run private.sync_runs := private.hold_sync_run(p_sync_log_id, p_lease_token);
  settings public.sync_streams := private.settings_of(run);
  synced_table regclass := private.stream_table(run.stream);
  merged jsonb;
  writer text := private.write_as('sync');
  link record;
  settled uuid[];
  changes jsonb := '[]'::jsonb;
begin
  -- all at once: whoever waited for one while it held another would keep people from theirs
  perform private.hold_records(synced_table, run.integration_id, array(
    select entry ->> 'source_id' from jsonb_array_elements(p_records || p_deletions) as entry
    union select entry #>> '{record,source_id}' from jsonb_array_elements(p_links) as entry), p_record_ids);
  merged := private.merge_records(run.integration_id, run.stream, p_records, p_deletions, run.sync_log_id);
  update public.sync_logs as log set
    created_count = log.created_count + (merged ->> 'created')::int,
    updated_count = log.updated_count + (merged ->> 'updated')::int,
    deleted_count = log.deleted_count + (merged ->> 'deleted')::int
  where log.id = p_sync_log_id and (p_records <> '[]' or p_deletions <> '[]');
  if not settings.pushes then
    perform private.write_as(writer);
    return jsonb_build_object('changes', '[]'::jsonb);
  end if;
  for link in
    select (entry ->> 'record_id')::uuid as record_id, entry -> 'record' as record
    from jsonb_array_elements(p_links) as entry
    where (entry ->> 'record_id')::uuid = any (p_record_ids)
  loop
    perform private.link_record(settings, link.record_id, link.record, run.sync_log_id);
  end loop;

  -- changed back, or deleted before it was made: nothing is left to do
  execute format($sql$
    select array_agg(change.record_id) from private.outbound_changes as change
    left join %1$s as held on held.id = change.record_id
    where change.integration_id = $1 and change.stream = $2 and change.record_id = any ($3)
      and (held.id is null or change.operation = 'delete' and private.operation_of(change) = 'create'
        or change.operation = 'update' and cardinality(private.columns_to_write(change, %2$s)) = 0)
    $sql$, synced_table, private.document_sql('held', settings.push_columns))
  into settled using run.integration_id, run.stream, p_record_ids;
  if settled is not null then
    perform private.drop_changes(run.integration_id, run.stream, settled);
    execute format('delete from %s as held where held.id = any ($1) and held.source_id = ''local:'' || held.id and held.deleted_at is not null',
      synced_table) using settled;
  end if;

  execute format($sql$
    with wanted as (
      select change, %2$s as columns, held.content_hash, private.columns_to_write(change, %2$s) as to_write
      from unnest($3) as asked (record_id)
      -- "offset 0" makes it index look-ups of each, however many others there are
      cross join lateral (
        select change from private.outbound_changes as change
        where change.integration_id = $1 and change.stream = $2 and change.record_id = asked.record_id offset 0
      ) as pending
      join %1$s as held on held.id = asked.record_id
      where (change).fits and not (change).refused
    ), intent as (
      update private.outbound_changes as sent set
        sending = private.pick(wanted.columns, wanted.to_write), sending_version = sent.version, sending_at = clock_timestamp(),
        earlier = case when sent.sending_at is not null then jsonb_build_object(
          'sending', sent.sending, 'sending_version', sent.sending_version, 'sending_at', sent.sending_at) end
      from wanted
      where sent.integration_id = $1 and sent.stream = $2 and sent.record_id = any ($3) and sent.record_id = (wanted.change).record_id
    )
    select coalesce(jsonb_agg(private.describe_change(wanted.change, wanted.columns, wanted.content_hash, wanted.to_write)
      order by (wanted.change).run_at, (wanted.change).version), '[]')
    from wanted
    $sql$, synced_table, private.document_sql('held', settings.push_columns))
  into changes using run.integration_id, run.stream, p_record_ids;
  -- what was linked, settled or merged is a step ahead, though nothing of it has an outcome
  update private.sync_runs as held set leased_at = clock_timestamp(), lease_expires_at = clock_timestamp() + interval '180 seconds',
    attempt_count = case
      when p_links <> '[]' or settled is not null or merged <> '{"created": 0, "updated": 0, "deleted": 0}' then 0
      else held.attempt_count
    end
  where held.sync_log_id = p_sync_log_id;
  perform private.write_as(writer);
  return jsonb_build_object('changes', changes);
end;
$$;
grant execute on function public.settle_outbound_changes(uuid, uuid, uuid[], jsonb, jsonb, jsonb) to service_role;
