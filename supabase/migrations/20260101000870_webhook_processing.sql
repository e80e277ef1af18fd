-- Work on webhooks that came in: claim, finish, replay, verify again.

-- The integrations that webhooks concern, as a worker needs them: by id, or by connector and account. A paused one is not
-- found by its account: the sync after the pause reads what it missed.
create function private.describe_webhook_integrations(ids uuid[], connectors text[], accounts text[])
returns jsonb
language sql
stable
set search_path = ''
as $$
  with concerned as (
    select integration.* from public.integrations as integration where integration.id = any (describe_webhook_integrations.ids)
    union
    select integration.*
    from unnest(describe_webhook_integrations.connectors, describe_webhook_integrations.accounts) as account (connector, id)
    join public.integrations as integration
      on integration.connector = account.connector and integration.external_account_id = account.id
    where integration.status <> 'paused' and private.hears_our_app(integration.id)
  )
  select coalesce(jsonb_agg(jsonb_build_object(
    'id', integration.id, 'organization_id', integration.organization_id, 'connector', integration.connector,
    'external_account_id', integration.external_account_id, 'settings', integration.settings, 'account', integration.account,
    'state', (select receiver.state from private.webhook_receivers as receiver where receiver.integration_id = integration.id),
    -- the others are read by hand only
    'streams', (select coalesce(jsonb_agg(stream.stream), '[]') from public.sync_streams as stream
      where stream.integration_id = integration.id and stream.enabled and stream.offered and stream.direction in ('pull', 'both'))
  )), '[]')
  from concerned as integration
  where integration.status not in ('disconnected', 'pending');
$$;

-- Hands out webhooks that are due, oldest first, under one lease: { events: [{ id, integration_id, app_instance_id, connector,
-- type, headers, body (base64), accounts, received_at, attempt_count }], integrations: as above }. Of those whose worker died
-- only ten come together, and alone when it happens again: one of them may be what it died of. Those of paused integrations
-- wait until they are resumed. A claim whose answer was lost is answered again for the same p_lease_token. p_awake_ms: how long the worker will look by itself; 0: it is about to leave.
create function public.claim_webhook_events(
  p_lease_token uuid, p_limit int default 100, p_awake_ms int default 0, p_lease_seconds int default 120
)
returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  claimed jsonb;
begin
  update private.worker_wakes as doorbell set
    awake_until = clock_timestamp() + make_interval(secs => p_awake_ms / 1000.0), rung_at = null
  where doorbell.worker = 'webhook-receive'
    and case when p_awake_ms = 0 then doorbell.awake_until > clock_timestamp()
      else coalesce(doorbell.awake_until, '-infinity') < clock_timestamp() + make_interval(secs => p_awake_ms / 2000.0) end;

  if not exists (select 1 from private.webhook_event_keys as held where held.lease_token = p_lease_token) then
    with due as (
      select key.receiver, key.dedupe_key, key.body_bytes, key.run_at, key.integration_id,
        case when key.lease_token is not null then key.attempt_count else 0 end as death_count
      from private.webhook_event_keys as key
      where key.run_at <= clock_timestamp()
      order by key.run_at
      limit p_limit
      for update skip locked
    ), weighed as (
      select due.*, row_number() over earlier as position, sum(due.body_bytes) over earlier as bytes_so_far,
        first_value(due.death_count) over earlier as first_death_count
      from due
      window earlier as (order by due.run_at, due.receiver, due.dedupe_key rows unbounded preceding)
    ), taken as (
      select weighed.receiver, weighed.dedupe_key, integration.status is not distinct from 'paused' as is_paused
      from weighed
      left join public.integrations as integration on integration.id = weighed.integration_id
      where weighed.position = 1
        or weighed.death_count = weighed.first_death_count
          and weighed.position <= case weighed.first_death_count when 0 then p_limit when 1 then 10 else 1 end
          and weighed.bytes_so_far <= 4000000 -- what one answer carries, and a worker's memory
    )
    update private.webhook_event_keys as key set
      run_at = case when taken.is_paused then 'infinity' else clock_timestamp() + make_interval(secs => p_lease_seconds) end,
      lease_token = case when not taken.is_paused then p_lease_token end,
      attempt_count = key.attempt_count + case when taken.is_paused then 0 else 1 end
    from taken
    where key.receiver = taken.receiver and key.dedupe_key = taken.dedupe_key;

    -- no try was ever finished
    perform private.settle_webhook_events(jsonb_agg(jsonb_build_object('id', key.webhook_event_id, 'is_final', true, 'error',
      jsonb_build_object('code', 'worker_died', 'next', 'developer',
        'message', 'The worker died several times while it worked on this webhook; its logs say why.'))), p_lease_token)
    from private.webhook_event_keys as key
    where key.lease_token = p_lease_token and key.attempt_count > 6;
  end if;

  select jsonb_agg(jsonb_build_object('id', event.id, 'integration_id', event.integration_id,
      'app_instance_id', event.app_instance_id, 'connector', event.connector,
      'type', event.type, 'headers', key.headers, 'body', encode(event.body, 'base64'), 'accounts', event.accounts,
      'received_at', event.received_at, 'attempt_count', key.attempt_count) order by event.received_at)
    into claimed
  from private.webhook_event_keys as key
  join public.webhook_events as event on event.id = key.webhook_event_id and event.received_at = key.received_at
  where key.lease_token = p_lease_token;
  if claimed is null then
    -- past their retention, or their organization is gone
    delete from private.webhook_event_keys as key where key.lease_token = p_lease_token;
    return jsonb_build_object('events', '[]'::jsonb, 'integrations', '[]'::jsonb);
  end if;
  return jsonb_build_object('events', claimed, 'integrations', (
    select private.describe_webhook_integrations(
      array_agg((event ->> 'integration_id')::uuid) filter (where account is null),
      array_agg(event ->> 'connector') filter (where account is not null), array_agg(account) filter (where account is not null))
    from jsonb_array_elements(claimed) as event
    left join lateral jsonb_array_elements_text(nullif(event -> 'accounts', 'null')) as account on true));
