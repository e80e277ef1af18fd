// Which tests are there, and what may run beside what? One project a kind of test, by folder.
import { defineConfig } from 'vitest/config'

/** Runs alone on both cores: its tests count, kill or measure, and share one stack or restart their own. */
const oneFileAtATime = { fileParallelism: false, testTimeout: 15_000, hookTimeout: 60_000 }

export default defineConfig({
  test: {
    // Groups run one after the other, so that two cores never carry two kinds of stacks at once.
    projects: [
      {
        test: {
          name: 'unit',
          include: ['tests/unit/**/*.test.ts', 'tests/connectors/**/*.test.ts'],
          sequence: { groupOrder: 0 },
          maxWorkers: 2,
          testTimeout: 20_000, // some build the package or start processes, which a busy machine does slowly
        },
      },
      {
        test: {
          name: 'database',
          include: ['tests/database/**/*.test.ts'],
          globalSetup: ['tests/support/database-stack.ts'],
          sequence: { groupOrder: 1 },
          ...oneFileAtATime,
        },
      },
      {
        test: {
          name: 'stack',
          include: ['tests/stack/**/*.test.ts'],
          sequence: { groupOrder: 2 },
          maxWorkers: 2,
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'functions',
          include: ['tests/functions/**/*.test.ts'],
          globalSetup: ['tests/support/functions-stack.ts'],
          sequence: { groupOrder: 3 },
          ...oneFileAtATime,
        },
      },
      {
        test: {
          name: 'end-to-end',
          include: ['tests/end-to-end/**/*.test.ts'],
          globalSetup: ['tests/support/functions-stack.ts'],
          sequence: { groupOrder: 4 },
          ...oneFileAtATime,
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'faults', // each file brings up the stack it breaks, and mostly waits for it to come back
          include: ['tests/faults/**/*.test.ts'],
          sequence: { groupOrder: 5 },
          maxWorkers: 2,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
})
