-- The audit trail: who or what did which action, with what outcome. Written by triggers and engines,
-- never by clients. One partition a month; retention drops whole partitions.

create table public.activity_logs (
  id uuid not null default gen_random_uuid(),
  organization_id uuid not null references public.organizations (id) on delete cascade,
  actor_type text not null, -- user: a signed-in person; service: the secret key; system: the schedule or a worker
  actor_id uuid, -- auth.users.id; no foreign key, since the trail outlives the account
  action text not null, -- dot-delimited, such as integration.connected
  outcome text not null default 'success',
  subject_type text,
  subject_id text,
  detail jsonb not null default '{}',
  created_at timestamptz not null default now(),
  primary key (created_at, id),
  constraint activity_logs_actor_type_is_known check (actor_type in ('user', 'service', 'system')),
  constraint activity_logs_user_is_named check (actor_type <> 'user' or actor_id is not null),
  constraint activity_logs_outcome_is_known check (outcome in ('success', 'partial', 'failure', 'unknown'))
) partition by range (created_at);
comment on table public.activity_logs is 'Audit trail, newest month first; kept 13 months.';
create index activity_logs_organization_id_created_at_idx on public.activity_logs (organization_id, created_at desc);
alter table public.activity_logs enable row level security;
create policy "members read their organization's activity"
  on public.activity_logs for select to authenticated
  using (organization_id = any ((select private.organization_ids('viewer'))::uuid[]));
grant select on public.activity_logs to authenticated, service_role;

-- Catches what no month's partition takes, so that a late maintenance job never fails a user's change.
create table private.activity_logs_default partition of public.activity_logs default;
alter table private.activity_logs_default enable row level security;
select private.ensure_partitions('public.activity_logs', 'month');

-- Writes one line. Without an actor it is the signed-in caller, actor_type, or what the token says. Definer's rights: callers
-- of the triggers below may not write here. While an organization is being deleted there is nothing to write to.
create function private.record_activity(
  organization_id uuid, action text, subject_type text, subject_id text,
  detail jsonb default '{}', outcome text default 'success', actor_id uuid default null, actor_type text default null
)
returns void
language plpgsql
security definer
set search_path = ''
as $$
declare
  actor uuid := coalesce(record_activity.actor_id, (select auth.uid()));
begin
  insert into public.activity_logs (organization_id, actor_type, actor_id, action, outcome, subject_type, subject_id, detail)
  select organization.id,
    case
      when actor is not null then 'user'
      when record_activity.actor_type is not null then record_activity.actor_type
      when (select auth.role()) = 'service_role' then 'service'
      else 'system'
    end,
    actor, record_activity.action, record_activity.outcome, record_activity.subject_type, record_activity.subject_id,
    record_activity.detail
  from public.organizations as organization
  where organization.id = record_activity.organization_id;
end;
$$;

-- Definer's rights: reaches record_activity, which the member changing a row may not call.
create function private.record_member_activity()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  if tg_op = 'INSERT' then
    perform private.record_activity(new.organization_id, 'member.added', 'user', new.user_id::text,
      jsonb_build_object('role', new.role));
  elsif tg_op = 'DELETE' then
    perform private.record_activity(old.organization_id, 'member.removed', 'user', old.user_id::text,
      jsonb_build_object('role', old.role));
  elsif old.role <> new.role then
    perform private.record_activity(new.organization_id, 'member.role_changed', 'user', new.user_id::text,
      jsonb_build_object('from', old.role, 'to', new.role));
  end if;
  return null;
end;
$$;
create trigger organization_members_activity after insert or update of role or delete on public.organization_members
  for each row execute function private.record_member_activity();
