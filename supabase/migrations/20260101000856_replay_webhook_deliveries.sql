-- Sending again what was sent or missed, and test events.

-- Queues deliveries of one endpoint again, the oldest first, with all their attempts before them, and returns how many: as
-- many as at_most when there may be more. What waits for its next attempt becomes due at once. what: failed, all, or
-- missing – events of the range that the endpoint wants now and never got a delivery for, such as those from before it was
-- made. Plain SQL may call it; clients have public.replay_webhook_deliveries.
create function private.replay_webhook_deliveries(
  endpoint_id uuid, event_ids uuid[] default null, what text default 'failed',
  since timestamptz default '-infinity', until timestamptz default 'infinity', at_most int default 10000
)
returns int
language plpgsql
set search_path = ''
as $$
declare
  endpoint public.app_webhooks;
  replayed_count int := 0;
  hurried_count int := 0;
begin
  select * into endpoint from public.app_webhooks as held where held.id = replay_webhook_deliveries.endpoint_id;
  if not found then
    perform private.refuse('webhook_endpoint_not_found');
  end if;
  if what = 'missing' then
    with added as (
      insert into public.webhook_deliveries (organization_id, endpoint_id, event_id, event_created_at, event_type, next_attempt_at)
      select event.organization_id, endpoint.id, event.id, event.created_at, event.type, now()
      from public.events as event
      where event.organization_id = endpoint.organization_id
        and event.created_at >= since and event.created_at < until
        and (event_ids is null or event.id = any (event_ids))
        and event.type like any (endpoint.type_patterns) and event.type <> 'webhook.test'
        and (endpoint.filter is null or private.condition_holds(endpoint.filter, private.event_document(event)))
        and not exists (
          select 1 from public.webhook_deliveries as delivery
          where delivery.endpoint_id = endpoint.id and delivery.event_created_at = event.created_at and delivery.event_id = event.id)
      order by event.created_at, event.position
      limit at_most
      on conflict do nothing
      returning event_id, event_created_at
    )
    insert into private.webhook_queue (endpoint_id, event_id, event_created_at, lane)
    select endpoint.id, added.event_id, added.event_created_at, case when endpoint.ordered_by_subject then event.subject end
    from added
    join public.events as event on event.id = added.event_id and event.created_at = added.event_created_at
    order by event.position;
    get diagnostics replayed_count = row_count;
  elsif what in ('failed', 'all') then
    with hurried as (
      update private.webhook_queue as queued set run_at = now(), attempt_count = 0
      where queued.lease_token is null and queued.position = any (array(
        select waiting.position
        from private.webhook_queue as waiting
        join public.webhook_deliveries as delivery
          on delivery.endpoint_id = endpoint.id
          and delivery.event_id = waiting.event_id and delivery.event_created_at = waiting.event_created_at
        where waiting.endpoint_id = endpoint.id and waiting.lease_token is null
          and waiting.run_at > now() and waiting.run_at < 'infinity' -- not what waits for another of its subject
          and waiting.event_created_at >= since and waiting.event_created_at < until
          and (event_ids is null or waiting.event_id = any (event_ids))
          and (what = 'all' or delivery.last_error is not null)
        order by waiting.run_at
        limit at_most
        for update of waiting))
      returning queued.event_id, queued.event_created_at
    )
    update public.webhook_deliveries as delivery set next_attempt_at = now()
    from hurried
    where delivery.endpoint_id = endpoint.id
      and delivery.event_created_at = hurried.event_created_at and delivery.event_id = hurried.event_id;
    get diagnostics hurried_count = row_count;
    with chosen as materialized (
      select ended.event_id, ended.event_created_at
      from public.webhook_deliveries as ended
      where ended.endpoint_id = endpoint.id and ended.event_created_at >= since and ended.event_created_at < until
        and (event_ids is null or ended.event_id = any (event_ids))
        and (ended.status = 'failed' or what = 'all' and ended.status = 'succeeded')
      order by ended.event_created_at
      limit at_most - hurried_count
      for update
    ), again as (
      update public.webhook_deliveries as ended set status = 'queued', finished_at = null, next_attempt_at = now()
      from chosen
      where ended.endpoint_id = endpoint.id and ended.event_created_at = chosen.event_created_at and ended.event_id = chosen.event_id
      returning ended.event_id, ended.event_created_at
    )
    insert into private.webhook_queue (endpoint_id, event_id, event_created_at, lane)
    select endpoint.id, again.event_id, again.event_created_at, case when endpoint.ordered_by_subject then event.subject end
    from again
    join public.events as event on event.id = again.event_id and event.created_at = again.event_created_at
    order by event.position;
    get diagnostics replayed_count = row_count;
  else
    perform private.refuse('invalid_request', 'what is failed, all or missing');
  end if;
  if replayed_count + hurried_count > 0 then
    perform private.wake_worker('webhook-deliver');
  end if;
  return replayed_count + hurried_count;
