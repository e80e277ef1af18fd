// /webhook-receive/<integration id>[/<path token>] and /webhook-receive/<connector>: where outside platforms send their
// webhooks. POST /webhook-receive/work: the worker. Contracts: _shared/contracts/webhook-events.ts
import { workWebhookEvents } from '../_shared/contracts/webhook-events.ts'
import { routes, serve } from '../_shared/http/serve.ts'
import { inBackground } from '../_shared/platform/background.ts'
import { outsideFor } from '../_shared/platform/outside.ts'
import { receiveWebhooks } from '../_shared/webhooks/receive-webhooks.ts'
import { runWebhookWorker } from '../_shared/webhooks/run-webhook-worker.ts'

const receive = receiveWebhooks()

const work = routes({
  // Answers at once: pg_net, which rings, holds its line for five seconds only.
  'POST /work': serve(workWebhookEvents, (context) => {
    inBackground(runWebhookWorker(outsideFor(context)), context.log)
    return Promise.resolve({ accepted: true })
  }),
})

export default {
  fetch: (request: Request) =>
    new URL(request.url).pathname.endsWith('/webhook-receive/work')
      ? work(request)
      : receive(request),
}
