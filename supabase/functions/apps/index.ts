// POST /apps/create, /update, /rotate-secret, /delete: the business apps that send an organization events.
// Contracts: _shared/contracts/apps.ts
import {
  type AppInstance,
  createAppInstance,
  deleteAppInstance,
  rotateAppInstanceSecret,
  updateAppInstance,
} from '../_shared/contracts/apps.ts'
import { routes, serve } from '../_shared/http/serve.ts'
import {
  actorId,
  requireAppInstanceManager,
  requireManager,
} from '../_shared/organizations/require-manager.ts'
import { outsideFor } from '../_shared/platform/outside.ts'
import { generateSecret } from '../_shared/webhooks/generate-keys.ts'
import { receiverAddress } from '../_shared/webhooks/receiver-address.ts'

export default {
  fetch: routes({
    'POST /create': serve(createAppInstance, async (context) => {
      const { organization_id, app, name } = context.body
      await requireManager(context, organization_id)
      const { db, environment } = outsideFor(context)
      const secret = generateSecret()
      const created = await db.call<AppInstance>('register_app_instance', {
        p_organization_id: organization_id,
        p_app: app,
        p_name: name,
        p_secret: secret,
        p_actor_id: actorId(context.caller),
        p_app_instance_id: crypto.randomUUID(), // ours from the start: a call that is repeated makes one
      })
      return { ...created, secret, address: receiverAddress(environment, 'apps') }
    }),

    'POST /update': serve(updateAppInstance, async (context) => {
      const { app_instance_id, ...changes } = context.body
      await requireAppInstanceManager(context, app_instance_id)
      return await outsideFor(context).db.call<AppInstance>('update_app_instance', {
        p_app_instance_id: app_instance_id,
        p_changes: changes,
        p_actor_id: actorId(context.caller),
      })
    }),

    'POST /rotate-secret': serve(rotateAppInstanceSecret, async (context) => {
      const { app_instance_id, overlap_hours = 24 } = context.body
      await requireAppInstanceManager(context, app_instance_id)
      const { db, environment } = outsideFor(context)
      const secret = generateSecret()
      const rotated = await db.call<AppInstance>('rotate_app_instance_secret', {
        p_app_instance_id: app_instance_id,
        p_secret: secret,
        p_overlap_hours: overlap_hours,
        p_actor_id: actorId(context.caller),
      })
      return { ...rotated, secret, address: receiverAddress(environment, 'apps') }
    }),

    'POST /delete': serve(deleteAppInstance, async (context) => {
      const { app_instance_id } = context.body
      await requireAppInstanceManager(context, app_instance_id)
      await outsideFor(context).db.call('delete_app_instance', {
        p_app_instance_id: app_instance_id,
        p_actor_id: actorId(context.caller),
      })
      return { deleted: true as const }
    }),
  }),
}
