// Platforms that sign nothing, or not always: then only who was told the address can call it.
import type { Handshake } from '../scheme.ts'
import { isPost, refused, type Scheme, verified } from './scheme-definition.ts'
import { keysOf, signature } from './signature.ts'

const taken: Handshake = { kind: 'handshake', status: 200, contentType: 'text/plain', body: '' }

export const pathToken: Scheme = {
  headers: [],
  looksAt: 'path_token',
  verify(request, { pathTokenMatches }) {
    if (!isPost(request)) return refused('wrong_method')
    return pathTokenMatches ? verified : refused('wrong_path_token')
  },
}

const signedByMailchimp = signature({
  secret: 'signing',
  headers: ['x-mailchimp-signature'],
  list: { timestamp: 't', signature: 'v1' },
  encoding: 'hex',
  content: '{timestamp}.{body}',
})

/**
 * Mailchimp calls the address by GET or HEAD before it takes it. It signs where signing was turned on: once there is
 * a secret here, what is not signed is refused.
 */
export const mailchimp: Scheme = {
  ...signedByMailchimp,
  looksAt: 'path_token',
  verify(request, secrets, ...rest) {
    if (request.method === 'GET' || request.method === 'HEAD') {
      return secrets.pathTokenMatches ? taken : refused('wrong_path_token')
    }
    const isSigned = keysOf({ secret: 'signing' }, secrets).length > 0
    return (isSigned ? signedByMailchimp : pathToken).verify(request, secrets, ...rest)
  },
}

const signedByLeafly = signature({
  secret: 'signing',
  headers: ['x-leafly-signature'],
  encoding: 'hex',
})

/**
 * Leafly does not sign an empty body. Such a call says nothing that could be kept: it is answered, at the whole
 * address only, and that is all.
 */
export const leafly: Scheme = {
  ...signedByLeafly,
  verify(request, secrets, ...rest) {
    const isUnsigned = signedByLeafly.headers.every((name) => !request.headers.has(name))
    const isEmpty = isPost(request) && request.body.length === 0
    return isEmpty && isUnsigned && secrets.pathTokenMatches
      ? taken
      : signedByLeafly.verify(request, secrets, ...rest)
  },
}
