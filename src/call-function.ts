// How a contract's endpoint is called: its Edge Function, with the app's session.
import { z } from 'zod'
import type { Contract } from '../supabase/functions/_shared/contracts/contract.ts'
import type { ErrorCode } from '../supabase/functions/_shared/platform/errors.ts'
import { codeOfStatus } from './code-of-status.ts'
import { parseAnswer } from './parse-answer.ts'
import { fail, PlugboardError, type Result } from './result.ts'
import type { AppSupabaseClient, CallOptions } from './supabase.ts'

export async function callFunction<Request extends z.ZodType, Response extends z.ZodType>(
  supabase: AppSupabaseClient,
  contract: Contract<Request, Response>,
  body: z.input<Request>,
  { signal }: CallOptions = {},
): Promise<Result<z.output<Response>>> {
  const { data, error, response } = await supabase.functions.invoke(contract.path.slice(1), {
    body: body as Record<string, unknown>, // every contract's request is an object
    signal,
  })
  if (!error) return parseAnswer(contract.response, data, response?.status)
  if (signal?.aborted) return aborted(error)
  if (response) return { data: null, error: await readProblem(response, error, signal) }
  // JSON was announced and something else came.
  if (error instanceof SyntaxError) {
    return fail('unexpected_answer', 'The answer is not JSON.', { cause: error })
  }
  return fail('network_error', `No answer from ${contract.path}: ${reasonOf(error)}.`, {
    cause: error,
  })
}

function aborted(cause: unknown) {
  return fail('aborted', 'The call was ended by its signal.', { cause })
}

function reasonOf(error: unknown): string {
  // supabase-js wraps what fetch threw; that one knows the reason.
  const { context } = error as { context?: unknown }
  return [context, error].find((value) => value instanceof Error)?.message ?? 'unknown reason'
}

/** RFC 9457 with `code`, `next` and `request_id`, as every Plugboard function answers an error. */
const Problem = z.object({
  type: z.string().startsWith('urn:plugboard:error:'),
  title: z.string(),
  detail: z.string().optional(),
  code: z.string(),
  next: z.enum(['retry', 'owner', 'developer']).optional().catch(undefined),
  request_id: z.string().optional(),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
})

async function readProblem(
  response: Response,
  cause: unknown,
  signal: AbortSignal | undefined,
): Promise<PlugboardError> {
  const { status, headers } = response
  const answer = await readJson(response)
  if (signal?.aborted) return aborted(cause).error
  const details = {
    status,
    requestId: headers.get('x-request-id') ?? undefined,
    retryAfterMs: readRetryAfter(headers),
    cause,
  }

  const problem = Problem.safeParse(answer)
  if (!problem.success) {
    const said = z.object({ message: z.string() }).safeParse(answer)
    const message = said.success
      ? said.data.message
      : `Something before the function answered with status ${status}.`
    return new PlugboardError(codeOfStatus(status), message, details)
  }

  const { code, detail, title, next, request_id: requestId = details.requestId, errors } =
    problem.data
  // A newer server may know a code that this version does not; it passes through as it came.
  const said = { ...details, next, requestId, errors }
  return new PlugboardError(code as ErrorCode, detail ?? title, said)
}

async function readJson(response: Response): Promise<unknown> {
  try {
    return await response.json()
  } catch {
    return null // HTML, text or cut off: then the status is all there is to go by
  }
}

function readRetryAfter(headers: Headers): number | undefined {
  const value = headers.get('retry-after')
  const seconds = value === null ? NaN : Number(value)
  return Number.isFinite(seconds) ? seconds * 1_000 : undefined
}
