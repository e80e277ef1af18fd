// Does the person let our app in? Shows the question and takes the answer back to the authorization server.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Provider } from 'oidc-provider'
import { consentPage } from './consent-page.ts'
import type { Person } from './control.ts'
import type { Consent, OAuthCounters, OAuthServerOptions } from './options.ts'
import { NO_SCOPE } from './provider.ts'

export type ConsentPages = {
  show(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void>
  decide(incoming: IncomingMessage, outgoing: ServerResponse, form: URLSearchParams): Promise<void>
}

export function consentPages(
  options: OAuthServerOptions,
  parts: {
    provider: Provider
    consents: Map<string, Consent>
    person: Person
    counters: OAuthCounters
  },
): ConsentPages {
  const { provider, consents, person, counters } = parts
  return {
    async show(incoming, outgoing) {
      const { params } = await provider.interactionDetails(incoming, outgoing)
      const page = consentPage({
        platform: options.platform,
        client: options.client.client_id,
        accounts: options.accounts ?? [],
        scopes: scopesOf(params),
      })
      outgoing.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page)
    },
    async decide(incoming, outgoing, form) {
      const { params } = await provider.interactionDetails(incoming, outgoing)
      const account = form.get('account') ?? ''
      const denied = form.get('decision') !== 'allow' || person.denials > 0
      if (denied) {
        person.denials = Math.max(0, person.denials - 1)
        counters.consents_denied += 1
        return await provider.interactionFinished(incoming, outgoing, {
          error: 'access_denied',
          error_description: 'the person said no',
        }, { mergeWithLastSubmission: false })
      }
      if (account === '') return void outgoing.writeHead(400).end('an account is needed')

      const asked = String(params['scope']).split(' ')
      const { only } = person
      person.only = null
      const allowed = asked.filter((scope) => only?.includes(scope) ?? true)
      const grant = new provider.Grant({
        accountId: account,
        clientId: String(params['client_id']),
      })
      grant.addOIDCScope(allowed.join(' '))
      grant.rejectOIDCScope(asked.filter((scope) => !allowed.includes(scope)).join(' '))
      const grantId = await grant.save()
      consents.set(grantId, {
        grant: grantId,
        account,
        scopes: allowed.filter((scope) => scope !== NO_SCOPE),
        parameters: { ...params },
      })
      counters.consents_given += 1
      await provider.interactionFinished(incoming, outgoing, {
        login: { accountId: account },
        consent: { grantId },
      }, { mergeWithLastSubmission: false })
    },
  }
}

const scopesOf = (params: Record<string, unknown>) =>
  String(params['scope']).split(' ').filter((scope) => scope !== NO_SCOPE)
