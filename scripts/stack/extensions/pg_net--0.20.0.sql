-- pg_net's interface for the local stack. The worker that sends what is queued here is
-- scripts/stack/background/net.ts.

create schema net;

create domain net.http_method as text check (value ilike 'get' or value ilike 'post' or value ilike 'delete');
create type net.request_status as enum ('PENDING', 'SUCCESS', 'ERROR');

-- Unlogged, as pg_net's: a crash empties both, so neither may hold the only copy of anything.
create unlogged table net.http_request_queue (
  id bigserial,
  method net.http_method not null,
  url text not null,
  headers jsonb,
  body bytea,
  timeout_milliseconds int not null
);
create unlogged table net._http_response (
  id bigint,
  status_code int,
  content_type text,
  headers jsonb,
  content text,
  timed_out bool,
  error_msg text,
  created timestamptz not null default now()
);
create index on net._http_response (created);

create type net.http_response as (status_code int, headers jsonb, body text);
create type net.http_response_result as (
  status net.request_status, message text, response net.http_response
);

-- Heard by the worker when the calling transaction commits, never after a rollback.
create function net.wake() returns void
language sql as $$ select pg_catalog.pg_notify('plugboard_net', '') $$;

create function net._urlencode_string(string text) returns text
language sql immutable strict as $$
  select coalesce(pg_catalog.string_agg(
    case
      when letter ~ '^[A-Za-z0-9_.~-]$' then letter
      else pg_catalog.regexp_replace(
        pg_catalog.upper(pg_catalog.encode(pg_catalog.convert_to(letter, 'UTF8'), 'hex')), '(..)', '%\1', 'g')
    end, '' order by position), '')
  from pg_catalog.regexp_split_to_table(string, '') with ordinality as letters (letter, position);
$$;

create function net._encode_url_with_params(url text, params jsonb) returns text
language sql immutable as $$
  select url || coalesce(
    (case when url like '%?%' then '&' else '?' end) || (
      select pg_catalog.string_agg(
        net._urlencode_string(param.key) || '=' || net._urlencode_string(param.value), '&')
      from pg_catalog.jsonb_each_text(params) as param), '');
$$;

create function net._enqueue(
  method text, url text, headers jsonb, body bytea, timeout_milliseconds int
) returns bigint
language sql as $$
  with queued as (
    insert into net.http_request_queue (method, url, headers, body, timeout_milliseconds)
    values (method, url, headers, body, timeout_milliseconds)
    returning id
  )
  select queued.id from queued, net.wake();
$$;

create function net.http_get(
  url text, params jsonb default '{}', headers jsonb default '{}', timeout_milliseconds int default 5000
) returns bigint
language sql as $$
  select net._enqueue('GET', net._encode_url_with_params(url, params), headers, null, timeout_milliseconds);
$$;

create function net.http_post(
  url text, body jsonb default '{}', params jsonb default '{}',
  headers jsonb default '{"Content-Type": "application/json"}', timeout_milliseconds int default 5000
) returns bigint
language plpgsql as $$
declare
  content_type text := (
    select header.value from pg_catalog.jsonb_each_text(coalesce(http_post.headers, '{}')) as header
    where pg_catalog.lower(header.key) = 'content-type' limit 1
  );
begin
  if content_type is null then
    http_post.headers := coalesce(http_post.headers, '{}') || '{"Content-Type": "application/json"}';
  elsif content_type <> 'application/json' then
    raise exception 'Content-Type header must be "application/json"';
  end if;
  return net._enqueue(
    'POST', net._encode_url_with_params(http_post.url, http_post.params), http_post.headers,
    pg_catalog.convert_to(http_post.body::text, 'UTF8'), http_post.timeout_milliseconds
  );
end;
$$;

create function net.http_delete(
  url text, params jsonb default '{}', headers jsonb default '{}',
  timeout_milliseconds int default 5000, body jsonb default null
) returns bigint
language sql as $$
  select net._enqueue(
    'DELETE', net._encode_url_with_params(url, params), headers,
    pg_catalog.convert_to(body::text, 'UTF8'), timeout_milliseconds
  );
$$;

create function net.check_worker_is_up() returns void
language plpgsql as $$
begin
  if not exists (select from pg_catalog.pg_stat_activity where application_name = 'pg_net worker') then
    raise exception 'the pg_net background worker is not up' using
      detail = 'the pg_net background worker is down due to an internal error and cannot process requests';
  end if;
end;
$$;

create function net.wait_until_running() returns void
language plpgsql as $$
begin
  for attempt in 1..500 loop
    perform pg_catalog.pg_stat_clear_snapshot();
    exit when exists (select from pg_catalog.pg_stat_activity where application_name = 'pg_net worker');
    perform pg_catalog.pg_sleep(0.01);
  end loop;
  perform net.check_worker_is_up();
end;
$$;

create function net.worker_restart() returns bool
language sql as $$ select true from net.wake() $$;

create function net._await_response(request_id bigint) returns bool
language plpgsql as $$
begin
  while not exists (select from net._http_response where id = request_id) loop
    perform pg_catalog.pg_sleep(0.05);
  end loop;
  return true;
end;
$$;

create function net._http_collect_response(request_id bigint, async bool default true)
returns net.http_response_result
language plpgsql as $$
declare
  answer net._http_response;
begin
  if not async then
    perform net._await_response(request_id);
  end if;
  select * into answer from net._http_response where id = request_id;
  if answer.id is null then
    return ('PENDING', 'request is pending processing', null)::net.http_response_result;
  end if;
  if answer.error_msg is not null then
    return ('ERROR', answer.error_msg, null)::net.http_response_result;
  end if;
  return ('SUCCESS', 'ok', (answer.status_code, answer.headers, answer.content)::net.http_response
    )::net.http_response_result;
end;
$$;

-- PUBLIC, as in pg_net since 0.12: any role that can log in reads the queue and the answers.
grant usage on schema net to public;
grant all on all tables in schema net to public;
grant all on all sequences in schema net to public;
