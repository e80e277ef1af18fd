-- An organization's connected accounts. Clients read them; every change goes through the functions
-- below, which only the service may call, after the Edge Function has judged the caller and checked
-- settings and credentials against the connector. Credentials are in Vault and nowhere else.

create table public.integrations (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null references public.organizations (id) on delete cascade,
  connector text not null references public.connectors (slug),
  external_account_id text, -- the platform's name for the account; null until it is known
  name text not null,
  status text not null default 'pending',
  settings jsonb not null default '{}',
  account jsonb not null default '{}', -- what the platform says of the account, such as its region; never a secret
  sync_interval_minutes int not null default 60,
  webhooks boolean, -- whether webhooks are subscribed at the platform; null: where its webhooks can reach us
  consecutive_failures int not null default 0,
  last_error jsonb, -- { code, message, next }
  last_synced_at timestamptz,
  last_checked_at timestamptz,
  connected_at timestamptz,
  disconnected_at timestamptz,
  credentials_kept_until timestamptz, -- disconnected, and its platform has not answered: kept to unsubscribe there, and for nothing else
  created_by uuid references auth.users (id) on delete set null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  -- for the foreign keys of everything that belongs to an integration: one check proves the tenant too
  unique (id, organization_id),
  constraint integrations_account_is_connected_once unique (organization_id, connector, external_account_id),
  constraint integrations_name_is_1_to_200_characters check (length(btrim(name)) between 1 and 200),
  constraint integrations_status_is_known check (status in ('pending', 'connected', 'paused', 'error', 'needs_reconnect', 'disconnected')),
  constraint integrations_settings_is_an_object check (jsonb_typeof(settings) = 'object'),
  constraint integrations_account_is_an_object check (jsonb_typeof(account) = 'object'),
  constraint integrations_interval_is_1_minute_to_7_days check (sync_interval_minutes between 1 and 10080),
  constraint integrations_connected_account_is_known check (status = 'pending' or external_account_id is not null),
  constraint integrations_only_a_disconnected_one_keeps_credentials check (credentials_kept_until is null or status = 'disconnected')
);
comment on table public.integrations is 'Connected accounts: one organization''s account on one connector.';
create index integrations_connector_idx on public.integrations (connector);
create index integrations_created_by_idx on public.integrations (created_by);
alter table public.integrations enable row level security;
create policy "members read their organization's integrations"
  on public.integrations for select to authenticated
  using (organization_id = any ((select private.organization_ids('viewer'))::uuid[]));
grant select on public.integrations to authenticated, service_role;
create trigger integrations_touch before update on public.integrations
  for each row execute function private.touch_updated_at();

-- Deleting an organization asks no platform: what is connected would go on to send its webhooks, and its tokens to count there.
-- So people disconnect first, which ends both. Whoever runs the database is trusted to know. The row lock makes whoever
-- connects an account meanwhile wait. Definer's rights: the owner may not lock the organization.
create function private.keep_organization_with_integrations()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  if (select auth.uid()) is null then
    return old;
  end if;
  perform 1 from public.organizations where id = old.id for update;
  if exists (
    select 1 from public.integrations as integration
    where integration.organization_id = old.id and integration.status not in ('pending', 'disconnected')
  ) then
    perform private.refuse('organization_has_integrations', 'Accounts are still connected: disconnect each of them first.');
  end if;
  return old;
end;
$$;
create trigger organizations_keep_one_with_integrations before delete on public.organizations
  for each row execute function private.keep_organization_with_integrations();

-- Which Vault secrets hold an integration's credentials and its current access token.
create table private.integration_credentials (
  integration_id uuid primary key references public.integrations (id) on delete cascade,
  credentials_secret_id uuid not null, -- vault.secrets.id; the secret is the credentials object as JSON
  token_secret_id uuid, -- vault.secrets.id; an access token exchanged for the credentials
  token_expires_at timestamptz,
  updated_at timestamptz not null default now()
);
alter table private.integration_credentials enable row level security;

