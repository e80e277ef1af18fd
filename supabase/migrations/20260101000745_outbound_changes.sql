-- Outbound changes: what somebody here changed in rows that are pushed, from the change until the platform has it.

create sequence private.outbound_versions;
-- One row a record with a change that has to go out. Whoever holds the record's row holds its change too: both are always
-- locked in this order.
create table private.outbound_changes (
  integration_id uuid not null references public.integrations (id) on delete cascade,
  stream text not null,
  record_id uuid not null, -- the id of the record's row
  organization_id uuid not null,
  source_id text not null, -- as it is now; local:<record_id>: never been at the platform
  version bigint not null default nextval('private.outbound_versions'), -- every change of the record takes a new one
  operation text not null,
  base jsonb, -- the push columns both sides last agreed on; null: never been there
  base_hash text, -- content_hash of the version they agreed on
  changed_at timestamptz not null default clock_timestamp(),
  changed_by uuid, -- auth.users.id; null: the service
  fits boolean not null default true, -- the stream's filter
  filter_hash int not null default 0, -- which filter that was
  run_at timestamptz not null default now(),
  attempt_count int not null default 0, -- temporary failures
  last_error jsonb, -- { code, message }
  refused boolean not null default false, -- for good: tried again when it is changed, or asked for by hand
  -- The intent, written before the platform is called. Found without an outcome, nobody knows whether it was done.
  sending jsonb, -- the columns that were to be written there
  sending_version bigint,
  sending_at timestamptz,
  earlier jsonb, -- the intent that this one took the place of, { sending, sending_version, sending_at }: back where this one was not taken
  primary key (integration_id, stream, record_id),
  constraint outbound_changes_operation_is_known check (operation in ('create', 'update', 'delete'))
);
create index outbound_changes_run_at_idx on private.outbound_changes (integration_id, stream, run_at, version)
  where fits and not refused;
create index outbound_changes_sending_idx on private.outbound_changes (integration_id, stream) where sending is not null;
create index outbound_changes_filter_hash_idx on private.outbound_changes (integration_id, stream, filter_hash);
alter table private.outbound_changes enable row level security;

-- These columns of a document; one that is not in it is null.
-- plpgsql, as what follows: called for every change, and a SQL function that sets its search_path is planned every time.
create function private.pick(document jsonb, columns text[])
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
begin
  return (select coalesce(jsonb_object_agg(name, pick.document -> name), '{}') from unnest(pick.columns) as name);
end;
$$;

-- The columns in which two documents differ, of those of the first.
create function private.differing(one jsonb, other jsonb)
returns text[]
language plpgsql
immutable
set search_path = ''
as $$
begin
  return (
    select coalesce(array_agg(side.key order by side.key), '{}') from jsonb_each(differing.one) as side
    where side.value is distinct from differing.other -> side.key);
end;
$$;

-- What a value says, however a platform writes it: white space around it does not count, nothing is nothing, an email address is
-- one in capital letters too, and where the lines of a postal address are divided does not matter.
create function private.meaning_of(name text, value jsonb)
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
declare
  content text := value #>> '{}';
begin
  case jsonb_typeof(meaning_of.value)
    when 'string' then
      content := btrim(content, E' \t\r\n\u00a0');
      return to_jsonb(case when meaning_of.name = 'email' then coalesce(private.normalize_email(content), content)
        else nullif(content, '') end);
    when 'object' then
      if meaning_of.value ?| array['line1', 'line2'] then
        value := meaning_of.value - 'line2' || jsonb_build_object('line1',
          regexp_replace(concat_ws(' ', meaning_of.value ->> 'line1', meaning_of.value ->> 'line2'), '[\s,]+', ' ', 'g'));
      end if;
      return (
        select jsonb_object_agg(meant.key, meant.value)
        from (select part.key, private.meaning_of(part.key, part.value) as value from jsonb_each(meaning_of.value) as part) as meant
        where meant.value is not null);
    when 'null' then
      return null;
    else
      return meaning_of.value;
  end case;
end;
$$;

