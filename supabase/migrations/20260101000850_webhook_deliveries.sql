-- Webhook deliveries: one row for each event on its way to one endpoint (the log people read), a row in the queue
-- while it is under way, and one attempt for each HTTP call. The queue loses nothing: a delivery leaves it when it
-- succeeded or its attempts are used up, and waits in it as long as its endpoint is paused or disabled.

-- A delivery is its event and its endpoint, so whatever writes one twice writes one. Partitioned by the event's day, with
-- which it goes. No foreign keys here and below: checking them for each row would cost a bulk load a tenth of its speed.
create table public.webhook_deliveries (
  organization_id uuid not null,
  endpoint_id uuid not null,
  event_id uuid not null,
  event_created_at timestamptz not null,
  event_type text not null,
  status text not null default 'queued',
  attempt_count int not null default 0,
  next_attempt_at timestamptz, -- while queued
  last_response_status int,
  last_error jsonb, -- { code, message } of the last attempt that failed
  finished_at timestamptz,
  -- the only index of most rows: it also lists an endpoint's deliveries, newest first
  primary key (endpoint_id, event_created_at, event_id),
  constraint webhook_deliveries_status_is_known check (status in ('queued', 'succeeded', 'failed')),
  constraint webhook_deliveries_finished_has_a_time check ((status = 'queued') = (finished_at is null))
) partition by range (event_created_at);
comment on table public.webhook_deliveries is 'One event on its way to one endpoint; kept 30 days.';
create index webhook_deliveries_failed_idx on public.webhook_deliveries (endpoint_id) where status = 'failed';
alter table public.webhook_deliveries enable row level security;
create policy "managers read the deliveries of their organization's endpoints"
  on public.webhook_deliveries for select to authenticated
  using (endpoint_id = any ((select private.webhook_endpoint_ids())::uuid[]));
grant select on public.webhook_deliveries to authenticated, service_role;
create table private.webhook_deliveries_default partition of public.webhook_deliveries default;
alter table private.webhook_deliveries_default enable row level security;
select private.ensure_partitions('public.webhook_deliveries', 'day', 7);

