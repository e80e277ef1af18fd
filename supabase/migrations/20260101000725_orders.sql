-- Orders and payments, as connected shops and payment services list them.

create table public.orders (
  like private.synced_record including defaults including generated,
  kind text not null default 'order',
  number text, -- what people call it
  status text,
  total_amount text, -- exact decimals
  refunded_amount text,
  currency text, -- ISO 4217; of both amounts and of the line items
  customer_source_id text, -- a contact of the same integration
  customer_email text,
  description text,
  placed_at timestamptz,
  line_items jsonb not null default '[]', -- [{ source_id, name, sku, quantity, unit_amount }]
  primary key (id),
  foreign key (integration_id, organization_id) references public.integrations (id, organization_id) on delete cascade,
  constraint orders_source_id_is_unique_in_its_integration unique (integration_id, source_id),
  constraint orders_read_order_says_how_it_stands_since_when
    check (content_hash is null or (status is not null and placed_at is not null)),
  constraint orders_kind_is_known check (kind in ('order', 'payment')),
  constraint orders_status_is_known
    check (status in ('pending', 'paid', 'fulfilled', 'cancelled', 'refunded', 'partially_refunded', 'failed')),
  constraint orders_total_is_a_decimal check (total_amount ~ '^-?[0-9]+(\.[0-9]+)?$'),
  constraint orders_refund_is_a_decimal check (refunded_amount ~ '^-?[0-9]+(\.[0-9]+)?$'),
  constraint orders_amounts_have_a_currency
    check (coalesce(total_amount, refunded_amount) is null or currency is not null),
  constraint orders_currency_is_iso_4217 check (currency ~ '^[A-Z]{3}$')
);
comment on table public.orders is 'Orders and payments. Rows with deleted_at are gone at the platform.';
create index orders_organization_id_created_at_idx on public.orders (organization_id, created_at desc);
create index orders_organization_id_placed_at_idx on public.orders (organization_id, placed_at desc);
alter table public.orders enable row level security;
create policy "members read their organization's orders"
  on public.orders for select to authenticated
  using (organization_id = any ((select private.organization_ids('viewer'))::uuid[]));
grant select on public.orders to authenticated, service_role;
insert into private.stream_tables (stream, table_name, record_name) values ('orders', 'public.orders', 'order');
