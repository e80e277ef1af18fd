-- The one way records enter any synced table: merged, so that the order of arrival does not matter.

create function private.stream_has_rows(integration_id uuid, stream text)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
declare
  has_rows boolean;
begin
  execute format('select exists (select 1 from %s where integration_id = $1)', private.stream_table(stream_has_rows.stream))
  into has_rows using stream_has_rows.integration_id;
  return has_rows;
end;
$$;

-- Locks all that an integration holds, and its runs. Never waits for one while it holds another: a run's worker waits for rows,
-- and whoever changes rows for the run.
create function private.hold_synced_data(integration_id uuid)
returns void
language plpgsql
set search_path = ''
as $$
declare
  synced_table regclass;
  gives_up_at timestamptz := clock_timestamp() + interval '20 seconds';
begin
  loop
    begin
      perform 1 from public.sync_streams as held where held.integration_id = hold_synced_data.integration_id for update nowait;
      perform 1 from private.sync_runs as held where held.integration_id = hold_synced_data.integration_id for update nowait;
      for synced_table in select known.table_name from private.stream_tables as known loop
        execute format('select 1 from %s where integration_id = $1 for update nowait', synced_table)
        using hold_synced_data.integration_id;
      end loop;
      return;
    exception when lock_not_available then
      if clock_timestamp() > gives_up_at then
        raise;
      end if;
    end;
    perform pg_sleep(0.01);
  end loop;
end;
$$;

create function private.delete_synced_data(integration_id uuid)
returns void
language plpgsql
set search_path = ''
as $$
declare
  synced_table regclass;
  writer text := private.write_as('sync'); -- nothing of it is a change to push
begin
  for synced_table in select known.table_name from private.stream_tables as known loop
    execute format('delete from %s where integration_id = $1', synced_table) using delete_synced_data.integration_id;
  end loop;
  delete from private.outbound_changes as change where change.integration_id = delete_synced_data.integration_id;
  delete from public.sync_errors as refused where refused.integration_id = delete_synced_data.integration_id;
  -- a later reconnect starts from nothing
  update public.sync_streams as stream set cursor = null, last_full_sync_at = null
  where stream.integration_id = delete_synced_data.integration_id;
  perform private.write_as(writer);
end;
$$;

-- By what versions are ordered: what the platform changed last, then what was read last. Its clock may be a little ahead of
-- ours; no time counts as more than 10 s after our reading. Made of `alias`, for a query.
create function private.version_order_sql(alias text)
returns text
language sql
immutable
set search_path = ''
as $$
  select format(
    '(case when %1$s.source_updated_at is null then %1$s.last_synced_at else least(%1$s.source_updated_at, %1$s.last_synced_at + interval ''10 seconds'') end, %1$s.last_synced_at, coalesce(%1$s.source_updated_at, ''-infinity''), %1$s.content_hash)',
    version_order_sql.alias);
$$;

-- Whether the version that is `alias` is newer than the one that is held, for a query. What we have just written there ourselves
-- may have no time of the platform's yet: what was read after that is newer, however far apart the two clocks are.
create function private.moves_forward_sql(alias text)
returns text
language sql
immutable
set search_path = ''
as $$
  select format($sql$(held.content_hash is null or %2$s > %3$s
    or held.content_hash ^@ any ('{pushed:,given up:}') and held.source_updated_at is null and %1$s.last_synced_at > held.last_synced_at)$sql$,
    moves_forward_sql.alias, private.version_order_sql(moves_forward_sql.alias), private.version_order_sql('held'));
$$;