-- A secret never outlives the row that names it. Definer's rights: an owner who deletes the organization
-- deletes this row by cascade, and has no way into Vault.
create function private.delete_unnamed_secrets()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  delete from vault.secrets
  where id in (old.credentials_secret_id, old.token_secret_id)
    and (tg_op = 'DELETE' or id not in (new.credentials_secret_id, coalesce(new.token_secret_id, new.credentials_secret_id)));
  return null;
end;
$$;
create trigger integration_credentials_delete_secrets after delete or update on private.integration_credentials
  for each row execute function private.delete_unnamed_secrets();

-- The same for tables with one secret a row, in secret_id.
create function private.delete_secret()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  delete from vault.secrets where id = old.secret_id;
  return null;
end;
$$;

-- Definer's rights: reaches record_activity and emit_event on behalf of whoever changed the row.
create function private.record_integration_activity()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  -- set by the functions below to the person who asked
  actor uuid := nullif(current_setting('plugboard.actor_id', true), '')::uuid;
  action text := case
    when tg_op = 'DELETE' then 'integration.deleted'
    when tg_op = 'INSERT' then case when new.status = 'connected' then 'integration.connected' else 'integration.created' end
    when new.status = old.status then case
      when new.connected_at is distinct from old.connected_at then 'integration.reconnected'
      when (new.settings, new.name, new.sync_interval_minutes, new.webhooks)
        is distinct from (old.settings, old.name, old.sync_interval_minutes, old.webhooks)
      then 'integration.updated'
      when old.credentials_kept_until is not null and new.credentials_kept_until is null then 'integration.credentials_deleted' end
    when new.status = 'connected' and old.status = 'paused' then 'integration.resumed'
    when new.status = 'connected' and old.status = 'error' then 'integration.recovered'
    when new.status = 'connected' then 'integration.connected'
    when new.status = 'error' then 'integration.failed'
    else 'integration.' || new.status
  end;
  subject record := coalesce(new, old);
  told text := case
    when action in ('integration.connected', 'integration.reconnected', 'integration.recovered', 'integration.resumed', 'integration.paused',
      'integration.disconnected') then action
    when action = 'integration.failed' then 'integration.error'
    when action = 'integration.needs_reconnect' then 'integration.reauthorization_required'
    when action = 'integration.deleted' then 'integration.disconnected'
  end;
begin
  if told is not null then
    perform private.emit_event(subject.organization_id, told,
      jsonb_build_object('integration_id', subject.id, 'connector', subject.connector, 'name', subject.name)
      || case when action in ('integration.failed', 'integration.needs_reconnect') then jsonb_build_object('error', new.last_error) else '{}' end,
      'integration/' || subject.id);
  end if;
  if action is not null then
    perform private.record_activity(subject.organization_id, action, 'integration', subject.id::text,
      case when action in ('integration.disconnected', 'integration.credentials_deleted')
        then coalesce(nullif(current_setting('plugboard.disconnect_detail', true), '')::jsonb, '{}') else '{}' end
      || jsonb_strip_nulls(jsonb_build_object('connector', subject.connector, 'name', subject.name,
        'credentials_kept_until', case when action = 'integration.disconnected' then new.credentials_kept_until end,
        'error', case when action in ('integration.failed', 'integration.needs_reconnect') then new.last_error end)),
      case when action in ('integration.failed', 'integration.needs_reconnect') then 'failure' else 'success' end, actor);
  end if;
  return null;
end;
$$;
create trigger integrations_activity after insert or update or delete on public.integrations
  for each row execute function private.record_integration_activity();

-- Refuses what would call the platform while the account cannot or should not be used.
create function private.require_connected(integration public.integrations)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if integration.status in ('disconnected', 'pending') then
    perform private.refuse('integration_disconnected', format('%s is not connected: connect the account first.', integration.name));
  elsif integration.status = 'paused' then
    perform private.refuse('integration_paused', format('%s is paused: resume it first.', integration.name));
  elsif integration.status = 'needs_reconnect' then
    perform private.refuse('reconnect_required', format('The owner of %s has to sign in again first.', integration.name));
  end if;
