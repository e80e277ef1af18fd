// Which port is free?
import { createServer } from 'node:net'

/**
 * Answers `wanted` when nothing listens there, otherwise a free port. 0 always means any free one.
 * Another program may take it before it is used: whoever binds it has to be ready to ask again.
 */
export async function freePort(wanted = 0): Promise<number> {
  return (await tryPort(wanted)) ?? (await tryPort(0)) ?? 0
}

function tryPort(port: number): Promise<number | null> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(null))
    server.listen(port, '127.0.0.1', () => {
      const address = server.address()
      const bound = typeof address === 'object' && address ? address.port : null
      server.close(() => resolve(bound))
    })
  })
}
