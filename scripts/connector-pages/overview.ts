// Which connectors are there, and what can each of them do? The first page of the folder.
import { connectorInfo } from '../../supabase/functions/_shared/connectors/connector-info.ts'
import type {
  Connector,
  Stream,
} from '../../supabase/functions/_shared/connectors/define-connector.ts'
import { code, HEADER, table } from './markdown.ts'

export function overview(connectors: readonly Connector[]): string {
  return [
    HEADER,
    '',
    '# Connectors',
    '',
    ...table(
      ['Connector', 'What it is for', 'Streams', 'Actions', 'Authentication'],
      connectors.map((connector) => [
        `[${connector.name}](${connector.slug}.md)`,
        connector.description,
        Object.values(connector.streams).map(streamOf).join(', ') || '–',
        Object.keys(connector.actions).map(code).join(', ') || '–',
        connectorInfo(connector).auth_types.map(code).join(', '),
      ]),
    ),
    '',
    'How to add one: [`_shared/connectors/README.md`](../../supabase/functions/_shared/connectors/README.md).',
    '',
  ].join('\n')
}

const WAYS = { pull: '', both: ' (both ways)', push: ' (out)' }

const streamOf = ({ name, direction }: Stream) => `${name}${WAYS[direction]}`
