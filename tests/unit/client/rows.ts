// Rows as the Data API writes them, for tests that need one.
import type { Integration, SyncError, SyncLog } from '../../../src/index.ts'

export const organizationId = '0b4b3a52-7a05-4c07-9d3f-2f1f3b7a1c01'
export const integrationId = '6b1a3d0e-5a52-4a57-8d6a-0f9f3a3d6f02'
export const syncErrorId = '3c7d1a54-1b7e-4c3a-9a4e-8f6d2b1c0a04'
export const syncLogId = '9f0c6f0a-33a0-4d4f-8a3e-5f2f1d0b7a03'

const createdAt = '2026-11-20T09:00:00.123456+00:00'

export function integrationRow(changes: Partial<Integration> = {}): Integration {
  return {
    id: integrationId,
    organization_id: organizationId,
    connector: 'treez',
    external_account_id: 'downtown',
    name: 'Downtown store',
    status: 'connected',
    settings: { dispensary: 'downtown' },
    account: {},
    sync_interval_minutes: 60,
    webhooks: null,
    consecutive_failures: 0,
    last_error: null,
    last_synced_at: null,
    last_checked_at: null,
    connected_at: createdAt,
    disconnected_at: null,
    credentials_kept_until: null,
    created_at: createdAt,
    updated_at: createdAt,
    ...changes,
  }
}

export function syncLogRow(changes: Partial<SyncLog> = {}): SyncLog {
  const status = changes.status ?? 'queued'
  const isFinished = status !== 'queued' && status !== 'running'
  return {
    id: syncLogId,
    organization_id: organizationId,
    integration_id: integrationId,
    stream: 'products',
    sync_type: 'manual',
    mode: 'full',
    status,
    fetched_count: 0,
    created_count: 0,
    updated_count: 0,
    unchanged_count: 0,
    deleted_count: 0,
    error_count: 0,
    pushed_count: 0,
    conflict_count: 0,
    failed_count: 0,
    error: null,
    requested_by: null,
    started_at: status === 'queued' ? null : createdAt,
    finished_at: isFinished ? '2026-11-20T09:00:42.5+00:00' : null,
    duration_ms: isFinished ? 42_377 : null,
    attempt_count: status === 'queued' ? 0 : 1,
    created_at: createdAt,
    ...changes,
  }
}

export function syncErrorRow(changes: Partial<SyncError> = {}): SyncError {
  return {
    id: syncErrorId,
    organization_id: organizationId,
    integration_id: integrationId,
    stream: 'products',
    direction: 'pull',
    source_id: '17',
    sync_log_id: syncLogId,
    payload: { id: 17, name: '' },
    code: 'invalid_record',
    message: 'name: Too small',
    issues: [{ path: 'name', message: 'Too small' }],
    attempt_count: 1,
    created_at: createdAt,
    last_seen_at: createdAt,
    repaired_at: null,
    resolved_at: null,
    resolution: null,
    ...changes,
  }
}
