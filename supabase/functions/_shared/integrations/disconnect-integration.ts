// Forgets an account's credentials and stops its syncs.
import type { z } from 'zod'
import type {
  disconnectIntegration as disconnectContract,
  Integration,
} from '../contracts/integrations.ts'
import type { Outside } from '../platform/outside.ts'

/** The synced rows stay, unless they are to go too. @throws AppError `integration_not_found` */
export async function disconnectIntegration(
  { db }: Outside,
  input: z.output<typeof disconnectContract.request>,
  actorId: string | null,
): Promise<Integration> {
  return await db.call<Integration>('disconnect_integration', {
    p_integration_id: input.integration_id,
    p_delete_data: input.delete_data ?? false,
    p_actor_id: actorId,
  })
}
