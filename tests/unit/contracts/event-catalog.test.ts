import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { generatedEventFiles } from '../../../scripts/generate-event-types.ts'
import { EVENT_TYPES } from '../../../supabase/functions/_shared/contracts/event-catalog.ts'
import { misfit } from '../../support/event-catalog.ts'

describe.each(EVENT_TYPES)('$name', ({ name, data, example, description }) => {
  it('has an example that fits, to the last field', () => {
    expect(misfit(name, example)).toBeNull()
    expect(misfit(name, { ...example, surprise: 1 })).not.toBeNull()
    expect(misfit(name, {})).not.toBeNull()
    expect(description).toMatch(/^[A-Z].+\.$/)
  })

  it('takes fields that come later', () => {
    expect(data.safeParse({ ...example, added_later: 1 }).success).toBe(true)
  })
})

describe('the catalog', () => {
  it('names no type twice, and each in words with dots between', () => {
    const names = EVENT_TYPES.map(({ name }) => name)

    expect(new Set(names).size).toBe(names.length)
    expect(names.filter((name) => !/^[a-z][a-z_]*(\.[a-z_]+)+$/.test(name))).toEqual([])
  })

  it('says of exactly those types that nothing writes them which no migration names', async () => {
    const folder = join(import.meta.dirname, '../../../supabase/migrations')
    const names = (await readdir(folder)).filter((name) => !name.includes('event_types'))
    const sql = (await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8'))))
      .join()
    // those of records are put together of two words
    const unwritten = EVENT_TYPES.filter(({ name, group }) =>
      group !== 'Records' && !sql.includes(`'${name}'`)
    )

    const reserved = EVENT_TYPES.filter(({ is_reserved }) => is_reserved)
    expect(unwritten.map(({ name }) => name)).toEqual(reserved.map(({ name }) => name))
    expect(reserved.map(({ description }) => description.split(':')[0]))
      .toEqual(reserved.map(() => 'Reserved'))
    const page = generatedEventFiles().get('docs/events.md') ?? ''
    expect(page.split('## ')[0]).toContain('are reserved')
  })

  it('is on its page, type by type', () => {
    const page = generatedEventFiles().get('docs/events.md') ?? ''

    expect(EVENT_TYPES.filter(({ name }) => !page.includes(`| \`${name}\``))).toEqual([])
  })
})
