// A platform on loopback that serves one connector's fixture pages, and misbehaves when told to.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { onTestFinished } from 'vitest'
import type { Stream } from '../../supabase/functions/_shared/connectors/define-connector.ts'
import type { StreamFixture } from './conformance.ts'

/** Spoils a list request by answering it itself, or by changing what would be answered. */
export type Fault = (response: ServerResponse, body: string) => void

export type ScriptedPlatform = {
  url: string
  /** Plays the fault on the next `times` list requests. */
  fail(fault: Fault, times?: number): void
  /** Plays the fault on every request, be it for a list, a token or a check. */
  failEverything(fault: Fault): void
  /** Replaces the records by page. */
  serve(pages: unknown[][]): void
  /** Answers every list request with the first page from now on. */
  ignorePaging(): void
  /** Forgets how far the list was read, as if the next reader began elsewhere in it. */
  continueAt(page: number): void
  /** `METHOD /path?query` of everything that came in. */
  requests: string[]
  /** Headers of the newest request. */
  headers(): IncomingMessage['headers']
}

/**
 * By `METHOD /path`, where `*` stands for a part of the path. A function answers by address and body, with
 * undefined where it is the list that is asked for, as at platforms with one address for everything.
 */
export type OtherAnswers = Record<string, unknown | ((url: URL, body: string) => unknown)>

/** @param other Answers besides the list, by `METHOD /path`. */
export async function scriptedPlatform(
  stream: Stream,
  fixture: StreamFixture,
  other: OtherAnswers = {},
): Promise<ScriptedPlatform> {
  let pages = fixture.pages
  let at = 0
  let stuck = false
  let fault: { play: Fault; times: number } | null = null
  let total: Fault | null = null
  const requests: string[] = []
  let headers: IncomingMessage['headers'] = {}

  const bodyOf = (url: URL) => {
    const total = pages.flat().length
    const lookup = stream.read ? undefined : stream.lookup
    const ids = lookup && url.searchParams.get(lookup.param)
    if (ids) {
      const asked = ids.split(lookup?.separator ?? ',')
      const found = pages.flat().filter((record) => asked.includes(stream.id(record) ?? ''))
      return fixture.body(found, { page: 0, last: true, total: found.length })
    }
    const page = stuck ? 0 : Math.min(at, pages.length - 1)
    at += 1
    return fixture.body(pages[page] ?? [], { page, last: page >= pages.length - 1, total })
  }

  const server = createServer(async (request, response) => {
    const body = await text(request)
    const url = new URL(request.url ?? '/', 'http://platform')
    requests.push(`${request.method} ${request.url}`)
    headers = request.headers
    if (total) return total(response, '{}')
    const aside = answerOf(other, `${request.method} ${url.pathname}`)
    const answer = typeof aside === 'function' ? aside(url, body) : aside
    if (answer !== undefined) return json(response, JSON.stringify(answer))
    if (fault && fault.times > 0) {
      fault.times -= 1
      return fault.play(
        response,
        JSON.stringify(fixture.body(pages[0] ?? [], { page: 0, last: false, total: 9 })),
      )
    }
    json(response, JSON.stringify(bodyOf(url)))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(() => resolve()))
  })

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    fail: (play, times = Infinity) => void (fault = { play, times }),
    failEverything: (play) => void (total = play),
    serve(replaced) {
      pages = replaced
      at = 0
      fault = null
    },
    ignorePaging: () => void (stuck = true),
    continueAt: (page) => void (at = page),
    requests,
    headers: () => headers,
  }
}

function answerOf(other: OtherAnswers, asked: string): unknown {
  if (Object.hasOwn(other, asked)) return other[asked]
  const pattern = Object.keys(other).find((key) =>
    key.includes('*') &&
    new RegExp(`^${
      key.split('*').map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&')).join('[^/]+')
    }$`).test(asked)
  )
  return pattern === undefined ? undefined : other[pattern]
}

/** A refusal in the words of every platform at once, each of which quotes `person`. */
export function quotingRefusal(person: string): Record<string, unknown> {
  const words = `${person} is not allowed`
  const one = { code: 'NO', message: words, detail: words, title: words, field: 'email' }
  return {
    ...one,
    ok: false,
    category: 'VALIDATION_ERROR',
    resultCode: 'FAIL',
    resultReason: words,
    error: { type: 'NO', message: words, errors: [{ reason: 'forbidden', message: words }] },
    errors: [{ ...one, error: 'NO', errorCode: 'NO' }],
  }
}

/** The statuses a platform may refuse with, 200 where its body says so. A 404 may be an answer. */
export const REFUSALS = [200, 400, 402, 403, 409, 422, 426]

/** The faults of the conformance suite. */
export const faults = {
  refusal: (status: number, body: unknown): Fault => (response) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
  status: (status: number, headers: Record<string, string> = {}): Fault => (response) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(
      '{"error":"no"}',
    ),
  html: (response: ServerResponse) =>
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><p>Please log in'),
  noAnswer: () => {},
  cutBody: (response: ServerResponse, body: string) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length })
    response.write(body.slice(0, Math.floor(body.length / 2)), () => response.destroy())
  },
} satisfies Record<string, Fault | ((...rest: never[]) => Fault)>

function json(response: ServerResponse, body: string): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(body)
}
