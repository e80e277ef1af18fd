// How fast do events become webhooks: written, sent, and received from others, beside the limit and beside a peer?
import { parseOptions } from '../command-line.ts'
import { startStack } from '../stack/stack.ts'
import { UserError } from '../stack/user-error.ts'
import type { Benchmark, Report, Table, Target } from './benchmark.ts'
import { describeMachine } from './machine.ts'
import { numberOption } from './report-on.ts'
import { openBench } from './sync/bench-store.ts'
import { measureEmitting } from './webhooks/emitting.ts'
import { type Latency, measureLatency } from './webhooks/latency.ts'
import { measureOldAttempts } from './webhooks/old-attempts.ts'
import { measureReceiving } from './webhooks/receiving.ts'
import { openScene } from './webhooks/scene.ts'
import { AT_ONCE, measureThroughput } from './webhooks/throughput.ts'

const PARTS = ['emit', 'latency', 'throughput', 'receive', 'history'] as const
type Part = typeof PARTS[number]

const help = `npm run bench -- webhooks [options]

  --only ${PARTS.join('|')}   one part of it
  --runs 5                of each, the median counts
  --deliveries 10000      for the throughput
  --attempts 10000000     of the history
  --quick                 small numbers, one run: to see that it works
  --json                  one JSON document instead of tables`

export const webhooks: Benchmark = { help, run }

type Measured = { tables: Table[]; targets: Target[] }

async function run(args: string[], log: (line: string) => void): Promise<Report> {
  const options = readOptions(args)
  log('starting a stack')
  const stack = await startStack({
    ephemeral: true,
    cron: false,
    functionsEnv: { PLUGBOARD_ALLOW_PRIVATE_NETWORKS: 'true' },
  })
  try {
    const bench = await openBench(stack)
    const scene = await openScene(stack)
    try {
      await bench.admin`alter database postgres set track_functions = 'pl'`
      const measured: Measured[] = []
      const parts: Record<Part, () => Promise<Measured>> = {
        emit: async () => emitted(await measureEmitting(scene, bench, { ...options, log })),
        latency: async () =>
          latencies([
            await measureLatency(scene, stack, 'direct', { ...options, log }),
            await measureLatency(scene, stack, 'Data API', { ...options, log }),
          ]),
        throughput: async () => sent(await measureThroughput(scene, stack, { ...options, log })),
        receive: async () => received(await measureReceiving(bench, stack, { ...options, log })),
        history: async () => historic(await measureOldAttempts(scene, stack, { ...options, log })),
      }
      for (const part of PARTS) {
        if (options.only === undefined || options.only === part) measured.push(await parts[part]())
      }
      return {
        name: 'webhooks',
        command: ['npm run bench -- webhooks', ...args].join(' '),
        measured_at: new Date().toISOString(),
        machine: await describeMachine(bench.admin),
        tables: measured.flatMap(({ tables }) => tables),
        targets: measured.flatMap(({ targets }) => targets),
        notes: [
          'Sinks, senders, workers and Postgres share the machine: a rate is what is left for each of them.',
        ],
      }
    } finally {
      await scene.end()
      await bench.end()
    }
  } finally {
    await stack.stop()
  }
}

function readOptions(args: string[]) {
  const values = parseOptions(args, {
    only: { type: 'string' },
    runs: { type: 'string' },
    deliveries: { type: 'string' },
    attempts: { type: 'string' },
    quick: { type: 'boolean' },
  })
  const only = PARTS.find((part) => part === values.only)
  if (values.only !== undefined && only === undefined) {
    throw new UserError(`--only wants one of ${PARTS.join(', ')}, not "${values.only}".`)
  }
  return {
    only,
    runs: numberOption(values, 'runs', 5, 1),
    deliveries: numberOption(values, 'deliveries', 10_000, 1_000),
    attempts: numberOption(values, 'attempts', 10_000_000, 100_000),
    events: values.quick ? 2_000 : 20_000,
    records: values.quick ? 2_000 : 20_000,
    seconds: values.quick ? 4 : 20,
    wakes: values.quick ? 1 : 3,
    webhooks: values.quick ? 1_000 : 20_000,
  }
}

