-- Products: items for sale, as a connected store lists them.

create table public.products (
  like private.synced_record including defaults including generated,
  name text,
  description text,
  brand text,
  category text,
  sku text,
  status text not null default 'active',
  price_amount text, -- exact decimal; null where the price depends on the quantity (price_tiers)
  price_currency text, -- ISO 4217
  price_tiers jsonb not null default '[]', -- [{ start, amount }]: from this quantity on, that price for one
  variants jsonb not null default '[]', -- [{ source_id, name, sku, price_amount, stock_quantity }]
  image_urls text[] not null default '{}',
  stock_quantity text, -- exact decimal
  primary key (id),
  foreign key (integration_id, organization_id) references public.integrations (id, organization_id) on delete cascade,
  constraint products_source_id_is_unique_in_its_integration unique (integration_id, source_id),
  constraint products_read_product_has_a_name check (content_hash is null or name is not null),
  constraint products_status_is_known check (status in ('active', 'inactive')),
  constraint products_price_is_a_decimal check (price_amount ~ '^-?[0-9]+(\.[0-9]+)?$'),
  constraint products_price_has_a_currency check (price_amount is null or price_currency is not null),
  constraint products_currency_is_iso_4217 check (price_currency ~ '^[A-Z]{3}$'),
  constraint products_stock_is_a_decimal check (stock_quantity ~ '^-?[0-9]+(\.[0-9]+)?$')
);
comment on table public.products is 'Items for sale, as connected stores list them. Rows with deleted_at are gone at the store.';
create index products_organization_id_created_at_idx on public.products (organization_id, created_at desc);
alter table public.products enable row level security;
create policy "members read their organization's products"
  on public.products for select to authenticated
  using (organization_id = any ((select private.organization_ids('viewer'))::uuid[]));
grant select on public.products to authenticated, service_role;
insert into private.stream_tables (stream, table_name) values ('products', 'public.products');
