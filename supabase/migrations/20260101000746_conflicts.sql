-- Conflicts: records that both sides had changed, what was decided, and what both versions were.

create table public.sync_conflicts (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null,
  integration_id uuid not null,
  stream text not null,
  record_id uuid not null, -- the id of the record's row
  source_id text not null, -- as it was then
  sync_log_id uuid references public.sync_logs (id) on delete set null, -- null: found outside a run, by a webhook
  kind text not null, -- both_changed; local_deleted, remote_deleted: one side had deleted it; linked: each side had made it
  fields text[] not null default '{}', -- that both sides had changed, differently
  base jsonb, -- the push columns as both sides last agreed on them; null: they never had
  local jsonb, -- as they were here; null: deleted
  remote jsonb, -- as they were at the platform; null: deleted
  local_changed_at timestamptz not null,
  local_changed_by uuid, -- auth.users.id; null: the service
  remote_changed_at timestamptz not null, -- by the platform's clock; where it does not say, when we read it
  policy text not null,
  decision text not null, -- whose version stays
  decided_at timestamptz not null default now(),
  overturned_at timestamptz,
  overturned_by uuid, -- auth.users.id; null: the service
  foreign key (integration_id, organization_id) references public.integrations (id, organization_id) on delete cascade,
  constraint sync_conflicts_kind_is_known check (kind in ('both_changed', 'local_deleted', 'remote_deleted', 'linked')),
  constraint sync_conflicts_policy_is_known check (policy in ('local_wins', 'remote_wins', 'latest_wins')),
  constraint sync_conflicts_decision_is_known check (decision in ('local', 'remote'))
);
comment on table public.sync_conflicts is 'Records that both sides had changed: both versions, and what was decided; kept 90 days.';
create index sync_conflicts_organization_id_decided_at_idx on public.sync_conflicts (organization_id, decided_at desc);
create index sync_conflicts_integration_id_decided_at_idx on public.sync_conflicts (integration_id, decided_at desc);
create index sync_conflicts_sync_log_id_idx on public.sync_conflicts (sync_log_id);
create index sync_conflicts_decided_at_idx on public.sync_conflicts (decided_at);
alter table public.sync_conflicts enable row level security;
create policy "members read their organization's conflicts"
  on public.sync_conflicts for select to authenticated
  using (organization_id = any ((select private.organization_ids('viewer'))::uuid[]));
grant select on public.sync_conflicts to authenticated, service_role;

-- A change and what the platform says of its record: `mine` and `theirs` are the push columns of both sides, null: deleted.
create type private.disputed_change as (
  change private.outbound_changes, source_id text, content_hash text, mine jsonb, theirs jsonb, remote_changed_at timestamptz
);

-- Decides by the policy, unless the case has decided already, and writes it down: local or remote. Of two changes at the same
-- moment the platform's stays.
create function private.decide_conflict(
  settings public.sync_streams, disputed private.disputed_change, kind text, fields text[], sync_log_id uuid, decided text default null
)
returns text
language plpgsql
set search_path = ''
as $$
declare
  change private.outbound_changes := disputed.change;
  decision text := coalesce(decide_conflict.decided, case settings.conflict_policy
    when 'local_wins' then 'local'
    when 'remote_wins' then 'remote'
    else case when change.changed_at > disputed.remote_changed_at then 'local' else 'remote' end
  end);
begin
  insert into public.sync_conflicts (organization_id, integration_id, stream, record_id, source_id, sync_log_id, kind, fields,
    base, local, remote, local_changed_at, local_changed_by, remote_changed_at, policy, decision)
  values (change.organization_id, change.integration_id, change.stream, change.record_id, change.source_id,
    decide_conflict.sync_log_id, decide_conflict.kind, decide_conflict.fields, change.base, disputed.mine, disputed.theirs,
    change.changed_at, change.changed_by, disputed.remote_changed_at, settings.conflict_policy, decision);
  update public.sync_logs as log set conflict_count = log.conflict_count + 1 where log.id = decide_conflict.sync_log_id;
  return decision;
end;
$$;

