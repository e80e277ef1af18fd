import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { browser } from '../../../scripts/simulators/parts/oauth/browser.ts'
import { cookieJar } from '../../../scripts/simulators/parts/oauth/cookie-jar.ts'
import { firstForm } from '../../../scripts/simulators/parts/oauth/html-form.ts'

const visit = { method: 'GET', crossSite: false }
const at = (address: string) => new URL(address)

/** Header a jar with this one cookie, set at `from`, sends to `to`. */
function sent(cookie: string, from: string, to: string, navigation = visit, now?: () => number) {
  const jar = cookieJar(now)
  jar.store(at(from), [cookie])
  return jar.header(at(to), navigation)
}

describe('a cookie', () => {
  const site = 'http://127.0.0.1:1000/auth/start'

  it.each([
    ['its host', 'a=1; Path=/', 'http://127.0.0.1:1000/', 'a=1'],
    ['its host at another port, as in any browser', 'a=1; Path=/', 'http://127.0.0.1:2000/', 'a=1'],
    ['no other host', 'a=1; Path=/', 'http://localhost:1000/', ''],
    ['below its path', 'a=1; Path=/auth', 'http://127.0.0.1:1000/auth/next', 'a=1'],
    ['not beside its path', 'a=1; Path=/auth', 'http://127.0.0.1:1000/authors', ''],
    ['by default, the folder of the page', 'a=1', 'http://127.0.0.1:1000/auth/x', 'a=1'],
    ['by default, not outside of it', 'a=1', 'http://127.0.0.1:1000/', ''],
    ['as it is, with equals signs', 'a=b=c==; Path=/; HttpOnly', site, 'a=b=c=='],
    ['loopback, though Secure', 'a=1; Path=/; Secure', site, 'a=1'],
  ])('goes to %s', (_where, cookie, to, header) => {
    expect(sent(cookie, site, to)).toBe(header)
  })

  it('that is Secure does not travel without TLS', () => {
    const cookie = 'a=1; Path=/; Secure'

    expect(sent(cookie, 'https://acme.example/', 'https://acme.example/')).toBe('a=1')
    expect(sent(cookie, 'https://acme.example/', 'http://acme.example/')).toBe('')
    expect(sent(cookie, 'http://acme.example/', 'https://acme.example/')).toBe('')
  })

  it('with a domain goes to its subdomains, if it is the site’s own to set', () => {
    const [shop, login] = ['https://shop.acme.example/', 'https://login.acme.example/']

    expect(sent('a=1; Path=/; Domain=acme.example', shop, login)).toBe('a=1')
    expect(sent('a=1; Path=/', shop, login)).toBe('')
    expect(sent('a=1; Path=/; Domain=other.example', shop, 'https://other.example/')).toBe('')
  })

  it('is guarded against other sites as SameSite says', () => {
    const from = (cookie: string, method: string) =>
      sent(cookie, site, site, { method, crossSite: true })

    expect(from('a=1; SameSite=Strict', 'GET')).toBe('')
    expect(from('a=1; SameSite=Lax', 'GET')).toBe('a=1')
    expect(from('a=1; SameSite=Lax', 'POST')).toBe('')
    expect(from('a=1; SameSite=None; Secure', 'POST')).toBe('a=1')
    expect(sent('a=1; SameSite=Strict', site, site)).toBe('a=1')
  })

  it('ends with its time, when replaced, and when taken back', () => {
    let now = Date.parse('2026-11-20T09:00:00Z')
    const jar = cookieJar(() => now)
    jar.store(at(site), [
      'short=1; Max-Age=60; Expires=Fri, 20 Nov 2099 09:00:00 GMT',
      'dated=1; Expires=Fri, 20 Nov 2026 10:00:00 GMT',
      'kept=1',
    ])
    expect(jar.header(at(site), visit)).toBe('short=1; dated=1; kept=1')

    now += 61_000
    expect(jar.header(at(site), visit)).toBe('dated=1; kept=1')

    jar.store(at(site), ['dated=; Expires=Thu, 01 Jan 1970 00:00:00 GMT', 'kept=2'])
    expect(jar.header(at(site), visit)).toBe('kept=2')
  })
})

describe('a form', () => {
  it('has the fields and buttons that stand in the page', () => {
    const form = firstForm(`<form action='/go?a=1&amp;b=2' method=post>
      <input type="hidden" name="token" value="&quot;x&quot; &lt;y&gt;"><input name=empty>
      <button name="decision" value="allow"> Allow </button><button>Back</button></form>`)

    expect(form).toEqual({
      method: 'POST',
      action: '/go?a=1&b=2',
      fields: { token: '"x" <y>', empty: '' },
      buttons: [
        { name: 'decision', value: 'allow', label: 'Allow' },
        { name: '', value: '', label: 'Back' },
      ],
    })
    expect(firstForm('<p>no form</p>')).toBeNull()
  })
})

describe('the browser', () => {
  async function site(handler: (request: IncomingMessage, response: ServerResponse) => void) {
    const server = createServer(handler)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    return (server.address() as AddressInfo).port
  }

  it('carries each host’s cookies along a redirect across hosts', async () => {
    const seen: string[] = []
    const port = await site((request, response) => {
      const host = request.headers.host!.split(':')[0]!
      seen.push(`${host}${request.url} ${request.headers.cookie ?? '-'}`)
      const next: Record<string, string> = {
        '/start': `http://localhost:${port}/middle`,
        '/middle': `http://127.0.0.1:${port}/end`,
      }
      const location = next[request.url!]
      response.writeHead(location ? 302 : 200, {
        'set-cookie': `from=${host}; Path=/; HttpOnly`,
        ...(location ? { location } : {}),
      }).end('here')
    })

    const page = await browser().open(`http://127.0.0.1:${port}/start#kept`)

    expect(seen).toEqual([
      '127.0.0.1/start -',
      'localhost/middle -',
      '127.0.0.1/end from=127.0.0.1',
    ])
    expect(page).toMatchObject({ status: 200, body: 'here' })
    expect(page.url).toBe(`http://127.0.0.1:${port}/end#kept`)
    expect(page.chain).toHaveLength(3)
  })

  it.each([[303, 'GET '], [302, 'GET '], [307, 'POST a=1&go=yes'], [308, 'POST a=1&go=yes']])(
    'follows %i after a form with %s',
    async (status, expected) => {
      const seen: string[] = []
      const port = await site((request, response) => {
        let body = ''
        request.on('data', (chunk) => body += chunk)
        request.on('end', () => {
          if (request.url === '/form') {
            return response.end(
              '<form method="post" action="/posted"><input name="a"><button name="go" value="yes">Go</button></form>',
            )
          }
          if (request.url === '/posted') {
            return response.writeHead(status, { location: '/after' }).end()
          }
          seen.push(`${request.method} ${body}`)
          response.end()
        })
      })
      const one = browser()

      await one.press(await one.open(`http://127.0.0.1:${port}/form`), 'Go', { a: '1' })

      expect(seen).toEqual([expected])
    },
  )

  it('gives up on a circle, and says what it sees where the button is missing', async () => {
    const port = await site((request, response) => {
      if (request.url === '/circle') return response.writeHead(302, { location: '/circle' }).end()
      response.writeHead(400).end('<h1>invalid_request</h1>')
    })
    const origin = `http://127.0.0.1:${port}`

    await expect(browser().open(`${origin}/circle`)).rejects.toThrow('more than 20 redirects')
    await expect(browser().authorize(`${origin}/broken`)).rejects.toThrow('(400) invalid_request')
  })
})
