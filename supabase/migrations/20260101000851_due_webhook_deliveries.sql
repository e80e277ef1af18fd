-- Which deliveries are due: what each endpoint may have now, and which of its subjects' events comes next.

-- What may come at once where nothing has come for a while: a second's worth, or one call.
create function private.rate_burst(rate numeric)
returns interval
language sql
immutable
set search_path = ''
as $$
  select make_interval(secs => greatest(1, 1 / rate)::double precision);
$$;

-- Null: as many as one likes.
create function private.calls_within_rate(rate numeric, next_free_at timestamptz)
returns int
language sql
volatile
strict
set search_path = ''
as $$
  select floor(rate * case
    when next_free_at > clock_timestamp() - private.rate_burst(rate) then extract(epoch from clock_timestamp() - next_free_at)
    else extract(epoch from private.rate_burst(rate))
  end)::int;
$$;

-- Endpoints with something due that may be called now, those that have waited longest first. Steps from endpoint to
-- endpoint along the index, so that a long backlog of one costs one look. What an endpoint may still have at once counts
-- the calls under way; a worker that is the only one to serve it may claim as many again in advance (claim_ahead).
create function private.endpoints_with_due_deliveries(at_most int, lease_token uuid, claim_ahead boolean)
returns table (endpoint_id uuid, allowance int)
language plpgsql -- which keeps its plan
set search_path = ''
as $$
begin
  return query
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
  select waiting.endpoint_id, allowed.allowance
  from waiting
  join public.app_webhooks as endpoint on endpoint.id = waiting.endpoint_id
  join private.webhook_endpoint_states as state on state.endpoint_id = waiting.endpoint_id
  cross join lateral (
    select count(*)::int as leased, count(*) filter (where busy.lease_token <> endpoints_with_due_deliveries.lease_token) as by_others
    from private.webhook_queue as busy
    where busy.endpoint_id = waiting.endpoint_id and busy.lease_token is not null and busy.run_at > clock_timestamp()
  ) as under_way
  cross join lateral (
    select case
      when endpoint.status = 'disabled' then 1
      when claim_ahead and under_way.by_others = 0 and endpoint.rate_limit_per_second is null
        then 2 * endpoint.max_concurrency - under_way.leased
      else least(endpoint.max_concurrency - under_way.leased,
        private.calls_within_rate(endpoint.rate_limit_per_second, state.next_free_at))
    end as allowance
  ) as allowed
  where waiting.run_at <= clock_timestamp() and state.blocked_until <= clock_timestamp()
    and (endpoint.status = 'active' or endpoint.status = 'disabled' and state.probe_at <= clock_timestamp())
    -- an endpoint that has all it may have would keep others from their turn
    and allowed.allowance > 0
  order by waiting.run_at
  limit at_most;
end;
$$;

-- Lets what is due, and not the first of its lane, wait for those before it. Returns how many. Only under the endpoint's
-- state row, which whoever ends the first of a lane takes before bringing the next one forward: neither misses the other.
create function private.set_back_followers(endpoint_id uuid)
returns int
language plpgsql -- which keeps its plan
set search_path = ''
as $$
declare
  follower_positions bigint[];
  set_back_count int;
  total int := 0;
begin
  for round in 1..3 loop -- some at a time: mostly the oldest are all first
    follower_positions := array(
      select oldest.position
      from (
        select due.position, due.lane, due.lease_token from private.webhook_queue as due
        where due.endpoint_id = set_back_followers.endpoint_id and due.run_at <= clock_timestamp()
        order by due.run_at, due.position
        limit 200
      ) as oldest
      where oldest.lane is not null and oldest.lease_token is null and exists (
        select 1 from private.webhook_queue as ahead
        where ahead.endpoint_id = set_back_followers.endpoint_id and ahead.lane = oldest.lane and ahead.position < oldest.position));
    update private.webhook_queue as queued set run_at = 'infinity'
    where queued.position = any (array(
      select held.position from private.webhook_queue as held
      where held.position = any (follower_positions) and held.lease_token is null
      for update skip locked));
    get diagnostics set_back_count = row_count;
    total := total + set_back_count;
    exit when set_back_count = 0;
  end loop;
  return total;
end;
$$;

-- Makes due what waited in lanes of an endpoint that no longer wants order, a thousand at a time. Returns how many.
create function private.free_followers(endpoint_id uuid)
returns int
language plpgsql -- which keeps its plan
set search_path = ''
as $$
declare
  freed_count int;
begin
  update private.webhook_queue as queued set run_at = clock_timestamp()
  where queued.position = any (array(
    select held.position from private.webhook_queue as held
    where held.endpoint_id = free_followers.endpoint_id and held.run_at = 'infinity'
    order by held.position
    limit 1000
    for update skip locked));
  get diagnostics freed_count = row_count;
  return freed_count;
end;
$$;

-- Makes due the first of each of these lanes, where it waits for one that has ended.
create function private.bring_lanes_forward(endpoint_id uuid, lanes text[])
returns void
language plpgsql -- which keeps its plan
set search_path = ''
as $$
begin
  -- in a statement of its own: the next one sees what whoever had the row has done
  perform 1 from private.webhook_endpoint_states as state where state.endpoint_id = bring_lanes_forward.endpoint_id for update;
  update private.webhook_queue as queued set run_at = clock_timestamp()
  where queued.run_at = 'infinity' and queued.position = any (array(
    select first.position
    from unnest(bring_lanes_forward.lanes) as ended (lane)
    cross join lateral (
      select waiting.position from private.webhook_queue as waiting
      where waiting.endpoint_id = bring_lanes_forward.endpoint_id and waiting.lane = ended.lane
      order by waiting.position
      limit 1
    ) as first));
end;
$$;

-- An endpoint's due deliveries, oldest first; of a lane only its first. They are looked at only: whoever takes some locks those.
create function private.due_deliveries(endpoint_id uuid, is_ordered boolean, at_most int)
returns table ("position" bigint, run_at timestamptz)
language plpgsql -- which keeps its plan
set search_path = ''
as $$
begin
  if not is_ordered then
    return query
    select due.position, due.run_at from private.webhook_queue as due
    where due.endpoint_id = due_deliveries.endpoint_id and due.run_at <= clock_timestamp()
    order by due.run_at, due.position
    limit at_most;
    return;
  end if;
  return query
  select oldest.position, oldest.run_at
  from (
    select queued.position, queued.run_at, queued.lane, queued.lease_token from private.webhook_queue as queued
    where queued.endpoint_id = due_deliveries.endpoint_id and queued.run_at <= clock_timestamp()
    order by queued.run_at, queued.position
    limit greatest(1000, at_most)
  ) as oldest
  where oldest.lane is null or oldest.lease_token is not null or not exists (
    select 1 from private.webhook_queue as ahead
    where ahead.endpoint_id = due_deliveries.endpoint_id and ahead.lane = oldest.lane and ahead.position < oldest.position)
  order by oldest.run_at, oldest.position
  limit at_most;
end;
$$;
