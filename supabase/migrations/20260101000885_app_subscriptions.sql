-- Where webhook subscriptions belong to our app at a platform and not to an account: one row for each such connector, its own
-- queue. What it comes to for each account is in webhook_subscriptions; there `app` is how the app's own webhook stands.

create table private.app_subscription_runs (
  connector text primary key references public.connectors (slug) on delete cascade,
  external_id text, -- the platform's name for the app's webhook
  creating_since timestamptz, -- the platform was asked to make it, and its answer not kept
  run_at timestamptz not null default now(), -- under a lease: its end
  lease_token uuid,
  asked_at timestamptz not null default clock_timestamp(),
  claimed_at timestamptz,
  failure_count int not null default 0
);
alter table private.app_subscription_runs enable row level security;

-- Whatever may change for whom the app is subscribed asks for a look. Who is looking now looks again afterwards.
-- Definer's rights: whoever changes an integration need not reach the queue.
create function private.queue_app_subscriptions()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  if exists (
    select 1 from public.connectors as connector
    where connector.slug = coalesce(new.connector, old.connector) and 'app_webhook_subscriptions' = any (connector.capabilities)
  ) then
    insert into private.app_subscription_runs as run (connector) values (coalesce(new.connector, old.connector))
    on conflict on constraint app_subscription_runs_pkey do update set
      asked_at = clock_timestamp(), failure_count = 0,
      run_at = case when run.lease_token is null then now() else run.run_at end;
    perform private.wake_worker('integrations');
  end if;
  return null;
end;
$$;
create trigger integrations_queue_new_app_subscriptions after insert on public.integrations
  for each row when (new.status in ('connected', 'error'))
  execute function private.queue_app_subscriptions();
create trigger integrations_queue_app_subscriptions after update on public.integrations
  for each row when (
    (new.settings, new.account, new.external_account_id, new.webhooks, new.connected_at)
      is distinct from (old.settings, old.account, old.external_account_id, old.webhooks, old.connected_at)
    or new.status <> old.status and (new.status in ('connected', 'disconnected'))
  )
  execute function private.queue_app_subscriptions();
create trigger integrations_queue_app_subscriptions_of_the_gone after delete on public.integrations
  for each row when (old.status not in ('pending', 'disconnected'))
  execute function private.queue_app_subscriptions();

-- Hands out apps whose subscriptions are due to be compared, each under a lease that outlives the longest work on one:
-- [{ connector, lease_token, external_id, creating_since, accounts: [{ integration_id, name, external_account_id, settings,
-- webhooks, is_live, subscriptions: [{ name, status, external_id, creating_since }] }] }]. An account that is not live, such as
-- a paused one, keeps what it has and is given nothing new.
create function public.claim_app_subscriptions(p_lease_seconds int default 180)
returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  held private.app_subscription_runs;
  claimed jsonb := '[]'::jsonb;
begin
  for held in
    update private.app_subscription_runs as run set
      lease_token = gen_random_uuid(), claimed_at = clock_timestamp(),
      run_at = clock_timestamp() + make_interval(secs => p_lease_seconds)
    where run.connector = any (array(
      select due.connector from private.app_subscription_runs as due
      where due.run_at <= clock_timestamp()
      order by due.run_at
      for update skip locked
    ))
    returning run.*
  loop
    -- a statement of its own: what was changed while the one above waited for the row is seen
    claimed := claimed || jsonb_build_object(
      'connector', held.connector,
      'lease_token', held.lease_token,
      'external_id', held.external_id,
      'creating_since', held.creating_since,
      'accounts', (
        select coalesce(jsonb_agg(jsonb_build_object(
          'integration_id', integration.id,
          'name', integration.name,
          'external_account_id', integration.external_account_id,
          'settings', integration.settings,
          'webhooks', integration.webhooks,
          'is_live', integration.status in ('connected', 'error'),
          'subscriptions', (
            select coalesce(jsonb_agg(jsonb_build_object(
              'name', known.name, 'status', known.status, 'external_id', known.external_id,
              'creating_since', known.creating_since)), '[]')
            from public.webhook_subscriptions as known where known.integration_id = integration.id)
        ) order by integration.id), '[]')
        from public.integrations as integration
        where integration.connector = held.connector and integration.status not in ('pending', 'disconnected')));
  end loop;
  return claimed;
end;
$$;
grant execute on function public.claim_app_subscriptions(int) to service_role;

-- For whoever holds the lease: locks the integrations that are concerned, in the order in which disconnecting locks them, then
-- the app's row. Those that are no longer connected are left out of what it answers.
create function private.hold_app_subscriptions(connector text, lease_token uuid, integration_ids uuid[])
returns uuid[]
language plpgsql
set search_path = ''
as $$
declare
  held uuid[] := array(
    select integration.id from public.integrations as integration
    where integration.id = any (integration_ids) and integration.connector = hold_app_subscriptions.connector
      and integration.status not in ('pending', 'disconnected')
    order by integration.id for share);
begin
  perform 1 from private.app_subscription_runs as run
  where run.connector = hold_app_subscriptions.connector and run.lease_token = hold_app_subscriptions.lease_token
  for update;
  if not found then
    perform private.refuse('lease_lost', 'Another worker has taken over these subscriptions.');
  end if;
  return held;
end;
$$;

-- Written before the platform is asked: of the app's own webhook without a name, otherwise of those integrations' part.
create function public.begin_app_subscription(
  p_connector text, p_lease_token uuid, p_name text default null, p_integration_ids uuid[] default '{}'
)
returns void
language plpgsql
security definer
set search_path = ''
as $$
declare
  held uuid[] := private.hold_app_subscriptions(p_connector, p_lease_token, p_integration_ids);
