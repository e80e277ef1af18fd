// How do local changes of contacts go to Acme? A hundred in a call, new ones by their email.
import { z } from 'zod'
import { platformWords } from '../../../supabase/functions/_shared/connectors/vocabulary/platform-words.ts'
import {
  emailOf,
  itemsOf,
  type Push,
  type PushedRecord,
  type PushOutcome,
} from '../../../supabase/functions/_shared/connectors/vocabulary/push.ts'
import { readPath } from '../../../supabase/functions/_shared/connectors/vocabulary/read-path.ts'

export const push: Push<Record<string, unknown>, 'contacts'> = {
  columns: ['email', 'first_name', 'last_name'],
  batch: 100,
  key: 'email',
  find: {
    max: 100,
    call(contacts) {
      const emails = contacts.flatMap((contact) => emailOf(contact) ?? [])
      return emails.length === 0 ? null : { path: '/contacts', query: { emails: emails.join() } }
    },
    records: (body) => readPath(body, 'contacts'),
  },
  create: (contacts) => ({
    method: 'POST',
    path: '/contacts/upsert',
    json: contacts.map(toTheirs),
  }),
  update: (contacts) => ({ method: 'PATCH', path: '/contacts', json: contacts.map(toTheirs) }),
  written: ({ body }, contacts) =>
    itemsOf('Acme', Results.parse(readPath(body, 'results')), contacts).map(outcomeOf),
  remove: {
    batch: 100,
    call: (ids) => ({ method: 'DELETE', path: '/contacts', json: { ids } }),
    removed: (_, ids) => ids.map((source_id) => ({ source_id })),
  },
}

const toTheirs = ({ source_id, columns, changed }: PushedRecord<'contacts'>) => ({
  ...(source_id === null ? {} : { id: source_id }),
  ...Object.fromEntries(changed.map((column) => [column, columns[column]])),
})

const Results = z.array(z.union([
  z.object({ id: z.string().min(1) }),
  z.object({ error: z.object({ code: z.string(), message: z.string() }) }),
]))

const outcomeOf = (result: z.output<typeof Results>[number]): PushOutcome =>
  'id' in result ? { source_id: result.id } : {
    refused: { code: result.error.code, message: platformWords(result.error.message) },
  }
