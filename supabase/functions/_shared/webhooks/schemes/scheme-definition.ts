// What has every scheme to say of itself?
import type { JWTVerifyGetKey } from 'jose'
import type {
  InboundRequest,
  ReceiverSecrets,
  RefusalReason,
  Refused,
  Verification,
} from '../scheme.ts'

/** Keys that platforms publish, as `jose` asks for them; made once and kept, since it remembers them. */
export type PublishedKeys = { google: JWTVerifyGetKey }

export type Scheme = {
  /** Headers, in lower case, that are kept with a webhook, so that it can be verified again. */
  headers: string[]
  /** What it looks at besides headers and body: that is kept too. */
  looksAt?: 'url' | 'path_token'
  verify(
    request: InboundRequest,
    secrets: ReceiverSecrets,
    now: Date,
    keys: PublishedKeys,
  ): Verification | Promise<Verification>
}

export const verified: Verification = { kind: 'verified' }

export const refused = (reason: RefusalReason): Refused => ({ kind: 'refused', reason })

export const isPost = ({ method }: InboundRequest) => method === 'POST'
