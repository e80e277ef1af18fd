// POST /sync: sync one stream now; /sync/replay: try refused records again; /sync/work: the worker.
// Contracts: _shared/contracts/sync.ts
import { replaySyncErrors, startSync, workSyncs } from '../_shared/contracts/sync.ts'
import { reply, routes, serve } from '../_shared/http/serve.ts'
import { actorId, requireIntegrationManager } from '../_shared/organizations/require-manager.ts'
import { inBackground } from '../_shared/platform/background.ts'
import { outsideFor } from '../_shared/platform/outside.ts'
import { replayErrors } from '../_shared/sync/replay-errors.ts'
import { runWorker } from '../_shared/sync/run-worker.ts'
import { startRun, toSyncResult } from '../_shared/sync/start-run.ts'

export default {
  fetch: routes({
    'POST /': serve(startSync, async (context) => {
      await requireIntegrationManager(context, context.body.integration_id)
      const log = await startRun(outsideFor(context), {
        ...context.body,
        requested_by: actorId(context.caller),
      })
      const { status, body } = toSyncResult(log)
      return reply(status, body)
    }),

    'POST /replay': serve(replaySyncErrors, async (context) => {
      await requireIntegrationManager(context, context.body.integration_id)
      return await replayErrors(outsideFor(context), context.body)
    }),

    // Answers at once: pg_net, which rings, holds its line for five seconds only.
    'POST /work': serve(workSyncs, (context) => {
      inBackground(runWorker(outsideFor(context)), context.log)
      return Promise.resolve({ accepted: true })
    }),
  }),
}