end;
$$;
grant execute on function public.claim_webhook_events(uuid, int, int, int) to service_role;

-- When the next webhook is due; null: none waits.
create function public.next_webhook_event_at()
returns timestamptz
language sql
stable
security definer
set search_path = ''
as $$
  select min(key.run_at) from private.webhook_event_keys as key where key.run_at < 'infinity';
$$;
grant execute on function public.next_webhook_event_at() to service_role;

-- Writes down what became of webhooks under this lease, and gives the lease up. A failed try is followed by another after
-- 3 s, while whoever tried it still looks for work by itself, 1 min, 10 min, 1 h, 6 h, somewhat differently from its neighbours, and never before retry_after_ms; the sixth was the
-- last. is_final: trying again cannot help.
create function private.settle_webhook_events(outcomes jsonb, lease_token uuid)
returns void
language sql
set search_path = ''
as $$
  with settled as (
    select outcome, key.receiver, key.dedupe_key, key.webhook_event_id, key.received_at,
      case
        when outcome ->> 'again' = 'true' then interval '0'
        when outcome ? 'error' and (outcome ->> 'is_final')::boolean is not true then greatest(
          ('{3 seconds,1 minute,10 minutes,1 hour,6 hours}'::interval[])[key.attempt_count] * (1 + random() / 4),
          case when key.attempt_count <= 5 then make_interval(secs => (outcome ->> 'retry_after_ms')::float8 / 1000) end)
      end as pause
    from jsonb_array_elements(settle_webhook_events.outcomes) as outcome
    join private.webhook_event_keys as key
      on key.lease_token = settle_webhook_events.lease_token and key.webhook_event_id = (outcome ->> 'id')::uuid
  ), released as (
    update private.webhook_event_keys as key set
      run_at = clock_timestamp() + settled.pause, lease_token = null,
      attempt_count = case when settled.outcome ->> 'again' = 'true' then 0 else key.attempt_count end
    from settled
    where key.receiver = settled.receiver and key.dedupe_key = settled.dedupe_key
  )
  update public.webhook_events as event set
    status = case when settled.pause is not null then 'received' else coalesce(settled.outcome ->> 'status', 'failed') end,
    error = settled.outcome -> 'error',
    processed_at = case when settled.pause is null then clock_timestamp() end
  from settled
  where event.id = settled.webhook_event_id and event.received_at = settled.received_at;
$$;

