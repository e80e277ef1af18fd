// GET /oauth-callback/authorize: a sign-in leaves for the platform; GET /oauth-callback: it comes back;
// POST /oauth-callback: the app's own page hands on what came back to it. Contract: _shared/contracts/integrations.ts
import { finishSignIn as finishContract } from '../_shared/contracts/integrations.ts'
import { routes, serve } from '../_shared/http/serve.ts'
import { serveVisit } from '../_shared/http/serve-visit.ts'
import { finishSignIn } from '../_shared/oauth/finish-sign-in.ts'
import { closeSignIn, openSignIn } from '../_shared/oauth/visits.ts'
import { actorId } from '../_shared/organizations/require-manager.ts'
import { outsideFor } from '../_shared/platform/outside.ts'

export default {
  fetch: routes({
    'GET /authorize': serveVisit(
      '/oauth-callback/authorize',
      (visit) => openSignIn(outsideFor(visit), visit),
    ),

    'GET /': serveVisit('/oauth-callback', (visit) => closeSignIn(outsideFor(visit), visit)),

    'POST /': serve(finishContract, async (context) => {
      // the state says who may finish it: use_oauth_state compares it with the caller
      const parameters = new URLSearchParams(context.body.parameters)
      const user_id = actorId(context.caller)
      const finished = await finishSignIn(outsideFor(context), parameters, { user_id })
      if (finished.error) throw finished.error
      return finished.integration
    }),
  }),
}
