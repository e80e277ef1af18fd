// Can somebody make the functions call addresses inside the network? Not without the local setting.
import { afterAll, beforeAll, expect, it } from 'vitest'
import {
  type JsonFeedSimulator,
  startJsonFeedSimulator,
} from '../../scripts/simulators/json-feed.ts'
import { useFunctions } from '../support/functions.ts'
import { createTeam, type Team } from '../support/people.ts'

const functions = useFunctions()
const { call, database, remote } = functions
let team: Team
let feed: JsonFeedSimulator
beforeAll(async () => {
  team = await createTeam(database)
  feed = await startJsonFeedSimulator({ products: 3 })
  await remote.setFunctionsEnv({ PLUGBOARD_ALLOW_PRIVATE_NETWORKS: 'false' })
})
afterAll(async () => {
  await remote.setFunctionsEnv({ PLUGBOARD_ALLOW_PRIVATE_NETWORKS: 'true' })
  await feed.stop()
})

const connectFeed = (url: string) =>
  call(team.manager, '/integrations/connect', {
    organization_id: team.organizationId,
    connector: 'json-feed',
    settings: { url },
    credentials: {},
  })

it.each([
  'http://127.0.0.1:PORT/products.json',
  'http://localhost:PORT/products.json',
  'http://2130706433:PORT/products.json',
  'http://0x7f.1:PORT/products.json',
  'http://[::1]:PORT/products.json',
  'http://[::ffff:127.0.0.1]:PORT/products.json',
  'http://169.254.169.254/latest/meta-data/',
  'http://10.0.0.1/products.json',
  'http://0.0.0.0/products.json',
])('refuses %s', async (address) => {
  const answer = await connectFeed(address.replace('PORT', new URL(feed.url).port))

  expect(answer).toMatchObject({ status: 400, body: { code: 'private_network_refused' } })
  expect(feed.requests).toEqual([])
})

const registerEndpoint = (url: string) =>
  call(team.manager, '/webhooks/create', { organization_id: team.organizationId, url })

it.each([
  'https://127.0.0.1/hook',
  'https://localhost/hook',
  'https://2130706433/hook',
  'https://0177.0.0.1/hook',
  'https://[::1]/hook',
  'https://[64:ff9b::7f00:1]/hook',
  'https://169.254.169.254/latest/meta-data/',
  'https://10.0.0.1/hook',
])('sends no webhooks to %s, but to a public address', async (url) => {
  const refused = await registerEndpoint(url)
  const accepted = await registerEndpoint('https://1.1.1.1/hook')

  expect(refused).toMatchObject({ status: 400, body: { code: 'private_network_refused' } })
  expect(accepted.status).toBe(200)
})

it('takes an address without encryption for this machine only, where the local setting says so', async () => {
  const answer = await registerEndpoint('http://127.0.0.1:4/hook')

  expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_endpoint' } })
})

it('calls it where the local setting says so', async () => {
  await remote.setFunctionsEnv({ PLUGBOARD_ALLOW_PRIVATE_NETWORKS: 'true' })

  const answer = await connectFeed(feed.url)

  expect(answer.status).toBe(200)
  expect((await registerEndpoint('http://127.0.0.1:4/hook')).status).toBe(200)
})
