-- Analytics: one number a day and metric, as platforms report it or as it follows from what is synced.

create table public.analytics (
  like private.synced_record including defaults including generated,
  day date, -- as the platform counts days; in UTC where it is rolled up
  metric text,
  value text, -- exact decimal
  dimension text, -- such as an audience's name or a currency; null for the whole
  -- ours, from the other tables: no platform has given it or said that it is gone
  is_rolled_up boolean not null generated always as
    (content_hash is null and source_deleted_at is null and absent_at is null) stored,
  primary key (id),
  foreign key (integration_id, organization_id) references public.integrations (id, organization_id) on delete cascade,
  constraint analytics_source_id_is_unique_in_its_integration unique (integration_id, source_id),
  constraint analytics_number_says_what_of_which_day
    check ((content_hash is null and not is_rolled_up) or (day is not null and metric is not null and value is not null)),
  constraint analytics_metric_is_a_name check (metric ~ '^[a-z][a-z0-9_]*$'),
  constraint analytics_value_is_a_decimal check (value ~ '^-?[0-9]+(\.[0-9]+)?$')
);
comment on table public.analytics is 'Numbers a day, by integration: reported by the platform, or rolled up from synced rows (is_rolled_up). Rows with deleted_at are gone.';
create index analytics_organization_id_metric_day_idx on public.analytics (organization_id, metric, day);
alter table public.analytics enable row level security;
create policy "members read their organization's analytics"
  on public.analytics for select to authenticated
  using (organization_id = any ((select private.organization_ids('viewer'))::uuid[]));
grant select on public.analytics to authenticated, service_role;
insert into private.stream_tables (stream, table_name, record_name) values ('analytics', 'public.analytics', 'metric');

-- Counts what is synced, by integration and UTC day, from `since` on: posts, engagement and impressions of
-- own posts, messages in and out, conversions, and what they brought (revenue), by currency and less refunds.
-- A conversion is an order or a payment that was paid and not taken back whole: of orders with the status
-- paid, fulfilled or partially_refunded, on the day they were placed. Writes only what has changed, and
-- answers how many rows that was. A number that the platform reports under the same source_id stands.
create function private.roll_up_analytics(since date)
returns int
language plpgsql
set search_path = ''
as $$
declare
  since_time timestamptz := roll_up_analytics.since::timestamp at time zone 'utc';
  written_count int;
begin
  with
  -- through organizations: an index finds the rows of these days by organization
  post_days as (
    select post.organization_id, post.integration_id, post.source, (post.published_at at time zone 'utc')::date as day,
      count(*) as post_count,
      sum(coalesce(post.like_count, 0) + coalesce(post.reply_count, 0) + coalesce(post.repost_count, 0) + coalesce(post.quote_count, 0))
        filter (where coalesce(post.like_count, post.reply_count, post.repost_count, post.quote_count) is not null) as engagement,
      sum(post.impression_count) as impressions
    from public.organizations as organization
    join public.social_posts as post on post.organization_id = organization.id and post.published_at >= since_time
    where post.is_own and post.deleted_at is null
    group by 1, 2, 3, 4
  ), message_days as (
    select message.organization_id, message.integration_id, message.source, (message.sent_at at time zone 'utc')::date as day,
      nullif(count(*) filter (where message.direction = 'inbound'), 0) as inbound_count,
      nullif(count(*) filter (where message.direction = 'outbound'), 0) as outbound_count
    from public.organizations as organization
    join public.messages as message on message.organization_id = organization.id and message.sent_at >= since_time
    where message.deleted_at is null
    group by 1, 2, 3, 4
  ), order_days as (
    select paid.organization_id, paid.integration_id, paid.source, (paid.placed_at at time zone 'utc')::date as day, paid.currency,
      count(*) as order_count,
      sum(paid.total_amount::numeric - coalesce(paid.refunded_amount::numeric, 0)) as revenue
    from public.organizations as organization
    join public.orders as paid on paid.organization_id = organization.id and paid.placed_at >= since_time
    where paid.deleted_at is null and paid.status in ('paid', 'fulfilled', 'partially_refunded')
    group by 1, 2, 3, 4, 5
  ), measured as (
    select organization_id, integration_id, source, day, metric, value, null as dimension
    from post_days
    cross join lateral (values ('posts', post_count::numeric), ('engagement', engagement), ('impressions', impressions)) as number (metric, value)
    union all
    select organization_id, integration_id, source, day, metric, value, null
    from message_days
    cross join lateral (values ('messages_inbound', inbound_count), ('messages_outbound', outbound_count)) as number (metric, value)
    union all
    select organization_id, integration_id, source, day, 'conversions', sum(order_count), null
    from order_days
    group by 1, 2, 3, 4
    union all
    select organization_id, integration_id, source, day, 'revenue', revenue, currency
    from order_days
  ), rolled_up as materialized (
    select measured.*, concat_ws(':', measured.metric, to_char(measured.day, 'YYYY-MM-DD'), measured.dimension) as source_id
    from measured
    where measured.value is not null
  ), written as (
    insert into public.analytics as held (organization_id, integration_id, source, source_id, day, metric, value, dimension)
    select fresh.organization_id, fresh.integration_id, fresh.source, fresh.source_id, fresh.day, fresh.metric, fresh.value::text, fresh.dimension
    from rolled_up as fresh
    -- an unchanged row would be locked by "on conflict", and so written
    left join public.analytics as before on before.integration_id = fresh.integration_id and before.source_id = fresh.source_id
    where before.id is null or (before.is_rolled_up and before.value <> fresh.value::text)
    order by fresh.integration_id, fresh.source_id
    on conflict (integration_id, source_id) do update set value = excluded.value, updated_at = now()
    where held.is_rolled_up
    returning 1
  ), emptied as (
    delete from public.analytics as stale
    where stale.is_rolled_up and stale.day >= roll_up_analytics.since
      and not exists (
        select 1 from rolled_up as fresh
        where fresh.integration_id = stale.integration_id and fresh.source_id = stale.source_id)
    returning 1
  )
  select (select count(*) from written) + (select count(*) from emptied) into written_count;
  return written_count;
end;
$$;
