// Makes what a platform has subscribed for an integration equal to what it should have: nothing missing, nothing twice.
import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type {
  ListedSubscription,
  MadeSubscription,
  Subscriptions,
  WantedSubscription,
} from '../connectors/vocabulary/subscriptions.ts'
import { isCode } from '../platform/errors.ts'
import type { Outside } from '../platform/outside.ts'
import {
  type ClaimedSubscriptions,
  type KnownSubscription,
  subscriptionLease,
} from './claimed-subscriptions.ts'
import { setPathToken, takeBackPathToken } from './manage-receiver.ts'
import { hashOfToken } from './receiver.ts'
import type { SubscriptionCalls } from './subscription-calls.ts'

export type Reconciliation = {
  /** When the first of them has to be renewed; null: none ends. */
  renewAt: string | null
  failures: { name: string; error: unknown }[]
}

export type ReconcileParts = {
  outside: Pick<Outside, 'db' | 'clock' | 'log'>
  claimed: ClaimedSubscriptions
  declared: Subscriptions
  calls: SubscriptionCalls
  /** The integration's own, without an unguessable end. */
  address: string
}

/**
 * A crash at any point leaves at most one too many, which the next run finds by its address: one whose secret nobody
 * kept is removed and made again.
 *
 * @throws what listing them throws, and `lease_lost` or `integration_disconnected`
 */
export async function reconcileSubscriptions(
  wanted: WantedSubscription[],
  parts: ReconcileParts,
): Promise<Reconciliation> {
  const { claimed, calls, outside } = parts
  const ours = await calls.listOurs()
  const failures: Reconciliation['failures'] = []
  const renewals: string[] = []

  for (const want of wanted) {
    try {
      const renewAt = await reconcileOne(
        want,
        ours.filter(({ name }) => name === want.name),
        parts,
      )
      if (renewAt !== null) renewals.push(renewAt)
    } catch (error) {
      if (isOvertaken(error)) throw error
      failures.push({ name: want.name, error })
    }
  }

  const lease = subscriptionLease(outside.db, claimed)
  for (const known of claimed.subscriptions) {
    if (wanted.some(({ name }) => name === known.name)) continue
    // what somebody made by hand at our address is theirs
    const made = ours.filter(({ id, name }) =>
      id === known.external_id && !known.made_by_hand ||
      name === known.name && known.creating_since !== null
    )
    for (const { id } of made) await calls.remove(id)
    await lease.forget(known.name)
  }
  return { renewAt: renewals.sort()[0] ?? null, failures }
}

/** @returns When it has to be renewed. */
async function reconcileOne(
  want: WantedSubscription,
  found: ListedSubscription[],
  parts: ReconcileParts,
): Promise<string | null> {
  const { claimed, calls, outside } = parts
  const known = claimed.subscriptions.find(({ name }) => name === want.name)
  const asWanted = found.filter((one) => isAsWanted(one, want, known, parts))
  const kept = asWanted.find(({ id }) => id === known?.external_id) ?? asWanted[0]
  if (kept) {
    for (const { id } of found) if (id !== kept.id) await calls.remove(id)
    return await keep(kept, want, known, parts)
  }

  // what sends nothing that we could believe only takes a place at the platform
  const sends = found.filter((one) => one.works && one.id === known?.external_id)
  for (const one of found) if (!sends.includes(one)) await calls.remove(one.id)
  const renewAt = await create(want, parts)
  // the one before has been sending until now
  for (const { id } of sends) await calls.remove(id)
  outside.log.info('subscribed to webhooks', {
    integration_id: claimed.integration_id,
    subscription: want.name,
  })
  return renewAt
}

function isAsWanted(
  one: ListedSubscription,
  want: WantedSubscription,
  known: KnownSubscription | undefined,
  { claimed, declared, address, outside }: ReconcileParts,
): boolean {
  const hasEnded = one.expires_at !== null &&
    Date.parse(one.expires_at) <= outside.clock.now().getTime()
  if (!one.works || hasEnded) return false
  const end = one.address.slice(address.length + 1)
  const isOurEnd = declared.proof === 'address'
    ? claimed.path_token_hash !== null && hashOfToken(end) === claimed.path_token_hash
    : end === ''
  if (!isOurEnd) return false
  if (one.id === known?.external_id) {
    if (known.made_by_hand && declared.proof === 'address') return true
    const isBelieved = declared.proof !== 'shown-once' ||
      (known.made_by_hand ? claimed.has_secret : known.secret_counts)
    return isBelieved && known.spec_hash === specHash(want)
  }
  // made by hand, with a secret that a manager gave us; one of ours whose answer was lost has a secret nobody knows
  if (declared.proof === 'shown-once') return known === undefined && claimed.has_secret
  return isByHand(declared, known) || isDeepStrictEqual(one.spec, want.spec)
}

