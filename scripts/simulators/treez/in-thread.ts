// A Treez store that nobody keeps waiting: in a thread of its own, so that it sees when requests come.
// In a thread that also runs the gateway and the Data API, requests would seem to come when that is idle.
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { TreezSimulatorOptions } from '../treez.ts'

export type RequestsCounted = {
  /** When each request came, in milliseconds, also the refused ones. */
  arrivals: number[]
  /** Requests answered with 429. */
  refused: number
}

export type TreezInThread = {
  baseUrl: string
  /** Of API v2. */
  credentials: { client_id: string; api_key: string }
  counted(): Promise<RequestsCounted>
  stop(): Promise<void>
}

export async function startTreezInThread(
  options: Omit<TreezSimulatorOptions, 'now'>,
): Promise<TreezInThread> {
  const worker = new Worker(new URL('./thread.ts', import.meta.url), { workerData: options })
  const next = async () => (await once(worker, 'message'))[0]
  const { baseUrl, credentials } = await next() as Pick<TreezInThread, 'baseUrl' | 'credentials'>
  return {
    baseUrl,
    credentials,
    async counted() {
      const answer = next()
      worker.postMessage('count')
      return await answer as RequestsCounted
    },
    async stop() {
      await worker.terminate()
    },
  }
}
