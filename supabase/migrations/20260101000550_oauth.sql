-- OAuth: sign-ins that are under way, and the grants that came of them. Who may do what is judged by the
-- Edge Functions; every function here is the service's.

-- One row a sign-in. Of the state only its SHA-256 is kept; the PKCE verifier is in Vault until it is used.
create table private.oauth_states (
  state_hash bytea primary key,
  organization_id uuid not null references public.organizations (id) on delete cascade,
  user_id uuid references auth.users (id) on delete cascade, -- who started it; null: the secret key
  connector text not null references public.connectors (slug),
  integration_id uuid references public.integrations (id) on delete cascade, -- to connect again; null: whatever account it is
  name text,
  settings jsonb not null,
  sync_interval_minutes int,
  return_url text not null, -- the app's own page, from the allow-list
  redirect_uri text not null, -- where the platform sends the browser
  finished_by text not null, -- callback: the Edge Function; app: the app's page, with the user's token
  verifier_secret_id uuid, -- vault.secrets.id
  code_challenge text,
  browser_hash bytea, -- SHA-256 of the cookie of the browser that opened the link; null until then
  created_at timestamptz not null default now(),
  expires_at timestamptz not null default now() + interval '10 minutes',
  used_at timestamptz,
  used_by uuid, -- the attempt that used it, which may ask again when its answer was lost
  constraint oauth_states_finished_by_is_known check (finished_by in ('callback', 'app'))
);
create index oauth_states_expires_at_idx on private.oauth_states (expires_at);
create index oauth_states_organization_id_idx on private.oauth_states (organization_id);
create index oauth_states_user_id_idx on private.oauth_states (user_id);
create index oauth_states_connector_idx on private.oauth_states (connector);
create index oauth_states_integration_id_idx on private.oauth_states (integration_id);
alter table private.oauth_states enable row level security;

-- Definer's rights: whoever deletes an organization deletes these rows by cascade, and has no way into Vault.
create function private.delete_unnamed_verifier()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  delete from vault.secrets where id = old.verifier_secret_id;
  return null;
end;
$$;
create trigger oauth_states_delete_verifier after delete on private.oauth_states
  for each row when (old.verifier_secret_id is not null) execute function private.delete_unnamed_verifier();
create trigger oauth_states_delete_used_verifier after update of verifier_secret_id on private.oauth_states
  for each row when (old.verifier_secret_id is not null and new.verifier_secret_id is null)
  execute function private.delete_unnamed_verifier();

-- Starts a sign-in. What is a day past its end is forgotten: until then its outcome can be told.
create function public.begin_oauth(
  p_state_hash text, p_organization_id uuid, p_user_id uuid, p_connector text, p_integration_id uuid, p_name text,
  p_settings jsonb, p_sync_interval_minutes int, p_return_url text, p_redirect_uri text, p_finished_by text,
  p_code_verifier text, p_code_challenge text
)
returns timestamptz
language plpgsql
security definer
set search_path = ''
as $$
declare
  ends_at timestamptz;
begin
  delete from private.oauth_states where expires_at < now() - interval '1 day';
  if not exists (select 1 from public.organizations where id = p_organization_id) then
    perform private.refuse('organization_not_found');
  end if;
  if not exists (select 1 from public.connectors where slug = p_connector and available) then
    perform private.refuse('connector_not_found', format('There is no connector %s.', p_connector));
  end if;
  insert into private.oauth_states (
    state_hash, organization_id, user_id, connector, integration_id, name, settings, sync_interval_minutes, return_url,
    redirect_uri, finished_by, verifier_secret_id, code_challenge
  )
  values (
    decode(p_state_hash, 'hex'), p_organization_id, p_user_id, p_connector, p_integration_id, p_name, p_settings,
    p_sync_interval_minutes, p_return_url, p_redirect_uri, p_finished_by,
    case when p_code_verifier is not null then vault.create_secret(p_code_verifier) end, p_code_challenge
  )
  on conflict (state_hash) do nothing; -- the call's answer was lost, and it is made again
  select expires_at into ends_at from private.oauth_states where state_hash = decode(p_state_hash, 'hex');
  return ends_at;
end;
$$;
grant execute on function public.begin_oauth(
  text, uuid, uuid, text, uuid, text, jsonb, int, text, text, text, text, text
) to service_role;

