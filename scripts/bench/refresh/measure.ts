// Lets a token end again and again, and counts at the platform what that costs.
import type { Stack } from '../../stack/stack.ts'
import { airtable } from '../../../supabase/functions/_shared/connectors/airtable.ts'
import { signInClient } from '../../../supabase/functions/_shared/oauth/sign-in-client.ts'
import { refreshTokens } from '../../../supabase/functions/_shared/oauth/token-endpoint.ts'
import { systemClock } from '../../../supabase/functions/_shared/platform/clock.ts'
import { createLog } from '../../../supabase/functions/_shared/platform/log.ts'
import type { Outside } from '../../../supabase/functions/_shared/platform/outside.ts'
import { askAll, type Caller, startCaller, startCallers } from './callers.ts'
import { type SignedInAccount, signedInAccount } from './signed-in-account.ts'

export type Counted = {
  /** Milliseconds from the expiry's "go" until the last caller had the token. */
  rounds: number[]
  granted: number
  refused: number
  /** Rounds in which somebody got another token, or one that does not work. */
  odd: number
}

export type Refreshes = { bare: number[]; one: Counted; many: Counted; killed: Counted }

type Options = { callers: number; expiries: number; log: (line: string) => void }

export async function measureRefreshes(
  stack: Pick<Stack, 'adminDbUrl' | 'dbUrl'>,
  { callers: count, expiries, log }: Options,
): Promise<Refreshes> {
  const account = await signedInAccount(stack)
  log(`starting ${count} callers`)
  const callers = await startCallers(account.setup, count)
  const alone = await startCaller(account.setup)
  try {
    log('refreshing alone')
    const one = await counted(account, [alone], Math.min(expiries, 50))
    log(`${expiries} expiries, ${count} callers`)
    const many = await counted(account, callers, expiries)
    log(`${expiries} expiries, ${count} callers, the holder killed each time`)
    const killed = await counted(account, callers, expiries, killHolder(account, expiries))
    // last: what it brings is kept nowhere, so that the account is of no use after
    const bare = await bareRefreshes(account, Math.min(expiries, 50))
    return { bare, one, many, killed }
  } finally {
    await Promise.all([alone, ...callers].map((caller) => caller.kill()))
    await account.stop()
  }
}

async function counted(
  account: SignedInAccount,
  callers: Caller[],
  expiries: number,
  before: () => Promise<void> = () => Promise.resolve(),
): Promise<Counted> {
  const { oauth } = account.airtable
  const start = oauth.control.counters()
  const rounds: number[] = []
  let odd = 0
  for (let expiry = 0; expiry < expiries; expiry++) {
    await account.expire()
    await before()
    const startedAt = performance.now()
    const told = await askAll(callers, { kind: 'go' })
    rounds.push(performance.now() - startedAt)
    const tokens = new Set(told.map((each) => each.kind === 'token' ? each.access_token : ''))
    const [token = ''] = tokens
    if (tokens.size !== 1 || !oauth.verify(token)) odd++
  }
  const end = oauth.control.counters()
  return {
    rounds,
    granted: end.refreshes_granted - start.refreshes_granted,
    refused: end.refreshes_refused - start.refreshes_refused,
    odd,
  }
}

/** A process takes the refresh upon itself and is killed before it asks the platform; its lease then ends. */
function killHolder(account: SignedInAccount, expiries: number): () => Promise<void> {
  let started = 0
  const next = () => {
    started++
    return startCaller(account.setup)
  }
  const waiting = Array.from({ length: Math.min(3, expiries) }, next)
  return async () => {
    const victim = await waiting.shift()!
    if (started < expiries) waiting.push(next())
    await victim.ask({ kind: 'before' })
    await victim.kill()
    await account.endLease()
  }
}

/** The physical limit: the call alone, with a refresh token in hand. */
async function bareRefreshes(account: SignedInAccount, count: number): Promise<number[]> {
  const [held] = await account.admin<{ refresh_token: string }[]>`
    select secret.decrypted_secret as refresh_token
    from private.oauth_grants as grants
    join vault.decrypted_secrets as secret on secret.id = grants.refresh_token_secret_id
    where grants.integration_id = ${account.setup.integrationId}`
  const outside: Outside = {
    db: { call: () => Promise.reject(new Error('not used')), end: () => Promise.resolve() },
    environment: account.setup.environment,
    log: createLog({}, () => {}),
    clock: systemClock,
  }
  const values = airtable.readAccount({ settings: account.airtable.settings, credentials: {} })
  const client = signInClient(outside, airtable, values)
  let token = held!.refresh_token
  const took: number[] = []
  for (let index = 0; index < count; index++) {
    const startedAt = performance.now()
    const tokens = await refreshTokens(outside, client, token)
    took.push(performance.now() - startedAt)
    token = tokens.refresh_token ?? token
  }
  return took
}
