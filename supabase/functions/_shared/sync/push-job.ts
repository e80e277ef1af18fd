// What sending a run's local changes works with.
import type { Account } from '../connectors/account.ts'
import type { Connector, Stream } from '../connectors/define-connector.ts'
import { type PushCalls, pushCalls } from '../connectors/push-calls.ts'
import type { AccountFacts } from '../connectors/vocabulary/auth.ts'
import type { Push, PushContext } from '../connectors/vocabulary/push.ts'
import type { Outside } from '../platform/outside.ts'
import type { ClaimedRun } from './claimed-run.ts'
import type { SliceBudget } from './slice-budget.ts'

export type PushJob = {
  run: ClaimedRun
  outside: Outside
  budget: SliceBudget
  account: Account
  connector: Connector
  stream: Stream
  push: Push
  settings: Record<string, unknown>
  /** What the platform says of the account. */
  facts: AccountFacts
  isSpent: () => boolean
}

export const contextOf = ({ settings, facts, outside }: PushJob): PushContext => ({
  settings,
  account: facts,
  now: outside.clock.now(),
})

export const callsOf = (job: PushJob): PushCalls => pushCalls({ ...job, context: contextOf(job) })