end;
$$;

-- As above, up to 10,000 at once.
create function public.replay_webhook_deliveries(
  p_endpoint_id uuid, p_event_ids uuid[] default null, p_what text default 'failed',
  p_since timestamptz default '-infinity', p_until timestamptz default 'infinity', p_actor_id uuid default null
)
returns int
language plpgsql
security definer
set search_path = ''
set statement_timeout = '60s'
as $$
declare
  endpoint public.app_webhooks;
  replayed_count int := private.replay_webhook_deliveries(p_endpoint_id, p_event_ids, p_what, p_since, p_until);
begin
  select * into endpoint from public.app_webhooks where id = p_endpoint_id;
  perform private.record_activity(endpoint.organization_id, 'webhook_endpoint.replayed', 'webhook_endpoint', p_endpoint_id::text,
    jsonb_build_object('host', private.url_host(endpoint.url), 'what', p_what, 'count', replayed_count), 'success', p_actor_id);
  return replayed_count;
end;
$$;
grant execute on function public.replay_webhook_deliveries(uuid, uuid[], text, timestamptz, timestamptz, uuid) to service_role;

-- Sends a test event to this endpoint alone. Returns its delivery.
create function public.ping_webhook_endpoint(p_endpoint_id uuid, p_actor_id uuid default null)
returns public.webhook_deliveries
language plpgsql
security definer
set search_path = ''
as $$
declare
  endpoint public.app_webhooks := private.require_endpoint(p_endpoint_id);
  event_id uuid;
  event public.events;
  delivery public.webhook_deliveries;
begin
  perform private.act_as(p_actor_id);
  if endpoint.status <> 'active' then
    perform private.refuse('webhook_endpoint_not_active', 'Deliveries to this endpoint are held: activate it first.');
  end if;
  event_id := private.emit_event(endpoint.organization_id, 'webhook.test',
    jsonb_build_object('endpoint_id', endpoint.id), 'webhook_endpoint/' || endpoint.id);
  select * into event from public.events as emitted where emitted.created_at = now() and emitted.id = event_id;
  insert into public.webhook_deliveries (organization_id, endpoint_id, event_id, event_created_at, event_type, next_attempt_at)
  values (endpoint.organization_id, endpoint.id, event.id, event.created_at, event.type, now())
  returning * into delivery;
  insert into private.webhook_queue (endpoint_id, event_id, event_created_at)
  values (endpoint.id, event.id, event.created_at);
  perform private.wake_worker('webhook-deliver');
  perform private.record_activity(endpoint.organization_id, 'webhook_endpoint.pinged', 'webhook_endpoint', endpoint.id::text,
    jsonb_build_object('host', private.url_host(endpoint.url)), 'success', p_actor_id);
  return delivery;
end;
$$;
grant execute on function public.ping_webhook_endpoint(uuid, uuid) to service_role;
