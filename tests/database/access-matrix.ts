// Who may do what to which table of `public`? Each cell is what one actor's statement on our
// organization's row comes to: how many rows it reached, or `-` where Postgres denies permission.

/** The columns of the matrix. The stranger owns another organization; postgres owns the tables. */
export const ACTORS = [
  'owner',
  'manager',
  'member',
  'viewer',
  'stranger',
  'anonymous',
  'service',
  'postgres',
] as const
export type ActorName = (typeof ACTORS)[number]

export type TableAccess = {
  /** Picks one row of our organization; `:organization_id` is its id. */
  row: string
  select: string
  /** A new row for our organization, as a select list; `:integration_id` is one of it, `:outsider_id` a user. */
  newRow: string
  insert: string
  /** What an update tries, by columns somebody may change where there are any. */
  change: string
  update: string
  delete: string
  /** False: one catalog for everybody. */
  isTenants: boolean
}

const ofOrganization = 'organization_id = :organization_id'
/** Everyone in the organization reads; only SQL functions write. */
const readOnly = {
  //       owner man mem view stranger anon service postgres
  select: '1 1 1 1 0 - 1 1',
  insert: '- - - - - - - 1',
  update: '- - - - - - - 1',
  delete: '- - - - - - - 1',
  isTenants: true,
}

/** Where events go may be a secret, and what was answered too. */
const managersRead = '1 1 0 0 0 - 1 1'

/** A table of synced rows: the platform's word, which nobody here may change. */
function synced(change: string): TableAccess {
  return {
    row: ofOrganization,
    newRow:
      `(organization_id, integration_id, source, source_id) select :organization_id, :integration_id, 'sample-store', 'made up'`,
    change,
    ...readOnly,
  }
}

/** One of a stream that some platform takes; our organization's are only read, so that nobody's statement reaches them. */
function pushed(change: string): TableAccess {
  return { ...synced(change), update: '0 0 0 0 0 - 1 1', delete: '0 0 0 0 0 - 1 1' }
}

