-- One row for each outside account, shared by everything that calls it: how fast we may call
-- (a token bucket kept as one timestamp), until when the platform told us to wait, and whether
-- we stopped calling a platform that is down (circuit breaker).

create table private.request_budgets (
  key text primary key, -- connector:account
  next_free_at timestamptz not null default '-infinity', -- when an unhurried caller's turn would come (GCRA)
  blocked_until timestamptz not null default '-infinity', -- the platform's Retry-After
  window_started_at timestamptz not null default now(), -- requests and failures are counted over two minutes
  window_request_count int not null default 0,
  window_failure_count int not null default 0,
  circuit text not null default 'closed',
  opened_count int not null default 0, -- openings in a row; each doubles the pause
  open_until timestamptz not null default '-infinity', -- in half_open: until when the probe may take
  constraint request_budgets_circuit_is_known check (circuit in ('closed', 'open', 'half_open'))
);
alter table private.request_budgets enable row level security;

-- Takes the next turn to call an account. { wait_ms, circuit, retry_after_ms }: wait, then call; with
-- circuit open do not call. After an open circuit's pause one caller gets half_open, the probe.
-- p_limits [{ key, requests_per_second, burst }] are further limits that the call counts against: their turns
-- are taken too, or none is. One that accounts share comes last, so that it is locked for the shortest time. A
-- turn further away than p_max_wait_ms is told and not taken, since nobody would be there to use it.
create function public.acquire_request(
  p_key text, p_requests_per_second numeric, p_burst int default 1, p_cost numeric default 1,
  p_limits jsonb default null, p_max_wait_ms int default null
)
returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  moment timestamptz;
  budget private.request_budgets;
  further record;
  gap interval := make_interval(secs => (1 / p_requests_per_second)::double precision);
  turn_at timestamptz;
  wait_ms bigint;
begin
  insert into private.request_budgets (key) values (p_key) on conflict do nothing;
  select * into budget from private.request_budgets where key = p_key for update;
  for further in select l.value ->> 'key' as key from jsonb_array_elements(p_limits) l loop
    insert into private.request_budgets (key) values (further.key) on conflict do nothing;
    perform from private.request_budgets where key = further.key for update;
  end loop;
  moment := clock_timestamp(); -- after the locks, or turns would be handed out in the past
  if budget.circuit <> 'closed' and budget.open_until > moment then
    return jsonb_build_object('wait_ms', 0, 'circuit', 'open',
      'retry_after_ms', ceil(extract(epoch from budget.open_until - moment) * 1000));
  end if;
  -- the bucket holds `burst` turns: that many may come before their time
  turn_at := greatest(moment, budget.blocked_until, budget.next_free_at - gap * (p_burst - 1));
  if p_limits is not null then
    select greatest(turn_at, max(greatest(b.blocked_until,
      b.next_free_at - make_interval(secs => ((l.burst - 1) / l.requests_per_second)::double precision)))) into turn_at
    from jsonb_to_recordset(p_limits) as l (key text, requests_per_second numeric, burst int)
    join private.request_budgets b using (key);
  end if;
  wait_ms := ceil(extract(epoch from turn_at - moment) * 1000);
  if wait_ms > p_max_wait_ms then
    return jsonb_build_object('wait_ms', wait_ms, 'circuit', 'closed');
  end if;

  if budget.circuit <> 'closed' then
    budget.circuit := 'half_open';
    budget.open_until := moment + interval '60 seconds';
  end if;
  if budget.window_started_at < moment - interval '2 minutes' then
    budget.window_started_at := moment;
    budget.window_request_count := 0;
    budget.window_failure_count := 0;
  end if;
  update private.request_budgets set
    -- turns begin when the platform's wait is over, or all who waited would call at once
    next_free_at = greatest(budget.next_free_at, moment, budget.blocked_until) + gap * p_cost::double precision,
    window_started_at = budget.window_started_at,
    window_request_count = budget.window_request_count + 1,
    window_failure_count = budget.window_failure_count,
    circuit = budget.circuit,
    open_until = budget.open_until
  where key = p_key;
  if p_limits is not null then
    update private.request_budgets b set
      next_free_at = greatest(b.next_free_at, moment, b.blocked_until)
        + make_interval(secs => (p_cost / l.requests_per_second)::double precision)
    from jsonb_to_recordset(p_limits) as l (key text, requests_per_second numeric)
    where b.key = l.key;
  end if;
  return jsonb_build_object('circuit', budget.circuit, 'wait_ms', wait_ms);
end;
$$;
grant execute on function public.acquire_request(text, numeric, int, numeric, jsonb, int) to service_role;

-- Tells how a call went. A success needs telling only when the circuit was not closed. Five failures
-- within two minutes that make up an eighth of the requests (a call is tried several times before it
-- counts as failed) open the circuit for 30 s, doubling up to 10 min while probes fail.
create function public.report_request(p_key text, p_outcome text, p_retry_after_ms int default null)
returns void
language plpgsql
security definer
set search_path = ''
as $$
declare
  budget private.request_budgets;
begin
  select * into budget from private.request_budgets where key = p_key for update;
  if not found then
    return;
  end if;
  if p_outcome = 'success' then
    update private.request_budgets
    set circuit = 'closed', opened_count = 0, open_until = '-infinity', window_failure_count = 0
    where key = p_key;
  elsif p_outcome = 'throttled' then
    update private.request_budgets set
      blocked_until = greatest(blocked_until, clock_timestamp() + make_interval(secs => coalesce(p_retry_after_ms, 1000) / 1000.0)),
      -- a probe that was told to wait has reached a living platform
      circuit = 'closed', opened_count = 0, open_until = '-infinity'
    where key = p_key;
  elsif p_outcome = 'failure' then
    if budget.circuit = 'open' then
      return; -- a call that was under way when it opened says nothing new
    elsif budget.circuit = 'half_open'
      or (budget.window_failure_count + 1 >= 5 and (budget.window_failure_count + 1) * 8 >= budget.window_request_count) then
      update private.request_budgets set
        circuit = 'open', opened_count = budget.opened_count + 1, window_failure_count = 0, window_request_count = 0,
        open_until = clock_timestamp() + least(interval '10 minutes', interval '30 seconds' * power(2, least(budget.opened_count, 10)))
      where key = p_key;
    else
      update private.request_budgets set window_failure_count = budget.window_failure_count + 1 where key = p_key;
    end if;
  else
    perform private.refuse('invalid_request', 'outcome is success, failure or throttled');
  end if;
end;
$$;
grant execute on function public.report_request(text, text, int) to service_role;
