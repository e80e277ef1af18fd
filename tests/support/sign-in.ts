// How does a test sign in at a platform? A browser that follows every redirect, and presses Allow or Deny.
import { randomBytes } from 'node:crypto'
import { onTestFinished } from 'vitest'
import {
  type AirtableSimulator,
  type AirtableSimulatorOptions,
  startAirtableSimulator,
} from '../../scripts/simulators/airtable.ts'
import {
  type Authorization as Consent,
  type Browser,
  browser,
  type BrowserPage,
} from '../../scripts/simulators/parts/oauth/browser.ts'
import type { Authorization } from '../../supabase/functions/_shared/contracts/integrations.ts'
import type { FunctionCaller, Functions } from './functions.ts'

/** The app's own page. Nobody listens there: where a browser lands is only noted. */
export const RETURN_URL = 'http://127.0.0.1:3999/integrations?tab=2'

/** Opens a simulated Airtable for one test, with a base of its own, where the functions look for Airtable. */
export async function openAirtable(
  functions: Functions,
  options: AirtableSimulatorOptions = {},
): Promise<AirtableSimulator> {
  const airtable = await startAirtableSimulator({
    // what an earlier test's calls came to is kept by base
    baseId: `app${randomBytes(7).toString('hex')}`,
    people: 30,
    items: 5,
    ...options,
  })
  onTestFinished(() => airtable.stop())
  functions.keepSecret(airtable.client.client_secret)
  await functions.remote.leadTo('airtable', airtable.url)
  return airtable
}

export type SignInOptions = {
  consent?: Consent
  browser?: Browser
  connect?: Record<string, unknown>
}

/** Asks to connect, and answers where the owner should go. */
export async function beginSignIn(
  functions: Functions,
  caller: FunctionCaller,
  organizationId: string,
  airtable: AirtableSimulator,
  more: Record<string, unknown> = {},
): Promise<Authorization> {
  const { status, body, text } = await functions.call<Authorization>(
    caller,
    '/integrations/connect',
    {
      organization_id: organizationId,
      connector: 'airtable',
      settings: airtable.settings,
      return_url: RETURN_URL,
      ...more,
    },
  )
  if (status !== 200) throw new Error(`no sign-in was begun: ${text}`)
  return body
}

/** The whole way: where the browser came back to, and what the page learnt. */
export async function signIn(
  functions: Functions,
  caller: FunctionCaller,
  organizationId: string,
  airtable: AirtableSimulator,
  options: SignInOptions = {},
): Promise<Landing> {
  const { authorization_url } = await beginSignIn(
    functions,
    caller,
    organizationId,
    airtable,
    options.connect,
  )
  return await follow(authorization_url, options)
}

export type Landing = {
  page: BrowserPage
  /** What the app's page finds in its query. */
  integration_id: string | null
  error: string | null
}

export async function follow(
  authorization_url: string,
  { consent = {}, browser: with_ = browser() }: SignInOptions = {},
): Promise<Landing> {
  return landing(await with_.authorize(authorization_url, { stopAt: RETURN_URL, ...consent }))
}

export function landing(page: BrowserPage): Landing {
  const { searchParams } = new URL(page.url)
  return {
    page,
    integration_id: searchParams.get('integration_id'),
    error: searchParams.get('error'),
  }
}
