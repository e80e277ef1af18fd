-- Events: facts that were committed. One is written in the transaction that changes what it tells of, so it
-- exists exactly when the change does. One partition a day; retention drops whole partitions.

create table public.event_types (
  name text primary key,
  description text not null,
  data_schema jsonb not null, -- JSON Schema of an event's data
  example jsonb not null, -- data that fits the schema
  constraint event_types_name_is_dot_delimited check (name ~ '^[a-z][a-z0-9_]*(\.[a-z0-9_]+)+$')
);
comment on table public.event_types is 'The catalog of Plugboard''s own event types, generated from code.';
alter table public.event_types enable row level security;
create policy "everyone signed in reads the catalog"
  on public.event_types for select to authenticated using (true);
grant select on public.event_types to authenticated, service_role;

-- Makes the table equal the list.
create function private.register_event_types(catalog jsonb)
returns void
language sql
set search_path = ''
as $$
  insert into public.event_types as known (name, description, data_schema, example)
  select entry.name, entry.description, entry.data_schema, entry.example
  from jsonb_populate_recordset(null::public.event_types, register_event_types.catalog) as entry
  on conflict (name) do update set
    description = excluded.description, data_schema = excluded.data_schema, example = excluded.example;
  delete from public.event_types as known
  where not exists (
    select 1 from jsonb_array_elements(register_event_types.catalog) as entry where entry ->> 'name' = known.name
  );
$$;

-- No foreign key to the organization: checking it for each row would cost a bulk load a tenth of its speed. A
-- trigger takes an organization's events with it.
create sequence private.event_positions;
create table public.events (
  id uuid not null default gen_random_uuid(),
  organization_id uuid not null,
  type text not null,
  subject text, -- what it is about, such as integration/<id>; ordered endpoints keep the order of one subject
  data jsonb not null,
  origin text not null default 'plugboard', -- plugboard, or app: emitted through public.emit_event, or sent by a business app
  created_at timestamptz not null default now(),
  -- the order of emission, also within one transaction; no identity, which partitioned tables have from Postgres 17 on
  position bigint not null default nextval('private.event_positions'),
  primary key (created_at, id),
  constraint events_type_is_dot_delimited check (type ~ '^[a-z][a-z0-9_]*(\.[a-z0-9_]+)+$' and length(type) <= 100),
  constraint events_subject_is_1_to_200_characters check (length(subject) between 1 and 200),
  constraint events_data_is_an_object check (jsonb_typeof(data) = 'object'),
  constraint events_data_is_at_most_256_kb check (octet_length(data::text) <= 262144),
  constraint events_origin_is_known check (origin in ('plugboard', 'app'))
) partition by range (created_at);
comment on table public.events is 'Committed facts, newest day first; kept 30 days.';
create index events_organization_id_created_at_idx on public.events (organization_id, created_at desc);
alter table public.events enable row level security;
create policy "members read their organization's events"
  on public.events for select to authenticated
  using (organization_id = any ((select private.organization_ids('member'))::uuid[]));
grant select on public.events to authenticated, service_role;

-- Catches what no day's partition takes, so that a late maintenance job never fails a user's change.
create table private.events_default partition of public.events default;
alter table private.events_default enable row level security;
select private.ensure_partitions('public.events', 'day', 7);

-- Writes one event. While an organization is being deleted there is nobody to tell.
-- Definer's rights: called by triggers on behalf of members, who may not write here.
create function private.emit_event(
  organization_id uuid, type text, data jsonb, subject text default null, origin text default 'plugboard'
)
returns uuid
language sql
security definer
set search_path = ''
as $$
  insert into public.events (organization_id, type, subject, data, origin)
  select organization.id, emit_event.type, emit_event.subject, emit_event.data, emit_event.origin
  from public.organizations as organization
  where organization.id = emit_event.organization_id
  returning id;
$$;

-- Writes many events of one organization at once; the arrays belong together by position.
create function private.emit_events(organization_id uuid, types text[], subjects text[], data jsonb[])
returns void
language sql
set search_path = ''
as $$
  insert into public.events (organization_id, type, subject, data)
  select emit_events.organization_id, emitted.type, emitted.subject, emitted.data
  from unnest(emit_events.types, emit_events.subjects, emit_events.data) as emitted (type, subject, data);
$$;

