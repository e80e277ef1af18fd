import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const README = readFileSync(
  join(import.meta.dirname, '../../../supabase/functions/_shared/connectors/README.md'),
  'utf8',
)
const example = (file: string, from: string, to: string) =>
  readFileSync(join(import.meta.dirname, file), 'utf8').replaceAll(from, to)
/** Imports are wrapped or not by their length, which is not what matters here. */
const loose = (text: string) => text.replaceAll(/,(?=\s*\})/g, '').replaceAll(/\s+/g, ' ')

it('the connector in the README is the one that passes the suite', () => {
  const shown = example('acme-store.ts', '../../../supabase/functions/_shared/connectors/', './')

  expect(loose(README)).toContain(loose(shown))
})

it('the push in the README is one that compiles', () => {
  const shown = example('acme-push.ts', '../../../supabase/functions/_shared/connectors/', './')

  expect(loose(README)).toContain(loose(shown))
})

it('the test in the README is the one that runs', () => {
  const shown = example(
    'acme-store.test.ts',
    './acme-store.ts',
    '../../supabase/functions/_shared/connectors/acme-store.ts',
  )
    .replace('../conformance.ts', './conformance.ts')

  expect(loose(README)).toContain(loose(shown))
})

it('every word of the vocabulary is in the README', () => {
  const folder = join(import.meta.dirname, '../../../supabase/functions/_shared/connectors')
  const auth = readFileSync(join(folder, 'vocabulary/auth.ts'), 'utf8')
  const definition = [
    'define-connector.ts',
    'vocabulary/stream-definition.ts',
    'vocabulary/actions.ts',
    'vocabulary/platform-call.ts',
  ].map((file) => readFileSync(join(folder, file), 'utf8')).join('\n')
  const paging = readFileSync(join(folder, 'vocabulary/paging.ts'), 'utf8')
  const between = (text: string, start: string) =>
    text.slice(text.indexOf(start), text.indexOf('\n}\n', text.indexOf(start)))
  const words = [
    ...[...auth.matchAll(/^export function (\w+)/gm)].map((match) => match[1]!),
    ...[...paging.matchAll(/\{ type: '(\w+)'/g)].map((match) => match[1]!),
    ...[
      'type AnyStream',
      'export type ListedStream',
      'export type ReadStream',
      'export type ReadContext',
      'export type ReadResult',
      'export type ConnectorDefinition',
      'type IncrementalTime',
      'export type Failure',
      'export type ActionDefinition',
      'export type ActionContext',
      'export type PlatformCall',
    ]
      .flatMap((start) =>
        [...between(definition, start).matchAll(/^ {2}(\w+)\??[:(]/gm)].map((match) => match[1]!)
      ),
  ]

  expect(words.length).toBeGreaterThan(35)
  expect(words.filter((word) => !new RegExp(`\\b${word}\\b`).test(README))).toEqual([])
})