-- Does what claimed webhooks come to, all or nothing, and writes it down. p_outcomes: [{ id, … }] with
--   * status: processed or ignored, or error: { code, message, next }, with is_final and retry_after_ms as above, or
--     again: true, due at once since there is more to read
--   * writes: [{ integration_id, stream, records, deletions, refused }], as private.merge_records and keep_refused take them
--   * syncs: [{ integration_id, stream }], to be read from the platform
--   * checks: ids of integrations, whose account may have let our app go
--   * emitted: [{ organization_id, subject, data }], each an event webhook.received
--   * app_event: { type, data, subject }, what a business app sent. One that an app may not emit fails for good.
--   * state: { integration_id, before, after }, where a drain ended. One that another worker has moved meanwhile is left there.
--   * is_part: true, what it comes to for one of its accounts: the webhook stays under the lease.
-- A webhook whose lease is another's by now is passed over, so that an answer that was lost can be asked for again.
-- p_hand_over: the worker stops here, and another one goes on with what is due.
create function public.finish_webhook_events(p_lease_token uuid, p_outcomes jsonb, p_hand_over boolean default false)
returns void
language plpgsql
security definer
set search_path = ''
set statement_timeout = '60s'
as $$
declare
  held jsonb;
  written record;
  wanted record;
begin
  perform 1 from private.webhook_event_keys as key where key.lease_token = p_lease_token for update;
  select coalesce(jsonb_agg(outcome), '[]') into held
  from jsonb_array_elements(p_outcomes) as outcome
  where exists (
    select 1 from private.webhook_event_keys as key
    where key.lease_token = p_lease_token and key.webhook_event_id = (outcome ->> 'id')::uuid);

  select coalesce(jsonb_agg(case when refusal is null then outcome
      else jsonb_build_object('id', outcome -> 'id', 'is_final', true, 'error', refusal || '{"next": "developer"}') end), '[]')
    into held
  from (
    select outcome, case when outcome ? 'app_event' then private.why_not_an_app_event(
      outcome #>> '{app_event,type}', outcome #> '{app_event,data}', outcome #>> '{app_event,subject}') end as refusal
    from jsonb_array_elements(held) as outcome
  ) as judged;

  -- in one order, so that two workers wait for each other and do not end in a deadlock
  for written in
    select integration.id, integration.organization_id, entry ->> 'stream' as stream,
      jsonb_path_query_array(jsonb_agg(entry -> 'records'), '$[*][*]') as records,
      jsonb_path_query_array(jsonb_agg(entry -> 'deletions'), '$[*][*]') as deletions,
      jsonb_path_query_array(jsonb_agg(entry -> 'refused'), '$[*][*]') as refused
    from jsonb_array_elements(held) as outcome
    cross join lateral jsonb_array_elements(coalesce(outcome -> 'writes', '[]')) as entry
    join public.integrations as integration on integration.id = (entry ->> 'integration_id')::uuid
    group by integration.id, entry ->> 'stream'
    order by integration.id, entry ->> 'stream'
  loop
    perform private.merge_records(written.id, written.stream, written.records, written.deletions);
    perform private.resolve_errors(written.id, written.stream,
      array(select record ->> 'source_id' from jsonb_array_elements(written.records) as record), 'synced');
    if written.refused <> '[]' then
      perform private.keep_refused(null, written.organization_id, written.id, written.stream, written.refused);
    end if;
  end loop;

  for wanted in
    select distinct (entry ->> 'integration_id')::uuid as integration_id, entry ->> 'stream' as stream
    from jsonb_array_elements(held) as outcome
    cross join lateral jsonb_array_elements(coalesce(outcome -> 'syncs', '[]')) as entry
    order by 1, 2
  loop
    begin
      perform public.start_sync(wanted.integration_id, wanted.stream, 'webhook');
    exception when sqlstate 'PB001' then
      -- disconnected, or its owner has to sign in again: the sync after that reads what has changed
      raise notice 'sync of % not queued: %', wanted.integration_id, sqlerrm;
    end;
  end loop;

  -- what a check finds is as sure as the hourly one's; a webhook alone says less
  update public.integrations as integration set last_checked_at = now() - interval '61 minutes'
  from jsonb_array_elements(held) as outcome
  cross join lateral jsonb_array_elements_text(coalesce(outcome -> 'checks', '[]')) as checked
  where integration.id = checked::uuid and integration.status in ('connected', 'error');
  if found then
    perform private.wake_worker('integrations');
  end if;

  perform private.emit_events(organization_id, array_agg('webhook.received'::text), array_agg(subject), array_agg(data))
  from (
    select organization.id as organization_id, entry ->> 'subject' as subject, entry -> 'data' as data
    from jsonb_array_elements(held) as outcome
    cross join lateral jsonb_array_elements(coalesce(outcome -> 'emitted', '[]')) as entry
    join public.organizations as organization on organization.id = (entry ->> 'organization_id')::uuid
  ) as emitted
  group by organization_id;

  -- one by one, as they came: endpoints that keep the order go by it
  perform private.emit_event(sent.organization_id, sent.app_event ->> 'type', sent.app_event -> 'data', sent.app_event ->> 'subject', 'app')
  from (
    select event.organization_id, outcome -> 'app_event' as app_event
    from jsonb_array_elements(held) as outcome
    join private.webhook_event_keys as key
      on key.lease_token = p_lease_token and key.webhook_event_id = (outcome ->> 'id')::uuid
    join public.webhook_events as event on event.id = key.webhook_event_id and event.received_at = key.received_at
    where outcome ? 'app_event' and event.app_instance_id is not null
    order by event.received_at, event.id
  ) as sent;

  update private.webhook_receivers as receiver set state = outcome #> '{state,after}'
  from jsonb_array_elements(held) as outcome
  where receiver.integration_id = (outcome #>> '{state,integration_id}')::uuid
    and receiver.state is not distinct from nullif(outcome #> '{state,before}', 'null');

  perform private.settle_webhook_events(jsonb_path_query_array(held, '$[*] ? (!(@.is_part == true))'), p_lease_token);
  if p_hand_over then
    perform private.ring_for_webhook_events();
  end if;
end;
$$;
grant execute on function public.finish_webhook_events(uuid, jsonb, boolean) to service_role;

-- Whose webhooks are asked for, by exactly one of the three: an integration's, a business app's, or those of our app at
-- p_connector that are about several accounts and belong to no organization. As activity logs name it.
create function private.find_webhook_sender(
  integration_id uuid, app_instance_id uuid, connector text,
  out receiver text, out organization_id uuid, out subject_type text, out detail jsonb
)
language plpgsql
stable
set search_path = ''
as $$
begin
  if num_nonnulls(find_webhook_sender.integration_id, find_webhook_sender.app_instance_id, find_webhook_sender.connector) <> 1 then
    perform private.refuse('invalid_request', 'Give an integration, an app instance or a connector.');
  elsif find_webhook_sender.integration_id is not null then
    select held.id, held.organization_id, 'integration', jsonb_build_object('connector', held.connector)
      into receiver, organization_id, subject_type, detail
    from public.integrations as held where held.id = find_webhook_sender.integration_id;
    if not found then
      perform private.refuse('integration_not_found');
    end if;
  elsif find_webhook_sender.app_instance_id is not null then
    select held.id, held.organization_id, 'app_instance', jsonb_build_object('app', held.app, 'name', held.name)
      into receiver, organization_id, subject_type, detail
    from public.app_instances as held where held.id = find_webhook_sender.app_instance_id;
    if not found then
      perform private.refuse('app_instance_not_found');
    end if;
  else
    receiver := find_webhook_sender.connector;
  end if;
end;
$$;

-- Puts webhooks of one sender, as above, back into the queue, the first p_limit of those that are asked for: named by p_ids, or
-- of a span of time with one of p_statuses (those that failed, when not said). What waits already is tried at once. Returns
-- { replayed, next }: what to give as p_after to go on, null when nothing remains.
create function public.replay_webhook_events(
  p_integration_id uuid default null, p_app_instance_id uuid default null, p_connector text default null,
  p_ids uuid[] default null, p_statuses text[] default '{failed}',
  p_from timestamptz default '-infinity', p_to timestamptz default 'infinity', p_limit int default 10000,
  p_actor_id uuid default null, p_after uuid default null
)
returns jsonb
language plpgsql
security definer
set search_path = ''
set statement_timeout = '60s'
as $$
declare
  sender record := private.find_webhook_sender(p_integration_id, p_app_instance_id, p_connector);
  begins_after timestamptz := p_from;
  chosen_count int;
  replayed_count int;
  last_id uuid;
begin
  if p_after is not null then
    select event.received_at into begins_after from public.webhook_events as event where event.id = p_after;
  end if;
  with chosen as (
    select event.id, event.received_at
    from public.webhook_events as event
    where (event.organization_id = sender.organization_id
          and (event.integration_id = p_integration_id or event.app_instance_id = p_app_instance_id)
        or event.organization_id is null and event.connector = p_connector)
      and (p_ids is null and event.status = any (p_statuses) or event.id = any (p_ids))
      and event.received_at >= greatest(p_from, begins_after) and event.received_at < p_to
      and (p_after is null or (event.received_at, event.id) > (begins_after, p_after))
    order by event.received_at, event.id
    limit p_limit
  ), queued as (
    -- what a worker has in its hands is left to it
    update private.webhook_event_keys as key set run_at = clock_timestamp(), attempt_count = 0
    from chosen
    where key.receiver = sender.receiver and key.webhook_event_id = chosen.id and key.received_at = chosen.received_at
      and key.lease_token is null
    returning key.webhook_event_id, key.received_at
  ), reopened as (
    update public.webhook_events as event set status = 'received', error = null, processed_at = null
    from queued
    where event.id = queued.webhook_event_id and event.received_at = queued.received_at
    returning event.id
  )
  select (select count(*) from reopened), (select count(*) from chosen),
    (select chosen.id from chosen order by chosen.received_at desc, chosen.id desc limit 1)
    into replayed_count, chosen_count, last_id;
  if replayed_count > 0 then
    if sender.organization_id is not null then
      perform private.record_activity(sender.organization_id, 'webhook_events.replayed', sender.subject_type, sender.receiver,
        sender.detail || jsonb_build_object('count', replayed_count), 'success', p_actor_id);
    end if;
    perform private.wake_worker('webhook-receive');
  end if;
  return jsonb_build_object('replayed', replayed_count, 'next', case when chosen_count = p_limit then last_id end);
end;
$$;
grant execute on function
  public.replay_webhook_events(uuid, uuid, text, uuid[], text[], timestamptz, timestamptz, int, uuid, uuid) to service_role;

-- Webhooks of one sender, as above, with all that it takes to verify them again, those of p_ids that are kept:
-- [{ id, connector, headers, proof, body (base64) }]. As many as one answer carries, at least one: what is missing has to be asked for again.
create function public.read_webhook_events(
  p_ids uuid[], p_integration_id uuid default null, p_app_instance_id uuid default null, p_connector text default null
)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  sender record := private.find_webhook_sender(p_integration_id, p_app_instance_id, p_connector);
begin
  return (
    with kept as (
      select event.id, event.connector, event.body, key.headers, key.proof,
        sum(key.body_bytes) over (order by event.id) - key.body_bytes as bytes_before
      from public.webhook_events as event
      join private.webhook_event_keys as key on key.webhook_event_id = event.id and key.received_at = event.received_at
      where event.id = any (p_ids) and key.receiver = sender.receiver
    )
    select coalesce(jsonb_agg(jsonb_build_object('id', kept.id, 'connector', kept.connector, 'headers', kept.headers,
      'proof', kept.proof, 'body', encode(kept.body, 'base64'))), '[]')
    from kept
    where kept.bytes_before < 3000000);
end;
$$;
grant execute on function public.read_webhook_events(uuid[], uuid, uuid, text) to service_role;

-- Lets webhooks go on that were held while their integration was paused, and rings where something is due.
create function private.ring_for_webhook_events()
returns void
language plpgsql
set search_path = ''
as $$
begin
  update private.webhook_event_keys as key set run_at = clock_timestamp()
  where key.run_at = 'infinity' and not exists (
    select 1 from public.integrations as integration where integration.id = key.integration_id and integration.status = 'paused');
  if public.next_webhook_event_at() <= clock_timestamp() then
    perform private.wake_worker('webhook-receive');
  end if;
end;
$$;

-- Definer's rights: whoever resumes an integration need not reach the queue.
create function private.resume_webhook_events()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform private.ring_for_webhook_events();
  return null;
end;
$$;
create trigger integrations_resume_webhook_events after update of status on public.integrations
  for each row when (old.status = 'paused' and new.status <> 'paused')
  execute function private.resume_webhook_events();

select cron.schedule('ring-for-webhook-events', '* * * * *', 'select private.ring_for_webhook_events()');
