-- Inbound webhooks: what an integration's door checks them with, what came, and how it is taken in once.

-- What an outside platform's webhooks to one integration are checked with. An integration without a row has no secret
-- of its own.
create table private.webhook_receivers (
  integration_id uuid primary key references public.integrations (id) on delete cascade,
  version uuid not null default gen_random_uuid(), -- another one with each change, so that nothing is taken by what was
  path_token_hash bytea, -- SHA-256 of the token at the end of the address; null: there is none
  path_token_created_at timestamptz,
  state jsonb, -- where the last drain of the platform's list of changes ended, in the connector's words
  constraint webhook_receivers_path_token_hash_is_sha_256 check (octet_length(path_token_hash) = 32)
);
alter table private.webhook_receivers enable row level security;

create table private.webhook_receiver_secrets (
  secret_id uuid primary key, -- vault.secrets.id
  integration_id uuid not null references private.webhook_receivers (integration_id) on delete cascade,
  created_at timestamptz not null default now(),
  expires_at timestamptz -- null: the newest of its origin
);
create index webhook_receiver_secrets_integration_id_idx on private.webhook_receiver_secrets (integration_id);
alter table private.webhook_receiver_secrets enable row level security;

create trigger webhook_receiver_secrets_delete_secret after delete on private.webhook_receiver_secrets
  for each row execute function private.delete_secret();

-- Definer's rights: whoever disconnects need not reach the receivers.
create function private.forget_webhook_receiver()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  delete from private.webhook_receivers as receiver where receiver.integration_id = new.id;
  return null;
end;
$$;
create trigger integrations_forget_webhook_receiver after update of status on public.integrations
  for each row when (new.status = 'disconnected' and old.status <> 'disconnected')
  execute function private.forget_webhook_receiver();

-- Whose account a webhook of our app at a platform is about.
create index integrations_connector_external_account_id_idx on public.integrations (connector, external_account_id);

-- One row a webhook and integration. A webhook of our app that is about several accounts at once is one row of no
-- organization: it holds what the others may not read. No foreign keys: checking one would have all webhooks of an
-- organization lock the same row. A trigger takes an organization's webhooks with it.
create table public.webhook_events (
  id uuid not null default gen_random_uuid(),
  organization_id uuid,
  integration_id uuid,
  app_instance_id uuid, -- of the business app that sent it
  connector text, -- connectors.slug; null: a business app's
  type text not null, -- the sender's own word for what happened
  status text not null default 'received', -- ignored: nobody was left whom it concerns
  body bytea not null, -- as it was sent
  accounts text[], -- external_account_id of those it is about; null: the integration's
  error jsonb, -- { code, message, next }: why it failed, or what the next try waits for
  received_at timestamptz not null default now(),
  processed_at timestamptz,
  primary key (id, received_at),
  constraint webhook_events_status_is_known check (status in ('received', 'processed', 'ignored', 'failed')),
  constraint webhook_events_belongs_to_an_integration_an_app_or_accounts
    check (num_nonnulls(integration_id, app_instance_id, accounts) = 1 and (organization_id is null) = (accounts is not null)),
  constraint webhook_events_connector_is_of_platforms check ((connector is null) = (app_instance_id is not null)),
  constraint webhook_events_failed_event_says_why check (status <> 'failed' or error is not null)
) partition by range (received_at);
comment on table public.webhook_events is 'Webhooks that outside platforms and business apps sent, as they came; kept 30 days.';
create index webhook_events_organization_id_received_at_idx on public.webhook_events (organization_id, received_at desc);
alter table public.webhook_events enable row level security;
create policy "members read their organization's webhook events"
  on public.webhook_events for select to authenticated
  using (organization_id = any ((select private.organization_ids('member'))::uuid[]));
grant select on public.webhook_events to authenticated, service_role;

create table private.webhook_events_default partition of public.webhook_events default;
alter table private.webhook_events_default enable row level security;
select private.ensure_partitions('public.webhook_events', 'day', 7);

-- Definer's rights: the owner who deletes an organization may not delete its webhooks.
create function private.delete_webhooks_of_organization()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  delete from private.webhook_event_keys as key
  where key.receiver = any (array(
    select distinct coalesce(event.integration_id, event.app_instance_id)::text from public.webhook_events as event where event.organization_id = old.id));
  delete from public.webhook_events as event where event.organization_id = old.id;
  return null;
end;
$$;
create trigger organizations_delete_webhooks after delete on public.organizations
  for each row execute function private.delete_webhooks_of_organization();