-- A browser opens the link: from now on the sign-in belongs to that browser. { outcome, … }, where outcome is
-- ready, unknown, expired, used or other_browser.
create function public.open_oauth(p_state_hash text, p_browser_hash text)
returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  started private.oauth_states;
begin
  update private.oauth_states as opened set browser_hash = decode(p_browser_hash, 'hex')
  where opened.state_hash = decode(p_state_hash, 'hex') and opened.finished_by = 'callback'
    and opened.used_at is null and opened.expires_at > now() and opened.browser_hash is null;
  select * into started from private.oauth_states where state_hash = decode(p_state_hash, 'hex') and finished_by = 'callback';
  if not found then
    return jsonb_build_object('outcome', 'unknown');
  end if;
  return jsonb_build_object(
    'outcome', case
      when started.used_at is not null then 'used'
      when started.expires_at <= now() then 'expired'
      when started.browser_hash <> decode(p_browser_hash, 'hex') then 'other_browser'
      else 'ready'
    end,
    'connector', started.connector, 'settings', started.settings, 'return_url', started.return_url,
    'redirect_uri', started.redirect_uri, 'code_challenge', started.code_challenge);
end;
$$;
grant execute on function public.open_oauth(text, text) to service_role;

-- Uses a state up, once, for whoever may: the browser that opened it, or the user who started it. The same p_attempt
-- is answered again. Then
-- { outcome: ready, code_verifier, … }. Otherwise outcome says why not, and the state stays as it was; return_url is
-- there where the state is known.
create function public.use_oauth_state(
  p_state_hash text, p_attempt uuid, p_browser_hash text default null, p_user_id uuid default null
)
returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  started private.oauth_states;
  outcome text;
  code_verifier text;
begin
  select * into started from private.oauth_states where state_hash = decode(p_state_hash, 'hex') for update;
  if not found then
    return jsonb_build_object('outcome', 'unknown');
  end if;
  outcome := case
    when (started.finished_by = 'app') <> (p_browser_hash is null) then 'unknown'
    when started.used_at is not null and started.used_by <> p_attempt then 'used'
    when started.expires_at <= now() then 'expired'
    when started.finished_by = 'app' and started.user_id is distinct from p_user_id then 'not_yours'
    when started.finished_by = 'callback' and started.browser_hash is distinct from decode(p_browser_hash, 'hex') then 'other_browser'
    -- whoever started it may have lost the right to since
    when started.user_id is not null and not exists (
      select 1 from public.organization_members as member
      where member.organization_id = started.organization_id and member.user_id = started.user_id
        and member.role in ('owner', 'manager')) then 'not_a_manager'
    else 'ready'
  end;
  if outcome = 'ready' then
    select secret.decrypted_secret into code_verifier
    from vault.decrypted_secrets as secret where secret.id = started.verifier_secret_id;
    update private.oauth_states set used_at = now(), used_by = p_attempt where state_hash = started.state_hash;
  end if;
  return jsonb_build_object(
    'outcome', outcome, 'return_url', started.return_url,
    'sign_in', case when outcome = 'ready' then jsonb_build_object(
      'used_at', now(),
      'organization_id', started.organization_id, 'user_id', started.user_id, 'connector', started.connector,
      'integration_id', started.integration_id, 'name', started.name, 'settings', started.settings,
      'sync_interval_minutes', started.sync_interval_minutes, 'redirect_uri', started.redirect_uri,
      'code_verifier', code_verifier) end);
end;
$$;
grant execute on function public.use_oauth_state(text, uuid, text, uuid) to service_role;

-- A verifier is of no use once its code is exchanged or its time is over.
create function private.forget_verifiers()
returns void
language sql
set search_path = ''
as $$
  update private.oauth_states set verifier_secret_id = null
  where verifier_secret_id is not null and (used_at < now() - interval '2 minutes' or expires_at < now());
$$;

-- Grants ------------------------------------------------------------------------------------------

-- What an owner has granted: the refresh token, and how its refreshes go. The access token stands beside the
-- credentials, where every kind of token does. A row is its own lock: one refresh at a time, under a lease.
-- Never the same twice: a worker that still holds the token of an earlier connection must not be taken for one that
-- holds this one's.
create sequence private.oauth_grant_generations as int;

