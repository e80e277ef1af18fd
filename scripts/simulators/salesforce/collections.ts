// Salesforce's collections: up to 200 records created, changed, upserted or deleted, each done or refused by itself.
import { jsonOf, type SimulatorAnswer, type SimulatorRequest } from '../parts/http-server.ts'
import { failure } from './failure.ts'
import type { SObjectType } from './org.ts'
import type { SalesforceRoutes } from './routes.ts'

const MOST = 200

type Input = { type: SObjectType; id: string; fields: Record<string, unknown> }

/** Null for what is no collection. @param path Below `composite/` */
export function answerCollections(
  request: SimulatorRequest,
  path: string,
  parts: SalesforceRoutes,
): SimulatorAnswer | null {
  const verb = `${request.method} ${path}`
  if (verb === 'DELETE sobjects') return remove(request, parts)
  const works: Record<string, (input: Input) => object> = {
    'POST sobjects': ({ type, fields }) => create(type, fields, parts),
    'PATCH sobjects': ({ id, fields }) => update(id, fields, parts),
    [`PATCH sobjects/Contact/${parts.externalIdField}`]: ({ fields }) => upsert(fields, parts),
  }
  const work = works[verb]
  if (!work) return null
  const { records = [] } = jsonOf(request) as { records?: Record<string, unknown>[] }
  if (records.length > MOST) return tooMany()
  return { body: records.map((record) => work(inputOf(record))) }
}

const tooMany = () => failure(400, 'EXCEEDED_ID_LIMIT', `record limit reached: ${MOST}`)

function inputOf({ attributes, id, RecordType, ...fields }: Record<string, unknown>): Input {
  const recordType = (RecordType as { Name?: string } | undefined)?.Name
  return {
    type: (attributes as { type: SObjectType }).type,
    id: String(id ?? ''),
    fields: { ...fields, ...(recordType ? { 'RecordType.Name': recordType } : {}) },
  }
}

function create(
  type: SObjectType,
  fields: Record<string, unknown>,
  { org }: SalesforceRoutes,
): object {
  return troubleWith(fields, true) ?? done(org.add(type, fields).Id)
}

function update(id: string, fields: Record<string, unknown>, { org }: SalesforceRoutes): object {
  const held = org.find(id)
  if (!held) return refused('INVALID_CROSS_REFERENCE_KEY', 'invalid cross reference id')
  if (held.IsDeleted) return refused('ENTITY_IS_DELETED', 'entity is deleted')
  const trouble = troubleWith(fields, false)
  if (trouble) return trouble
  org.change([id], fields)
  return done(id)
}

function upsert(fields: Record<string, unknown>, parts: SalesforceRoutes): object {
  const { org, externalIdField, lockedExternalIds } = parts
  const external = String(fields[externalIdField])
  const held = org.records('Contact').find((record) =>
    !record.IsDeleted && record[externalIdField] === external
  )
  if (lockedExternalIds.has(external)) {
    return refused('UNABLE_TO_LOCK_ROW', 'unable to obtain exclusive access to this record')
  }
  const trouble = troubleWith(fields, held === undefined)
  if (trouble) return trouble
  if (held) org.change([held.Id], fields)
  const { Id } = held ?? org.add('Contact', fields)
  return { ...done(Id), created: held === undefined }
}

function remove(request: SimulatorRequest, { org }: SalesforceRoutes): SimulatorAnswer {
  const ids = (request.url.searchParams.get('ids') ?? '').split(',')
  if (ids.length > MOST) return tooMany()
  return {
    body: ids.map((id) => {
      const held = org.find(id)
      if (!held) return refused('INVALID_CROSS_REFERENCE_KEY', 'invalid cross reference id')
      if (held.IsDeleted) return refused('ENTITY_IS_DELETED', 'entity is deleted')
      org.remove([id])
      return done(id)
    }),
  }
}

/** A last name is needed, and an address has to look like one. */
function troubleWith(fields: Record<string, unknown>, isNew: boolean): object | null {
  if (isNew && !fields['LastName'] || fields['LastName'] === null) {
    return refused('REQUIRED_FIELD_MISSING', 'Required fields are missing: [LastName]', [
      'LastName',
    ])
  }
  const email = fields['Email']
  if (typeof email === 'string' && !/^[^@\s]+@[^@\s]+$/.test(email)) {
    const message = `Email: invalid email address: ${email}`
    return refused('INVALID_EMAIL_ADDRESS', message, ['Email'])
  }
  return null
}

const done = (id: string) => ({ id, success: true, errors: [] })

const refused = (statusCode: string, message: string, fields: string[] = []) => ({
  success: false,
  errors: [{ statusCode, message, fields }],
})