-- Whether a column is empty, in whichever form.
create function private.says_nothing(name text, value jsonb)
returns boolean
language plpgsql
immutable
set search_path = ''
as $$
begin
  return coalesce(private.meaning_of(says_nothing.name, says_nothing.value), '[]') = '[]';
end;
$$;

-- The columns in which two documents do not mean the same, of those of the first. Platforms put what they are given into a form
-- of their own, which is no change of theirs.
create function private.contradicting(one jsonb, other jsonb)
returns text[]
language plpgsql
immutable
set search_path = ''
as $$
begin
  return (
    select coalesce(array_agg(side.key order by side.key), '{}') from jsonb_each(contradicting.one) as side
    where side.value is distinct from contradicting.other -> side.key
      and private.meaning_of(side.key, side.value) is distinct from private.meaning_of(side.key, contradicting.other -> side.key));
end;
$$;

-- These columns of `alias` as a document, for a query.
create function private.document_sql(alias text, columns text[])
returns text
language sql
immutable
set search_path = ''
as $$
  select 'jsonb_build_object(' || coalesce(string_agg(format('%2$L, %1$s.%2$I', document_sql.alias, name), ', '), '') || ')'
  from unnest(document_sql.columns) as name;
$$;

-- What all synced rows share of one row, without what the platform sent.
create function private.read_row(synced_table regclass, record_id uuid)
returns setof private.synced_record
language plpgsql
stable
set search_path = ''
as $$
begin
  return query execute format($sql$
    select id, organization_id, integration_id, source, source_id, null::jsonb, source_updated_at, content_hash, last_synced_at,
      source_deleted_at, absent_at, deleted_at, created_at, updated_at
    from %s where id = $1
    $sql$, read_row.synced_table)
  using read_row.record_id;
end;
$$;

-- These columns of one row as a document.
create function private.read_columns(synced_table regclass, record_id uuid, columns text[])
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  document jsonb;
begin
  execute format('select %2$s from %1$s as held where held.id = $1', read_columns.synced_table,
    private.document_sql('held', read_columns.columns))
  into document using read_columns.record_id;
  return document;
end;
$$;

-- A row made here that has never been at the platform.
create function private.is_local(held private.synced_record)
returns boolean
language sql
immutable
set search_path = ''
as $$
  select held.source_id = 'local:' || held.id;
$$;

-- Locks rows of a synced table, so that no change of them is half way. Never waits for one row while it holds another: people
-- change rows in any order, and one of the two would end in a deadlock.
create function private.hold_records(synced_table regclass, integration_id uuid, source_ids text[], ids uuid[] default '{}')
returns void
language plpgsql
set search_path = ''
as $$
declare
  gives_up_at timestamptz := clock_timestamp() + interval '20 seconds';
begin
  loop
    begin
      execute format($sql$
        select 1 from %1$s as held
        -- by id alone: with "or", the planner reads all there is of the integration
        where held.id = any ($3 || array(select known.id from %1$s as known where known.integration_id = $1 and known.source_id = any ($2)))
        order by held.source_id
        for update nowait
        $sql$, hold_records.synced_table)
      using hold_records.integration_id, hold_records.source_ids, hold_records.ids;
      return;
    exception when lock_not_available then
      if clock_timestamp() > gives_up_at then
        raise;
      end if;
    end;
    perform pg_sleep(0.01);
  end loop;
end;
$$;

-- A run to push this stream, at once or at a later time: the one that is queued, or a new one. The lock on it lets no worker
-- take it up before this transaction is committed, so what it changed is not passed by.
create function private.ask_for_push(integration_id uuid, stream text, run_at timestamptz default now())
returns void
language plpgsql
set search_path = ''
as $$
declare
  organization_id uuid;
  log_id uuid;
