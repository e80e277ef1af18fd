// How does the app know that the browser comes from Shopify? The way back is signed with the app's secret.
import { createHmac } from 'node:crypto'
import type { ServerResponse } from 'node:http'

/** Adds `shop`, `host`, `timestamp` and `hmac` to the redirect that carries the code. */
export function signCallback(
  outgoing: ServerResponse,
  about: { shop: string; client_secret: string; now(): number },
): void {
  const setHeader = outgoing.setHeader.bind(outgoing)
  outgoing.setHeader = (name, value) =>
    setHeader(
      name,
      name.toLowerCase() === 'location' ? signed(String(value), about) : value,
    )
}

function signed(
  location: string,
  { shop, client_secret, now }: Parameters<typeof signCallback>[1],
): string {
  if (!URL.canParse(location)) return location
  const url = new URL(location)
  if (!url.searchParams.has('code')) return location
  url.searchParams.delete('hmac') // set once before, while there were other parameters
  url.searchParams.delete('iss')
  url.searchParams.set('shop', shop)
  url.searchParams.set(
    'host',
    Buffer.from(`admin.shopify.com/store/${shop.split('.')[0]}`)
      .toString('base64url'),
  )
  url.searchParams.set('timestamp', String(Math.floor(now() / 1000)))
  const message = [...url.searchParams].sort(([one], [other]) => one < other ? -1 : 1)
    .map(([name, value]) => `${name}=${value}`).join('&')
  url.searchParams.set('hmac', createHmac('sha256', client_secret).update(message).digest('hex'))
  return url.href
}