create table private.oauth_grants (
  integration_id uuid primary key references private.integration_credentials (integration_id) on delete cascade,
  refresh_token_secret_id uuid, -- vault.secrets.id; null: the platform gave none
  scope text, -- as granted
  lifetime_seconds int, -- of the access token; null: not said
  generation int not null default nextval('private.oauth_grant_generations'), -- grows with each token; whoever holds an older one need not refresh again
  refresh_lease_token uuid,
  refresh_lease_expires_at timestamptz,
  refresh_started_at timestamptz, -- set before the platform is asked, cleared when its answer is kept: between the two nobody knows
  refresh_try_count int not null default 0, -- since one went well, those of killed workers too: at most twenty in a day
  tries_counted_since timestamptz,
  next_refresh_at timestamptz not null default '-infinity',
  last_error jsonb, -- { code, message, next }
  ended_at timestamptz, -- the platform takes the refresh token no longer: never asked again
  revocation_started_at timestamptz, -- set before the platform is asked to take it back; what stays set is of a worker that died
  updated_at timestamptz not null default now(),
  -- it outlasts the call to the token endpoint (20 s) and the tries to keep its answer (30 s)
  constraint oauth_grants_lease_has_an_end check ((refresh_lease_token is null) = (refresh_lease_expires_at is null))
);
alter table private.oauth_grants enable row level security;

-- Definer's rights, as private.delete_unnamed_secrets.
create function private.delete_unnamed_refresh_token()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  delete from vault.secrets
  where id = old.refresh_token_secret_id and (tg_op = 'DELETE' or id is distinct from new.refresh_token_secret_id);
  return null;
end;
$$;
create trigger oauth_grants_delete_secret after delete or update on private.oauth_grants
  for each row execute function private.delete_unnamed_refresh_token();

-- When a token should be replaced: five minutes before its end, sooner where it lives shorter than that.
create function private.refresh_at(expires_at timestamptz, lifetime_seconds int)
returns timestamptz
language sql
immutable
set search_path = ''
as $$
  select refresh_at.expires_at - least(interval '5 minutes', make_interval(secs => coalesce(refresh_at.lifetime_seconds, 3600) * 0.2));
$$;

-- When to try again if this try comes to nothing: after a pause that grows, at most twenty times in a day.
create function private.next_refresh_at(tries int, counted_since timestamptz)
returns timestamptz
language sql
volatile
set search_path = ''
as $$
  select case
    when next_refresh_at.tries >= 20
      then greatest(next_refresh_at.counted_since + interval '1 day', clock_timestamp() + interval '1 hour')
    else clock_timestamp() + least(interval '2 hours', interval '30 seconds' * power(2, next_refresh_at.tries - 1))
  end;
$$;

-- The token of a grant as open_integration shows it: { access_token, expires_at, generation, refresh_at }.
create function private.describe_grant_token(integration_id uuid)
returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_build_object(
    'access_token', secret.decrypted_secret, 'expires_at', held.token_expires_at, 'generation', grants.generation,
    'refresh_at', private.refresh_at(held.token_expires_at, grants.lifetime_seconds))
  from private.oauth_grants as grants
  join private.integration_credentials as held on held.integration_id = grants.integration_id
  join vault.decrypted_secrets as secret on secret.id = held.token_secret_id
  where grants.integration_id = describe_grant_token.integration_id;
$$;

-- Ends a sign-in: connects the account, or connects it again, with its tokens. p_integration_id: only this one.
-- p_started_at: before its code was exchanged. Refused where the account's grant is being revoked or was meanwhile: many
-- platforms then end every grant of the same person, and these tokens with them. A revocation takes less than five minutes.
create function public.connect_oauth_integration(
  p_organization_id uuid, p_connector text, p_external_account_id text, p_name text, p_settings jsonb, p_account jsonb,
  p_streams text[], p_sync_interval_minutes int, p_actor_id uuid, p_integration_id uuid,
  p_access_token text, p_expires_in_seconds int, p_refresh_token text, p_scope text, p_push_columns jsonb default '{}',
  p_started_at timestamptz default null
)
returns public.integrations
language plpgsql
security definer
set search_path = ''
as $$
declare
  known public.integrations;
  connected public.integrations;
  held_id uuid := public.find_integration(p_organization_id, p_connector, p_external_account_id);