-- What has come already, and the queue of what waits: one row a webhook event, for as long as that is kept. It is no
-- partition, so that a webhook that is sent again days later is known. The headers are here, where nobody reads them: with
-- its signature, a webhook could be sent once more to whoever shares the secret.
create table private.webhook_event_keys (
  receiver text not null, -- integrations.id or app_instances.id; of a webhook about several accounts: the connector's slug
  dedupe_key text not null, -- the sender's number of it, or a hash of its body
  webhook_event_id uuid not null,
  received_at timestamptz not null,
  integration_id uuid,
  headers jsonb not null, -- those it was verified with and is read by, names in lower case
  proof jsonb not null, -- what else it takes to verify it again, and no secret: { scheme, verified_at, url, path_token_hash }
  body_bytes int not null,
  run_at timestamptz default now(), -- null: done; under a lease: its end; infinity: the integration is paused
  attempt_count int not null default 0,
  lease_token uuid,
  primary key (receiver, dedupe_key)
);
create index webhook_event_keys_run_at_idx on private.webhook_event_keys (run_at) where run_at is not null;
create index webhook_event_keys_lease_token_idx on private.webhook_event_keys (lease_token) where lease_token is not null;
create index webhook_event_keys_received_at_idx on private.webhook_event_keys (received_at);
create index webhook_event_keys_held_idx on private.webhook_event_keys (integration_id) where run_at = 'infinity';
alter table private.webhook_event_keys enable row level security;

-- Forgets keys of webhooks that are gone, in parts, until none is left or the time is over: no transaction of hours, and
-- what is left then the next one takes. Returns how many.
create function private.forget_webhook_event_keys(within interval default '30 seconds', part int default 20000)
returns int
language plpgsql
set search_path = ''
as $$
declare
  forgotten_count int := 0;
  part_count int;
  reached timestamptz := timestamptz '-infinity'; -- the next part does not pass over what this one has left dead in the index
begin
  loop
    with old as (
      select key.receiver, key.dedupe_key from private.webhook_event_keys as key
      where key.received_at >= reached and key.received_at < now() - interval '31 days'
      order by key.received_at
      limit part
      for update skip locked
    ), forgotten as (
      delete from private.webhook_event_keys as key using old
      where key.receiver = old.receiver and key.dedupe_key = old.dedupe_key
      returning key.received_at
    )
    select count(*)::int, coalesce(max(forgotten.received_at), reached) into part_count, reached from forgotten;
    forgotten_count := forgotten_count + part_count;
    exit when part_count < part or clock_timestamp() >= now() + within;
  end loop;
  return forgotten_count;
end;
$$;
select cron.schedule('forget-webhook-event-keys', '*/5 * * * *', 'select private.forget_webhook_event_keys()');

insert into private.worker_wakes (worker) values ('webhook-receive');

-- Whether webhooks of our app tell of this account: whoever signed in let our app read it. A key of somebody else's app, or a
-- number that was typed, shows that the account is known, and not that all that our app hears of it may be read.
create function private.hears_our_app(integration_id uuid)
returns boolean
language sql
stable
set search_path = ''
as $$
  select exists (
    select from public.integrations as integration
    join private.oauth_grants as grants on grants.integration_id = integration.id
    where integration.id = hears_our_app.integration_id and integration.status not in ('disconnected', 'pending')
      and not integration.account ? 'unproven');
$$;

-- What a call to an integration's door is checked with: { connector, settings, version, path_token_hash (hex), hears_our_app,
-- secrets: [{ secret, expires_at }], newest first }. Null: unknown or disconnected.
create function public.open_webhook_receiver(p_integration_id uuid)
returns jsonb
language sql
stable
security definer
set search_path = ''
as $$
  select jsonb_build_object(
    'connector', integration.connector,
    'settings', integration.settings,
    'version', receiver.version,
    'path_token_hash', encode(receiver.path_token_hash, 'hex'),
    'hears_our_app', private.hears_our_app(integration.id),
    'secrets', (
      select coalesce(jsonb_agg(
        jsonb_build_object('secret', secret.decrypted_secret, 'expires_at', held.expires_at) order by held.created_at desc), '[]')
      from private.webhook_receiver_secrets as held
      join vault.decrypted_secrets as secret on secret.id = held.secret_id
      where held.integration_id = integration.id and (held.expires_at is null or held.expires_at > now())))
  from public.integrations as integration
  left join private.webhook_receivers as receiver on receiver.integration_id = integration.id
  where integration.id = p_integration_id and integration.status not in ('disconnected', 'pending');
