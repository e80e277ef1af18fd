-- What became of deliveries by what their calls said, and what that says about their endpoints.

-- The pause before the next attempt: the endpoint's own, ±20 % so that what failed together does not come back
-- together, and never before the receiver's Retry-After (up to a day). Null: that was the last attempt.
create function private.retry_pause(pauses_s int[], attempt_count int, retry_after_s numeric)
returns interval
language sql
volatile
set search_path = ''
as $$
  select make_interval(secs => greatest(
    pauses_s[attempt_count] * (0.8 + 0.4 * random()),
    case when retry_after_s is not null then least(retry_after_s, 86400)::double precision end)) -- least() passes over nulls
  where attempt_count <= cardinality(pauses_s);
$$;

-- Says what became of claimed deliveries:
-- [{ position, attempt_id, outcome, status, latency_ms, body, code, message, retry_after_s }].
-- outcome: succeeded; failed; gone (410: the endpoint is disabled at once); released (not sent: due again at once); expired
-- (not sent: its event is past its retention). What a disabled endpoint fails uses up no attempt.
-- What was claimed again since, be it by the same worker, is left alone. Returns how many counted.
create function public.finish_webhook_deliveries(p_lease_token uuid, p_outcomes jsonb)
returns int
language plpgsql
security definer
set search_path = ''
set plan_cache_mode = force_generic_plan -- as for claiming
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  finished_count int;
  standing record; -- what the calls say about one endpoint
  standings jsonb;
  -- for the planner: it opens the partitions between them only
  first_attempt_at timestamptz;
  last_attempt_at timestamptz;
  first_event_at timestamptz;
  last_event_at timestamptz;
