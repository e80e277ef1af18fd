// What does Leafly take as an item of a menu? More strictly than it says: what does not fit, it misfiles.
import { z } from 'zod'
import { Decimal } from '../../contracts/amounts.ts'
import type { PlatformCall } from '../vocabulary/platform-call.ts'

export const MENU = '/menu/items'
/** Our own limit; Leafly states none. */
export const MOST_IN_A_CALL = 500

/** Adds or replaces these items and leaves the others. */
export const putCall = (items: z.output<typeof Item>[]): PlatformCall => ({
  method: 'PUT',
  path: MENU,
  json: { items },
})

export const deleteCall = (ids: string[]): PlatformCall => ({
  method: 'DELETE',
  path: MENU,
  json: { ids },
})

export type Unit = 'g' | 'oz' | 'each'
type CompoundUnit = 'percent' | 'mg'

/** Leafly takes any text as a type and misfiles what it does not know, and units that do not fit. */
export const TYPES: Record<string, { units: Unit[]; compounds: CompoundUnit[] }> = {
  Flower: { units: ['g', 'oz'], compounds: ['percent'] },
  PreRoll: { units: ['each'], compounds: ['percent'] },
  Concentrate: { units: ['each', 'g'], compounds: ['percent'] },
  Cartridge: { units: ['each', 'g'], compounds: ['percent'] },
  Edible: { units: ['each'], compounds: ['mg'] },
  Topical: { units: ['each'], compounds: ['percent', 'mg'] },
  Seeds: { units: ['each'], compounds: ['percent', 'mg'] },
  Clone: { units: ['each'], compounds: ['percent', 'mg'] },
  Accessory: { units: ['each'], compounds: ['percent', 'mg'] },
  Other: { units: ['each'], compounds: ['percent', 'mg'] },
}

const Cents = Decimal.transform((amount, context) => {
  const match = /^(\d+)(?:\.(\d{1,2})0*)?$/.exec(amount)
  const cents = match ? Number(`${match[1]}${(match[2] ?? '').padEnd(2, '0')}`) : 0
  if (Number.isSafeInteger(cents) && cents >= 1) return cents
  context.issues.push({
    code: 'custom',
    message: 'must be whole cents, 0.01 or more',
    input: amount,
  })
  return z.NEVER
})

const content = z.number().nonnegative().nullable().meta({ description: 'null: unknown' })
const compoundUnit = z.enum(['percent', 'mg'])
const Amount = z.strictObject({ content, unit: compoundUnit })

const Variant = z.strictObject({
  id: z.string().min(1).meta({ description: 'Unique over the whole menu' }),
  medical: z.boolean(),
  price: Cents.meta({ description: 'Decimal text such as 40.00; Leafly gets cents' }),
  amount: z.number().positive(),
  unit: z.enum(['g', 'oz', 'each']).meta({
    description: 'Flower: g, oz. Concentrate, Cartridge: each, g. Everything else: each',
  }),
  inventoryLevel: z.number().nonnegative().meta({ description: 'Leafly shows 10 at most' }),
})

export const Item = z.strictObject({
  id: z.string().min(1),
  type: z.enum(Object.keys(TYPES)),
  name: z.string().trim().min(1),
  variants: z.array(Variant).min(1),
  strain: z.string().trim().min(1).refine((text) => !/^n\/?a$/i.test(text), 'is null when unknown')
    .nullish(),
  brand: z.string().trim().min(1).optional(),
  description: z.string().refine((text) => !/<\/?[a-z]/i.test(text), 'is plain text').optional(),
  compounds: z.array(
    z.strictObject({
      type: z.string().regex(/^[a-z0-9-]+$/, 'is lowercase, such as thca'),
      content,
      unit: compoundUnit,
    }),
  ).optional(),
  total_thc: Amount.optional(),
  total_cbd: Amount.optional(),
  availableForPickup: z.boolean().optional().meta({
    description: 'Left out: as it was, and false for a new item',
  }),
  imageUrl: z.url({ protocol: /^https?$/ }).nullish().meta({
    description: 'Left out or null: Leafly removes the picture',
  }),
}).superRefine(({ type, variants, compounds = [], total_thc, total_cbd }, context) => {
  const legal = TYPES[type]!
  const refuse = (path: (string | number)[], allowed: string[]) =>
    context.addIssue({ code: 'custom', path, message: `of ${type} is ${allowed.join(' or ')}` })
  variants.forEach(({ unit }, index) => {
    if (!legal.units.includes(unit)) refuse(['variants', index, 'unit'], legal.units)
  })
  compounds.forEach(({ unit }, index) => {
    if (!legal.compounds.includes(unit)) refuse(['compounds', index, 'unit'], legal.compounds)
  })
  for (const [name, total] of Object.entries({ total_thc, total_cbd })) {
    if (total && !legal.compounds.includes(total.unit)) refuse([name, 'unit'], legal.compounds)
  }
})
