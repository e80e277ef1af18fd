-- Webhook endpoints: where an organization wants its events sent. Clients read them; changes go through the
-- functions below, which only the service may call, after the Edge Function has judged the caller and the address.
-- Secrets and the values of custom headers are in Vault and nowhere else.

-- `order.*` and `*` as patterns for LIKE.
create function private.like_patterns(event_types text[])
returns text[]
language sql
immutable
set search_path = ''
as $$
  select array(
    select case pattern when '*' then '%'
      else replace(replace(case when pattern like '%.*' then left(pattern, -1) else pattern end, '_', '\_'), '%', '\%')
        || case when pattern like '%.*' then '%' else '' end
      end
    from unnest(event_types) as pattern);
$$;

create function private.are_event_patterns(event_types text[])
returns boolean
language sql
immutable
set search_path = ''
as $$
  select cardinality(event_types) between 1 and 50 and array_position(event_types, null) is null
    and coalesce(bool_and(length(pattern) <= 100 and pattern ~ '^(\*|[a-z][a-z0-9_]*(\.[a-z0-9_]+)*\.([a-z0-9_]+|\*))$'), false)
  from unnest(event_types) as pattern;
$$;

create function private.are_retry_pauses(pauses int[])
returns boolean
language sql
immutable
set search_path = ''
as $$
  select coalesce(cardinality(pauses), 0) <= 20 and array_position(pauses, null) is null
    and coalesce(bool_and(pause between 1 and 86400), true)
  from unnest(pauses) as pause;
$$;

-- Of an address: what stands in the trail that every member reads. Its path may be a secret.
create function private.url_host(url text)
returns text
language sql
immutable
set search_path = ''
as $$
  select substring(url from '^https?://([^/?#]+)');
$$;

-- Scheme, host and port: whom a header was given for.
create function private.url_origin(url text)
returns text
language sql
immutable
set search_path = ''
as $$
  select substring(url from '^https?://[^/?#]+');
$$;

create table public.app_webhooks (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null references public.organizations (id) on delete cascade,
  url text not null,
  description text,
  event_types text[] not null, -- exact, `order.*` or `*`
  type_patterns text[] not null generated always as (private.like_patterns(event_types)) stored,
  filter jsonb, -- a condition about { type, subject, data }; null: all
  header_names text[] not null default '{}', -- of the custom headers; their values are in Vault
  signatures text[] not null default '{v1}', -- v1: HMAC-SHA256, v1a: ed25519
  public_key text, -- whpk_…, to verify v1a with
  hex_signature boolean not null default false, -- X-Webhook-Signature too
  ordered_by_subject boolean not null default false,
  max_concurrency int not null default 10, -- calls under way at once
  rate_limit_per_second numeric, -- null: no limit
  retry_pauses_s int[] not null default '{5,300,1800,7200,18000,36000,50400,72000,86400}', -- after the first, second, … attempt
  api_version text not null default '2026-11-28', -- the shape of what is sent
  status text not null default 'active',
  disabled_reason jsonb, -- { code, message }
  disabled_at timestamptz,
  failing_since timestamptz, -- the first of the failures since the last success
  version int not null default 1, -- counts changes of what a worker needs to know
  created_by uuid references auth.users (id) on delete set null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint app_webhooks_url_is_web_address check (url ~ '^https?://' and length(url) <= 2048),
  constraint app_webhooks_description_is_short check (length(description) <= 500),
  constraint app_webhooks_event_types_are_patterns check (private.are_event_patterns(event_types)),
  constraint app_webhooks_filter_is_a_condition check (filter is null or private.is_condition(filter)),
  constraint app_webhooks_signatures_are_known check (signatures <@ array['v1', 'v1a'] and cardinality(signatures) between 1 and 2),
  constraint app_webhooks_v1a_has_a_public_key check (not 'v1a' = any (signatures) or public_key is not null),
  constraint app_webhooks_concurrency_is_1_to_100 check (max_concurrency between 1 and 100),
  constraint app_webhooks_rate_limit_is_sane check (rate_limit_per_second between 0.01 and 10000),
  constraint app_webhooks_retry_pauses_are_seconds check (private.are_retry_pauses(retry_pauses_s)),
  constraint app_webhooks_api_version_is_known check (api_version in ('2026-11-28')),
  constraint app_webhooks_status_is_known check (status in ('active', 'paused', 'disabled')),
  constraint app_webhooks_disabled_says_why check ((status = 'disabled') = (disabled_at is not null) and (status = 'disabled') = (disabled_reason is not null))
);
comment on table public.app_webhooks is 'Webhook endpoints: where an organization wants its events sent (Standard Webhooks 1.0).';
create index app_webhooks_organization_id_created_at_idx on public.app_webhooks (organization_id, created_at desc);
create index app_webhooks_created_by_idx on public.app_webhooks (created_by);
alter table public.app_webhooks enable row level security;
create policy "managers read their organization's webhook endpoints"
  on public.app_webhooks for select to authenticated
  using (organization_id = any ((select private.organization_ids('manager'))::uuid[]));
