-- Webhook subscriptions at the platforms: what an integration has there, and when it is compared again with what it should have.

create table public.webhook_subscriptions (
  integration_id uuid not null,
  organization_id uuid not null,
  name text not null, -- which of the integration's, in the connector's words
  status text not null default 'pending',
  external_id text, -- the platform's name for it
  spec_hash text, -- SHA-256 of what it asks for
  expires_at timestamptz, -- null: it does not end
  renew_at timestamptz,
  made_by_hand boolean not null default false, -- by somebody who gave us its secret
  creating_since timestamptz, -- the platform was asked, and its answer not kept: it may be there, and its secret is lost
  error jsonb, -- { code, message, next }: why it is not as it should be
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (integration_id, name),
  foreign key (integration_id, organization_id) references public.integrations (id, organization_id) on delete cascade,
  constraint webhook_subscriptions_status_is_known check (status in ('pending', 'active', 'failed')),
  constraint webhook_subscriptions_active_one_is_at_the_platform check (status <> 'active' or external_id is not null),
  constraint webhook_subscriptions_failed_one_says_why check ((status = 'failed') = (error is not null))
);
comment on table public.webhook_subscriptions is 'What integrations have subscribed at their platforms.';
create index webhook_subscriptions_organization_id_idx on public.webhook_subscriptions (organization_id);
alter table public.webhook_subscriptions enable row level security;
create policy "members read their organization's webhook subscriptions"
  on public.webhook_subscriptions for select to authenticated
  using (organization_id = any ((select private.organization_ids('viewer'))::uuid[]));
grant select on public.webhook_subscriptions to authenticated, service_role;
create trigger webhook_subscriptions_touch before update on public.webhook_subscriptions
  for each row execute function private.touch_updated_at();

-- Which of a receiver's signing secrets came with a subscription; the others were given by its managers.
create table private.webhook_subscription_secrets (
  secret_id uuid primary key references private.webhook_receiver_secrets (secret_id) on delete cascade,
  name text not null -- webhook_subscriptions.name
);
alter table private.webhook_subscription_secrets enable row level security;

-- One row for each integration whose platform can be subscribed to: its own queue.
create table private.webhook_subscription_runs (
  integration_id uuid primary key references public.integrations (id) on delete cascade,
  run_at timestamptz not null default now(), -- under a lease: its end
  lease_token uuid,
  asked_at timestamptz not null default clock_timestamp(),
  claimed_at timestamptz,
  failure_count int not null default 0
);
create index webhook_subscription_runs_run_at_idx on private.webhook_subscription_runs (run_at);
alter table private.webhook_subscription_runs enable row level security;

-- Whatever may change what has to be subscribed asks for a look. Who is looking now looks again afterwards. Of a disconnected
-- integration nothing is left but what its kept credentials are to end.
-- Definer's rights: whoever changes an integration need not reach the queue.
create function private.queue_webhook_subscriptions()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  if new.status = 'disconnected' and new.credentials_kept_until is null then
    delete from public.webhook_subscriptions as gone where gone.integration_id = new.id;
    delete from private.webhook_subscription_runs as gone where gone.integration_id = new.id;
  elsif new.status in ('connected', 'error', 'disconnected') and exists (
    select 1 from public.connectors as connector
    where connector.slug = new.connector and 'webhook_subscriptions' = any (connector.capabilities)
  ) then
    insert into private.webhook_subscription_runs as run (integration_id) values (new.id)
    on conflict on constraint webhook_subscription_runs_pkey do update set
      asked_at = clock_timestamp(), failure_count = 0,
      run_at = case when run.lease_token is null then now() else run.run_at end;
    perform private.wake_worker('integrations');
  end if;
  return null;
end;
$$;
create trigger integrations_queue_new_webhook_subscriptions after insert on public.integrations
  for each row execute function private.queue_webhook_subscriptions();
create trigger integrations_queue_webhook_subscriptions after update on public.integrations
  for each row when (
    (new.settings, new.account, new.webhooks, new.connected_at, new.credentials_kept_until is null)
      is distinct from (old.settings, old.account, old.webhooks, old.connected_at, old.credentials_kept_until is null)
    or new.status <> old.status and (new.status in ('connected', 'disconnected'))
  )
  execute function private.queue_webhook_subscriptions();

