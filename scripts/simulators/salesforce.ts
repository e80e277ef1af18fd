// A Salesforce org on loopback: sign-in without expires_in, queries with locators, the composite upsert, limits.
import { createHmac } from 'node:crypto'
import { z } from 'zod'
import {
  answerVerbs,
  type CommonControl,
  commonControl,
  commonVerbs,
} from './parts/control-verbs.ts'
import { faults } from './parts/faults.ts'
import { startSimulatorServer } from './parts/http-server.ts'
import { answerOAuthControl } from './parts/oauth/control-routes.ts'
import { type OAuthServer, oauthServer } from './parts/oauth-server.ts'
import { type LoggedRequest, requestLog } from './parts/request-log.ts'
import { createOrg, type Org } from './salesforce/org.ts'
import { answerSalesforce } from './salesforce/routes.ts'

export type SalesforceSimulatorOptions = {
  /** 0 (the default) picks a free one. */
  port?: number
  seed?: number
  /** Default 120. */
  contacts?: number
  /** Default 40. */
  leads?: number
  /** Records of a page; default 2000. */
  pageSize?: number
  /** Calls in 24 hours; default 15,000. */
  allocation?: number
  now?: () => Date
}

export type SalesforceSimulator = {
  url: string
  /** What `CONNECTOR_OVERRIDES` takes. */
  baseUrl: string
  client: { client_id: string; client_secret: string }
  oauth: OAuthServer
  org: Org
  /** The external id field of Contact. */
  settings: { external_id_field: string }
  control: CommonControl & {
    /** Where the org is said to live from now on. */
    move(instance_url: string): void
    /** Ends the places of all queries, as after two days. */
    expireLocators(): void
    /** Takes a field from the user who signed in. */
    hideField(field: string): void
    /** Upserts of this external id find the row locked; no argument unlocks all. */
    lock(external_id?: string): void
    /** So many calls of the allocation count as used. */
    use(calls: number): void
  }
  requests: LoggedRequest[]
  stop(): Promise<void>
}

const Some = z.object({ ids: z.array(z.string()) })
const Fields = z.object({ fields: z.record(z.string(), z.unknown()) })

const ORGANIZATION = '00Dxx0000001gERAAY'
const USER = '005xx000001SvfaAAC'
const EXTERNAL_ID_FIELD = 'Shop_Id__c'

/** Starts the simulator on 127.0.0.1. */
export async function startSalesforceSimulator(
  options: SalesforceSimulatorOptions = {},
): Promise<SalesforceSimulator> {
  const now = () => (options.now?.() ?? new Date()).getTime()
  const { seed = 1, contacts = 120, leads = 40 } = options
  const org = createOrg({ seed, contacts, leads, now })
  const log = requestLog()
  const injected = faults()
  const client = { client_id: 'plugboard-salesforce', client_secret: 'salesforce-demo-secret' }
  const usage = { used: 0, most: options.allocation ?? 15_000 }
  const hiddenFields = new Set<string>()
  const lockedExternalIds = new Set<string>()
  const locators = new Map<string, { rows: object[]; totalSize: number }>()
  let instance_url = 'https://acme.my.salesforce.com'

  const oauth = oauthServer({
    platform: 'Salesforce',
    authorization_path: '/services/oauth2/authorize',
    token_path: '/services/oauth2/token',
    revocation_path: '/services/oauth2/revoke',
    client: { ...client, token_endpoint_auth_method: 'client_secret_post' },
    redirect_uris: 'any',
    pkce: 'required',
    scopes: ['api', 'refresh_token'],
    rotation: true,
    issues_refresh_token: ({ scopes }) => scopes.includes('refresh_token'),
    access_token_seconds: 7200,
    accounts: ['ada@acme.example'],
    answer: ({ status, body }, { consent }) => {
      if (!consent) {
        const description = body.error === 'invalid_grant'
          ? 'expired access/refresh token'
          : body.error_description
        return { status, body: { error: body.error, error_description: description } }
      }
      const { expires_in: _, ...rest } = body
      const id = `https://login.salesforce.com/id/${ORGANIZATION}/${USER}`
      const issued_at = String(now())
      const signature = createHmac('sha256', client.client_secret).update(id + issued_at)
        .digest('base64')
      return { status, body: { ...rest, instance_url, id, issued_at, signature } }
    },
    faults: injected,
    ...(options.now ? { now: options.now } : {}),
  })
  const control: SalesforceSimulator['control'] = {
    ...commonControl({ faults: injected, log }),
    move: (url) => void (instance_url = url),
    expireLocators: () => locators.clear(),
    hideField: (field) => void hiddenFields.add(field),
    lock: (id) => void (id === undefined ? lockedExternalIds.clear() : lockedExternalIds.add(id)),
    use: (calls) => void (usage.used = calls),
  }
  const answerControl = answerVerbs({
    ...commonVerbs(control, log.entries),
    'GET contacts': () => org.records('Contact'),
    'GET leads': () => org.records('Lead'),
    'POST contacts/add': (body) => org.add('Contact', Fields.parse(body).fields),
    'POST leads/add': (body) => org.add('Lead', Fields.parse(body).fields),
    'POST records/change': (body) => {
      const { ids, fields } = Some.extend(Fields.partial().shape).parse(body)
      org.change(ids, fields)
    },
    'POST records/remove': (body) => org.remove(Some.parse(body).ids),
    'POST records/purge': (body) => org.purge(Some.parse(body).ids),
    'POST leads/convert': (body) => org.convert(z.object({ id: z.string() }).parse(body).id),
    'POST move': (body) =>
      control.move(z.object({ instance_url: z.string() }).parse(body).instance_url),
    'POST expire-locators': () => control.expireLocators(),
    'POST hide-field': (body) =>
      control.hideField(z.object({ field: z.string() }).parse(body).field),
    'POST lock': (body) =>
      control.lock(z.object({ external_id: z.string().optional() }).parse(body).external_id),
    'POST use': (body) => control.use(z.object({ calls: z.int() }).parse(body).calls),
  })
  const server = await startSimulatorServer({
    port: options.port ?? 0,
    faults: injected,
    log,
    mount: oauth.handle,
    answer: (request) =>
      answerSalesforce(request, {
        org,
        organizationId: ORGANIZATION,
        externalIdField: EXTERNAL_ID_FIELD,
        pageSize: options.pageSize ?? 2000,
        isSessionGood: (token) => oauth.verify(token) !== null,
        usage,
        hiddenFields,
        lockedExternalIds,
        locators,
      }),
    control: (request) => answerOAuthControl(request, oauth) ?? answerControl(request),
  })
  return {
    url: server.url,
    baseUrl: server.url,
    client,
    oauth,
    org,
    settings: { external_id_field: EXTERNAL_ID_FIELD },
    control,
    requests: log.entries,
    stop: server.stop,
  }
}
