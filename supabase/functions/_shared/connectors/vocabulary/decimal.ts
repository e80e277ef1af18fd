// How does an amount on the wire become exact decimal text?
import { z } from 'zod'

const DECIMAL = /^([+-]?)0*(\d+)(?:\.(\d+))?$/
const MAX_WHOLE_DIGITS = 15
const MAX_FRACTION_DIGITS = 10

/**
 * Turns a JSON number or numeric text into the shortest decimal text: `45`, `45.0` and `"45.00"` are
 * all `45`, so the same amount always has the same hash. Null when it is not a decimal that fits.
 */
export function decimalText(value: unknown): string | null {
  if (typeof value === 'number') return ofNumber(value)
  if (typeof value === 'string') return ofText(value.trim())
  return null
}

/** A record field that carries an amount, as a number or as text; its output is decimal text. */
export const decimal = z.unknown().transform((value, context) => {
  const text = decimalText(value)
  if (text !== null) return text
  context.issues.push({
    code: 'custom',
    message: 'must be a decimal number',
    input: value,
  })
  return z.NEVER
})

function ofNumber(value: number): string | null {
  // Most amounts are short: what JavaScript prints is what stood in the JSON.
  const shortest = String(value)
  if (shortest.length <= 15 && !shortest.includes('e')) return ofText(shortest)
  if (!Number.isFinite(value)) return null
  // A double holds 15 significant digits; what lies behind them is arithmetic at the platform's side
  // (0.30000000000000004), not money.
  return ofText(withoutExponent(value.toPrecision(15)))
}

function ofText(text: string): string | null {
  const match = DECIMAL.exec(text)
  if (!match) return null
  const [, sign, whole, fraction = ''] = match
  const digits = fraction.replace(/0+$/, '')
  if (whole!.length > MAX_WHOLE_DIGITS || digits.length > MAX_FRACTION_DIGITS) {
    return null
  }
  const amount = digits === '' ? whole! : `${whole}.${digits}`
  return sign === '-' && amount !== '0' ? `-${amount}` : amount
}

function withoutExponent(text: string): string {
  const [mantissa, exponent] = text.split('e')
  if (exponent === undefined) return text
  const shift = Number(exponent)
  const sign = mantissa!.startsWith('-') ? '-' : ''
  const [whole, fraction = ''] = mantissa!.replace('-', '').split('.')
  const digits = whole! + fraction
  const point = whole!.length + shift
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`
  if (point >= digits.length) {
    return `${sign}${digits}${'0'.repeat(point - digits.length)}`
  }
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`
}
