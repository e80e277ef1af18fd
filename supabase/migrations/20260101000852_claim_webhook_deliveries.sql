-- How workers come by deliveries: claiming them, being rung for, sleeping until the next is due.

-- Hands out due deliveries under one lease, each with its attempt written down, taking turns between endpoints:
-- { deliveries: [{ position, attempt_id, endpoint_id, endpoint_version, event_id }],
--   bodies: { event_id: text }, more, limited }. more: another claim may find more; limited: an endpoint got all that it may
-- have at once. An endpoint gets no more than its concurrency and its rate allow; a disabled one that is to be tried gets one.
-- p_awake_ms: how long the worker will be awake; 0: it is about to leave; null: another was rung for, who will say.
-- p_ahead: the worker keeps one lease_token and sees to the concurrency itself, so an endpoint that no other worker serves
-- gives it up to twice as many, lest its calls wait for Postgres to hear of those before.
create function public.claim_webhook_deliveries(
  p_lease_token uuid, p_limit int default 100, p_awake_ms int default 0, p_lease_seconds int default 60, p_ahead boolean default false
)
returns jsonb
language plpgsql
security definer
set search_path = ''
-- One plan, made once, that looks everything up by index, whatever the statistics say: the queue is empty in one moment
-- and holds a hundred thousand rows in the next. No bitmap scans: index scans remember which entries are dead.
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  endpoint_ids uuid[];
  claimed jsonb;
  event_ids uuid[];
  event_times timestamptz[];
  first_event_at timestamptz;
  last_event_at timestamptz;
  lost_ids uuid[];
  lost_positions bigint[];
  first_lost_at timestamptz;
  last_lost_at timestamptz;
  moved_count int; -- within lanes: others may be due now
  bodies jsonb;
  max_bytes constant int := 8388608; -- of the bodies of one claim
  too_many jsonb; -- deliveries that go beyond
