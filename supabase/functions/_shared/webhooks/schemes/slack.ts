// Slack: a signature with a time, and an address that has to repeat a word before it is taken.
import { readPath } from '../../connectors/vocabulary/read-path.ts'
import { parseBody } from '../parse-body.ts'
import type { Scheme } from './scheme-definition.ts'
import { signature } from './signature.ts'

const signed = signature({
  secret: 'signing_secret',
  headers: ['x-slack-signature'],
  prefix: 'v0=',
  timestamp: { header: 'x-slack-request-timestamp', unit: 's' },
  encoding: 'hex',
  content: 'v0:{timestamp}:{body}',
})

export const slack: Scheme = {
  ...signed,
  async verify(request, ...rest) {
    const verification = await signed.verify(request, ...rest)
    if (verification.kind !== 'verified') return verification
    const body = parseBody(request.headers.get('content-type'), request.body)
    const challenge = readPath(body, 'challenge')
    return readPath(body, 'type') === 'url_verification' && typeof challenge === 'string'
      ? {
        kind: 'handshake',
        status: 200,
        contentType: 'text/plain; charset=utf-8',
        body: challenge,
      }
      : verification
  },
}
