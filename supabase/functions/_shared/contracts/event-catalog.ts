// Every event type of Plugboard's own: what happened, what its data holds, and an example. The table event_types, the first
// words that apps may not use, and docs/events.md are made from here.
import { z } from 'zod'
import { ErrorSummary } from './contract.ts'
import { RECORDS } from './record-examples.ts'
import { SyncMode, SyncType } from './sync.ts'

export type EventType = {
  name: string
  group: 'Accounts' | 'Syncs' | 'Records' | 'Members' | 'Apps' | 'Approvals' | 'Webhooks'
  /** When it is written. */
  description: string
  /** Receivers take fields they do not know: new ones may come. */
  data: z.ZodObject
  example: Record<string, unknown>
  /** Its name is kept free, and nothing writes it: there is no table that it could tell of. */
  is_reserved?: true
}

function types<Data extends z.ZodObject>(
  group: EventType['group'],
  data: Data,
  example: z.input<Data>,
  descriptions: Record<string, string>,
): EventType[] {
  return Object.entries(descriptions)
    .map(([name, description]) => ({ name, group, description, data, example }))
}

/** Types that nothing writes; their descriptions say so wherever they are shown. */
const reserved: typeof types = (group, data, example, descriptions) =>
  types(group, data, example, descriptions).map((type) => ({
    ...type,
    is_reserved: true as const,
    description: `Reserved: nothing writes it. Meant for: ${type.description}`,
  }))

const INTEGRATION = '6b1a3d0e-5a52-4a57-8d6a-0f9f3a3d6f02'
const USER = '5d3b4f1e-8f0c-4a52-9c37-6b2a1d0e4f10'
const RECORD = '3c7d1a54-1b7e-4c3a-9a4e-8f6d2b1c0a04'
const ENDPOINT = '8a2f6c1d-0e4b-4d7a-b3c5-9f1e2d3c4b50'
const APP_INSTANCE = '1f0e2d3c-4b5a-4697-8897-a6b5c4d3e2f1'

const account = z.object({ integration_id: z.uuid(), connector: z.string(), name: z.string() })
const accountExample = { integration_id: INTEGRATION, connector: 'treez', name: 'Downtown store' }

const accounts = types('Accounts', account, accountExample, {
  'integration.connected':
    'An account was connected for the first time, or again after it had been disconnected.',
  'integration.reconnected': 'The credentials of a connected account were replaced.',
  'integration.recovered': 'An account that did not work works again.',
  'integration.resumed': 'Syncing goes on after a pause.',
  'integration.paused': 'A person paused syncing.',
  'integration.disconnected': 'An account was disconnected, or deleted.',
})

const failedAccounts = types(
  'Accounts',
  account.extend({ error: ErrorSummary.nullable() }),
  {
    ...accountExample,
    error: {
      code: 'provider_unauthorized',
      message: 'Downtown store (treez): the platform refused the credentials.',
      next: 'owner',
    },
  },
  {
    'integration.error': 'An account stopped working. Syncs go on trying.',
    'integration.reauthorization_required':
      'Only a new sign-in by its owner makes the account work again.',
  },
)

const count = z.int().nonnegative()
const run = {
  sync_log_id: z.uuid(),
  integration_id: z.uuid(),
  stream: z.string(),
  sync_type: SyncType,
  mode: SyncMode,
  status: z.enum(['success', 'partial', 'failed']),
  fetched_count: count,
  created_count: count,
  updated_count: count,
  unchanged_count: count,
  deleted_count: count,
  error_count: count,
  pushed_count: count,
  conflict_count: count,
  failed_count: count,
}
const runExample = {
  sync_log_id: '9f0c6f0a-33a0-4d4f-8a3e-5f2f1d0b7a03',
  integration_id: INTEGRATION,
  stream: 'products',
  sync_type: 'scheduled' as const,
  mode: 'incremental' as const,
  status: 'success' as const,
  fetched_count: 40,
  created_count: 2,
  updated_count: 5,
  unchanged_count: 33,
  deleted_count: 0,
  error_count: 0,
  pushed_count: 0,
  conflict_count: 0,
  failed_count: 0,
}

const syncs = [
  ...types('Syncs', z.object({ ...run, error: ErrorSummary.nullable() }), {
    ...runExample,
    error: null,
  }, {
    'sync.completed':
      'A run ended; `partial` where records were refused or a part could not be read.',
  }),
  ...types('Syncs', z.object({ ...run, error: ErrorSummary }), {
    ...runExample,
    status: 'failed',
    error: {
      code: 'provider_unavailable',
      message: 'Downtown store (treez): the platform is not available.',
      next: 'retry',
    },
  }, { 'sync.failed': 'A run failed.' }),
  ...types('Syncs', z.object({ ...run, error: ErrorSummary }), {
    ...runExample,
    mode: 'full',
    status: 'partial',
    error: {
      code: 'mass_delete_held',
      message:
        'The run would delete 120 of 160 records: sync with allow_mass_delete if that is right.',
      next: 'owner',
    },
  }, {
    'sync.held':
      'A run ended without its deletions, which wait for a yes: they are more than is normal.',
  }),
]

const which = {
  stream: z.string(),
  integration_id: z.uuid(),
  record_id: z.uuid(), // the row's id in the stream's table
  source_id: z.string(), // the platform's
}