grant select on public.app_webhooks to authenticated, service_role;
create trigger app_webhooks_touch before update on public.app_webhooks
  for each row execute function private.touch_updated_at();

-- The endpoints whose log the caller may read, for policies: by these a log is found through its index, which an
-- organization would not give. Definer's rights: reads past the policy above, which asks the same.
create function private.webhook_endpoint_ids()
returns uuid[]
language sql
stable
security definer
set search_path = ''
as $$
  select coalesce(array_agg(endpoint.id), '{}') from public.app_webhooks as endpoint
  where endpoint.organization_id = any (private.organization_ids('manager'));
$$;
grant execute on function private.webhook_endpoint_ids() to authenticated;

-- What changes with every claim, apart from what people read. Claims of one endpoint take turns by its row.
create table private.webhook_endpoint_states (
  endpoint_id uuid primary key references public.app_webhooks (id) on delete cascade,
  next_free_at timestamptz not null default '-infinity', -- of the rate limit (GCRA)
  blocked_until timestamptz not null default '-infinity', -- the receiver's Retry-After
  probe_at timestamptz, -- when a disabled endpoint is tried next; null: not by itself
  probe_count int not null default 0
);
alter table private.webhook_endpoint_states enable row level security;

-- Which Vault secrets an endpoint has. A replaced signing secret signs beside the new one until it expires.
create table private.webhook_endpoint_secrets (
  secret_id uuid primary key, -- vault.secrets.id
  endpoint_id uuid not null references public.app_webhooks (id) on delete cascade,
  kind text not null, -- signing: whsec_…; signing_key: whsk_… (ed25519); headers: the custom headers as JSON
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz,
  constraint webhook_endpoint_secrets_kind_is_known check (kind in ('signing', 'signing_key', 'headers')),
  constraint webhook_endpoint_secrets_headers_do_not_expire check (kind <> 'headers' or expires_at is null)
);
create unique index webhook_endpoint_secrets_one_current_idx
  on private.webhook_endpoint_secrets (endpoint_id, kind) where expires_at is null;
create index webhook_endpoint_secrets_expires_at_idx on private.webhook_endpoint_secrets (expires_at) where expires_at is not null;
alter table private.webhook_endpoint_secrets enable row level security;

create trigger webhook_endpoint_secrets_delete after delete on private.webhook_endpoint_secrets
  for each row execute function private.delete_secret();

create function private.store_endpoint_secret(endpoint_id uuid, kind text, secret text, overlap interval default null)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if overlap is null then
    delete from private.webhook_endpoint_secrets as held
    where held.endpoint_id = store_endpoint_secret.endpoint_id and held.kind = store_endpoint_secret.kind;
  else
    update private.webhook_endpoint_secrets as held set expires_at = clock_timestamp() + overlap
    where held.endpoint_id = store_endpoint_secret.endpoint_id and held.kind = store_endpoint_secret.kind and held.expires_at is null;
  end if;
  if secret is not null then
    insert into private.webhook_endpoint_secrets (secret_id, endpoint_id, kind)
    values (vault.create_secret(secret), store_endpoint_secret.endpoint_id, store_endpoint_secret.kind);
  end if;
end;
$$;

create function private.require_endpoint(endpoint_id uuid)
returns public.app_webhooks
language plpgsql
set search_path = ''
as $$
declare
  endpoint public.app_webhooks;
