import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { overview } from '../../scripts/connector-pages/overview.ts'
import { page } from '../../scripts/connector-pages/page.ts'
import { defineConnector } from '../../supabase/functions/_shared/connectors/define-connector.ts'
import { hubspot } from '../../supabase/functions/_shared/connectors/hubspot.ts'
import { leafly } from '../../supabase/functions/_shared/connectors/leafly.ts'
import { salesforce } from '../../supabase/functions/_shared/connectors/salesforce.ts'
import {
  action,
  inBatches,
  ItemFailure,
} from '../../supabase/functions/_shared/connectors/vocabulary/actions.ts'
import {
  headerKey,
  oauth2,
  secret,
} from '../../supabase/functions/_shared/connectors/vocabulary/auth.ts'

const settings = z.strictObject({
  auth: z.enum(['oauth', 'api_key']).default('oauth').meta({ title: 'Sign-in' }),
  tables: z.array(z.strictObject({ id: z.string().meta({ description: 'Its id' }) })).max(9)
    .default([]),
})

const acme = defineConnector({
  slug: 'acme',
  name: 'Acme',
  description: 'Rows of Acme.',
  category: 'productivity',
  docs: 'https://acme.example/docs',
  settings,
  auth: {
    setting: 'auth',
    modes: {
      oauth: oauth2({
        authorization_endpoint: 'https://acme.example/oauth/authorize',
        token_endpoint: 'https://acme.example/oauth/token',
        token_endpoint_auth_method: 'client_secret_post',
        scope: 'rows:read rows:write me',
        requiredScope: 'rows:read',
        lifetimeSeconds: 600,
        check: { path: '/me', account: () => ({ id: 'a' }) },
      }),
      api_key: headerKey({
        credentials: z.strictObject({ key: secret('Key') }),
        value: ({ credentials }) => credentials.key,
      }),
    },
  },
  baseUrl: 'https://acme.example',
  rateLimit: { requestsPerSecond: 0.5, burst: 3 },
  limits: {
    search: { requestsPerSecond: 5, burst: 2, app: { requestsPerSecond: 8, burst: 4 } },
  },
  accountId: ({ account }) => account.id ?? '',
  actions: {
    write_rows: action({
      settings,
      title: 'Write rows',
      description: 'Writes rows.',
      input: z.strictObject({ rows: z.array(z.record(z.string(), z.unknown())).min(1) }),
      output: z.object({ failed: z.array(ItemFailure), note: z.string().nullable() }),
      repeatable: false,
      requests: ({ rows }) => inBatches(rows, 10, (json) => ({ path: '/rows', json })),
      read: () => ({ failed: [], note: null }),
    }),
  },
  streams: {
    records: {
      when: ({ tables }) => tables.length > 0,
      read: async ({ call }) => ({ records: [(await call({ path: '/rows' })).body], next: null }),
      id: 'id',
      record: z.object({ id: z.string() }),
      toRecord: ({ id }) => ({
        source_id: id,
        source_updated_at: null,
        columns: { collection: 'rows', collection_name: null, name: null, fields: {} },
      }),
    },
  },
})

const sender = defineConnector({
  slug: 'sender',
  name: 'Sender',
  description: 'Only sends.',
  category: 'productivity',
  docs: 'https://sender.example/docs',
  settings: z.strictObject({}),
  auth: oauth2({
    authorization_endpoint: 'https://sender.example/authorize',
    token_endpoint: 'https://sender.example/token',
    token_endpoint_auth_method: 'none',
    pkce: false,
    issuer: 'https://sender.example',
    revocation_endpoint: 'https://sender.example/revoke',
    scope: '',
  }),
  baseUrl: 'https://sender.example',
  rateLimit: { requestsPerSecond: 1, burst: 1 },
  accountId: () => 'one',
  streams: {},
})

