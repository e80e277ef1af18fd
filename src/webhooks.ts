// Outbound webhooks: where an organization's events are sent, and what became of each.
import { WebhookDeliveries } from './webhook-deliveries.ts'
import { WebhookEndpoints } from './webhook-endpoints.ts'
import type { AppSupabaseClient } from './supabase.ts'

export class Webhooks {
  /** Where events are sent. Owners and managers may read and change them. */
  readonly endpoints: WebhookEndpoints
  /** What was sent, and is to be sent again. Owners and managers may. */
  readonly deliveries: WebhookDeliveries

  constructor(supabase: AppSupabaseClient) {
    this.endpoints = new WebhookEndpoints(supabase)
    this.deliveries = new WebhookDeliveries(supabase)
  }
}
