// Who presses Allow when nobody sits there? A small browser: cookies, redirects across hosts, one form.
import { cookieJar } from './cookie-jar.ts'
import { firstForm } from './html-form.ts'

export type BrowserPage = {
  /** Where it ended, with fragment. */
  url: string
  /** 0 when the last address was only noted: see `stopAt`. */
  status: number
  body: string
  /** Every address on the way, the last one included. */
  chain: string[]
}

export type BrowserOptions = {
  /** Addresses that begin so are where it ends: noted, not asked for. For redirect URIs nobody listens on. */
  stopAt?: string
}

export type Authorization = BrowserOptions & {
  /** Who signs in; default is whom the page suggests. */
  account?: string
  /** Default `allow`. */
  decision?: 'allow' | 'deny'
}

export type Browser = {
  open(url: string, options?: BrowserOptions): Promise<BrowserPage>
  /** Presses the button of the page's form that has this value or label, after filling in `fields`. */
  press(
    page: BrowserPage,
    button: string,
    fields?: Record<string, string>,
    options?: BrowserOptions,
  ): Promise<BrowserPage>
  /**
   * Opens an authorization URL, answers the consent page and follows the way back to the app. Throws what the page
   * shows when there is nothing to answer.
   */
  authorize(url: string, authorization?: Authorization): Promise<BrowserPage>
}

const MOST_REDIRECTS = 20

/** Each browser has its own cookies. */
export function browser(): Browser {
  const jar = cookieJar()

  async function visit(
    start: { url: string; method: string; body?: URLSearchParams; from: string[] },
    { stopAt }: BrowserOptions,
  ): Promise<BrowserPage> {
    const chain = [...start.from]
    const starter = Math.max(0, chain.length - 1) // the page whose form was sent, if any
    let { url, method, body } = start
    for (let redirects = 0; redirects <= MOST_REDIRECTS; redirects += 1) {
      const here = new URL(url)
      const crossSite = chain.slice(starter)
        .some((earlier) => new URL(earlier).hostname !== here.hostname)
      chain.push(here.href)
      if (stopAt !== undefined && here.href.startsWith(stopAt)) {
        return { url: here.href, status: 0, body: '', chain }
      }
      const cookie = jar.header(here, { method, crossSite })
      const response = await fetch(here, {
        method,
        redirect: 'manual',
        headers: { accept: 'text/html,*/*;q=0.8', ...(cookie === '' ? {} : { cookie }) },
        ...(body === undefined ? {} : { body }),
      })
      jar.store(here, response.headers.getSetCookie())
      const location = response.headers.get('location')
      if (response.status < 300 || response.status > 399 || location === null) {
        return { url: here.href, status: response.status, body: await response.text(), chain }
      }
      await response.body?.cancel()
      const next = new URL(location, here)
      if (next.hash === '') next.hash = here.hash
      url = next.href
      if (response.status !== 307 && response.status !== 308) {
        method = 'GET'
        body = undefined
      }
    }
    throw new Error(`more than ${MOST_REDIRECTS} redirects: ${chain.at(0)} … ${chain.at(-1)}`)
  }

  const open: Browser['open'] = (url, options = {}) =>
    visit({ url, method: 'GET', from: [] }, options)

  const press: Browser['press'] = async (page, button, fields = {}, options = {}) => {
    const form = firstForm(page.body)
    const pressed = form?.buttons.find(({ value, label }) => value === button || label === button)
    if (!form || !pressed) {
      const shown = page.body.replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ').trim()
      throw new Error(`no button ${button} at ${page.url}, which shows (${page.status}) ${shown}`)
    }
    const filled = new URLSearchParams({ ...form.fields, ...fields })
    if (pressed.name !== '') filled.set(pressed.name, pressed.value)
    const action = new URL(form.action, page.url)
    if (form.method === 'GET') action.search = filled.toString()
    const { method } = form
    return await visit({
      url: action.href,
      method,
      from: page.chain,
      ...(method === 'POST' ? { body: filled } : {}),
    }, options)
  }

  return {
    open,
    press,
    async authorize(url, { account, decision = 'allow', ...options } = {}) {
      const question = await open(url, options)
      if (question.status === 0) return question // sent back without being asked
      const fields: Record<string, string> = account === undefined ? {} : { account }
      return await press(question, decision, fields, options)
    },
  }
}
