// The functions run in Deno: is the pin as good there?
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { makeCertificates } from '../../support/certificates.ts'
import { scriptedServer } from '../../support/scripted-server.ts'

const run = promisify(execFile)

it('in Deno a call reaches the checked address, and only a server with the certificate of the name', async () => {
  const certificates = makeCertificates(['DNS:hooks.example.com'])
  const head = 'HTTP/1.1 200 OK\r\ncontent-length: '
  const server = await scriptedServer((socket, reset) => {
    const path = server.requests.at(-1)?.split(' ')[1]
    if (path === '/reset') reset()
    else if (path === '/slow') socket.write('HTTP/1.1 200 O')
    else if (path === '/half') socket.end(`${head}4\r\n\r\nok`)
    else if (path === '/large') socket.write(`${head}10000000\r\n\r\n${'x'.repeat(10_000_000)}`)
    else if (path === '/moved') {
      socket.write(
        'HTTP/1.1 302 Found\r\nlocation: https://127.0.0.1/\r\ncontent-length: 0\r\n\r\n',
      )
    } else socket.write(`${head}2\r\n\r\nok`)
  }, certificates)
  const folder = mkdtempSync(join(tmpdir(), 'pinned-'))
  const ca = join(folder, 'ca.crt')
  writeFileSync(ca, certificates.ca)

  const paths = ['a', 'b', 'moved', 'large', 'half', 'reset', 'slow']
  const { stdout } = await run('node_modules/.bin/deno', [
    'run',
    '-A',
    '--no-check',
    'tests/support/pinned-call-from-deno.ts',
    String(server.port),
    ca,
    ...paths.map((path) => `https://hooks.example.com/${path}`),
    'https://other.example.com/other',
    'https://inside.example.com/inside',
    'https://127.0.0.1/loopback',
  ]).finally(() => rmSync(folder, { recursive: true }))

  const { outcomes, dialled } = JSON.parse(stdout)
  expect(outcomes).toEqual([
    [200, 2, true],
    [200, 2, true],
    [302, 0, true],
    [200, 16_384, false],
    [200, 2, false],
    'connection_reset',
    'timed_out',
    'tls_failed',
    'address_refused',
    'address_refused',
  ])
  // the first four share a connection, which the large answer spoils, as each after it spoils its own
  expect(dialled).toEqual(Array(5).fill('93.184.216.34 443'))
  expect(server.serverNames.slice(0, 4)).toEqual(Array(4).fill('hooks.example.com'))
  expect(server.requests.map((request) => request.split(' ')[1])).toEqual(
    paths.map((path) => `/${path}`),
  )
})
