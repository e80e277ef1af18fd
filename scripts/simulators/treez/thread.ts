// The thread's side of `startTreezInThread`: runs the store and tells when its requests came.
import { parentPort, workerData } from 'node:worker_threads'
import { startTreezSimulator, type TreezSimulatorOptions } from '../treez.ts'

const store = await startTreezSimulator(workerData as TreezSimulatorOptions)
parentPort!.on('message', () => {
  const refused = store.requests.filter(({ status }) => status === 429).length
  parentPort!.postMessage({ arrivals: [...store.arrivals()], refused })
})
parentPort!.postMessage({ baseUrl: store.baseUrl, credentials: store.credentials.v2 })
