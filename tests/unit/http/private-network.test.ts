import { describe, expect, it } from 'vitest'
import {
  checkAddress,
  isPublicAddress,
} from '../../../supabase/functions/_shared/http/private-network.ts'

/** A name server for tests; unknown names reject as the system's do. */
function resolving(names: Record<string, string[]>) {
  return (host: string) => {
    const addresses = names[host]
    return addresses ? Promise.resolve(addresses) : Promise.reject(new Error(`ENOTFOUND ${host}`))
  }
}

const resolve = resolving({
  'api.example.com': ['93.184.216.34', '2606:2800:220:1:248:1893:25c8:1946'],
  'mixed.example.com': ['93.184.216.34', '10.0.0.7'],
  'inside.example.com': ['192.168.1.5'],
  'mapped.example.com': ['::ffff:10.0.0.1'],
  'empty.example.com': [],
  'metadata.example.com': ['169.254.169.254'],
  'nat64.example.com': ['64:ff9b::93.184.216.34'],
  'kong': ['172.18.0.4'],
})

describe('private-network guard', () => {
  it.each([
    'https://api.example.com/v2/products?page=1',
    'http://api.example.com:8080/',
    'https://API.EXAMPLE.COM./',
    'https://93.184.216.34/',
    'https://[2606:2800:220:1:248:1893:25c8:1946]/',
    'https://[::ffff:93.184.216.34]/',
    'https://nat64.example.com/',
    'https://172.32.0.1/',
    'https://100.128.0.1/',
    'https://11.0.0.1/',
  ])('lets %s pass, a public host', async (url) => {
    await expect(checkAddress(url, { resolve })).resolves.toBeInstanceOf(URL)
  })

  it.each([
    // loopback in every spelling
    'http://127.0.0.1/',
    'http://127.255.255.254/',
    'http://127.1/',
    'http://2130706433/',
    'http://0x7f000001/',
    'http://0x7f.0.0.1/',
    'http://0177.0.0.1/',
    'http://017700000001/',
    'http://127.0.0.1./',
    'http://①②⑦.⓪.⓪.①/',
    'http://%31%32%37.0.0.1/',
    'http://[::1]/',
    'http://[0:0:0:0:0:0:0:1]/',
    'http://[::127.0.0.1]/',
    'http://[::ffff:127.0.0.1]/',
    'http://[::ffff:7f00:1]/',
    'http://[64:ff9b::127.0.0.1]/',
    'http://[64:ff9b:1::10.0.0.1]/',
    'http://localhost/',
    'http://LOCALHOST:3000/',
    'http://localhost./',
    'http://db.localhost/',
    // "this" network
    'http://0.0.0.0/',
    'http://0/',
    'http://[::]/',
    // private, shared, link-local, metadata services
    'http://10.0.0.1/',
    'http://172.16.0.1/',
    'http://172.31.255.255/',
    'http://192.168.0.1/',
    'http://100.64.0.1/',
    'http://100.100.100.200/',
    'http://169.254.169.254/latest/meta-data/',
    'http://2852039166/',
    'http://168.63.129.16/',
    'http://[fd00:ec2::254]/',
    'http://[fc00::1]/',
    'http://[fe80::1]/',
    'http://[fec0::1]/',
    // documentation, benchmarks, multicast, broadcast, reserved, tunnels
    'http://192.0.2.1/',
    'http://198.18.0.1/',
    'http://198.51.100.1/',
    'http://203.0.113.1/',
    'http://192.0.0.192/',
    'http://192.88.99.1/',
    'http://224.0.0.1/',
    'http://240.0.0.1/',
    'http://255.255.255.255/',
    'http://[2001:db8::1]/',
    'http://[2002:7f00:1::]/',
    'http://[2001:0:7f00:1::]/',
    'http://[ff02::1]/',
    'http://[100::1]/',
    // names
    'http://kong/',
    'http://inside.example.com/',
    'http://mixed.example.com/',
    'http://mapped.example.com/',
    'http://empty.example.com/',
    'http://metadata.example.com/',
    'http://metadata.google.internal/',
    'http://printer.local/',
    'http://router.home.arpa/',
    // not http, or not only an address
    'ftp://api.example.com/',
    'file:///etc/passwd',
    'gopher://api.example.com/',
    'data:text/plain,hello',
    'javascript:alert(1)',
    'https://user:pass@api.example.com/',
    'https://user@api.example.com/',
    'https://api.example.com@127.0.0.1/',
    'https://127.0.0.1\\@api.example.com/',
    'https://',
    'api.example.com',
    '//api.example.com',
    '',
    'http://[::1',
    'http://256.1.1.1/',
    'http://[fe80::1%25eth0]/',
  ])('refuses %s', async (url) => {
    await expect(checkAddress(url, { resolve })).rejects
      .toMatchObject({ code: 'private_network_refused' })
  })

  it('does not tell which address a refused name has', async () => {
    const error = await checkAddress('http://inside.example.com', { resolve }).catch((e) => e)

    expect(error.detail).toContain('inside.example.com')
    expect(error.detail).not.toContain('192.168')
  })

  it('a name that nobody knows is a platform that cannot be reached', async () => {
    await expect(checkAddress('https://unknown.example.com', { resolve })).rejects
      .toMatchObject({ code: 'provider_unavailable' })
  })

  it('lets private addresses pass where the local setting says so, and asks no name server', async () => {
    const neverAsked = () => Promise.reject(new Error('asked'))
    const options = { allowPrivateNetworks: true, resolve: neverAsked }

    await expect(checkAddress('http://127.0.0.1:4000/', options)).resolves.toBeInstanceOf(URL)
    await expect(checkAddress('http://kong:8000/', options)).resolves.toBeInstanceOf(URL)
  })

  it.each(['ftp://127.0.0.1/', 'http://user:pass@127.0.0.1/', 'nonsense'])(
    'refuses %s even where private addresses may pass',
    async (url) => {
      await expect(checkAddress(url, { allowPrivateNetworks: true })).rejects
        .toMatchObject({ code: 'private_network_refused' })
    },
  )

  it('asks the system for addresses when no resolver is given', async () => {
    await expect(checkAddress('https://no-such-name.invalid')).rejects
      .toMatchObject({ code: 'provider_unavailable', cause: { code: expect.any(String) } })
  })

  it.each(['', 'example.com', '93.184.216.34 '])('%j is no public address', (text) => {
    expect(isPublicAddress(text)).toBe(false)
  })
})
