import { describe, expect, it, vi } from 'vitest'
import {
  BodyTooLarge,
  discardBody,
  readBody,
} from '../../../supabase/functions/_shared/http/body.ts'

function streamOf(chunks: Uint8Array[], cancel = vi.fn()) {
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      const chunk = chunks.shift()
      if (chunk) controller.enqueue(chunk)
      else controller.close()
    },
    cancel,
  }, { highWaterMark: 0 })
}

describe('reading a body', () => {
  it('joins the chunks', async () => {
    const body = streamOf([Uint8Array.of(1, 2), Uint8Array.of(), Uint8Array.of(3)])

    expect([...await readBody(body, 100)]).toEqual([1, 2, 3])
  })

  it('no body is an empty one', async () => {
    expect((await readBody(null, 100)).byteLength).toBe(0)
  })

  it.each([
    ['keeps to its announced length', 6],
    ['is shorter than announced', 60],
    ['is longer than announced, as a compressed one is', 2],
    ['announces nonsense', NaN],
    ['announces less than nothing', -1],
  ])('is whole when it %s', async (_what, announced) => {
    const body = streamOf([Uint8Array.of(1, 2), Uint8Array.of(3), Uint8Array.of(4, 5, 6)])

    expect([...await readBody(body, 100, announced)]).toEqual([1, 2, 3, 4, 5, 6])
  })

  it('takes exactly the limit', async () => {
    expect((await readBody(streamOf([new Uint8Array(100)]), 100)).byteLength).toBe(100)
  })

  it('stops and cancels one byte above the limit, without asking for more', async () => {
    const cancel = vi.fn()
    const chunks = [new Uint8Array(60), new Uint8Array(41), new Uint8Array(1_000)]

    await expect(readBody(streamOf(chunks, cancel), 100)).rejects.toThrow(BodyTooLarge)

    expect(cancel).toHaveBeenCalledOnce()
    expect(chunks).toHaveLength(1)
  })

  it('passes on the error of a stream that breaks off', async () => {
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.error(new Error('reset')),
    })

    await expect(readBody(body, 100)).rejects.toThrow('reset')
  })
})

describe('discarding a body', () => {
  it('cancels one that nobody read', async () => {
    const cancel = vi.fn()

    await discardBody(streamOf([new Uint8Array(1)], cancel))

    expect(cancel).toHaveBeenCalledOnce()
  })

  it('leaves alone what is missing, read or broken', async () => {
    const read = streamOf([new Uint8Array(1)])
    await readBody(read, 100)
    const broken = new ReadableStream({
      start: (controller) => controller.error(new Error('reset')),
    })

    await expect(Promise.all([discardBody(null), discardBody(read), discardBody(broken)]))
      .resolves.toBeDefined()
  })
})
