-- Syncs: what is synced (sync_streams), each run's record (sync_logs), the queue of runs that are
-- not finished (private.sync_runs), and the records that were refused (sync_errors).

create table public.sync_streams (
  integration_id uuid not null,
  organization_id uuid not null,
  stream text not null,
  enabled boolean not null default true, -- false: only by hand
  offered boolean not null default true, -- false: the account has no such stream with its present settings
  direction text not null default 'pull',
  conflict_policy text not null default 'remote_wins', -- who is right where both sides changed a record
  merge_fields boolean not null default false, -- where the two sides changed different fields, both are right
  push_columns text[], -- what can be written at the platform of this account; null: nothing
  push_deletes boolean not null default false, -- a row deleted here is deleted there
  push_batch_size int, -- records in one call to the platform; null: as many as it takes
  filter jsonb, -- a condition over the record's own columns: only what fits is pushed; null: everything
  retry_pauses_s int[] not null default '{60,300,1800,7200}', -- after a record's temporary failures; the one after the last is final
  pushes boolean not null generated always as (direction <> 'pull' and push_columns is not null) stored,
  batch_size int not null default 2000, -- records written in one transaction; below 2000 the cost of the call itself shows
  record_events text not null default 'none', -- written for each record a sync creates, updates or deletes: ids says which, records also what is in it
  cursor jsonb, -- { since, bookmark }: the newest source_updated_at a finished run has seen, and the connector's own place; null: never finished
  full_sync_interval_minutes int not null default 1440, -- how often a scheduled run reads everything, to see deletions
  mass_delete_percent int not null default 25, -- a run that would delete more (and more than ten) stops and asks; 0: any
  last_full_sync_at timestamptz,
  next_sync_at timestamptz not null default now(),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (integration_id, stream),
  foreign key (integration_id, organization_id) references public.integrations (id, organization_id) on delete cascade,
  constraint sync_streams_direction_is_known check (direction in ('pull', 'push', 'both')),
  constraint sync_streams_conflict_policy_is_known check (conflict_policy in ('local_wins', 'remote_wins', 'latest_wins')),
  constraint sync_streams_record_events_is_known check (record_events in ('none', 'ids', 'records')),
  constraint sync_streams_push_columns_are_some check (cardinality(push_columns) > 0),
  constraint sync_streams_push_batch_size_is_1_to_1000 check (push_batch_size between 1 and 1000),
  constraint sync_streams_retry_pauses_are_up_to_20_of_a_day_at_most check (
    cardinality(retry_pauses_s) <= 20 and 1 <= all (retry_pauses_s) and 86400 >= all (retry_pauses_s)
    and array_position(retry_pauses_s, null) is null),
  constraint sync_streams_batch_size_is_1_to_5000 check (batch_size between 1 and 5000),
  constraint sync_streams_full_sync_interval_is_positive check (full_sync_interval_minutes > 0),
  constraint sync_streams_mass_delete_percent_is_a_percentage check (mass_delete_percent between 0 and 100)
);
comment on table public.sync_streams is 'One kind of record of one integration: how it is synced, and how far it got.';
create index sync_streams_organization_id_idx on public.sync_streams (organization_id, created_at desc);
create index sync_streams_next_sync_at_idx on public.sync_streams (next_sync_at) where enabled and offered;
create index sync_streams_pushing_idx on public.sync_streams (integration_id, stream) where pushes;
alter table public.sync_streams enable row level security;
create policy "members read their organization's streams"
  on public.sync_streams for select to authenticated
  using (organization_id = any ((select private.organization_ids('viewer'))::uuid[]));
create policy "managers tune their organization's streams"
  on public.sync_streams for update to authenticated
  using (organization_id = any ((select private.organization_ids('manager'))::uuid[]))
  with check (organization_id = any ((select private.organization_ids('manager'))::uuid[]));
grant select, update (
  enabled, batch_size, record_events, full_sync_interval_minutes, mass_delete_percent,
  direction, conflict_policy, merge_fields, push_deletes, push_batch_size, filter, retry_pauses_s
) on public.sync_streams to authenticated;
grant select on public.sync_streams to service_role;
create trigger sync_streams_touch before update on public.sync_streams
  for each row execute function private.touch_updated_at();

-- Refuses what the connector cannot do with this stream. Definer's rights: managers may not execute what it calls.
create function private.check_stream_settings()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  unknown_field text;
  offered jsonb := (
    select entry from public.integrations as integration
    join public.connectors as connector on connector.slug = integration.connector
    cross join jsonb_array_elements(connector.streams) as entry
    where integration.id = new.integration_id and entry ->> 'name' = new.stream);