-- What a merge says of each record it wrote, as three aggregates over `written join forward`: types, subjects, data.
-- columns: those to put into the event; null: none. A record over 200 KB is left out, since an event would not hold it.
create function private.record_events_sql(stream text, columns text[])
returns text
language sql
stable
set search_path = ''
as $$
  select format($sql$
    array_agg(case when written.is_new or forward.was_gone then %1$L else %2$L end) filter (where forward.is_change and written.deleted_at is null),
    array_agg(%3$L || written.id) filter (where forward.is_change and written.deleted_at is null),
    array_agg(jsonb_build_object('stream', %4$L, 'integration_id', $1, 'record_id', written.id, 'source_id', source_id)
      || case when written.is_new or forward.was_gone then '{}' else jsonb_build_object('changed_fields', forward.changed_fields) end
      || %5$s) filter (where forward.is_change and written.deleted_at is null)
    $sql$,
    known.record_name || '.created', known.record_name || '.updated', known.record_name || '/', known.stream,
    coalesce('(select case when octet_length(own.record::text) <= 200000 then jsonb_build_object(''record'', own.record) else ''{}'' end
      from (select jsonb_build_object(' || (
        select string_agg(format('%1$L, forward.%1$I', name), ', ') from unnest(record_events_sql.columns) as name
      ) || ') as record) as own)', '''{}''::jsonb'))
  from private.stream_tables as known
  where known.stream = record_events_sql.stream;
$$;

-- Merges versions and deletions into a stream's table. `records`: [{ source_id, source_updated_at,
-- last_synced_at, content_hash, source_data, …columns }]; `deletions`: [{ source_id, source_deleted_at,
-- absent_at }]. Writes only rows that move forward. { created, updated, deleted }. Where the stream asks for it, each
-- change is an event of this transaction. Where it pushes, what was changed here meanwhile is settled first; sync_log_id is
-- the run that counts the conflicts.
create function private.merge_records(
  integration_id uuid, stream text, records jsonb, deletions jsonb default '[]', sync_log_id uuid default null
)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  synced_table regclass := private.stream_table(merge_records.stream);
  owner record;
  columns text[] := private.record_columns(synced_table);
  asked text;
  pushes boolean;
  types text[];
  subjects text[];
  data jsonb[];
  created_count int := 0;
  updated_count int := 0;
  deleted_count int := 0;
  writer text := private.write_as('sync'); -- what the platform says is no change to push
begin
  select integration.organization_id, integration.connector into owner
  from public.integrations as integration where integration.id = merge_records.integration_id;
  if not found then
    perform private.refuse('integration_not_found');
  end if;
  select settings.record_events, settings.pushes into asked, pushes
  from public.sync_streams as settings
  where settings.integration_id = merge_records.integration_id and settings.stream = merge_records.stream;
  asked := coalesce(asked, 'none');
  if pushes and (records <> '[]' or deletions <> '[]') then
    records := private.settle_changes(merge_records.integration_id, merge_records.stream, merge_records.records,
      merge_records.deletions, merge_records.sync_log_id);
  end if;

  if jsonb_array_length(merge_records.records) > 0 then
    -- The left join keeps rows that do not move forward away from the insert: "on conflict" alone would
    -- lock, and so write, each of them. Its own where clause decides again, should a webhook come between.
    execute format($sql$
      with page as (
        select distinct on (record.source_id) record.*
        from jsonb_populate_recordset(null::%1$s, $3) as record
        order by record.source_id, %6$s desc
      ), forward as (
        select page.*, held.deleted_at is not null as was_gone,
          held.deleted_at is not null or held.content_hash is distinct from page.content_hash as is_change,
          %4$s as changed_fields
        from page
        -- "offset 0" makes it one index look-up a record: the planner would rather read a whole smaller table
        left join lateral (
          select * from %1$s as held where held.integration_id = $1 and held.source_id = page.source_id offset 0
        ) as held on true
        where %7$s
      ), written as (
        insert into %1$s as held (organization_id, integration_id, source, source_id, source_data, source_updated_at,
          content_hash, last_synced_at, %2$s)
        select $2, $1, $4, source_id, source_data, source_updated_at, content_hash, last_synced_at, %2$s
        from forward
        on conflict (integration_id, source_id) do update set
          source_data = excluded.source_data, source_updated_at = excluded.source_updated_at,
          content_hash = excluded.content_hash, last_synced_at = excluded.last_synced_at, updated_at = now(), %3$s
        where %8$s
        returning id, source_id, deleted_at, xmax = 0 as is_new -- what was looked up may have come meanwhile
      )
      select count(*) filter (where written.is_new), count(*) filter (where not written.is_new and forward.is_change), %5$s
      from written join forward using (source_id)
      $sql$,
      synced_table,
      (select string_agg(format('%I', name), ', ') from unnest(columns) as name),
      (select string_agg(format('%1$I = excluded.%1$I', name), ', ') from unnest(columns) as name),
      case when asked = 'none' then 'null'
        else 'array_remove(array[' || (
          select string_agg(format('case when page.%1$I is distinct from held.%1$I then %1$L end', name), ', ') from unnest(columns) as name
        ) || '], null)' end,
      case when asked = 'none' then 'null, null, null'
        else private.record_events_sql(merge_records.stream, case when asked = 'records' then columns end) end,
      private.version_order_sql('record'), private.moves_forward_sql('page'), private.moves_forward_sql('excluded'))
    into created_count, updated_count, types, subjects, data
    using merge_records.integration_id, owner.organization_id, merge_records.records, owner.connector;
    if types is not null then
      perform private.emit_events(owner.organization_id, types, subjects, data);
    end if;
  end if;

  if jsonb_array_length(merge_records.deletions) > 0 then
    -- A deletion of a record never seen is kept too: the version it deletes may still arrive.
    execute format($sql$
      with gone as (
        select deletion.source_id, max(deletion.source_deleted_at) as source_deleted_at, max(deletion.absent_at) as absent_at
        from jsonb_populate_recordset(null::%1$s, $3) as deletion
        group by deletion.source_id
      ), locked as materialized (
        -- as they are and not as they were: of two that delete one record at once, the second finds it deleted
        select held.source_id, held.source_deleted_at, held.absent_at, held.deleted_at
        from %1$s as held
        where held.integration_id = $1 and held.source_id in (select gone.source_id from gone)
        order by held.source_id
        for update
      ), before as (
        select gone.*, held.source_id is not null and held.deleted_at is null as was_live
        from gone
        left join locked as held on held.source_id = gone.source_id
        where held.source_id is null
          or gone.source_deleted_at > coalesce(held.source_deleted_at, '-infinity')
          or gone.absent_at > coalesce(held.absent_at, '-infinity')
      ), written as (
        insert into %1$s as held (organization_id, integration_id, source, source_id, source_deleted_at, absent_at)
        select $2, $1, $4, source_id, source_deleted_at, absent_at from before
        on conflict (integration_id, source_id) do update set
          source_deleted_at = greatest(held.source_deleted_at, excluded.source_deleted_at),
          absent_at = greatest(held.absent_at, excluded.absent_at), updated_at = now()
        returning id, source_id, deleted_at
      )
      select count(*), array_agg(known.record_name || '.deleted'), array_agg(known.record_name || '/' || written.id),
        array_agg(jsonb_build_object('stream', known.stream, 'integration_id', $1, 'record_id', written.id, 'source_id', written.source_id))
      from written
      join before using (source_id)
      join private.stream_tables as known on known.table_name = %1$L::regclass
      where before.was_live and written.deleted_at is not null
      $sql$, synced_table)
    into deleted_count, types, subjects, data
    using merge_records.integration_id, owner.organization_id, merge_records.deletions, owner.connector;
    if types is not null and asked <> 'none' then
      perform private.emit_events(owner.organization_id, types, subjects, data);
    end if;
  end if;

  perform private.write_as(writer);
  return jsonb_build_object('created', created_count, 'updated', updated_count, 'deleted', deleted_count);
end;
$$;
