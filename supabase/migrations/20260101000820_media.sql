-- Images of records: where they are kept, which are wanted, and the queue by which they are fetched.

-- Private: every object is below a folder named after its organization.
insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types)
values ('media', 'media', false, 10485760, array['image/png', 'image/jpeg', 'image/gif', 'image/webp', 'image/avif'])
on conflict (id) do update set
  public = excluded.public, file_size_limit = excluded.file_size_limit, allowed_mime_types = excluded.allowed_mime_types;

-- As text: a folder that is no uuid would make a cast fail, and the policy with it.
create policy "members read their organization's media"
  on storage.objects for select to authenticated
  using (
    bucket_id = 'media'
    and (storage.foldername(name))[1] = any ((select private.organization_ids('viewer')::text[])::text[])
  );

create table public.media_assets (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null references public.organizations (id) on delete cascade,
  content_hash text not null, -- SHA-256 of the bytes, hex
  content_type text not null, -- as the bytes say, whatever the address or its server claims
  byte_size int not null,
  width int, -- pixels; null where the file does not say so near its beginning
  height int,
  storage_bucket text not null default 'media',
  storage_path text not null,
  created_at timestamptz not null default now(),
  unique (id, organization_id), -- so that links stay within an organization
  constraint media_assets_content_is_kept_once unique (organization_id, content_hash),
  constraint media_assets_content_hash_is_sha_256 check (content_hash ~ '^[0-9a-f]{64}$'),
  constraint media_assets_type_is_one_the_bucket_takes
    check (content_type in ('image/png', 'image/jpeg', 'image/gif', 'image/webp', 'image/avif')),
  constraint media_assets_size_is_one_the_bucket_takes check (byte_size between 1 and 10485760),
  constraint media_assets_path_is_its_organization_and_hash
    check (storage_path ~ ('^' || organization_id || '/' || left(content_hash, 2) || '/' || content_hash || '\.[a-z]+$'))
);
comment on table public.media_assets is 'Files kept in Storage, once an organization whatever they were called.';
create index media_assets_organization_id_created_at_idx on public.media_assets (organization_id, created_at desc);
alter table public.media_assets enable row level security;
create policy "members read their organization's media assets"
  on public.media_assets for select to authenticated
  using (organization_id = any ((select private.organization_ids('viewer'))::uuid[]));
grant select on public.media_assets to authenticated, service_role;

-- One address from which an organization's records show an image; the row is its own job. It is due while it is queued,
-- run_at has come and nobody holds a lease on it.
create table public.media_sources (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null references public.organizations (id) on delete cascade,
  url text not null,
  status text not null default 'queued', -- dead: tried often enough, or hopeless; last_error says why
  asset_id uuid, -- what it was when it was fetched
  last_error jsonb, -- { code, message, next }
  attempt_count int not null default 0, -- tries that failed since it was queued
  run_at timestamptz not null default now(),
  lease_token uuid,
  lease_expires_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  foreign key (asset_id, organization_id) references public.media_assets (id, organization_id) on delete cascade,
  constraint media_sources_url_is_no_data check (octet_length(url) between 1 and 4096 or url ~* '^https?://'),
  constraint media_sources_long_url_is_not_fetched check (octet_length(url) <= 4096 or status = 'dead'),
  constraint media_sources_status_is_known check (status in ('queued', 'stored', 'dead')),
  constraint media_sources_stored_source_has_an_asset check ((status = 'stored') = (asset_id is not null)),
  constraint media_sources_dead_source_says_why check (status <> 'dead' or last_error is not null),
  constraint media_sources_only_queued_sources_are_leased check (status = 'queued' or lease_token is null),
  constraint media_sources_lease_has_an_end check ((lease_token is null) = (lease_expires_at is null))
);
comment on table public.media_sources is 'Addresses of images: waiting to be fetched, stored, or dead and why.';
-- By hash: an address may be longer than an index takes.
create unique index media_sources_url_is_fetched_once on public.media_sources (organization_id, (md5(url)::uuid));
create index media_sources_organization_id_created_at_idx on public.media_sources (organization_id, created_at desc);
create index media_sources_asset_id_idx on public.media_sources (asset_id, organization_id) where asset_id is not null;
create index media_sources_queued_idx on public.media_sources (organization_id, run_at) where status = 'queued';
create index media_sources_lease_token_idx on public.media_sources (lease_token) where lease_token is not null;
alter table public.media_sources enable row level security;
create policy "members read their organization's media sources"
  on public.media_sources for select to authenticated
  using (organization_id = any ((select private.organization_ids('viewer'))::uuid[]));