begin
  if new.direction <> 'pull' and new.push_columns is null then
    perform private.refuse('stream_not_pushed', format('Nothing of the stream %s can be written at this account.', new.stream));
  elsif new.direction <> 'push' and offered ->> 'direction' = 'push' then
    perform private.refuse('stream_not_read', format('The stream %s can only be written at the platform.', new.stream));
  elsif new.push_deletes and (offered #>> '{push,deletes}')::boolean is not true then
    perform private.refuse('deletes_not_pushed', format('Records of the stream %s cannot be deleted at the platform.', new.stream));
  elsif new.filter is not null and not private.is_condition(new.filter) then
    perform private.refuse('invalid_request', 'A filter is a condition: a field, an operator and a value, or and, or, not of some.');
  elsif new.filter is not null then
    select field #>> '{}' into unknown_field
    from jsonb_path_query(new.filter, '$.**.field') as field
    where split_part(field #>> '{}', '.', 1) <> all (private.record_columns(private.stream_table(new.stream)))
    order by 1
    limit 1;
    if found then
      perform private.refuse('invalid_request', format('Records of the stream %s have no field %s to filter by.', new.stream, unknown_field));
    end if;
  end if;
  return new;
end;
$$;
create trigger sync_streams_check_settings before update on public.sync_streams
  for each row when (new.direction <> old.direction or new.push_deletes <> old.push_deletes or new.filter is distinct from old.filter)
  execute function private.check_stream_settings();

create table public.sync_logs (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null,
  integration_id uuid not null,
  stream text not null,
  sync_type text not null,
  mode text not null, -- full: everything, and what is gone is deleted; incremental: what changed since the cursor; push: only what changed here
  status text not null default 'queued',
  fetched_count int not null default 0,
  created_count int not null default 0,
  updated_count int not null default 0,
  unchanged_count int not null default 0,
  deleted_count int not null default 0,
  error_count int not null default 0, -- refused records
  pushed_count int not null default 0, -- local changes the platform took
  conflict_count int not null default 0, -- records both sides had changed
  failed_count int not null default 0, -- local changes the platform refused
  error jsonb, -- { code, message, next }: why it failed, or what a person should look at
  requested_by uuid references auth.users (id) on delete set null,
  attempt_count int not null default 0, -- how many workers have taken it up
  created_at timestamptz not null default now(),
  started_at timestamptz,
  finished_at timestamptz,
  duration_ms bigint generated always as ((extract(epoch from finished_at - started_at) * 1000)::bigint) stored,
  foreign key (integration_id, organization_id) references public.integrations (id, organization_id) on delete cascade,
  constraint sync_logs_sync_type_is_known check (sync_type in ('scheduled', 'manual', 'webhook', 'change')),
  constraint sync_logs_mode_is_known check (mode in ('full', 'incremental', 'push')),
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
  restart_count int not null default 0, -- times it has begun to read from the start again
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
  direction text not null default 'pull', -- pull: what the platform gave; push: a local change it did not take
  source_key text not null, -- source_id, or a hash of the payload, or push: with the record's id
  sync_log_id uuid references public.sync_logs (id) on delete set null,
  payload jsonb not null, -- the record as the platform sent it, which a manager may repair and replay; or the columns to push
  code text not null,
  message text not null,
  issues jsonb not null default '[]', -- [{ path, message }]
  attempt_count int not null default 1,
  created_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now(), -- when the platform last gave the record
  repaired_at timestamptz, -- when a person last changed the payload; from then on no sync puts the platform's over it
  resolved_at timestamptz,
  resolution text,
  foreign key (integration_id, organization_id) references public.integrations (id, organization_id) on delete cascade,
  constraint sync_errors_direction_is_known check (direction in ('pull', 'push')),
  constraint sync_errors_resolution_is_known check (resolution in ('synced', 'replayed', 'pushed', 'gone', 'dismissed')),
  constraint sync_errors_resolved_error_says_how check ((resolved_at is null) = (resolution is null))
);
comment on table public.sync_errors is 'Records a sync refused, with their payload: repairable, and replayed after a fix. And local changes a platform refused.';
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

-- A payload that a signed-in person changed is a repair; what a sync writes has no user.
create function private.mark_repaired()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if auth.uid() is not null then
    new.repaired_at := now();
  end if;
  return new;
end;
$$;
create trigger sync_errors_mark_repaired before update of payload on public.sync_errors
  for each row when (new.payload is distinct from old.payload) execute function private.mark_repaired();
