// HubSpot's batches of contacts: read, create, update, upsert and archive; 207 where some of a hundred are refused.
import { jsonOf, type SimulatorAnswer, type SimulatorRequest } from '../parts/http-server.ts'
import { invalid, shown } from './answers.ts'
import type { Crm, HubSpotContact } from './crm.ts'

type Input = {
  id?: string
  idProperty?: string
  properties?: Record<string, string>
  objectWriteTraceId?: string
}
type Batch = { inputs?: Input[]; idProperty?: string; properties?: string[] }

type Item =
  | { result: HubSpotContact; names: string[]; isNew?: boolean }
  | { error: { category: string; message: string; context?: Record<string, string[]> } }

/** Null for a batch that is not simulated. */
export function answerBatch(
  what: string,
  request: SimulatorRequest,
  crm: Crm,
): SimulatorAnswer | null {
  const batch = jsonOf(request) as Batch
  const { inputs = [] } = batch
  if (inputs.length > 100) return invalid('at most 100 inputs')
  const ids = inputs.flatMap(({ id }) => id?.toLowerCase() ?? [])
  if (new Set(ids).size < ids.length) return invalid('Duplicate IDs found in batch input')
  switch (what) {
    case 'read':
      return answer(inputs, (input) => readOne(input, batch, crm))
    case 'upsert':
      return answer(inputs, (input) => upsertOne(input, crm))
    case 'create':
      return answer(inputs, (input) => createOne(input, crm), 201)
    case 'update':
      return answer(inputs, (input) => updateOne(input, crm))
    case 'archive':
      // whatever state it is in, or never there
      crm.archive(ids.filter((id) => crm.find(id)?.archivedAt === null))
      return { status: 204 }
  }
  return null
}

function answer(inputs: Input[], work: (input: Input) => Item, done = 200): SimulatorAnswer {
  const results: unknown[] = []
  const errors: unknown[] = []
  for (const input of inputs) {
    const item = work(input)
    const { objectWriteTraceId } = input
    if ('error' in item) {
      const { category, message, context } = item.error
      errors.push({
        status: 'error',
        category,
        message,
        context: {
          ...context,
          ...(objectWriteTraceId === undefined ? {} : { objectWriteTraceId: [objectWriteTraceId] }),
        },
      })
      continue
    }
    results.push({
      ...shown(item.result, item.names),
      ...(item.isNew === undefined ? {} : { new: item.isNew }),
      ...(objectWriteTraceId === undefined ? {} : { objectWriteTraceId }),
    })
  }
  const body = { status: 'COMPLETE', results, startedAt: '', completedAt: '' }
  return errors.length === 0
    ? { status: done, body }
    : { status: 207, body: { ...body, numErrors: errors.length, errors } }
}

function readOne({ id = '' }: Input, { idProperty, properties = [] }: Batch, crm: Crm): Item {
  const found = idProperty === 'email' ? crm.findByEmail(id) : crm.survivorOf(id) ?? crm.find(id)
  return found?.archivedAt === null ? { result: found, names: properties } : notFound(id)
}

function upsertOne({ id = '', properties = {} }: Input, crm: Crm): Item {
  const trouble = troubleWith(properties, crm.findByEmail(id)?.id, crm)
  if (trouble) return trouble
  const held = crm.findByEmail(id)
  if (held) crm.change([held.id], properties)
  const result = held ?? crm.add({ email: id, ...properties })
  return { result, names: Object.keys(properties), isNew: held === undefined }
}

function createOne({ properties = {} }: Input, crm: Crm): Item {
  return troubleWith(properties, undefined, crm) ??
    { result: crm.add(properties), names: Object.keys(properties) }
}

function updateOne({ id = '', properties = {} }: Input, crm: Crm): Item {
  const held = crm.find(id)
  if (held?.archivedAt !== null) return notFound(id)
  const trouble = troubleWith(properties, id, crm)
  if (trouble) return trouble
  crm.change([id], properties)
  return { result: held, names: Object.keys(properties) }
}

const notFound = (id: string): Item => ({
  error: {
    category: 'OBJECT_NOT_FOUND',
    message: `Could not get some CONTACT objects, they may be deleted or not exist`,
    context: { ids: [id] },
  },
})

/** @param id Whose they are; undefined: somebody new */
function troubleWith(
  properties: Record<string, string>,
  id: string | undefined,
  crm: Crm,
): Item | null {
  const { email, lifecyclestage } = properties
  if (lifecyclestage === 'not-a-stage') {
    const message =
      `Property values were not valid: not-a-stage of ${email} is not an allowed option`
    return { error: { category: 'VALIDATION_ERROR', message } }
  }
  if (email && !/^[^@\s]+@[^@\s]+$/.test(email)) {
    const message = `Property values were not valid: Email address ${email} is invalid`
    return { error: { category: 'VALIDATION_ERROR', message } }
  }
  const other = email ? crm.findByEmail(email) : undefined
  if (other && other.id !== id) {
    const message = `Contact already exists. Existing ID: ${other.id}`
    return { error: { category: 'CONFLICT', message } }
  }
  return null
}