begin
  select settings.organization_id into organization_id
  from public.sync_streams as settings
  join public.integrations as integration on integration.id = settings.integration_id
  where settings.integration_id = ask_for_push.integration_id and settings.stream = ask_for_push.stream
    and settings.pushes and settings.enabled and settings.offered and integration.status in ('connected', 'error');
  if not found then
    return; -- the change waits until somebody lets it go
  end if;
  loop
    update private.sync_runs as queued set run_at = least(queued.run_at, ask_for_push.run_at)
    where queued.integration_id = ask_for_push.integration_id and queued.stream = ask_for_push.stream and queued.status = 'queued';
    exit when found;
    insert into public.sync_logs (organization_id, integration_id, stream, sync_type, mode)
    values (organization_id, ask_for_push.integration_id, ask_for_push.stream, 'change', 'push')
    returning id into log_id;
    insert into private.sync_runs (sync_log_id, organization_id, integration_id, stream, run_at)
    values (log_id, organization_id, ask_for_push.integration_id, ask_for_push.stream, ask_for_push.run_at)
    on conflict do nothing;
    exit when found;
    delete from public.sync_logs as log where log.id = log_id; -- somebody else has just queued one
  end loop;
  if ask_for_push.run_at <= now() then
    perform private.wake_worker('sync');
  end if;
end;
$$;

-- For when a run has ended: what is due later, or has come meanwhile, gets a run; not before `pause` is over.
create function private.ask_for_next_push(integration_id uuid, stream text, pause interval default null)
returns void
language plpgsql
set search_path = ''
as $$
declare
  due_at timestamptz := (
    select min(change.run_at) from private.outbound_changes as change
    where change.integration_id = ask_for_next_push.integration_id and change.stream = ask_for_next_push.stream
      and change.fits and not change.refused);
begin
  if due_at is not null then
    perform private.ask_for_push(ask_for_next_push.integration_id, ask_for_next_push.stream,
      greatest(due_at, now(), now() + ask_for_next_push.pause));
  end if;
end;
$$;

-- Which streams this transaction has changes for, until it commits; nobody else ever sees a row. Asked for at its end, in one
-- order: whoever held a run for the length of a transaction would keep others from theirs, or end in a deadlock with them.
create unlogged table private.pushes_at_commit (
  transaction_id xid8 not null default pg_current_xact_id(),
  integration_id uuid not null,
  stream text not null,
  primary key (transaction_id, integration_id, stream)
);
alter table private.pushes_at_commit enable row level security;

create function private.note_push(integration_id uuid, stream text)
returns void
language sql
set search_path = ''
as $$
  insert into private.pushes_at_commit (integration_id, stream) values (note_push.integration_id, note_push.stream)
  on conflict do nothing;
$$;

create function private.ask_for_noted_pushes()
returns void
language plpgsql
set search_path = ''
as $$
declare
  noted record;
begin
  for noted in
    with mine as (
      delete from private.pushes_at_commit as note where note.transaction_id = pg_current_xact_id()
      returning note.integration_id, note.stream
    )
    select mine.integration_id, mine.stream from mine order by mine.integration_id, mine.stream
  loop
    perform private.ask_for_push(noted.integration_id, noted.stream);
  end loop;
end;
$$;

-- Definer's rights: it runs at the commit, as whoever commits.
create function private.ask_at_commit()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform private.ask_for_noted_pushes();
  return null;
end;
$$;
create constraint trigger ask_at_commit
  after insert on private.pushes_at_commit
  deferrable initially deferred
  for each row execute function private.ask_at_commit();

-- Ends open sync_errors of changes: resolution pushed, or gone where there is nothing left to push.
create function private.resolve_push_errors(integration_id uuid, stream text, record_ids uuid[], resolution text)
returns void
language plpgsql
set search_path = ''
as $$
begin
  update public.sync_errors as refused set resolved_at = now(), resolution = resolve_push_errors.resolution
  where refused.integration_id = resolve_push_errors.integration_id and refused.stream = resolve_push_errors.stream
    and refused.direction = 'push' and refused.resolved_at is null
    and refused.source_key in (select 'push:' || id from unnest(resolve_push_errors.record_ids) as id);
end;
$$;

