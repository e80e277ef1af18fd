// Does the person let our app in? Shows the question and takes the answer back to the authorization server.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Provider } from 'oidc-provider'
import { consentPage } from './consent-page.ts'
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
    denials: { waiting: number }
    counters: OAuthCounters
  },
): ConsentPages {
  const { provider, consents, denials, counters } = parts
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
      const denied = form.get('decision') !== 'allow' || denials.waiting > 0
      if (denied) {
        denials.waiting = Math.max(0, denials.waiting - 1)
        counters.consents_denied += 1
        return await provider.interactionFinished(incoming, outgoing, {
          error: 'access_denied',
          error_description: 'the person said no',
        }, { mergeWithLastSubmission: false })
      }
      if (account === '') return void outgoing.writeHead(400).end('an account is needed')

      const scopes = String(params['scope']).split(' ')
      const grant = new provider.Grant({
        accountId: account,
        clientId: String(params['client_id']),
      })
      grant.addOIDCScope(scopes.join(' '))
      const grantId = await grant.save()
      consents.set(grantId, {
        grant: grantId,
        account,
        scopes: scopesOf(params),
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