end;
$$;

create function private.act_as(actor_id uuid)
returns void
language sql
set search_path = ''
as $$
  select set_config('plugboard.actor_id', coalesce(act_as.actor_id::text, ''), true);
$$;

-- Puts credentials into Vault, with the token that was exchanged for them while they were tried, where
-- there is one; replaces both. Whoever works with the old ones loses its run, which goes on with the new ones.
create function private.store_credentials(
  integration_id uuid, credentials jsonb, access_token text default null, token_expires_at timestamptz default null
)
returns void
language plpgsql
set search_path = ''
as $$
begin
  insert into private.integration_credentials as held (
    integration_id, credentials_secret_id, token_secret_id, token_expires_at
  )
  values (
    store_credentials.integration_id, vault.create_secret(store_credentials.credentials::text),
    case when store_credentials.access_token is not null then vault.create_secret(store_credentials.access_token) end,
    store_credentials.token_expires_at
  )
  on conflict on constraint integration_credentials_pkey do update
    set credentials_secret_id = excluded.credentials_secret_id, token_secret_id = excluded.token_secret_id,
        token_expires_at = excluded.token_expires_at, updated_at = now();
  delete from private.oauth_grants as earlier where earlier.integration_id = store_credentials.integration_id;
  update private.sync_runs as run set lease_token = null, leased_at = null, lease_expires_at = null
  where run.integration_id = store_credentials.integration_id;
  if found then
    perform private.wake_worker('sync');
  end if;
end;
$$;

-- What the activity log says of the sign-in that is held, before it is forgotten: whether the platform took it back, "unknown"
-- where `revoked` is null; null where there is none.
create function private.told_revocation(integration_id uuid, revoked boolean)
returns jsonb
language plpgsql -- as open_integration
stable
set search_path = ''
as $$
begin
  return (select coalesce(to_jsonb(told_revocation.revoked), '"unknown"')
  from private.oauth_grants as grants where grants.integration_id = told_revocation.integration_id);
end;
$$;

create function private.record_credentials_replaced(integration public.integrations, revoked boolean, actor_id uuid)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform private.record_activity(integration.organization_id, 'integration.credentials_replaced', 'integration', integration.id::text,
    jsonb_strip_nulls(jsonb_build_object('connector', integration.connector, 'name', integration.name,
      'revoked', private.told_revocation(integration.id, record_credentials_replaced.revoked))),
    'success', record_credentials_replaced.actor_id);
end;
$$;

-- Which integration an organization has of an account.
create function public.find_integration(p_organization_id uuid, p_connector text, p_external_account_id text)
returns uuid
language sql
stable
security definer
set search_path = ''
as $$
  select id from public.integrations
  where organization_id = p_organization_id and connector = p_connector and external_account_id = p_external_account_id;
$$;
grant execute on function public.find_integration(uuid, text, text) to service_role;

-- Connects an account, or connects it again: the same account on the same connector keeps its
-- integration, with its id, streams, cursors and data. p_push_columns: as private.ensure_streams takes them.
-- p_revoked: of a sign-in in whose place these credentials are, as disconnect_integration takes it.
create function public.connect_integration(
  p_organization_id uuid, p_connector text, p_external_account_id text, p_name text, p_settings jsonb,
  p_credentials jsonb, p_sync_interval_minutes int default null, p_actor_id uuid default null,
  p_access_token text default null, p_token_expires_at timestamptz default null,
  p_account jsonb default '{}', p_streams text[] default null, p_push_columns jsonb default '{}', p_revoked boolean default null
)
returns public.integrations
language plpgsql
security definer
set search_path = ''
as $$
declare
  connected public.integrations;