-- Begins a row again, as one that has never been at the platform: it is gone there, and ours stays.
create function private.begin_again(change private.outbound_changes)
returns void
language plpgsql
set search_path = ''
as $$
declare
  writer text := private.write_as('sync');
begin
  execute format($sql$
    update %s as held set source_id = 'local:' || held.id, source_data = null, source_updated_at = null, content_hash = null,
      last_synced_at = null, source_deleted_at = null, absent_at = null
    where held.id = $1
    $sql$, private.stream_table(change.stream)) using change.record_id;
  insert into private.outbound_changes as held (
    integration_id, stream, record_id, organization_id, source_id, operation, changed_at, changed_by, fits, filter_hash
  )
  values (change.integration_id, change.stream, change.record_id, change.organization_id, 'local:' || change.record_id,
    'create', change.changed_at, change.changed_by, change.fits, change.filter_hash)
  on conflict (integration_id, stream, record_id) do update set
    source_id = excluded.source_id, version = excluded.version, operation = excluded.operation, base = null, base_hash = null,
    -- whatever is on its way to the record that is gone is no longer about this one
    sending = null, sending_version = null, sending_at = null,
    run_at = excluded.run_at, attempt_count = 0, last_error = null, refused = false;
  perform private.write_as(writer);
end;
$$;

-- Theirs is the record's version now, and nothing is left to push. But what is on its way to the platform lands on top of theirs:
-- its change stays until that is known, so that theirs is written there again.
create function private.end_change(change private.outbound_changes, theirs jsonb, content_hash text, resolution text default 'gone')
returns void
language plpgsql
set search_path = ''
as $$
begin
  if change.sending is null then
    perform private.drop_changes(change.integration_id, change.stream, array[change.record_id], end_change.resolution);
  else
    update private.outbound_changes as held set
      version = nextval('private.outbound_versions'), operation = 'update', base = end_change.theirs,
      base_hash = end_change.content_hash, filter_hash = -1, run_at = now(), attempt_count = 0, last_error = null, refused = false
    where (held.integration_id, held.stream, held.record_id) = (change.integration_id, change.stream, change.record_id);
  end if;
end;
$$;

-- Counts a change that was found at the platform before its answer was saved, with the run that sent it; the answer then counts
-- nothing.
create function private.count_found(change private.outbound_changes)
returns void
language plpgsql
set search_path = ''
as $$
begin
  update public.sync_logs as log set pushed_count = log.pushed_count + 1
  from private.sync_runs as run
  where run.integration_id = change.integration_id and run.stream = change.stream and run.status = 'running'
    and log.id = run.sync_log_id;
end;
$$;

-- What the platform's newer version of a changed record comes to: null, it is passed over; otherwise the columns of ours that
-- are put over it.
create function private.settle_version(settings public.sync_streams, disputed private.disputed_change, sync_log_id uuid)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  change private.outbound_changes := disputed.change;
  mine jsonb := disputed.mine;
  theirs jsonb := disputed.theirs;
  -- a column that was not pushed when the change was marked cannot have been changed here
  base jsonb := private.pick(mine || coalesce(change.base, '{}'), settings.push_columns);
  -- then what the base says otherwise was given up here, and is no change of theirs
  is_unchanged boolean := coalesce(change.base_hash in (disputed.content_hash, 'given up:' || disputed.content_hash), false);
  ours text[];
  not_theirs text[];
  contradicted text[];
  their_changes text[];
  conflicting text[];
