// The settings functions run with, read once and checked: a malformed one is an error that names it.
import process from 'node:process'
import { z } from 'zod'

const httpUrl = z.url({ protocol: /^https?$/, error: 'must be an http or https address' })

const postgresUrl = z.string().regex(/^postgres(ql)?:\/\//, 'must be a postgres:// address')

/** JSON inside a variable. The message never quotes the value: it may be a secret. */
function json<Schema extends z.ZodType>(schema: Schema) {
  return z.string().transform((text, context) => {
    try {
      return JSON.parse(text) as unknown
    } catch {
      context.addIssue({ code: 'custom', message: 'is not valid JSON' })
      return z.NEVER
    }
  }).pipe(schema)
}

const ConnectorOverrides = z.record(z.string(), z.record(z.string(), httpUrl))
const OAuthClients = z.record(
  z.string(),
  z.object({
    client_id: z.string().min(1),
    client_secret: z.string().min(1).optional(),
    // for the webhooks that come to our app: see `AppSecrets`
    signing_secret: z.string().min(1).optional(),
    audience: z.string().min(1).optional(),
    service_account: z.email().optional(),
    // for subscribing our app to them
    app_id: z.union([
      z.int().positive().transform(String),
      z.string().regex(/^\d{1,19}$/, 'must be a number'),
    ]).optional(),
    developer_key: z.string().min(1).optional(),
    api_key: z.string().min(1).optional(),
  }),
)

const Environment = z.object({
  /** The project's address, as the platform sets it. */
  SUPABASE_URL: httpUrl,
  /** Where platforms reach the project, when not by its own address: behind a custom domain. */
  PLUGBOARD_PUBLIC_URL: httpUrl.optional(),
  /** Where set, engines use a direct pooled connection instead of the Data API. */
  PLUGBOARD_DATABASE_URL: postgresUrl.optional(),
  /** What the wake call shows to start a worker. Unset: nobody can. */
  PLUGBOARD_WORKER_TOKEN: z.string().min(16, 'must have at least 16 characters').optional(),
  /** `true` lets connectors call private addresses: for a local stack with simulators only. */
  PLUGBOARD_ALLOW_PRIVATE_NETWORKS: z.enum(['true', 'false'], {
    error: 'must be "true" or "false"',
  }).default('false').transform((text) => text === 'true'),
  /** Other addresses for connectors, by slug: `{ "treez": { "baseUrl": "http://127.0.0.1:4000" } }`. */
  CONNECTOR_OVERRIDES: json(ConnectorOverrides).default({}),
  /** Our OAuth apps, by slug: `{ "gmail": { "client_id": "…", "client_secret": "…" } }`. */
  OAUTH_CLIENTS: json(OAuthClients).default({}),
  /**
   * Pages that a sign-in may come back to, separated by commas: origins or beginnings of addresses, such as
   * `https://app.example.com/settings`. On 127.0.0.1, [::1] and localhost any port fits where none is named.
   */
  PLUGBOARD_RETURN_URLS: z.string().transform((text) =>
    text.split(',').map((entry) => entry.trim()).filter(Boolean)
  ).pipe(z.array(httpUrl)).default([]),
})
export type Environment = z.infer<typeof Environment>

/** A variable is missing or malformed. The message names it and never quotes its value. */
export class EnvironmentError extends Error {
  override readonly name = 'EnvironmentError'
  readonly variables: string[]

  constructor(problems: { variable: string; message: string }[]) {
    super(problems.map(({ variable, message }) => `${variable} ${message}`).join('; '))
    this.variables = [...new Set(problems.map(({ variable }) => variable))]
  }
}

/**
 * Reads and checks the settings. Throws an {@link EnvironmentError}.
 *
 * @param source Where they are; by default the process's own environment (Deno or Node).
 */
export function readEnvironment(source?: Record<string, string | undefined>): Environment {
  const values: Record<string, string | undefined> = {}
  for (const name of Object.keys(Environment.shape)) {
    const value = source ? source[name] : readVariable(name)
    if (value !== undefined && value !== '') values[name] = value // set to nothing means not set
  }
  const result = Environment.safeParse(values)
  if (result.success) return result.data
  throw new EnvironmentError(result.error.issues.map((issue) => {
    const [variable, ...rest] = issue.path.map(String)
    const message = values[variable ?? ''] === undefined ? 'is not set' : issue.message
    return { variable: variable ?? '', message: [...rest, message].join(' ') }
  }))
}

function readVariable(name: string): string | undefined {
  try {
    return process.env[name]
  } catch {
    return undefined // Deno throws for a variable its permissions hide, which is as good as not set
  }
}
