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

export const ACCESS: Record<string, TableAccess> = {
  organizations: {
    row: 'id = :organization_id',
    newRow: `(name) select 'Another'`,
    change: `name = 'Renamed'`,
    ...readOnly,
    update: '1 1 0 0 0 - - 1',
    delete: '1 0 0 0 0 - - 1',
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
  products: synced(`name = 'Renamed'`),
  contacts: synced(`full_name = 'Renamed'`),
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
}

/** Columns that signed-in people may update; where row level security lets them. */
export const UPDATABLE_COLUMNS: Record<string, string[]> = {
  organizations: ['name'],
  organization_members: ['role'],
  sync_streams: [
    'batch_size',
    'enabled',
    'full_sync_interval_minutes',
    'mass_delete_percent',
  ],
  sync_errors: ['payload', 'resolution', 'resolved_at'],
}

/** Who may execute what, beside its owner; every other function is nobody's. */
export const EXECUTABLE: Record<'authenticated' | 'service_role', string[]> = {
  authenticated: [
    'private.accept_invitation(text)',
    'private.create_organization(text)',
    'private.invite_member(uuid, text, text)',
    'private.organization_ids(text)',
    'public.accept_invitation(text)',
    'public.create_organization(text)',
    'public.invite_member(uuid, text, text)',
  ],
  service_role: [
    'public.acquire_request(text, numeric, integer, numeric, jsonb, integer)',
    'public.answer_wake(text)',
    'public.apply_records(uuid, text, jsonb, jsonb, text)',
    'public.begin_action(uuid, text, text, text, uuid, uuid)',
    'public.begin_oauth(text, uuid, uuid, text, uuid, text, jsonb, integer, text, text, text, text, text)',
    'public.begin_token_refresh(uuid, integer, uuid, boolean, jsonb)',
    'public.claim_due_checks(integer)',
    'public.claim_images(uuid, integer, integer)',
    'public.claim_sync_run(uuid, uuid, integer)',
    'public.connect_integration(uuid, text, text, text, jsonb, jsonb, integer, uuid, text, timestamp with time zone, jsonb, text[])',
    'public.connect_oauth_integration(uuid, text, text, text, jsonb, jsonb, text[], integer, uuid, uuid, text, integer, text, text)',
    'public.delete_absent(uuid, uuid, text[], jsonb, boolean)',
    'public.disconnect_integration(uuid, boolean, uuid, boolean)',
    'public.fail_token_refresh(uuid, uuid, jsonb, boolean, boolean)',
    'public.finish_action(uuid, text, jsonb, jsonb)',
    'public.finish_images(uuid, jsonb, boolean)',
    'public.finish_sync_run(uuid, uuid, text, jsonb)',
    'public.has_media_asset(uuid, text)',
    'public.list_absent(uuid, uuid, text, integer)',
    'public.list_checkable_integrations(uuid)',
    'public.list_open_sync_errors(uuid, text, uuid[], uuid, integer)',
    'public.next_sync_run_at()',
    'public.open_integration(uuid)',
    'public.open_oauth(text, text)',
    'public.read_oauth_tokens(uuid)',
    'public.read_sync_log(uuid)',
    'public.record_integration_check(uuid, jsonb)',
    'public.record_replay(uuid, jsonb)',
    'public.release_sync_run(uuid, uuid, integer, jsonb)',
    'public.report_request(text, text, integer)',
    'public.request_images(uuid, boolean, uuid)',
    'public.restart_sync_run(uuid, uuid, boolean)',
    'public.save_integration_token(uuid, text, timestamp with time zone, uuid)',
    'public.save_token_refresh(uuid, integer, text, integer, text, text, jsonb)',
    'public.start_sync(uuid, text, text, text, boolean, uuid, boolean)',
    'public.update_integration(uuid, text, jsonb, jsonb, integer, boolean, uuid, text, timestamp with time zone, jsonb, text[])',
    'public.use_oauth_state(text, uuid, text, uuid)',
    'public.write_sync_page(uuid, uuid, text[], text[], jsonb, integer, jsonb, jsonb, jsonb, integer)',
  ],
}