begin
  if change.operation = 'delete' then
    if is_unchanged or cardinality(private.contradicting(theirs, base)) = 0 then
      return null;
    end if;
    disputed.mine := null;
    if private.decide_conflict(settings, disputed, 'local_deleted', '{}', settle_version.sync_log_id) = 'local' then
      update private.outbound_changes as held set base = theirs, base_hash = disputed.content_hash
      where (held.integration_id, held.stream, held.record_id) = (change.integration_id, change.stream, change.record_id);
      return null;
    end if;
    execute format('update %s as held set absent_at = null where held.id = $1', private.stream_table(change.stream))
    using change.record_id;
    perform private.end_change(change, theirs, disputed.content_hash);
    return '{}'::jsonb;
  end if;

  -- {}: a deletion
  if change.sending <> '{}' and cardinality(private.contradicting(change.sending, theirs)) = 0 then
    -- our own write comes back before its answer was saved: that much both sides agree on
    base := base || change.sending;
    change.sending := null;
    perform private.count_found(change);
  end if;
  their_changes := case when is_unchanged then '{}' else private.contradicting(theirs, base) end;
  -- what both changed to the same stays in the form that they give it
  ours := array(
    select unnest(private.differing(mine, base))
    except (select unnest(their_changes) except select unnest(private.contradicting(mine, theirs))));
  not_theirs := private.differing(private.pick(mine, ours), theirs);
  if cardinality(not_theirs) = 0 then
    perform private.end_change(change, theirs, disputed.content_hash,
      case when cardinality(ours) = 0 and change.sending is null and change.sending_at is not null then 'pushed' else 'gone' end);
    return '{}'::jsonb;
  end if;
  contradicted := private.contradicting(private.pick(mine, ours), theirs);
  conflicting := array(select unnest(contradicted) intersect select unnest(their_changes));
  if cardinality(conflicting) > 0 or cardinality(contradicted) > 0 and cardinality(their_changes) > 0 and not (settings.merge_fields
    -- not read since we wrote it: that they differ elsewhere may be how the platform has put down what we sent, or what we gave up
    or coalesce(change.base_hash ^@ any ('{pushed:,given up:pushed:}'), false)) then
    change.base := base;
    disputed.change := change;
    if private.decide_conflict(settings, disputed, 'both_changed', conflicting, settle_version.sync_log_id) = 'remote' then
      perform private.end_change(change, theirs, disputed.content_hash);
      return '{}'::jsonb;
    end if;
    ours := settings.push_columns;
    -- more is to be written there than what is on its way
    change.version := nextval('private.outbound_versions');
  end if;
  update private.outbound_changes as held set
    base = theirs, base_hash = disputed.content_hash, version = change.version,
    filter_hash = case when settings.filter is null then held.filter_hash else -1 end, -- theirs may fit, or no longer
    sending = change.sending, sending_version = case when change.sending is not null then held.sending_version end,
    sending_at = case when change.sending is not null then held.sending_at end
  where (held.integration_id, held.stream, held.record_id) = (change.integration_id, change.stream, change.record_id);
  -- a run of its own would push what fits now; a webhook has none
  if not change.fits and settle_version.sync_log_id is null then
    perform private.note_push(change.integration_id, change.stream);
  end if;
  return private.pick(mine, ours);
end;
$$;

-- Takes the versions over that say what their rows say: our own writes, coming back. Answers the other records.
create function private.pass_over_echoes(integration_id uuid, stream text, records jsonb)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  synced_table regclass := private.stream_table(pass_over_echoes.stream);
  echoed text[];
begin
  execute format($sql$
    with page as (
      select distinct on (record.source_id) record.*
      from jsonb_populate_recordset(null::%1$s, $3) as record
      order by record.source_id, %2$s desc
    ), echo as (
      select held.id, page.source_data, page.source_updated_at, page.content_hash, page.last_synced_at
      from page
      -- "offset 0" makes it one index look-up a record, however many there are
      cross join lateral (
        select * from %1$s as held where held.integration_id = $1 and held.source_id = page.source_id offset 0
      ) as held
      where held.content_hash ^@ 'pushed:' and held.deleted_at is null and %3$s
        and %4$s = %5$s
        and not exists (
          select 1 from private.outbound_changes as change
          where change.integration_id = $1 and change.stream = $2 and change.record_id = held.id)
    ), taken_over as (
      update %1$s as held set source_data = echo.source_data, source_updated_at = echo.source_updated_at,
        content_hash = echo.content_hash, last_synced_at = echo.last_synced_at
      from echo where held.id = echo.id
      returning held.source_id
    )
    select array_agg(source_id) from taken_over
    $sql$, synced_table, private.version_order_sql('record'), private.moves_forward_sql('page'),
    private.document_sql('page', private.record_columns(synced_table)),
    private.document_sql('held', private.record_columns(synced_table)))
  into echoed
  using pass_over_echoes.integration_id, pass_over_echoes.stream, pass_over_echoes.records;
  if echoed is null then
    return pass_over_echoes.records;
  end if;
  return (
    select coalesce(jsonb_agg(record), '[]') from jsonb_array_elements(pass_over_echoes.records) as record
    where record ->> 'source_id' <> all (echoed));