begin
  perform private.act_as(p_actor_id);
  if not exists (select 1 from public.organizations where id = p_organization_id) then
    perform private.refuse('organization_not_found');
  end if;
  if not exists (select 1 from public.connectors where slug = p_connector and available) then
    perform private.refuse('connector_not_found', format('There is no connector %s.', p_connector));
  end if;
  insert into public.integrations as held (
    organization_id, connector, external_account_id, name, status, settings, account, sync_interval_minutes,
    connected_at, created_by
  )
  values (
    p_organization_id, p_connector, p_external_account_id, p_name, 'connected', p_settings, p_account,
    coalesce(p_sync_interval_minutes, 60), now(), p_actor_id
  )
  on conflict on constraint integrations_account_is_connected_once do update set
    name = excluded.name, settings = excluded.settings, account = excluded.account, status = 'connected', consecutive_failures = 0,
    sync_interval_minutes = coalesce(p_sync_interval_minutes, held.sync_interval_minutes),
    last_error = null, connected_at = now(), disconnected_at = null, credentials_kept_until = null
  returning * into connected;
  if exists (select 1 from private.oauth_grants where integration_id = connected.id and revocation_started_at is not null) then
    perform private.record_credentials_replaced(connected, p_revoked, p_actor_id);
  end if;
  perform private.store_credentials(connected.id, p_credentials, p_access_token, p_token_expires_at);
  perform private.ensure_streams(connected.id, p_streams, p_push_columns);
  return connected;
end;
$$;
grant execute on function
  public.connect_integration(uuid, text, text, text, jsonb, jsonb, int, uuid, text, timestamptz, jsonb, text[], jsonb, boolean) to service_role;

-- Changes only what is given. `paused` true holds the schedule and refuses runs; false lifts it. A token is
-- kept only with the credentials it was made with. p_push_columns comes with p_streams. p_revoked: as connect_integration.
create function public.update_integration(
  p_integration_id uuid, p_name text default null, p_settings jsonb default null, p_credentials jsonb default null,
  p_sync_interval_minutes int default null, p_paused boolean default null, p_actor_id uuid default null,
  p_access_token text default null, p_token_expires_at timestamptz default null,
  p_account jsonb default null, p_streams text[] default null, p_webhooks boolean default null,
  p_push_columns jsonb default '{}', p_revoked boolean default null
)
returns public.integrations
language plpgsql
security definer
set search_path = ''
as $$
declare
  changed public.integrations;
  -- the endpoint has tried new settings and credentials at the platform
  is_proved boolean := p_settings is not null or p_credentials is not null;
begin
  perform private.act_as(p_actor_id);
  update public.integrations as held set
    name = coalesce(p_name, held.name),
    settings = coalesce(p_settings, held.settings),
    account = coalesce(p_account, held.account),
    sync_interval_minutes = coalesce(p_sync_interval_minutes, held.sync_interval_minutes),
    webhooks = coalesce(p_webhooks, held.webhooks),
    status = case
      when p_paused and held.status in ('connected', 'error') then 'paused'
      when not p_paused and held.status = 'paused' then 'connected'
      when is_proved and held.status in ('error', 'needs_reconnect') then 'connected'
      else held.status
    end,
    consecutive_failures = case when is_proved then 0 else held.consecutive_failures end,
    last_error = case when is_proved then null else held.last_error end
  where held.id = p_integration_id
  returning * into changed;
  if not found then
    perform private.refuse('integration_not_found');
  end if;
  if changed.status = 'disconnected' then
    perform private.refuse('integration_disconnected', 'Connect the account again first.');
  end if;
  if p_credentials is not null then
    perform private.record_credentials_replaced(changed, p_revoked, p_actor_id);
    perform private.store_credentials(changed.id, p_credentials, p_access_token, p_token_expires_at);
  end if;
  if changed.status = 'paused' then
    perform private.end_open_runs(changed.id, 'integration_paused', 'The integration was paused while this run was open.');
  end if;
  if p_streams is not null then
    perform private.ensure_streams(changed.id, p_streams, p_push_columns);
  end if;
  -- a new rhythm, a repaired account and a lifted pause all start with a run now
  if p_sync_interval_minutes is not null or is_proved or p_paused is false then
    update public.sync_streams set next_sync_at = now() where integration_id = changed.id;
  end if;
  return changed;