-- Why an app may not emit this: { code, message }; null: it may.
create function private.why_not_an_app_event(type text, data jsonb, subject text)
returns jsonb
language sql
stable
set search_path = ''
as $$
  select case
    when why_not_an_app_event.type is null or why_not_an_app_event.type !~ '^[a-z][a-z0-9_]*(\.[a-z0-9_]+)+$'
      or length(why_not_an_app_event.type) > 100
    then jsonb_build_object('code', 'invalid_event_type', 'message',
      'An event type is made of words in lower case with dots between them, such as booking.created: at most 100 characters.')
    -- whoever receives sync.completed relies on it that a sync was completed
    when exists (
      select 1 from public.event_types as known
      where split_part(known.name, '.', 1) = split_part(why_not_an_app_event.type, '.', 1))
    then jsonb_build_object('code', 'event_type_reserved', 'message',
      format('Types that begin with %s. are Plugboard''s own: take another first word.', split_part(why_not_an_app_event.type, '.', 1)))
    when why_not_an_app_event.data is null or jsonb_typeof(why_not_an_app_event.data) <> 'object'
    then jsonb_build_object('code', 'invalid_request', 'message', 'An event''s data is a JSON object.')
    when octet_length(why_not_an_app_event.data::text) > 262144
    then jsonb_build_object('code', 'event_too_large', 'message', 'An event''s data may have 256 KB: send ids instead of contents.')
    when length(why_not_an_app_event.subject) not between 1 and 200
    then jsonb_build_object('code', 'invalid_request', 'message', 'An event''s subject has 1 to 200 characters.')
  end;
$$;

-- An app's own event. Definer's rights: nobody writes events directly; the caller is judged here.
create function private.emit_app_event(organization_id uuid, type text, data jsonb, subject text)
returns uuid
language plpgsql
security definer
set search_path = ''
as $$
declare
  refusal jsonb;
  event_id uuid;
begin
  if (select auth.role()) is distinct from 'service_role'
    and emit_app_event.organization_id <> all (private.organization_ids('member')) then
    perform private.refuse('organization_not_found');
  end if;
  refusal := private.why_not_an_app_event(emit_app_event.type, emit_app_event.data, emit_app_event.subject);
  if refusal is not null then
    perform private.refuse(refusal ->> 'code', refusal ->> 'message');
  end if;
  event_id := private.emit_event(
    emit_app_event.organization_id, emit_app_event.type, emit_app_event.data, emit_app_event.subject, 'app');
  if event_id is null then
    perform private.refuse('organization_not_found');
  end if;
  return event_id;
end;
$$;
grant execute on function private.emit_app_event(uuid, text, jsonb, text) to authenticated, service_role;

create function public.emit_event(p_organization_id uuid, p_type text, p_data jsonb, p_subject text default null)
returns uuid
language sql
set search_path = ''
as $$
  select private.emit_app_event(p_organization_id, p_type, p_data, p_subject);
$$;
comment on function public.emit_event(uuid, text, jsonb, text) is
  'Writes an event of an app''s own type; members of the organization and the service may. Returns its id.';
grant execute on function public.emit_event(uuid, text, jsonb, text) to authenticated, service_role;

-- Definer's rights: the owner who deletes an organization may not delete events.
create function private.delete_events_of_organization()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  delete from public.events as event where event.organization_id = old.id;
  return null;
end;
$$;
create trigger organizations_delete_events after delete on public.organizations
  for each row execute function private.delete_events_of_organization();

-- Definer's rights: reaches emit_event, which the member changing a row may not call.
create function private.emit_member_event()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  member record := coalesce(new, old);
  member_data jsonb := jsonb_build_object('user_id', member.user_id, 'role', member.role);
begin
  if tg_op = 'INSERT' then
    perform private.emit_event(member.organization_id, 'user.added', member_data, 'user/' || member.user_id);
  elsif tg_op = 'DELETE' then
    perform private.emit_event(member.organization_id, 'user.removed', member_data, 'user/' || member.user_id);
  elsif old.role <> new.role then
    perform private.emit_event(member.organization_id, 'user.role_changed',
      member_data || jsonb_build_object('previous_role', old.role), 'user/' || member.user_id);
  end if;
  return null;
end;
$$;
create trigger organization_members_emit after insert or update of role or delete on public.organization_members
  for each row execute function private.emit_member_event();
