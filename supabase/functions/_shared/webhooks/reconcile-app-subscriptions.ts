// Makes what our app has subscribed at a platform equal to what the connected accounts need: nothing missing, nothing twice.
import type {
  AppSubscriptions,
  ListedAppWebhook,
  ListedPart,
  WantedPart,
} from '../connectors/vocabulary/app-subscriptions.ts'
import { AppError, isCode } from '../platform/errors.ts'
import type { Outside } from '../platform/outside.ts'
import type { AppSubscriptionCalls } from './app-subscription-calls.ts'
import { appLease, type ClaimedApp, type ConnectedAccount } from './claimed-app-subscriptions.ts'

/** How the app's own webhook stands, as a row of each account. */
export const APP_PART = 'app'

export type AppFailure = { accounts: ConnectedAccount[]; name: string; error: unknown }

export type AppReconciliation = {
  failures: AppFailure[]
  /** False where the time was up before all was done. */
  isDone: boolean
}

export type ReconcileAppParts = {
  outside: Pick<Outside, 'db' | 'clock' | 'log'>
  claimed: ClaimedApp
  declared: AppSubscriptions
  calls: AppSubscriptionCalls
  /** Of our app's door. */
  address: string
  /** The accounts that are to be told of. */
  wanted: ConnectedAccount[]
  /** Nothing is begun after this, in milliseconds since 1970. */
  until: number
}

/**
 * All is made under one lease, and the platform's list decides: a crash at any point leaves what the next run finds there.
 *
 * @throws what concerns the app as a whole, and `lease_lost`
 */
export async function reconcileAppSubscriptions(
  parts: ReconcileAppParts,
): Promise<AppReconciliation> {
  const { calls, address, wanted } = parts
  const listed = await calls.listWebhooks()
  const ours = listed.filter((webhook) => webhook.address === address)
  if (wanted.length === 0) {
    await removeAll(ours, parts)
    await forgetUnwanted(parts)
    return { failures: [], isDone: true }
  }

  const webhookId = await haveWebhook(ours, listed, parts)
  for (const { id } of ours) if (id !== webhookId) await calls.removeWebhook(id)
  const found = await calls.listParts(webhookId)
  const wantedParts = parts.declared.parts.wanted([
    ...new Set(wanted.map(({ external_account_id }) => external_account_id)),
  ])
  for (const one of found) {
    if (one.isOurs && !wantedParts.some((part) => isSame(part, one))) await calls.removePart(one.id)
  }
  await forgetUnwanted(parts)

  const reconciliation = await haveParts(wantedParts, found, webhookId, parts)
  await noteParts(APP_PART, webhookId, wanted.filter(({ is_live }) => is_live), parts)
  return reconciliation
}

/** @returns The id of our webhook, which works. */
async function haveWebhook(
  ours: ListedAppWebhook[],
  listed: ListedAppWebhook[],
  { outside, claimed, declared, calls, address }: ReconcileAppParts,
): Promise<string> {
  const lease = appLease(outside.db, claimed)
  const kept = ours.find(({ works }) => works) ?? ours[0]
  if (!kept) {
    if (declared.webhook.isOnlyOne && listed.length > 0) {
      throw new AppError('provider_rejected', {
        detail: 'The webhooks of our app there go to another address, which is left as it is: ' +
          'take it away on the app’s page.',
      })
    }
    await lease.begin()
    const id = await calls.createWebhook(address)
    await lease.save(id)
    outside.log.info('our app subscribed to webhooks', { connector: claimed.connector })
    return id
  }
  if (!kept.works) {
    await calls.repairWebhook(kept.id)
    const again = await calls.listWebhooks()
    if (!again.some(({ id, works }) => id === kept.id && works)) {
      throw new AppError('provider_rejected', {
        detail:
          'The platform does not find our address in order: is the signing secret the right one?',
      })
    }
  }
  if (claimed.external_id !== kept.id || claimed.creating_since !== null) await lease.save(kept.id)
  return kept.id
}

async function haveParts(
  wantedParts: WantedPart[],
  found: ListedPart[],
  webhookId: string,
  parts: ReconcileAppParts,
): Promise<AppReconciliation> {
  const { outside, calls, until } = parts
  const byKey = Map.groupBy(found, keyOf)
  const failures: AppFailure[] = []
  for (const part of wantedParts) {
    if (outside.clock.now().getTime() > until) return { failures, isDone: false }
    const accounts = accountsOf(part, parts.wanted)
    const there = byKey.get(keyOf(part)) ?? []
    try {
      await havePart(part, there, accounts, webhookId, parts)
      // another one of ours brings everything twice
      for (const { id, isOurs } of there.slice(1)) if (isOurs) await calls.removePart(id)
    } catch (error) {
      if (isCode(error, 'lease_lost')) throw error
      // what is for all accounts is the app's own trouble
      failures.push({ accounts, name: part.account === null ? APP_PART : part.name, error })
      // a platform that cannot now will not for the next one
      if (error instanceof AppError && error.next === 'retry') break
    }
  }
  return { failures, isDone: true }
}

async function havePart(
  part: WantedPart,
  [first]: ListedPart[],
  accounts: ConnectedAccount[],
  webhookId: string,
  parts: ReconcileAppParts,
): Promise<void> {
  const { outside, claimed, calls } = parts
  if (first) {
    if (!first.works) await calls.repairPart(first.id)
    if (part.account !== null) await noteParts(part.name, first.id, accounts, parts)
    return
  }
  const live = accounts.filter(({ is_live }) => is_live)
  if (live.length === 0) return
  const lease = appLease(outside.db, claimed)
  const ids = live.map(({ integration_id }) => integration_id)
  if (part.account !== null) await lease.beginPart(part.name, ids)
  const id = await calls.createPart(part, webhookId)
  if (part.account !== null) await lease.savePart(part.name, ids, id)
}

/** Writes down what is there, for those of whom it is not written yet. */
async function noteParts(
  name: string,
  externalId: string,
  accounts: ConnectedAccount[],
  { outside, claimed }: ReconcileAppParts,
): Promise<void> {
  const unnoted = accounts.filter(({ subscriptions }) =>
    !subscriptions.some((known) =>
      known.name === name && known.external_id === externalId && known.status === 'active' &&
      known.creating_since === null
    )
  )
  if (unnoted.length === 0) return
  const ids = unnoted.map(({ integration_id }) => integration_id)
  await appLease(outside.db, claimed).savePart(name, ids, externalId)
}

/** With the last account the app's webhook goes too, its parts first. */
async function removeAll(
  ours: ListedAppWebhook[],
  { outside, claimed, calls }: ReconcileAppParts,
): Promise<void> {
  for (const { id } of ours) {
    for (const part of await calls.listParts(id)) if (part.isOurs) await calls.removePart(part.id)
    await calls.removeWebhook(id)
  }
  await appLease(outside.db, claimed).save(null)
}

async function forgetUnwanted({ outside, claimed, wanted }: ReconcileAppParts): Promise<void> {
  const unwanted = claimed.accounts.filter(({ integration_id, subscriptions }) =>
    subscriptions.length > 0 && !wanted.some((one) => one.integration_id === integration_id)
  )
  if (unwanted.length === 0) return
  await appLease(outside.db, claimed).forget(unwanted.map(({ integration_id }) => integration_id))
}

const accountsOf = ({ account }: WantedPart, wanted: ConnectedAccount[]) =>
  wanted.filter(({ external_account_id }) => account === null || external_account_id === account)

const keyOf = ({ name, account }: WantedPart) => JSON.stringify([account, name])
const isSame = (one: WantedPart, other: WantedPart) => keyOf(one) === keyOf(other)
