-- Organizations are the tenants; members hold a role in them. Signing up creates nothing:
-- a person makes an organization, or accepts an invitation.

create table public.organizations (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint organizations_name_is_1_to_200_characters check (length(btrim(name)) between 1 and 200)
);
comment on table public.organizations is 'The tenants; everything belongs to one.';
alter table public.organizations enable row level security;

create table public.organization_members (
  organization_id uuid not null references public.organizations (id) on delete cascade,
  user_id uuid not null references auth.users (id) on delete cascade,
  role text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (organization_id, user_id),
  constraint organization_members_role_is_known check (role in ('owner', 'manager', 'member', 'viewer'))
);
comment on table public.organization_members is 'Who belongs to an organization, and with which role.';
create index organization_members_user_id_idx on public.organization_members (user_id);
alter table public.organization_members enable row level security;

-- A role's weight: each may do what the ones before it may.
create function private.role_rank(role text)
returns int
language sql
immutable
set search_path = ''
as $$
  select array_position(array['viewer', 'member', 'manager', 'owner'], role_rank.role);
$$;

-- The organizations in which the caller has at least this role. Definer's rights: the policy on the
-- members table itself asks this. Returns an array so that a policy evaluates it once a statement.
create function private.organization_ids(minimum_role text)
returns uuid[]
language sql
stable
security definer
set search_path = ''
as $$
  select coalesce(array_agg(membership.organization_id), '{}')
  from public.organization_members as membership
  where membership.user_id = (select auth.uid())
    and private.role_rank(membership.role) >= private.role_rank(organization_ids.minimum_role);
$$;
grant execute on function private.organization_ids(text) to authenticated;

create policy "members read their organizations"
  on public.organizations for select to authenticated
  using (id = any ((select private.organization_ids('viewer'))::uuid[]));
create policy "managers rename their organizations"
  on public.organizations for update to authenticated
  using (id = any ((select private.organization_ids('manager'))::uuid[]))
  with check (id = any ((select private.organization_ids('manager'))::uuid[]));
create policy "owners delete their organizations"
  on public.organizations for delete to authenticated
  using (id = any ((select private.organization_ids('owner'))::uuid[]));
grant select, delete, update (name) on public.organizations to authenticated;
grant select on public.organizations to service_role;

create policy "members read who else belongs"
  on public.organization_members for select to authenticated
  using (organization_id = any ((select private.organization_ids('viewer'))::uuid[]));
create policy "owners change any role, managers those of members and viewers"
  on public.organization_members for update to authenticated
  using (
    organization_id = any ((select private.organization_ids('owner'))::uuid[])
    or (role in ('member', 'viewer') and organization_id = any ((select private.organization_ids('manager'))::uuid[]))
  )
  with check (
    organization_id = any ((select private.organization_ids('owner'))::uuid[])
    or (role in ('member', 'viewer') and organization_id = any ((select private.organization_ids('manager'))::uuid[]))
  );
create policy "owners remove anyone, managers members and viewers, everyone themselves"
  on public.organization_members for delete to authenticated
  using (
    user_id = (select auth.uid())
    or organization_id = any ((select private.organization_ids('owner'))::uuid[])
    or (role in ('member', 'viewer') and organization_id = any ((select private.organization_ids('manager'))::uuid[]))
  );
grant select, delete, update (role) on public.organization_members to authenticated;
grant select on public.organization_members to service_role;

create trigger organizations_touch before update on public.organizations
  for each row execute function private.touch_updated_at();
create trigger organization_members_touch before update on public.organization_members
  for each row execute function private.touch_updated_at();

