// How are people written to Salesforce? Two hundred in a call, each of them written or refused by itself.
import { platformWords } from '../vocabulary/platform-words.ts'
import type { PlatformCall } from '../vocabulary/platform-call.ts'
import { readPath } from '../vocabulary/read-path.ts'

/** Salesforce's own limit of one call. */
export const BATCH = 200

export const SOBJECTS = '/services/data/{api_version}/composite/sobjects'

export type SObject = 'Contact' | 'Lead'

/** @param records Each with its external id in `field` */
export const upsertContacts = (field: string, records: Record<string, unknown>[]): PlatformCall =>
  writeCall('PATCH', `/Contact/${field}`, records.map((record) => ['Contact', record]))

export function writeCall(
  method: 'POST' | 'PATCH',
  path: string,
  records: [SObject, Record<string, unknown>][],
): PlatformCall {
  return {
    method,
    path: `${SOBJECTS}${path}`,
    json: {
      allOrNone: false,
      records: records.map(([type, fields]) => ({ attributes: { type }, ...fields })),
    },
  }
}

export type WriteResult = {
  id: string
  isDone: boolean
  isNew: boolean
  code: string
  message: string
}

/** The answers stand where the records stood. */
export function resultsOf(body: unknown): WriteResult[] {
  return (Array.isArray(body) ? body as unknown[] : []).map((result) => {
    const errors = readPath(result, 'errors')
    const error: unknown = Array.isArray(errors) ? errors[0] : undefined
    return {
      id: String(readPath(result, 'id') ?? ''),
      isDone: readPath(result, 'success') === true,
      isNew: readPath(result, 'created') === true,
      code: String(readPath(error, 'statusCode') ?? 'UNKNOWN'),
      message: platformWords(readPath(error, 'message')),
    }
  })
}
