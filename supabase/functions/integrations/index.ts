// POST /integrations/connect, /reconnect, /update, /disconnect, /check, /check-all, /act; /webhook, /set-webhook-secret,
// /rotate-webhook-path, /replay-webhooks, /verify-webhooks; /work: the worker.
// Contracts: _shared/contracts/integrations.ts, _shared/contracts/webhook-events.ts
import {
  actOnIntegration as actContract,
  checkIntegration as checkContract,
  checkIntegrations as checkAllContract,
  connectIntegration,
  disconnectIntegration as disconnectContract,
  reconnectIntegration as reconnectContract,
  updateIntegration as updateContract,
  workChecks,
} from '../_shared/contracts/integrations.ts'
import {
  describeWebhookReceiver as describeReceiverContract,
  replayWebhookEvents as replayContract,
  rotateWebhookPath as rotatePathContract,
  setWebhookSecret as setSecretContract,
  verifyWebhookEvents as verifyContract,
} from '../_shared/contracts/webhook-events.ts'
import { routes, serve } from '../_shared/http/serve.ts'
import { actOnIntegration } from '../_shared/integrations/act-on-integration.ts'
import { checkIntegration } from '../_shared/integrations/check-integration.ts'
import { checkIntegrations, runDueChecks } from '../_shared/integrations/check-integrations.ts'
import { connectAccount } from '../_shared/integrations/connect-account.ts'
import { disconnectIntegration } from '../_shared/integrations/disconnect-integration.ts'
import { reconnectIntegration } from '../_shared/integrations/reconnect-integration.ts'
import { updateIntegration } from '../_shared/integrations/update-integration.ts'
import {
  actorId,
  requireIntegrationManager,
  requireManager,
  requireSenderManager,
} from '../_shared/organizations/require-manager.ts'
import { inBackground } from '../_shared/platform/background.ts'
import { outsideFor } from '../_shared/platform/outside.ts'
import {
  describeReceiver,
  rotateWebhookPath,
  setWebhookSecret,
} from '../_shared/webhooks/manage-receiver.ts'
import { replayWebhooks } from '../_shared/webhooks/replay-webhooks.ts'
import { runDueAppSubscriptions } from '../_shared/webhooks/run-app-subscriptions.ts'
import { runDueSubscriptions } from '../_shared/webhooks/run-subscriptions.ts'
import { verifyAgain } from '../_shared/webhooks/verify-again.ts'

/** A mail with 5 MB of attachments, which come in base64, or a whole menu, which goes in one call. */
const MAX_ACTION_BYTES = 10_000_000

export default {
  fetch: routes({
    'POST /connect': serve(connectIntegration, async (context) => {
      await requireManager(context, context.body.organization_id)
      return await connectAccount(outsideFor(context), context.body, actorId(context.caller))
    }),

    'POST /reconnect': serve(reconnectContract, async (context) => {
      await requireIntegrationManager(context, context.body.integration_id)
      return await reconnectIntegration(outsideFor(context), context.body, actorId(context.caller))
    }),

    'POST /update': serve(updateContract, async (context) => {
      await requireIntegrationManager(context, context.body.integration_id)
      return await updateIntegration(outsideFor(context), context.body, actorId(context.caller))
    }),

    'POST /disconnect': serve(disconnectContract, async (context) => {
      await requireIntegrationManager(context, context.body.integration_id)
      return await disconnectIntegration(outsideFor(context), context.body, actorId(context.caller))
    }),

    'POST /check': serve(checkContract, async (context) => {
      await requireIntegrationManager(context, context.body.integration_id)
      return await checkIntegration(outsideFor(context), context.body.integration_id)
    }),

    'POST /check-all': serve(checkAllContract, async (context) => {
      await requireManager(context, context.body.organization_id)
      return await checkIntegrations(outsideFor(context), context.body.organization_id)
    }),

    'POST /act': serve(actContract, async (context) => {
      await requireIntegrationManager(context, context.body.integration_id)
      return await actOnIntegration(outsideFor(context), context.body, actorId(context.caller))
    }, { maxBodyBytes: MAX_ACTION_BYTES }),

    'POST /webhook': serve(describeReceiverContract, async (context) => {
      await requireIntegrationManager(context, context.body.integration_id)
      return await describeReceiver(outsideFor(context), context.body.integration_id)
    }),

    'POST /set-webhook-secret': serve(setSecretContract, async (context) => {
      await requireIntegrationManager(context, context.body.integration_id)
      return await setWebhookSecret(outsideFor(context), context.body, actorId(context.caller))
    }),

    'POST /rotate-webhook-path': serve(rotatePathContract, async (context) => {
      await requireIntegrationManager(context, context.body.integration_id)
      const { integration_id } = context.body
      return await rotateWebhookPath(outsideFor(context), integration_id, actorId(context.caller))
    }),

    'POST /replay-webhooks': serve(replayContract, async (context) => {
      await requireSenderManager(context, context.body)
      return await replayWebhooks(outsideFor(context), context.body, actorId(context.caller))
    }),

    'POST /verify-webhooks': serve(verifyContract, async (context) => {
      await requireSenderManager(context, context.body)
      return await verifyAgain(outsideFor(context), context.body)
    }),

    // Answers at once: pg_net, which rings, holds its line for five seconds only.
    'POST /work': serve(workChecks, (context) => {
      const outside = outsideFor(context)
      inBackground(runDueChecks(outside), context.log)
      inBackground(runDueSubscriptions(outside), context.log)
      inBackground(runDueAppSubscriptions(outside), context.log)
      return Promise.resolve({ accepted: true })
    }),
  }),
}