grant select on public.media_sources to authenticated, service_role;

-- Which streams show images, and how the address is found: SQL over the table's own columns, which migrations alone write. Such a table has
-- image_asset_id with its foreign key, an index on (organization_id, md5(<address>)::uuid) and the two triggers below.
alter table private.stream_tables add column image_url text;

-- Records whose image was added, changed or taken away since a worker looked. A write only appends here, and so waits for
-- nobody: were it to look up or link images itself, it and the worker that is storing one would have to wait for each other.
create table private.image_changes (
  id bigint generated always as identity primary key,
  stream text not null,
  record_id uuid not null
);
alter table private.image_changes enable row level security;

-- Statement by statement, so that a page of records is noted in one insert. What keeps its address is not noted.
-- Definer's rights: where an owner deletes their organization, links are cleared by the cascade in the owner's name.
create function private.note_image_changes()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  known private.stream_tables;
  noted_count int;
begin
  select * into known from private.stream_tables as candidate where candidate.table_name = tg_relid;
  if tg_op = 'INSERT' then
    execute format($sql$
      insert into private.image_changes (stream, record_id)
      select $1, id from new_rows where %1$s is not null and deleted_at is null
      $sql$, known.image_url) using known.stream;
  else
    execute format($sql$
      insert into private.image_changes (stream, record_id)
      select $1, after.id
      from (select id, %1$s as url from new_rows where deleted_at is null) as after
      join (select id, %1$s as url, deleted_at from old_rows) as before using (id)
      where after.url is distinct from before.url or after.url is not null and before.deleted_at is not null
      $sql$, known.image_url) using known.stream;
  end if;
  get diagnostics noted_count = row_count;
  if noted_count > 0 then
    perform private.wake_worker('sync-images');
  end if;
  return null;
end;
$$;

insert into private.worker_wakes (worker) values ('sync-images');

-- Products show the first of their images.
update private.stream_tables set image_url = 'image_urls[1]', local_columns = local_columns || '{image_asset_id}'
where table_name = 'public.products'::regclass;
alter table public.products
  add column image_asset_id uuid, -- the stored copy of the first of image_urls; null until there is one
  add foreign key (image_asset_id, organization_id) references public.media_assets (id, organization_id)
    on delete set null (image_asset_id);
create index products_image_asset_id_idx on public.products (image_asset_id, organization_id) where image_asset_id is not null;
create index products_image_url_idx on public.products (organization_id, (md5(image_urls[1])::uuid));
create trigger products_note_new_images after insert on public.products
  referencing new table as new_rows
  for each statement execute function private.note_image_changes();
create trigger products_note_changed_images after update on public.products
  referencing old table as old_rows new table as new_rows
  for each statement execute function private.note_image_changes();

-- Contacts have one.
update private.stream_tables set image_url = 'image_url', local_columns = local_columns || '{image_asset_id}'
where table_name = 'public.contacts'::regclass;
alter table public.contacts
  add column image_asset_id uuid, -- the stored copy of image_url; null until there is one
  add foreign key (image_asset_id, organization_id) references public.media_assets (id, organization_id)
    on delete set null (image_asset_id);
create index contacts_image_asset_id_idx on public.contacts (image_asset_id, organization_id) where image_asset_id is not null;
create index contacts_image_url_idx on public.contacts (organization_id, (md5(image_url)::uuid));
create trigger contacts_note_new_images after insert on public.contacts
  referencing new table as new_rows
  for each statement execute function private.note_image_changes();
create trigger contacts_note_changed_images after update on public.contacts
  referencing old table as old_rows new table as new_rows
  for each statement execute function private.note_image_changes();
