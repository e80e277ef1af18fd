// Do calls of two accounts draw on their own budgets, and on one of our app at the platform?
import { expect, it } from 'vitest'
import { x } from '../../../supabase/functions/_shared/connectors/x.ts'
import { accountHttp } from '../../../supabase/functions/_shared/integrations/open-integration.ts'
import { testEnvironment } from '../../support/environment.ts'
import { answering, loopbackServer } from '../../support/loopback-server.ts'
import { outsideWith } from './outside-with.ts'

it("each account has its own limits, and the app's by the connector's name", async () => {
  const { url } = await loopbackServer(answering(200, {}, '{}'))
  const { outside, calls } = outsideWith({}, {
    environment: { ...testEnvironment(), PLUGBOARD_ALLOW_PRIVATE_NETWORKS: true },
  })

  for (const user of ['x:1', 'x:2']) {
    const http = accountHttp(x, {}, user, outside)
    await http.send({ url, limit: 'mentions' })
    await http.send({ url, limit: 'me' })
  }

  const keys = calls.map(({ args }) =>
    (args['p_limits'] as { key: string }[]).map(({ key }) => key)
  )
  expect(keys).toEqual([
    ['x:1:mentions', 'x:app:mentions'],
    ['x:1:me'],
    ['x:2:mentions', 'x:app:mentions'],
    ['x:2:me'],
  ])
})