-- An organization always keeps an owner. The row lock makes two owners who leave at once take turns;
-- an organization that is itself being deleted no longer has a row to lock, and lets its members go.
-- Definer's rights: the leaving member may not lock the organization.
create function private.keep_an_owner()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  if old.role <> 'owner' or (tg_op = 'UPDATE' and new.role = 'owner') then
    return coalesce(new, old);
  end if;
  perform 1 from public.organizations where id = old.organization_id for update;
  if found and not exists (
    select 1 from public.organization_members as other
    where other.organization_id = old.organization_id and other.role = 'owner' and other.user_id <> old.user_id
  ) then
    perform private.refuse('last_owner', 'An organization keeps at least one owner: make someone else owner first.');
  end if;
  return coalesce(new, old);
end;
$$;
create trigger organization_members_keep_an_owner before update of role or delete on public.organization_members
  for each row execute function private.keep_an_owner();

-- Definer's rights: nobody may insert organizations or members directly.
create function private.create_organization(name text)
returns public.organizations
language plpgsql
security definer
set search_path = ''
as $$
declare
  created public.organizations;
begin
  if (select auth.uid()) is null then
    perform private.refuse('unauthorized', 'Sign in first.');
  end if;
  insert into public.organizations (name) values (btrim(create_organization.name)) returning * into created;
  insert into public.organization_members (organization_id, user_id, role)
  values (created.id, (select auth.uid()), 'owner');
  return created;
end;
$$;
grant execute on function private.create_organization(text) to authenticated;

create function public.create_organization(name text)
returns public.organizations
language sql
set search_path = ''
as $$
  select * from private.create_organization(create_organization.name);
$$;
comment on function public.create_organization(text) is 'Creates an organization; the caller becomes its owner.';
grant execute on function public.create_organization(text) to authenticated;

-- Invitations -------------------------------------------------------------------------------------

create table public.organization_invitations (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null references public.organizations (id) on delete cascade,
  email text not null,
  role text not null,
  invited_by uuid references auth.users (id) on delete set null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null default now() + interval '7 days',
  accepted_at timestamptz,
  constraint organization_invitations_role_is_known check (role in ('owner', 'manager', 'member', 'viewer')),
  constraint organization_invitations_email_is_an_address check (email = lower(email) and email like '_%@_%')
);
comment on table public.organization_invitations is 'People asked, by email address, to join an organization. Delete a row to withdraw it.';
create unique index organization_invitations_one_open_idx
  on public.organization_invitations (organization_id, email) where accepted_at is null;
create index organization_invitations_organization_id_created_at_idx
  on public.organization_invitations (organization_id, created_at desc);
create index organization_invitations_invited_by_idx on public.organization_invitations (invited_by);
alter table public.organization_invitations enable row level security;
create policy "managers read invitations"
  on public.organization_invitations for select to authenticated
  using (organization_id = any ((select private.organization_ids('manager'))::uuid[]));
create policy "owners withdraw any invitation, managers those of members and viewers"
  on public.organization_invitations for delete to authenticated
  using (
    organization_id = any ((select private.organization_ids('owner'))::uuid[])
    or (role in ('member', 'viewer') and organization_id = any ((select private.organization_ids('manager'))::uuid[]))
  );
grant select, delete on public.organization_invitations to authenticated;
grant select on public.organization_invitations to service_role;

-- Only the SHA-256 of the link's token is kept, and not where a manager could read it.
create table private.invitation_tokens (
  invitation_id uuid primary key references public.organization_invitations (id) on delete cascade,
  token_hash bytea not null unique
);
alter table private.invitation_tokens enable row level security;

-- The least role that may invite someone as `role`.
create function private.role_to_invite(role text)
returns text
language sql
immutable
set search_path = ''
as $$
  select case when role_to_invite.role in ('owner', 'manager') then 'owner' else 'manager' end;
$$;

-- Definer's rights: the token's hash is out of the caller's reach, and roles are judged here.
create function private.invite_member(organization_id uuid, email text, role text)
returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  token text := encode(extensions.gen_random_bytes(32), 'hex');
  invitation public.organization_invitations;
  needed_role text := private.role_to_invite(invite_member.role);