begin
  select * into endpoint from public.app_webhooks as held where held.id = require_endpoint.endpoint_id for update;
  if not found then
    perform private.refuse('webhook_endpoint_not_found');
  end if;
  return endpoint;
end;
$$;

-- Registers an endpoint; asked again with the same id, answers the one that is there. p_options: any of description,
-- event_types, filter, signatures, public_key, hex_signature, ordered_by_subject, max_concurrency, rate_limit_per_second,
-- retry_pauses_s, api_version. p_headers: custom headers, { name: value }.
create function public.create_webhook_endpoint(
  p_organization_id uuid, p_url text, p_options jsonb, p_signing_secret text, p_signing_key text default null,
  p_headers jsonb default '{}', p_actor_id uuid default null, p_endpoint_id uuid default null
)
returns public.app_webhooks
language plpgsql
security definer
set search_path = ''
as $$
declare
  given public.app_webhooks := jsonb_populate_record(null::public.app_webhooks, p_options);
  created public.app_webhooks;
begin
  perform private.act_as(p_actor_id);
  -- taken one by one under the organization's lock, or two at once could pass the bound
  perform 1 from public.organizations where id = p_organization_id for no key update;
  if not found then
    perform private.refuse('organization_not_found');
  end if;
  select * into created from public.app_webhooks as held where held.id = p_endpoint_id and held.organization_id = p_organization_id;
  if found then
    return created;
  end if;
  if (select count(*) from public.app_webhooks as held where held.organization_id = p_organization_id) >= 50 then
    perform private.refuse('too_many_webhook_endpoints', 'An organization has at most 50 webhook endpoints: delete one first.');
  end if;
  insert into public.app_webhooks (
    id, organization_id, url, description, event_types, filter, header_names, signatures, public_key, hex_signature,
    ordered_by_subject, max_concurrency, rate_limit_per_second, retry_pauses_s, api_version, created_by
  )
  values (
    coalesce(p_endpoint_id, gen_random_uuid()), p_organization_id, p_url, given.description, coalesce(given.event_types, '{*}'), given.filter,
    array(select jsonb_object_keys(p_headers)), coalesce(given.signatures, '{v1}'), given.public_key,
    coalesce(given.hex_signature, false), coalesce(given.ordered_by_subject, false), coalesce(given.max_concurrency, 10),
    given.rate_limit_per_second,
    coalesce(given.retry_pauses_s, '{5,300,1800,7200,18000,36000,50400,72000,86400}'),
    coalesce(given.api_version, '2026-11-28'), p_actor_id
  )
  returning * into created;
  insert into private.webhook_endpoint_states (endpoint_id) values (created.id);
  perform private.store_endpoint_secret(created.id, 'signing', p_signing_secret);
  perform private.store_endpoint_secret(created.id, 'signing_key', p_signing_key);
  if p_headers <> '{}' then
    perform private.store_endpoint_secret(created.id, 'headers', p_headers::text);
  end if;
  perform private.record_activity(p_organization_id, 'webhook_endpoint.created', 'webhook_endpoint', created.id::text,
    jsonb_build_object('host', private.url_host(created.url)), 'success', p_actor_id);
  return created;
end;
$$;
grant execute on function public.create_webhook_endpoint(uuid, text, jsonb, text, text, jsonb, uuid, uuid) to service_role;

