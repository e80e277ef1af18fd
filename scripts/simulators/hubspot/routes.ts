// Which of HubSpot's addresses answer, and with what? Contacts of the CRM API v3.
import { jsonOf, type SimulatorAnswer, type SimulatorRequest } from '../parts/http-server.ts'
import type { WindowLimit } from '../parts/window-limit.ts'
import { invalid, problem, shown, throttled } from './answers.ts'
import { answerBatch } from './batches.ts'
import type { Crm, HubSpotContact } from './crm.ts'

const CONTACTS = '/crm/v3/objects/contacts'

export type HubSpotRoutes = {
  crm: Crm
  /** Whose token this is: the hub id, and what it may do; null for a bad one. */
  identify(token: string): { hub: string; scopes: readonly string[] } | null
  limit: WindowLimit
  searchLimit: WindowLimit
  /** The most results a search shows, however it is paged. */
  mostResults: number
  /** Changes show in the search this much later. */
  searchLagMs(): number
  now(): number
}

export function answerHubSpot(request: SimulatorRequest, parts: HubSpotRoutes): SimulatorAnswer {
  const token = (request.headers['authorization'] ?? '').replace(/^Bearer /, '')
  const caller = parts.identify(token)
  if (!caller) {
    return problem(401, 'EXPIRED_AUTHENTICATION', 'The OAuth token is expired or invalid')
  }
  if (parts.limit.take(caller.hub) > 0) return throttled('TEN_SECONDLY_ROLLING')

  const route = `${request.method} ${request.url.pathname}`
  if (route === 'GET /account-info/v3/details') {
    return {
      body: {
        portalId: Number(caller.hub),
        timeZone: 'US/Eastern',
        companyCurrency: 'USD',
        uiDomain: 'app.hubspot.com',
        dataHostingLocation: 'na1',
      },
    }
  }
  const [, batch] = /^POST .+\/batch\/(\w+)$/.exec(route) ?? []
  const isWrite = batch !== undefined && batch !== 'read'
  if (!caller.scopes.includes(`crm.objects.contacts.${isWrite ? 'write' : 'read'}`)) {
    return problem(403, 'MISSING_SCOPES', 'This app hasn’t been granted all required scopes')
  }
  switch (route) {
    case `GET ${CONTACTS}`:
      return listContacts(request, parts.crm)
    case `POST ${CONTACTS}/search`:
      return parts.searchLimit.take(caller.hub) > 0
        ? throttled('SECONDLY')
        : searchContacts(request, parts)
  }
  if (batch !== undefined && route === `POST ${CONTACTS}/batch/${batch}`) {
    return answerBatch(batch, request, parts.crm) ?? problem(404, 'OBJECT_NOT_FOUND', route)
  }
  return problem(404, 'OBJECT_NOT_FOUND', `Unable to find ${request.url.pathname}`)
}

function listContacts({ url, fault }: SimulatorRequest, crm: Crm): SimulatorAnswer {
  const query = url.searchParams
  const limit = Number(query.get('limit') ?? 10)
  const after = query.get('after')
  if (!Number.isInteger(limit) || limit < 1 || limit > 100) return invalid('limit must be 1 to 100')
  if (after !== null && !/^\d+$/.test(after)) return invalid('after is not a valid cursor')
  const properties = (query.get('properties') ?? '').split(',').filter((name) => name !== '')
  const behind = fault?.kind === 'repeated_page' ? null : after
  const all = fault?.kind === 'empty' ? [] : crm.list(query.get('archived') === 'true')
  const rest = all.filter(({ id }) => behind === null || BigInt(id) > BigInt(behind))
  const page = rest.slice(0, limit)
  const last = page.at(-1)?.id
  return {
    body: {
      results: page.map((contact) => shown(contact, properties)),
      ...(rest.length > limit
        ? { paging: { next: { after: last, link: `${url.origin}${CONTACTS}?after=${last}` } } }
        : {}),
    },
  }
}

type Filter = { propertyName: string; operator: string; value?: string }
type Sort = { propertyName: string; direction: string }
type Search = {
  filterGroups?: { filters: Filter[] }[]
  sorts?: Sort[]
  properties?: string[]
  limit?: number
  after?: string | number
}

function searchContacts(request: SimulatorRequest, parts: HubSpotRoutes): SimulatorAnswer {
  const { filterGroups = [], sorts = [], properties = [], limit = 10, after = 0 } = jsonOf(
    request,
  ) as Search
  if (limit > 200) return invalid('limit must be 1 to 200')
  if (sorts.length > 1) return invalid('only one sort is allowed')
  if (Number(after) + limit > parts.mostResults) {
    return invalid(`at most ${parts.mostResults} results`)
  }
  const visible = parts.now() - parts.searchLagMs()
  // who was archived since then is shown as if nothing had happened
  const stale = parts.crm.list(true)
    .filter(({ archivedAt }) => Date.parse(archivedAt!) > visible)
    .map((contact) => ({ ...contact, archivedAt: null }))
  const found = [...parts.crm.list(), ...stale]
    .filter(({ properties }) => Date.parse(properties.lastmodifieddate ?? '') <= visible)
    .filter((contact) =>
      filterGroups.length === 0 ||
      filterGroups.some(({ filters }) => filters.every((filter) => matches(contact, filter)))
    )
  const page = sorted(found, sorts[0]).slice(Number(after), Number(after) + limit)
  const next = Number(after) + page.length
  return {
    body: {
      total: found.length,
      results: page.map((contact) => shown(contact, properties)),
      ...(next < found.length ? { paging: { next: { after: String(next) } } } : {}),
    },
  }
}

function sorted(found: HubSpotContact[], sort?: Sort): HubSpotContact[] {
  if (!sort) return found
  const sign = sort.direction === 'DESCENDING' ? -1 : 1
  return found
    .map((contact) => ({
      contact,
      value: sign * valueOf(contact, sort.propertyName),
      // contacts of one time come in no order one could count on
      tie: scrambled(contact.id),
    }))
    .sort((a, b) => a.value - b.value || a.tie - b.tie)
    .map(({ contact }) => contact)
}

const scrambled = (id: string) => (Number(id) * 7_919) % 1_009

function valueOf({ properties }: HubSpotContact, name: string): number {
  const value = properties[name] ?? ''
  return /^\d+$/.test(value) ? Number(value) : Date.parse(value)
}

function matches(contact: HubSpotContact, { propertyName, operator, value = '' }: Filter): boolean {
  const held = valueOf(contact, propertyName)
  const wanted = /^\d+$/.test(value) ? Number(value) : Date.parse(value)
  switch (operator) {
    case 'EQ':
      return held === wanted
    case 'GT':
      return held > wanted
    case 'GTE':
      return held >= wanted
    case 'LT':
      return held < wanted
    case 'LTE':
      return held <= wanted
    case 'NOT_HAS_PROPERTY':
      return !contact.properties[propertyName]
  }
  return false
}