end;
$$;

-- Changes of records of which the platform has a newer version.
create function private.find_disputed_versions(settings public.sync_streams, records jsonb)
returns setof private.disputed_change
language plpgsql
set search_path = ''
as $$
declare
  synced_table regclass := private.stream_table(settings.stream);
begin
  return query execute format($sql$
    with page as (
      select distinct on (record.source_id) record.*
      from jsonb_populate_recordset(null::%1$s, $3) as record
      order by record.source_id, %2$s desc
    )
    select pending.change, page.source_id, page.content_hash, %4$s, %5$s, least(page.source_updated_at, page.last_synced_at)
    from page
    -- "offset 0" makes it index look-ups of each record, however many changes there are
    cross join lateral (
      select * from %1$s as held where held.integration_id = $1 and held.source_id = page.source_id offset 0
    ) as held
    cross join lateral (
      select change from private.outbound_changes as change
      where change.integration_id = $1 and change.stream = $2 and change.record_id = held.id offset 0
    ) as pending
    where %3$s
    order by held.id
    $sql$, synced_table, private.version_order_sql('record'), private.moves_forward_sql('page'),
    private.document_sql('held', settings.push_columns),
    private.document_sql('page', settings.push_columns))
  using settings.integration_id, settings.stream, find_disputed_versions.records;
end;
$$;

-- Changes of records that the platform has deleted since what we know of them, `records` included.
create function private.find_disputed_deletions(settings public.sync_streams, records jsonb, deletions jsonb)
returns setof private.disputed_change
language plpgsql
set search_path = ''
as $$
begin
  return query execute format($sql$
    with deletion as (
      select each_one.source_id, max(each_one.source_deleted_at) as source_deleted_at, max(each_one.absent_at) as absent_at
      from jsonb_populate_recordset(null::%1$s, $4) as each_one
      group by each_one.source_id
    ), page as (
      select record.source_id, max(least(record.source_updated_at, record.last_synced_at)) as changed_at,
        max(record.last_synced_at) as read_at
      from jsonb_populate_recordset(null::%1$s, $3) as record
      group by record.source_id
    )
    select pending.change, held.source_id, null::text, %2$s, null::jsonb, coalesce(deletion.source_deleted_at, deletion.absent_at)
    from deletion
    left join page on page.source_id = deletion.source_id
    -- "offset 0", as above
    cross join lateral (
      select * from %1$s as held where held.integration_id = $1 and held.source_id = deletion.source_id offset 0
    ) as held
    cross join lateral (
      select change from private.outbound_changes as change
      where change.integration_id = $1 and change.stream = $2 and change.record_id = held.id offset 0
    ) as pending
    where deletion.source_deleted_at >= greatest(least(held.source_updated_at, held.last_synced_at), page.changed_at)
      or deletion.absent_at >= greatest(held.last_synced_at, page.read_at)
    order by held.id
    $sql$, private.stream_table(settings.stream), private.document_sql('held', settings.push_columns))
  using settings.integration_id, settings.stream, find_disputed_deletions.records, find_disputed_deletions.deletions;
end;
$$;

create type private.answered_change as (
  change private.outbound_changes,
  source_id text -- what it made
);