begin
  if p_integration_id is not null then
    -- what a manager changed while the owner was at the platform stays
    select * into known from public.integrations where id = p_integration_id for no key update;
    if not found then
      perform private.refuse('integration_not_found');
    end if;
    if known.external_account_id is distinct from p_external_account_id then
      perform private.refuse('oauth_account_mismatch',
        format('%s is another account than the one just signed in to: connect that one by itself.', known.name));
    end if;
  end if;
  perform 1 from public.integrations where id = held_id for no key update;
  if exists (
    select 1 from public.integrations as held
    left join private.oauth_grants as grants on grants.integration_id = held.id
    where held.id = held_id
      and (held.disconnected_at > p_started_at or grants.revocation_started_at > clock_timestamp() - interval '5 minutes')
  ) then
    perform private.refuse('oauth_account_disconnected',
      'The access to this account was taken back during the sign-in: sign in again in a few minutes.');
  end if;
  connected := public.connect_integration(
    p_organization_id, p_connector, p_external_account_id, coalesce(known.name, p_name), coalesce(known.settings, p_settings), '{}',
    p_sync_interval_minutes, p_actor_id, p_access_token, now() + make_interval(secs => p_expires_in_seconds), p_account,
    case when known.id is null then p_streams else array(
      select stream.stream from public.sync_streams as stream where stream.integration_id = known.id and stream.offered) end,
    case when known.id is null then p_push_columns else (
      select coalesce(jsonb_object_agg(stream.stream, stream.push_columns), '{}')
      from public.sync_streams as stream where stream.integration_id = known.id and stream.push_columns is not null) end);
  insert into private.oauth_grants (integration_id, refresh_token_secret_id, scope, lifetime_seconds)
  values (connected.id, case when p_refresh_token is not null then vault.create_secret(p_refresh_token) end, p_scope, p_expires_in_seconds);
  return connected;
end;
$$;
grant execute on function public.connect_oauth_integration(
  uuid, text, text, text, jsonb, jsonb, text[], int, uuid, uuid, text, int, text, text, jsonb, timestamptz
) to service_role;

-- Asks for a token newer than p_generation. The row's lock makes all who ask take turns:
--   * { state: token, … }: here it is, or the present one is still good enough;
--   * { state: refresh, refresh_token, generation, interrupted }: the caller refreshes, under p_lease_token, and saves or
--     fails it; interrupted: an earlier refresh was never answered, so the platform may have replaced the token already;
--   * { state: wait }: somebody else is at it, and the present token has ended;
--   * { state: backoff, retry_after_ms, error }: it failed lately or the grant is being taken back, and the present token has ended;
--   * { state: reconnect, error }: only the owner can help. p_ended says so where there is no refresh token.
-- p_refused: the platform has refused the present token, so it is not good enough whatever its time.
create function public.begin_token_refresh(
  p_integration_id uuid, p_generation int, p_lease_token uuid, p_refused boolean, p_ended jsonb
)
returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  held private.oauth_grants;
  ends_at timestamptz;
  is_good boolean;
  is_due boolean; -- by Postgres' clock: the caller's may be wrong
  not_before timestamptz;
  tries int := 1;
  counted_since timestamptz := clock_timestamp();
