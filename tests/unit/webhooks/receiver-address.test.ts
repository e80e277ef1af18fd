import { describe, expect, it } from 'vitest'
import {
  areWebhooksWanted,
  receiverAddress,
} from '../../../supabase/functions/_shared/webhooks/receiver-address.ts'
import { testEnvironment } from '../../support/environment.ts'

const reached = (SUPABASE_URL: string, PLUGBOARD_ALLOW_PRIVATE_NETWORKS = false) => ({
  environment: testEnvironment({ SUPABASE_URL, PLUGBOARD_ALLOW_PRIVATE_NETWORKS }),
})

const PUBLIC = 'https://93.184.216.34'
const PRIVATE = ['http://127.0.0.1:54321', 'https://10.0.0.7', 'http://kong:8000']

describe('webhooks', () => {
  it('are wanted as long as nobody said anything, where the project is reached by https', async () => {
    expect(await areWebhooksWanted(reached(PUBLIC), null)).toBe(true)
    expect(await areWebhooksWanted(reached(PUBLIC), true)).toBe(true)
  })

  it('are not wanted where managers said so', async () => {
    expect(await areWebhooksWanted(reached(PUBLIC), false)).toBe(false)
    expect(await areWebhooksWanted(reached(PRIVATE[0]!, true), false)).toBe(false)
  })

  it.each([...PRIVATE, 'http://93.184.216.34'])(
    'to %s are not wanted as long as nobody said anything, and refused when they are',
    async (url) => {
      expect(await areWebhooksWanted(reached(url), null)).toBe(false)
      await expect(areWebhooksWanted(reached(url), true)).rejects.toMatchObject({
        code: 'private_network_refused',
      })
    },
  )

  it.each(PRIVATE)('to %s are wanted on a local stack where managers said so', async (url) => {
    expect(await areWebhooksWanted(reached(url, true), true)).toBe(true)
    expect(await areWebhooksWanted(reached(url, true), null)).toBe(false)
  })
})

it('an address is where platforms reach the project, which may be another than its own', () => {
  const environment = testEnvironment({ SUPABASE_URL: PUBLIC })

  expect([
    receiverAddress(environment, 'slack'),
    receiverAddress({ ...environment, PLUGBOARD_PUBLIC_URL: 'https://api.acme.example' }, 'slack'),
  ]).toEqual([
    'https://93.184.216.34/functions/v1/webhook-receive/slack',
    'https://api.acme.example/functions/v1/webhook-receive/slack',
  ])
})
