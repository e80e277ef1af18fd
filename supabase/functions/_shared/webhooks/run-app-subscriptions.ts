// Keeps our apps subscribed at the platforms where it is the app that subscribes, as long as accounts are connected.
import type { AppSubscriptions } from '../connectors/vocabulary/app-subscriptions.ts'
import { findConnector } from '../connectors/index.ts'
import type { Connector } from '../connectors/define-connector.ts'
import { answerInTime } from '../integrations/answer-in-time.ts'
import { describeFailure } from '../integrations/describe-failure.ts'
import { accountHttp } from '../integrations/open-integration.ts'
import { AppError, isCode } from '../platform/errors.ts'
import type { Outside } from '../platform/outside.ts'
import { workThroughDue } from '../platform/work-through-due.ts'
import { appSubscriptionCalls } from './app-subscription-calls.ts'
import { askedPause } from './asked-pause.ts'
import {
  appLease,
  type ClaimedApp,
  type ConnectedAccount,
  type PartFailure,
} from './claimed-app-subscriptions.ts'
import { areWebhooksWanted, receiverAddress } from './receiver-address.ts'
import {
  APP_PART,
  type AppFailure,
  reconcileAppSubscriptions,
} from './reconcile-app-subscriptions.ts'
import type { AppSecrets } from './scheme.ts'

/** One worker's share, well below the platform's 150 s. */
const WORK_FOR_MS = 60_000

/** For one app; its lease of 180 s outlives it with its last call. */
const WITHIN_MS = 60_000
/** After this nothing is begun that might not end within that. */
const BEGIN_FOR_MS = 40_000

const HOUR_SECONDS = 3600

/** @returns How many looks it took: what was changed meanwhile, or was too much for one, takes another. */
export async function runDueAppSubscriptions(outside: Outside): Promise<number> {
  const { db, clock } = outside
  return await workThroughDue(
    clock,
    WORK_FOR_MS,
    () => db.call<ClaimedApp[]>('claim_app_subscriptions', {}),
    (claimed) => runOne(outside, claimed),
  )
}

/** Never fails: one app must not keep the others from it. */
async function runOne(outside: Outside, claimed: ClaimedApp): Promise<void> {
  const { connector } = claimed
  try {
    await reconcileClaimed(outside, claimed)
  } catch (error) {
    if (isCode(error, 'lease_lost')) {
      outside.log.info('subscriptions of our app were taken over', { connector })
    } // its lease ends, and it is tried again
    else {
      outside.log.error('subscriptions of our app ended in an internal error', { connector, error })
    }
  }
}

async function reconcileClaimed(outside: Outside, claimed: ClaimedApp): Promise<void> {
  const lease = appLease(outside.db, claimed)
  const connector = findConnector(claimed.connector)
  const declared = connector?.webhooks?.appSubscriptions
  if (!connector || !declared) return await lease.finish([])
  const ofApp = claimed.accounts.filter(({ settings }) => declared.isOfApp(settings))
  let concerned = ofApp.filter(({ subscriptions }) => subscriptions.length > 0)
  try {
    const app = appOf(declared, connector, outside)
    const isKnown = claimed.external_id !== null || claimed.creating_since !== null ||
      claimed.accounts.some(({ subscriptions }) => subscriptions.length > 0)
    if (app === null) {
      if (isKnown) throw missing(declared, connector)
      return await lease.finish([])
    }
    const { wanted, failures } = await wantedOf(outside, ofApp)
    // whoever cannot be told of for now is no reason to take anything away
    if (wanted.length === 0 && (failures.length > 0 || !isKnown)) {
      return await finish(outside, claimed, failures)
    }
    concerned = wanted
    const { isDone, ...done } = await inTime(outside, claimed, connector, declared, app, wanted)
    const goOnIn = done.failures.length > 0 ? 60 : 0
    await finish(
      outside,
      claimed,
      [...failures, ...done.failures],
      isDone ? HOUR_SECONDS : goOnIn,
    )
  } catch (error) {
    if (isCode(error, 'lease_lost')) throw error
    await finish(outside, claimed, [{ accounts: concerned, name: APP_PART, error }])
    if (!(error instanceof AppError)) throw error
  }
}

/** Null where secrets are missing. */
function appOf(
  { secrets }: AppSubscriptions,
  { slug }: Connector,
  { environment: { OAUTH_CLIENTS } }: Pick<Outside, 'environment'>,
): AppSecrets | null {
  const app: AppSecrets | null = Object.hasOwn(OAUTH_CLIENTS, slug) ? OAUTH_CLIENTS[slug]! : null
  return app !== null && secrets.every((name) => app[name] !== undefined) ? app : null
}

const missing = ({ secrets }: AppSubscriptions, { name, slug }: Connector) =>
  new AppError('oauth_client_missing', {
    detail: `To go on looking after our app’s webhooks at ${name}, OAUTH_CLIENTS needs ${
      secrets.join(', ')
    } for ${slug}.`,
  })

/** Those that want webhooks; a failure for those that do and cannot be reached. */
async function wantedOf(outside: Outside, accounts: ConnectedAccount[]) {
  const wanted: ConnectedAccount[] = []
  const failures: AppFailure[] = []
  for (const [choice, chosen] of Map.groupBy(accounts, ({ webhooks }) => webhooks)) {
    try {
      if (await areWebhooksWanted(outside, choice)) wanted.push(...chosen)
    } catch (error) {
      failures.push({ accounts: chosen, name: APP_PART, error })
    }
  }
  return { wanted, failures }
}

function inTime(
  outside: Outside,
  claimed: ClaimedApp,
  connector: Connector,
  declared: AppSubscriptions,
  app: AppSecrets,
  wanted: ConnectedAccount[],
) {
  const until = outside.clock.now().getTime() + BEGIN_FOR_MS
  return answerInTime({ answerWithinMs: WITHIN_MS }, connector.name, (signal) => {
    const http = accountHttp(connector, {}, `${connector.slug}:app`, outside, signal)
    return reconcileAppSubscriptions({
      outside,
      claimed,
      declared,
      calls: appSubscriptionCalls({ connector, declared, app, http, outside }),
      address: receiverAddress(outside.environment, connector.slug),
      wanted,
      until,
    })
  })
}

/** @param nextSeconds Until the next look, where nothing failed: a platform tells nobody what it drops. */
async function finish(
  { db, log }: Outside,
  claimed: ClaimedApp,
  failures: AppFailure[],
  nextSeconds = HOUR_SECONDS,
): Promise<void> {
  const { connector } = claimed
  for (const { name, error } of failures) {
    log.warn('our app could not be subscribed', { connector, subscription: name, error })
  }
  const told = failures.flatMap(({ accounts, name, error }): PartFailure[] =>
    accounts.map((account) => ({
      integration_id: account.integration_id,
      name,
      error: describeFailure(error, { name: account.name, connector }, 'sync'),
    }))
  )
  await appLease(db, claimed).finish(told, {
    // what nobody can be told of is tried again soon all the same
    seconds: failures.length > 0 && told.length === 0 ? 300 : nextSeconds,
    ...askedPause(failures.map(({ error }) => error)),
  })
}
