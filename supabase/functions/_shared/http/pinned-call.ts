// One HTTP call to an address given by people: guarded, pinned to the checked address, bounded in time and size.
import { Buffer } from 'node:buffer'
import { AppError } from '../platform/errors.ts'
import { AnswerReader, NotAnAnswer } from './answer-reader.ts'
import {
  addressFailure,
  CallFailed,
  type CallFailureCode,
  connectionFailure,
} from './call-failure.ts'
import { remembering } from '../platform/remembering.ts'
import { type Connection, IdleConnections } from './idle-connections.ts'
import { type NetworkOptions, openConnection } from './pinned-connection.ts'
import { parseTargetUrl } from './target-url.ts'

export type PinnedRequest = {
  url: string
  headers: Record<string, string>
  body: Uint8Array
  /** From resolving the name to the end of the answer. 20 000 by default. */
  timeoutMs?: number
  /** What is kept of the answer's body; what is longer is cut and its connection closed. 16 384 by default. */
  maxAnswerBytes?: number
  signal?: AbortSignal
}

/** The server answered, whatever it said. A redirect is its 3xx status and is not followed. */
export type PinnedAnswer = {
  ok: true
  status: number
  headers: Headers
  /** The beginning of the body as text that Postgres takes: what is not UTF-8, and NUL, became U+FFFD. */
  answer: string
  /** False where the body was cut at the limit, at the time limit, or by the server breaking off. */
  isWhole: boolean
  /** From resolving the name to the end of the answer. */
  latencyMs: number
}

export type PinnedFailure = {
  ok: false
  code: CallFailureCode
  /** For people, without secrets and without addresses of our own network. */
  reason: string
  latencyMs: number
}

export type PinnedCaller = {
  /**
   * POSTs once. Never throws for what the other side did or did not do. Once the status has come it counts, however
   * its body goes on. A connection that waited and is found closed is replaced once, so a request can reach a
   * server twice within one call: it has to carry an id that the server knows again.
   */
  call(request: PinnedRequest): Promise<PinnedAnswer | PinnedFailure>
  /** Closes the connections that wait for another call. */
  close(): void
}

/** Connections that are not in use wait for the next call; how many are in use is up to the caller. */
export function createPinnedCaller(options: NetworkOptions = {}): PinnedCaller {
  const idle = new IdleConnections()
  const targetOf = remembering((url) => parseTargetUrl(url, options))

  async function send(request: PinnedRequest, url: URL, signal: AbortSignal) {
    const bytes = requestBytes(url, request)
    for (let isReplaced = false;; isReplaced = true) {
      const waiting = isReplaced ? undefined : idle.take(url.origin)
      const connection = waiting ?? {
        socket: await openConnection(url, options, signal),
        openedAt: Date.now(),
        isReused: false,
      }
      const reader = new AnswerReader(request.maxAnswerBytes ?? 16 * 1024)
      const failure = await exchange(connection, bytes, reader, signal)
      if (reader.isReusable && !failure && connection.socket.writableLength === 0) {
        idle.put(url.origin, connection, keepMs(reader.headers))
      } else {
        connection.socket.destroy()
      }
      if (!failure || reader.status > 0) return { reader, isWhole: !failure && !reader.isCut }
      // closed by the server while it waited, as our request was on its way
      const isStale = connection.isReused && !reader.hasBegun
      if (!isStale || !(failure instanceof CallFailed) || failure.code !== 'connection_reset') {
        throw failure
      }
    }
  }

  return {
    async call(request) {
      const startedAt = performance.now()
      const latency = () => Math.round(performance.now() - startedAt)
      const { timeoutMs = 20_000 } = request
      const abort = new AbortController()
      const timer = setTimeout(
        () => abort.abort(new CallFailed('timed_out', `nothing within ${timeoutMs / 1_000} s`)),
        timeoutMs,
      )
      const onCancel = () => abort.abort(new CallFailed('cancelled'))
      request.signal?.addEventListener('abort', onCancel, { once: true })
      if (request.signal?.aborted) onCancel()
      try {
        const url = targetOf(request.url)
        const { reader, isWhole } = await send(request, url, abort.signal)
        return {
          ok: true,
          status: reader.status,
          headers: reader.headers,
          answer: readText(reader),
          isWhole,
          latencyMs: latency(),
        }
      } catch (error) {
        const failure = error instanceof AppError ? addressFailure(error) : error
        if (!(failure instanceof CallFailed)) throw failure
        return { ok: false, code: failure.code, reason: failure.message, latencyMs: latency() }
      } finally {
        clearTimeout(timer)
        request.signal?.removeEventListener('abort', onCancel)
      }
    },
    close: () => idle.close(),
  }
}

