// Where does the authorization server keep codes, tokens and grants? In memory, on the simulator's clock.
import type { Adapter, AdapterPayload } from 'oidc-provider'

export type StoredModel = 'AccessToken' | 'RefreshToken' | 'AuthorizationCode' | 'Grant'

export type TokenStore = {
  /** What `oidc-provider` takes as `adapter`. */
  adapter(model: string): Adapter
  /** As stored, whether expired or not: `exp` lies in the past or in the future of the real clock, as it should. */
  read(model: StoredModel, id: string): AdapterPayload | null
  /** Ids of a model's entries that belong to the grant. */
  idsOf(model: StoredModel, grant: string): string[]
  /** Lets an entry expire now. */
  expire(model: StoredModel, id: string): void
  remove(model: StoredModel, id: string): void
}

type Entry = { payload: AdapterPayload; expiresAt: number }

/**
 * `oidc-provider` judges expiry by `Date.now()`. To follow another clock without touching that global, an entry keeps
 * when it expires by `now`, and each reading says as `exp` what is left until then, counted from the real present.
 * Nothing is evicted: an expired code has to be told from an unknown one.
 */
export function tokenStore(now: () => number): TokenStore {
  const models = new Map<string, Map<string, Entry>>()
  const entriesOf = (model: string) => {
    const entries = models.get(model) ?? new Map<string, Entry>()
    models.set(model, entries)
    return entries
  }
  const shown = (entry: Entry | undefined): AdapterPayload | undefined => {
    if (!entry || entry.expiresAt === Infinity) return entry?.payload
    const left = Math.ceil((entry.expiresAt - now()) / 1000)
    return { ...entry.payload, exp: left > 0 ? Math.floor(Date.now() / 1000) + left : 1 }
  }
  const belonging = (model: string, grant: string) =>
    [...entriesOf(model)].filter(([, { payload }]) => payload.grantId === grant).map(([id]) => id)

  return {
    adapter(model) {
      const entries = entriesOf(model)
      return {
        upsert: (id, payload, seconds = Infinity) =>
          done(entries.set(id, { payload, expiresAt: now() + seconds * 1000 })),
        find: (id) => Promise.resolve(shown(entries.get(id))),
        findByUid: (uid) => {
          const found = [...entries.values()].find(({ payload }) => payload.uid === uid)
          return Promise.resolve(shown(found))
        },
        findByUserCode: () => Promise.resolve(undefined), // codes to type in are the device flow's
        consume: (id) => {
          const entry = entries.get(id)
          if (entry) entry.payload.consumed = Math.floor(Date.now() / 1000)
          return Promise.resolve()
        },
        destroy: (id) => done(entries.delete(id)),
        revokeByGrantId: (grant) => done(belonging(model, grant).map((id) => entries.delete(id))),
      }
    },
    read: (model, id) => shown(entriesOf(model).get(id)) ?? null,
    idsOf: belonging,
    expire(model, id) {
      const entry = entriesOf(model).get(id)
      if (entry) entry.expiresAt = 0
    },
    remove: (model, id) => void entriesOf(model).delete(id),
  }
}

/** The server awaits its store; this one is done by then. */
const done = (_work: unknown) => Promise.resolve()
