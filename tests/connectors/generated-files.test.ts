import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { generatedConnectorFiles } from '../../scripts/generate-connectors.ts'

it.each([...generatedConnectorFiles()])(
  '%s says what the connectors say',
  async (path, content) => {
    const current = await readFile(join(import.meta.dirname, '../..', path), 'utf8')

    expect(current, 'run: node scripts/generate-connectors.ts').toBe(content)
  },
)