begin
  select * into held from private.oauth_grants where integration_id = p_integration_id for update;
  if not found then
    perform private.refuse('integration_disconnected');
  end if;
  select token_expires_at into ends_at from private.integration_credentials where integration_id = p_integration_id;
  is_good := not p_refused and coalesce(ends_at > clock_timestamp() + interval '5 seconds', true);
  not_before := greatest(held.next_refresh_at, held.revocation_started_at + interval '5 minutes');
  is_due := private.refresh_at(ends_at, held.lifetime_seconds) <= clock_timestamp();
  if held.ended_at is not null then
    return jsonb_build_object('state', 'reconnect', 'error', held.last_error);
  elsif held.generation > p_generation then
    return private.describe_grant_token(p_integration_id) || jsonb_build_object('state', 'token');
  elsif held.refresh_lease_token = p_lease_token then
    null; -- our own claim, whose answer was lost
  elsif is_good and (is_due is not true or held.refresh_token_secret_id is null or held.refresh_lease_expires_at > clock_timestamp()
    or not_before > clock_timestamp()) then
    return private.describe_grant_token(p_integration_id) || jsonb_build_object('state', 'token');
  elsif held.refresh_token_secret_id is null then
    perform private.require_reconnect(p_integration_id, p_ended);
    return jsonb_build_object('state', 'reconnect', 'error', p_ended);
  elsif held.refresh_lease_expires_at > clock_timestamp() then
    return jsonb_build_object('state', 'wait');
  elsif not_before > clock_timestamp() then
    return jsonb_build_object('state', 'backoff', 'error', held.last_error,
      'retry_after_ms', ceil(extract(epoch from not_before - clock_timestamp()) * 1000));
  end if;
  if held.refresh_lease_token is not distinct from p_lease_token then
    tries := held.refresh_try_count;
    counted_since := held.tries_counted_since;
  elsif held.tries_counted_since > clock_timestamp() - interval '1 day' then
    tries := held.refresh_try_count + 1;
    counted_since := held.tries_counted_since;
  end if;
  update private.oauth_grants set
    refresh_lease_token = p_lease_token, refresh_lease_expires_at = clock_timestamp() + interval '60 seconds',
    refresh_started_at = clock_timestamp(), refresh_try_count = tries, tries_counted_since = counted_since,
    -- should the caller be killed, too
    next_refresh_at = private.next_refresh_at(tries, counted_since), updated_at = now()
  where integration_id = p_integration_id;
  return jsonb_build_object(
    'state', 'refresh', 'generation', held.generation,
    'interrupted', held.refresh_started_at is not null and held.refresh_lease_token is distinct from p_lease_token,
    'refresh_token', (select secret.decrypted_secret from vault.decrypted_secrets as secret where secret.id = held.refresh_token_secret_id));
end;
$$;
grant execute on function public.begin_token_refresh(uuid, int, uuid, boolean, jsonb) to service_role;

-- Whether another integration has signed in to the same account, or nobody knows any more: many platforms end every grant of
-- an account when one is revoked.
create function private.is_shared_account(integration_id uuid)
returns boolean
language sql
stable
set search_path = ''
as $$
  select not exists (
    select 1 from public.integrations as own
    where own.id = is_shared_account.integration_id and not exists (
      select 1 from public.integrations as other
      join private.oauth_grants as theirs on theirs.integration_id = other.id
      where other.connector = own.connector and other.external_account_id = own.external_account_id and other.id <> own.id));
$$;

-- Keeps what a refresh brought. Whoever took p_generation's refresh token to the platform may save, lease or not:
-- what the platform handed out is newer than anything held here. A null refresh token keeps the old one.
-- { state: saved, … the token held now }, or { state: disconnected, is_shared }, also where that has only begun: nothing was
-- kept, and the caller revokes what it got where it is not shared (begin_grant_revocation).
create function public.save_token_refresh(
  p_integration_id uuid, p_generation int, p_access_token text, p_expires_in_seconds int, p_refresh_token text,
  p_scope text, p_account jsonb
)
returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  held private.oauth_grants;
begin
  select * into held from private.oauth_grants where integration_id = p_integration_id for update;
  if not found or held.generation = p_generation and held.revocation_started_at > clock_timestamp() - interval '5 minutes' then
    return jsonb_build_object('state', 'disconnected', 'is_shared', private.is_shared_account(p_integration_id));
  end if;
  if held.generation = p_generation then
    update private.integration_credentials set
      token_secret_id = vault.create_secret(p_access_token),
      token_expires_at = clock_timestamp() + make_interval(secs => p_expires_in_seconds), updated_at = now()
    where integration_id = p_integration_id;
    update private.oauth_grants set
      refresh_token_secret_id = case
        when p_refresh_token is null then refresh_token_secret_id else vault.create_secret(p_refresh_token)
      end,
      scope = coalesce(p_scope, scope), lifetime_seconds = p_expires_in_seconds,
      generation = nextval('private.oauth_grant_generations'), ended_at = null,
      refresh_lease_token = null, refresh_lease_expires_at = null, refresh_started_at = null, refresh_try_count = 0,
      tries_counted_since = null, next_refresh_at = '-infinity', last_error = null, updated_at = now()
    where integration_id = p_integration_id;
    update public.integrations as integration set account = integration.account || p_account,
      -- somebody who came later was refused with the token that this one had replaced
      status = case integration.status when 'needs_reconnect' then 'connected' else integration.status end,
      last_error = case integration.status when 'needs_reconnect' then null else integration.last_error end
    where integration.id = p_integration_id
      and (integration.status = 'needs_reconnect' or not integration.account @> p_account);
  end if;
  return private.describe_grant_token(p_integration_id) || jsonb_build_object('state', 'saved');