end;
$$;
grant execute on function
  public.update_integration(uuid, text, jsonb, jsonb, int, boolean, uuid, text, timestamptz, jsonb, text[], boolean, jsonb, boolean) to service_role;

-- Forgets the credentials, stops schedules and runs, keeps the synced data unless told otherwise. p_revoked:
-- whether the platform took back what its owner had granted; null: nobody knows. p_unsubscribed: whether it sends no more webhooks;
-- null where there were none. p_keep_credentials: for three days, in which its webhooks can still be ended. With p_credentials_id
-- only while those are the credentials held (lease_lost): others may be of a sign-in that nobody has revoked.
create function public.disconnect_integration(
  p_integration_id uuid, p_delete_data boolean default false, p_actor_id uuid default null, p_revoked boolean default null,
  p_unsubscribed boolean default null, p_keep_credentials boolean default false, p_credentials_id uuid default null
)
returns public.integrations
language plpgsql
security definer
set search_path = ''
set statement_timeout = '60s' -- deleting the data of a large account
as $$
declare
  left_over public.integrations;
begin
  perform private.act_as(p_actor_id);
  if p_delete_data then
    perform private.hold_synced_data(p_integration_id);
  end if;
  perform 1 from public.integrations where id = p_integration_id for no key update; -- whoever connects it meanwhile waits
  if p_credentials_id is not null and not exists (
    select 1 from private.integration_credentials as held
    where held.integration_id = p_integration_id and held.credentials_secret_id = p_credentials_id
  ) then
    perform private.refuse('lease_lost', 'Other credentials came meanwhile.');
  end if;
  perform set_config('plugboard.disconnect_detail', jsonb_strip_nulls(jsonb_build_object(
    'revoked', case when not p_keep_credentials then private.told_revocation(p_integration_id, p_revoked) end,
    'unsubscribed', p_unsubscribed, 'data_deleted', p_delete_data))::text, true);
  update public.integrations as held set status = 'disconnected', disconnected_at = now(),
    credentials_kept_until = case when p_keep_credentials and exists (
      select 1 from private.integration_credentials as credentials where credentials.integration_id = held.id
    ) then coalesce(held.credentials_kept_until, now() + interval '3 days') end
  where held.id = p_integration_id
  returning * into left_over;
  if not found then
    perform private.refuse('integration_not_found');
  end if;
  if left_over.credentials_kept_until is null then
    delete from private.integration_credentials where integration_id = p_integration_id;
  end if;
  perform private.end_open_runs(p_integration_id, 'integration_disconnected',
    'The integration was disconnected while this run was open.');
  if p_delete_data then
    perform private.delete_synced_data(p_integration_id);
  end if;
  return left_over;
end;
$$;
grant execute on function public.disconnect_integration(uuid, boolean, uuid, boolean, boolean, boolean, uuid) to service_role;

-- Ends the time for which disconnecting has left credentials, where the account is not connected again.
create function private.delete_kept_credentials(integration_id uuid, unsubscribed boolean, revoked boolean)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform set_config('plugboard.disconnect_detail', jsonb_strip_nulls(jsonb_build_object(
    'revoked', private.told_revocation(delete_kept_credentials.integration_id, delete_kept_credentials.revoked),
    'unsubscribed', delete_kept_credentials.unsubscribed))::text, true);
  update public.integrations as held set credentials_kept_until = null
  where held.id = delete_kept_credentials.integration_id and held.credentials_kept_until is not null;
  if found then
    delete from private.integration_credentials as credentials
    where credentials.integration_id = delete_kept_credentials.integration_id;
  end if;
end;
$$;

