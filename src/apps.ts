// Business apps: software of the organization's own that sends it events.
import { AppInstances } from './app-instances.ts'
import type { AppSupabaseClient } from './supabase.ts'

export class Apps {
  /** Which apps may send events. Everyone in the organization reads them; owners and managers change them. */
  readonly instances: AppInstances

  constructor(supabase: AppSupabaseClient) {
    this.instances = new AppInstances(supabase)
  }
}