end;
$$;
grant execute on function public.save_token_refresh(uuid, int, text, int, text, text, jsonb) to service_role;

-- How a failed refresh goes on: after a pause, as begin_token_refresh has counted; never again when it is final.
-- p_answered: the platform said no, so that its refresh token is still the one held here. p_retry_after_ms: when it says
-- to come again, a day at most.
create function public.fail_token_refresh(
  p_integration_id uuid, p_lease_token uuid, p_error jsonb, p_is_final boolean, p_answered boolean, p_retry_after_ms int default null
)
returns void
language plpgsql
security definer
set search_path = ''
as $$
declare
  held private.oauth_grants;
begin
  select * into held from private.oauth_grants where integration_id = p_integration_id for update;
  if not found or held.refresh_lease_token is distinct from p_lease_token then
    return; -- it is somebody else's now, or was told before
  end if;
  update private.oauth_grants set
    refresh_lease_token = null, refresh_lease_expires_at = null,
    refresh_started_at = case when p_answered then null else refresh_started_at end,
    next_refresh_at = greatest(private.next_refresh_at(held.refresh_try_count, held.tries_counted_since),
      clock_timestamp() + least(interval '1 day', make_interval(secs => coalesce(p_retry_after_ms, 0) / 1000.0))),
    last_error = p_error, ended_at = case when p_is_final then now() end, updated_at = now()
  where integration_id = p_integration_id;
  if p_is_final then
    perform private.require_reconnect(p_integration_id, p_error);
  end if;
end;
$$;
grant execute on function public.fail_token_refresh(uuid, uuid, jsonb, boolean, boolean, int) to service_role;

-- Shows that only the owner can help, and stops everything that would go on trying.
create function private.require_reconnect(integration_id uuid, error jsonb)
returns void
language sql
set search_path = ''
as $$
  update public.integrations as integration set status = 'needs_reconnect', last_error = require_reconnect.error
  where integration.id = require_reconnect.integration_id and integration.status in ('connected', 'error', 'paused');
$$;

-- What is to be revoked at the platform before it is forgotten here: { access_token, refresh_token, is_shared, interrupted },
-- or null. is_shared: private.is_shared_account. interrupted: a revocation before this one never came to an end, so the platform
-- may have taken it back already. With p_credentials_id only while those are still the credentials held, so that no later
-- sign-in is revoked. From here on nobody refreshes: the tokens answered are the last.
create function public.begin_grant_revocation(p_integration_id uuid, p_credentials_id uuid default null)
returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  held private.oauth_grants;
begin
  perform 1 from public.integrations where id = p_integration_id for no key update; -- a sign-in that ends just now comes first, or is refused
  select grants.* into held
  from private.oauth_grants as grants
  join private.integration_credentials as credentials on credentials.integration_id = grants.integration_id
  where grants.integration_id = p_integration_id and (p_credentials_id is null or credentials.credentials_secret_id = p_credentials_id)
  for update of grants;
  if not found then
    return null;
  end if;
  update private.oauth_grants set revocation_started_at = clock_timestamp() where integration_id = p_integration_id;
  return (select jsonb_build_object(
    'access_token', (select secret.decrypted_secret from vault.decrypted_secrets as secret where secret.id = credentials.token_secret_id),
    'refresh_token', (select secret.decrypted_secret from vault.decrypted_secrets as secret where secret.id = held.refresh_token_secret_id),
    'is_shared', private.is_shared_account(p_integration_id),
    'interrupted', held.revocation_started_at is not null)
  from private.integration_credentials as credentials where credentials.integration_id = p_integration_id);
end;
$$;
grant execute on function public.begin_grant_revocation(uuid, uuid) to service_role;