-- With other credentials, or a signing secret of its own, an account can be subscribed that could not be before; with another
-- end of its address it has to be subscribed anew. What a worker changes under its lease is none of this.
create function private.ask_for_webhook_subscriptions()
returns trigger
language plpgsql
security definer -- as above
set search_path = ''
as $$
begin
  update private.webhook_subscription_runs as run set asked_at = clock_timestamp(), failure_count = 0, run_at = now()
  where run.integration_id = new.integration_id and run.lease_token is null;
  if found then
    perform private.wake_worker('integrations');
  end if;
  return null;
end;
$$;
create trigger integration_credentials_ask_for_webhook_subscriptions after update on private.integration_credentials
  for each row when (new.credentials_secret_id <> old.credentials_secret_id)
  execute function private.ask_for_webhook_subscriptions();
create trigger webhook_receivers_ask_for_webhook_subscriptions after update on private.webhook_receivers
  for each row when (new.path_token_hash is distinct from old.path_token_hash)
  execute function private.ask_for_webhook_subscriptions();
create trigger webhook_receiver_secrets_ask_for_webhook_subscriptions after insert on private.webhook_receiver_secrets
  for each row execute function private.ask_for_webhook_subscriptions();

-- A worker's share of one integration:
-- { integration_id, lease_token, is_last_try, has_secret, path_token_hash, subscriptions: [rows as they are, with secret_counts] }.
-- is_last_try: kept credentials are soon deleted.
create function private.describe_webhook_subscriptions(run private.webhook_subscription_runs)
returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_build_object(
    'integration_id', run.integration_id,
    'lease_token', run.lease_token,
    'is_last_try', exists (
      select 1 from public.integrations as integration
      where integration.id = run.integration_id and integration.credentials_kept_until < now() + interval '15 minutes'),
    'has_secret', exists (
      select 1 from private.webhook_receiver_secrets as held
      where held.integration_id = run.integration_id and (held.expires_at is null or held.expires_at > now())
        and not exists (select 1 from private.webhook_subscription_secrets as shown where shown.secret_id = held.secret_id)),
    'path_token_hash', (
      select encode(receiver.path_token_hash, 'hex') from private.webhook_receivers as receiver
      where receiver.integration_id = run.integration_id),
    'subscriptions', (
      select coalesce(jsonb_agg(to_jsonb(subscription) || jsonb_build_object('secret_counts', exists (
        select 1 from private.webhook_subscription_secrets as shown
        join private.webhook_receiver_secrets as held on held.secret_id = shown.secret_id
        where held.integration_id = run.integration_id and shown.name = subscription.name
          and held.expires_at is null
      )) order by subscription.name), '[]')
      from public.webhook_subscriptions as subscription where subscription.integration_id = run.integration_id));
$$;

-- Hands out integrations whose subscriptions are due to be compared, each under a lease: a list as above. A lease outlives
-- the longest work on one, so that nothing is subscribed twice by two workers.
create function public.claim_webhook_subscriptions(p_limit int default 8, p_lease_seconds int default 180)
returns jsonb
language sql
security definer
set search_path = ''
as $$
  with claimed as (
    update private.webhook_subscription_runs as run set
      lease_token = gen_random_uuid(), claimed_at = clock_timestamp(),
      run_at = clock_timestamp() + make_interval(secs => p_lease_seconds)
    where run.integration_id = any (array(
      select due.integration_id
      from private.webhook_subscription_runs as due
      join public.integrations as integration on integration.id = due.integration_id
      where due.run_at <= clock_timestamp()
        and (integration.status in ('connected', 'error') or integration.credentials_kept_until is not null)
      order by due.run_at
      limit p_limit
      for update of due skip locked
    ))
    returning run
  )
  select coalesce(jsonb_agg(private.describe_webhook_subscriptions(claimed.run)), '[]') from claimed;
$$;
grant execute on function public.claim_webhook_subscriptions(int, int) to service_role;

-- The same for one integration, due or not. Null: nothing was ever subscribed for it. { is_held: true }: a worker is at it.
create function public.claim_webhook_subscriptions_of(p_integration_id uuid, p_lease_seconds int default 180)
returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  held private.webhook_subscription_runs;
begin
  select * into held from private.webhook_subscription_runs as run where run.integration_id = p_integration_id for update;
  if not found then
    return null;
  elsif held.lease_token is not null and held.run_at > clock_timestamp() then
    return jsonb_build_object('is_held', true);
  elsif not exists (select 1 from public.webhook_subscriptions as known where known.integration_id = p_integration_id) then
    return null;
  end if;
  update private.webhook_subscription_runs as run set
    lease_token = gen_random_uuid(), claimed_at = clock_timestamp(),
    run_at = clock_timestamp() + make_interval(secs => p_lease_seconds)
  where run.integration_id = p_integration_id
  returning * into held;
  return private.describe_webhook_subscriptions(held);
