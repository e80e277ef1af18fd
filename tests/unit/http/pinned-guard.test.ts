import { connect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { createPinnedCaller } from '../../../supabase/functions/_shared/http/pinned-call.ts'
import type { NetworkOptions } from '../../../supabase/functions/_shared/http/pinned-connection.ts'
import { makeCertificates } from '../../support/certificates.ts'
import { scriptedServer } from '../../support/scripted-server.ts'

const PUBLIC = '93.184.216.34'
const certificates = makeCertificates([
  'DNS:example.com',
  'DNS:*.example.com',
  `IP:${PUBLIC}`,
  'IP:2606:2800:220:1:248:1893:25c8:1946',
])

const closing: (() => void)[] = []
afterEach(() => closing.splice(0).forEach((close) => close()))

/**
 * A caller on an internet of one server: whatever address is dialled leads there. The guard is the real one;
 * `dialled` is what it let through.
 */
async function smallInternet(names: Record<string, string[]>, options: NetworkOptions = {}) {
  const server = await scriptedServer(
    (socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'),
    certificates,
  )
  const dialled: string[] = []
  const asked: string[] = []
  const caller = createPinnedCaller({
    ca: [certificates.ca],
    connect: (address, port) => {
      dialled.push(`${address} ${port}`)
      return connect({ host: '127.0.0.1', port: server.port })
    },
    resolve: (host) => {
      asked.push(host)
      const addresses = names[host]
      return addresses ? Promise.resolve(addresses) : Promise.reject(new Error('ENOTFOUND'))
    },
    ...options,
  })
  closing.push(() => caller.close())
  const call = (url: string) => caller.call({ url, headers: {}, body: new Uint8Array(2) })
  return { call, dialled, asked, server }
}

describe('a call to an address given by people', () => {
  it.each([
    // loopback and "this" network in every spelling
    'https://127.0.0.1/',
    'https://127.255.255.254/',
    'https://127.1/',
    'https://2130706433/',
    'https://0x7f000001/',
    'https://0x7f.1/',
    'https://0177.0.0.1/',
    'https://017700000001/',
    'https://127.0.0.1./',
    'https://①②⑦.⓪.⓪.①/',
    'https://１２７．０．０．１/',
    'https://127。0。0。1/',
    'https://%31%32%37.0.0.1/',
    'https://0/',
    'https://0.0.0.0/',
    'https://[::]/',
    'https://[::1]/',
    'https://[0:0:0:0:0:0:0:1]/',
    'https://localhost/',
    'https://localhost./',
    'https://LOCALHOST:8443/',
    'https://ｌｏｃａｌｈｏｓｔ/',
    'https://db.localhost/',
    // IPv4 inside IPv6: mapped, compatible, translated, NAT64, 6to4, Teredo
    'https://[::ffff:127.0.0.1]/',
    'https://[::ffff:7f00:1]/',
    'https://[::ffff:0:127.0.0.1]/',
    'https://[::127.0.0.1]/',
    'https://[64:ff9b::127.0.0.1]/',
    'https://[64:ff9b::a9fe:a9fe]/',
    'https://[64:ff9b:1::10.0.0.1]/',
    'https://[2002:7f00:1::]/',
    'https://[2002:a9fe:a9fe::1]/',
    'https://[2001:0:7f00:1::]/',
    // private, shared, link-local, metadata
    'https://10.0.0.1/',
    'https://172.16.0.1/',
    'https://172.31.255.255/',
    'https://192.168.1.1/',
    'https://100.64.0.1/',
    'https://100.100.100.200/',
    'https://169.254.169.254/latest/meta-data/',
    'https://2852039166/',
    'https://0xa9fea9fe/',
    'https://0251.0376.0251.0376/',
    'https://168.63.129.16/',
    'https://[fd00:ec2::254]/',
    'https://[fc00::1]/',
    'https://[fe80::1]/',
    'https://[fec0::1]/',
    'https://metadata.google.internal/',
    'https://printer.local/',
    'https://router.home.arpa/',
    // nobody's: documentation, benchmarks, multicast, broadcast, reserved
    'https://192.0.2.1/',
    'https://198.18.0.1/',
    'https://203.0.113.1/',
    'https://224.0.0.1/',
    'https://240.0.0.1/',
    'https://255.255.255.255/',
    'https://[ff02::1]/',
    'https://[2001:db8::1]/',
    'https://[3fff::1]/',
    'https://[100::1]/',
    // not https, or not only an address
    'http://hooks.example.com/',
    'ftp://hooks.example.com/',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'https://user:pass@hooks.example.com/',
    'https://user@hooks.example.com/',
    'https://hooks.example.com@127.0.0.1/',
    'https://127.0.0.1\\@hooks.example.com/',
    'https://hooks.example.com\r\nhost: other/',
    'https://hooks.\texample.com/',
    'https://hooks.example.com /',
    'https://[fe80::1%25eth0]/',
    'https://256.1.1.1/',
    'https://',
    '//hooks.example.com/',
    '',
    `https://hooks.example.com/${'x'.repeat(3_000)}`,
    // ports of other services
    'https://hooks.example.com:0/',
    'https://hooks.example.com:22/',
    'https://hooks.example.com:25/',
    'https://hooks.example.com:6667/',
  ])('goes nowhere for %j, and to a public address the same way', async (url) => {
    const { call, dialled, server } = await smallInternet({ 'hooks.example.com': [PUBLIC] })

    const refused = await call(url)
    const connections = dialled.length
    const allowed = await call('https://hooks.example.com/')

    expect(refused).toMatchObject({ ok: false, code: 'address_refused' })
    expect(connections).toBe(0)
    expect(allowed).toMatchObject({ ok: true, status: 200, answer: 'ok' })
    expect(dialled).toEqual([`${PUBLIC} 443`])
    expect(server.requests).toHaveLength(1)
  })

  it.each([
    ['loopback', ['127.0.0.1']],
    ['a private network', ['10.1.2.3']],
    ['a metadata service', ['169.254.169.254']],
    ['IPv6 loopback', ['::1']],
    ['a mapped private address', ['::ffff:10.0.0.1']],
    ['a private address behind NAT64', ['64:ff9b::10.0.0.1']],
    ['an address with a zone', ['fe80::1%eth0']],
    ['a public and a private address', [PUBLIC, '192.168.0.1']],
    ['no address', []],
    ['what is no address', ['hooks.example.com']],
  ])(
    'goes nowhere for a name that leads to %s, and elsewhere once it does not',
    async (_, addresses) => {
      const names = { 'hooks.example.com': addresses }
      const { call, dialled } = await smallInternet(names)

      const refused = await call('https://hooks.example.com/')
      names['hooks.example.com'] = [PUBLIC]
      const allowed = await call('https://hooks.example.com/')

      expect(refused).toMatchObject({ ok: false, code: 'address_refused' })
      expect(refused).not.toHaveProperty('reason', expect.stringMatching(/10\.|127|169|192|::/))
      expect(allowed).toMatchObject({ ok: true, status: 200 })
      expect(dialled).toEqual([`${PUBLIC} 443`])
    },
  )

  it('asks for a name once, so an answer that changes in between changes nothing', async () => {
    const answers = [[PUBLIC], ['127.0.0.1']]
    const { call, dialled } = await smallInternet({}, {
      resolve: () => Promise.resolve(answers.shift()!),
    })

    const answer = await call('https://rebinding.example.com/')

    expect(answer).toMatchObject({ ok: true, status: 200 })
    expect(dialled).toEqual([`${PUBLIC} 443`])
    expect(answers).toEqual([['127.0.0.1']])
  })

  it('refuses the second answer of such a name as soon as it is asked for again', async () => {
    const answers = [[PUBLIC], ['127.0.0.1']]
    const server = await scriptedServer(
      (socket) => socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n'),
      certificates,
    )
    const { call } = await smallInternet({}, {
      resolve: () => Promise.resolve(answers.shift()!),
      connect: () => connect({ host: '127.0.0.1', port: server.port }),
    })

    expect(await call('https://rebinding.example.com/')).toMatchObject({ ok: true, status: 200 })
    expect(await call('https://rebinding.example.com/')).toMatchObject({ code: 'address_refused' })
  })

  it.each([
    [
      'https://hooks.example.com/a?b=c#d',
      'hooks.example.com',
      `${PUBLIC} 443`,
      'hooks.example.com',
    ],
    [
      'https://HOOKS.EXAMPLE.COM:8443/a?b=c',
      'hooks.example.com:8443',
      `${PUBLIC} 8443`,
      'hooks.example.com',
    ],
    [
      'https://hooks.example.com./a?b=c',
      'hooks.example.com.',
      `${PUBLIC} 443`,
      'hooks.example.com',
    ],
    [`https://${PUBLIC}/a?b=c`, PUBLIC, `${PUBLIC} 443`, undefined],
    [
      'https://[2606:2800:220:1:248:1893:25c8:1946]/a?b=c',
      '[2606:2800:220:1:248:1893:25c8:1946]',
      '2606:2800:220:1:248:1893:25c8:1946 443',
      undefined,
    ],
  ])('%s is asked for by its name at its address', async (url, host, address, serverName) => {
    const { call, dialled, server } = await smallInternet({ 'hooks.example.com': [PUBLIC] })

    const answer = await call(url)

    expect(answer).toMatchObject({ ok: true, status: 200 })
    expect(dialled).toEqual([address])
    expect(server.serverNames).toEqual([serverName])
    expect(server.requests[0]).toMatch(/^POST \/a\?b=c HTTP\/1\.1\r\n/)
    expect(server.requests[0]).toContain(`\r\nhost: ${host}\r\n`)
  })

  it.each([
    ['of another name', { 'other.example.org': [PUBLIC] }, 'https://other.example.org/', {}],
    ['of another address', {}, 'https://93.184.216.35/', {}],
    ['of nobody known', { 'hooks.example.com': [PUBLIC] }, 'https://hooks.example.com/', {
      ca: undefined,
    }],
  ])('sends nothing to a server with a certificate %s', async (_, names, url, options) => {
    const { call, server } = await smallInternet(names as Record<string, string[]>, options)

    const answer = await call(url)

    expect(answer).toMatchObject({
      ok: false,
      code: 'tls_failed',
      reason: expect.stringContaining('its certificate is'),
    })
    expect(server.requests).toEqual([])
  })

  it('takes the next address of a name when one cannot be reached', async () => {
    const second = '93.184.216.35'
    const { call, dialled, server } = await smallInternet({
      'hooks.example.com': [PUBLIC, second],
    }, {
      connect: (address) => {
        dialled.push(address)
        return connect({ host: '127.0.0.1', port: address === second ? server.port : 1 })
      },
    })

    expect(await call('https://hooks.example.com/')).toMatchObject({ ok: true, status: 200 })
    expect(dialled).toEqual([PUBLIC, second])
  })

  it('does not find a name that nobody knows', async () => {
    const { call } = await smallInternet({})

    expect(await call('https://unknown.example.com/')).toMatchObject({
      ok: false,
      code: 'name_not_found',
      reason: expect.stringContaining('unknown.example.com'),
    })
  })
})

describe('where the local setting allows private networks', () => {
  it.each([
    ['http://localhost:PORT/', ['127.0.0.1'], true],
    ['http://127.0.0.1:PORT/', [], true],
    ['http://inside.example.com:PORT/', ['10.0.0.1'], false],
    ['http://mixed.example.com:PORT/', ['127.0.0.1', '10.0.0.1'], false],
    ['http://10.0.0.1:PORT/', [], false],
    [`http://${PUBLIC}:PORT/`, [], false],
  ])('http to %s with the addresses %j: %s', async (address, addresses, isAllowed) => {
    const server = await scriptedServer((socket) => socket.write('HTTP/1.1 204 No Content\r\n\r\n'))
    const dialled: string[] = []
    const caller = createPinnedCaller({
      allowPrivateNetworks: true,
      resolve: () => Promise.resolve(addresses),
      connect: (address, port) => {
        dialled.push(address)
        return connect({ host: '127.0.0.1', port })
      },
    })
    closing.push(() => caller.close())

    const url = address.replace('PORT', String(server.port))
    const answer = await caller.call({ url, headers: {}, body: new Uint8Array() })

    if (isAllowed) expect(answer).toMatchObject({ ok: true, status: 204 })
    else expect(answer).toMatchObject({ ok: false, code: 'address_refused' })
    expect(dialled).toEqual(isAllowed ? ['127.0.0.1'] : [])
  })

  it('lets https go to any address', async () => {
    const { call } = await smallInternet({ 'inside.example.com': ['10.0.0.1'] }, {
      allowPrivateNetworks: true,
    })

    expect(await call('https://inside.example.com/')).toMatchObject({ ok: true, status: 200 })
  })
})
