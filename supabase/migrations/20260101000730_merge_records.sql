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

create function private.delete_synced_data(integration_id uuid)
returns void
language plpgsql
set search_path = ''
as $$
declare
  synced_table regclass;
begin
  for synced_table in select known.table_name from private.stream_tables as known loop
    execute format('delete from %s where integration_id = $1', synced_table) using delete_synced_data.integration_id;
  end loop;
  delete from public.sync_errors as refused where refused.integration_id = delete_synced_data.integration_id;
  -- a later reconnect starts from nothing
  update public.sync_streams as stream set cursor = null, last_full_sync_at = null
  where stream.integration_id = delete_synced_data.integration_id;
end;
$$;

-- Merges versions and deletions into a stream's table. `records`: [{ source_id, source_updated_at,
-- last_synced_at, content_hash, source_data, …columns }]; `deletions`: [{ source_id, source_deleted_at,
-- absent_at }]. Writes only rows that move forward. { created, updated, deleted }.
create function private.merge_records(integration_id uuid, stream text, records jsonb, deletions jsonb default '[]')
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  synced_table regclass := private.stream_table(merge_records.stream);
  owner record;
  columns text[] := private.record_columns(synced_table);
  created_count int := 0;
  updated_count int := 0;
  deleted_count int := 0;
begin
  select integration.organization_id, integration.connector into owner
  from public.integrations as integration where integration.id = merge_records.integration_id;
  if not found then
    perform private.refuse('integration_not_found');
  end if;

  if jsonb_array_length(merge_records.records) > 0 then
    -- The left join keeps rows that do not move forward away from the insert: "on conflict" alone would
    -- lock, and so write, each of them. Its own where clause decides again, should a webhook come between.
    execute format($sql$
      with page as (
        select distinct on (record.source_id) record.*
        from jsonb_populate_recordset(null::%1$s, $3) as record
        order by record.source_id, least(record.source_updated_at, record.last_synced_at) desc, record.last_synced_at desc,
          coalesce(record.source_updated_at, '-infinity') desc, record.content_hash desc
      ), forward as (
        select page.*, held.source_id is null as is_new,
          held.deleted_at is not null or held.content_hash is distinct from page.content_hash as is_change
        from page
        -- "offset 0" makes it one index look-up a record: the planner would rather read a whole smaller table
        left join lateral (
          select * from %1$s as held where held.integration_id = $1 and held.source_id = page.source_id offset 0
        ) as held on true
        where held.content_hash is null
          or (least(page.source_updated_at, page.last_synced_at), page.last_synced_at, coalesce(page.source_updated_at, '-infinity'), page.content_hash)
           > (least(held.source_updated_at, held.last_synced_at), held.last_synced_at, coalesce(held.source_updated_at, '-infinity'), held.content_hash)
      ), written as (
        insert into %1$s as held (organization_id, integration_id, source, source_id, source_data, source_updated_at,
          content_hash, last_synced_at, %2$s)
        select $2, $1, $4, source_id, source_data, source_updated_at, content_hash, last_synced_at, %2$s
        from forward
        on conflict (integration_id, source_id) do update set
          source_data = excluded.source_data, source_updated_at = excluded.source_updated_at,
          content_hash = excluded.content_hash, last_synced_at = excluded.last_synced_at, updated_at = now(), %3$s
        where held.content_hash is null
          or (least(excluded.source_updated_at, excluded.last_synced_at), excluded.last_synced_at, coalesce(excluded.source_updated_at, '-infinity'), excluded.content_hash)
           > (least(held.source_updated_at, held.last_synced_at), held.last_synced_at, coalesce(held.source_updated_at, '-infinity'), held.content_hash)
        returning source_id
      )
      select count(*) filter (where forward.is_new), count(*) filter (where not forward.is_new and forward.is_change)
      from written join forward using (source_id)
      $sql$,
      synced_table,
      (select string_agg(format('%I', name), ', ') from unnest(columns) as name),
      (select string_agg(format('%1$I = excluded.%1$I', name), ', ') from unnest(columns) as name))
    into created_count, updated_count
    using merge_records.integration_id, owner.organization_id, merge_records.records, owner.connector;
  end if;

  if jsonb_array_length(merge_records.deletions) > 0 then
    -- A deletion of a record never seen is kept too: the version it deletes may still arrive.
    execute format($sql$
      with gone as (
        select deletion.source_id, max(deletion.source_deleted_at) as source_deleted_at, max(deletion.absent_at) as absent_at
        from jsonb_populate_recordset(null::%1$s, $3) as deletion
        group by deletion.source_id
      ), before as (
        select gone.*, held.source_id is not null and held.deleted_at is null as was_live
        from gone
        left join %1$s as held on held.integration_id = $1 and held.source_id = gone.source_id
        where held.source_id is null
          or gone.source_deleted_at > coalesce(held.source_deleted_at, '-infinity')
          or gone.absent_at > coalesce(held.absent_at, '-infinity')
      ), written as (
        insert into %1$s as held (organization_id, integration_id, source, source_id, source_deleted_at, absent_at)
        select $2, $1, $4, source_id, source_deleted_at, absent_at from before
        on conflict (integration_id, source_id) do update set
          source_deleted_at = greatest(held.source_deleted_at, excluded.source_deleted_at),
          absent_at = greatest(held.absent_at, excluded.absent_at), updated_at = now()
        returning source_id, deleted_at
      )
      select count(*) filter (where before.was_live and written.deleted_at is not null)
      from written join before using (source_id)
      $sql$, synced_table)
    into deleted_count
    using merge_records.integration_id, owner.organization_id, merge_records.deletions, owner.connector;
  end if;

  return jsonb_build_object('created', created_count, 'updated', updated_count, 'deleted', deleted_count);
end;
$$;
