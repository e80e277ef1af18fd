-- Contacts: people and companies, as each connected account has them.

-- What makes two addresses one: case and the white space around do not count, nor which of two ways Unicode
-- has to write a letter. Null where nobody can be reached (`n/a`). The collation is named, so that the
-- database's own does not decide what a capital letter is.
-- plpgsql: called for every row written, and a SQL function that sets its search_path takes five times as long.
create function private.normalize_email(email text)
returns text
language plpgsql
immutable
set search_path = ''
as $$
declare
  normal text := normalize(lower(btrim(normalize_email.email, E' \t\r\n\u00a0') collate "und-x-icu"), nfc);
begin
  -- 64 characters, @ and 255 are the longest there can be
  return case when normal like '_%@_%' and length(normal) <= 320 then normal end;
end;
$$;

-- Whoever has an address is one person in an organization, whichever integrations know them.
create function private.person_id(organization_id uuid, email text)
returns uuid
language plpgsql
immutable
set search_path = ''
as $$
begin
  return md5(person_id.organization_id || ' ' || private.normalize_email(person_id.email))::uuid;
end;
$$;
-- contacts.person_id is computed as whoever writes a contact
grant execute on function private.normalize_email(text), private.person_id(uuid, text) to authenticated, service_role;

create table public.contacts (
  like private.synced_record including defaults including generated,
  kind text not null default 'contact',
  email text, -- as the platform has it
  first_name text,
  last_name text,
  full_name text,
  phone text,
  company text,
  job_title text,
  marketing_status text, -- null: the platform has no such notion
  tags text[] not null default '{}',
  address jsonb, -- { line1, line2, city, region, postal_code, country }
  image_url text,
  person_id uuid generated always as (private.person_id(organization_id, email)) stored, -- people.id; null without an address
  primary key (id),
  foreign key (integration_id, organization_id) references public.integrations (id, organization_id) on delete cascade,
  constraint contacts_source_id_is_unique_in_its_integration unique (integration_id, source_id),
  constraint contacts_kind_is_known check (kind in ('contact', 'lead', 'customer')),
  constraint contacts_marketing_status_is_known check (marketing_status in ('subscribed', 'unsubscribed', 'pending', 'bounced'))
);
comment on table public.contacts is 'People and companies, one row for each account that has them; person_id says who is the same. Rows with deleted_at are gone there.';
create index contacts_organization_id_created_at_idx on public.contacts (organization_id, created_at desc);
create index contacts_person_id_idx on public.contacts (person_id);
alter table public.contacts enable row level security;
create policy "members read their organization's contacts"
  on public.contacts for select to authenticated
  using (organization_id = any ((select private.organization_ids('viewer'))::uuid[]));
create policy "members add contacts where they are pushed"
  on public.contacts for insert to authenticated
  with check (integration_id = any ((select private.pushing_integrations('contacts'))::uuid[]));
create policy "members change contacts where they are pushed"
  on public.contacts for update to authenticated
  using (integration_id = any ((select private.pushing_integrations('contacts'))::uuid[]) and deleted_at is null)
  with check (integration_id = any ((select private.pushing_integrations('contacts'))::uuid[]));
create policy "members delete contacts where they are pushed"
  on public.contacts for delete to authenticated
  using (integration_id = any ((select private.pushing_integrations('contacts'))::uuid[]) and deleted_at is null);
grant select, delete,
  insert (integration_id, kind, email, first_name, last_name, full_name, phone, company, job_title,
    marketing_status, tags, address, image_url),
  update (kind, email, first_name, last_name, full_name, phone, company, job_title,
    marketing_status, tags, address, image_url)
  on public.contacts to authenticated, service_role;
create trigger contacts_fill_local_row before insert on public.contacts
  for each row when (new.source_id is null) execute function private.fill_local_row();
-- a merge says the time itself
create trigger contacts_touch before update of kind, email, first_name, last_name, full_name, phone, company, job_title,
    marketing_status, tags, address, image_url on public.contacts
  for each row when (new.updated_at = old.updated_at) execute function private.touch_updated_at();
insert into private.stream_tables (stream, table_name, record_name) values ('contacts', 'public.contacts', 'contact');