$$;
grant execute on function public.open_webhook_receiver(uuid) to service_role;

-- The same for a webhook of our app: one row for each organization that has signed in to the one account it is about, or one of no
-- organization where it is about several. Returns { accepted, duplicate }.
create function private.keep_app_webhook(
  connector text, type text, dedupe_key text, headers jsonb, proof jsonb, body bytea, came_at timestamptz, accounts text[]
)
returns jsonb
language sql
set search_path = ''
as $$
  with concerned as (
    select integration.id, integration.organization_id
    from public.integrations as integration
    where integration.connector = keep_app_webhook.connector
      and integration.external_account_id = any (keep_app_webhook.accounts)
      and private.hears_our_app(integration.id)
  ), receivers as (
    select concerned.id::text as receiver, concerned.id as integration_id, concerned.organization_id, null::text[] as accounts
    from concerned where cardinality(keep_app_webhook.accounts) = 1
    union all
    select keep_app_webhook.connector, null, null, keep_app_webhook.accounts
    where cardinality(keep_app_webhook.accounts) > 1 and exists (select from concerned)
  ), taken as (
    insert into private.webhook_event_keys
      (receiver, dedupe_key, webhook_event_id, received_at, integration_id, headers, proof, body_bytes, run_at)
    select receivers.receiver, keep_app_webhook.dedupe_key, gen_random_uuid(), keep_app_webhook.came_at, receivers.integration_id,
      keep_app_webhook.headers, keep_app_webhook.proof, octet_length(keep_app_webhook.body), keep_app_webhook.came_at
    from receivers
    on conflict on constraint webhook_event_keys_pkey do nothing
    returning receiver, webhook_event_id
  ), kept as (
    insert into public.webhook_events (id, organization_id, integration_id, connector, type, body, accounts, received_at)
    select taken.webhook_event_id, receivers.organization_id, receivers.integration_id, keep_app_webhook.connector,
      keep_app_webhook.type, keep_app_webhook.body, receivers.accounts, keep_app_webhook.came_at
    from taken join receivers using (receiver)
  )
  select jsonb_build_object('accepted', exists (select from receivers),
    'duplicate', exists (select from receivers) and not exists (select from taken));
$$;

-- Takes in a verified webhook, and rings for a worker where none is awake. Sent again, it is not taken in again. p_body: base64.
-- It belongs to
--   * p_integration_id, whose receiver had p_receiver_version when it was verified, or
--   * whoever has connected one of p_accounts with our app: several organizations may have the same one.
-- { accepted, duplicate }. Not accepted: there is no such integration or account, or its receiver has changed.
-- Every webhook waits for this: few statements, each as simple as can be.
create function public.receive_webhook(
  p_connector text, p_type text, p_dedupe_key text, p_headers jsonb, p_proof jsonb, p_body text,
  p_integration_id uuid default null, p_receiver_version uuid default null, p_accounts text[] default null
)
returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  sent bytea := decode(p_body, 'base64');
  came_at timestamptz := clock_timestamp();
  event_id uuid := gen_random_uuid();
  owner_id uuid;
  is_awake boolean;
  answer jsonb := '{"accepted": true, "duplicate": false}'::jsonb;
begin
  if octet_length(sent) > 1000000 then
    perform private.refuse('body_too_large');
  end if;
  if p_integration_id is null then
    answer := private.keep_app_webhook(p_connector, p_type, p_dedupe_key, p_headers, p_proof, sent, came_at, p_accounts);
    if answer = '{"accepted": true, "duplicate": false}' then
      perform private.wake_worker('webhook-receive');
    end if;
    return answer;
  end if;

  select integration.organization_id,
    (select doorbell.awake_until >= came_at from private.worker_wakes as doorbell where doorbell.worker = 'webhook-receive')
    into owner_id, is_awake
  from public.integrations as integration
  where integration.id = p_integration_id and integration.status not in ('disconnected', 'pending')
    and p_receiver_version is not distinct from (
      select receiver.version from private.webhook_receivers as receiver where receiver.integration_id = p_integration_id);
  if not found then
    return '{"accepted": false, "duplicate": false}'::jsonb;
  end if;
  insert into private.webhook_event_keys
    (receiver, dedupe_key, webhook_event_id, received_at, integration_id, headers, proof, body_bytes, run_at)
  values
    (p_integration_id::text, p_dedupe_key, event_id, came_at, p_integration_id, p_headers, p_proof, octet_length(sent), came_at)
  on conflict on constraint webhook_event_keys_pkey do nothing;
  if not found then
    return '{"accepted": true, "duplicate": true}'::jsonb;
  end if;
  insert into public.webhook_events (id, organization_id, integration_id, connector, type, body, received_at)
  values (event_id, owner_id, p_integration_id, p_connector, p_type, sent, came_at);
  if is_awake is not true then
    perform private.wake_worker('webhook-receive');
  end if;
  return answer;
