// What serves REST, Auth and Storage? Supabase Lite over the stack's Postgres, made as strict as hosted.
import { App, InMemoryEmailDriver, setExperimental } from '@supabase/lite'
import type { StackKeys } from './data-dir.ts'
import { createFileStorage } from './file-storage.ts'
import { openPool } from './pool.ts'
import { StrictConnection } from './rest-connection.ts'
import { LosableConnection } from './rest-own-connections.ts'

export type RestAuth = {
  fetch(request: Request): Promise<Response>
  /** Makes tables and functions created since the last call known to REST. DDL calls it by itself. */
  reloadSchema(): Promise<void>
  stop(): Promise<void>
}

export type RestAuthOptions = {
  /** As `authenticator`: answers requests after switching to the caller's role. */
  dbUrl: string
  /** As the superuser: reads the catalog, of which `authenticator` sees nothing. */
  adminDbUrl: string
  keys: StackKeys
  siteUrl: string
  /** Where Storage keeps its objects. */
  storageDir: string
  log: (line: string) => void
}

export async function startRestAuth(options: RestAuthOptions): Promise<RestAuth> {
  const { keys, log } = options
  const catalog = new LosableConnection(options.adminDbUrl, { max: 1 })
  const connection = new StrictConnection(options.dbUrl, catalog)
  const app = new App({
    connection,
    auth: {
      enabled: true,
      publishable_key: keys.publishableKey,
      secret_key: keys.secretKey,
      jwt_secret: keys.jwtSecret,
      site_url: options.siteUrl,
      email: { enable_confirmations: false },
    },
    storage: { enabled: true },
    options: { drivers: { email: new InMemoryEmailDriver() } },
  })
  app._storageAdapter = createFileStorage(options.storageDir)
  await app.init()
  // After init, which warns about it at length. Without, /storage/v1 answers 404.
  setExperimental('storage', true)

  let reloading: Promise<void> | null = null
  const reloadSchema = () => reloading ??= connection.reload().finally(() => reloading = null)
  await reloadSchema()

  // Hosted's PostgREST listens to the same channel; bootstrap.sql notifies it after each DDL.
  const listener = openPool(options.adminDbUrl, { max: 1 })
  await listener.listen('pgrst', () => {
    reloadSchema().catch((error) => log(`rest: the schema could not be read: ${error}`))
  })

  return {
    fetch: (request) => Promise.resolve(app.fetch(request)),
    reloadSchema,
    async stop() {
      await listener.end({ timeout: 1 })
      // A connection closed while it reads the catalog for a late DDL would never be done closing.
      await reloading?.catch(() => {})
      // Nor would one with requests still waiting for their turn, which killed functions leave behind.
      await Promise.all([connection, catalog].map(({ driver }) => driver.end({ timeout: 1 })))
    },
  }
}
