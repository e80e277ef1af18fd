-- Business apps: software of the organization's own that sends it events, such as its booking system. An instance is one
-- app in one organization; it signs with a secret, and the secret says which instance it is.

create table public.app_instances (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null references public.organizations (id) on delete cascade,
  app text not null, -- which business app: booking
  name text not null,
  status text not null default 'enabled', -- disabled: what it sends is refused
  version int not null default 1, -- counts changes of what its calls are checked with
  created_by uuid references auth.users (id) on delete set null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint app_instances_app_is_kebab_case check (app ~ '^[a-z][a-z0-9]*(-[a-z0-9]+)*$' and length(app) <= 50),
  constraint app_instances_name_is_1_to_100_characters check (length(name) between 1 and 100),
  constraint app_instances_status_is_known check (status in ('enabled', 'disabled'))
);
comment on table public.app_instances is 'Business apps that send events to an organization.';
create index app_instances_organization_id_created_at_idx on public.app_instances (organization_id, created_at desc);
create index app_instances_created_by_idx on public.app_instances (created_by);
alter table public.app_instances enable row level security;
create policy "members read their organization's app instances"
  on public.app_instances for select to authenticated
  using (organization_id = any ((select private.organization_ids('viewer'))::uuid[]));
grant select on public.app_instances to authenticated, service_role;
create trigger app_instances_touch before update on public.app_instances
  for each row execute function private.touch_updated_at();

-- A replaced secret counts beside the new one until it expires.
create table private.app_instance_secrets (
  secret_id uuid primary key, -- vault.secrets.id
  app_instance_id uuid not null references public.app_instances (id) on delete cascade,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz -- null: the newest
);
create unique index app_instance_secrets_one_current_idx
  on private.app_instance_secrets (app_instance_id) where expires_at is null;
create index app_instance_secrets_app_instance_id_idx on private.app_instance_secrets (app_instance_id);
alter table private.app_instance_secrets enable row level security;

create trigger app_instance_secrets_delete after delete on private.app_instance_secrets
  for each row execute function private.delete_secret();

-- Definer's rights: reaches emit_event by cascade, from whoever deletes an organization.
create function private.emit_app_instance_event()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  instance public.app_instances := coalesce(new, old);
  was_enabled boolean := tg_op <> 'INSERT' and old.status = 'enabled';
  is_enabled boolean := tg_op <> 'DELETE' and new.status = 'enabled';
begin
  if was_enabled <> is_enabled then
    perform private.emit_event(instance.organization_id, case when is_enabled then 'app.enabled' else 'app.disabled' end,
      jsonb_build_object('app_instance_id', instance.id, 'app', instance.app), 'app_instance/' || instance.id);
  end if;
  return null;
end;
$$;
create trigger app_instances_emit after insert or update of status or delete on public.app_instances
  for each row execute function private.emit_app_instance_event();

create function private.require_app_instance(app_instance_id uuid)
returns public.app_instances
language plpgsql
set search_path = ''
as $$
declare
  instance public.app_instances;
begin
  select * into instance from public.app_instances as held where held.id = require_app_instance.app_instance_id for update;
  if not found then
    perform private.refuse('app_instance_not_found');
  end if;
  return instance;
end;
$$;

create function private.record_app_instance_activity(
  instance public.app_instances, action text, actor_id uuid, more jsonb default '{}'
)
returns void
language sql
set search_path = ''
as $$
  select private.record_activity((instance).organization_id, 'app_instance.' || record_app_instance_activity.action, 'app_instance',
    (instance).id::text, jsonb_build_object('app', (instance).app, 'name', (instance).name) || more, 'success',
    record_app_instance_activity.actor_id);
$$;

-- Registers an instance, enabled; asked again with the same id, answers the one that is there.
create function public.register_app_instance(
  p_organization_id uuid, p_app text, p_name text, p_secret text, p_actor_id uuid default null, p_app_instance_id uuid default null
)
returns public.app_instances
language plpgsql
security definer
set search_path = ''
as $$
declare
  created public.app_instances;
begin
  -- taken one by one under the organization's lock, or two at once could pass the bound
  perform 1 from public.organizations where id = p_organization_id for no key update;
  if not found then
    perform private.refuse('organization_not_found');
  end if;
  select * into created from public.app_instances as held
  where held.id = p_app_instance_id and held.organization_id = p_organization_id;
  if found then
    return created;
  end if;
  if (select count(*) from public.app_instances as held where held.organization_id = p_organization_id) >= 50 then
    perform private.refuse('too_many_app_instances', 'An organization has at most 50 app instances: delete one first.');
  end if;
  insert into public.app_instances (id, organization_id, app, name, created_by)
  values (coalesce(p_app_instance_id, gen_random_uuid()), p_organization_id, p_app, p_name, p_actor_id)
  returning * into created;
  insert into private.app_instance_secrets (secret_id, app_instance_id) values (vault.create_secret(p_secret), created.id);
  perform private.record_app_instance_activity(created, 'created', p_actor_id);
  return created;
end;
$$;
grant execute on function public.register_app_instance(uuid, text, text, text, uuid, uuid) to service_role;

-- Changes only what is in p_changes: name, enabled. What is so already leaves no trace.
create function public.update_app_instance(p_app_instance_id uuid, p_changes jsonb, p_actor_id uuid default null)
returns public.app_instances
language plpgsql
security definer
set search_path = ''
as $$
declare
  held public.app_instances := private.require_app_instance(p_app_instance_id);
  wanted_status text := case p_changes ->> 'enabled' when 'true' then 'enabled' when 'false' then 'disabled' else held.status end;
  changed public.app_instances;
