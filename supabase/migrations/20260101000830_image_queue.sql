-- Work on the queue of images: take in what was written, claim, finish, ask again.

-- Whoever moves the queue does so alone, each time for a moment: so a record written while its image is being stored is
-- either seen by the one who links, or finds the image stored when its change is taken in.
create function private.hold_image_queue()
returns void
language sql
set search_path = ''
as $$
  select pg_advisory_xact_lock(20260101, 830);
$$;

-- Queues the addresses that these records show, and links what is stored already. Returns how many were queued. A web address
-- too long to fetch is dead at once; other long ones hold the image themselves (data:), and are left where they are.
create function private.settle_images(stream text, record_ids uuid[])
returns int
language plpgsql
set search_path = ''
as $$
declare
  known private.stream_tables;
  queued_count int;
begin
  select * into known from private.stream_tables as candidate where candidate.stream = settle_images.stream;
  execute format($sql$
    with added as (
      insert into public.media_sources (organization_id, url, status, last_error)
      select distinct held.organization_id, %2$s, case when is_long then 'dead' else 'queued' end,
        case when is_long then jsonb_build_object('code', 'image_address_too_long',
          'message', 'The address is longer than the 4096 bytes that are fetched.', 'next', 'owner') end
      from %1$s as held
      cross join lateral (select octet_length(%2$s) > 4096 as is_long) as measured
      where held.id = any ($1) and held.deleted_at is null and %2$s <> '' and (not is_long or %2$s ~* '^https?://')
      on conflict (organization_id, (md5(url)::uuid)) do nothing
      returning status
    )
    select count(*) from added where status = 'queued'
    $sql$, known.table_name, known.image_url) into queued_count using settle_images.record_ids;
  execute format($sql$
    update %1$s as shown set image_asset_id = wanted.asset_id, updated_at = now()
    from (
      select held.id, source.asset_id
      from (select id, organization_id, %2$s as url from %1$s where id = any ($1)) as held
      left join public.media_sources as source
        on source.organization_id = held.organization_id and md5(source.url)::uuid = md5(held.url)::uuid
    ) as wanted
    where shown.id = wanted.id and shown.image_asset_id is distinct from wanted.asset_id
    $sql$, known.table_name, known.image_url) using settle_images.record_ids;
  return queued_count;
end;
$$;

-- Takes in up to `most` changes of each stream.
create function private.take_image_changes(most int)
returns void
language plpgsql
set search_path = ''
as $$
declare
  known_stream text;
  record_ids uuid[];
begin
  for known_stream in select known.stream from private.stream_tables as known where known.image_url is not null loop
    with taken as (
      delete from private.image_changes as change
      where change.id = any (array(
        select next.id from private.image_changes as next where next.stream = known_stream
        order by next.id limit take_image_changes.most
      ))
      returning change.record_id
    )
    select array_agg(distinct taken.record_id) into record_ids from taken;
    if record_ids is not null then
      perform private.settle_images(known_stream, record_ids);
    end if;
  end loop;
end;
$$;

-- Fails tries: [{ id, error, is_final, retry_after_ms }]. Each waits longer than the one before, and somewhat differently
-- from its neighbours; the seventh failure is the last. is_final: trying again cannot help.
create function private.fail_images(failures jsonb)
returns void
language sql
set search_path = ''
as $$
  update public.media_sources as source set
    status = case when verdict.pause is null then 'dead' else 'queued' end,
    attempt_count = source.attempt_count + 1,
    last_error = failure -> 'error',
    run_at = now() + coalesce(greatest(
      verdict.pause * (1 + random() / 2),
      make_interval(secs => (failure ->> 'retry_after_ms')::float8 / 1000)), interval '0'),
    lease_token = null, lease_expires_at = null, updated_at = now()
  from jsonb_array_elements(fail_images.failures) as failure
  join public.media_sources as failed on failed.id = (failure ->> 'id')::uuid
  cross join lateral (
    select case when not coalesce((failure ->> 'is_final')::boolean, false) then
      ('{1 minute, 10 minutes, 1 hour, 6 hours, 1 day, 3 days}'::interval[])[failed.attempt_count + 1] end as pause
  ) as verdict
  where source.id = failed.id;
