-- Records: rows of tables that a platform's owner invents, such as Airtable's, as they are.

create table public.records (
  like private.synced_record including defaults including generated,
  collection text, -- the platform's id of the table
  collection_name text,
  name text, -- what people call the row
  fields jsonb not null default '{}',
  primary key (id),
  foreign key (integration_id, organization_id) references public.integrations (id, organization_id) on delete cascade,
  constraint records_source_id_is_unique_in_its_integration unique (integration_id, source_id),
  constraint records_read_record_has_a_collection check (content_hash is null or collection is not null),
  constraint records_fields_are_an_object check (jsonb_typeof(fields) = 'object')
);
comment on table public.records is 'Rows of any table of a platform whose tables its owner invents. Rows with deleted_at are gone there.';
create index records_organization_id_created_at_idx on public.records (organization_id, created_at desc);
create index records_integration_id_collection_idx on public.records (integration_id, collection);
alter table public.records enable row level security;
create policy "members read their organization's records"
  on public.records for select to authenticated
  using (organization_id = any ((select private.organization_ids('viewer'))::uuid[]));
grant select on public.records to authenticated, service_role;
insert into private.stream_tables (stream, table_name, record_name) values ('records', 'public.records', 'record');