function emitted(result: Awaited<ReturnType<typeof measureEmitting>>): Measured {
  return {
    tables: [{
      title: 'writing events',
      columns: ['what', 'a second'],
      rows: [
        ['events, each for three endpoints', result.events],
        ['records of a first load, direct', result.plain_load],
        ['the same with an event each', result.load_with_events],
      ],
    }],
    targets: [
      { what: 'events a second for three endpoints', asked: 15_000, is: result.events },
      { what: 'load with events × without', asked: 0.85, is: result.load_share },
    ],
  }
}

function latencies(results: Latency[]): Measured {
  return {
    tables: [{
      title: 'from commit to the endpoint at 50 events a second, ms',
      columns: ['over', 'events', 'p50', 'p95', 'p99', 'from idle, slowest'],
      rows: results.map((result) => [
        result.over,
        result.events,
        result.p50_ms,
        result.p95_ms,
        result.p99_ms,
        result.wake_ms,
      ]),
    }],
    targets: results.flatMap(({ over, p50_ms, p95_ms, wake_ms }) => [
      { what: `p50, ${over}, ms`, asked: 60, is: p50_ms, at_most: true },
      { what: `p95, ${over}, ms`, asked: 124, is: p95_ms, at_most: true },
      { what: `from idle, ${over}, ms`, asked: 1_000, is: wake_ms, at_most: true },
    ]),
  }
}

function sent(result: Awaited<ReturnType<typeof measureThroughput>>): Measured {
  return {
    tables: [{
      title: `deliveries a second, ${AT_ONCE} at once`,
      columns: ['who', 'instant sink', '50 ms sink'],
      rows: [
        ['a bare loop that signs and sends', result.bare, AT_ONCE / 0.05],
        ['webhook-deliver', result.ours, result.slow],
        ['pg-boss, one job a worker', result.boss.single, null],
        ['pg-boss, a batch with a result for each', result.boss.batches, null],
      ],
    }],
    targets: [
      { what: 'instant sink × the bare loop', asked: 0.4, is: result.ours_of_bare },
      { what: '50 ms sink × concurrency ÷ latency', asked: 0.85, is: result.slow_share },
      {
        what: '× pg-boss, one job a worker',
        asked: 5,
        is: result.ours / result.boss.single,
      },
      {
        what: 'calls into Postgres for each delivery',
        asked: 4,
        is: result.calls_per_delivery,
        at_most: true,
      },
    ],
  }
}

function received(result: Awaited<ReturnType<typeof measureReceiving>>): Measured {
  return {
    tables: [{
      title: 'webhooks received a second',
      columns: ['who', '10 connections', '32 connections, p99 in ms'],
      rows: [
        ['pgbench, prepared inserts', result.pgbench, null],
        ['a bare handler: an HMAC and an insert', result.bare, result.bare_p99_ms],
        ['webhook-receive, direct', result.direct, result.direct_p99_ms],
        ['webhook-receive, Data API', result.data_api, null],
      ],
    }],
    targets: [
      // 0.35 of pgbench where a bare handler reaches 0.48 of it; where system calls are dear, neither reaches as much
      { what: 'direct × the bare handler', asked: 0.73, is: result.direct_of_bare },
      ...result.direct_of_pgbench === null
        ? []
        : [{ what: 'direct × pgbench', asked: 0.35, is: result.direct_of_pgbench }],
      { what: 'p99 at 32 connections, ms', asked: 30, is: result.direct_p99_ms, at_most: true },
      {
        what: 'calls into Postgres for each webhook',
        asked: 1,
        is: result.calls_per_webhook,
        at_most: true,
      },
    ],
  }
}

function historic(result: Awaited<ReturnType<typeof measureOldAttempts>>): Measured {
  return {
    tables: [{
      title: `with ${result.attempts.toLocaleString('en-US')} old attempts`,
      columns: ['what', 'ms'],
      rows: [
        ['p95 without them', result.empty.p95_ms],
        ['p95 with them', result.full.p95_ms],
        ['dropping a day of them', result.drop_ms],
      ],
    }],
    targets: [
      {
        what: 'p95 with history × without',
        asked: 1.2,
        is: result.full.p95_ms / result.empty.p95_ms,
        at_most: true,
      },
      { what: 'dropping a day, ms', asked: 1_000, is: result.drop_ms, at_most: true },
    ],
  }
}