const section = (text: string, title: string) =>
  text.split(/^## /m).find((part) => part.startsWith(`${title}\n`)) ?? ''

describe('the page of a connector', () => {
  it('names every field, nested ones by their path', () => {
    const part = section(page(acme), 'Settings')

    expect(part).toContain(
      '| `auth` | string | no, `"oauth"` | Sign-in. One of `"oauth"`, `"api_key"`. |',
    )
    expect(part).toContain('| `tables` | list (0 to 9) of object | no, `[]` |')
    expect(part).toContain('| `tables[].id` | string | yes | Its id. |')
  })

  it('tells a developer how to register our app, and an owner what is asked', () => {
    const part = section(page(acme), 'Credentials')

    expect(part).toContain('With `auth` = `oauth` (kind: `oauth2`):')
    expect(part).toContain('<project url>/functions/v1/oauth-callback')
    expect(part).toContain('`rows:read`, `rows:write` and `me`')
    expect(part).toContain('Without `rows:read` an owner is not connected.')
    expect(part).toContain(
      `OAUTH_CLIENTS='{"acme":{"client_id":"…","client_secret":"…"}}'`,
    )
    expect(part).toContain('proves itself there by `client_secret_post`')
    expect(part).toContain('PKCE with S256')
    expect(part).toContain('counts as good for 600 s')
    expect(part).toContain('Disconnecting forgets the tokens here')
    expect(part).toContain('| `key` | string | yes | Key. Secret. |')
  })

  it('says of another sign-in what differs there', () => {
    const part = section(page(sender), 'Credentials')

    expect(part).toContain('There are no scopes to choose.')
    expect(part).toContain(`OAUTH_CLIENTS='{"sender":{"client_id":"…"}}'`)
    expect(part).toContain('proves itself there by nothing but its client id')
    expect(part).toContain('No PKCE')
    expect(part).toContain('issuer `https://sender.example`')
    expect(part).toContain('Disconnecting revokes the tokens at the platform.')
  })

  it('says what is kept of an account, and nothing where nothing is', () => {
    expect(section(page(acme), 'What is kept of an account')).toContain('`GET /me`')
    expect(page(sender)).not.toContain('What is kept of an account')
  })

  it('says how streams are read, and that settings decide whether there is one', () => {
    const part = section(page(acme), 'Streams')

    expect(part).toContain("| `records` | in the platform's own way | no, always everything |")
    expect(part).toContain('The settings decide whether an account has `records`.')
    expect(section(page(sender), 'Streams')).toContain('None')
  })

  it.each([
    [hubspot, '| `contacts` |', '| the email address |'],
    [
      salesforce,
      '| `contacts` |',
      '| our own id, where the settings have a field for it; looked for by the email address |',
    ],
    [leafly, '| `products` |', '| our own id |'],
  ])(
    'says by what $slug knows a new record, and nothing of that where nothing goes out',
    (connector, stream, known) => {
      const [, out] = section(page(connector), 'Streams').split('### What goes out')

      const row = out?.split('\n').find((line) => line.startsWith(stream))
      expect(row?.replaceAll(/ +/g, ' ')).toContain(known)
      expect(page(acme)).not.toContain('What goes out')
    },
  )

  it('says of an action what goes in, what comes out, and whether it may be sent twice', () => {
    const part = section(page(acme), 'Actions')

    expect(part).toContain('### Write rows (`write_rows`)')
    expect(part).toContain('It is never sent twice')
    expect(part).toContain('| `rows` | list (1 or more) of object | yes |')
    expect(part).toContain('| `failed[].index` | integer |')
    expect(part).toContain('| `note` | string or null |')
    expect(page(sender)).not.toContain('## Actions')
  })

  it('says which address its webhooks need, and which secret', () => {
    const heard = page({
      ...acme,
      webhooks: {
        scheme: 'slack',
        doors: [
          { at: 'app', setup: 'Put {address} into the app.' },
          { at: 'integration', setup: 'Put {address} into the workspace.' },
        ],
        type: () => null,
        notices: () => [],
      },
    })

    const part = section(heard, 'Webhooks')
    expect(part).toContain('signed in `X-Slack-Signature`')
    expect(part).toContain('Put `<project url>/functions/v1/webhook-receive/acme` into the app.')
    expect(part).toContain(
      'Put `<project url>/functions/v1/webhook-receive/<integration id>` into the workspace.',
    )
    expect(part).toContain('(../webhooks-in.md)')
    expect(page(acme)).not.toContain('## Webhooks')
  })

  it('has one object for sign-ins and webhooks, so that neither overwrites the other', () => {
    const heard = page({
      ...acme,
      webhooks: {
        scheme: 'slack',
        doors: [{ at: 'app', setup: 'Put {address} into the app.' }],
        type: () => null,
        notices: () => [],
      },
    })

    const whole =
      '`OAUTH_CLIENTS=\'{"acme":{"client_id":"…","client_secret":"…","signing_secret":"…"}}\'`'
    expect(section(heard, 'Credentials')).toContain(whole)
    expect(section(heard, 'Webhooks')).toContain(whole)
    expect(section(page(acme), 'Credentials')).not.toContain('signing_secret')
  })

  it('says that an address without signatures ends in a token', () => {
    const unsigned = page({
      ...acme,
      webhooks: {
        scheme: 'path-token',
        doors: [{ at: 'integration', setup: 'Put {address} there.' }],
        type: () => null,
        notices: () => [],
      },
    })

    expect(section(unsigned, 'Webhooks')).toContain('webhook-receive/<integration id>/<token>`')
  })

  it('has its limits by name, slow ones by the minute', () => {
    const part = section(page(acme), 'Limits')

    expect(part).toContain('| every call of an account | 30 a minute, 3 at once |')
    expect(part).toContain('| calls that count as `search` | 5 a second, 2 at once |')
    expect(part).toContain('| – by all accounts of our app together | 8 a second, 4 at once |')
  })
})

it('the overview says of each connector its streams, actions and ways to authenticate', () => {
  const lines = overview([acme, sender]).split('\n')

  expect(lines).toContain(
    '| [Acme](acme.md) | Rows of Acme. | records | `write_rows` | `oauth2`, `api_key` |',
  )
  expect(lines).toContain('| [Sender](sender.md) | Only sends. | – | – | `oauth2` |')
})