/** Sends the bytes and reads the answer as far as it comes; answers what ended it early. */
function exchange(
  { socket }: Connection,
  bytes: Uint8Array,
  reader: AnswerReader,
  signal: AbortSignal,
): Promise<unknown> {
  const { promise, resolve } = Promise.withResolvers<unknown>()
  const onData = (chunk: Uint8Array) => {
    try {
      reader.push(chunk)
      if (reader.isDone) resolve(undefined)
    } catch (error) {
      resolve(error instanceof NotAnAnswer ? new CallFailed('bad_answer', error.message) : error)
    }
  }
  const onEnd = () => {
    reader.end()
    resolve(reader.isDone ? undefined : new CallFailed('connection_reset'))
  }
  const onError = (error: unknown) => resolve(connectionFailure(error))
  const onAbort = () => resolve(signal.reason)
  socket.on('data', onData)
  socket.on('end', onEnd)
  socket.on('close', onEnd)
  socket.on('error', onError)
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  else socket.write(bytes)
  return promise.finally(() => {
    socket.off('data', onData)
    socket.off('end', onEnd)
    socket.off('close', onEnd)
    socket.off('error', onError)
    signal.removeEventListener('abort', onAbort)
  })
}

/** RFC 9110 sections 5.6.2 and 5.5; characters beyond Latin-1 cannot be sent. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~\w-]+$/
const HEADER_VALUE = /^[^\0\r\n\u0100-\uffff]*$/
const ASCII = /^[\0-\x7f]*$/

/** They frame the message, or say how the answer is to come: ours alone. */
const OURS = new Set([
  'connection',
  'transfer-encoding',
  'host',
  'content-length',
  'accept-encoding',
  'user-agent',
])

/** Head and body in one piece, so that a small request is one packet. Without Headers, which costs as much as all the rest. */
function requestBytes(url: URL, { headers, body }: PinnedRequest): Uint8Array {
  let head = `POST ${url.pathname}${url.search} HTTP/1.1\r\n`
  let userAgent = 'Plugboard'
  for (const [name, value] of Object.entries(headers)) {
    // whoever let them through: a line break would begin a header of its own
    if (!HEADER_NAME.test(name) || !HEADER_VALUE.test(value)) {
      throw new TypeError('A header cannot be sent.')
    }
    const plain = name.toLowerCase()
    if (plain === 'user-agent') userAgent = value
    else if (!OURS.has(plain)) head += `${plain}: ${trimmed(value)}\r\n`
  }
  head += `host: ${url.host}\r\ncontent-length: ${body.byteLength}\r\n` +
    `accept-encoding: identity\r\nuser-agent: ${trimmed(userAgent)}\r\n\r\n`
  const bytes = Buffer.allocUnsafe(head.length + body.byteLength)
  // the same bytes where it is ASCII, in a quarter of the time
  bytes.write(head, ASCII.test(head) ? 'utf8' : 'latin1')
  bytes.set(body, head.length)
  return bytes
}

/** Not trim(), which also takes away what belongs to the value, such as a no-break space. */
const trimmed = (value: string) => value.replace(/^[\t ]+|[\t ]+$/g, '')

/** RFC 9112 appendix C.2.2: `Keep-Alive: timeout=5`, as many servers still say it. */
function keepMs(headers: Headers): number | undefined {
  const seconds = /\btimeout=(\d{1,6})/i.exec(headers.get('keep-alive') ?? '')?.[1]
  return seconds === undefined ? undefined : Number(seconds) * 1_000
}

function readText(reader: AnswerReader): string {
  // we asked for none: what is encoded all the same says nothing as text
  if ((reader.headers.get('content-encoding') ?? 'identity') !== 'identity') return ''
  // a character that the limit cuts in two is left out
  const text = new TextDecoder().decode(reader.bytes, { stream: reader.isCut })
  return text.replaceAll('\0', '\ufffd')
}