begin
  if not (invite_member.organization_id = any (private.organization_ids('viewer'))) then
    perform private.refuse('organization_not_found');
  end if;
  if not (invite_member.organization_id = any (private.organization_ids(needed_role))) then
    perform private.refuse('not_a_manager',
      format('Only an organization''s %s may invite a %s.', needed_role, invite_member.role));
  end if;
  -- as in the policy: a manager may not replace what only an owner could have sent
  if exists (
    select 1 from public.organization_invitations as earlier
    where earlier.organization_id = invite_member.organization_id
      and earlier.email = lower(btrim(invite_member.email)) and earlier.accepted_at is null
      and earlier.expires_at > now()
      and not (earlier.organization_id = any (private.organization_ids(private.role_to_invite(earlier.role))))
  ) then
    perform private.refuse('not_a_manager', 'An owner has invited this person already.');
  end if;
  delete from public.organization_invitations as earlier
  where earlier.organization_id = invite_member.organization_id
    and earlier.email = lower(btrim(invite_member.email)) and earlier.accepted_at is null;
  insert into public.organization_invitations (organization_id, email, role, invited_by)
  values (invite_member.organization_id, lower(btrim(invite_member.email)), invite_member.role, (select auth.uid()))
  returning * into invitation;
  insert into private.invitation_tokens (invitation_id, token_hash)
  values (invitation.id, extensions.digest(token, 'sha256'));
  return jsonb_build_object('invitation_id', invitation.id, 'token', token, 'expires_at', invitation.expires_at);
end;
$$;
grant execute on function private.invite_member(uuid, text, text) to authenticated;

create function public.invite_member(organization_id uuid, email text, role text default 'member')
returns jsonb
language sql
set search_path = ''
as $$
  select private.invite_member(invite_member.organization_id, invite_member.email, invite_member.role);
$$;
comment on function public.invite_member(uuid, text, text) is
  'Invites a person by email: { invitation_id, token, expires_at }. The token is shown once; the app mails it. Inviting again replaces the open invitation.';
grant execute on function public.invite_member(uuid, text, text) to authenticated;

-- Definer's rights: the invited person is not a member yet. Token and confirmed address must both fit,
-- so a forwarded link admits nobody else; and whoever invited must still have the right to.
create function private.accept_invitation(token text)
returns uuid
language plpgsql
security definer
set search_path = ''
as $$
declare
  invitation public.organization_invitations;
begin
  select open.* into invitation
  from private.invitation_tokens as secret
  join public.organization_invitations as open on open.id = secret.invitation_id
  join auth.users as person on person.id = (select auth.uid())
  where secret.token_hash = extensions.digest(accept_invitation.token, 'sha256')
    and open.accepted_at is null and open.expires_at > now()
    and lower(person.email) = open.email and person.email_confirmed_at is not null
    and exists (
      select 1 from public.organization_members as inviter
      where inviter.organization_id = open.organization_id and inviter.user_id = open.invited_by
        and private.role_rank(inviter.role) >= private.role_rank(private.role_to_invite(open.role))
    )
  for update of open;
  if not found then
    perform private.refuse('invitation_not_found', 'The invitation is unknown, used, withdrawn, expired, or meant for another address.');
  end if;
  update public.organization_invitations set accepted_at = now() where id = invitation.id;
  delete from private.invitation_tokens where invitation_id = invitation.id;
  insert into public.organization_members (organization_id, user_id, role)
  values (invitation.organization_id, (select auth.uid()), invitation.role)
  on conflict do nothing; -- already a member: keeps the role held
  return invitation.organization_id;
end;
$$;
grant execute on function private.accept_invitation(text) to authenticated;

create function public.accept_invitation(token text)
returns uuid
language sql
set search_path = ''
as $$
  select private.accept_invitation(accept_invitation.token);
$$;
comment on function public.accept_invitation(text) is 'Joins the organization the token invites to; returns its id.';
grant execute on function public.accept_invitation(text) to authenticated;