$$;

-- Hands out due images to one worker at a time, under a lease of all of them: [{ id, organization_id, url }]. Empty: nothing
-- is due, or another worker is at it. So the worker's own bounds, in all and for each host, are the bounds of all workers.
-- Organizations take turns: thousands of images of one do not keep a few of another waiting. A claim whose answer was lost
-- is answered again for the same p_lease_token.
create function public.claim_images(p_lease_token uuid, p_limit int default 24, p_lease_seconds int default 120)
returns jsonb
language plpgsql
security definer
set search_path = ''
set statement_timeout = '60s'
as $$
declare
  claimed_ids uuid[];
  wanted_ids uuid[];
  more_ids uuid[];
  due_organizations uuid[];
  known private.stream_tables;
begin
  perform private.hold_image_queue();
  claimed_ids := array(select source.id from public.media_sources as source where source.lease_token = p_lease_token);
  if claimed_ids = '{}' then
    if exists (select 1 from public.media_sources as held
      where held.lease_token is not null and held.lease_expires_at > clock_timestamp()) then
      return '[]'::jsonb;
    end if;
    -- their worker died: it may have been the image
    perform private.fail_images((
      select jsonb_agg(jsonb_build_object('id', held.id, 'error', jsonb_build_object(
        'code', 'worker_died', 'message', 'The worker stopped while it fetched this image; its logs say why.', 'next', 'developer')))
      from public.media_sources as held where held.lease_token is not null));
    perform private.take_image_changes(5000);

    -- from one organization with queued images to the next, past all the rows between
    due_organizations := array(
      with recursive waiting (organization_id) as (
        (select queued.organization_id from public.media_sources as queued where queued.status = 'queued'
          order by queued.organization_id limit 1)
        union all
        select (select queued.organization_id from public.media_sources as queued
          where queued.status = 'queued' and queued.organization_id > waiting.organization_id
          order by queued.organization_id limit 1)
        from waiting where waiting.organization_id is not null
      )
      select waiting.organization_id from waiting
      -- one whose images all wait to be tried again has no turn to take
      where exists (select 1 from public.media_sources as queued
        where queued.organization_id = waiting.organization_id and queued.status = 'queued' and queued.run_at <= clock_timestamp())
      order by random());
    update public.media_sources as source set
      lease_token = p_lease_token, lease_expires_at = clock_timestamp() + make_interval(secs => p_lease_seconds)
    where source.id = any (array(
      select due.id
      from unnest(due_organizations) as organization (id)
      cross join lateral (
        select queued.id from public.media_sources as queued
        where queued.organization_id = organization.id and queued.status = 'queued' and queued.run_at <= clock_timestamp()
        order by queued.run_at
        limit greatest(1, p_limit / greatest(1, cardinality(due_organizations)))
        for update skip locked
      ) as due
      limit p_limit
    ));
    claimed_ids := array(select source.id from public.media_sources as source where source.lease_token = p_lease_token);
  end if;

  -- what no record shows any more is not fetched
  wanted_ids := '{}';
  for known in select * from private.stream_tables as candidate where candidate.image_url is not null loop
    execute format($sql$
      select coalesce(array_agg(source.id), '{}') from public.media_sources as source
      where source.id = any ($1) and exists (
        select 1 from %1$s as held
        where held.organization_id = source.organization_id and md5(%2$s)::uuid = md5(source.url)::uuid
          and held.deleted_at is null)
      $sql$, known.table_name, known.image_url)
    into more_ids using claimed_ids;
    wanted_ids := wanted_ids || more_ids;
  end loop;
  delete from public.media_sources as source where source.id = any (claimed_ids) and source.id <> all (wanted_ids);

  return coalesce((
    select jsonb_agg(jsonb_build_object('id', source.id, 'organization_id', source.organization_id, 'url', source.url)
      order by source.run_at)
    from public.media_sources as source where source.id = any (wanted_ids)), '[]'::jsonb);