end;
$$;
grant execute on function public.receive_webhook(text, text, text, jsonb, jsonb, text, uuid, uuid, text[]) to service_role;

-- The same for several webhooks to integrations at once, in one transaction:
-- [{ number, connector, type, dedupe_key, headers, proof, body (base64), integration_id, receiver_version }].
-- Returns the numbers of those that were accepted, duplicates too.
create function public.receive_webhooks(p_webhooks jsonb)
returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  came_at timestamptz := clock_timestamp();
  accepted jsonb;
  has_new boolean;
  is_awake boolean;
begin
  if exists (
    select from jsonb_array_elements(p_webhooks) as given
    -- mostly far below: only what may be too large is decoded for it
    where case when length(given ->> 'body') > 1333333 then octet_length(decode(given ->> 'body', 'base64')) > 1000000 end
  ) then
    perform private.refuse('body_too_large');
  end if;
  with given as (
    select said.*, decode(said.body, 'base64') as sent
    from jsonb_to_recordset(p_webhooks) as said (
      number int, connector text, type text, dedupe_key text, headers jsonb, proof jsonb, body text, integration_id uuid,
      receiver_version uuid)
  ), known as materialized (
    select given.*, integration.organization_id, gen_random_uuid() as event_id
    from given
    join public.integrations as integration
      on integration.id = given.integration_id and integration.status not in ('disconnected', 'pending')
    left join private.webhook_receivers as receiver on receiver.integration_id = given.integration_id
    where receiver.version is not distinct from given.receiver_version
  ), taken as (
    insert into private.webhook_event_keys
      (receiver, dedupe_key, webhook_event_id, received_at, integration_id, headers, proof, body_bytes, run_at)
    select known.integration_id::text, known.dedupe_key, known.event_id, came_at, known.integration_id, known.headers, known.proof,
      octet_length(known.sent), came_at
    from known
    order by known.integration_id, known.dedupe_key -- the same order everywhere: nobody waits in a circle
    on conflict on constraint webhook_event_keys_pkey do nothing
    returning webhook_event_id
  ), kept as (
    insert into public.webhook_events (id, organization_id, integration_id, connector, type, body, received_at)
    select known.event_id, known.organization_id, known.integration_id, known.connector, known.type, known.sent, came_at
    from taken
    join known on known.event_id = taken.webhook_event_id
  )
  select coalesce(jsonb_agg(known.number), '[]'), exists (select from taken),
    (select doorbell.awake_until >= came_at from private.worker_wakes as doorbell where doorbell.worker = 'webhook-receive')
  into accepted, has_new, is_awake
  from known;
  if has_new and is_awake is not true then
    perform private.wake_worker('webhook-receive');
  end if;
  return accepted;
end;
$$;
grant execute on function public.receive_webhooks(jsonb) to service_role;

-- The receiver of an integration that can be used, made where there is none, under a lock.
create function private.hold_webhook_receiver(integration_id uuid)
returns public.integrations
language plpgsql
set search_path = ''
as $$
declare
  integration public.integrations;
begin
  select * into integration from public.integrations as held where held.id = hold_webhook_receiver.integration_id for share;
  if not found then
    perform private.refuse('integration_not_found');
  elsif integration.status in ('disconnected', 'pending') then
    perform private.refuse('integration_disconnected', format('%s is not connected: connect the account first.', integration.name));
  end if;
  insert into private.webhook_receivers as receiver (integration_id) values (integration.id)
  on conflict on constraint webhook_receivers_pkey do update set version = gen_random_uuid();
  return integration;
end;
$$;

-- How an integration's door stands: { connector, settings, secrets: [{ created_at, expires_at }], path_token_created_at }.
create function public.describe_webhook_receiver(p_integration_id uuid)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  integration public.integrations;
begin
  select * into integration from public.integrations as held where held.id = p_integration_id;
  if not found then
    perform private.refuse('integration_not_found');
  end if;
  return jsonb_build_object(
    'connector', integration.connector,
    'settings', integration.settings,
    'secrets', (
      select coalesce(jsonb_agg(
        jsonb_build_object('created_at', held.created_at, 'expires_at', held.expires_at) order by held.created_at desc), '[]')
      from private.webhook_receiver_secrets as held
      where held.integration_id = integration.id and (held.expires_at is null or held.expires_at > now())),
    'path_token_created_at', (
      select receiver.path_token_created_at from private.webhook_receivers as receiver where receiver.integration_id = integration.id));