export const ACCESS: Record<string, TableAccess> = {
  organizations: {
    row: 'id = :organization_id',
    newRow: `(name) select 'Another'`,
    change: `name = 'Renamed'`,
    ...readOnly,
    update: '1 1 0 0 0 - - 1',
    delete: 'has_integrations 0 0 0 0 - - 1', // the owner may once its accounts are disconnected
  },
  organization_members: {
    row: `${ofOrganization} and role = 'viewer'`,
    newRow: `(organization_id, user_id, role) select :organization_id, :outsider_id, 'viewer'`,
    change: `role = 'member'`,
    ...readOnly,
    update: '1 1 0 0 0 - - 1',
    delete: '1 1 0 1 0 - - 1', // the viewer leaves
  },
  organization_invitations: {
    row: ofOrganization,
    newRow: `(organization_id, email, role) select :organization_id, 'new@example.com', 'member'`,
    change: `role = 'owner'`,
    ...readOnly,
    select: '1 1 0 0 0 - 1 1',
    delete: '1 1 0 0 0 - - 1',
  },
  activity_logs: {
    row: `${ofOrganization} and action = 'sync.completed'`,
    newRow: `(organization_id, actor_type, action) select :organization_id, 'system', 'made.up'`,
    change: `action = 'made.up'`,
    ...readOnly,
  },
  connectors: {
    row: `slug = 'sample-store'`,
    newRow:
      `(slug, name, description, category, docs_url, auth_types, settings_schema, credentials_schema, streams)
       select 'made-up', 'Made up', '', '', '', '{}', '{}', '{}', '[]'`,
    change: `name = 'Renamed'`,
    ...readOnly,
    select: '1 1 1 1 1 - 1 1',
    delete: '- - - - - - - foreign_key', // integrations were made with it
    isTenants: false,
  },
  integrations: {
    row: ofOrganization,
    newRow: `(organization_id, connector, name) select :organization_id, 'sample-store', 'By hand'`,
    change: `settings = '{}'`,
    ...readOnly,
  },
  sync_streams: {
    row: ofOrganization,
    newRow:
      `(integration_id, organization_id, stream) select :integration_id, :organization_id, 'orders'`,
    change: `enabled = false`,
    ...readOnly,
    update: '1 1 0 0 0 - - 1',
  },
  sync_logs: {
    row: ofOrganization,
    newRow:
      `(organization_id, integration_id, stream, sync_type, mode) select :organization_id, :integration_id, 'products', 'manual', 'full'`,
    change: `created_count = 1000`,
    ...readOnly,
  },
  sync_errors: {
    row: ofOrganization,
    newRow: `(organization_id, integration_id, stream, source_key, payload, code, message)
       select :organization_id, :integration_id, 'products', 'made up', '{}', 'invalid_record', ''`,
    change: `payload = '{"name": "repaired"}'`,
    ...readOnly,
    select: '1 1 1 0 0 - 1 1', // payloads are raw records: not for viewers
    update: '1 1 0 0 0 - - 1',
  },
  sync_conflicts: {
    row: ofOrganization,
    newRow:
      `(organization_id, integration_id, stream, record_id, source_id, kind, local_changed_at, remote_changed_at, policy, decision)
       select :organization_id, :integration_id, 'contacts', gen_random_uuid(), 'made up', 'both_changed', now(), now(), 'local_wins', 'local'`,
    change: `decision = 'remote'`,
    ...readOnly,
  },
  products: pushed(`name = 'Renamed'`),
  contacts: pushed(`full_name = 'Renamed'`),
  people: {
    row: ofOrganization,
    newRow:
      `(id, organization_id, email) select gen_random_uuid(), :organization_id, 'made-up@example.com'`,
    change: `full_name = 'Renamed'`,
    ...readOnly,
  },
  media_assets: {
    row: ofOrganization,
    newRow: `(organization_id, content_hash, content_type, byte_size, storage_path)
       select :organization_id, repeat('b', 64), 'image/png', 1, concat(:organization_id, '/bb/', repeat('b', 64), '.png')`,
    change: `content_type = 'image/gif'`,
    ...readOnly,
  },
  media_sources: {
    row: ofOrganization,
    newRow: `(organization_id, url) select :organization_id, 'https://images.example/made-up.png'`,
    change: `run_at = now()`,
    ...readOnly,
  },
  messages: synced(`is_read = true`),
  social_posts: synced(`body_text = 'Rewritten'`),
  orders: synced(`description = 'Rewritten'`),
  analytics: {
    ...synced(`value = '1000'`),
    newRow: `(organization_id, integration_id, source, source_id, day, metric, value)
       select :organization_id, :integration_id, 'sample-store', 'made up', '2026-01-01', 'opens', '1'`,
  },
  records: synced(`name = 'Renamed'`),
  event_types: {
    row: `name = 'webhook.test'`,
    newRow: `(name, description, data_schema, example) select 'made.up', '', '{}', '{}'`,
    change: `description = 'Renamed'`,
    ...readOnly,
    select: '1 1 1 1 1 - 1 1',
    isTenants: false,
  },
  events: {
    row: `${ofOrganization} and type = 'seeded.event'`,
    newRow: `(organization_id, type, data) select :organization_id, 'made.up', '{}'`,
    change: `data = '{"made": "up"}'`,
    ...readOnly,
    select: '1 1 1 0 0 - 1 1', // a webhook's body may be in one: not for viewers
  },
  app_webhooks: {
    row: ofOrganization,
    newRow:
      `(organization_id, url, event_types) select :organization_id, 'https://hooks.example/made-up', '{*}'`,
    change: `url = 'https://hooks.example/elsewhere'`,
    ...readOnly,
    select: managersRead,
  },
  webhook_deliveries: {
    row: ofOrganization,
    newRow: `(organization_id, endpoint_id, event_id, event_created_at, event_type)
       select :organization_id, gen_random_uuid(), gen_random_uuid(), now(), 'made.up'`,
    change: `status = 'queued', finished_at = null`,
    ...readOnly,
    select: managersRead,
  },
  webhook_attempts: {
    row: ofOrganization,
    newRow: `(organization_id, endpoint_id, event_id, attempt_number)
       select :organization_id, gen_random_uuid(), gen_random_uuid(), 1`,
    change: `response_body = 'Rewritten'`,
    ...readOnly,
    select: managersRead,
  },
  app_instances: {
    row: ofOrganization,
    newRow: `(organization_id, app, name) select :organization_id, 'booking', 'Made up'`,
    change: `status = 'disabled'`,
    ...readOnly,
  },
  webhook_events: {
    row: ofOrganization,
    newRow: `(organization_id, integration_id, connector, type, body)
       select :organization_id, :integration_id, 'sample-store', 'made.up', '{}'`,
    change: `status = 'processed'`,
    ...readOnly,
    select: '1 1 1 0 0 - 1 1', // bodies are raw: not for viewers
  },
  webhook_subscriptions: {
    row: ofOrganization,
    newRow:
      `(integration_id, organization_id, name) select :integration_id, :organization_id, 'made up'`,
    change: `status = 'pending'`,
    ...readOnly,
  },
}

