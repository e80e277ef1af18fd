// The calls by which an account's webhook subscriptions are listed, made, renewed and ended at its platform.
import type { Account } from '../connectors/account.ts'
import type {
  ListedSubscription,
  MadeSubscription,
  Subscriptions,
  WantedSubscription,
} from '../connectors/vocabulary/subscriptions.ts'
import { AppError } from '../platform/errors.ts'

const MOST_PAGES = 100

export type SubscriptionCalls = {
  /** Those that lead to our address, with whatever end. */
  listOurs(): Promise<ListedSubscription[]>
  /** Sent once only: what became of a lost answer is for the next list to say. */
  create(wanted: WantedSubscription, address: string): Promise<MadeSubscription>
  /** @returns When it ends now; null where it does not. */
  renew(id: string): Promise<string | null>
  remove(id: string): Promise<void>
}

/** @param address The integration's own, without an unguessable end. */
export function subscriptionCalls(
  declared: Subscriptions,
  { call }: Pick<Account, 'call'>,
  address: string,
): SubscriptionCalls {
  return {
    async listOurs() {
      const ours: ListedSubscription[] = []
      let after: string | null = null
      for (let page = 0; page < MOST_PAGES; page++) {
        const { body } = await call(declared.list(after))
        const { subscriptions, next } = declared.readList(body)
        ours.push(...subscriptions.filter((one) => leadsTo(one.address, address)))
        if (next === null) return ours
        if (next === after) break
        after = next
      }
      throw new AppError('provider_bad_answer', {
        detail: 'The list of webhook subscriptions has no end.',
      })
    },
    async create(wanted, to) {
      const { body } = await call(declared.create(wanted, to), { repeatable: false })
      return declared.readCreated(body)
    },
    async renew(id) {
      if (!declared.renewal) return null
      const { body } = await call(declared.renewal.call(id))
      return declared.renewal.expiresAt(body)
    },
    async remove(id) {
      await call(declared.remove(id))
    },
  }
}

const leadsTo = (address: string, ours: string) =>
  address === ours || address.startsWith(`${ours}/`)
