-- The outside platforms Plugboard knows. The rows come from the connectors' own files
-- (supabase/functions/_shared/connectors), by the generated catalog migration.

create table public.connectors (
  slug text primary key,
  name text not null,
  description text not null,
  category text not null,
  docs_url text not null,
  auth_types text[] not null, -- none, api_key, token_exchange, client_credentials, signed_request, oauth2; several: a setting chooses
  settings_schema jsonb not null, -- JSON Schema: what a connect form asks for
  credentials_schema jsonb not null, -- JSON Schema: the secret part of that form; oneOf with x-when where a setting chooses
  capabilities text[] not null default '{}', -- sync_in:<stream>, sync_out:<stream>, incremental:<stream>, action:<name>, webhooks, webhook_subscriptions, app_webhook_subscriptions
  streams jsonb not null, -- [{ name, direction, incremental, detects_deletes, push? { columns, deletes, key } }]
  actions jsonb not null default '[]', -- [{ name, title, description, repeatable, input_schema, output_schema }]
  available boolean not null default true, -- false: no longer in the code; kept for the integrations made with it
  updated_at timestamptz not null default now(),
  constraint connectors_slug_is_kebab_case check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
  constraint connectors_streams_is_a_list check (jsonb_typeof(streams) = 'array'),
  constraint connectors_actions_is_a_list check (jsonb_typeof(actions) = 'array')
);
comment on table public.connectors is 'Outside platforms an organization can connect, with the JSON Schemas of their connect forms.';
alter table public.connectors enable row level security;
create policy "signed-in people read the catalog"
  on public.connectors for select to authenticated using (true);
grant select on public.connectors to authenticated, service_role;

create trigger connectors_touch before update on public.connectors
  for each row execute function private.touch_updated_at();

-- Makes the table equal the list. A connector that left the list stays, marked unavailable.
create function private.register_connectors(catalog jsonb)
returns void
language sql
set search_path = ''
as $$
  insert into public.connectors as known (
    slug, name, description, category, docs_url, auth_types, settings_schema, credentials_schema, capabilities, streams, actions
  )
  select entry.slug, entry.name, entry.description, entry.category, entry.docs_url, entry.auth_types,
    entry.settings_schema, entry.credentials_schema, entry.capabilities, entry.streams,
    coalesce(entry.actions, '[]')
  from jsonb_populate_recordset(null::public.connectors, register_connectors.catalog) as entry
  on conflict (slug) do update set
    name = excluded.name, description = excluded.description, category = excluded.category,
    docs_url = excluded.docs_url, auth_types = excluded.auth_types, settings_schema = excluded.settings_schema,
    credentials_schema = excluded.credentials_schema, capabilities = excluded.capabilities,
    streams = excluded.streams, actions = excluded.actions, available = true;
  update public.connectors as known
  set available = false
  where known.available
    and not exists (
      select 1 from jsonb_array_elements(register_connectors.catalog) as entry where entry ->> 'slug' = known.slug
    );
$$;