begin
  select min(queued.leased_at), max(queued.leased_at), min(queued.event_created_at), max(queued.event_created_at)
  into first_attempt_at, last_attempt_at, first_event_at, last_event_at
  from private.webhook_queue as queued where queued.lease_token = p_lease_token;

  with outcomes as (
    select * from jsonb_to_recordset(p_outcomes) as outcome (
      position bigint, attempt_id uuid, outcome text, status int, latency_ms int, body text, code text, message text, retry_after_s numeric)
  ), held as (
    select queued.*, endpoint.retry_pauses_s, endpoint.status as endpoint_status, endpoint.failing_since, endpoint.ordered_by_subject,
      endpoint.rate_limit_per_second, outcome.outcome in ('failed', 'gone') and endpoint.status = 'disabled' as is_failed_probe,
      outcome.outcome, outcome.status, outcome.latency_ms, outcome.body, outcome.code, outcome.message, outcome.retry_after_s
    from outcomes as outcome
    join private.webhook_queue as queued on queued.position = outcome.position
      and queued.lease_token = p_lease_token and queued.attempt_id = outcome.attempt_id
    left join public.app_webhooks as endpoint on endpoint.id = queued.endpoint_id
    order by queued.position
    for update of queued
  ), timed as materialized (
    select held.*,
      case when held.outcome = 'failed' and held.is_failed_probe is not true then private.retry_pause(held.retry_pauses_s, held.attempt_count, held.retry_after_s)
        else interval '0' end as pause
    from held
  ), decided as (
    select timed.*, clock_timestamp() + timed.pause as next_run_at,
      case
        when timed.outcome in ('released', 'gone') then 'queued'
        when timed.outcome = 'succeeded' then 'succeeded'
        when timed.outcome = 'expired' then 'failed'
        when timed.pause is not null then 'queued'
        else 'failed'
      end as delivery_status
    from timed
  ), attempts as (
    update public.webhook_attempts as attempt set
      outcome = case when decided.outcome = 'succeeded' then 'succeeded' else 'failed' end,
      response_status = decided.status, response_body = decided.body, latency_ms = decided.latency_ms,
      error = case when decided.outcome <> 'succeeded' then jsonb_build_object('code', decided.code, 'message', decided.message) end,
      finished_at = clock_timestamp()
    from decided
    where decided.outcome <> 'released' and attempt.created_at = decided.leased_at and attempt.id = decided.attempt_id
      and attempt.created_at between first_attempt_at and last_attempt_at
  ), not_made as (
    delete from public.webhook_attempts as attempt using decided
    where decided.outcome = 'released' and attempt.created_at = decided.leased_at and attempt.id = decided.attempt_id
      and attempt.created_at between first_attempt_at and last_attempt_at
  ), requeued as (
    update private.webhook_queue as queued set
      lease_token = null, leased_at = null, attempt_id = null, run_at = decided.next_run_at,
      attempt_count = queued.attempt_count - case when decided.outcome = 'released' or decided.is_failed_probe then 1 else 0 end
    from decided
    where decided.delivery_status = 'queued' and queued.position = decided.position
  ), done as (
    delete from private.webhook_queue as queued using decided
    where decided.delivery_status <> 'queued' and queued.position = decided.position
  ), logged as (
    update public.webhook_deliveries as delivery set
      status = decided.delivery_status, attempt_count = delivery.attempt_count + 1,
      last_response_status = coalesce(decided.status, delivery.last_response_status),
      last_error = case when decided.outcome = 'succeeded' then null
        else jsonb_build_object('code', decided.code, 'message', decided.message) end,
      next_attempt_at = case when decided.delivery_status = 'queued' then decided.next_run_at end,
      finished_at = case when decided.delivery_status <> 'queued' then clock_timestamp() end
    from decided
    where decided.outcome <> 'released' and delivery.endpoint_id = decided.endpoint_id
      and delivery.event_created_at = decided.event_created_at and delivery.event_id = decided.event_id
      and delivery.event_created_at between first_event_at and last_event_at
  )
  select sum(by_endpoint.count), jsonb_agg(to_jsonb(by_endpoint)) filter (
    where by_endpoint.may_change or by_endpoint.lanes is not null or by_endpoint.unused > interval '0')
  into finished_count, standings
  from (
    select decided.endpoint_id, count(*) as count,
      bool_or(decided.outcome in ('failed', 'gone') or decided.outcome = 'succeeded'
        and (decided.failing_since is not null or decided.endpoint_status <> 'active')) as may_change,
      bool_or(decided.outcome = 'succeeded') as has_succeeded, bool_or(decided.outcome = 'failed') as has_failed,
      bool_or(decided.outcome = 'gone') as is_gone, max(decided.retry_after_s) as retry_after_s,
      max(decided.message) filter (where decided.outcome = 'failed') as message,
      -- of the rate
      max(1 / decided.rate_limit_per_second) * count(*) filter (where decided.outcome = 'released') * interval '1 second' as unused,
      -- in which one ended, or gave way to one that was emitted before it and committed after it
      array_agg(distinct decided.lane) filter (where decided.lane is not null
        and (decided.ordered_by_subject or exists (
          select 1 from private.webhook_queue as left_over
          where left_over.endpoint_id = decided.endpoint_id and left_over.run_at = 'infinity'))) as lanes
    from decided
    group by decided.endpoint_id
  ) as by_endpoint;
  -- one by one in the same order everywhere, and of each the endpoint before its state: nobody waits in a circle
  for standing in
    select * from jsonb_to_recordset(standings) as said (
      endpoint_id uuid, may_change boolean, has_succeeded boolean, has_failed boolean, is_gone boolean, retry_after_s numeric,
      message text, lanes text[], unused interval)
    order by said.endpoint_id
  loop
    if standing.may_change then
      perform private.judge_endpoint(standing.endpoint_id, standing.has_succeeded, standing.has_failed, standing.is_gone,
        standing.retry_after_s, standing.message);
    end if;
    if standing.unused > interval '0' then
      update private.webhook_endpoint_states as state set next_free_at = state.next_free_at - standing.unused
      where state.endpoint_id = standing.endpoint_id;
    end if;
    if standing.lanes is not null then
      perform private.bring_lanes_forward(standing.endpoint_id, standing.lanes);
    end if;
  end loop;
  return coalesce(finished_count, 0);
end;
$$;
grant execute on function public.finish_webhook_deliveries(uuid, jsonb) to service_role;

