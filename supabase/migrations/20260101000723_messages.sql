-- Messages: mails, chat messages and direct messages that connected accounts sent and received.

create table public.messages (
  like private.synced_record including defaults including generated,
  channel text, -- `email` for mail, else the platform's id of the channel
  direction text,
  thread_id text, -- the platform's ids, unique within the account
  reply_to_id text,
  sender_name text,
  sender_address text,
  recipients jsonb not null default '[]', -- [{ name, address, kind: to | cc | bcc }]
  subject text,
  body_text text,
  snippet text,
  sent_at timestamptz,
  is_read boolean, -- null: the platform does not say
  attachments jsonb not null default '[]', -- [{ source_id, name, content_type, byte_size }]; the content stays there
  sentiment_score numeric(3, 2), -- by an English word list: a hint, not a judgement
  requires_response boolean not null default false,
  permalink text,
  primary key (id),
  foreign key (integration_id, organization_id) references public.integrations (id, organization_id) on delete cascade,
  constraint messages_source_id_is_unique_in_its_integration unique (integration_id, source_id),
  constraint messages_read_message_says_where_it_went_and_when
    check (content_hash is null or (channel is not null and direction is not null and sent_at is not null)),
  constraint messages_direction_is_known check (direction in ('inbound', 'outbound')),
  constraint messages_sentiment_score_is_between_minus_1_and_1 check (sentiment_score between -1 and 1)
);
comment on table public.messages is 'Messages that connected accounts sent and received. Rows with deleted_at are gone at the platform.';
create index messages_organization_id_created_at_idx on public.messages (organization_id, created_at desc);
create index messages_organization_id_sent_at_idx on public.messages (organization_id, sent_at desc);
create index messages_integration_id_thread_id_idx on public.messages (integration_id, thread_id);
alter table public.messages enable row level security;
create policy "members read their organization's messages"
  on public.messages for select to authenticated
  using (organization_id = any ((select private.organization_ids('viewer'))::uuid[]));
grant select on public.messages to authenticated, service_role;
insert into private.stream_tables (stream, table_name, record_name) values ('messages', 'public.messages', 'message');