-- There is nothing left to push of these records.
create function private.drop_changes(integration_id uuid, stream text, record_ids uuid[], resolution text default 'gone')
returns void
language plpgsql
set search_path = ''
as $$
begin
  delete from private.outbound_changes as change
  where change.integration_id = drop_changes.integration_id and change.stream = drop_changes.stream
    and change.record_id = any (drop_changes.record_ids);
  if found then
    perform private.resolve_push_errors(
      drop_changes.integration_id, drop_changes.stream, drop_changes.record_ids, drop_changes.resolution);
  end if;
end;
$$;

-- Writes down changes that `selected` finds: integration_id, stream, record_id, organization_id, source_id, operation, base,
-- base_hash, changed_by, fits, filter_hash. Answers whether one of them is to be sent; null: there are none. Of several changes
-- of one record the base stays the first one's: what the platform has.
create function private.mark_changes_sql(selected text)
returns text
language sql
immutable
set search_path = ''
as $$
  select format($sql$
    with marked as (
    insert into private.outbound_changes as held (integration_id, stream, record_id, organization_id, source_id, operation,
      base, base_hash, changed_by, fits, filter_hash)
    %s
    order by 3
    on conflict (integration_id, stream, record_id) do update set
      source_id = excluded.source_id, version = excluded.version, operation = excluded.operation,
      base = excluded.base || held.base, changed_at = excluded.changed_at, changed_by = excluded.changed_by,
      fits = excluded.fits, filter_hash = excluded.filter_hash, run_at = excluded.run_at, attempt_count = 0,
      -- what a person has to look for first waits for them, unless it is deleted: then it is not to be made again
      refused = held.refused and excluded.operation <> 'delete' and coalesce(held.last_error ->> 'code' = 'push_unconfirmed', false)
    returning held.fits and not held.refused as is_due
    )
    select bool_or(marked.is_due) from marked
    $sql$, mark_changes_sql.selected);
$$;

-- One of these columns that a statement has set in a row, as an expression over `before` and `after`; without `before`, one
-- that is not its default.
create function private.changed_column_sql(synced_table regclass, columns text[], has_before boolean)
returns text
language sql
stable
set search_path = ''
as $$
  select 'case ' || string_agg(
    format('when after.%1$I is distinct from %2$s then %1$L', attribute.attname, case
      when changed_column_sql.has_before then format('before.%I', attribute.attname)
      else coalesce(pg_catalog.pg_get_expr(fallback.adbin, fallback.adrelid), 'null')
    end), ' ') || ' end'
  from pg_catalog.pg_attribute as attribute
  left join pg_catalog.pg_attrdef as fallback on fallback.adrelid = attribute.attrelid and fallback.adnum = attribute.attnum
  where attribute.attrelid = changed_column_sql.synced_table and attribute.attname = any (changed_column_sql.columns);
$$;

-- Marks rows that anyone but the sync has written where their stream is pushed. Definer's rights: members and the service
-- may not write here.
create function private.mark_outbound_changes()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  touched uuid[];
  target record;
  own_columns text[];
  unpushed text[];
  refused_column text;
  kept uuid[];
  has_due boolean;
