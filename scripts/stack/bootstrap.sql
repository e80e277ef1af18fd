-- Hosted Supabase's roles, schemas and privileges, applied once to a new cluster by its superuser
-- `supabase_admin`, before any migration. Lite's own auth and storage tables exist by then.

-- Roles ---------------------------------------------------------------------------------------

-- Not a superuser, as on hosted: what a migration may not do there must fail here too.
create role postgres login createdb createrole replication bypassrls password 'postgres';
create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;
create role authenticator login noinherit password 'postgres';
create role dashboard_user nologin createdb createrole replication;
create role supabase_auth_admin nologin noinherit createrole;
create role supabase_storage_admin nologin noinherit createrole;
create role supabase_realtime_admin nologin noinherit;

grant anon, authenticated, service_role to authenticator;
grant anon, authenticated, service_role to postgres with admin option;

alter role postgres set search_path = "$user", public, extensions;
alter role supabase_admin set search_path = "$user", public, auth, extensions;
alter role authenticator set statement_timeout = '8s';
alter role authenticator set lock_timeout = '8s';
alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';

alter database postgres owner to postgres;
alter database postgres set search_path = "$user", public, extensions;

-- public: usable by everybody, nothing in it granted until a migration says so -----------------

grant usage on schema public to anon, authenticated, service_role;
grant all on schema public to postgres;

-- extensions ----------------------------------------------------------------------------------

create schema extensions;
grant usage on schema extensions to postgres, anon, authenticated, service_role, dashboard_user;
grant all on schema extensions to postgres, dashboard_user;
create extension pgcrypto with schema extensions;
create extension "uuid-ossp" with schema extensions;
create extension pg_stat_statements with schema extensions;

-- Vault comes with every project; pg_cron and pg_net are for migrations to create.
create schema vault;
create extension supabase_vault with schema vault;

-- auth ----------------------------------------------------------------------------------------

-- The claims arrive as one JSON setting from PostgREST and as single settings from lite; hosted's
-- definitions read both.
create or replace function auth.uid() returns uuid language sql stable as $$
  select coalesce(
    nullif(current_setting('request.jwt.claim.sub', true), ''),
    (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')
  )::uuid
$$;
create or replace function auth.role() returns text language sql stable as $$
  select coalesce(
    nullif(current_setting('request.jwt.claim.role', true), ''),
    (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role')
  )::text
$$;
create or replace function auth.email() returns text language sql stable as $$
  select coalesce(
    nullif(current_setting('request.jwt.claim.email', true), ''),
    (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'email')
  )::text
$$;
create or replace function auth.jwt() returns jsonb language sql stable as $$
  select coalesce(
    nullif(current_setting('request.jwt.claim', true), ''),
    nullif(current_setting('request.jwt.claims', true), '')
  )::jsonb
$$;

alter schema auth owner to supabase_auth_admin;
grant usage on schema auth to anon, authenticated, service_role, postgres;
grant all on all tables in schema auth to supabase_auth_admin, postgres with grant option;
grant all on all sequences in schema auth to supabase_auth_admin, postgres;

-- storage -------------------------------------------------------------------------------------

alter schema storage owner to supabase_storage_admin;
alter table storage.buckets owner to supabase_storage_admin;
alter table storage.objects owner to supabase_storage_admin;
grant usage on schema storage to postgres, anon, authenticated, service_role;
grant all on storage.buckets, storage.objects to postgres, anon, authenticated, service_role;
-- On hosted supautils lets `postgres` write policies on these tables; plain Postgres asks for the owner.
grant supabase_storage_admin to postgres;

-- Lite does GoTrue's and the Storage API's work over the connection it answers REST with. A request
-- switches to the caller's role first, and the role `authenticator` inherits nothing (noinherit), so
-- these rights are lite's own and reach no caller.
grant usage on schema auth, storage to authenticator;
grant all on all tables in schema auth to authenticator;
grant all on all tables in schema storage to authenticator;
create policy "lite looks buckets up" on storage.buckets to authenticator using (true) with check (true);
create policy "lite keeps objects" on storage.objects to authenticator using (true) with check (true);

-- PostgREST's schema cache follows DDL through this notification --------------------------------

create function extensions.pgrst_ddl_watch() returns event_trigger language plpgsql as $$
begin
  if exists (select from pg_event_trigger_ddl_commands() where schema_name is distinct from 'pg_temp') then
    perform pg_catalog.pg_notify('pgrst', 'reload schema');
  end if;
end;
$$;
create function extensions.pgrst_drop_watch() returns event_trigger language plpgsql as $$
begin
  if exists (select from pg_event_trigger_dropped_objects() where not is_temporary) then
    perform pg_catalog.pg_notify('pgrst', 'reload schema');
  end if;
end;
$$;
create event trigger pgrst_ddl_watch on ddl_command_end execute function extensions.pgrst_ddl_watch();
create event trigger pgrst_drop_watch on sql_drop execute function extensions.pgrst_drop_watch();
