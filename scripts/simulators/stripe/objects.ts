// What does a Stripe account hold? Customers, payments with their charges, and an event for each change.
import { type Records, records } from '../parts/records.ts'
import { type SeededRandom, seededRandom } from '../parts/seeded-random.ts'

export type StripeCustomer = {
  id: string
  object: 'customer'
  email: string | null
  name: string | null
  phone: string | null
  address: Record<string, string | null> | null
  balance: number
  created: number
  currency: string | null
  delinquent: boolean
  livemode: boolean
  metadata: Record<string, string>
}

export type StripeCharge = {
  id: string
  object: 'charge'
  amount: number
  amount_captured: number
  amount_refunded: number
  refunded: boolean
  currency: string
  payment_intent: string
  receipt_number: string | null
  billing_details: { email: string | null }
}

export type StripePayment = {
  id: string
  object: 'payment_intent'
  amount: number
  amount_received: number
  currency: string
  customer: string | null
  created: number
  description: string | null
  receipt_email: string | null
  last_payment_error: { code: string } | null
  status: string
  livemode: boolean
  metadata: Record<string, string>
  /** An id on the wire, unless it is expanded. */
  latest_charge: StripeCharge | null
}

export type StripeEvent = {
  id: string
  object: 'event'
  type: string
  created: number
  livemode: boolean
  data: { object: Record<string, unknown> }
}

export type StripeObjects = {
  customers: Records<StripeCustomer>
  payments: Records<StripePayment>
  /** Newest first, of the last 30 days. */
  events(): StripeEvent[]
  /** Customers that were deleted: they answer with a stub. */
  deleted: Set<string>
  /** A person gets so much back. */
  refund(payment: string, amount?: number): void
}

const DAY = 86_400
const EVENTS_KEPT = 30 * DAY

export function stripeObjects(
  options: {
    seed: number
    customers: number
    payments: number
    now(): number
    /** Each event, once it is in the list. */
    told?(event: StripeEvent): void
  },
): StripeObjects {
  const random = seededRandom(options.seed)
  const seconds = () => Math.floor(options.now() / 1000)
  const started = seconds()
  let events: StripeEvent[] = []
  let counted = 0
  const deleted = new Set<string>()

  const tell = (type: string, object: object) => {
    counted += 1
    const event: StripeEvent = {
      id: `evt_1${String(counted).padStart(14, '0')}`,
      object: 'event',
      type,
      created: seconds(),
      livemode: false,
      data: { object: structuredClone(object) as Record<string, unknown> },
    }
    events.push(event)
    options.told?.(event)
  }
  const customers = records<StripeCustomer>({
    count: options.customers,
    id: ({ id }) => id,
    make: (index) => makeCustomer(random, index, started),
    changed(customer, fields) {
      const changed = {
        ...customer,
        ...(fields ?? { email: `new-${seconds()}@${customer.id}.example` }),
      }
      tell('customer.updated', changed)
      return changed
    },
    added: (customer) => tell('customer.created', customer),
    removed(customer) {
      deleted.add(customer.id)
      tell('customer.deleted', customer)
    },
  })
  const payments = records<StripePayment>({
    count: options.payments,
    id: ({ id }) => id,
    make: (index) => makePayment(random, index, started, customers.ids()),
    changed(payment, fields) {
      const changed = { ...payment, ...(fields ?? { status: 'canceled', latest_charge: null }) }
      const types: Record<string, string> = {
        canceled: 'payment_intent.canceled',
        succeeded: 'payment_intent.succeeded',
        processing: 'payment_intent.processing',
        requires_payment_method: 'payment_intent.payment_failed',
      }
      // another description is no event
      if (fields === undefined || fields.status !== undefined) {
        tell(types[changed.status] ?? 'payment_intent.created', changed)
      }
      return changed
    },
    added: (payment) => tell('payment_intent.created', payment),
  })

  return {
    customers,
    payments,
    deleted,
    events() {
      events = events.filter(({ created }) => created > seconds() - EVENTS_KEPT)
      return events.toReversed()
    },
    refund(id, amount) {
      const charge = payments.find(id)?.latest_charge
      if (!charge) throw new Error(`${id} has no charge`)
      const amount_refunded = charge.amount_refunded +
        (amount ?? charge.amount - charge.amount_refunded)
      if (amount_refunded > charge.amount) throw new Error('more than was paid')
      // in place: the payment's own status stays, and Stripe tells of the charge and of the refund
      Object.assign(charge, { amount_refunded, refunded: amount_refunded === charge.amount })
      tell('charge.refunded', charge)
      tell('refund.created', { id: `re_${id}`, object: 'refund', payment_intent: id, amount })
    },
  }
}

function makeCustomer(random: SeededRandom, index: number, started: number): StripeCustomer {
  const name = `${random.pick(['Ada', 'Grace', 'Katherine', 'Edsger'])} ${
    random.pick(['Byron', 'Murray', 'Johnson', 'Dijk'])
  }`
  return {
    id: `cus_${String(index).padStart(14, '0')}`,
    object: 'customer',
    email: random.chance(0.9) ? `person-${index}@shoppers.example` : null,
    name: random.chance(0.9) ? name : null,
    phone: random.chance(0.3) ? `+1555${String(index).padStart(7, '0')}` : null,
    address: random.chance(0.5)
      ? {
        line1: `${index} Harbor Street`,
        line2: null,
        city: 'Portland',
        state: 'OR',
        postal_code: '97201',
        country: 'US',
      }
      : null,
    balance: 0,
    created: started - random.between(40, 400) * DAY,
    currency: 'usd',
    delinquent: false,
    livemode: false,
    metadata: {},
  }
}

function makePayment(
  random: SeededRandom,
  index: number,
  started: number,
  customers: string[],
): StripePayment {
  const id = `pi_${String(index).padStart(22, '0')}`
  const currency = random.pick(['usd', 'eur', 'jpy', 'kwd'])
  const amount = random.between(500, 90_000) * 10
  const status = random.pick(['succeeded', 'succeeded', 'succeeded', 'canceled', 'processing'])
  const paid = status === 'succeeded'
  return {
    id,
    object: 'payment_intent',
    amount,
    amount_received: paid ? amount : 0,
    currency,
    customer: customers.length > 0 ? random.pick(customers) : null,
    created: started - random.between(40, 400) * DAY,
    description: random.chance(0.5) ? `Order ${index + 1}` : null,
    receipt_email: random.chance(0.5) ? `person-${index}@shoppers.example` : null,
    last_payment_error: null,
    status,
    livemode: false,
    metadata: {},
    latest_charge: paid
      ? {
        id: id.replace('pi_', 'ch_'),
        object: 'charge',
        amount,
        amount_captured: amount,
        amount_refunded: 0,
        refunded: false,
        currency,
        payment_intent: id,
        receipt_number: null,
        billing_details: { email: null },
      }
      : null,
  }
}
