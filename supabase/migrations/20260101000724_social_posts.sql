-- Social posts: what connected accounts published, and what others wrote to or about them.

create table public.social_posts (
  like private.synced_record including defaults including generated,
  kind text not null default 'post',
  is_own boolean not null default false, -- written by the connected account
  author_id text,
  author_name text,
  author_handle text,
  body_text text,
  language text, -- BCP 47, as the platform says
  published_at timestamptz,
  permalink text,
  conversation_id text,
  reply_to_id text,
  like_count bigint, -- null in these: the platform does not count, or does not tell us
  reply_count bigint,
  repost_count bigint,
  quote_count bigint,
  impression_count bigint,
  media_urls text[] not null default '{}',
  sentiment_score numeric(3, 2), -- by an English word list: a hint, not a judgement
  requires_response boolean not null default false,
  primary key (id),
  foreign key (integration_id, organization_id) references public.integrations (id, organization_id) on delete cascade,
  constraint social_posts_source_id_is_unique_in_its_integration unique (integration_id, source_id),
  constraint social_posts_read_post_says_when_it_was_published check (content_hash is null or published_at is not null),
  constraint social_posts_kind_is_known check (kind in ('post', 'reply', 'repost', 'quote')),
  constraint social_posts_sentiment_score_is_between_minus_1_and_1 check (sentiment_score between -1 and 1)
);
comment on table public.social_posts is 'Posts of connected accounts, and those that mention or answer them. Rows with deleted_at are gone at the platform.';
create index social_posts_organization_id_created_at_idx on public.social_posts (organization_id, created_at desc);
create index social_posts_organization_id_published_at_idx on public.social_posts (organization_id, published_at desc);
alter table public.social_posts enable row level security;
create policy "members read their organization's social posts"
  on public.social_posts for select to authenticated
  using (organization_id = any ((select private.organization_ids('viewer'))::uuid[]));
grant select on public.social_posts to authenticated, service_role;
insert into private.stream_tables (stream, table_name, record_name) values ('social_posts', 'public.social_posts', 'social_post');