-- Creates that are on their way, and the records among these that say what they say under the same address, were read since
-- and are held by nobody: what each of them made, heard of before its own answer.
create function private.find_answers(settings public.sync_streams, records jsonb)
returns setof private.answered_change
language plpgsql
set search_path = ''
as $$
begin
  return query execute format($sql$
    with under_way as materialized (
      select change from private.outbound_changes as change
      where change.integration_id = $1 and change.stream = $2 and change.sending is not null and change.sending ? 'email'
        and change.source_id = 'local:' || change.record_id
    )
    select distinct on ((change).record_id) change, record ->> 'source_id'
    from under_way
    join jsonb_array_elements($3) as record
      on private.normalize_email(record ->> 'email') = private.normalize_email((change).sending ->> 'email')
    cross join lateral (select %2$s as theirs from jsonb_populate_record(null::%1$s, record) as page) as page
    where (record ->> 'last_synced_at')::timestamptz > (change).sending_at
      and cardinality(private.contradicting((change).sending, page.theirs)) = 0
      and not exists (select 1 from %1$s as held where held.integration_id = $1 and held.source_id = record ->> 'source_id')
    order by (change).record_id, record ->> 'source_id'
    $sql$, private.stream_table(settings.stream), private.document_sql('page', settings.push_columns))
  using settings.integration_id, settings.stream, find_answers.records;
end;
$$;

-- Where versions and deletions from the platform meet what was changed here: decides, and answers the records as they are to be
-- merged. Only what moves its row forward counts. Where ours outlives a deletion it begins again as a new record, and the
-- deletion is kept as one of a record never seen. sync_log_id: the run that counts the conflicts.
create function private.settle_changes(integration_id uuid, stream text, records jsonb, deletions jsonb, sync_log_id uuid)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  settings public.sync_streams;
  answer private.answered_change;
  answered_ids text[] := array[]::text[];
  disputed private.disputed_change;
  change private.outbound_changes;
  verdict jsonb;
  settled_ids text[] := array[]::text[];
  verdicts jsonb[] := array[]::jsonb[];
begin
  select * into settings from public.sync_streams as held
  where held.integration_id = settle_changes.integration_id and held.stream = settle_changes.stream;
  perform private.hold_records(private.stream_table(settings.stream), settings.integration_id, array(
    select distinct incoming ->> 'source_id'
    from jsonb_array_elements(settle_changes.records || settle_changes.deletions) as incoming),
    array(select (found.change).record_id from private.find_answers(settings, settle_changes.records) as found));
  for answer in select * from private.find_answers(settings, settle_changes.records) loop
    -- of two rows with one address the other is linked by the look before it is sent
    continue when answer.source_id = any (answered_ids);
    answered_ids := array_append(answered_ids, answer.source_id);
    change := answer.change;
    perform private.count_found(change);
    perform private.finish_sent_change(settings, change, change.record_id, change.sending_version, answer.source_id, null,
      change.sending_at, settle_changes.sync_log_id);
  end loop;

  for disputed in select * from private.find_disputed_versions(settings, settle_changes.records) loop
    verdict := private.settle_version(settings, disputed, settle_changes.sync_log_id);
    settled_ids := array_append(settled_ids, disputed.source_id);
    verdicts := array_append(verdicts, verdict);
  end loop;
  if cardinality(settled_ids) > 0 then
    records := (
      select coalesce(jsonb_agg(record || coalesce(settled.verdict, '{}') order by position), '[]')
      from jsonb_array_elements(settle_changes.records) with ordinality as incoming (record, position)
      left join unnest(settled_ids, verdicts) as settled (source_id, verdict) on settled.source_id = record ->> 'source_id'
      where settled.source_id is null or settled.verdict is not null);
  end if;

  if settle_changes.deletions <> '[]' then
    for disputed in select * from private.find_disputed_deletions(settings, settle_changes.records, settle_changes.deletions) loop
      change := disputed.change;
      if change.operation = 'update'
        and cardinality(private.columns_to_write(change, disputed.mine)) > 0
        and private.decide_conflict(settings, disputed, 'remote_deleted', '{}', settle_changes.sync_log_id) = 'local' then
        perform private.begin_again(change);
      else
        -- both have deleted it, or nothing of ours is lost
        perform private.drop_changes(settings.integration_id, settings.stream, array[change.record_id]);
      end if;
    end loop;
  end if;
  return private.pass_over_echoes(settings.integration_id, settings.stream, settle_changes.records);
end;
$$;

