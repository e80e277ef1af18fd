// POST /sync-products: sync an integration's products now. Contract: _shared/contracts/sync.ts
import { syncProducts } from '../_shared/contracts/sync.ts'
import { reply, serve } from '../_shared/http/serve.ts'
import { actorId, requireIntegrationManager } from '../_shared/organizations/require-manager.ts'
import { outsideFor } from '../_shared/platform/outside.ts'
import { startRun, toSyncResult } from '../_shared/sync/start-run.ts'

export default {
  fetch: serve(syncProducts, async (context) => {
    const { integration_id, triggered_by } = context.body
    await requireIntegrationManager(context, integration_id)
    // a note from the front end; who called is known from the token
    if (triggered_by) {
      context.log.info('sync requested', { note: triggered_by })
    }
    const log = await startRun(outsideFor(context), {
      integration_id,
      stream: 'products',
      requested_by: actorId(context.caller),
    })
    const { status, body } = toSyncResult(log)
    return reply(status, body)
  }),
}
