// Where does a stack keep what must survive a restart? The data directory: its paths and its keys.
import { randomBytes, randomUUID } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { isReachable, openFolder, type UnixUser } from './reachable.ts'
import { exportJWK, generateKeyPair, type JWK } from 'jose'

/** Keys of one stack. They persist, so that a signed-in browser survives a restart. */
export type StackKeys = {
  /** Names the data directory's own folder outside of it, where one is needed. */
  id: string
  /** `sb_publishable_…`, for browsers. */
  publishableKey: string
  /** `sb_secret_…`, acts as `service_role`. */
  secretKey: string
  /** HS256 secret between the gateway and lite; no token signed with it leaves the stack. */
  jwtSecret: string
  /** Private ES256 key of user tokens, with its `kid`. */
  signingKey: JWK & { kid: string }
  /** What the database shows to wake a worker function. */
  workerToken: string
}

export type DataDir = {
  root: string
  postgres: string
  storage: string
  lockFile: string
  keys: StackKeys
}

/** Opens a data directory, creating it and its keys when it is new. */
export async function openDataDir(path: string, postgresUser: UnixUser | null): Promise<DataDir> {
  const root = resolve(path)
  // 711: Postgres runs as another user under root and has to pass through, not to look around.
  mkdirSync(root, { recursive: true })
  chmodSync(root, 0o711)
  const keys = await readOrCreateKeys(join(root, 'keys.json'))
  return {
    root,
    postgres: isReachable(dirname(root), postgresUser)
      ? join(root, 'postgres')
      : join(openFolder(`plugboard-${keys.id}`), 'postgres'),
    storage: join(root, 'storage'),
    lockFile: join(root, 'stack.pid'),
    keys,
  }
}

async function readOrCreateKeys(path: string): Promise<StackKeys> {
  if (existsSync(path)) return JSON.parse(readFileSync(path, 'utf8'))

  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  const keys: StackKeys = {
    id: randomUUID(),
    publishableKey: `sb_publishable_${randomBytes(24).toString('base64url')}`,
    secretKey: `sb_secret_${randomBytes(24).toString('base64url')}`,
    jwtSecret: randomBytes(48).toString('base64url'),
    signingKey: {
      ...(await exportJWK(privateKey)),
      kid: randomUUID(),
      alg: 'ES256',
      use: 'sig',
    },
    workerToken: randomBytes(32).toString('base64url'),
  }
  writeFileSync(path, JSON.stringify(keys, null, 2), { mode: 0o600 })
  return keys
}
