// Which of Salesforce's addresses answer, and with what? Queries, their pages, and the composite upsert.
import { jsonOf, type SimulatorAnswer, type SimulatorRequest } from '../parts/http-server.ts'
import type { Org, SObjectRecord, SObjectType } from './org.ts'
import { parseSoql } from './soql.ts'

const VERSION = '/services/data/v63.0'
const MOST_UPSERTED = 200

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
  if (resource === 'composite' && request.method === 'PATCH') {
    return rest === `sobjects/Contact/${parts.externalIdField}`
      ? upsert(request, parts)
      : notFound()
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
    SystemModstamp: new Date(record.SystemModstamp).toISOString().replace('Z', '+0000'),
  }
}

function upsert(request: SimulatorRequest, parts: SalesforceRoutes): SimulatorAnswer {
  const { records = [] } = jsonOf(request) as { records?: Record<string, unknown>[] }
  if (records.length > MOST_UPSERTED) {
    return failure(400, 'EXCEEDED_ID_LIMIT', `record limit reached: ${MOST_UPSERTED}`)
  }
  const { org, externalIdField } = parts
  return {
    body: records.map(({ attributes: _, ...fields }) => {
      const external = String(fields[externalIdField])
      const held = org.records('Contact').find((record) =>
        !record.IsDeleted && record[externalIdField] === external
      )
      if (parts.lockedExternalIds.has(external)) {
        return refused('UNABLE_TO_LOCK_ROW', 'unable to obtain exclusive access to this record', [])
      }
      if (!held && !fields.LastName) {
        return refused('REQUIRED_FIELD_MISSING', 'Required fields are missing: [LastName]', [
          'LastName',
        ])
      }
      if (held) org.change([held.Id], fields)
      const { Id } = held ?? org.add('Contact', fields)
      return { id: Id, success: true, errors: [], created: held === undefined }
    }),
  }
}

const refused = (statusCode: string, message: string, fields: string[]) => ({
  success: false,
  errors: [{ statusCode, message, fields }],
})

const failure = (status: number, errorCode: string, message: string): SimulatorAnswer => ({
  status,
  body: [{ message, errorCode }],
})

const notFound = () => failure(404, 'NOT_FOUND', 'The requested resource does not exist')
