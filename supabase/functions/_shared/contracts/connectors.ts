// Connectors on the wire: what a front end needs to list them and to draw a connect form.
import { z } from 'zod'

/** JSON Schema, draft 2020-12. Secret fields carry `"format": "password"` and `"writeOnly": true`. */
export const JsonSchema = z.record(z.string(), z.unknown())
export type JsonSchema = z.infer<typeof JsonSchema>

/** One stream a connector offers. */
export const ConnectorStream = z.object({
  name: z.string(),
  direction: z.enum(['pull', 'push', 'both']), // pull: read from the platform; push: written there
  incremental: z.boolean(), // can ask only for what changed
  detects_deletes: z.boolean(), // notices what the platform no longer has
  /** How local changes go out; left out where they do not. */
  push: z.object({
    columns: z.array(z.string()), // the most that can be written; an account's settings may leave some out
    deletes: z.boolean(), // whether deletions can go out too
    key: z.enum(['email']).nullable(), // what a new record is known by: made twice with it, it is there once
  }).optional(),
})
export type ConnectorStream = z.infer<typeof ConnectorStream>

/** One thing an organization can do at the platform: `integrations.act`. */
export const ConnectorAction = z.object({
  name: z.string(),
  title: z.string(),
  description: z.string(),
  repeatable: z.boolean(), // sending it twice ends in the same state as once
  input_schema: JsonSchema,
  output_schema: JsonSchema,
})
export type ConnectorAction = z.infer<typeof ConnectorAction>

/** One outside platform: a row of `connectors`, written from the code. Its two schemas are the connect form. */
export const ConnectorInfo = z.object({
  slug: z.string().regex(/^[a-z0-9]+(-[a-z0-9]+)*$/),
  name: z.string(),
  description: z.string(),
  category: z.string(),
  docs_url: z.url(),
  /** Of `none`, `api_key`, `token_exchange`, `client_credentials`, `signed_request`, `oauth2`; several where a setting chooses. */
  auth_types: z.array(z.string()),
  settings_schema: JsonSchema,
  /**
   * An object, or `{ oneOf: […] }` where a setting chooses how to authenticate. Each branch then has
   * `x-when`, such as `{ "api_version": "v2" }`: draw the branch whose `x-when` the settings fulfil. Where
   * `x-auth-type` is `oauth2` there is nothing to fill in: the owner signs in at the platform.
   */
  credentials_schema: JsonSchema,
  /**
   * `sync_in:<stream>`: reads it; `sync_out:<stream>`: local changes can go out; `incremental:<stream>`: can ask only for what changed; `action:<name>`;
   * `webhooks`: hears of changes from the platform.
   */
  capabilities: z.array(z.string()),
  streams: z.array(ConnectorStream),
  actions: z.array(ConnectorAction),
  /** False: nothing new can be connected with it; it stays for the integrations made with it. */
  available: z.boolean(),
})
export type ConnectorInfo = z.infer<typeof ConnectorInfo>
