// How does HubSpot show a contact, and how does it refuse?
import type { SimulatorAnswer } from '../parts/http-server.ts'
import type { HubSpotContact } from './crm.ts'

const DEFAULT_PROPERTIES = ['createdate', 'email', 'firstname', 'hs_object_id', 'lastmodifieddate']

/** Only the properties that were asked for, besides the few that always come. */
export function shown({ id, properties, createdAt, archivedAt }: HubSpotContact, names: string[]) {
  return {
    id,
    properties: Object.fromEntries(
      [...new Set([...DEFAULT_PROPERTIES, ...names])].map((
        name,
      ) => [name, properties[name] ?? null]),
    ),
    createdAt,
    updatedAt: properties.lastmodifieddate,
    archived: archivedAt !== null,
    ...(archivedAt === null ? {} : { archivedAt }),
  }
}

export const problem = (status: number, category: string, message: string): SimulatorAnswer => ({
  status,
  body: { status: 'error', message, category, correlationId: 'simulated' },
})

export const invalid = (message: string) => problem(400, 'VALIDATION_ERROR', message)

export const throttled = (policyName: string): SimulatorAnswer => ({
  status: 429,
  body: {
    status: 'error',
    message: 'You have reached your limit.',
    errorType: 'RATE_LIMIT',
    correlationId: 'simulated',
    policyName,
  },
})
