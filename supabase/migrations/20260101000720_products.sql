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
  -- of what is only known to be gone there may be none
  constraint products_held_product_has_a_name check (name is not null or content_hash is null and source_id <> 'local:' || id),
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
create policy "members add products where they are pushed"
  on public.products for insert to authenticated
  with check (integration_id = any ((select private.pushing_integrations('products'))::uuid[]));
create policy "members change products where they are pushed"
  on public.products for update to authenticated
  using (integration_id = any ((select private.pushing_integrations('products'))::uuid[]) and deleted_at is null)
  with check (integration_id = any ((select private.pushing_integrations('products'))::uuid[]));
create policy "members delete products where they are pushed"
  on public.products for delete to authenticated
  using (integration_id = any ((select private.pushing_integrations('products'))::uuid[]) and deleted_at is null);
grant select, delete,
  insert (integration_id, name, description, brand, category, sku, status, price_amount, price_currency,
    price_tiers, variants, image_urls, stock_quantity),
  update (name, description, brand, category, sku, status, price_amount, price_currency,
    price_tiers, variants, image_urls, stock_quantity)
  on public.products to authenticated, service_role;
create trigger products_fill_local_row before insert on public.products
  for each row when (new.source_id is null) execute function private.fill_local_row();
-- a merge says the time itself
create trigger products_touch before update of name, description, brand, category, sku, status, price_amount, price_currency,
    price_tiers, variants, image_urls, stock_quantity on public.products
  for each row when (new.updated_at = old.updated_at) execute function private.touch_updated_at();
insert into private.stream_tables (stream, table_name, record_name) values ('products', 'public.products', 'product');