end;
$$;
grant execute on function public.claim_images(uuid, int, int) to service_role;

-- Is this content kept already? Then it need not be uploaded.
create function public.has_media_asset(p_organization_id uuid, p_content_hash text)
returns boolean
language sql
stable
security definer
set search_path = ''
as $$
  select exists (
    select 1 from public.media_assets as asset
    where asset.organization_id = p_organization_id and asset.content_hash = p_content_hash);
$$;
grant execute on function public.has_media_asset(uuid, text) to service_role;

-- What became of claimed images, and gives up their leases. p_outcomes: [{ id, … }] with one of
--   * asset: { content_hash, content_type, byte_size, width, height, storage_path }, uploaded
--   * error: { code, message, next }, with is_final and retry_after_ms as private.fail_images takes them
--   * neither: given back, due again after pause_ms
-- An image whose lease is another's by now is passed over, so that an answer that was lost can be asked for again.
-- p_hand_over: the worker stops here, and another one goes on with what is due.
create function public.finish_images(p_lease_token uuid, p_outcomes jsonb, p_hand_over boolean default false)
returns void
language plpgsql
security definer
set search_path = ''
as $$
declare
  held_outcomes jsonb;
  stored_ids uuid[];
  known private.stream_tables;
begin
  perform private.hold_image_queue();
  select coalesce(jsonb_agg(outcome || jsonb_build_object('organization_id', source.organization_id)), '[]') into held_outcomes
  from jsonb_array_elements(p_outcomes) as outcome
  join public.media_sources as source on source.id = (outcome ->> 'id')::uuid and source.lease_token = p_lease_token;

  insert into public.media_assets (organization_id, content_hash, content_type, byte_size, width, height, storage_path)
  select distinct on (asset.organization_id, asset.content_hash)
    asset.organization_id, asset.content_hash, asset.content_type, asset.byte_size, asset.width, asset.height, asset.storage_path
  from jsonb_array_elements(held_outcomes) as outcome
  cross join lateral jsonb_populate_record(null::public.media_assets,
    (outcome -> 'asset') || jsonb_build_object('organization_id', outcome -> 'organization_id')) as asset
  where outcome ? 'asset'
  on conflict on constraint media_assets_content_is_kept_once do nothing;

  with stored as (
    update public.media_sources as source set
      status = 'stored', asset_id = asset.id, last_error = null, attempt_count = 0,
      lease_token = null, lease_expires_at = null, updated_at = now()
    from jsonb_array_elements(held_outcomes) as outcome
    join public.media_assets as asset
      on asset.organization_id = (outcome ->> 'organization_id')::uuid and asset.content_hash = outcome #>> '{asset,content_hash}'
    where source.id = (outcome ->> 'id')::uuid
    returning source.id
  )
  select coalesce(array_agg(stored.id), '{}') into stored_ids from stored;
  for known in select * from private.stream_tables as candidate where candidate.image_url is not null loop
    execute format($sql$
      update %1$s as shown set image_asset_id = source.asset_id, updated_at = now()
      from public.media_sources as source
      where source.id = any ($1) and shown.organization_id = source.organization_id
        and md5(%2$s)::uuid = md5(source.url)::uuid
        and shown.image_asset_id is distinct from source.asset_id
      $sql$, known.table_name, known.image_url) using stored_ids;
  end loop;

  perform private.fail_images((
    select jsonb_agg(outcome) from jsonb_array_elements(held_outcomes) as outcome where outcome ? 'error'));
  update public.media_sources as source set
    lease_token = null, lease_expires_at = null,
    run_at = source.run_at + make_interval(secs => coalesce((outcome ->> 'pause_ms')::float8, 0) / 1000)
  from jsonb_array_elements(held_outcomes) as outcome
  where source.id = (outcome ->> 'id')::uuid and not outcome ? 'asset' and not outcome ? 'error';

  if p_hand_over then
    perform private.ring_for_images();
  end if;
