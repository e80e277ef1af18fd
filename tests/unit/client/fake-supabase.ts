// A real supabase-js client over a fetch that answers what a test says.
import { createClient } from '@supabase/supabase-js'

/** What fetch does at one call: answers, or throws. */
export type Answer = Response | Error | ((signal: AbortSignal | null) => Promise<Response>)

export type SentRequest = { method: string; path: string; query: URLSearchParams; body: unknown }

/** Answers one after the other; the last one stays. `requests` is what was sent. */
export function fakeSupabase(...answers: Answer[]) {
  const requests: SentRequest[] = []
  const fetch: typeof globalThis.fetch = (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input)
    const body: unknown = typeof init?.body === 'string' ? JSON.parse(init.body) : undefined
    const method = init?.method ?? 'GET'
    requests.push({ method, path: url.pathname, query: url.searchParams, body })

    const answer = answers.length > 1 ? answers.shift() : answers[0]
    if (init?.signal?.aborted) return Promise.reject(init.signal.reason)
    if (answer instanceof Response) return Promise.resolve(answer.clone())
    if (typeof answer === 'function') return answer(init?.signal ?? null)
    return Promise.reject(answer ?? new Error('no answer was scripted'))
  }
  const supabase = createClient('https://project.supabase.example', 'sb_publishable_test', {
    auth: { persistSession: false, autoRefreshToken: false },
    global: { fetch },
  })
  return { supabase, requests }
}

export function json(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return Response.json(body, { status, headers })
}

/** What a gateway says when it never reached us. */
export function html(status: number): Response {
  return new Response('<html><h1>Bad gateway</h1></html>', {
    status,
    headers: { 'content-type': 'text/html' },
  })
}

/** Never answers; ends as fetch does when its signal is aborted. */
export function silence(signal: AbortSignal | null): Promise<Response> {
  return new Promise((_resolve, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