begin
  update public.app_instances as instance set
    name = coalesce(p_changes ->> 'name', held.name), status = wanted_status,
    version = held.version + case when wanted_status = held.status then 0 else 1 end
  where instance.id = p_app_instance_id
  returning * into changed;
  if changed.name <> held.name then
    perform private.record_app_instance_activity(changed, 'renamed', p_actor_id);
  end if;
  if changed.status <> held.status then
    perform private.record_app_instance_activity(changed, changed.status, p_actor_id);
  end if;
  return changed;
end;
$$;
grant execute on function public.update_app_instance(uuid, jsonb, uuid) to service_role;

-- Puts a new secret in the place of the present one, which counts beside it for p_overlap_hours. Asked again with the
-- same secret, changes nothing.
create function public.rotate_app_instance_secret(
  p_app_instance_id uuid, p_secret text, p_overlap_hours int default 24, p_actor_id uuid default null
)
returns public.app_instances
language plpgsql
security definer
set search_path = ''
as $$
declare
  rotated public.app_instances := private.require_app_instance(p_app_instance_id);
begin
  if p_overlap_hours is null or p_overlap_hours not between 0 and 168 then
    perform private.refuse('invalid_request', 'An overlap lasts 0 to 168 hours.');
  end if;
  if exists (
    select 1 from private.app_instance_secrets as held
    join vault.decrypted_secrets as decrypted on decrypted.id = held.secret_id
    where held.app_instance_id = p_app_instance_id and held.expires_at is null and decrypted.decrypted_secret = p_secret
  ) then
    return rotated;
  end if;
  -- one secret before the present one is enough to check with
  delete from private.app_instance_secrets as held
  where held.app_instance_id = p_app_instance_id and (held.expires_at is not null or p_overlap_hours = 0);
  update private.app_instance_secrets as held set expires_at = clock_timestamp() + make_interval(hours => p_overlap_hours)
  where held.app_instance_id = p_app_instance_id;
  insert into private.app_instance_secrets (secret_id, app_instance_id) values (vault.create_secret(p_secret), p_app_instance_id);
  update public.app_instances as instance set version = instance.version + 1 where instance.id = p_app_instance_id
  returning * into rotated;
  perform private.record_app_instance_activity(rotated, 'secret_rotated', p_actor_id,
    jsonb_build_object('overlap_hours', p_overlap_hours));
  return rotated;
end;
$$;
grant execute on function public.rotate_app_instance_secret(uuid, text, int, uuid) to service_role;

create function public.delete_app_instance(p_app_instance_id uuid, p_actor_id uuid default null)
returns void
language plpgsql
security definer
set search_path = ''
as $$
declare
  deleted public.app_instances := private.require_app_instance(p_app_instance_id);
begin
  delete from public.app_instances where id = p_app_instance_id;
  perform private.record_app_instance_activity(deleted, 'deleted', p_actor_id);
end;
$$;
grant execute on function public.delete_app_instance(uuid, uuid) to service_role;

-- What an instance's calls are checked with: { version, secrets: [{ secret, expires_at }], newest first }. Null: unknown or
-- disabled.
create function public.open_app_instance(p_app_instance_id uuid)
returns jsonb
language sql
stable
security definer
set search_path = ''
as $$
  select jsonb_build_object(
    'version', instance.version,
    'secrets', (
      select coalesce(jsonb_agg(
        jsonb_build_object('secret', decrypted.decrypted_secret, 'expires_at', held.expires_at) order by held.created_at desc), '[]')
      from private.app_instance_secrets as held
      join vault.decrypted_secrets as decrypted on decrypted.id = held.secret_id
      where held.app_instance_id = instance.id and (held.expires_at is null or held.expires_at > now())))
  from public.app_instances as instance
  where instance.id = p_app_instance_id and instance.status = 'enabled';
$$;
grant execute on function public.open_app_instance(uuid) to service_role;

-- Takes in a verified event of an instance whose version it was verified with, as receive_webhook does a platform's.
-- p_body: base64. { accepted, duplicate }. Not accepted: there is no such instance, it is disabled, or has changed.
create function public.receive_app_event(
  p_app_instance_id uuid, p_version int, p_type text, p_dedupe_key text, p_headers jsonb, p_proof jsonb, p_body text
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
begin
  if octet_length(sent) > 1000000 then
    perform private.refuse('body_too_large');
  end if;
  select instance.organization_id,
    (select doorbell.awake_until >= came_at from private.worker_wakes as doorbell where doorbell.worker = 'webhook-receive')
    into owner_id, is_awake
  from public.app_instances as instance
  where instance.id = p_app_instance_id and instance.status = 'enabled' and instance.version = p_version;
  if not found then
    return '{"accepted": false, "duplicate": false}'::jsonb;
  end if;
  insert into private.webhook_event_keys (receiver, dedupe_key, webhook_event_id, received_at, headers, proof, body_bytes, run_at)
  values (p_app_instance_id::text, p_dedupe_key, event_id, came_at, p_headers, p_proof, octet_length(sent), came_at)
  on conflict on constraint webhook_event_keys_pkey do nothing;
  if not found then
    return '{"accepted": true, "duplicate": true}'::jsonb;
  end if;
  insert into public.webhook_events (id, organization_id, app_instance_id, type, body, received_at)
  values (event_id, owner_id, p_app_instance_id, p_type, sent, came_at);
  if is_awake is not true then
    perform private.wake_worker('webhook-receive');
  end if;
  return '{"accepted": true, "duplicate": false}'::jsonb;
end;
$$;
grant execute on function public.receive_app_event(uuid, int, text, text, jsonb, jsonb, text) to service_role;