begin
  if p_name is null then
    update private.app_subscription_runs as run set creating_since = clock_timestamp() where run.connector = p_connector;
  end if;
  insert into public.webhook_subscriptions as known (integration_id, organization_id, name, creating_since)
  select integration.id, integration.organization_id, p_name, clock_timestamp()
  from public.integrations as integration where integration.id = any (held) and p_name is not null
  on conflict on constraint webhook_subscriptions_pkey do update set creating_since = clock_timestamp();
end;
$$;
grant execute on function public.begin_app_subscription(text, uuid, text, uuid[]) to service_role;

-- Keeps what is at the platform now: of the app's own webhook without a name (null: it is gone), otherwise of those
-- integrations' part.
create function public.save_app_subscription(
  p_connector text, p_lease_token uuid, p_external_id text, p_name text default null, p_integration_ids uuid[] default '{}'
)
returns void
language plpgsql
security definer
set search_path = ''
as $$
declare
  held uuid[] := private.hold_app_subscriptions(p_connector, p_lease_token, p_integration_ids);
  integration public.integrations;
  is_known boolean;
begin
  if p_name is null then
    update private.app_subscription_runs as run set external_id = p_external_id, creating_since = null
    where run.connector = p_connector;
    return;
  end if;
  for integration in select * from public.integrations as concerned where concerned.id = any (held) loop
    is_known := exists (
      select 1 from public.webhook_subscriptions as known
      where known.integration_id = integration.id and known.name = p_name and known.external_id = p_external_id);
    insert into public.webhook_subscriptions as known (integration_id, organization_id, name, status, external_id)
    values (integration.id, integration.organization_id, p_name, 'active', p_external_id)
    on conflict on constraint webhook_subscriptions_pkey do update set
      status = 'active', external_id = excluded.external_id, creating_since = null, error = null;
    if not is_known then
      perform private.record_activity(integration.organization_id, 'integration.webhook_subscribed', 'integration', integration.id::text,
        jsonb_build_object('connector', integration.connector, 'name', integration.name, 'subscription', p_name), 'success');
    end if;
  end loop;
end;
$$;
grant execute on function public.save_app_subscription(text, uuid, text, text, uuid[]) to service_role;

-- Nothing of the app's is at the platform for these integrations any more, nor wanted there; with a name, that part alone.
create function public.forget_app_subscriptions(
  p_connector text, p_lease_token uuid, p_integration_ids uuid[], p_name text default null
)
returns void
language plpgsql
security definer
set search_path = ''
as $$
declare
  held uuid[] := private.hold_app_subscriptions(p_connector, p_lease_token, p_integration_ids);
  gone record;
begin
  for gone in
    with deleted as (
      delete from public.webhook_subscriptions as known
      where known.integration_id = any (held) and (p_name is null or known.name = p_name)
      returning known.integration_id, known.organization_id, known.name
    )
    select deleted.*, integration.name as integration_name
    from deleted join public.integrations as integration on integration.id = deleted.integration_id
  loop
    perform private.record_activity(gone.organization_id, 'integration.webhook_unsubscribed', 'integration', gone.integration_id::text,
      jsonb_build_object('connector', p_connector, 'name', gone.integration_name, 'subscription', gone.name), 'success');
  end loop;
end;
$$;
grant execute on function public.forget_app_subscriptions(text, uuid, uuid[], text) to service_role;

-- Gives the lease back. p_failures: [{ integration_id, name, error: { code, message, next } }].
create function public.finish_app_subscriptions(
  p_connector text, p_lease_token uuid, p_failures jsonb default '[]', p_next_seconds int default 3600, p_pause_ms int default 0
)
returns void
language plpgsql
security definer
set search_path = ''
as $$
declare
  held uuid[] := private.hold_app_subscriptions(p_connector, p_lease_token, array(
    select distinct (told ->> 'integration_id')::uuid from jsonb_array_elements(p_failures) as told));
  failure record;
begin
  for failure in
    select told.name, told.error, known.error as held_error, integration.id, integration.organization_id,
      integration.name as integration_name
    from jsonb_to_recordset(p_failures) as told (integration_id uuid, name text, error jsonb)
    join public.integrations as integration on integration.id = told.integration_id
    left join public.webhook_subscriptions as known on known.integration_id = integration.id and known.name = told.name
    where integration.id = any (held)
  loop
    insert into public.webhook_subscriptions as known (integration_id, organization_id, name, status, error)
    values (failure.id, failure.organization_id, failure.name, 'failed', failure.error)
    on conflict on constraint webhook_subscriptions_pkey do update set status = 'failed', error = excluded.error;
    -- once, and not with each try
    if failure.held_error ->> 'code' is distinct from failure.error ->> 'code' then
      perform private.record_activity(failure.organization_id, 'integration.webhook_subscription_failed', 'integration',
        failure.id::text, jsonb_build_object('connector', p_connector, 'name', failure.integration_name,
          'subscription', failure.name, 'error', failure.error), 'failure');
    end if;
  end loop;
  update private.app_subscription_runs as run set
    lease_token = null,
    failure_count = case when p_failures = '[]' then 0 else run.failure_count + 1 end,
    run_at = case
      when run.asked_at > run.claimed_at then now()
      when p_failures = '[]' then now() + make_interval(secs => p_next_seconds)
      -- one account that cannot be subscribed must not keep the others from their hourly look
      else now() + greatest(
        least(private.failure_pause(run.failure_count + 1), make_interval(secs => p_next_seconds)),
        make_interval(secs => p_pause_ms / 1000.0))
    end
  where run.connector = p_connector;
end;
$$;
grant execute on function public.finish_app_subscriptions(text, uuid, jsonb, int, int) to service_role;
