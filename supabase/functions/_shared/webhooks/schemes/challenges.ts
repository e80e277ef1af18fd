// X and LinkedIn: from time to time they have a word of theirs signed, to see that we know the secret.
// Whoever calls may choose that word. Signed as it comes, it could be the content of a forged webhook, so a word
// is taken only where no webhook's content can look like it.
import { createHmac } from 'node:crypto'
import type { InboundRequest, ReceiverSecrets, Verification } from '../scheme.ts'
import { refused, type Scheme, verified } from './scheme-definition.ts'
import { keysOf, signature, type SignatureRule } from './signature.ts'

type Challenge = {
  /** The parameter that carries the word, and what a word looks like. */
  parameter: string
  word: RegExp
  answer(word: string, sign: (encoding: 'hex' | 'base64') => string): unknown
}

const X: SignatureRule = {
  secret: 'signing_secret', // the consumer secret, which is not the OAuth 2 client's
  headers: ['x-twitter-webhooks-signature'],
  prefix: 'sha256=',
  encoding: 'base64',
}

const CRC: Challenge = {
  parameter: 'crc_token',
  word: /^[A-Za-z0-9+/=_-]{1,200}$/,
  answer: (_, sign) => ({ response_token: `sha256=${sign('base64')}` }),
}

const LINKEDIN: SignatureRule = {
  secret: 'client_secret',
  headers: ['x-li-signature'],
  encoding: 'hex',
  content: 'hmacsha256={body}',
}

const CHALLENGE_CODE: Challenge = {
  parameter: 'challengeCode',
  word: /^[A-Za-z0-9-]{1,100}$/, // no `=`, which every signed content has
  answer: (challengeCode, sign) => ({ challengeCode, challengeResponse: sign('hex') }),
}

export const x = challenged(X, CRC, ({ body }) => body[0] === '{'.charCodeAt(0))
export const linkedin = challenged(LINKEDIN, CHALLENGE_CODE, () => true)

function challenged(
  rule: SignatureRule,
  challenge: Challenge,
  isWebhook: (request: InboundRequest) => boolean,
): Scheme {
  const signed = signature(rule)
  return {
    ...signed,
    async verify(request, secrets, ...rest) {
      if (request.method === 'GET') return answer(rule, challenge, request, secrets)
      const verification = await signed.verify(request, secrets, ...rest)
      if (verification.kind !== 'verified') return verification
      return isWebhook(request) ? verified : refused('wrong_signature')
    },
  }
}

function answer(
  rule: SignatureRule,
  { parameter, word, answer }: Challenge,
  { url }: InboundRequest,
  secrets: ReceiverSecrets,
): Verification {
  const [newest] = keysOf(rule, secrets)
  if (!newest) return refused('no_secret')
  const given = URL.parse(url)?.searchParams.get(parameter) ?? ''
  if (!word.test(given)) return refused('malformed_challenge')
  return {
    kind: 'handshake',
    status: 200,
    contentType: 'application/json',
    body: JSON.stringify(
      answer(given, (encoding) => createHmac('sha256', newest).update(given).digest(encoding)),
    ),
  }
}
