// How do exact amounts cross a wire?
import { z } from 'zod'

/** An exact decimal as text (`12.50`): a JSON number would pass through binary floating point. */
export const Decimal = z.string().regex(/^-?\d{1,15}(\.\d{1,10})?$/, 'must be a decimal like 12.50')

/** ISO 4217, such as `USD`. */
export const Currency = z.string().regex(/^[A-Z]{3}$/, 'must be a currency code like USD')
