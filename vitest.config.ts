// Which tests are there, and what may run beside what? One project a kind of test, by folder.
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'
import { memoryFolder } from './tests/support/memory-folder.ts'

const memory = memoryFolder()
if (memory) process.env['TMPDIR'] = memory
// every file's worker and every process that a test starts reads the same modules
process.env['NODE_COMPILE_CACHE'] ??= join(
  import.meta.dirname,
  'node_modules/.cache/plugboard/node',
)

/** They build, type-check or lint whole packages. */
const longestOfUnit = [
  'tests/unit/project/new-connector.test.ts',
  'tests/unit/client/package.test.ts',
  'tests/unit/client/webhooks-package.test.ts',
]

/** What lasts longest comes first, so that no core is left with it at the end. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const kinds = [
      'faults-with-own-connectors',
      'faults',
      'stack',
      'functions',
      'end-to-end',
      'database',
      'unit',
      'unit-with-fake-timers',
    ]
    const rank = ({ project, moduleId }: TestSpecification) =>
      kinds.indexOf(project.name) -
      (longestOfUnit.some((file) => moduleId.endsWith(file)) ? 0.5 : 0)
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b))
  }
}

/** For two cores: a file waits for a third of its time. What it counts, kills or measures is its own stack's. */
const maxWorkers = 3

/** After them some real timers of their worker never come, so that nobody may share it. */
const withFakeTimers = [
  'tests/unit/client/data-api.test.ts',
  'tests/unit/client/watch.test.ts',
  'tests/unit/http/idle-connections.test.ts',
  'tests/unit/platform/clock.test.ts',
  'tests/unit/webhooks/call-slots.test.ts',
  'tests/unit/webhooks/verify-signatures.test.ts',
  'tests/unit/webhooks/webhook-store.test.ts',
]

/** They put a connector of their own in the registry's place, which the next file of their worker would find there. */
const withOwnConnectors = [
  'tests/faults/crash-points.test.ts',
  'tests/faults/odd-records.test.ts',
  'tests/faults/push-outcomes.test.ts',
  'tests/faults/pushing-platforms.test.ts',
  'tests/faults/slices.test.ts',
  'tests/faults/two-way-model.test.ts',
]

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    globalSetup: ['tests/support/functions-stack.ts'], // of functions and end-to-end
    projects: [
      {
        test: {
          name: 'unit',
          include: ['tests/unit/**/*.test.ts', 'tests/connectors/**/*.test.ts'],
          exclude: withFakeTimers,
          // a process, or modules of its own, for each of so many small files costs more than most of them
          pool: 'threads',
          isolate: false,
          maxWorkers,
          testTimeout: 30_000, // some build the package or start processes, which a busy machine does slowly
        },
      },
      {
        test: {
          name: 'unit-with-fake-timers',
          include: withFakeTimers,
          pool: 'threads',
          maxWorkers,
        },
      },
      {
        test: {
          name: 'database',
          include: ['tests/database/**/*.test.ts'],
          globalSetup: ['tests/support/database-stack.ts'],
          pool: 'threads',
          isolate: false,
          maxWorkers,
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'stack',
          include: ['tests/stack/**/*.test.ts'],
          maxWorkers,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'functions',
          isolate: false,
          include: ['tests/functions/**/*.test.ts'],
          maxWorkers,
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'end-to-end',
          isolate: false,
          include: ['tests/end-to-end/**/*.test.ts'],
          maxWorkers,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'faults', // each file brings up the stack it breaks, and mostly waits for it to come back
          include: ['tests/faults/**/*.test.ts'],
          exclude: withOwnConnectors,
          isolate: false,
          maxWorkers,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'faults-with-own-connectors',
          include: withOwnConnectors,
          maxWorkers,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
})
