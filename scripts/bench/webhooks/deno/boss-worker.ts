// Run by Deno: the same deliveries through pg-boss, one job a delivery, in the two ways its documentation
// shows.
import process from 'node:process'
import { PgBoss } from 'pg-boss'
import { keyOf, SECRET, sendSigned } from './send-signed.ts'

const { dbUrl, deliveries, atOnce, way } = JSON.parse(process.env['SETUP']!) as {
  dbUrl: string
  deliveries: number
  atOnce: number
  /** One job at a time for each worker; or a batch for one worker, with a result for each job. */
  way: 'single' | 'batches'
}
type Delivery = { url: string; id: string; body: string }
const key = keyOf(SECRET)
const boss = new PgBoss({ connectionString: dbUrl, max: 10, supervise: false, schedule: false })
boss.on('error', console.error)
await boss.start()
const startedAt = performance.now()
let done = 0
const { promise: finished, resolve: finish } = Promise.withResolvers<void>()
const count = (jobs: number) => (done += jobs) >= deliveries && finish()

if (way === 'single') {
  await boss.work<Delivery>(
    'deliveries',
    { localConcurrency: atOnce, pollingIntervalSeconds: 0.5, burstWhenReadyExceeds: 1 },
    async ([job]) => {
      if (!await sendSigned(key, job!.data)) throw new Error('the endpoint refused it')
      count(1)
    },
  )
} else {
  await boss.work<Delivery>(
    'deliveries',
    {
      batchSize: atOnce,
      pollingIntervalSeconds: 0.5,
      burstWhenBatchFull: true,
      perJobResults: true,
    },
    async (jobs) => {
      const results = await Promise.all(jobs.map(async ({ id, data }) => {
        const isDone = await sendSigned(key, data).catch(() => false)
        return { id, status: isDone ? 'completed' as const : 'failed' as const }
      }))
      count(jobs.length)
      return results
    },
  )
}
await finished
console.log(JSON.stringify({ seconds: (performance.now() - startedAt) / 1000 }))
await boss.stop({ graceful: false })
Deno.exit(0)
