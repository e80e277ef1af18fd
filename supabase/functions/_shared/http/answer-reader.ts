// Reads one HTTP/1.1 answer from the bytes of a connection (RFC 9112), its body up to a limit.
import { Buffer } from 'node:buffer'

/** What Node takes too. */
const MAX_HEAD_BYTES = 16 * 1024
/** A size in hexadecimal with extensions that nobody uses. */
const MAX_LINE_BYTES = 1024
/** All heads, lines and trailers of one answer: reading them costs more than a body, and they need have no end. */
const MAX_FRAMING_BYTES = 64 * 1024

/** What came is not an HTTP answer. The message says what is wrong and quotes nothing. */
export class NotAnAnswer extends Error {
  override readonly name = 'NotAnAnswer'
}

type Part = 'head' | 'length' | 'chunk size' | 'chunk' | 'chunk end' | 'trailers' | 'rest' | 'done'

const BODY_PARTS: ReadonlySet<Part> = new Set(['length', 'chunk', 'rest'])

/** Takes the bytes as they come; answers whether the connection may carry another request. */
export class AnswerReader {
  /** The first bytes have come. */
  hasBegun = false
  /** 0 until the head has come. */
  status = 0
  readonly headers = new Headers()
  /** More came, or would have come, than the limit keeps. */
  isCut = false
  /** The server ended its answer where it said it would, and keeps the connection. */
  isReusable = false

  readonly #maxBytes: number
  #part: Part = 'head'
  /** Of a head or a line, until its end has come. */
  #pending = Buffer.alloc(0)
  /** Bytes of the body, or of the chunk, that are to come. */
  #left = 0
  #keepsConnection = false
  #kept: Buffer[] = []
  #keptBytes = 0
  #framingBytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Nothing more is wanted: the answer is whole, or as long as we keep one. */
  get isDone(): boolean {
    return this.#part === 'done'
  }

  /** What was kept of the body. */
  get bytes(): Uint8Array {
    return Buffer.concat(this.#kept)
  }

  /** Takes bytes; throws {@link NotAnAnswer} when they are none of an HTTP answer. */
  push(chunk: Uint8Array): void {
    this.hasBegun = true
    let rest = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    while (rest.length > 0 && !this.isDone) {
      const isBody = BODY_PARTS.has(this.#part)
      const next = this.#take(rest)
      if (!isBody) this.#framingBytes += rest.length - next.length
      if (this.#framingBytes > MAX_FRAMING_BYTES) throw new NotAnAnswer('it has no end')
      rest = next
    }
    // bytes that nobody asked for: what would follow them is not the answer to our next request
    if (rest.length > 0) this.isReusable = false
  }

  /** The connection ended. A body without a length ends with it; any other stays what it is so far. */
  end(): void {
    if (this.#part === 'rest') this.#part = 'done'
  }

  #take(bytes: Buffer): Buffer {
    switch (this.#part) {
      case 'head':
        return this.#takeHead(bytes)
      case 'length':
        return this.#takeBody(bytes, () => this.#finish(true))
      case 'chunk':
        return this.#takeBody(bytes, () => this.#part = 'chunk end')
      case 'rest':
        this.#left = bytes.length + 1 // has no end but the connection's
        return this.#takeBody(bytes, () => {})
      default:
        return this.#takeLine(bytes)
    }
  }

  #takeHead(bytes: Buffer): Buffer {
    const all = this.#pending.length > 0 ? Buffer.concat([this.#pending, bytes]) : bytes
    const [end, next] = endOfHead(all)
    if (end < 0) {
      if (all.length > MAX_HEAD_BYTES) throw new NotAnAnswer('its headers have no end')
      if (!'HTTP/1.'.startsWith(all.toString('latin1', 0, 7))) throw new NotAnAnswer(NO_HTTP)
      this.#pending = Buffer.from(all) // a copy: the reader of the connection may use its memory again
      return EMPTY
    }
    if (end > MAX_HEAD_BYTES) throw new NotAnAnswer('its headers have no end')
    this.#pending = EMPTY
    this.#readHead(all.toString('latin1', 0, end))
    return all.subarray(next)
  }

  #readHead(text: string): void {
    const [statusLine = '', ...lines] = text.split(/\r?\n/)
    const match = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: |$)/.exec(statusLine)
    if (!match) throw new NotAnAnswer(NO_HTTP)
    const status = Number(match[2])
    // 100 and 103 announce the answer that follows; 101 would leave HTTP, which nobody asked for
    if (status < 200) {
      if (status === 101) throw new NotAnAnswer('it wants to leave HTTP')
      return
    }
    this.status = status
    let isClean = true
    for (const line of lines) {
      const colon = line.indexOf(':')
      try {
        this.headers.append(line.slice(0, Math.max(colon, 0)), line.slice(colon + 1).trim())
      } catch {
        isClean = false // a line that is no header costs nothing but the connection
      }
    }
    const connection = this.headers.get('connection')?.toLowerCase() ?? ''
    this.#keepsConnection = isClean && match[1] === '1' && !/\bclose\b/.test(connection)
    this.#beginBody()
  }

