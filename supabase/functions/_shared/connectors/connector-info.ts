// What do the catalog table, the connect form and the docs know about a connector? Derived, not written.
import { z } from 'zod'
import type { ConnectorInfo, JsonSchema } from '../contracts/connectors.ts'
import type { Connector } from './define-connector.ts'
import type { Auth } from './vocabulary/auth.ts'

/** What the code says of the row of `public.connectors`; the database adds whether it is available. */
export function connectorInfo(connector: Connector): Omit<ConnectorInfo, 'available'> {
  const streams = Object.values(connector.streams)
  const actions = Object.values(connector.actions)
  return {
    slug: connector.slug,
    name: connector.name,
    description: connector.description,
    category: connector.category,
    docs_url: connector.docs,
    auth_types: [...new Set(Object.values(connector.modes).map((mode) => mode.type))],
    settings_schema: jsonSchema(connector.settings),
    credentials_schema: credentialsSchema(connector),
    capabilities: [
      ...streams.flatMap(({ name, direction }) => direction === 'push' ? [] : [`sync_in:${name}`]),
      ...streams.flatMap(({ name, push }) => push ? [`sync_out:${name}`] : []),
      ...streams.flatMap((stream) => stream.incremental ? [`incremental:${stream.name}`] : []),
      ...actions.map((action) => `action:${action.name}`),
      ...(connector.webhooks ? ['webhooks'] : []),
      ...(connector.webhooks?.subscriptions ? ['webhook_subscriptions'] : []),
      ...(connector.webhooks?.appSubscriptions ? ['app_webhook_subscriptions'] : []),
    ],
    streams: streams.map((stream) => ({
      name: stream.name,
      direction: stream.direction,
      incremental: stream.incremental !== undefined,
      detects_deletes: stream.direction !== 'push', // what is read is scanned whole from time to time
      ...(stream.push
        ? {
          push: {
            columns: [...stream.push.columns],
            deletes: stream.push.remove !== undefined,
            key: stream.push.key,
          },
        }
        : {}),
    })),
    actions: actions.map(({ name, title, description, repeatable, input, output }) => ({
      name,
      title,
      description,
      repeatable,
      input_schema: jsonSchema(input),
      output_schema: jsonSchema(output),
    })),
  }
}

/** One schema, or `oneOf` with `x-when` where a setting chooses: see `ConnectorInfo`. */
function credentialsSchema({ modes, modeSetting }: Connector): JsonSchema {
  const schemas = Object.entries(modes)
  if (modeSetting === null) return schemaOf(schemas[0]![1])
  return {
    oneOf: schemas.map(([value, mode]) => ({
      title: value,
      'x-when': { [modeSetting]: value },
      ...schemaOf(mode),
    })),
  }
}

const schemaOf = ({ type, credentials }: Auth): JsonSchema => ({
  'x-auth-type': type,
  ...jsonSchema(credentials),
})

function jsonSchema(schema: z.ZodType): JsonSchema {
  // What a form has to send: fields with a default may be left out.
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
  return rest
}
