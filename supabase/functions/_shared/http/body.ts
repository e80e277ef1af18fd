// Reads a body up to a limit and never leaves one half-read: an unread body blocks its connection.

/** A body that was read whole: bytes, and the text in them for whoever asks. */
export class Body {
  readonly bytes: Uint8Array
  #text: string | undefined

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  /** Decoded as UTF-8 when first asked for: an image never is. */
  get text(): string {
    return this.#text ??= new TextDecoder().decode(this.bytes)
  }
}

/** The body is larger than `maxBytes`. What was unread has been cancelled. */
export class BodyTooLarge extends Error {
  override readonly name = 'BodyTooLarge'
  readonly maxBytes: number

  constructor(maxBytes: number) {
    super(`the body is larger than ${maxBytes} bytes`)
    this.maxBytes = maxBytes
  }
}

/**
 * Reads the whole body. Throws {@link BodyTooLarge} as soon as the limit is passed, or the
 * stream's own error when it breaks off.
 *
 * The limit counts what arrives here, after decompression, so a small compressed answer cannot
 * unpack into a large one.
 *
 * @param announcedBytes `Content-Length`, where there is one: a large file that keeps to it is held once.
 * @param signal Ends it; what is thrown is its reason.
 */
export async function readBody(
  body: ReadableStream<Uint8Array> | null,
  maxBytes: number,
  announcedBytes = 0,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  if (!body) return new Uint8Array()
  let held = new Uint8Array(Math.min(Math.max(announcedBytes, 0) || 0, maxBytes))
  let size = 0
  const reader = body.getReader()
  const giveUp = () => void reader.cancel().catch(() => {}) // the read below ends by it
  signal?.addEventListener('abort', giveUp, { once: true })
  while (true) {
    const { done, value } = await reader.read()
    signal?.throwIfAborted()
    if (done) break
    size += value.byteLength
    if (size > maxBytes) {
      await reader.cancel().catch(() => {}) // the limit is what we report, however the cancel goes
      throw new BodyTooLarge(maxBytes)
    }
    if (size > held.byteLength) {
      const larger = new Uint8Array(Math.min(Math.max(size, 2 * held.byteLength), maxBytes))
      larger.set(held)
      held = larger
    }
    held.set(value, size - value.byteLength)
  }
  signal?.removeEventListener('abort', giveUp)
  return held.subarray(0, size)
}

/** Gives up a body that nobody will read. Safe to call on one that is read or broken already. */
export async function discardBody(body: ReadableStream<Uint8Array> | null): Promise<void> {
  if (!body || body.locked) return
  await body.cancel().catch(() => {}) // a broken stream needs no cancelling
}
