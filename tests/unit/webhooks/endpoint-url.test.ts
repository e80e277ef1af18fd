import { describe, expect, it } from 'vitest'
import { checkEndpointUrl } from '../../../supabase/functions/_shared/webhooks/endpoint-url.ts'

const names: Record<string, string[]> = {
  'hooks.example.com': ['93.184.216.34', '2606:2800:220:1:248:1893:25c8:1946'],
  'inside.example.com': ['10.0.0.7'],
  'mixed.example.com': ['93.184.216.34', '127.0.0.1'],
  'localhost': ['127.0.0.1', '::1'],
}

const resolve = (host: string) => {
  const addresses = names[host]
  if (addresses) return Promise.resolve(addresses)
  const code = host.startsWith('busy.') ? 'EAI_AGAIN' : 'ENOTFOUND'
  return Promise.reject(Object.assign(new Error(code), { code }))
}

describe('the address of a webhook endpoint', () => {
  it.each([
    ['https://hooks.example.com/in', 'https://hooks.example.com/in'],
    ['HTTPS://Hooks.Example.COM', 'https://hooks.example.com/'],
    ['https://hooks.example.com:443/a?b=c#part', 'https://hooks.example.com/a?b=c'],
    ['https://hooks.example.com:8443/ä', 'https://hooks.example.com:8443/%C3%A4'],
    ['https://93.184.216.34/', 'https://93.184.216.34/'],
  ])('%s is kept as %s', async (url, kept) => {
    await expect(checkEndpointUrl(url, { resolve })).resolves.toBe(kept)
  })

  it.each([
    ['hooks.example.com', 'is not a valid URL'],
    ['', 'is not a valid URL'],
    ['http://hooks.example.com/', 'must begin with https://'],
    ['ftp://hooks.example.com/', 'must begin with https://'],
    ['https://user:pass@hooks.example.com/', 'must not contain a user name or password'],
    ['https://hooks.example.com/a b', 'must not contain spaces or backslashes'],
    ['https:\\\\hooks.example.com', 'must not contain spaces or backslashes'],
    ['https://hooks.example.com/\r\nx', 'must not contain spaces or backslashes'],
    ['https://hooks.example.com:25/', 'must not name port 25'],
    [`https://hooks.example.com/${'x'.repeat(2_048)}`, 'must not be longer than 2048 characters'],
    ['https://unknown.example.com/', 'names a server that nobody knows: unknown.example.com'],
  ])('%j is refused: it %s', async (url, message) => {
    await expect(checkEndpointUrl(url, { resolve })).rejects.toMatchObject({
      code: 'invalid_endpoint',
      status: 400,
      errors: [{ path: 'url', message }],
    })
  })

  it('a password in it is not repeated', async () => {
    const error = await checkEndpointUrl('https://user:hush@hooks.example.com/').catch((e) => e)

    expect(JSON.stringify([error.detail, error.errors])).not.toContain('hush')
  })

  it.each([
    'https://127.0.0.1/',
    'https://0x7f.1/',
    'https://[::ffff:10.0.0.1]/',
    'https://localhost/',
    'https://inside.example.com/',
    'https://mixed.example.com/',
  ])('%s leads into a private network', async (url) => {
    await expect(checkEndpointUrl(url, { resolve })).rejects
      .toMatchObject({ code: 'private_network_refused' })
  })

  it('a name server that is busy is a reason to try again', async () => {
    await expect(checkEndpointUrl('https://busy.example.com/', { resolve })).rejects
      .toMatchObject({ code: 'unavailable', next: 'retry' })
  })
})

describe('the address of a webhook endpoint where private networks are allowed', () => {
  const options = { resolve, allowPrivateNetworks: true }

  it.each([
    'http://127.0.0.1:4000/',
    'http://[::1]:4000/',
    'http://localhost:4000/',
    'https://inside.example.com/',
    'https://10.0.0.1/',
  ])('may be %s', async (url) => {
    await expect(checkEndpointUrl(url, options)).resolves.toBe(url)
  })

  it.each(['http://10.0.0.1/', 'http://inside.example.com/', 'http://mixed.example.com/'])(
    'may not be %s, which is neither protected nor this machine',
    async (url) => {
      await expect(checkEndpointUrl(url, options)).rejects
        .toMatchObject({ code: 'invalid_endpoint' })
    },
  )
})
