// Which account is subscribed at a simulated platform? One of Stripe, perhaps at another address.
import { expect, onTestFinished } from 'vitest'
import {
  startStripeSimulator,
  type StripeSimulatorOptions,
} from '../../scripts/simulators/stripe.ts'
import type { Platform, SubscribingEngine } from './subscriptions.ts'

export const platformOf = (
  connector: string,
  { baseUrl, credentials }: { baseUrl: string; credentials: Record<string, unknown> },
  settings: Record<string, unknown>,
): Platform => ({ connector, baseUrl, settings, credentials })

export async function stripeAccount(options: StripeSimulatorOptions = {}) {
  const simulator = await startStripeSimulator({
    customers: 3,
    payments: 3,
    requestsPerSecond: 0,
    ...options,
  })
  onTestFinished(() => simulator.stop())
  return { simulator, platform: platformOf('stripe', simulator, simulator.settings) }
}

/** A Stripe account that is subscribed already. */
export async function subscribedAccount(
  { connect, look, outside }: SubscribingEngine,
  organizationId: string,
  options: StripeSimulatorOptions = {},
) {
  const { simulator, platform } = await stripeAccount(options)
  const id = await connect(organizationId, platform)
  await look(id, outside(platform))
  expect(simulator.webhooks).toHaveLength(1)
  return { simulator, platform, id }
}
