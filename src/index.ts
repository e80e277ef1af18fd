// Plugboard's client library: the integration backend of a Supabase project, for its front ends.
import { Apps } from './apps.ts'
import { Connectors } from './connectors.ts'
import { Events } from './events.ts'
import { Images } from './images.ts'
import { Integrations } from './integrations.ts'
import { Organizations } from './organizations.ts'
import type { AppSupabaseClient } from './supabase.ts'
import { Syncs } from './syncs.ts'
import { Webhooks } from './webhooks.ts'
import { WebhookEvents } from './webhook-events.ts'

export type {
  AppInstance,
  AppInstanceStatus,
  AppInstanceWithSecret,
} from '../supabase/functions/_shared/contracts/apps.ts'
export type { Condition } from '../supabase/functions/_shared/contracts/conditions.ts'
export type { ErrorSummary } from '../supabase/functions/_shared/contracts/contract.ts'
export type {
  ConnectorAction,
  ConnectorInfo,
  ConnectorStream,
  JsonSchema,
} from '../supabase/functions/_shared/contracts/connectors.ts'
export type { Event, EventTypeInfo } from '../supabase/functions/_shared/contracts/events.ts'
export type {
  ImageCounts,
  ImageType,
  MediaAsset,
  MediaSource,
  MediaSourceStatus,
} from '../supabase/functions/_shared/contracts/images.ts'
export type {
  ActionResult,
  Authorization,
  Integration,
  IntegrationCheck,
  IntegrationStatus,
} from '../supabase/functions/_shared/contracts/integrations.ts'
export type {
  SyncError,
  SyncLog,
  SyncMode,
  SyncResult,
  SyncStats,
  SyncStatus,
  SyncType,
} from '../supabase/functions/_shared/contracts/sync.ts'
export type {
  ConflictKind,
  PlannedChange,
  PushPreview,
  SyncConflict,
} from '../supabase/functions/_shared/contracts/sync-conflicts.ts'
export type {
  ConflictPolicy,
  RecordEvents,
  SyncDirection,
  SyncStream,
  SyncStreamSettings,
} from '../supabase/functions/_shared/contracts/sync-streams.ts'
export type {
  WebhookEvent,
  WebhookEventStatus,
  WebhookEventWithBody,
  WebhookReceiver,
  WebhookRefusal,
} from '../supabase/functions/_shared/contracts/webhook-events.ts'
export type { PostalAddress } from '../supabase/functions/_shared/contracts/contacts.ts'
export type { Attachment, Recipient } from '../supabase/functions/_shared/contracts/messages.ts'
export type { LineItem } from '../supabase/functions/_shared/contracts/orders.ts'
export type { PriceTier, ProductVariant } from '../supabase/functions/_shared/contracts/products.ts'
export type {
  WebhookAttempt,
  WebhookDelivery,
  WebhookDeliveryStatus,
  WebhookEndpoint,
  WebhookEndpointStatus,
  WebhookEndpointWithSecret,
  WebhookSignature,
} from '../supabase/functions/_shared/contracts/webhooks.ts'
export type {
  ErrorCode,
  FieldError,
  NextStep,
} from '../supabase/functions/_shared/platform/errors.ts'
export type { AppInstanceQuery } from './app-instances.ts'
export type { Database } from './database.types.ts'
export type { EventQuery } from './events.ts'
export type { MediaAssetQuery, MediaSourceQuery } from './images.ts'
export type { ConnectByCredentials, ConnectBySignIn, IntegrationQuery } from './integrations.ts'
export type { Invitation, Member, Organization, Role } from './organizations.ts'
export type { Page } from './read-page.ts'
export { PlugboardError, type PlugboardErrorCode, type Result } from './result.ts'
export type { AppSupabaseClient, CallOptions } from './supabase.ts'
export type { SyncConflictQuery } from './sync-conflicts.ts'
export type { ReplayResult, SyncErrorQuery, SyncLogQuery } from './syncs.ts'
export type { WatchOptions } from './watch-sync.ts'
export type { WebhookDeliveryQuery, WebhookDeliveryWithAttempts } from './webhook-deliveries.ts'
export type { WebhookEndpointQuery } from './webhook-endpoints.ts'
export type { WebhookEventQuery } from './webhook-events.ts'
export {
  Apps,
  Connectors,
  Events,
  Images,
  Integrations,
  Organizations,
  Syncs,
  WebhookEvents,
  Webhooks,
}

export type Plugboard = {
  organizations: Organizations
  integrations: Integrations
  syncs: Syncs
  connectors: Connectors
  images: Images
  events: Events
  webhooks: Webhooks
  webhookEvents: WebhookEvents
  apps: Apps
}

/**
 * Wraps the app's Supabase client. Every method answers `{ data, error }` and none throws, but that
 * `syncs.watch` passes on what the app's own `onProgress` throws.
 *
 * Calls are made as whoever is signed in at `supabase`, and under row level security: users see and
 * change what their role in an organization allows. Any number of these may share one client.
 *
 * An app that needs one noun only can leave the others out of its bundle: `new Syncs(supabase)`.
 *
 * @example
 * const plugboard = createPlugboard(createClient(url, publishableKey))
 * const { data: integrations, error } = await plugboard.integrations.list()
 */
export function createPlugboard(supabase: AppSupabaseClient): Plugboard {
  return {
    organizations: new Organizations(supabase),
    integrations: new Integrations(supabase),
    syncs: new Syncs(supabase),
    connectors: new Connectors(supabase),
    images: new Images(supabase),
    events: new Events(supabase),
    webhooks: new Webhooks(supabase),
    webhookEvents: new WebhookEvents(supabase),
    apps: new Apps(supabase),
  }
}
