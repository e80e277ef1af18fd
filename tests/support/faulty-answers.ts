// Endpoints that are at fault on a share of their calls: what they answer, and what is said about it.
import { Buffer } from 'node:buffer'
import type { ServerResponse } from 'node:http'

/** What the first call of some events is answered. */
export type Fault = {
  meets(event: number): boolean
  answer(response: ServerResponse): void
  /** Why the attempt failed; null where the call counts as delivered. */
  error: { code: string; message: string } | null
  /** On a connection that was used before it is sent again within the same call, as if it had been closed meanwhile. */
  isRepeated?: boolean
}

const TEN_MB = Buffer.alloc(10_000_000, 'a')

const TIMED_OUT = { code: 'timed_out', message: 'The endpoint did not answer within 20 s.' }
const BROKEN_OFF = {
  code: 'connection_reset',
  message: 'The server broke off the connection before it answered.',
}

const oneIn = (share: number, remainder = 0) => (event: number) => event % share === remainder

/**
 * Endpoints by the fault they have.
 *
 * @param events How many there will be. What takes 20 s is met by fifty of the first half: half of 100 at once, so that the
 *   rest goes on beside them.
 * @param elsewhere Where redirects lead.
 */
export function faultyEndpoints(events: number, elsewhere: string): Record<string, Fault[]> {
  const someOfFirstHalf = (count: number, remainder = 0) => (event: number) =>
    event <= events / 2 && event % Math.ceil(events / 2 / count) === remainder

  return {
    hangs: [{ meets: someOfFirstHalf(50), answer: () => {}, error: TIMED_OUT }],
    'breaks off': [
      {
        meets: oneIn(20),
        answer: ({ socket }) => socket?.resetAndDestroy(),
        error: BROKEN_OFF,
        isRepeated: true,
      },
      { // within the status line
        meets: oneIn(20, 10),
        answer: ({ socket }) => socket?.write('HTTP/1.1 20', () => socket.resetAndDestroy()),
        error: BROKEN_OFF,
      },
    ],
    'answers byte by byte': [
      {
        meets: oneIn(10, 5),
        answer: (response) =>
          drip(response, 'HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n'),
        error: null,
      },
      { // its status line has no end
        meets: someOfFirstHalf(25),
        answer: (response) => {
          response.socket?.write('HTTP/1.1 204 ')
          everySoOften(response, 500, () => response.socket?.write('x'))
        },
        error: TIMED_OUT,
      },
      { // its body has none, but its status came
        meets: someOfFirstHalf(25, 1),
        answer: (response) => {
          response.writeHead(200)
          everySoOften(response, 500, () => response.write('x'))
        },
        error: null,
      },
    ],
    'answers with 10 MB': [
      { // many of them at once
        meets: (event) => event <= 60 || event % 40 === 0,
        answer: (response) => response.writeHead(200).end(TEN_MB),
        error: null,
      },
      {
        meets: oneIn(40, 10),
        answer: (response) => response.writeHead(500).end(TEN_MB),
        error: { code: 'answered_500', message: 'The endpoint answered 500.' },
      },
      { // of headers
        meets: oneIn(40, 20),
        answer: ({ socket }) => {
          socket?.write('HTTP/1.1 200 OK\r\nx-long: ')
          socket?.end(TEN_MB)
        },
        error: {
          code: 'bad_answer',
          message: 'What came back is not an HTTP answer: its headers have no end.',
        },
      },
    ],
    'redirects to loopback': [301, 302, 303, 307, 308].map((status) => ({
      meets: oneIn(50, status % 10),
      answer: (response) => response.writeHead(status, { location: elsewhere }).end(),
      error: {
        code: 'redirect_not_followed',
        message:
          `The endpoint answered ${status}. Redirects are not followed: register the address it leads to.`,
      },
    })),
  }
}

/** A byte every 5 ms, and the connection ends. */
function drip(response: ServerResponse, text: string): void {
  const bytes = [...text]
  everySoOften(response, 5, () => {
    const byte = bytes.shift()
    if (byte === undefined) response.socket?.end()
    else response.socket?.write(byte)
  })
}

/** Until the connection is closed. */
function everySoOften(response: ServerResponse, milliseconds: number, act: () => void): void {
  const timer = setInterval(act, milliseconds)
  response.once('close', () => clearInterval(timer))
}