begin
  if current_setting('plugboard.writer', true) = 'sync' then
    return null;
  end if;
  if tg_op = 'DELETE' then
    touched := array(select distinct integration_id from old_rows);
  else
    touched := array(select distinct integration_id from new_rows);
  end if;
  for target in
    select pushed.integration_id, pushed.stream, pushed.push_columns, pushed.push_deletes, pushed.filter,
      coalesce(hashtext(pushed.filter::text), 0) as filter_hash
    from private.stream_tables as known
    join public.sync_streams as pushed on pushed.stream = known.stream
    -- one that is going takes its rows with it
    join public.integrations as integration on integration.id = pushed.integration_id
    where known.table_name = tg_relid and pushed.integration_id = any (touched) and pushed.pushes
    order by pushed.integration_id
  loop
    own_columns := private.record_columns(tg_relid);
    unpushed := array(select unnest(own_columns) except select unnest(target.push_columns));
    has_due := false;

    if tg_op = 'INSERT' then
      if cardinality(unpushed) > 0 then
        execute format($sql$
          select max(%s) from new_rows as after where after.integration_id = $1 and after.source_id = 'local:' || after.id
          $sql$, private.changed_column_sql(tg_relid, unpushed, false))
        into refused_column using target.integration_id;
      end if;
      execute private.mark_changes_sql(format($sql$
        select after.integration_id, $2, after.id, after.organization_id, after.source_id, 'create', null::jsonb, null, $3,
          private.condition_holds($4, %s), $5
        from new_rows as after
        where after.integration_id = $1 and after.source_id = 'local:' || after.id
        $sql$, private.document_sql('after', own_columns)))
      into has_due using target.integration_id, target.stream, auth.uid(), target.filter, target.filter_hash;

    elsif tg_op = 'UPDATE' then
      if cardinality(unpushed) > 0 then
        execute format($sql$
          select max(case when after.integration_id = $1 and after.deleted_at is null then %s end)
          from old_rows as before join new_rows as after using (id)
          $sql$, private.changed_column_sql(tg_relid, unpushed, true))
        into refused_column using target.integration_id;
      end if;
      -- A row that is gone at the platform may be changed, and nothing goes out. Both sides are
      -- judged in one: for the planner, what each side says alone is rare, and it would join row by row.
      execute private.mark_changes_sql(format($sql$
        select after.integration_id, $2, after.id, after.organization_id, after.source_id,
          case when after.source_id = 'local:' || after.id then 'create' else 'update' end,
          case when after.source_id <> 'local:' || after.id then %1$s end,
          case when after.source_id <> 'local:' || after.id then before.content_hash end,
          $3, private.condition_holds($4, %2$s), $5
        from old_rows as before join new_rows as after using (id)
        where case when after.integration_id = $1 and after.deleted_at is null then before.deleted_at is not null or %3$s else false end
        $sql$, private.document_sql('before', target.push_columns), private.document_sql('after', own_columns),
        (select string_agg(format('before.%1$I is distinct from after.%1$I', name), ' or ') from unnest(target.push_columns) as name)))
      into has_due using target.integration_id, target.stream, auth.uid(), target.filter, target.filter_hash;

    else
      -- What the platform has is kept as a row that is gone until it is gone there too. So is what may be on its way there.
      execute $sql$
        select coalesce(array_agg(gone.id), '{}') from old_rows as gone
        left join private.outbound_changes as change
          on change.integration_id = gone.integration_id and change.stream = $2 and change.record_id = gone.id
        where gone.integration_id = $1 and $3 and case
          when gone.source_id = 'local:' || gone.id then change.sending is not null
          else gone.deleted_at is null or change.operation = 'delete'
        end
        $sql$ into kept using target.integration_id, target.stream, target.push_deletes;
      perform private.drop_changes(target.integration_id, target.stream,
        array(select id from old_rows where integration_id = target.integration_id and id <> all (kept)));
      if cardinality(kept) > 0 then
        perform private.write_as('sync');
        execute format($sql$
          insert into %1$s (%2$s, absent_at)
          select %2$s, greatest(clock_timestamp(), last_synced_at) from old_rows where id = any ($1)
          $sql$, tg_relid::regclass, (
            select string_agg(format('%I', attribute.attname), ', ' order by attribute.attnum)
            from pg_catalog.pg_attribute as attribute
            where attribute.attrelid = tg_relid and attribute.attnum > 0 and not attribute.attisdropped
              and attribute.attgenerated = '' and attribute.attname <> 'absent_at'))
        using kept;
        perform private.write_as('');
        execute private.mark_changes_sql(format($sql$
          select gone.integration_id, $2, gone.id, gone.organization_id, gone.source_id, 'delete',
            case when gone.source_id <> 'local:' || gone.id then %1$s end,
            case when gone.source_id <> 'local:' || gone.id then gone.content_hash end,
            $3, private.condition_holds($4, %2$s), $5
          from old_rows as gone where gone.id = any ($1)
          $sql$, private.document_sql('gone', target.push_columns), private.document_sql('gone', own_columns)))
        into has_due using kept, target.stream, auth.uid(), target.filter, target.filter_hash;
      end if;
    end if;

    if refused_column is not null then
      perform private.refuse('field_not_pushed',
        format('%s cannot be changed here: this account lets nobody write it.', refused_column));
    end if;
    if has_due then
      perform private.note_push(target.integration_id, target.stream);
    end if;
  end loop;
  return null;
