// What of the sync benchmark is shown, and what was asked for?
import type { Table, Target } from '../benchmark.ts'
import { type PathResults, PATHS, STEPS } from './paths.ts'
import type { WholeWay } from './whole-way.ts'

export function pathTables(results: PathResults[]): Table[] {
  return results.map(({ records, runs, bytes_per_record, measured }) => ({
    title:
      `${records} products of ${bytes_per_record} bytes, records a second (× COPY), median of ${runs}`,
    columns: ['path', ...STEPS, 'WAL bytes per unchanged row'],
    rows: PATHS.map((path) => [
      path,
      ...STEPS.map((step) => {
        const cell = measured[path]?.[step]
        if (!cell) return null
        const rate = Math.round(cell.records_per_second).toLocaleString('en-US')
        return `${rate} (${cell.of_copy.toPrecision(2)})`
      }),
      measured[path]?.unchanged?.wal_bytes_per_record ?? null,
    ]),
  }))
}

export function pathTargets(results: PathResults[]): Target[] {
  return results.flatMap(({ records, measured }) => {
    const api = measured['ours, Data API']
    const direct = measured['ours, direct']
    const target = (what: string, asked: number, is: number | undefined): Target => ({
      what: `${records}: ${what}`,
      asked,
      is: is ?? NaN,
    })
    return [
      target('Data API, first load × one by one', 40, api?.['first load']?.of_one_by_one),
      target('Data API, first load × COPY', 0.25, api?.['first load']?.of_copy),
      target('Data API, unchanged × COPY', 1, api?.unchanged?.of_copy),
      target('Data API, 5 % changed × COPY', 0.6, api?.['5 % changed']?.of_copy),
      target('direct, first load × COPY', 0.45, direct?.['first load']?.of_copy),
      target('direct, unchanged × COPY', 3, direct?.unchanged?.of_copy),
      target('direct, 5 % changed × COPY', 2, direct?.['5 % changed']?.of_copy),
      {
        ...target('Data API, WAL bytes per unchanged row', 5, api?.unchanged?.wal_bytes_per_record),
        at_most: true,
      },
      {
        ...target(
          'direct, WAL bytes per unchanged row',
          5,
          direct?.unchanged?.wal_bytes_per_record,
        ),
        at_most: true,
      },
    ]
  })
}

export function wholeWayTable(results: WholeWay[]): Table[] {
  if (results.length === 0) return []
  return [{
    title:
      'The whole way: from the Treez simulator over HTTP, through the function, into the table',
    columns: [
      'records, over, step',
      'seconds',
      'records/s',
      'CPU s per 10,000',
      'slices',
      'peak MB',
    ],
    rows: results.map((result) => [
      `${result.records}, ${result.over}, ${result.step}`,
      result.seconds,
      result.records / result.seconds,
      result.cpu_seconds_per_10000,
      result.slices,
      result.peak_memory_mb,
    ]),
  }]
}

export function wholeWayTargets(results: WholeWay[]): Target[] {
  if (results.length === 0) return []
  const largest = Math.max(...results.map((result) => result.records))
  const smallest = Math.min(...results.map((result) => result.records))
  const peak = (records: number) =>
    Math.max(
      ...results.filter((result) => result.records === records)
        .map((result) => result.peak_memory_mb),
    )
  return [
    {
      what: 'whole way: CPU seconds per 10,000 records, the worst step',
      asked: 2,
      is: Math.max(...results.map((result) => result.cpu_seconds_per_10000)),
      at_most: true,
    },
    {
      what: `whole way: peak MB at ${largest} records`,
      asked: 150,
      is: peak(largest),
      at_most: true,
    },
    ...(largest === smallest ? [] : [{
      what: `whole way: peak at ${largest} ÷ peak at ${smallest}`,
      asked: 1.25,
      is: peak(largest) / peak(smallest),
      at_most: true,
    }]),
  ]
}
