// POST /integrations/connect, /update, /disconnect, /check. Contracts: _shared/contracts/integrations.ts
import {
  checkIntegration as checkContract,
  connectIntegration,
  disconnectIntegration as disconnectContract,
  updateIntegration as updateContract,
} from '../_shared/contracts/integrations.ts'
import { routes, serve } from '../_shared/http/serve.ts'
import { checkIntegration } from '../_shared/integrations/check-integration.ts'
import { connectAccount } from '../_shared/integrations/connect-account.ts'
import { disconnectIntegration } from '../_shared/integrations/disconnect-integration.ts'
import { updateIntegration } from '../_shared/integrations/update-integration.ts'
import {
  actorId,
  requireIntegrationManager,
  requireManager,
} from '../_shared/organizations/require-manager.ts'
import { outsideFor } from '../_shared/platform/outside.ts'

export default {
  fetch: routes({
    'POST /connect': serve(connectIntegration, async (context) => {
      await requireManager(context, context.body.organization_id)
      return await connectAccount(
        outsideFor(context),
        context.body,
        actorId(context.caller),
      )
    }),

    'POST /update': serve(updateContract, async (context) => {
      await requireIntegrationManager(context, context.body.integration_id)
      return await updateIntegration(
        outsideFor(context),
        context.body,
        actorId(context.caller),
      )
    }),

    'POST /disconnect': serve(disconnectContract, async (context) => {
      await requireIntegrationManager(context, context.body.integration_id)
      return await disconnectIntegration(
        outsideFor(context),
        context.body,
        actorId(context.caller),
      )
    }),

    'POST /check': serve(checkContract, async (context) => {
      await requireIntegrationManager(context, context.body.integration_id)
      return await checkIntegration(
        outsideFor(context),
        context.body.integration_id,
      )
    }),
  }),
}
