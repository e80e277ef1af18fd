// Leafly, a cannabis marketplace: we send it the menu, and it has nothing for us to read.
import { z } from 'zod'
import { AppError } from '../platform/errors.ts'
import { defineConnector, type Failure } from './define-connector.ts'
import { deleteCall, Item, MENU, MOST_IN_A_CALL, putCall } from './leafly/menu-item.ts'
import { push } from './leafly/push-products.ts'
import { webhooks } from './leafly/webhooks.ts'
import { action, inBatches } from './vocabulary/actions.ts'
import { clientCredentials } from './vocabulary/auth.ts'
import { platformWords } from './vocabulary/platform-words.ts'
import { readPath } from './vocabulary/read-path.ts'

const settings = z.strictObject({
  menu_integration_key: z.string().trim().regex(/^[A-Za-z0-9_-]+$/, 'is the key that Leafly issued')
    .meta({ title: 'Menu integration key', description: 'Leafly issues one for each retailer.' }),
  environment: z.enum(['production', 'sandbox']).default('production').meta({
    title: 'Environment',
    description: 'Keys and client of the sandbox are others than those of production.',
  }),
})

const items = z.array(Item).min(1, 'is empty: a menu of nothing would delete everything').max(
  10_000,
)
  .superRefine((list, context) => {
    const seen = new Set<string>()
    list.forEach(({ id, variants }, index) => {
      for (
        const [path, key] of [
          [[index, 'id'], `item ${id}`] as const,
          ...variants.map(({ id }, at) =>
            [[index, 'variants', at, 'id'], `variant ${id}`] as const
          ),
        ]
      ) {
        if (seen.has(key)) {
          context.addIssue({ code: 'custom', path: [...path], message: 'is there twice' })
        }
        seen.add(key)
      }
    })
  })

const accepted = z.object({
  accepted: z.int().meta({ description: 'What Leafly took; it shows some minutes later' }),
})

export const leafly = defineConnector({
  slug: 'leafly',
  name: 'Leafly',
  description: 'Sends a dispensary’s menu to Leafly; nothing is read from there.',
  category: 'commerce',
  docs: 'https://www.leafly.com', // the specification of the menu API is for partners
  guide: [
    'Leafly gives the client id, the client secret and the retailer’s menu integration key to partners.',
    '',
    'Leafly takes a push at once and works it in later: an action that succeeds says that Leafly **took** the items, not',
    'that they show. That takes about 5 minutes in production and 2½ in the sandbox. Until then the number of items that',
    'Leafly tells, by which `push_menu` judges, is the old one.',
    '',
    '- `push_menu` once a day with everything: what is not in it is deleted. An empty menu is refused, and one with less',
    '  than half of the items that are there as long as `allow_smaller` is not true.',
    '- `push_menu_items` and `delete_menu_items` in between, as things change.',
    '',
    'Products that are pushed become items under their own ids; Leafly shows nothing that could be read back, so products',
    'are what is here. The category has to be one of Leafly’s types, such as Flower, PreRoll or Edible. Flower needs the',
    'weight of each variant in its name, such as `3.5g`. A product that is not active is sent without stock, which takes',
    'it off the menu. Prices count as the currency of the retailer, so only USD and CAD are sent.',
    '',
    'An item with stock is published by itself. A picture that is left out is removed. Prices are decimal text, such as',
    '`40.00`; Leafly gets them in cents.',
  ].join('\n'),
  settings,

  auth: {
    setting: 'environment',
    modes: {
      production: clientCredentials({
        baseUrl: 'https://api.leafly.com/v2/menu_integration/{menu_integration_key}',
        token_endpoint: 'https://sso.leafly.com/token',
      }),
      sandbox: clientCredentials({
        baseUrl: 'https://api-sandbox.leafly.io/v2/menu_integration/{menu_integration_key}',
        token_endpoint: 'https://sso-sandbox.leafly.io/token',
      }),
    },
  },

  rateLimit: { requestsPerSecond: 1, burst: 5 }, // Leafly publishes none, and asks for few pushes
  accountId: ({ settings }) =>
    `${settings.environment === 'sandbox' ? 'sandbox ' : ''}${settings.menu_integration_key}`,
  check: { path: '/status' },
  failure: ({ status, body }) => readFailure(status, body),
  webhooks,
  streams: { products: { push } },

  actions: {
    push_menu: action({
      settings,
      title: 'Send the whole menu',
      description:
        'Makes the menu equal to these items: others are deleted. Leafly works it in later.',
      input: z.strictObject({
        items,
        allow_smaller: z.boolean().default(false).meta({
          title: 'Allow a much smaller menu',
          description: 'Has to be true where more than half of what is there would go.',
        }),
      }),
      output: accepted,
      repeatable: true,
      before: () => [{ path: '/status' }],
      requests: ({ items, allow_smaller }, { found: [status] }) => {
        const there = itemCount(status)
        if (!allow_smaller && items.length * 2 < there) {
          throw new AppError('invalid_input', {
            detail:
              `Leafly has ${there} items and would be left with ${items.length}. Where that is meant, ` +
              'set allow_smaller to true.',
            errors: [{ path: 'input.allow_smaller', message: 'has to be true for so few items' }],
          })
        }
        return [{ method: 'POST', path: MENU, json: { items } }] // in one call: a part would delete the rest
      },
      read: (_, { items }) => ({ accepted: items.length }),
    }),
    push_menu_items: action({
      settings,
      title: 'Send items of the menu',
      description: 'Adds or replaces these items and leaves the others. Leafly works it in later.',
      input: z.strictObject({ items }),
      output: accepted,
      repeatable: true,
      requests: ({ items }) => inBatches(items, MOST_IN_A_CALL, putCall),
      read: (answers, { items }) => ({
        accepted: Math.min(items.length, answers.length * MOST_IN_A_CALL),
      }),
    }),
    delete_menu_items: action({
      settings,
      title: 'Delete items of the menu',
      description: 'Takes these items off the menu. Leafly works it in later.',
      input: z.strictObject({ ids: z.array(z.string().min(1)).min(1).max(10_000) }),
      output: accepted,
      repeatable: true,
      requests: ({ ids }) => inBatches(ids, MOST_IN_A_CALL, deleteCall),
      read: (answers, { ids }) => ({
        accepted: Math.min(ids.length, answers.length * MOST_IN_A_CALL),
      }),
    }),
  },
})

/** Of those that came from here, as a full push deletes them: what is entered by hand at Leafly stays. */
function itemCount(status: unknown): number {
  const count = readPath(status, 'integratedItemCount')
  if (typeof count === 'number') return count
  throw new AppError('provider_bad_answer', {
    detail: 'Leafly does not say how many items it has.',
  })
}

function readFailure(status: number, body: unknown): Failure | null {
  if (status !== 400) return null
  const said = readPath(body, 'message') ?? readPath(body, 'error') ?? 'no reason given'
  const words = platformWords(typeof said === 'string' ? said : JSON.stringify(said))
  return {
    code: 'provider_rejected',
    detail: `Leafly refused the items: ${words}`,
  }
}
