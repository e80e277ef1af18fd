// What do events cost whoever emits them: set-based with three endpoints that want them, and in a bulk load?
import { median } from '../median.ts'
import type { BenchStore } from '../sync/bench-store.ts'
import { generateCatalog } from '../sync/records.ts'
import { writeOurs } from '../sync/write-ours.ts'
import type { Scene } from './scene.ts'

export type Emitting = {
  /** A second, with three endpoints that want each of them. */
  events: number
  /** Records a second of a first load over a direct connection, without events and with (ids). */
  plain_load: number
  load_with_events: number
  /** The median of the rounds' ratios. */
  load_share: number
}

const EVENTS_A_STATEMENT = 1_000

export async function measureEmitting(
  scene: Scene,
  bench: BenchStore,
  { events, records, runs, log }: {
    events: number
    records: number
    runs: number
    log: (line: string) => void
  },
): Promise<Emitting> {
  await scene.hush()
  await scene.endpoints(['a', 'b', 'c'].map((name) => `https://${name}.example/hooks`))
  const rates: number[] = []
  for (let run = 0; run < runs; run++) {
    await scene.empty()
    let ms = 0
    for (let left = events; left > 0; left -= EVENTS_A_STATEMENT) {
      ms += await scene.emit(Math.min(EVENTS_A_STATEMENT, left))
    }
    rates.push(events / (ms / 1000))
    log(`emitting: ${Math.round(rates.at(-1)!)} events a second, each for three endpoints`)
  }
  await scene.endpoints([])
  await scene.empty()

  const catalog = generateCatalog(records)
  const integration = await bench.connect({
    external_account_id: 'with-events',
    credentials: { client_id: 'bench', api_key: 'bench' },
  })
  const load = async (recordEvents: 'none' | 'ids') => {
    await bench.admin`
      update public.sync_streams set record_events = ${recordEvents} where integration_id = ${integration.id}`
    await bench.empty()
    await scene.empty()
    return records / await writeOurs(bench.databases.direct, integration, catalog, false)
  }
  const loads: { plain: number; withEvents: number }[] = []
  for (let run = 0; run < runs; run++) {
    const round = { plain: await load('none'), withEvents: await load('ids') }
    loads.push(round)
    log(
      `a first load: ${Math.round(round.plain)} records a second, ${
        Math.round(round.withEvents)
      } with events`,
    )
  }
  await bench.empty()
  await scene.empty()
  return {
    events: median(rates),
    plain_load: median(loads.map(({ plain }) => plain)),
    load_with_events: median(loads.map(({ withEvents }) => withEvents)),
    load_share: median(loads.map(({ plain, withEvents }) => withEvents / plain)),
  }
}