-- Changes only what is in p_changes (as create's p_options, and url, status: active or paused). p_headers replaces all, and
-- has to be given with an address at another server. The key pair is taken where the endpoint has none. Activating a
-- disabled endpoint starts it afresh; its backlog drains.
create function public.update_webhook_endpoint(
  p_endpoint_id uuid, p_changes jsonb, p_signing_key text default null, p_headers jsonb default null, p_actor_id uuid default null
)
returns public.app_webhooks
language plpgsql
security definer
set search_path = ''
as $$
declare
  held public.app_webhooks := private.require_endpoint(p_endpoint_id);
  changed public.app_webhooks;
begin
  perform private.act_as(p_actor_id);
  changed := jsonb_populate_record(held, p_changes);
  if p_headers is null and held.header_names <> '{}' and private.url_origin(changed.url) is distinct from private.url_origin(held.url) then
    perform private.refuse('invalid_endpoint',
      'The endpoint moves to another server, which its headers were not given for: give them again, or {} for none.');
  end if;
  if changed.status = 'paused' and held.status = 'disabled' then
    changed.status := 'disabled'; -- pausing does not hide why; it is held anyway, and from now on until someone activates it
    update private.webhook_endpoint_states set probe_at = null where endpoint_id = p_endpoint_id;
  end if;
  update public.app_webhooks as endpoint set
    url = changed.url, description = changed.description, event_types = changed.event_types, filter = changed.filter,
    header_names = case when p_headers is null then endpoint.header_names else array(select jsonb_object_keys(p_headers)) end,
    signatures = changed.signatures, public_key = coalesce(held.public_key, changed.public_key), hex_signature = changed.hex_signature,
    ordered_by_subject = changed.ordered_by_subject, max_concurrency = changed.max_concurrency,
    rate_limit_per_second = changed.rate_limit_per_second, retry_pauses_s = changed.retry_pauses_s,
    api_version = changed.api_version, status = changed.status,
    disabled_at = case when changed.status = 'disabled' then endpoint.disabled_at end,
    disabled_reason = case when changed.status = 'disabled' then endpoint.disabled_reason end,
    failing_since = case when changed.url = held.url and (changed.status <> 'active' or held.status = 'active')
      then endpoint.failing_since end,
    version = endpoint.version + 1
  where endpoint.id = p_endpoint_id
  returning * into changed;
  if p_signing_key is not null and held.public_key is null then
    perform private.store_endpoint_secret(p_endpoint_id, 'signing_key', p_signing_key);
  end if;
  if p_headers is not null then
    perform private.store_endpoint_secret(p_endpoint_id, 'headers', nullif(p_headers, '{}')::text);
  end if;
  if held.ordered_by_subject and not changed.ordered_by_subject then
    perform private.free_followers(p_endpoint_id); -- the first of them; claims free the rest
  end if;
  if changed.url <> held.url then -- a Retry-After was the other address's
    update private.webhook_endpoint_states set blocked_until = '-infinity' where endpoint_id = p_endpoint_id;
  end if;
  if changed.status = 'active' and held.status <> 'active' then
    update private.webhook_endpoint_states set probe_at = null, probe_count = 0, blocked_until = '-infinity'
    where endpoint_id = p_endpoint_id;
  end if;
  if changed.status = 'active' and (held.status <> 'active' or changed.url <> held.url) then
    perform private.wake_worker('webhook-deliver');
  end if;
  perform private.record_activity(changed.organization_id,
    case
      when changed.status = 'paused' and held.status <> 'paused' then 'webhook_endpoint.paused'
      when changed.status = 'active' and held.status <> 'active' then 'webhook_endpoint.enabled'
      else 'webhook_endpoint.updated'
    end, 'webhook_endpoint', p_endpoint_id::text, jsonb_build_object('host', private.url_host(changed.url)), 'success', p_actor_id);
  return changed;
end;
$$;
grant execute on function public.update_webhook_endpoint(uuid, jsonb, text, jsonb, uuid) to service_role;

-- Puts a new signing secret, and a new key pair where the endpoint has one, in the place of the present ones, which sign
-- beside them for p_overlap_hours, as do those before them until their own ends; with 0 all of them end at once. Asked
-- again with the same secret, changes nothing.
create function public.rotate_webhook_secret(
  p_endpoint_id uuid, p_signing_secret text, p_signing_key text, p_public_key text, p_overlap_hours int default 24,
  p_actor_id uuid default null
)
returns public.app_webhooks
language plpgsql
security definer
set search_path = ''
as $$
declare
  rotated public.app_webhooks := private.require_endpoint(p_endpoint_id);
  overlap interval := nullif(make_interval(hours => p_overlap_hours), interval '0');
begin
  if p_overlap_hours is null or p_overlap_hours not between 0 and 168 then
    perform private.refuse('invalid_request', 'An overlap lasts 0 to 168 hours.');
  end if;
  if exists (
    select 1 from private.webhook_endpoint_secrets as held
    join vault.decrypted_secrets as decrypted on decrypted.id = held.secret_id
    where held.endpoint_id = p_endpoint_id and held.kind = 'signing' and held.expires_at is null
      and decrypted.decrypted_secret = p_signing_secret
  ) then
    return rotated;
  end if;
  perform private.act_as(p_actor_id);
  delete from private.webhook_endpoint_secrets as held where held.endpoint_id = p_endpoint_id and held.expires_at <= clock_timestamp();
  -- each signs every webhook, and receivers read no endless header
  if overlap is not null and (
    select count(*) from private.webhook_endpoint_secrets as held
    where held.endpoint_id = p_endpoint_id and held.kind = 'signing') >= 4 then
    perform private.refuse('too_many_webhook_secrets',
      'Four secrets of this endpoint sign: wait until one ends, or let all of them end at once with an overlap of 0 hours.');
  end if;
  perform private.store_endpoint_secret(p_endpoint_id, 'signing', p_signing_secret, overlap);
  if rotated.public_key is not null then
    perform private.store_endpoint_secret(p_endpoint_id, 'signing_key', p_signing_key, overlap);
  end if;
  update public.app_webhooks as endpoint set
    version = endpoint.version + 1,
    public_key = case when endpoint.public_key is not null then p_public_key end
  where endpoint.id = p_endpoint_id
  returning * into rotated;
  perform private.record_activity(rotated.organization_id, 'webhook_endpoint.secret_rotated', 'webhook_endpoint', p_endpoint_id::text,
    jsonb_build_object('host', private.url_host(rotated.url), 'overlap_hours', p_overlap_hours), 'success', p_actor_id);
  return rotated;
end;
$$;
grant execute on function public.rotate_webhook_secret(uuid, text, text, text, int, uuid) to service_role;

create function public.delete_webhook_endpoint(p_endpoint_id uuid, p_actor_id uuid default null)
returns void
language plpgsql
security definer
set search_path = ''
as $$
declare
  deleted public.app_webhooks := private.require_endpoint(p_endpoint_id);
begin
  perform private.act_as(p_actor_id);
  delete from public.app_webhooks where id = p_endpoint_id;
  perform private.record_activity(deleted.organization_id, 'webhook_endpoint.deleted', 'webhook_endpoint', p_endpoint_id::text,
    jsonb_build_object('host', private.url_host(deleted.url)), 'success', p_actor_id);
end;
$$;
grant execute on function public.delete_webhook_endpoint(uuid, uuid) to service_role;

-- What a worker needs to send to these endpoints, secrets included:
-- [{ id, version, url, headers, signing_secrets, signing_keys, hex_signature, api_version, max_concurrency }].
create function public.open_webhook_endpoints(p_endpoint_ids uuid[])
returns jsonb
language sql
stable
security definer
set search_path = ''
as $$
  select coalesce(jsonb_agg(jsonb_build_object(
    'id', endpoint.id, 'version', endpoint.version, 'url', endpoint.url, 'api_version', endpoint.api_version,
    'hex_signature', endpoint.hex_signature, 'max_concurrency', endpoint.max_concurrency,
    'headers', coalesce((secrets.held -> 'headers' ->> 0)::jsonb, '{}'),
    'signing_secrets', case when 'v1' = any (endpoint.signatures) or endpoint.hex_signature
      then coalesce(secrets.held -> 'signing', '[]') else '[]' end,
    'signatures', to_jsonb(endpoint.signatures),
    'signing_keys', case when 'v1a' = any (endpoint.signatures) then coalesce(secrets.held -> 'signing_key', '[]') else '[]' end,
    -- a secret that expires meanwhile is known to be gone
    'expires_at', (select min(expiring.expires_at) from private.webhook_endpoint_secrets as expiring
      where expiring.endpoint_id = endpoint.id and expiring.expires_at > now())
  )), '[]')
  from public.app_webhooks as endpoint
  cross join lateral (
    select jsonb_object_agg(by_kind.kind, by_kind.secrets) as held
    from (
      select secret.kind, jsonb_agg(decrypted.decrypted_secret order by secret.created_at desc) as secrets
      from private.webhook_endpoint_secrets as secret
      join vault.decrypted_secrets as decrypted on decrypted.id = secret.secret_id
      where secret.endpoint_id = endpoint.id and (secret.expires_at is null or secret.expires_at > now())
      group by secret.kind
    ) as by_kind
  ) as secrets
  where endpoint.id = any (p_endpoint_ids);
$$;
grant execute on function public.open_webhook_endpoints(uuid[]) to service_role;
