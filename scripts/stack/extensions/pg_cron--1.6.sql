-- pg_cron's interface for the local stack: the signatures, tables, columns and privileges that a
-- migration can meet on hosted. The scheduler itself is scripts/stack/background/cron.ts.

create schema cron;

create sequence cron.jobid_seq;
create sequence cron.runid_seq;

create table cron.job (
  jobid bigint primary key default nextval('cron.jobid_seq'),
  schedule text not null,
  command text not null,
  nodename text not null default 'localhost',
  nodeport int not null default pg_catalog.inet_server_port(),
  database text not null default pg_catalog.current_database(),
  username text not null default current_user,
  active boolean not null default true,
  jobname text,
  constraint jobname_username_uniq unique (jobname, username)
);
alter table cron.job enable row level security;
create policy cron_job_policy on cron.job using (username = current_user);

create table cron.job_run_details (
  jobid bigint,
  runid bigint primary key default nextval('cron.runid_seq'),
  job_pid int,
  database text,
  username text,
  command text,
  status text,
  return_message text,
  start_time timestamptz,
  end_time timestamptz
);
alter table cron.job_run_details enable row level security;
create policy cron_job_run_details_policy on cron.job_run_details using (username = current_user);

-- Wakes the scheduler after commit. pg_cron's own trigger of this name does the same in C.
create function cron.job_cache_invalidate() returns trigger
language plpgsql set search_path = '' as $$
begin
  perform pg_catalog.pg_notify('plugboard_cron', '');
  return null;
end;
$$;
create trigger cron_job_cache_invalidate
  after insert or update or delete or truncate on cron.job
  for each statement execute function cron.job_cache_invalidate();

create function cron._check_schedule(schedule text) returns void
language plpgsql immutable set search_path = '' as $$
begin
  if schedule ~* '^\s*([1-9]|[1-5][0-9])\s+seconds?\s*$'
    or schedule ~* '^\s*@(yearly|annually|monthly|weekly|daily|midnight|hourly|reboot)\s*$'
    or schedule ~* '^\s*[0-9*/,-]+\s+[0-9*/,-]+\s+[0-9*/,$-]+\s+[0-9a-z*/,-]+\s+[0-9a-z*/,-]+\s*$'
  then
    return;
  end if;
  raise exception 'invalid schedule: %', schedule using
    errcode = '22023',
    hint = 'Use cron format (e.g. 5 4 * * *), or interval format ''[1-59] seconds''';
end;
$$;

-- pg_cron writes the table in C with its own rights and knows the caller. In SQL the caller is known
-- only with invoker's rights and the table is writable only with definer's: hence two functions.
create function cron._upsert(
  job_name text, schedule text, command text, database text, username text, active boolean
) returns bigint
language plpgsql security definer set search_path = '' as $$
declare
  job_id bigint;
begin
  perform cron._check_schedule(_upsert.schedule);
  if not exists (select from pg_catalog.pg_roles where rolname = _upsert.username) then
    raise exception 'role "%" does not exist', _upsert.username using errcode = '42704';
  end if;
  insert into cron.job as job (schedule, command, database, username, active, jobname)
  values (_upsert.schedule, _upsert.command, _upsert.database, _upsert.username, _upsert.active, _upsert.job_name)
  on conflict on constraint jobname_username_uniq do update
    set schedule = excluded.schedule, command = excluded.command, database = excluded.database
  returning job.jobid into job_id;
  return job_id;
end;
$$;

create function cron.schedule(schedule text, command text) returns bigint
language sql set search_path = '' as $$
  select cron._upsert(null, schedule, command, pg_catalog.current_database(), current_user, true);
$$;

create function cron.schedule(job_name text, schedule text, command text) returns bigint
language plpgsql set search_path = '' as $$
begin
  if schedule.job_name is null then
    raise exception 'job_name can not be NULL' using errcode = '22023';
  end if;
  return cron._upsert(
    schedule.job_name, schedule.schedule, schedule.command,
    pg_catalog.current_database(), current_user, true
  );
end;
$$;

create function cron.schedule_in_database(
  job_name text, schedule text, command text, database text,
  username text default null, active boolean default true
) returns bigint
language sql set search_path = '' as $$
  select cron._upsert(
    job_name, schedule, command, database, coalesce(username, current_user), active
  );
$$;

create function cron._find(job_id bigint, job_name text, username text) returns bigint
language sql stable security definer set search_path = '' as $$
  select job.jobid from cron.job as job
  where (job.jobid = _find.job_id or job.jobname = _find.job_name) and job.username = _find.username;
$$;

create function cron._alter(
  job_id bigint, schedule text, command text, database text, username text, active boolean
) returns void
language sql security definer set search_path = '' as $$
  update cron.job as job set
    schedule = coalesce(_alter.schedule, job.schedule),
    command = coalesce(_alter.command, job.command),
    database = coalesce(_alter.database, job.database),
    username = coalesce(_alter.username, job.username),
    active = coalesce(_alter.active, job.active)
  where job.jobid = _alter.job_id;
$$;

create function cron.alter_job(
  job_id bigint, schedule text default null, command text default null,
  database text default null, username text default null, active boolean default null
) returns void
language plpgsql set search_path = '' as $$
begin
  if cron._find(alter_job.job_id, null, current_user) is null then
    raise exception 'Job % does not exist or you don''t own it', alter_job.job_id using errcode = 'P0001';
  end if;
  if alter_job.schedule is not null then
    perform cron._check_schedule(alter_job.schedule);
  end if;
  perform cron._alter(
    alter_job.job_id, alter_job.schedule, alter_job.command,
    alter_job.database, alter_job.username, alter_job.active
  );
end;
$$;

create function cron._delete(job_id bigint) returns void
language sql security definer set search_path = '' as $$
  delete from cron.job as job where job.jobid = _delete.job_id;
$$;

create function cron.unschedule(job_id bigint) returns boolean
language plpgsql set search_path = '' as $$
begin
  if cron._find(unschedule.job_id, null, current_user) is null then
    raise exception 'could not find valid entry for job %', unschedule.job_id using errcode = 'XX000';
  end if;
  perform cron._delete(unschedule.job_id);
  return true;
end;
$$;

create function cron.unschedule(job_name text) returns boolean
language plpgsql set search_path = '' as $$
declare
  found_id bigint := cron._find(null, unschedule.job_name, current_user);
begin
  if found_id is null then
    raise exception 'could not find valid entry for job ''%''', unschedule.job_name using errcode = 'XX000';
  end if;
  perform cron._delete(found_id);
  return true;
end;
$$;

-- What pg_cron gives to everybody, and what hosted adds for `postgres` after `create extension`:
-- everything but writing cron.job, whose rows change through the functions only.
grant select on cron.job, cron.job_run_details to public;
grant delete on cron.job_run_details to public;
revoke execute on function
  cron.schedule_in_database(text, text, text, text, text, boolean),
  cron.alter_job(bigint, text, text, text, text, boolean)
  from public;
grant usage on schema cron to postgres with grant option;
grant execute on all functions in schema cron to postgres with grant option;
grant all on cron.job_run_details to postgres with grant option;
revoke trigger on cron.job_run_details from postgres;
grant select on cron.job to postgres with grant option;
grant usage, select on all sequences in schema cron to postgres with grant option;