end;
$$;
grant execute on function public.claim_webhook_subscriptions_of(uuid, int) to service_role;

-- The integration, for whoever holds the lease; both locked, in the order in which disconnecting locks them. to_unsubscribe: one
-- that is disconnected too, as long as its credentials are kept.
create function private.hold_webhook_subscriptions(integration_id uuid, lease_token uuid, to_unsubscribe boolean default false)
returns public.integrations
language plpgsql
set search_path = ''
as $$
declare
  integration public.integrations;
begin
  select * into integration from public.integrations as held where held.id = hold_webhook_subscriptions.integration_id for share;
  if integration.status in ('disconnected', 'pending')
    and not (hold_webhook_subscriptions.to_unsubscribe and integration.credentials_kept_until is not null) then
    perform private.refuse('integration_disconnected', format('%s is not connected: connect the account first.', integration.name));
  end if;
  perform 1 from private.webhook_subscription_runs as run
  where run.integration_id = hold_webhook_subscriptions.integration_id and run.lease_token = hold_webhook_subscriptions.lease_token
  for update;
  if not found then
    perform private.refuse('lease_lost', 'Another worker has taken over these subscriptions, or they are no longer wanted.');
  end if;
  return integration;
end;
$$;

-- Written before the platform is asked to subscribe: should nothing follow, whatever is found there is ours.
create function public.begin_webhook_subscription(p_integration_id uuid, p_lease_token uuid, p_name text)
returns void
language plpgsql
security definer
set search_path = ''
as $$
declare
  integration public.integrations := private.hold_webhook_subscriptions(p_integration_id, p_lease_token);
begin
  insert into public.webhook_subscriptions as known (integration_id, organization_id, name, creating_since)
  values (integration.id, integration.organization_id, p_name, clock_timestamp())
  on conflict on constraint webhook_subscriptions_pkey do update set creating_since = clock_timestamp();
end;
$$;
grant execute on function public.begin_webhook_subscription(uuid, uuid, text) to service_role;

-- Keeps what is at the platform now: p_subscription is { external_id, spec_hash, expires_at, renew_at,
-- made_by_hand }. A secret that was shown with it counts from this moment on; that of the one before it for a day more.
create function public.save_webhook_subscription(
  p_integration_id uuid, p_lease_token uuid, p_name text, p_subscription jsonb, p_secret text default null
)
returns void
language plpgsql
security definer
set search_path = ''
as $$
declare
  integration public.integrations := private.hold_webhook_subscriptions(p_integration_id, p_lease_token);
  kept public.webhook_subscriptions := jsonb_populate_record(null::public.webhook_subscriptions, p_subscription);
  is_known boolean := exists (
    select 1 from public.webhook_subscriptions as known
    where known.integration_id = p_integration_id and known.name = p_name and known.external_id = kept.external_id);
begin
  insert into public.webhook_subscriptions as known (
    integration_id, organization_id, name, status, external_id, spec_hash, expires_at, renew_at, made_by_hand
  )
  values (
    integration.id, integration.organization_id, p_name, 'active', kept.external_id, kept.spec_hash, kept.expires_at, kept.renew_at,
    coalesce(kept.made_by_hand, false)
  )
  on conflict on constraint webhook_subscriptions_pkey do update set
    status = 'active', external_id = excluded.external_id, spec_hash = excluded.spec_hash, expires_at = excluded.expires_at,
    renew_at = excluded.renew_at, made_by_hand = excluded.made_by_hand, creating_since = null, error = null;
  if p_secret is not null then
    perform private.hold_webhook_receiver(p_integration_id);
    perform private.keep_webhook_secret(p_integration_id, p_secret, 86400, p_name);
  end if;
  if not is_known then
    perform private.record_activity(integration.organization_id, 'integration.webhook_subscribed', 'integration', integration.id::text,
      jsonb_build_object('connector', integration.connector, 'name', integration.name, 'subscription', p_name), 'success');
  end if;
end;
$$;
grant execute on function public.save_webhook_subscription(uuid, uuid, text, jsonb, text) to service_role;