begin
  -- skip locked: a transaction that rings holds the row until it commits, and this must not wait for it
  update private.worker_wakes as doorbell set awake_until = clock_timestamp() + make_interval(secs => p_awake_ms / 1000.0), rung_at = null
  where doorbell.worker = (
    select held.worker from private.worker_wakes as held
    where held.worker = 'webhook-deliver'
      and case when p_awake_ms is null then false
        when p_awake_ms = 0 then held.awake_until > clock_timestamp()
        else coalesce(held.awake_until, '-infinity') < clock_timestamp() + make_interval(secs => p_awake_ms / 2000.0) end
    for update skip locked);

  -- Whoever claims for an endpoint has its row, so that no two count its calls under way at once. Counted in a statement
  -- of its own: this one's snapshot may be older than the commit of whoever had the row before.
  select array_agg(locked.endpoint_id) into endpoint_ids
  from (
    select state.endpoint_id from private.webhook_endpoint_states as state
    where state.endpoint_id = any (array(
      select candidate.endpoint_id from private.endpoints_with_due_deliveries(least(p_limit, 64), p_lease_token, p_ahead) as candidate))
    for update skip locked
  ) as locked;
  if endpoint_ids is null then
    return jsonb_build_object('deliveries', '[]'::jsonb, 'bodies', '{}'::jsonb, 'more', false, 'limited', false);
  end if;

  select sum(case when endpoint.ordered_by_subject then private.set_back_followers(endpoint.id) else private.free_followers(endpoint.id) end)
  into moved_count
  from public.app_webhooks as endpoint
  where endpoint.id = any (endpoint_ids);

  with allowed as (
    select candidate.endpoint_id, candidate.allowance as count, endpoint.status = 'disabled' as is_probe,
      endpoint.rate_limit_per_second as rate, endpoint.ordered_by_subject as is_ordered
    from private.endpoints_with_due_deliveries(least(p_limit, 64), p_lease_token, p_ahead) as candidate
    join public.app_webhooks as endpoint on endpoint.id = candidate.endpoint_id
    where candidate.endpoint_id = any (endpoint_ids)
  ), due as (
    select next.*, row_number() over (partition by allowed.endpoint_id order by next.run_at, next.position) as turn
    from allowed
    cross join lateral private.due_deliveries(allowed.endpoint_id, allowed.is_ordered, least(allowed.count, p_limit)) as next
  ), chosen as (
    select due.position from due order by due.turn, due.run_at limit p_limit
  ), locked as (
    -- what another transaction has its hand on is passed over: a claim never waits
    select queued.* from private.webhook_queue as queued
    where queued.position = any (array(select chosen.position from chosen)) and queued.run_at <= clock_timestamp()
    for update skip locked
  ), taken as (
    update private.webhook_queue as queued set
      lease_token = p_lease_token, leased_at = clock_timestamp(), attempt_id = gen_random_uuid(),
      run_at = clock_timestamp() + make_interval(secs => p_lease_seconds), attempt_count = queued.attempt_count + 1
    from locked
    where queued.position = locked.position
    returning queued.*, locked.lease_token as lost_token, locked.attempt_id as lost_attempt_id, locked.leased_at as lost_at
  ), attempts as (
    insert into public.webhook_attempts (id, organization_id, endpoint_id, event_id, attempt_number, created_at)
    select taken.attempt_id, endpoint.organization_id, taken.endpoint_id, taken.event_id, taken.attempt_count, taken.leased_at
    from taken
    join public.app_webhooks as endpoint on endpoint.id = taken.endpoint_id
  ), used as (
    select allowed.endpoint_id, allowed.rate, allowed.is_probe, allowed.count as allowance, count(*) as count
    from taken
    join allowed on allowed.endpoint_id = taken.endpoint_id
    group by 1, 2, 3, 4
  ), spent as (
    update private.webhook_endpoint_states as state set
      next_free_at = case when used.rate is null then state.next_free_at
        else greatest(state.next_free_at, clock_timestamp() - private.rate_burst(used.rate)) + make_interval(secs => (used.count / used.rate)::double precision) end,
      probe_at = case when used.is_probe then clock_timestamp() + interval '2 minutes' else state.probe_at end
    from used
    where state.endpoint_id = used.endpoint_id and (used.rate is not null or used.is_probe)
  )
  select jsonb_build_object(
      'deliveries', coalesce(jsonb_agg(jsonb_build_object(
        'position', taken.position, 'attempt_id', taken.attempt_id, 'endpoint_id', taken.endpoint_id, 'endpoint_version', endpoint.version,
        'event_id', taken.event_id) order by taken.position), '[]'),
      'more', (select count(*) from chosen) = p_limit or moved_count > 0,
      'limited', (select coalesce(bool_or(used.count = used.allowance and not used.is_probe), false) from used)),
    array_agg(taken.event_id), array_agg(taken.event_created_at), min(taken.event_created_at), max(taken.event_created_at),
    array_agg(taken.lost_attempt_id) filter (where taken.lost_token is not null),
    array_agg(taken.position) filter (where taken.lost_token is not null), min(taken.lost_at), max(taken.lost_at)
  into claimed, event_ids, event_times, first_event_at, last_event_at, lost_ids, lost_positions, first_lost_at, last_lost_at
  from taken
  join public.app_webhooks as endpoint on endpoint.id = taken.endpoint_id;

  -- their worker died, or came too late to say what happened
  if lost_ids is not null then
    update public.webhook_attempts as attempt set outcome = 'unknown', finished_at = clock_timestamp(), error = private.lost_attempt_error()
    where attempt.created_at between first_lost_at and last_lost_at and attempt.id = any (lost_ids) and attempt.outcome is null;
    update public.webhook_deliveries as delivery set attempt_count = delivery.attempt_count + 1
    from private.webhook_queue as queued
    where queued.position = any (lost_positions) and delivery.endpoint_id = queued.endpoint_id
      and delivery.event_created_at = queued.event_created_at and delivery.event_id = queued.event_id
      and delivery.event_created_at between first_event_at and last_event_at;
  end if;
  -- The body as it is sent, the same for every attempt. Text, because JavaScript would round numbers beyond 2^53. The
  -- bounds are for the planner: it opens the partitions between them only.
  bodies := coalesce((
    select jsonb_object_agg(event.id, '{"type":' || to_json(event.type) || ',"timestamp":"'
      || to_char(event.created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '","data":' || event.data || '}')
    from (select distinct * from unnest(event_ids, event_times) as taken (id, created_at)) as sent
    -- "offset 0" makes it one index look-up an event: a bulk load's events all have one created_at
    cross join lateral (
      select * from public.events as held
      where held.created_at = sent.created_at and held.id = sent.id and held.created_at between first_event_at and last_event_at
      offset 0
    ) as event
  ), '{}');
  -- mostly far below: an event has 256 KB at most
  if pg_column_size(bodies) > max_bytes then
    with measured as (
      select taken.delivery, taken.number = 1 or sum(octet_length(bodies ->> (taken.delivery ->> 'event_id'))) over (order by taken.number) <= max_bytes as fits
      from jsonb_array_elements(claimed -> 'deliveries') with ordinality as taken (delivery, number)
    )
    select claimed || jsonb_build_object('deliveries', jsonb_agg(measured.delivery) filter (where measured.fits), 'more', true),
      jsonb_agg(measured.delivery || '{"outcome": "released"}') filter (where not measured.fits)
    into claimed, too_many
    from measured;
    perform public.finish_webhook_deliveries(p_lease_token, too_many);
    select jsonb_object_agg(kept.event_id, bodies -> kept.event_id) into bodies
    from (select distinct taken.delivery ->> 'event_id' as event_id from jsonb_array_elements(claimed -> 'deliveries') as taken (delivery)) as kept;
  end if;
  return claimed || jsonb_build_object('bodies', bodies);
end;
$$;
grant execute on function public.claim_webhook_deliveries(uuid, int, int, int, boolean) to service_role;

-- Rings for one more worker beside those that are awake, unless p_at_most have deliveries already or there is nothing that
-- another could take now. p_as_successor: the calling one leaves, and with it what keeps an endpoint at its bounds. Then only
-- those that have just claimed count: the others have left, or have their hands full, and wait for slow calls.
create function public.ring_delivery_worker(p_at_most int, p_as_successor boolean default false)
returns void
language plpgsql
security definer
set search_path = ''
as $$
begin
  if (
    select count(distinct queued.lease_token) from private.webhook_queue as queued
    where queued.lease_token is not null and queued.run_at > clock_timestamp()
      and (not p_as_successor or queued.leased_at > clock_timestamp() - interval '1 second')
  ) >= p_at_most
    or not p_as_successor and not exists (select 1 from private.endpoints_with_due_deliveries(1, gen_random_uuid(), true)) then
    return;
  end if;
  update private.worker_wakes set awake_until = null
  where worker = (
    select held.worker from private.worker_wakes as held
    where held.worker = 'webhook-deliver' and held.awake_until is not null
    for update skip locked);
  perform private.wake_worker('webhook-deliver');
end;
$$;
grant execute on function public.ring_delivery_worker(int, boolean) to service_role;

-- When the next delivery is due that may be sent by itself: a worker with time left sleeps towards it. Null: none. What
-- waits for an endpoint's calls under way is left out: whoever makes them takes it up, or rings for it.
create function public.next_webhook_delivery_at()
returns timestamptz
language sql
stable
security definer
set search_path = ''
as $$
  with recursive waiting as (
    (select queued.endpoint_id, queued.run_at from private.webhook_queue as queued order by queued.endpoint_id, queued.run_at limit 1)
    union all
    select following.endpoint_id, following.run_at
    from waiting
    cross join lateral (
      select queued.endpoint_id, queued.run_at from private.webhook_queue as queued
      where queued.endpoint_id > waiting.endpoint_id order by queued.endpoint_id, queued.run_at limit 1
    ) as following
  )
  select min(greatest(waiting.run_at, state.blocked_until, case when endpoint.status = 'disabled' then state.probe_at end,
    -- the rate limit's next turn
    case when endpoint.rate_limit_per_second is not null
      then state.next_free_at + make_interval(secs => (1 / endpoint.rate_limit_per_second)::double precision) end))
  from waiting
  join public.app_webhooks as endpoint on endpoint.id = waiting.endpoint_id
  join private.webhook_endpoint_states as state on state.endpoint_id = waiting.endpoint_id
  where waiting.run_at < 'infinity'
    and (
      select count(*) from private.webhook_queue as busy
      where busy.endpoint_id = waiting.endpoint_id and busy.lease_token is not null and busy.run_at > clock_timestamp()
    ) < case when endpoint.status = 'disabled' then 1 else endpoint.max_concurrency end
    and (endpoint.status = 'active' or endpoint.status = 'disabled' and state.probe_at is not null);
$$;
grant execute on function public.next_webhook_delivery_at() to service_role;