-- The work itself. A claim moves run_at to the end of its lease, so a delivery whose worker dies becomes due again by
-- itself. Whoever has an older attempt of it can no longer finish it. Where an endpoint wants subjects in order, what is
-- not the first of its lane waits with run_at 'infinity' until the one before it has ended.
create table private.webhook_queue (
  position bigint generated always as identity primary key, -- the order of emission
  endpoint_id uuid not null,
  event_id uuid not null,
  event_created_at timestamptz not null,
  lane text, -- the event's subject, where its endpoint wanted subjects in order when it was queued
  run_at timestamptz not null default now(),
  attempt_count int not null default 0, -- since it was queued or replayed
  lease_token uuid,
  leased_at timestamptz,
  attempt_id uuid, -- webhook_attempts.id of the attempt under way
  constraint webhook_queue_lease_is_whole
    check ((lease_token is null) = (leased_at is null) and (lease_token is null) = (attempt_id is null)),
  -- longer than the longest call (20 s) with its wait for a turn, so that a living worker keeps its delivery
  constraint webhook_queue_lease_outlives_a_call check (lease_token is null or run_at >= leased_at + interval '45 seconds')
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
create index webhook_queue_endpoint_id_run_at_idx on private.webhook_queue (endpoint_id, run_at, position);
create index webhook_queue_leased_idx on private.webhook_queue (endpoint_id, lease_token) where lease_token is not null;
create index webhook_queue_lane_idx on private.webhook_queue (endpoint_id, lane, position) where lane is not null;
alter table private.webhook_queue enable row level security;

create table public.webhook_attempts (
  id uuid not null default gen_random_uuid(),
  organization_id uuid not null,
  endpoint_id uuid not null,
  event_id uuid not null,
  attempt_number int not null,
  outcome text, -- null: under way
  response_status int,
  response_body text, -- its first 16 KB
  error jsonb, -- { code, message }: why it failed, in words
  latency_ms int,
  created_at timestamptz not null default clock_timestamp(), -- before the call
  finished_at timestamptz,
  primary key (created_at, id),
  constraint webhook_attempts_outcome_is_known check (outcome in ('succeeded', 'failed', 'unknown')),
  constraint webhook_attempts_finished_has_an_outcome check ((outcome is null) = (finished_at is null)),
  constraint webhook_attempts_failure_says_why check (outcome is null or outcome = 'succeeded' or error is not null)
) partition by range (created_at);
comment on table public.webhook_attempts is 'One HTTP call of a delivery; kept 30 days. unknown: its worker died before it could say.';
create index webhook_attempts_endpoint_id_event_id_idx on public.webhook_attempts (endpoint_id, event_id, created_at desc);
alter table public.webhook_attempts enable row level security;
create policy "managers read the attempts of their organization's endpoints"
  on public.webhook_attempts for select to authenticated
  using (endpoint_id = any ((select private.webhook_endpoint_ids())::uuid[]));
grant select on public.webhook_attempts to authenticated, service_role;
-- Every attempt is written twice, before its call and after it: the second time in the place that its page has kept, so that no
-- index hears of it.
create table private.webhook_attempts_default partition of public.webhook_attempts default with (fillfactor = 50);
alter table private.webhook_attempts_default enable row level security;
select private.ensure_partitions('public.webhook_attempts', 'day', 7);

-- Takes away what waits for endpoints that are gone, which no claim hands out; the log says so. Apart from the deletion,
-- which would wait for a long backlog, and sees no event that is emitted at the same time. Returns how many.
create function private.clear_orphaned_deliveries(at_most int default 10000)
returns int
language plpgsql
set search_path = ''
as $$
declare
  cleared_count int;
begin
  with recursive waiting as (
    (select queued.endpoint_id from private.webhook_queue as queued order by queued.endpoint_id limit 1)
    union all
    select (
      select queued.endpoint_id from private.webhook_queue as queued
      where queued.endpoint_id > waiting.endpoint_id order by queued.endpoint_id limit 1)
    from waiting
    where waiting.endpoint_id is not null
  ), cleared as (
    delete from private.webhook_queue as queued
    where queued.position = any (array(
      select orphan.position from private.webhook_queue as orphan
      where orphan.endpoint_id in (
          select waiting.endpoint_id from waiting
          where not exists (select 1 from public.app_webhooks as endpoint where endpoint.id = waiting.endpoint_id))
        -- whoever makes a call right now may still say what became of it
        and (orphan.lease_token is null or orphan.run_at <= clock_timestamp())
      limit at_most
      for update skip locked))
    returning queued.endpoint_id, queued.event_id, queued.event_created_at, queued.attempt_id, queued.leased_at
  ), ended as (
    update public.webhook_attempts as attempt set outcome = 'unknown', finished_at = clock_timestamp(), error = private.lost_attempt_error()
    from cleared
    where attempt.created_at = cleared.leased_at and attempt.id = cleared.attempt_id and attempt.outcome is null
  ), logged as (
    update public.webhook_deliveries as delivery set
      status = 'failed', next_attempt_at = null, finished_at = clock_timestamp(),
      last_error = jsonb_build_object('code', 'webhook_endpoint_deleted', 'message', 'The endpoint was deleted before this was delivered.')
    from cleared
    where delivery.endpoint_id = cleared.endpoint_id and delivery.event_created_at = cleared.event_created_at
      and delivery.event_id = cleared.event_id and delivery.status = 'queued'
  )
  select count(*) into cleared_count from cleared;
  return cleared_count;
end;
$$;

-- Makes due the first of each lane that waits for nothing that is there: what it waited for went with its day. Returns how many.
create function private.free_stranded_lanes()
returns int
language plpgsql
set search_path = ''
as $$
declare
  freed_count int;
begin
  update private.webhook_queue as queued set run_at = clock_timestamp()
  where queued.run_at = 'infinity' and queued.position = any (array(
    select first.position
    from (
      select distinct on (waiting.endpoint_id, waiting.lane) waiting.endpoint_id, waiting.lane, waiting.position
      from private.webhook_queue as waiting
      where waiting.run_at = 'infinity'
      order by waiting.endpoint_id, waiting.lane, waiting.position
    ) as first
    where not exists (
      select 1 from private.webhook_queue as ahead
      where ahead.endpoint_id = first.endpoint_id and ahead.lane = first.lane and ahead.run_at < 'infinity')));
  get diagnostics freed_count = row_count;
  return freed_count;
end;
$$;

create function private.lost_attempt_error()
returns jsonb
language sql
immutable
set search_path = ''
as $$
  select jsonb_build_object('code', 'worker_died', 'message', 'The worker stopped before it could say what the endpoint answered.');
$$;

-- Before the deletion, while it still says which endpoints there are: theirs is the index. The log of an endpoint that was
-- deleted before, which nobody can read, goes with its day.
-- Definer's rights: an owner who deletes an organization may not write the log.
create function private.delete_deliveries_of_organization()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  endpoint_ids uuid[] := array(select endpoint.id from public.app_webhooks as endpoint where endpoint.organization_id = old.id);
begin
  delete from public.webhook_attempts as attempt where attempt.endpoint_id = any (endpoint_ids);
  delete from public.webhook_deliveries as delivery where delivery.endpoint_id = any (endpoint_ids);
  return old;
end;
$$;
create trigger organizations_delete_deliveries before delete on public.organizations
  for each row execute function private.delete_deliveries_of_organization();

-- Fanning out ---------------------------------------------------------------------------------------

create function private.event_document(event public.events)
returns jsonb
language sql
immutable
set search_path = ''
as $$
  select jsonb_build_object('type', event.type, 'subject', event.subject, 'data', event.data);
$$;

-- One delivery for each endpoint that wants an event, in the transaction that emits it. A test event goes to one
-- endpoint only, which its sender queues.
-- Definer's rights: whoever emits has no way to the queue.
create function private.fan_out_events()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  can_be_sent boolean;
begin
  with wanted as (
    select event.organization_id, endpoint.id as endpoint_id, event.id as event_id, event.created_at, event.type, event.subject,
      event.position, endpoint.status = 'active' as is_active, endpoint.ordered_by_subject
    from emitted as event
    join public.app_webhooks as endpoint
      on endpoint.organization_id = event.organization_id
      and event.type like any (endpoint.type_patterns)
      and (endpoint.filter is null or private.condition_holds(endpoint.filter, private.event_document(event)))
    where event.type <> 'webhook.test'
  ), logged as (
    insert into public.webhook_deliveries (organization_id, endpoint_id, event_id, event_created_at, event_type, next_attempt_at)
    select organization_id, endpoint_id, event_id, created_at, type, now() from wanted
  ), queued as (
    -- due all at once: what is not the first of its lane, a claim sets back, since only there one sees what others committed
    insert into private.webhook_queue (endpoint_id, event_id, event_created_at, lane)
    select endpoint_id, event_id, created_at, case when ordered_by_subject then subject end from wanted order by position
  )
  select bool_or(wanted.is_active) into can_be_sent from wanted;
  if can_be_sent then
    perform private.wake_worker('webhook-deliver');
  end if;
  return null;
end;
$$;
create trigger events_fan_out after insert on public.events
  referencing new table as emitted
  for each statement execute function private.fan_out_events();
