// What can an organization do at a platform through its connector? One definition an action.
import { z } from 'zod'
import type { AccountFacts, Values } from './auth.ts'
import type { PlatformAnswer, PlatformCall } from './platform-call.ts'

/** What an action may look at besides its input. */
export type ActionContext<Settings = Values> = {
  settings: Settings
  account: AccountFacts
  /** The same for every try of one action; for platforms that take an idempotency key. */
  idempotency_key: string
  now: Date
  /** Answers of the calls of `before`, in their order. */
  found: unknown[]
}

/** An answer an action gets to see. A refusal is here only when `accept` took it. */
export type ActionAnswer = Pick<PlatformAnswer, 'status' | 'body' | 'headers'>

export type ActionDefinition<
  Settings = Values,
  Input extends z.ZodType = z.ZodType,
  Output extends z.ZodType = z.ZodType,
> = {
  title: string
  /** One sentence; what happens at the platform. */
  description: string
  input: Input
  output: Output
  /**
   * Does sending it twice end in the same state as once? Only then it is sent again when its outcome is
   * unknown.
   */
  repeatable: boolean
  /** Reads that have to come first, such as the message that is replied to. Done in a dry run too. */
  before?(input: z.output<Input>, context: Omit<ActionContext<Settings>, 'found'>): PlatformCall[]
  /** What is sent, one after the other; a dry run shows it instead. */
  requests(
    input: z.output<Input>,
    context: ActionContext<Settings>,
  ): PlatformCall[] | Promise<PlatformCall[]>
  /** Statuses that are no success and still mean that it is done, such as "this post exists already". */
  accept?(answer: ActionAnswer): boolean
  /** What the caller gets. Fewer answers than requests when a later one failed. */
  read(
    answers: ActionAnswer[],
    input: z.output<Input>,
    context: ActionContext<Settings>,
  ): z.input<Output>
}

/** An action as the engine sees it. */
export type Action = ActionDefinition & { name: string }

/** One item of a batch that the platform did not take, while it took others. */
export const ItemFailure = z.object({
  /** Position in the input, from 0. */
  index: z.int().nonnegative(),
  /** The platform's own code. */
  code: z.string(),
  message: z.string(),
})
export type ItemFailure = z.infer<typeof ItemFailure>

/** Ties the callbacks' types to the schemas beside them. `settings` is only for its type. */
export function action<
  Settings extends z.ZodObject,
  Input extends z.ZodType,
  Output extends z.ZodType,
>(
  { settings: _, ...definition }:
    & ActionDefinition<z.output<Settings>, Input, Output>
    & { settings?: Settings },
): ActionDefinition {
  return definition as unknown as ActionDefinition
}

/** One call for each `size` items, for platforms that take a limited number at once. */
export function inBatches<Item>(
  items: Item[],
  size: number,
  call: (batch: Item[]) => PlatformCall,
): PlatformCall[] {
  const calls: PlatformCall[] = []
  for (let start = 0; start < items.length; start += size) {
    calls.push(call(items.slice(start, start + size)))
  }
  return calls
}