  #beginBody(): void {
    const encoding = this.headers.get('transfer-encoding')?.toLowerCase()
    const lengths = new Set((this.headers.get('content-length') ?? '').split(/\s*,\s*/))
    if (this.status === 204 || this.status === 304) return this.#finish(encoding === undefined)
    if (encoding !== undefined) {
      // both at once is how answers are smuggled (RFC 9112 section 6.3): nothing may follow it
      if (this.headers.has('content-length')) this.#keepsConnection = false
      this.#part = /(^|,)\s*chunked$/.test(encoding) ? 'chunk size' : 'rest'
      return
    }
    if (!this.headers.has('content-length')) {
      this.#part = 'rest'
      return
    }
    const [length = ''] = lengths
    if (lengths.size > 1 || !/^\d{1,15}$/.test(length)) {
      this.isCut = true // where the body ends is anybody's guess, what the server said of our request is not
      return this.#finish(false)
    }
    this.#left = Number(length)
    this.#part = 'length'
    if (this.#left === 0) this.#finish(true)
  }

  #takeBody(bytes: Buffer, onEnd: () => void): Buffer {
    const taken = bytes.subarray(0, this.#left)
    const kept = taken.subarray(0, this.#maxBytes - this.#keptBytes)
    if (kept.length > 0) this.#kept.push(Buffer.from(kept))
    this.#keptBytes += kept.length
    this.#left -= taken.length
    if (kept.length < taken.length) {
      this.isCut = true
      this.#finish(false)
    } else if (this.#left === 0) {
      onEnd()
    }
    return bytes.subarray(taken.length)
  }

  #takeLine(bytes: Buffer): Buffer {
    const end = bytes.indexOf(LINE_FEED)
    const piece = end < 0 ? bytes : bytes.subarray(0, end + 1)
    const line = Buffer.concat([this.#pending, piece])
    if (line.length > MAX_LINE_BYTES) throw new NotAnAnswer('a line between its chunks has no end')
    this.#pending = end < 0 ? line : EMPTY
    if (end >= 0) this.#readLine(line.toString('latin1').replace(/\r?\n$/, ''))
    return bytes.subarray(piece.length)
  }

  #readLine(line: string): void {
    if (this.#part === 'trailers') {
      if (line === '') this.#finish(true)
      return
    }
    if (this.#part === 'chunk end') {
      if (line !== '') throw new NotAnAnswer('a chunk is longer than it says')
      this.#part = 'chunk size'
      return
    }
    const size = /^([\da-f]{1,12})\s*(;.*)?$/i.exec(line)?.[1]
    if (size === undefined) throw new NotAnAnswer('a chunk does not say how long it is')
    this.#left = parseInt(size, 16)
    this.#part = this.#left === 0 ? 'trailers' : 'chunk'
  }

  #finish(isWhole: boolean): void {
    this.#part = 'done'
    this.isReusable = isWhole && this.#keepsConnection
  }
}

const EMPTY = Buffer.alloc(0)
const LINE_FEED = 10
const NO_HTTP = 'it is not HTTP'

/** Where the head ends and what follows begins; -1 when it has not ended. Line feeds alone are taken too. */
function endOfHead(bytes: Buffer): [end: number, next: number] {
  const strict = bytes.indexOf('\r\n\r\n')
  const bare = bytes.indexOf('\n\n')
  if (bare >= 0 && (strict < 0 || bare < strict)) return [bare, bare + 2]
  return strict < 0 ? [-1, -1] : [strict, strict + 4]
}
