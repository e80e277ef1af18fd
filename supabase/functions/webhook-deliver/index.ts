// POST /webhook-deliver/work: the worker that delivers webhooks. Contract: _shared/contracts/webhook-deliveries.ts
import { workDeliveries } from '../_shared/contracts/webhook-deliveries.ts'
import { createPinnedCaller } from '../_shared/http/pinned-call.ts'
import { routes, serve } from '../_shared/http/serve.ts'
import { inBackground } from '../_shared/platform/background.ts'
import { outsideFor } from '../_shared/platform/outside.ts'
import { DATABASE_TIMEOUT_MS } from '../_shared/webhooks/claimed-deliveries.ts'
import { runDeliveryWorker } from '../_shared/webhooks/deliver.ts'

export default {
  fetch: routes({
    // Answers at once: pg_net, which rings, holds its line for five seconds only.
    'POST /work': serve(workDeliveries, (context) => {
      const allowPrivateNetworks = context.environment.PLUGBOARD_ALLOW_PRIVATE_NETWORKS
      const caller = createPinnedCaller({ allowPrivateNetworks })
      const work = runDeliveryWorker(outsideFor(context, DATABASE_TIMEOUT_MS), caller.call)
      inBackground(work.finally(() => caller.close()), context.log)
      return Promise.resolve({ accepted: true })
    }),
  }),
}