end;
$$;
grant execute on function public.describe_webhook_receiver(uuid) to service_role;

-- Puts a signing secret into Vault, which came with the subscription of that name, or with none was given by a manager. Those
-- of the same origin before it count for overlap_seconds more, and those that had an end keep it where that is sooner;
-- the others are signed with by somebody else, who knows nothing of this one. Returns whether it is new.
create function private.keep_webhook_secret(integration_id uuid, secret text, overlap_seconds int, subscription text default null)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  overlap_ends_at timestamptz := now() + make_interval(secs => keep_webhook_secret.overlap_seconds);
  secret_ids uuid[];
  new_id uuid;
begin
  select coalesce(array_agg(held.secret_id), '{}') into secret_ids
  from private.webhook_receiver_secrets as held
  left join private.webhook_subscription_secrets as shown on shown.secret_id = held.secret_id
  where held.integration_id = keep_webhook_secret.integration_id and shown.name is not distinct from keep_webhook_secret.subscription;
  -- given again, or its answer was lost
  if exists (
    select 1 from private.webhook_receiver_secrets as held
    join vault.decrypted_secrets as known on known.id = held.secret_id
    where held.secret_id = any (secret_ids) and held.expires_at is null and known.decrypted_secret = keep_webhook_secret.secret
  ) then
    return false;
  end if;
  update private.webhook_receiver_secrets as held set expires_at = least(held.expires_at, overlap_ends_at)
  where held.secret_id = any (secret_ids);
  delete from private.webhook_receiver_secrets as held
  where held.integration_id = keep_webhook_secret.integration_id and held.expires_at <= now();
  new_id := vault.create_secret(keep_webhook_secret.secret);
  insert into private.webhook_receiver_secrets (secret_id, integration_id, created_at)
  values (new_id, keep_webhook_secret.integration_id, clock_timestamp());
  if keep_webhook_secret.subscription is not null then
    insert into private.webhook_subscription_secrets (secret_id, name) values (new_id, keep_webhook_secret.subscription);
  end if;
  return true;
end;
$$;

-- Keeps a signing secret that a manager gave, for p_overlap_seconds beside the one given before.
create function public.set_webhook_secret(
  p_integration_id uuid, p_secret text, p_overlap_seconds int default 86400, p_actor_id uuid default null
)
returns void
language plpgsql
security definer
set search_path = ''
as $$
declare
  integration public.integrations := private.hold_webhook_receiver(p_integration_id);
begin
  if private.keep_webhook_secret(p_integration_id, p_secret, p_overlap_seconds) then
    perform private.record_activity(integration.organization_id, 'integration.webhook_secret_set', 'integration',
      integration.id::text, jsonb_build_object('connector', integration.connector, 'name', integration.name), 'success', p_actor_id);
  end if;
end;
$$;
grant execute on function public.set_webhook_secret(uuid, text, int, uuid) to service_role;

-- Gives the address another end, of which only the SHA-256 (hex) comes here. The one before counts no more. With p_instead_of it
-- changes only that one: whoever takes theirs back leaves alone what was set since. Answers whether the platform is subscribed by
-- itself: then that is done anew, with yet another end.
create function public.set_webhook_path_token(
  p_integration_id uuid, p_token_hash text, p_actor_id uuid default null, p_instead_of text default null
)
returns boolean
language plpgsql
security definer
set search_path = ''
as $$
declare
  integration public.integrations := private.hold_webhook_receiver(p_integration_id);
begin
  update private.webhook_receivers as receiver set path_token_hash = decode(p_token_hash, 'hex'), path_token_created_at = now()
  where receiver.integration_id = p_integration_id
    and (p_instead_of is null or receiver.path_token_hash = decode(p_instead_of, 'hex'));
  if p_instead_of is null then
    perform private.record_activity(integration.organization_id, 'integration.webhook_path_rotated', 'integration',
      integration.id::text, jsonb_build_object('connector', integration.connector, 'name', integration.name), 'success', p_actor_id);
  end if;
  return integration.webhooks is distinct from false and exists (
    select 1 from public.webhook_subscriptions as subscription
    where subscription.integration_id = p_integration_id);
end;
$$;
grant execute on function public.set_webhook_path_token(uuid, text, uuid, text) to service_role;
