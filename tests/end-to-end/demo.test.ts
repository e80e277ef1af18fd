// Does the demo play, again and again, without touching what a person has connected beside it?
import { createClient } from '@supabase/supabase-js'
import { expect, it } from 'vitest'
import { demoUser, playDemo } from '../../scripts/demo.ts'
import { createPlugboard } from '../../src/index.ts'
import { useFunctions } from '../support/functions.ts'
import { good } from '../support/shop.ts'
import { openAirtable } from '../support/sign-in.ts'
import { sharedStack } from '../support/shared-stack.ts'

const functions = useFunctions()

it('clears its own earlier store, and leaves another one of the same platform alone', async () => {
  const stack = sharedStack
  const [demoStore, ownStore] = [
    await functions.openStore({ products: 60 }),
    await functions.openStore({ products: 5 }),
  ]
  const airtable = await openAirtable(functions)
  const platforms = { treez: demoStore, airtable }
  const first = await playDemo(stack, platforms, () => {})
  const supabase = createClient(stack.url, stack.publishableKey, {
    auth: { persistSession: false, autoRefreshToken: false },
  })
  await supabase.auth.signInWithPassword(demoUser)
  const { integrations } = createPlugboard(supabase)
  const { organization_id } = first
  const own = good(
    await integrations.connect({
      organization_id,
      connector: 'treez',
      settings: ownStore.settings,
      credentials: { ...ownStore.credentials.v2 },
    }),
  )

  const lines: string[] = []
  const second = await playDemo(stack, platforms, (line) => lines.push(line))

  const listed = good(await integrations.list({ organization_id }))
  const statuses = Object.fromEntries(listed.map(({ id, status }) => [id, status]))
  expect(lines.filter((line) => line.startsWith('cleared'))).toHaveLength(1)
  expect(lines.some((line) => line.startsWith('signed in at a simulated Airtable'))).toBe(true)
  expect(statuses).toMatchObject({ [own.id]: 'connected', [second.integration_id]: 'connected' })
})
