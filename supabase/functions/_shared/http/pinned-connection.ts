// Opens a connection to an address that was checked, and to no other: the name is resolved once, here.
//
// Neither fetch nor node:https serves for this: fetch resolves the name again, and older Deno, which
// the hosted Edge Runtime is built on, knows neither `lookup` nor `agent` in node:https. node:net and
// node:tls are the same in every runtime.
import { connect as connectSocket, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { abortable } from './abortable.ts'
import { CallFailed, connectionFailure, tlsFailure } from './call-failure.ts'
import { bareHost, type GuardOptions } from './private-network.ts'
import { targetAddresses } from './target-url.ts'

/** Private networks, where allowed, are reached by https, the machine itself by http too. */
export type NetworkOptions = GuardOptions & {
  /** Opens TCP to an address, never a name. */
  connect?: (address: string, port: number) => Socket
  /** Certificates to trust instead of the system's, as PEM. */
  ca?: string[]
}

/** While further addresses are left, one that stays silent is given up after this. */
const NEXT_ADDRESS_MS = 3_000
const MAX_ADDRESSES = 4

/**
 * Connects to one of the addresses behind a URL's host. Throws {@link CallFailed}, the signal's reason, or what
 * {@link targetAddresses} does.
 */
export async function openConnection(
  url: URL,
  options: NetworkOptions,
  signal: AbortSignal,
): Promise<Socket> {
  const addresses = (await abortable(targetAddresses(url, options), signal))
    .filter((address) => isIP(address) !== 0) // node:net would ask for anything else as a name, again
    .slice(0, MAX_ADDRESSES)
  const port = Number(url.port) || (url.protocol === 'https:' ? 443 : 80)
  const connect = options.connect ??
    ((address, port) => connectSocket({ host: address, port, noDelay: true }))
  let failure: unknown = new CallFailed('name_not_found', `${bareHost(url)} has no address`)
  for (const [index, address] of addresses.entries()) {
    const isLast = index === addresses.length - 1
    try {
      return await ready(connect(address, port), 'connect', {
        signal,
        failure: connectionFailure,
        limitMs: isLast ? undefined : NEXT_ADDRESS_MS,
        // at once, in the event itself: once older Deno has begun to read, TLS can no longer begin
        then: (socket) =>
          url.protocol === 'https:' ? protect(socket, url, options, signal) : socket,
      })
    } catch (error) {
      failure = error
      // a server that was reached has spoken for all of its addresses
      if (signal.aborted || !(error instanceof CallFailed) || error.code === 'tls_failed') break
    }
  }
  throw failure
}

/** TLS for the name, over a connection to the address: the certificate has to be the name's. */
function protect(
  socket: Socket,
  url: URL,
  options: NetworkOptions,
  signal: AbortSignal,
): Promise<Socket> {
  const host = bareHost(url)
  const secured = connectTls({
    socket,
    host,
    ...(isIP(host) === 0 ? { servername: host } : {}), // an address is no server name (RFC 6066 section 3)
    ...(options.ca ? { ca: options.ca } : {}),
    ALPNProtocols: ['http/1.1'],
  })
  return ready(secured, 'secureConnect', { signal, failure: tlsFailure })
}

type Waiting = {
  signal: AbortSignal
  failure: (error: unknown) => CallFailed
  limitMs?: number
  /** What follows as soon as the socket is ready; its outcome is the outcome. */
  then?: (socket: Socket) => Socket | Promise<Socket>
}

/** Waits for a socket's event; destroys it when it fails, is aborted or takes too long. */
function ready(
  socket: Socket,
  event: 'connect' | 'secureConnect',
  { signal, failure, limitMs, then = (socket) => socket }: Waiting,
): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>()
  const giveUp = (reason: unknown) => {
    reject(reason)
    socket.destroy()
  }
  const onAbort = () => giveUp(signal.reason)
  const onClose = () => giveUp(failure(undefined))
  const timer = limitMs === undefined
    ? undefined
    : setTimeout(() => giveUp(new CallFailed('unreachable')), limitMs)
  socket.once(event, () => {
    clearTimeout(timer)
    resolve(then(socket))
  })
  // stays as long as the socket: an error without a listener would end the process
  socket.on('error', (error) => giveUp(failure(error)))
  socket.once('close', onClose)
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  return promise.finally(() => {
    clearTimeout(timer)
    socket.off('close', onClose)
    signal.removeEventListener('abort', onAbort)
  })
}
