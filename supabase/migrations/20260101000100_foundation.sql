-- What every later migration stands on: extensions, the private schema, and default rights taken back,
-- so that each grant further on is a decision someone can see.

create extension if not exists pgcrypto with schema extensions;
create extension if not exists pg_cron;
create extension if not exists pg_net with schema extensions;
create extension if not exists supabase_vault;

-- Projects made before 2026-10-30 still grant everything in public to the API roles.
alter default privileges for role postgres in schema public
  revoke all on tables from anon, authenticated, service_role;
alter default privileges for role postgres in schema public
  revoke all on sequences from anon, authenticated, service_role;
alter default privileges for role postgres in schema public
  revoke execute on functions from anon, authenticated, service_role;
-- Without "in schema": the per-schema form does not undo Postgres' own grant to PUBLIC.
alter default privileges for role postgres revoke execute on functions from public;

create schema private;
comment on schema private is 'Tables and functions no client reaches directly; never an exposed schema.';
revoke all on schema private from public;
-- Policies and security-invoker RPCs run as the caller and name functions in here; each has its own grant.
grant usage on schema private to authenticated, service_role;

create function private.touch_updated_at()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.updated_at := now();
  return new;
end;
$$;

-- Refuses with one of the codes in _shared/platform/errors.ts, which the functions answer as it is.
create function private.refuse(code text, detail text default null)
returns void
language plpgsql
set search_path = ''
as $$
begin
  raise exception using errcode = 'PB001', message = refuse.code, detail = coalesce(refuse.detail, '');
end;
$$;

-- Time partitions live in private, so that the Data API never shows them beside their parent.
-- Makes the partition of this period and of the next `ahead`; safe to call again. Rows that came before
-- their partition wait in the default one, which would refuse the new partition: they move into it. The default one
-- says the fillfactor too: a partitioned table has none.
create function private.ensure_partitions(parent regclass, period text, ahead int default 2)
returns void
language plpgsql
set search_path = ''
as $$
declare
  step interval := case ensure_partitions.period when 'month' then interval '1 month' when 'day' then interval '1 day' end;
  first_day timestamptz := date_trunc(ensure_partitions.period, now() at time zone 'utc') at time zone 'utc';
  starts_at timestamptz;
  ends_at timestamptz;
  partition_name text;
  default_partition regclass;
  partition_key name;
  fill int;
begin
  select partitioned.partdefid, attribute.attname into default_partition, partition_key
  from pg_catalog.pg_partitioned_table as partitioned
  join pg_catalog.pg_attribute as attribute
    on attribute.attrelid = partitioned.partrelid and attribute.attnum = partitioned.partattrs[0]
  where partitioned.partrelid = ensure_partitions.parent;
  fill := coalesce((
    select option.option_value::int
    from pg_catalog.pg_class as class, pg_catalog.pg_options_to_table(class.reloptions) as option
    where class.oid = default_partition and option.option_name = 'fillfactor'), 100);
  for offset_number in 0..ensure_partitions.ahead loop
    starts_at := (first_day at time zone 'utc' + step * offset_number) at time zone 'utc';
    ends_at := (first_day at time zone 'utc' + step * (offset_number + 1)) at time zone 'utc';
    partition_name := format('%s_%s',
      (select class.relname from pg_catalog.pg_class as class where class.oid = ensure_partitions.parent),
      to_char(starts_at at time zone 'utc', case ensure_partitions.period when 'month' then 'YYYY_MM' else 'YYYY_MM_DD' end));
    if to_regclass(format('private.%I', partition_name)) is null then
      execute format('create table private.%I (like %s including defaults including constraints) with (fillfactor = %s)',
        partition_name, ensure_partitions.parent, fill);
      execute format('alter table private.%I enable row level security', partition_name);
      if default_partition <> 0 then
        execute format('with late as (delete from %s where %I >= %L and %I < %L returning *) insert into private.%I select * from late',
          default_partition, partition_key, starts_at, partition_key, ends_at, partition_name);
      end if;
      execute format('alter table %s attach partition private.%I for values from (%L) to (%L)',
        ensure_partitions.parent, partition_name, starts_at, ends_at);
    end if;
  end loop;
end;
$$;

-- Drops the partitions whose whole period is older than `keep`, and what no period's partition has taken up to the same
-- day. Returns how many partitions.
create function private.drop_old_partitions(parent regclass, keep interval)
returns int
language plpgsql
set search_path = ''
as $$
declare
  old record;
  dropped int := 0;
begin
  for old in
    select child.oid::regclass as name, attribute.attname as default_key
    from pg_catalog.pg_inherits as inheritance
    join pg_catalog.pg_class as child on child.oid = inheritance.inhrelid
    join pg_catalog.pg_partitioned_table as partitioned on partitioned.partrelid = inheritance.inhparent
    left join pg_catalog.pg_attribute as attribute
      on attribute.attrelid = partitioned.partrelid and attribute.attnum = partitioned.partattrs[0] and partitioned.partdefid = child.oid
    where inheritance.inhparent = drop_old_partitions.parent
      and (partitioned.partdefid = child.oid
        or substring(pg_catalog.pg_get_expr(child.relpartbound, child.oid) from 'TO \(''([^'']+)''\)')::timestamptz
          < now() - drop_old_partitions.keep)
    order by partitioned.partdefid = child.oid desc
  loop
    if old.default_key is not null then
      execute format('delete from %s where %I < $1', old.name, old.default_key)
      using date_trunc('day', now() - drop_old_partitions.keep, 'UTC');
    else
      execute format('drop table %s', old.name);
      dropped := dropped + 1;
    end if;
  end loop;
  return dropped;
end;
$$;

-- Keeps a table's partitions ahead of time and drops what is past its retention: one transaction a table, since it locks
-- the table against everybody. Gives up where somebody has held the table for two seconds, or those who come after would
-- wait with it; the next run does it.
create function private.maintain_partitions(parent regclass, period text, ahead int, keep interval)
returns void
language plpgsql
set search_path = ''
set lock_timeout = '2s'
as $$
begin
  perform private.ensure_partitions(maintain_partitions.parent, maintain_partitions.period, maintain_partitions.ahead);
  perform private.drop_old_partitions(maintain_partitions.parent, maintain_partitions.keep);
end;
$$;
