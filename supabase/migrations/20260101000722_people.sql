-- People: who the contacts are. One row for each address of an organization, over all its integrations.

create table public.people (
  id uuid primary key, -- private.person_id, so contacts name it before this row is there
  organization_id uuid not null references public.organizations (id) on delete cascade,
  email text not null, -- normalised
  full_name text, -- these three by the newest live contact that has them
  phone text,
  company text,
  contact_count int not null default 0, -- live ones
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
comment on table public.people is 'One row for each address of an organization: contacts with the same person_id, merged. What each platform said stays in contacts.';
create index people_organization_id_created_at_idx on public.people (organization_id, created_at desc);
create index people_organization_id_email_idx on public.people (organization_id, email);
alter table public.people enable row level security;
create policy "members read their organization's people"
  on public.people for select to authenticated
  using (organization_id = any ((select private.organization_ids('viewer'))::uuid[]));
grant select on public.people to authenticated, service_role;

-- Whom this transaction has touched, until it commits; nobody else ever sees a row. All of them are brought
-- up to date in one pass at its end: locked statement by statement, two integrations that know the same
-- people could each hold one that the other waits for.
create unlogged table private.stale_people (
  transaction_id xid8 not null default pg_current_xact_id(),
  person_ids uuid[] not null
);
create index stale_people_transaction_id_idx on private.stale_people (transaction_id);
alter table private.stale_people enable row level security;

-- What the contacts of these people say about them. Someone without contacts is not in it.
create function private.describe_people(ids uuid[])
returns table (id uuid, organization_id uuid, email text, full_name text, phone text, company text, contact_count int)
language sql
stable
set search_path = ''
as $$
  select said.id, said.organization_id, private.normalize_email(min(said.email)),
    (array_agg(said.full_name) filter (where said.full_name <> ''))[1],
    (array_agg(said.phone) filter (where said.phone <> ''))[1],
    (array_agg(said.company) filter (where said.company <> ''))[1],
    (count(*) filter (where said.is_live))::int
  from (
    select wanted.id, contact.organization_id, contact.email, contact.deleted_at is null as is_live,
      case when contact.deleted_at is null
        then coalesce(nullif(btrim(contact.full_name), ''), btrim(concat_ws(' ', contact.first_name, contact.last_name))) end as full_name,
      case when contact.deleted_at is null then btrim(contact.phone) end as phone,
      case when contact.deleted_at is null then btrim(contact.company) end as company
    from unnest(describe_people.ids) as wanted (id)
    -- "offset 0" makes it one index look-up a person: the planner would rather read a whole smaller table
    cross join lateral (
      select * from public.contacts as held where held.person_id = wanted.id offset 0
    ) as contact
    order by wanted.id, least(contact.source_updated_at, contact.last_synced_at) desc, contact.last_synced_at desc, contact.id
  ) as said
  group by said.id, said.organization_id;
$$;

-- Definer's rights: it runs at the commit, as whoever commits.
create function private.refresh_people()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  stale uuid[];
  unknown uuid[]; -- those of them who are new
begin
  -- first, as in every transaction: whoever waits for a run would otherwise hold people that its holder waits for
  perform private.ask_for_noted_pushes();
  with mine as (
    delete from private.stale_people as noted where noted.transaction_id = pg_current_xact_id()
    returning noted.person_ids
  )
  select array_agg(distinct touched.id) into stale from mine cross join unnest(mine.person_ids) as touched (id);
  if stale is null then
    return null; -- done for an earlier statement's note
  end if;
  unknown := array(
    select unnest(stale) except select known.id from public.people as known where known.id = any (stale));
  -- Adds who is new and locks everybody else ("where false" locks and does not write), in one order of ids,
  -- so that two transactions never wait for each other. Who was added needs no second look: anyone else with
  -- a contact of theirs would have added them first, or waits for us.
  with added as (
    insert into public.people as person (id, organization_id, email, full_name, phone, company, contact_count)
    select each_one.*
    from (
      select known.id, known.organization_id, known.email, known.full_name, known.phone, known.company, known.contact_count
      from public.people as known where known.id = any (stale)
      union all
      select described.* from private.describe_people(unknown) as described
    ) as each_one
    order by each_one.id
    on conflict (id) do update set email = excluded.email where false
    returning person.id
  )
  select array(select unnest(stale) except (select unnest(unknown) intersect select added.id from added)) into stale;
  -- A statement of its own: with the locks held, it sees the contacts that others have committed.
  update public.people as person set full_name = described.full_name, phone = described.phone,
    company = described.company, contact_count = described.contact_count, updated_at = now()
  from private.describe_people(stale) as described
  where person.id = described.id
    and (person.full_name, person.phone, person.company, person.contact_count)
      is distinct from (described.full_name, described.phone, described.company, described.contact_count);
  delete from public.people as person
  where person.id = any (stale)
    and not exists (select 1 from public.contacts as contact where contact.person_id = person.id);
  return null;
end;
$$;
create constraint trigger refresh_people
  after insert on private.stale_people
  deferrable initially deferred
  for each row execute function private.refresh_people();

-- Definer's rights: notes for whoever changes contacts.
create function private.note_stale_people()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  touched uuid[];
begin
  if tg_op = 'INSERT' then
    touched := array(select distinct person_id from new_rows where person_id is not null);
  elsif tg_op = 'DELETE' then
    touched := array(select distinct person_id from old_rows where person_id is not null);
  else
    -- Grouped and not joined: a plan made for an update of nothing, and kept, would join row by row.
    touched := array(
      select distinct changed.person_id
      from (
        select side.person_id
        from (select * from old_rows union all select * from new_rows) as side
        group by side.id, side.person_id, side.full_name, side.first_name, side.last_name, side.phone, side.company,
          side.deleted_at, side.source_updated_at, side.last_synced_at
        having count(*) = 1
      ) as changed
      where changed.person_id is not null);
  end if;
  if cardinality(touched) > 0 then
    insert into private.stale_people (person_ids) values (touched);
  end if;
  return null;
end;
$$;
create trigger note_new_people after insert on public.contacts
  referencing new table as new_rows
  for each statement execute function private.note_stale_people();
create trigger note_changed_people after update on public.contacts
  referencing old table as old_rows new table as new_rows
  for each statement execute function private.note_stale_people();
create trigger note_gone_people after delete on public.contacts
  referencing old table as old_rows
  for each statement execute function private.note_stale_people();