-- What the engine needs to speak to an account, credentials in the clear. Those that disconnecting has left: p_to_unsubscribe only.
-- { integration, credentials_id, credentials, token: { access_token, expires_at } | null }, or null when unknown.
-- The token of a sign-in has generation and refresh_at besides.
create function public.open_integration(p_integration_id uuid, p_to_unsubscribe boolean default false)
returns jsonb
language plpgsql -- which looks at the grants' table only when it runs: it is made after this one
stable
security definer
set search_path = ''
as $$
begin
  return (select jsonb_build_object(
    'integration', to_jsonb(integration),
    'credentials_id', held.credentials_secret_id,
    'credentials', (
      select secret.decrypted_secret::jsonb from vault.decrypted_secrets as secret where secret.id = held.credentials_secret_id
    ),
    'token', coalesce(private.describe_grant_token(held.integration_id), (
      select jsonb_build_object('access_token', secret.decrypted_secret, 'expires_at', held.token_expires_at)
      from vault.decrypted_secrets as secret where secret.id = held.token_secret_id
    ))
  )
  from public.integrations as integration
  left join private.integration_credentials as held on held.integration_id = integration.id
    and (integration.credentials_kept_until is null or p_to_unsubscribe)
  where integration.id = p_integration_id);
end;
$$;
grant execute on function public.open_integration(uuid, boolean) to service_role;

-- Keeps a token exchanged for the credentials, or forgets it when given null. With p_credentials_id only
-- while those are still the credentials held.
create function public.save_integration_token(
  p_integration_id uuid, p_access_token text, p_expires_at timestamptz default null, p_credentials_id uuid default null
)
returns void
language plpgsql
security definer
set search_path = ''
as $$
begin
  update private.integration_credentials as held set
    token_secret_id = case when p_access_token is not null then vault.create_secret(p_access_token) end,
    token_expires_at = p_expires_at,
    updated_at = now()
  where held.integration_id = p_integration_id
    and (p_credentials_id is null or held.credentials_secret_id = p_credentials_id);
end;
$$;
grant execute on function public.save_integration_token(uuid, text, timestamptz, uuid) to service_role;

-- The accounts of an organization that a check can be asked of: [{ id, name }].
create function public.list_checkable_integrations(p_organization_id uuid)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
  if not exists (select 1 from public.organizations where id = p_organization_id) then
    perform private.refuse('organization_not_found');
  end if;
  return (
    select coalesce(jsonb_agg(jsonb_build_object('id', integration.id, 'name', integration.name) order by integration.created_at), '[]')
    from public.integrations as integration
    where integration.organization_id = p_organization_id and integration.status not in ('disconnected', 'pending'));
end;
$$;
grant execute on function public.list_checkable_integrations(uuid) to service_role;

-- The outcome of a check call. An error the owner has to mend puts the integration into error; a
-- good check takes it out again. With p_credentials_id only while those are still the credentials held: it says nothing of others.
create function public.record_integration_check(p_integration_id uuid, p_error jsonb default null, p_credentials_id uuid default null)
returns public.integrations
language plpgsql
security definer
set search_path = ''
as $$
declare
  checked public.integrations;
begin
  select * into checked from public.integrations where id = p_integration_id for no key update; -- whoever connects it meanwhile comes first
  if not found then
    perform private.refuse('integration_not_found');
  end if;
  if p_credentials_id is not null and not exists (
    select 1 from private.integration_credentials as held
    where held.integration_id = p_integration_id and held.credentials_secret_id = p_credentials_id
  ) then
    return checked;
  end if;
  if p_error is null then
    -- the account works again: do not wait for the pause after its failures
    update public.sync_streams as stream set next_sync_at = now()
    from public.integrations as integration
    where stream.integration_id = p_integration_id and integration.id = p_integration_id and integration.status = 'error';
  end if;
  update public.integrations as held set
    last_checked_at = now(),
    last_error = case when held.status in ('connected', 'error') then p_error else held.last_error end,
    consecutive_failures = case when p_error is null then 0 else held.consecutive_failures end,
    status = case
      when held.status = 'error' and p_error is null then 'connected'
      when held.status = 'connected' and p_error ->> 'next' = 'owner' then 'error'
      else held.status
    end
  where held.id = p_integration_id
  returning * into checked;
  return checked;
end;
$$;
grant execute on function public.record_integration_check(uuid, jsonb, uuid) to service_role;
