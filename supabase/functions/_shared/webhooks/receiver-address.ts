// Where do webhooks of platforms reach us, and can they?
import { checkAddress } from '../http/private-network.ts'
import { AppError, isCode } from '../platform/errors.ts'
import type { Outside } from '../platform/outside.ts'

/** @param end An integration's id, perhaps with its token, or a connector's slug. */
export const receiverAddress = (
  { SUPABASE_URL, PLUGBOARD_PUBLIC_URL = SUPABASE_URL }: Pick<
    Outside['environment'],
    'SUPABASE_URL' | 'PLUGBOARD_PUBLIC_URL'
  >,
  end: string,
): string => `${PLUGBOARD_PUBLIC_URL}/functions/v1/webhook-receive/${end}`

/**
 * Whether an integration's webhooks are to be subscribed: when its managers say so, and, as long as they said nothing,
 * where a platform can reach us.
 *
 * @param choice `integrations.webhooks`
 * @throws AppError `private_network_refused` where they are wanted and cannot come
 */
export async function areWebhooksWanted(
  { environment }: Pick<Outside, 'environment'>,
  choice: boolean | null,
): Promise<boolean> {
  if (choice === false) return false
  if (choice && environment.PLUGBOARD_ALLOW_PRIVATE_NETWORKS) return true
  try {
    const address = new URL(receiverAddress(environment, ''))
    if (address.protocol !== 'https:') {
      throw new AppError('private_network_refused', { detail: 'It is not reached by https.' })
    }
    await checkAddress(address)
    return true
  } catch (error) {
    if (!isCode(error, 'private_network_refused')) throw error
    if (choice === null) return false
    throw new AppError('private_network_refused', {
      detail: `Platforms cannot send webhooks to this project. ${error.detail}`,
      cause: error,
    })
  }
}
