// Business apps on the wire: software of the organization's own that sends it events, and the calls that manage it.
import { z } from 'zod'
import { contract, Timestamp } from './contract.ts'

/** `disabled`: what it sends is refused. */
export const AppInstanceStatus = z.enum(['enabled', 'disabled'])
export type AppInstanceStatus = z.infer<typeof AppInstanceStatus>

/** One business app in one organization: a row of `app_instances`. */
export const AppInstance = z.object({
  id: z.uuid(),
  organization_id: z.uuid(),
  app: z.string(), // which business app: booking
  name: z.string(),
  status: AppInstanceStatus,
  created_by: z.uuid().nullable(),
  created_at: Timestamp,
  updated_at: Timestamp,
})
export type AppInstance = z.infer<typeof AppInstance>

/** With the secret `whsec_…` that it signs with, which is shown this once, and where it sends its events. */
export const AppInstanceWithSecret = z.object({
  ...AppInstance.shape,
  secret: z.string(),
  address: z.url(),
})
export type AppInstanceWithSecret = z.infer<typeof AppInstanceWithSecret>

const name = z.string().trim().min(1).max(100)

/** Registers an instance of a business app, enabled. */
export const createAppInstance = contract({
  method: 'POST',
  path: '/apps/create',
  auth: 'user-or-secret',
  request: z.strictObject({
    organization_id: z.uuid(),
    app: z.string().max(50).regex(
      /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/,
      'must be lowercase words with hyphens, such as booking',
    ),
    name,
  }),
  response: AppInstanceWithSecret,
  errors: ['organization_not_found', 'not_a_manager', 'too_many_app_instances'],
})

/** Renames an instance, switches it on or off. */
export const updateAppInstance = contract({
  method: 'POST',
  path: '/apps/update',
  auth: 'user-or-secret',
  request: z.strictObject({
    app_instance_id: z.uuid(),
    name: name.optional(),
    enabled: z.boolean().optional(),
  }).refine(
    ({ name, enabled }) => name !== undefined || enabled !== undefined,
    { error: 'give at least one thing to change' },
  ),
  response: AppInstance,
  errors: ['app_instance_not_found', 'not_a_manager'],
})

/** Puts a new secret in the place of the present one, which counts beside it for a while. */
export const rotateAppInstanceSecret = contract({
  method: 'POST',
  path: '/apps/rotate-secret',
  auth: 'user-or-secret',
  request: z.strictObject({
    app_instance_id: z.uuid(),
    overlap_hours: z.int().min(0).max(168).optional(), // left out: 24; 0: the old one ends at once
  }),
  response: AppInstanceWithSecret,
  errors: ['app_instance_not_found', 'not_a_manager'],
})

/** Deletes an instance and its secrets. What it sent stays. */
export const deleteAppInstance = contract({
  method: 'POST',
  path: '/apps/delete',
  auth: 'user-or-secret',
  request: z.strictObject({ app_instance_id: z.uuid() }),
  response: z.object({ deleted: z.literal(true) }),
  errors: ['app_instance_not_found', 'not_a_manager'],
})
