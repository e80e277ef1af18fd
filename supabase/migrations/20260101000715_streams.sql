-- What every synced table shares: its columns, and its line in the list of streams.

-- The shape, for `like`; it holds no rows itself. A row is a merge of three facts, each of which only
-- moves forward, so that pages and webhooks may arrive in any order:
--   * the newest version read: ordered by (source_updated_at, last_synced_at), where no time counts as
--     more than 10 s after our reading, or one wrong clock would freeze the row; equals by (source_updated_at
--     as given, content_hash)
--   * source_deleted_at: when the platform says it was deleted
--   * absent_at: when a complete read no longer found it
-- deleted_at follows from them. Of a record whose deletion alone is known, the stream's own columns are empty.
-- A row that was made here and has never been at the platform has the source_id local:<id> and no version.
create table private.synced_record (
  id uuid not null default gen_random_uuid(),
  organization_id uuid not null,
  integration_id uuid not null,
  source text not null, -- connectors.slug
  source_id text not null,
  source_data jsonb, -- the record as the platform sent it
  source_updated_at timestamptz, -- by the platform's clock; null where it does not say
  -- of the columns and source_data; pushed:<version>: as we wrote it there; given up:<either>: so it was, and what was changed here
  -- since is not sent; null: only its deletion is known, or it was made here
  content_hash text,
  last_synced_at timestamptz, -- when the version held here was read
  source_deleted_at timestamptz,
  absent_at timestamptz,
  deleted_at timestamptz generated always as (case
    when last_synced_at is null then coalesce(source_deleted_at, absent_at)
    when source_deleted_at >= least(source_updated_at, last_synced_at) then source_deleted_at
    when absent_at >= last_synced_at then absent_at
  end) stored,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
alter table private.synced_record enable row level security;

-- Which table holds which stream. A stream is one table of the shape above and one row here.
create table private.stream_tables (
  stream text primary key,
  table_name regclass not null unique,
  record_name text not null unique, -- of one record, in event types: product.created
  local_columns text[] not null default '{}' -- columns of ours beside the shape, which no platform fills
);
alter table private.stream_tables enable row level security;

create function private.stream_table(stream text)
returns regclass
language plpgsql
stable
set search_path = ''
as $$
declare
  found_table regclass := (
    select known.table_name from private.stream_tables as known where known.stream = stream_table.stream
  );
begin
  if found_table is null then
    perform private.refuse('stream_not_found', format('No table holds the stream %s.', stream_table.stream));
  end if;
  return found_table;
end;
$$;

-- A stream's own columns: what a record brings beside the shape.
create function private.record_columns(synced_table regclass)
returns text[]
language sql
stable
set search_path = ''
as $$
  select array_agg(attribute.attname::text order by attribute.attnum)
  from private.stream_tables as known
  join pg_catalog.pg_attribute as attribute on attribute.attrelid = known.table_name
  where known.table_name = record_columns.synced_table
    and attribute.attnum > 0 and not attribute.attisdropped and attribute.attgenerated = ''
    and attribute.attname <> all (known.local_columns)
    and not exists (
      select 1 from pg_catalog.pg_attribute as shared
      where shared.attrelid = 'private.synced_record'::regclass and shared.attname = attribute.attname);
$$;

-- The integrations that push this stream, of organizations in which the caller may write. Definer's rights, and one array,
-- so that a policy evaluates it once a statement.
create function private.pushing_integrations(stream text)
returns uuid[]
language sql
stable
security definer
set search_path = ''
as $$
  select coalesce(array_agg(pushed.integration_id), '{}')
  from public.sync_streams as pushed
  where pushed.organization_id = any ((select private.organization_ids('member'))::uuid[])
    and pushed.stream = pushing_integrations.stream and pushed.pushes;
$$;
grant execute on function private.pushing_integrations(text) to authenticated;

-- Says who writes from here to the end of the transaction, or until it is said again, and answers who did before. What the
-- writer sync writes is no change to push. (A setting of ours in a function's own clause is a superuser's to write.)
create function private.write_as(writer text)
returns text
language plpgsql
set search_path = ''
as $$
declare
  former text := coalesce(current_setting('plugboard.writer', true), '');
begin
  perform set_config('plugboard.writer', write_as.writer, true);
  return former;
end;
$$;

-- A row made here: whose it is follows from its integration. Definer's rights: service and members write by column.
create function private.fill_local_row()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  select integration.organization_id, integration.connector into new.organization_id, new.source
  from public.integrations as integration where integration.id = new.integration_id;
  new.source_id := 'local:' || new.id;
  return new;
end;
$$;