end;
$$;

-- The tables that a connector pushes.
create trigger mark_new_contacts after insert on public.contacts
  referencing new table as new_rows
  for each statement execute function private.mark_outbound_changes();
create trigger mark_changed_contacts after update on public.contacts
  referencing old table as old_rows new table as new_rows
  for each statement execute function private.mark_outbound_changes();
create trigger mark_deleted_contacts after delete on public.contacts
  referencing old table as old_rows
  for each statement execute function private.mark_outbound_changes();
create trigger mark_new_products after insert on public.products
  referencing new table as new_rows
  for each statement execute function private.mark_outbound_changes();
create trigger mark_changed_products after update on public.products
  referencing old table as old_rows new table as new_rows
  for each statement execute function private.mark_outbound_changes();
create trigger mark_deleted_products after delete on public.products
  referencing old table as old_rows
  for each statement execute function private.mark_outbound_changes();

-- Whether changes fit, by the filter as it is now. Asked by who pushes, and not by who changes the filter: somebody may be
-- changing a record at that very moment. Passes by what is being changed; the next time it is its turn.
create function private.refit_changes(settings public.sync_streams)
returns void
language plpgsql
set search_path = ''
as $$
declare
  hash int := coalesce(hashtext(settings.filter::text), 0);
  synced_table regclass := private.stream_table(settings.stream);
begin
  execute format($sql$
    update private.outbound_changes as refitted set fits = private.condition_holds($3, %2$s), filter_hash = $4
    from %1$s as held
    where held.id = refitted.record_id and refitted.integration_id = $1 and refitted.stream = $2
      and refitted.record_id = any (array(
        select change.record_id from private.outbound_changes as change
        where change.integration_id = $1 and change.stream = $2
          -- an index finds either side of it
          and (change.filter_hash < $4 or change.filter_hash > $4)
        for update skip locked))
    $sql$, synced_table, private.document_sql('held', private.record_columns(synced_table)))
  using settings.integration_id, settings.stream, settings.filter, hash;
end;
$$;

-- Tries again what the platform refused, but for what is being changed, which is tried again anyway. Whoever asks for it has
-- looked for what they were asked to: whether what was sent before is there is no question any more.
create function private.retry_refused_changes(integration_id uuid, stream text)
returns void
language plpgsql
set search_path = ''
as $$
begin
  update private.outbound_changes as retried set refused = false, attempt_count = 0, run_at = now(),
    (sending, sending_version, sending_at) = (
      select retried.sending, retried.sending_version, retried.sending_at
      where retried.last_error ->> 'code' is distinct from 'push_unconfirmed')
  where retried.integration_id = retry_refused_changes.integration_id and retried.stream = retry_refused_changes.stream
    and retried.record_id = any (array(
      select change.record_id from private.outbound_changes as change
      where change.integration_id = retry_refused_changes.integration_id and change.stream = retry_refused_changes.stream
        and change.refused
      for update skip locked));
end;
$$;

-- A stream that stops pushing gives up what has not gone out: the next complete read brings the platform's versions. New rows that
-- may have been made there are looked for when it pushes again, so their intent stays.
create function private.give_up_changes(integration_id uuid, stream text)
returns void
language plpgsql
set search_path = ''
as $$
declare
  writer text := private.write_as('sync');
  synced_table regclass := private.stream_table(give_up_changes.stream);
  record_ids uuid[] := array(
    select change.record_id from private.outbound_changes as change
    where change.integration_id = give_up_changes.integration_id and change.stream = give_up_changes.stream);