-- It is not at the platform any more, and no longer wanted there; nor is what it was signed with believed.
create function public.forget_webhook_subscription(p_integration_id uuid, p_lease_token uuid, p_name text)
returns void
language plpgsql
security definer
set search_path = ''
as $$
declare
  integration public.integrations := private.hold_webhook_subscriptions(p_integration_id, p_lease_token, true);
begin
  delete from public.webhook_subscriptions as known where known.integration_id = p_integration_id and known.name = p_name;
  if found then
    if integration.status <> 'disconnected' then -- which has no secrets any more
      perform private.hold_webhook_receiver(p_integration_id); -- so that no door goes on with what it has read
      delete from private.webhook_receiver_secrets as held
      using private.webhook_subscription_secrets as shown
      where held.integration_id = p_integration_id and shown.secret_id = held.secret_id and shown.name = p_name;
    end if;
    perform private.record_activity(integration.organization_id, 'integration.webhook_unsubscribed', 'integration', integration.id::text,
      jsonb_build_object('connector', integration.connector, 'name', integration.name, 'subscription', p_name), 'success');
  end if;
end;
$$;
grant execute on function public.forget_webhook_subscription(uuid, uuid, text) to service_role;

-- Gives the lease back. p_failures: [{ name, error: { code, message, next } }] of those that are not as they should be; what
-- only the owner can mend is tried again once a day, or when something of the integration changes. With kept credentials each
-- failure pauses as any other, and the last try comes in time before they are deleted.
create function public.finish_webhook_subscriptions(
  p_integration_id uuid, p_lease_token uuid, p_failures jsonb default '[]', p_next_seconds int default 3600, p_pause_ms int default 0
)
returns void
language plpgsql
security definer
set search_path = ''
as $$
declare
  integration public.integrations := private.hold_webhook_subscriptions(p_integration_id, p_lease_token, true);
  failure record;
  is_owners boolean := false;
begin
  for failure in
    select told.name, told.error, known.error as held_error
    from jsonb_to_recordset(p_failures) as told (name text, error jsonb)
    left join public.webhook_subscriptions as known on known.integration_id = p_integration_id and known.name = told.name
    -- what is forgotten stays so
    where integration.credentials_kept_until is null or known.name is not null
  loop
    is_owners := is_owners or failure.error ->> 'next' = 'owner';
    insert into public.webhook_subscriptions as known (integration_id, organization_id, name, status, error)
    values (integration.id, integration.organization_id, failure.name, 'failed', failure.error)
    on conflict on constraint webhook_subscriptions_pkey do update set status = 'failed', error = excluded.error;
    -- once, and not with each try
    if failure.held_error ->> 'code' is distinct from failure.error ->> 'code' then
      perform private.record_activity(integration.organization_id, 'integration.webhook_subscription_failed', 'integration',
        integration.id::text, jsonb_build_object('connector', integration.connector, 'name', integration.name,
          'subscription', failure.name, 'error', failure.error), 'failure');
    end if;
  end loop;
  update private.webhook_subscription_runs as run set
    lease_token = null,
    failure_count = case when p_failures = '[]' then 0 else run.failure_count + 1 end,
    run_at = least(integration.credentials_kept_until - interval '10 minutes', case
      when run.asked_at > run.claimed_at then now()
      when p_failures = '[]' then now() + make_interval(secs => p_next_seconds)
      when is_owners and integration.credentials_kept_until is null then now() + interval '1 day'
      else now() + greatest(private.failure_pause(run.failure_count + 1), make_interval(secs => p_pause_ms / 1000.0))
    end)
  where run.integration_id = p_integration_id;
end;
$$;
grant execute on function public.finish_webhook_subscriptions(uuid, uuid, jsonb, int, int) to service_role;

-- The platform sends nothing more to an integration that is disconnected, or is not asked again: its kept credentials go, with
-- all that was known of its subscriptions. One that is connected again meanwhile is looked at anew.
create function public.end_webhook_subscriptions(
  p_integration_id uuid, p_lease_token uuid, p_unsubscribed boolean, p_revoked boolean default null
)
returns void
language plpgsql
security definer
set search_path = ''
as $$
declare
  integration public.integrations := private.hold_webhook_subscriptions(p_integration_id, p_lease_token, true);
begin
  if integration.credentials_kept_until is null then
    perform public.finish_webhook_subscriptions(p_integration_id, p_lease_token);
  else
    perform private.delete_kept_credentials(integration.id, p_unsubscribed, p_revoked);
  end if;
end;
$$;
grant execute on function public.end_webhook_subscriptions(uuid, uuid, boolean, boolean) to service_role;