-- How long until a disabled endpoint is tried again with one delivery: half an hour, doubling to half a day.
create function private.probe_pause(probe_count int)
returns interval
language sql
immutable
set search_path = ''
as $$
  select least(interval '30 minutes' * power(2, least(probe_count, 10)), interval '12 hours');
$$;

-- What calls say about their endpoint. One that has failed everything for five days, or that says it is gone, is
-- disabled with its reason; its backlog is held. One success of a probe enables it again.
create function private.judge_endpoint(
  endpoint_id uuid, has_succeeded boolean, has_failed boolean, is_gone boolean, retry_after_s numeric, message text
)
returns void
language plpgsql
set search_path = ''
as $$
declare
  endpoint public.app_webhooks;
  reason jsonb;
begin
  select * into endpoint from public.app_webhooks as held where held.id = judge_endpoint.endpoint_id for no key update;
  if not found then
    return;
  end if;
  -- whatever else was answered meanwhile
  if retry_after_s > 0 then
    update private.webhook_endpoint_states as state
    set blocked_until = greatest(state.blocked_until,
      clock_timestamp() + make_interval(secs => least(judge_endpoint.retry_after_s, 86400)::double precision))
    where state.endpoint_id = endpoint.id;
  end if;
  if is_gone then
    reason := jsonb_build_object('code', 'endpoint_gone',
      'message', 'The endpoint answered 410 Gone. Enable it again when it is back; what came meanwhile is held.');
  elsif has_succeeded then
    if endpoint.status = 'disabled' and endpoint.disabled_reason ->> 'code' = 'endpoint_failing' then
      update public.app_webhooks set status = 'active', disabled_at = null, disabled_reason = null, failing_since = null
      where id = endpoint.id;
      update private.webhook_endpoint_states as state set probe_at = null, probe_count = 0 where state.endpoint_id = endpoint.id;
      perform private.tell_of_endpoint(endpoint, 'webhook_endpoint.enabled', null);
    elsif endpoint.failing_since is not null then
      update public.app_webhooks set failing_since = null where id = endpoint.id;
    end if;
    return;
  elsif has_failed then
    if endpoint.failing_since is null then
      update public.app_webhooks set failing_since = clock_timestamp() where id = endpoint.id;
    end if;
    if endpoint.status = 'disabled' then
      update private.webhook_endpoint_states as state
      set probe_count = probe_count + 1, probe_at = clock_timestamp() + private.probe_pause(probe_count + 1)
      where state.endpoint_id = endpoint.id and probe_at is not null;
    end if;
    if endpoint.status <> 'active' or coalesce(endpoint.failing_since, now()) > now() - interval '5 days' then
      return;
    end if;
    reason := jsonb_build_object('code', 'endpoint_failing',
      'message', format('Every delivery has failed since %s. The last time: %s It is tried again by itself; what came meanwhile is held.',
        to_char(endpoint.failing_since at time zone 'utc', 'YYYY-MM-DD HH24:MI "UTC"'), judge_endpoint.message));
  else
    return;
  end if;

  update public.app_webhooks set status = 'disabled', disabled_at = coalesce(disabled_at, clock_timestamp()), disabled_reason = reason
  where id = endpoint.id;
  update private.webhook_endpoint_states as state set probe_count = 0,
    probe_at = case when is_gone then null else clock_timestamp() + private.probe_pause(0) end
  where state.endpoint_id = endpoint.id;
  if endpoint.status <> 'disabled' then
    perform private.tell_of_endpoint(endpoint, 'webhook_endpoint.disabled', reason);
  end if;
end;
$$;

create function private.tell_of_endpoint(endpoint public.app_webhooks, what text, reason jsonb)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform private.emit_event(endpoint.organization_id, what,
    jsonb_strip_nulls(jsonb_build_object('endpoint_id', endpoint.id, 'reason', reason)),
    'webhook_endpoint/' || endpoint.id);
  perform private.record_activity(endpoint.organization_id, what, 'webhook_endpoint', endpoint.id::text,
    jsonb_strip_nulls(jsonb_build_object('host', private.url_host(endpoint.url), 'error', reason)),
    case when reason is null then 'success' else 'failure' end, null, 'system');
end;
$$;