end;
$$;
grant execute on function public.finish_images(uuid, jsonb, boolean) to service_role;

-- Rings for a worker where one has something to do and none is at it.
create function private.ring_for_images()
returns void
language plpgsql
set search_path = ''
as $$
begin
  if exists (select 1 from private.image_changes)
    or exists (
      select 1 from public.media_sources as queued
      where queued.status = 'queued' and queued.run_at <= clock_timestamp()
        and coalesce(queued.lease_expires_at, '-infinity') <= clock_timestamp()
    ) then
    perform private.wake_worker('sync-images');
  end if;
end;
$$;

-- Queues what an organization's records show and lack, and rings. With p_retry_dead also what failed, as if for the first
-- time. { queued: by this call; waiting, stored, dead: how the organization's images stand }.
create function public.request_images(p_organization_id uuid, p_retry_dead boolean default false, p_actor_id uuid default null)
returns jsonb
language plpgsql
security definer
set search_path = ''
set statement_timeout = '60s'
as $$
declare
  known private.stream_tables;
  record_ids uuid[];
  retried_count int := 0;
  queued_count int := 0;
begin
  if not exists (select 1 from public.organizations as organization where organization.id = p_organization_id) then
    perform private.refuse('organization_not_found');
  end if;
  perform private.hold_image_queue();
  if p_retry_dead then
    update public.media_sources as source set
      status = 'queued', attempt_count = 0, run_at = now(), updated_at = now()
    where source.organization_id = p_organization_id and octet_length(source.url) <= 4096
      and (source.status = 'dead' or source.status = 'queued' and source.attempt_count > 0 and source.lease_token is null);
    get diagnostics retried_count = row_count;
  end if;
  for known in select * from private.stream_tables as candidate where candidate.image_url is not null loop
    execute format($sql$
      select array_agg(held.id) from %1$s as held
      where held.organization_id = $1 and held.deleted_at is null and held.image_asset_id is null and %2$s is not null
        and not exists (
          select 1 from public.media_sources as source
          where source.organization_id = $1 and md5(source.url)::uuid = md5(%2$s)::uuid and source.status <> 'stored')
      $sql$, known.table_name, known.image_url)
    into record_ids using p_organization_id;
    queued_count := queued_count + private.settle_images(known.stream, coalesce(record_ids, '{}'));
  end loop;
  perform private.ring_for_images();
  if queued_count + retried_count > 0 then
    perform private.record_activity(p_organization_id, 'images.requested', 'organization', p_organization_id::text,
      jsonb_build_object('queued', queued_count + retried_count, 'retry_dead', p_retry_dead), 'success', p_actor_id);
  end if;
  return (
    select jsonb_build_object(
      'queued', queued_count + retried_count,
      'waiting', count(*) filter (where source.status = 'queued'),
      'stored', count(*) filter (where source.status = 'stored'),
      'dead', count(*) filter (where source.status = 'dead'))
    from public.media_sources as source where source.organization_id = p_organization_id);
end;
$$;
grant execute on function public.request_images(uuid, boolean, uuid) to service_role;

select cron.schedule('ring-for-images', '* * * * *', 'select private.ring_for_images()');

-- Records that were there before this migration.
insert into private.image_changes (stream, record_id)
select 'products', product.id from public.products as product
where product.image_urls[1] is not null and product.deleted_at is null
union all
select 'contacts', contact.id from public.contacts as contact
where contact.image_url is not null and contact.deleted_at is null;
