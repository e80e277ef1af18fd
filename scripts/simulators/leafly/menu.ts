// What is on the simulated menu, and when does a push show? Later, one after the other, as it came.
import { z } from 'zod'

/** What the API insists on; more is allowed where it says nothing, as a type it does not know. */
const MenuItem = z.object({
  id: z.string().min(1),
  type: z.string(),
  name: z.string(),
  variants: z.array(z.object({
    id: z.union([z.string(), z.number()]),
    medical: z.boolean(),
    price: z.int().min(1),
    amount: z.number(),
    unit: z.enum(['oz', 'g', 'each']),
    inventoryLevel: z.number().nonnegative(),
  })).min(1),
  imageUrl: z.string().nullish(),
  availableForPickup: z.boolean().optional(),
  image_url: z.never().optional(), // names of v1, which v2 refuses
  available_for_pickup: z.never().optional(),
  sku: z.never().optional(),
}).loose()
export type MenuItem = z.infer<typeof MenuItem>
export const Items = z.object({ items: z.array(MenuItem) })
export const Ids = z.object({ ids: z.array(z.string()) })

const ROUTED = [
  'Accessory',
  'Seeds',
  'Clone',
  'Flower',
  'Edible',
  'PreRoll',
  'Concentrate',
  'Cartridge',
  'Topical',
  'Other',
]

export type Push =
  | { kind: 'full' | 'delta'; items: MenuItem[] }
  | { kind: 'delete'; ids: string[] }

export type Shown = MenuItem & { filed_as: string; published: boolean }

export type Menu = {
  take(push: Push): void
  status(): Record<string, unknown>
  items(): Shown[]
  /** Works in what waits, whatever the time. */
  process(): void
}

/** @param delayMs From a push until it shows. */
export function createMenu(delayMs: number, manualItems: number, now: () => number): Menu {
  const shown = new Map<string, Shown>()
  let waiting: { push: Push; due: number }[] = []
  let lastSyncedAt: string | null = null
  let lastModifiedAt: string | null = null

  function work(until: number) {
    for (const { push, due } of waiting.filter(({ due }) => due <= until)) {
      const before = JSON.stringify([...shown])
      apply(push)
      lastSyncedAt = new Date(Math.min(due, now())).toISOString()
      if (JSON.stringify([...shown]) !== before) lastModifiedAt = lastSyncedAt
    }
    waiting = waiting.filter(({ due }) => due > until)
  }

  function apply(push: Push) {
    if (push.kind === 'delete') return push.ids.forEach((id) => shown.delete(id))
    const kept = new Set(push.items.map(({ id }) => id))
    if (push.kind === 'full') [...shown.keys()].forEach((id) => kept.has(id) || shown.delete(id))
    for (const item of push.items) {
      const { availableForPickup = shown.get(item.id)?.availableForPickup ?? false } = item
      shown.set(item.id, {
        ...item,
        availableForPickup,
        imageUrl: item.imageUrl ?? null,
        variants: item.variants.map((variant) => ({
          ...variant,
          inventoryLevel: Math.min(10, variant.inventoryLevel),
        })),
        filed_as: ROUTED.includes(item.type) ? item.type : 'Other',
        published: item.variants.some(({ inventoryLevel }) => inventoryLevel > 0),
      })
    }
  }

  return {
    take: (push) => void waiting.push({ push, due: now() + delayMs }),
    status() {
      work(now())
      return {
        totalItemCount: shown.size + manualItems,
        integratedItemCount: shown.size,
        manualItemCount: manualItems,
        lastSyncedAt,
        lastModifiedAt,
      }
    },
    items() {
      work(now())
      return [...shown.values()]
    },
    process: () => work(Infinity),
  }
}
