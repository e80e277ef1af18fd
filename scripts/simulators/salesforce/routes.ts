// Which of Salesforce's addresses answer, and with what? Queries, their pages, and the composite upsert.
import { jsonOf, type SimulatorAnswer, type SimulatorRequest } from '../parts/http-server.ts'
import { answerCollections } from './collections.ts'
import { failure } from './failure.ts'
import type { Org, SObjectRecord, SObjectType } from './org.ts'
import { parseSoql } from './soql.ts'

const VERSION = '/services/data/v63.0'

export type SalesforceRoutes = {
  org: Org
  organizationId: string
  externalIdField: string
  /** Records of a page, however many are asked for. */
  pageSize: number
  isSessionGood(token: string): boolean
  /** Counts a call against the allocation of 24 hours. */
  usage: { used: number; most: number }
  hiddenFields: ReadonlySet<string>
  lockedExternalIds: ReadonlySet<string>
  locators: Map<string, { rows: object[]; totalSize: number }>
}

export function answerSalesforce(
  request: SimulatorRequest,
  parts: SalesforceRoutes,
): SimulatorAnswer {
  const token = (request.headers['authorization'] ?? '').replace(/^Bearer /, '')
  if (!parts.isSessionGood(token)) {
    return failure(401, 'INVALID_SESSION_ID', 'Session expired or invalid')
  }
  const { usage } = parts
  if (usage.used >= usage.most) {
    return failure(403, 'REQUEST_LIMIT_EXCEEDED', 'TotalRequests Limit exceeded.')
  }
  usage.used += 1
  return {
    ...route(request, parts),
    headers: { 'sforce-limit-info': `api-usage=${usage.used}/${usage.most}` },
  }
}

function route(request: SimulatorRequest, parts: SalesforceRoutes): SimulatorAnswer {
  const { pathname, searchParams } = request.url
  if (!pathname.startsWith(`${VERSION}/`)) return notFound()
  const [, resource, rest] = /^\/(query|queryAll|composite)(?:\/(.+))?$/.exec(
    pathname.slice(VERSION.length),
  ) ?? []
  if (resource === 'composite') {
    return rest === 'batch' && request.method === 'POST'
      ? answerBatch(request, parts)
      : answerCollections(request, rest ?? '', parts) ?? notFound()
  }
  if ((resource !== 'query' && resource !== 'queryAll') || request.method !== 'GET') {
    return notFound()
  }
  if (rest !== undefined) return nextPage(rest, resource, parts)
  return query(searchParams.get('q') ?? '', resource, request, parts)
}

function query(
  text: string,
  resource: 'query' | 'queryAll',
  request: SimulatorRequest,
  parts: SalesforceRoutes,
): SimulatorAnswer {
  const parsed = parseSoql(text)
  if (!parsed) return failure(400, 'MALFORMED_QUERY', `unexpected token in ${text.slice(0, 60)}`)
  if (parsed.from === 'Organization') {
    const organization = { Id: parts.organizationId, Name: 'Acme' }
    return { body: { totalSize: 1, done: true, records: [organization] } }
  }
  if (parsed.from !== 'Contact' && parsed.from !== 'Lead') {
    return failure(400, 'INVALID_TYPE', `sObject type '${parsed.from}' is not supported.`)
  }
  const hidden = parsed.fields.find((field) => parts.hiddenFields.has(field))
  if (hidden) {
    return failure(400, 'INVALID_FIELD', `No such column '${hidden}' on entity '${parsed.from}'.`)
  }
  const type: SObjectType = parsed.from
  const found = request.fault?.kind === 'empty' ? [] : parts.org.records(type)
    .filter((record) => resource === 'queryAll' || !record.IsDeleted)
    .filter(parsed.matches)
  for (const field of parsed.orderBy.toReversed()) found.sort((a, b) => compare(a[field], b[field]))
  return page(
    found.map((record) => shown(type, record, parsed.fields)),
    found.length,
    resource,
    parts,
  )
}

const compare = (a: unknown, b: unknown) => (a as string) < (b as string) ? -1 : a === b ? 0 : 1

function page(
  rows: object[],
  totalSize: number,
  resource: string,
  { pageSize, locators }: SalesforceRoutes,
): SimulatorAnswer {
  const records = rows.slice(0, pageSize)
  const rest = rows.slice(pageSize)
  if (rest.length === 0) return { body: { totalSize, done: true, records } }
  const locator = `01gxx0000000${String(locators.size + 1).padStart(4, '0')}AAA-${pageSize}`
  locators.set(locator, { rows: rest, totalSize })
  const nextRecordsUrl = `${VERSION}/${resource}/${locator}`
  return { body: { totalSize, done: false, nextRecordsUrl, records } }
}

/** What a query found stays found: its next pages do not see what changes meanwhile. */
function nextPage(locator: string, resource: string, parts: SalesforceRoutes): SimulatorAnswer {
  const held = parts.locators.get(locator)
  return held
    ? page(held.rows, held.totalSize, resource, parts)
    : failure(400, 'INVALID_QUERY_LOCATOR', 'invalid query locator')
}

const wireTime = (time: number) => new Date(time).toISOString().replace('Z', '+0000')

function shown(type: SObjectType, record: SObjectRecord, fields: string[]): object {
  const plain = fields.filter((field) => !field.includes('.'))
  const values = Object.fromEntries(plain.map((field) => [field, record[field] ?? null]))
  return {
    attributes: { type, url: `${VERSION}/sobjects/${type}/${record.Id}` },
    ...values,
    Name: [record.FirstName, record.LastName].filter(Boolean).join(' '),
    ...(fields.includes('Account.Name')
      ? {
        Account: record['Account.Name']
          ? { attributes: { type: 'Account' }, Name: record['Account.Name'] }
          : null,
      }
      : {}),
    SystemModstamp: wireTime(record.SystemModstamp),
    ...(fields.includes('CreatedDate') ? { CreatedDate: wireTime(record.CreatedDate) } : {}),
  }
}

const MOST_IN_A_BATCH = 25

/** Several reads in one call, each with a status of its own. */
function answerBatch(request: SimulatorRequest, parts: SalesforceRoutes): SimulatorAnswer {
  const { batchRequests = [] } = jsonOf(request) as {
    batchRequests?: { method: string; url: string }[]
  }
  if (batchRequests.length > MOST_IN_A_BATCH) {
    return failure(400, 'LIMIT_EXCEEDED', 'batchRequests: at most 25')
  }
  const results = batchRequests.map(({ method, url }) => {
    const { status = 200, body } = route(
      { ...request, method, url: new URL(`/services/data/${url}`, request.url) },
      parts,
    )
    return { statusCode: status, result: body }
  })
  return { body: { hasErrors: results.some(({ statusCode }) => statusCode >= 400), results } }
}

const notFound = () => failure(404, 'NOT_FOUND', 'The requested resource does not exist')