/**
 * Whether somebody else made one that we can believe and have not made: with the address that a manager was shown, or the
 * secret they gave us. What it asks for is then their choice.
 */
const isByHand = ({ proof }: Subscriptions, known: KnownSubscription | undefined): boolean =>
  proof === 'shown-once' || proof === 'address' && (known?.creating_since ?? null) === null

/** @returns When it has to be renewed. */
async function keep(
  one: ListedSubscription,
  want: WantedSubscription,
  known: KnownSubscription | undefined,
  { outside, claimed, declared, calls }: ReconcileParts,
): Promise<string | null> {
  const now = outside.clock.now()
  const isSaved = known?.external_id === one.id
  const isDue = declared.renewal !== undefined && one.expires_at !== null &&
    !(isSaved && known.renew_at !== null && Date.parse(known.renew_at) > now.getTime())
  const expires_at = isDue ? await calls.renew(one.id) : isSaved ? known.expires_at : one.expires_at
  const renew_at = isDue || !isSaved ? halfway(now, expires_at) : known.renew_at
  const isAsNoted = isSaved && !isDue && known.status === 'active' && known.creating_since === null
  if (isAsNoted) return renew_at
  await subscriptionLease(outside.db, claimed).save(want.name, {
    external_id: one.id,
    spec_hash: specHash(want),
    expires_at,
    renew_at,
    made_by_hand: isSaved ? known.made_by_hand : isByHand(declared, known),
  })
  return renew_at
}

async function create(
  want: WantedSubscription,
  parts: ReconcileParts,
): Promise<string | null> {
  const { outside, claimed, declared, calls, address } = parts
  const lease = subscriptionLease(outside.db, claimed)
  await lease.begin(want.name)
  const made = declared.proof === 'address'
    ? await createAtAnotherAddress(want, parts)
    : await calls.create(want, address)
  const renew_at = halfway(outside.clock.now(), made.expires_at)
  try {
    await lease.save(want.name, {
      external_id: made.id,
      spec_hash: specHash(want),
      expires_at: made.expires_at,
      renew_at,
      made_by_hand: false,
    }, made.secret)
  } catch (error) {
    // whoever disconnected could not know of it
    const isGone = isCode(error, 'integration_disconnected')
    if (isGone) await calls.remove(made.id)
    throw error
  }
  return renew_at
}

/** At the address with another unguessable end, which answers the platform that looks whether it is ours. */
async function createAtAnotherAddress(
  want: WantedSubscription,
  { outside, claimed, calls, address }: ReconcileParts,
): Promise<MadeSubscription> {
  const { integration_id, path_token_hash } = claimed
  const { token } = await setPathToken(outside, integration_id)
  if (path_token_hash === null) return await calls.create(want, `${address}/${token}`)
  try {
    await outside.clock.sleep(DOOR_LOOKS_AGAIN_MS)
    return await calls.create(want, `${address}/${token}`)
  } catch (error) {
    // what is there already goes on to be believed; should this one be there after all, the next run removes it
    await takeBackPathToken(outside, integration_id, { token, before: path_token_hash })
    throw error
  }
}

/** A door that read the end before does so again for a call that it refuses, but not within a second. */
const DOOR_LOOKS_AGAIN_MS = 1_200

/**
 * Before the account is forgotten: ends whatever leads to it, since nothing that it sends would be believed.
 *
 * @throws what the calls throw, once each was made
 */
export async function endSubscriptionsOf({ calls }: Pick<ReconcileParts, 'calls'>): Promise<void> {
  const errors: unknown[] = []
  for (const { id } of await calls.listOurs()) {
    await calls.remove(id).catch((error: unknown) => errors.push(error))
  }
  if (errors.length > 0) throw errors[0]
}

/** Half of its life is left for whatever may go wrong. */
function halfway(now: Date, expiresAt: string | null): string | null {
  if (expiresAt === null) return null
  const left = Date.parse(expiresAt) - now.getTime()
  return new Date(now.getTime() + left / 2).toISOString()
}

const specHash = ({ spec }: WantedSubscription) =>
  createHash('sha256').update(JSON.stringify(spec)).digest('hex')

export const isOvertaken = (error: unknown): boolean =>
  isCode(error, 'lease_lost', 'integration_disconnected')