const records = Object.entries(RECORDS).flatMap(([name, { stream, what, columns, example }]) => {
  const whichExample = { stream, integration_id: INTEGRATION, record_id: RECORD, source_id: '1001' }
  /** Where the stream's `record_events` is `records` and the record has at most 200 KB. */
  const record = columns.optional()
  const changed_fields = z.array(z.string())
  return [
    ...types('Records', z.object({ ...which, record }), { ...whichExample, record: example }, {
      [`${name}.created`]: `${what} appeared, or came back after it had been deleted.`,
    }),
    ...types(
      'Records',
      z.object({ ...which, changed_fields, record }),
      { ...whichExample, changed_fields: Object.keys(example).slice(-1), record: example },
      {
        [`${name}.updated`]:
          `${what} changed; none of \`changed_fields\` where only what the platform sent beside them did.`,
      },
    ),
    ...types('Records', z.object(which), whichExample, {
      [`${name}.deleted`]: `${what} is gone at the platform.`,
    }),
  ]
})

const role = z.enum(['owner', 'manager', 'member', 'viewer'])
const member = z.object({ user_id: z.uuid(), role })

const members = [
  ...types('Members', member, { user_id: USER, role: 'member' }, {
    'user.added': 'Somebody joined the organization.',
    'user.removed': 'Somebody left the organization, or was removed; `role` is what they had.',
  }),
  ...types(
    'Members',
    member.extend({ previous_role: role }),
    { user_id: USER, role: 'manager', previous_role: 'member' },
    { 'user.role_changed': 'A member got another role.' },
  ),
]

const app = { app_instance_id: z.uuid(), app: z.string() }
const appExample = { app_instance_id: APP_INSTANCE, app: 'booking' }

const apps = [
  ...types('Apps', z.object(app), appExample, {
    'app.enabled': 'A business app was switched on for the organization.',
    'app.disabled': 'A business app was switched off.',
  }),
  ...reserved(
    'Apps',
    z.object({ ...app, changed_keys: z.array(z.string()) }),
    { ...appExample, changed_keys: ['opening_hours'] },
    { 'config.updated': 'settings of a business app changed.' },
  ),
  ...reserved(
    'Apps',
    z.object({
      ...app,
      plan: z.string(),
      previous_plan: z.string().nullable(),
      status: z.string(),
    }),
    { ...appExample, plan: 'pro', previous_plan: 'basic', status: 'active' },
    {
      'subscription.changed':
        'a business app has another plan, or its subscription another status.',
    },
  ),
]

const approval = { approval_id: z.uuid(), title: z.string() }
const approvalExample = {
  approval_id: '2b4c6d8e-1f3a-4b5c-8d7e-9f0a1b2c3d4e',
  title: 'Send the newsletter to 2,400 people',
}

const approvals = [
  ...reserved(
    'Approvals',
    z.object({
      ...approval,
      requested_by: z.uuid().nullable(),
      expires_at: z.iso.datetime({ offset: true }).nullable(),
    }),
    { ...approvalExample, requested_by: USER, expires_at: '2026-11-21T09:00:00+00:00' },
    { 'approval.requested': 'something waits for a yes by a person.' },
  ),
  ...reserved(
    'Approvals',
    z.object({
      ...approval,
      decision: z.enum(['approved', 'rejected', 'expired']),
      decided_by: z.uuid().nullable(), // null: it expired
      comment: z.string().nullable(),
    }),
    { ...approvalExample, decision: 'approved', decided_by: USER, comment: null },
    { 'approval.decided': 'a person said yes or no, or nobody said anything in time.' },
  ),
]

const endpoint = z.object({ endpoint_id: z.uuid() })

const webhooks = [
  ...types('Webhooks', endpoint, { endpoint_id: ENDPOINT }, {
    'webhook.test': 'A person asked for it: it goes to this endpoint alone.',
    'webhook_endpoint.enabled':
      'An endpoint that had been disabled answered again. What was held is sent.',
  }),
  ...types(
    'Webhooks',
    endpoint.extend({ reason: z.object({ code: z.string(), message: z.string() }) }),
    {
      endpoint_id: ENDPOINT,
      reason: {
        code: 'endpoint_gone',
        message:
          'The endpoint answered 410 Gone. Enable it again when it is back; what came meanwhile is held.',
      },
    },
    {
      'webhook_endpoint.disabled':
        'An endpoint was disabled: it said it is gone, or everything failed for five days. What comes is held.',
    },
  ),
  ...types(
    'Webhooks',
    z.object({
      webhook_event_id: z.uuid(),
      integration_id: z.uuid(),
      connector: z.string(),
      type: z.string(), // the platform's own word
      body: z.unknown().optional(), // as the platform sent it; left out where it is too large, or of several accounts
    }),
    {
      webhook_event_id: '7e6d5c4b-3a29-4817-8605-f4e3d2c1b0a9',
      integration_id: INTEGRATION,
      connector: 'stripe',
      type: 'charge.dispute.created',
      body: { id: 'evt_1', object: 'event' },
    },
    {
      'webhook.received': 'An outside platform sent a webhook that is about no record of a stream.',
    },
  ),
]

/** In the order of the documentation. */
export const EVENT_TYPES: EventType[] = [
  ...accounts,
  ...failedAccounts,
  ...syncs,
  ...records,
  ...members,
  ...apps,
  ...approvals,
  ...webhooks,
]