/** Streams that some platform takes: whoever may write them at all gives the integration and these columns. */
export const PUSHED_STREAMS = ['contacts', 'products'] as const

/** Columns that signed-in people may update; where row level security lets them. */
export const UPDATABLE_COLUMNS: Record<string, string[]> = {
  organizations: ['name'],
  organization_members: ['role'],
  sync_streams: [
    'batch_size',
    'conflict_policy',
    'direction',
    'enabled',
    'filter',
    'full_sync_interval_minutes',
    'mass_delete_percent',
    'merge_fields',
    'push_batch_size',
    'push_deletes',
    'record_events',
    'retry_pauses_s',
  ],
  sync_errors: ['payload', 'resolution', 'resolved_at'],
}

/** Who may execute what, beside its owner; every other function is nobody's. */
export const EXECUTABLE: Record<'authenticated' | 'service_role', string[]> = {
  authenticated: [
    'private.accept_invitation(text)',
    'private.create_organization(text)',
    'private.emit_app_event(uuid, text, jsonb, text)',
    'private.invite_member(uuid, text, text)',
    'private.normalize_email(text)',
    'private.organization_ids(text)',
    'private.person_id(uuid, text)',
    'private.pushing_integrations(text)',
    'private.webhook_endpoint_ids()',
    'public.accept_invitation(text)',
    'public.create_organization(text)',
    'public.emit_event(uuid, text, jsonb, text)',
    'public.invite_member(uuid, text, text)',
    'public.overturn_conflict(uuid)',
    'public.preview_push(uuid, text)',
  ],
  service_role: [
    'private.emit_app_event(uuid, text, jsonb, text)',
    'private.normalize_email(text)',
    'private.person_id(uuid, text)',
    'public.acquire_request(text, numeric, integer, numeric, jsonb, integer)',
    'public.answer_wake(text)',
    'public.apply_records(uuid, text, jsonb, jsonb, text)',
    'public.begin_action(uuid, text, text, text, uuid, uuid)',
    'public.begin_app_subscription(text, uuid, text, uuid[])',
    'public.begin_grant_revocation(uuid, uuid)',
    'public.begin_oauth(text, uuid, uuid, text, uuid, text, jsonb, integer, text, text, text, text, text)',
    'public.begin_token_refresh(uuid, integer, uuid, boolean, jsonb)',
    'public.begin_webhook_subscription(uuid, uuid, text)',
    'public.claim_app_subscriptions(integer)',
    'public.claim_due_checks(integer)',
    'public.claim_images(uuid, integer, integer)',
    'public.claim_outbound_changes(uuid, uuid, integer)',
    'public.claim_sync_run(uuid, uuid, integer)',
    'public.claim_webhook_deliveries(uuid, integer, integer, integer, boolean)',
    'public.claim_webhook_events(uuid, integer, integer, integer)',
    'public.claim_webhook_subscriptions(integer, integer)',
    'public.claim_webhook_subscriptions_of(uuid, integer)',
    'public.connect_integration(uuid, text, text, text, jsonb, jsonb, integer, uuid, text, timestamp with time zone, jsonb, text[], jsonb, boolean)',
    'public.connect_oauth_integration(uuid, text, text, text, jsonb, jsonb, text[], integer, uuid, uuid, text, integer, text, text, jsonb, timestamp with time zone)',
    'public.create_webhook_endpoint(uuid, text, jsonb, text, text, jsonb, uuid, uuid)',
    'public.delete_absent(uuid, uuid, text[], jsonb, boolean)',
    'public.delete_app_instance(uuid, uuid)',
    'public.delete_webhook_endpoint(uuid, uuid)',
    'public.describe_webhook_receiver(uuid)',
    'public.disconnect_integration(uuid, boolean, uuid, boolean, boolean, boolean, uuid)',
    'public.emit_event(uuid, text, jsonb, text)',
    'public.end_webhook_subscriptions(uuid, uuid, boolean, boolean)',
    'public.fail_token_refresh(uuid, uuid, jsonb, boolean, boolean, integer)',
    'public.find_integration(uuid, text, text)',
    'public.finish_action(uuid, text, jsonb, jsonb)',
    'public.finish_app_subscriptions(text, uuid, jsonb, integer, integer)',
    'public.finish_images(uuid, jsonb, boolean)',
    'public.finish_outbound_changes(uuid, uuid, jsonb)',
    'public.finish_sync_run(uuid, uuid, text, jsonb)',
    'public.finish_webhook_deliveries(uuid, jsonb)',
    'public.finish_webhook_events(uuid, jsonb, boolean)',
    'public.finish_webhook_subscriptions(uuid, uuid, jsonb, integer, integer)',
    'public.forget_app_subscriptions(text, uuid, uuid[], text)',
    'public.forget_webhook_subscription(uuid, uuid, text)',
    'public.has_media_asset(uuid, text)',
    'public.list_absent(uuid, uuid, text, integer)',
    'public.list_checkable_integrations(uuid)',
    'public.list_held_records(uuid, uuid, text[])',
    'public.list_open_sync_errors(uuid, text, uuid[], uuid, integer)',
    'public.next_sync_run_at()',
    'public.next_webhook_delivery_at()',
    'public.next_webhook_event_at()',
    'public.open_app_instance(uuid)',
    'public.open_integration(uuid, boolean)',
    'public.open_oauth(text, text)',
    'public.open_webhook_endpoints(uuid[])',
    'public.open_webhook_receiver(uuid)',
    'public.overturn_conflict(uuid)',
    'public.ping_webhook_endpoint(uuid, uuid)',
    'public.preview_push(uuid, text)',
    'public.read_sync_log(uuid)',
    'public.read_webhook_events(uuid[], uuid, uuid, text)',
    'public.receive_app_event(uuid, integer, text, text, jsonb, jsonb, text)',
    'public.receive_webhook(text, text, text, jsonb, jsonb, text, uuid, uuid, text[])',
    'public.receive_webhooks(jsonb)',
    'public.record_integration_check(uuid, jsonb, uuid)',
    'public.record_replay(uuid, jsonb)',
    'public.register_app_instance(uuid, text, text, text, uuid, uuid)',
    'public.release_sync_run(uuid, uuid, integer, jsonb)',
    'public.replay_webhook_deliveries(uuid, uuid[], text, timestamp with time zone, timestamp with time zone, uuid)',
    'public.replay_webhook_events(uuid, uuid, text, uuid[], text[], timestamp with time zone, timestamp with time zone, integer, uuid, uuid)',
    'public.report_request(text, text, integer)',
    'public.request_images(uuid, boolean, uuid)',
    'public.restart_sync_run(uuid, uuid, boolean)',
    'public.ring_delivery_worker(integer, boolean)',
    'public.ring_for_due_deliveries(integer)',
    'public.rotate_app_instance_secret(uuid, text, integer, uuid)',
    'public.rotate_webhook_secret(uuid, text, text, text, integer, uuid)',
    'public.save_app_subscription(text, uuid, text, text, uuid[])',
    'public.save_integration_token(uuid, text, timestamp with time zone, uuid)',
    'public.save_token_refresh(uuid, integer, text, integer, text, text, jsonb)',
    'public.save_webhook_subscription(uuid, uuid, text, jsonb, text)',
    'public.set_webhook_path_token(uuid, text, uuid, text)',
    'public.set_webhook_secret(uuid, text, integer, uuid)',
    'public.settle_outbound_changes(uuid, uuid, uuid[], jsonb, jsonb, jsonb)',
    'public.start_sync(uuid, text, text, text, boolean, uuid, boolean)',
    'public.update_app_instance(uuid, jsonb, uuid)',
    'public.update_integration(uuid, text, jsonb, jsonb, integer, boolean, uuid, text, timestamp with time zone, jsonb, text[], boolean, jsonb, boolean)',
    'public.update_webhook_endpoint(uuid, jsonb, text, jsonb, uuid)',
    'public.use_oauth_state(text, uuid, text, uuid)',
    'public.write_sync_page(uuid, uuid, text[], text[], jsonb, integer, jsonb, jsonb, jsonb, integer)',
  ],
}
