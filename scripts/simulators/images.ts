// A host of images on loopback, with everything that such hosts do wrong. Paths say what is answered:
//
//   /png/<seed>/<name>        a PNG that follows from the seed, under any name; /jpeg/… a JPEG
//   /flaky/<times>/<name>     500 so many times, then a PNG
//   /status/<status>/<name>   that status; 429 and 503 with Retry-After: 3600
//   /slow/<ms>/<name>         a PNG, late
//   /held/<seed>/<name>       a PNG, once release() is called
//   /silent/<name>            nothing, ever
//   /page/<name>, /svg/<name> a web page, an SVG, whatever the name and the type it claims
//   /large/<bytes>/<name>     a PNG followed by zeros, announced; /endless/… never ends
//   /cut/<name>               half a PNG, then the connection breaks
//   /redirect?to=<address>    there
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { makeJpeg, makePng } from './images/make-image.ts'

export type ImageSimulator = {
  url: string
  /** Paths asked for, in order. */
  requests: string[]
  /** The most that were being answered at once. */
  readonly mostAtOnce: number
  /** Answers what is held, and holds nothing from now on. */
  release(): void
  stop(): Promise<void>
}

/** Starts the simulator on 127.0.0.1. */
export async function startImageSimulator(
  options: { port?: number } = {},
): Promise<ImageSimulator> {
  const requests: string[] = []
  let atOnce = 0
  let mostAtOnce = 0
  const { promise: released, resolve: release } = Promise.withResolvers<void>()
  const server = createServer((request, response) => {
    requests.push(request.url ?? '')
    mostAtOnce = Math.max(mostAtOnce, ++atOnce)
    response.on('close', () => atOnce--)
    answer(request, response, { requests, released })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port ?? 0, '127.0.0.1', resolve)
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    get mostAtOnce() {
      return mostAtOnce
    },
    release,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { requests, released }: { requests: string[]; released: Promise<void> },
): void {
  const url = new URL(request.url ?? '/', 'http://localhost')
  const [, kind, argument = ''] = url.pathname.split('/')
  const number = Number(argument)
  const send = (type: string, body: Uint8Array | string, status = 200) =>
    response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) })
      .end(body)
  switch (kind) {
    case 'png':
      return void send('image/png', makePng(number))
    case 'jpeg':
      return void send('image/jpeg', makeJpeg(number))
    case 'flaky':
      return requests.filter((path) => path === request.url).length <= number
        ? void send('text/plain', 'not yet', 500)
        : void send('image/png', makePng(1))
    case 'status':
      response.setHeader('retry-after', '3600')
      return void send('text/html', '<h1>No</h1>', number)
    case 'slow':
      return void setTimeout(() => send('image/png', makePng(number)), number)
    case 'held':
      return void released.then(() => send('image/png', makePng(number)))
    case 'silent':
      return
    case 'page':
      return void send('image/jpeg', '<!doctype html><title>Sign in</title>')
    case 'svg':
      return void send('image/png', '<svg xmlns="http://www.w3.org/2000/svg"/>')
    case 'large':
      return void send('image/png', Buffer.concat([makePng(1), Buffer.alloc(number)]))
    case 'endless':
      response.writeHead(200, { 'content-type': 'image/png' }).write(makePng(1))
      return sendForever(response)
    case 'cut': {
      const bytes = makePng(1, 200, 200)
      response.writeHead(200, { 'content-type': 'image/png', 'content-length': bytes.length })
      return void response.write(bytes.subarray(0, bytes.length / 2), () => response.destroy())
    }
    case 'redirect':
      return void response.writeHead(302, { location: url.searchParams.get('to') ?? '/' }).end()
    default:
      return void send('text/plain', 'not found', 404)
  }
}

function sendForever(response: ServerResponse): void {
  if (response.destroyed) return
  response.write(Buffer.alloc(1024 * 1024), () => sendForever(response))
}