begin
  perform private.hold_records(synced_table, give_up_changes.integration_id, '{}', record_ids);
  execute format($sql$
    update %s as held set content_hash = 'given up:' || held.content_hash
    from private.outbound_changes as change
    where change.integration_id = $1 and change.stream = $2 and change.operation = 'update'
      and held.id = change.record_id and held.id = any ($3) and not held.content_hash ^@ 'given up:'
    $sql$, synced_table)
  using give_up_changes.integration_id, give_up_changes.stream, record_ids;
  perform private.drop_changes(give_up_changes.integration_id, give_up_changes.stream, array(
    select change.record_id from private.outbound_changes as change
    where change.integration_id = give_up_changes.integration_id and change.stream = give_up_changes.stream
      and change.record_id = any (record_ids) and (change.operation <> 'create' or change.sending_at is null)));
  perform private.write_as(writer);
end;
$$;

-- A stream that no longer pushes deletions gives those up that have not gone out: their rows are back.
create function private.give_up_deletions(integration_id uuid, stream text)
returns void
language plpgsql
set search_path = ''
as $$
declare
  writer text := private.write_as('sync');
  synced_table regclass := private.stream_table(give_up_deletions.stream);
  record_ids uuid[] := array(
    select change.record_id from private.outbound_changes as change
    where change.integration_id = give_up_deletions.integration_id and change.stream = give_up_deletions.stream
      and change.operation = 'delete' and change.source_id <> 'local:' || change.record_id);
begin
  perform private.hold_records(synced_table, give_up_deletions.integration_id, '{}', record_ids);
  -- those that are so still, now that nobody else has them
  record_ids := array(
    select change.record_id from private.outbound_changes as change
    where change.integration_id = give_up_deletions.integration_id and change.stream = give_up_deletions.stream
      and change.operation = 'delete' and change.record_id = any (record_ids));
  execute format('update %s as held set absent_at = null where held.id = any ($1)', synced_table) using record_ids;
  perform private.drop_changes(give_up_deletions.integration_id, give_up_deletions.stream, record_ids);
  perform private.write_as(writer);
end;
$$;

-- A stream that begins to push has the rows to create that were made here and never went out.
create function private.mark_local_rows(settings public.sync_streams)
returns void
language plpgsql
set search_path = ''
as $$
begin
  -- A change that was committed as the stream gave its changes up has its mark still. Where no version was read over it, it is
  -- to be sent.
  execute format($sql$
    delete from private.outbound_changes as change
    where change.integration_id = $1 and change.stream = $2 and not exists (
      select 1 from %s as held
      where held.id = change.record_id and held.deleted_at is null and held.content_hash is not distinct from change.base_hash)
    $sql$, private.stream_table(settings.stream))
  using settings.integration_id, settings.stream;
  execute private.mark_changes_sql(format($sql$
    select held.integration_id, $2, held.id, held.organization_id, held.source_id, 'create', null::jsonb, null, null::uuid, true, -1
    from %s as held
    where held.integration_id = $1 and held.source_id = 'local:' || held.id and held.deleted_at is null
    $sql$, private.stream_table(settings.stream)))
  using settings.integration_id, settings.stream;
end;
$$;

-- Definer's rights: managers may not reach the changes.
create function private.follow_stream_settings()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  if old.pushes and not new.pushes then
    perform private.give_up_changes(new.integration_id, new.stream);
  elsif new.pushes and not old.pushes then
    perform private.mark_local_rows(new);
  elsif old.push_deletes and not new.push_deletes then
    perform private.give_up_deletions(new.integration_id, new.stream);
  end if;
  if new.pushes and exists (
    select 1 from private.outbound_changes as change where change.integration_id = new.integration_id and change.stream = new.stream
  ) then
    perform private.note_push(new.integration_id, new.stream);
  end if;
  return null;
end;
$$;
create trigger sync_streams_follow_settings after update on public.sync_streams
  for each row when (new.pushes <> old.pushes or new.push_deletes <> old.push_deletes or new.filter is distinct from old.filter)
  execute function private.follow_stream_settings();
