// POST /sync-images: fetch the images that an organization's records show; /sync-images/work: the worker.
// Contracts: _shared/contracts/images.ts
import { type ImageCounts, syncImages, workImages } from '../_shared/contracts/images.ts'
import { routes, serve } from '../_shared/http/serve.ts'
import { supabaseStorage } from '../_shared/images/media-storage.ts'
import { runImageWorker } from '../_shared/images/run-worker.ts'
import { actorId, requireManager } from '../_shared/organizations/require-manager.ts'
import { inBackground } from '../_shared/platform/background.ts'
import { outsideFor } from '../_shared/platform/outside.ts'

export default {
  fetch: routes({
    'POST /': serve(syncImages, async (context) => {
      const { organization_id, retry_dead = false } = context.body
      await requireManager(context, organization_id)
      return await outsideFor(context).db.call<ImageCounts>('request_images', {
        p_organization_id: organization_id,
        p_retry_dead: retry_dead,
        p_actor_id: actorId(context.caller),
      })
    }),

    // Answers at once: pg_net, which rings, holds its line for five seconds only.
    'POST /work': serve(workImages, (context) => {
      // the secret key: nobody else writes to Storage, and the caller is the database
      const storage = supabaseStorage(context.admin)
      inBackground(runImageWorker(outsideFor(context), storage), context.log)
      return Promise.resolve({ accepted: true })
    }),
  }),
}
