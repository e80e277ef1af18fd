// Does a call over the direct connection end when Postgres says nothing?
import { createServer, type Socket } from 'node:net'
import type { AddressInfo } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import {
  DatabaseError,
  directDatabase,
} from '../../../supabase/functions/_shared/platform/database.ts'
import { fakeClock } from '../../support/fake-clock.ts'

it('a server that takes the connection and never answers is given up, as one that is gone', async () => {
  const sockets: Socket[] = []
  const server = createServer((socket) => void sockets.push(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const clock = fakeClock('2026-01-01T00:00:00Z')
  const direct = directDatabase(`postgres://plugboard:secret@127.0.0.1:${port}/postgres`, {
    clock,
    timeoutMs: 20,
  })
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await direct.end()
  })

  const error = await direct.call('next_sync_run_at', {}).catch((thrown: unknown) => thrown)

  expect(error).toBeInstanceOf(DatabaseError)
  expect(error).toMatchObject({ code: '', message: 'Postgres did not answer within 0.02 s' })
  expect(clock.slept).toHaveLength(5) // tried again, as when a connection breaks
})