-- Writes these columns of one row.
create function private.write_columns(synced_table regclass, record_id uuid, columns jsonb)
returns void
language plpgsql
set search_path = ''
as $$
begin
  if write_columns.columns <> '{}' then
    execute format($sql$
      update %1$s as held set (%2$s) = (select %3$s from jsonb_populate_record(held, $2) as given) where held.id = $1
      $sql$, write_columns.synced_table,
      (select string_agg(format('%I', name), ', ') from jsonb_object_keys(write_columns.columns) as name),
      (select string_agg(format('given.%I', name), ', ') from jsonb_object_keys(write_columns.columns) as name))
    using write_columns.record_id, write_columns.columns;
  end if;
end;
$$;

-- Makes the version that lost a conflict the record's, as a change of now, which goes out like any other; deletions and new
-- beginnings too. Managers of the organization and the service may, once for each conflict.
create function public.overturn_conflict(p_conflict_id uuid)
returns public.sync_conflicts
language plpgsql
security definer
set search_path = ''
as $$
declare
  conflict public.sync_conflicts;
  settings public.sync_streams;
  synced_table regclass;
  change private.outbound_changes;
  held private.synced_record;
  lost jsonb;
begin
  select * into conflict from public.sync_conflicts as found
  where found.id = p_conflict_id
    and ((select auth.role()) = 'service_role' or found.organization_id = any (private.organization_ids('manager')))
  for update;
  if conflict.id is null then
    perform private.refuse('conflict_not_found');
  elsif conflict.overturned_at is not null then
    perform private.refuse('conflict_overturned', 'The other version was made the record''s already; change the record instead.');
  end if;
  select * into settings from public.sync_streams as stream
  where stream.integration_id = conflict.integration_id and stream.stream = conflict.stream;
  if settings.pushes is not true then
    perform private.refuse('stream_not_pushed', format('The stream %s no longer pushes.', conflict.stream));
  end if;

  synced_table := private.stream_table(conflict.stream);
  perform private.hold_records(synced_table, conflict.integration_id, '{}', array[conflict.record_id]);
  select * into held from private.read_row(synced_table, conflict.record_id);
  if not found then
    perform private.refuse('conflict_not_found', 'The record is no longer held.');
  end if;
  lost := case conflict.decision when 'local' then conflict.remote else conflict.local end;

  if lost is null then
    if not settings.push_deletes and not private.is_local(held) then
      perform private.refuse('deletes_not_pushed', format('The stream %s does not push deletions.', conflict.stream));
    end if;
    execute format('delete from %s where id = $1 and deleted_at is null', synced_table) using conflict.record_id;
  else
    select * into change from private.outbound_changes as pending
    where pending.integration_id = conflict.integration_id and pending.stream = conflict.stream and pending.record_id = conflict.record_id;
    if held.deleted_at is not null and change.operation = 'delete' and not private.is_local(held) then
      -- not deleted there yet
      execute format('update %s set absent_at = null where id = $1', synced_table) using conflict.record_id;
    elsif held.deleted_at is not null then
      change.integration_id := conflict.integration_id;
      change.stream := conflict.stream;
      change.record_id := conflict.record_id;
      change.organization_id := conflict.organization_id;
      change.changed_at := clock_timestamp();
      change.changed_by := (select auth.uid());
      change.fits := true;
      change.filter_hash := -1; -- not asked yet
      perform private.begin_again(change);
      perform private.note_push(conflict.integration_id, conflict.stream);
      if not private.is_local(held) then
        perform private.merge_records(conflict.integration_id, conflict.stream, '[]', jsonb_build_array(jsonb_build_object(
          'source_id', held.source_id, 'source_deleted_at', held.source_deleted_at, 'absent_at', held.absent_at)));
      end if;
    end if;
    perform private.write_columns(synced_table, conflict.record_id,
      -- where both said the same, whatever has become of it since stays
      private.pick(lost, array(select name from unnest(settings.push_columns) as name
        where lost ? name and conflict.local -> name is distinct from conflict.remote -> name)));
  end if;

  update public.sync_conflicts as decided set overturned_at = now(), overturned_by = (select auth.uid())
  where decided.id = conflict.id
  returning decided.* into conflict;
  return conflict;
end;
$$;
comment on function public.overturn_conflict(uuid) is
  'Makes the version that lost a conflict the record''s and pushes it. Managers of the organization and the service may.';
grant execute on function public.overturn_conflict(uuid) to authenticated, service_role;
