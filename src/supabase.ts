// What the app hands in, and what each call can be told.
import type { SupabaseClient } from '@supabase/supabase-js'

/** Any client of the app, whatever database types and schema it was made with. */
// deno-lint-ignore no-explicit-any -- the only type to which every client is assignable
export type AppSupabaseClient = SupabaseClient<any, any, any, any, any>

export type CallOptions = {
  /** Ends the call; it then answers `aborted`. What the server already began goes on. */
  signal?: AbortSignal | undefined
}
