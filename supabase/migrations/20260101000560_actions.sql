-- Actions: what was done at a platform through an integration, once for each idempotency key. The row is
-- written before the platform is asked, so that an action whose worker died is known to be unknown.

create table private.integration_actions (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null,
  integration_id uuid not null,
  action text not null,
  idempotency_key text not null, -- the caller's, or one of its own
  input_hash text not null, -- the same key with another input is a mistake
  status text not null default 'running',
  result jsonb, -- { output, error } as it was answered
  actor_id uuid, -- auth.users.id; null: the secret key
  started_at timestamptz not null default now(),
  finished_at timestamptz,
  foreign key (integration_id, organization_id) references public.integrations (id, organization_id) on delete cascade,
  constraint integration_actions_key_is_used_once unique (integration_id, idempotency_key),
  constraint integration_actions_status_is_known check (status in ('running', 'success', 'partial', 'failed', 'unknown')),
  constraint integration_actions_finished_action_has_a_finish_time check ((status = 'running') = (finished_at is null))
);
create index integration_actions_started_at_idx on private.integration_actions (started_at) where status = 'running';
create index integration_actions_finished_at_idx on private.integration_actions (finished_at);
create index integration_actions_integration_id_organization_id_idx on private.integration_actions (integration_id, organization_id);
alter table private.integration_actions enable row level security;

-- Claims the key. { state: new, action_id }: do it; { state: finished, action_id, status, result }: it was done before.
create function public.begin_action(
  p_integration_id uuid, p_action text, p_idempotency_key text, p_input_hash text, p_actor_id uuid, p_action_id uuid
)
returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  integration public.integrations;
  held private.integration_actions;
begin
  select * into integration from public.integrations where id = p_integration_id;
  if not found then
    perform private.refuse('integration_not_found');
  end if;
  perform private.require_connected(integration);
  insert into private.integration_actions (id, organization_id, integration_id, action, idempotency_key, input_hash, actor_id)
  values (p_action_id, integration.organization_id, p_integration_id, p_action, p_idempotency_key, p_input_hash, p_actor_id)
  on conflict on constraint integration_actions_key_is_used_once do nothing;
  select * into held from private.integration_actions
  where integration_id = p_integration_id and idempotency_key = p_idempotency_key
  for update;
  if held.id = p_action_id then
    return jsonb_build_object('state', 'new', 'action_id', held.id); -- ours, or ours asked for again
  elsif held.input_hash <> p_input_hash or held.action <> p_action then
    perform private.refuse('idempotency_key_reused', 'This idempotency key was used for an action with another input: take a new one.');
  elsif held.status = 'failed' and held.result -> 'error' ->> 'next' = 'retry' then
    -- nothing was done, and it may work now: the key is free again
    update private.integration_actions set id = p_action_id, status = 'running', result = null, actor_id = p_actor_id,
      started_at = now(), finished_at = null
    where id = held.id;
    return jsonb_build_object('state', 'new', 'action_id', p_action_id);
  elsif held.status = 'running' then
    perform private.refuse('action_in_progress', 'The action with this idempotency key is still under way.');
  end if;
  return jsonb_build_object('state', 'finished', 'action_id', held.id, 'status', held.status, 'result', held.result);
end;
$$;
grant execute on function public.begin_action(uuid, text, text, text, uuid, uuid) to service_role;

-- What it came to, with one line in the activity log. p_detail: what the trail keeps; never the content that was sent.
create function public.finish_action(p_action_id uuid, p_status text, p_result jsonb, p_detail jsonb default '{}')
returns void
language plpgsql
security definer
set search_path = ''
as $$
declare
  done private.integration_actions;
begin
  update private.integration_actions set status = p_status, result = p_result, finished_at = clock_timestamp()
  where id = p_action_id and status = 'running'
  returning * into done;
  if not found then
    return; -- its answer was lost and is sent again, or the worker was given up for dead
  end if;
  perform private.record_activity(done.organization_id, 'action.' || done.action, 'integration', done.integration_id::text,
    p_detail || jsonb_build_object('action_id', done.id, 'status', done.status),
    case p_status when 'failed' then 'failure' else p_status end, done.actor_id, 'service');
end;
$$;
grant execute on function public.finish_action(uuid, text, jsonb, jsonb) to service_role;

-- An action lasts as long as its caller waits. Whatever runs longer has lost its worker: nobody knows what it did.
create function private.end_lost_actions()
returns void
language plpgsql
set search_path = ''
as $$
declare
  lost record;
begin
  for lost in
    select running.id from private.integration_actions as running
    where running.status = 'running' and running.started_at < now() - interval '5 minutes'
    order by running.id
    for update skip locked
  loop
    perform public.finish_action(lost.id, 'unknown', jsonb_build_object('error', jsonb_build_object(
      'code', 'worker_died', 'next', 'owner',
      'message', 'The worker stopped while the platform was asked: it may have been done. Look there before doing it again.')));
  end loop;
end;
$$;
