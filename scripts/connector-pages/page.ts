// What does a person have to know about one connector? Its page, from its file.
import { connectorInfo } from '../../supabase/functions/_shared/connectors/connector-info.ts'
import type {
  Connector,
  RateLimit,
  Stream,
} from '../../supabase/functions/_shared/connectors/define-connector.ts'
import type { CheckCall } from '../../supabase/functions/_shared/connectors/vocabulary/auth.ts'
import type { Push } from '../../supabase/functions/_shared/connectors/vocabulary/push.ts'
import type {
  ConnectorAction,
  JsonSchema,
} from '../../supabase/functions/_shared/contracts/connectors.ts'
import { inputTable, outputTable } from './field-table.ts'
import { code, HEADER, table } from './markdown.ts'
import { signIn } from './sign-in.ts'
import { webhooks } from './webhooks.ts'

export function page(connector: Connector): string {
  const info = connectorInfo(connector)
  return [
    HEADER,
    '',
    `# ${connector.name}`,
    '',
    connector.description,
    '',
    ...(connector.guide === '' ? [] : [connector.guide, '']),
    '## Settings',
    '',
    ...inputTable(info.settings_schema),
    '',
    ...credentials(connector, info.credentials_schema),
    ...accountFacts(connector),
    '## Streams',
    '',
    ...streams(Object.values(connector.streams)),
    '',
    ...pushes(Object.values(connector.streams)),
    ...(info.actions.length === 0 ? [] : actions(info.actions)),
    ...webhooks(connector),
    '## Limits',
    '',
    ...limits(connector),
    '',
    `The platform's documentation: <${connector.docs}>`,
    '',
  ].join('\n')
}

function credentials(connector: Connector, schema: JsonSchema): string[] {
  const branches = schema['oneOf'] as (JsonSchema & { title: string })[] | undefined
  const ways = Object.entries(connector.modes).flatMap(([value, mode]) => {
    const own = branches?.find(({ title }) => title === value) ?? schema
    const intro = connector.modeSetting === null
      ? `Kind: ${code(mode.type)}.`
      : `With ${code(connector.modeSetting)} = ${code(value)} (kind: ${code(mode.type)}):`
    const form = mode.type === 'oauth2' ? signIn(connector, mode) : inputTable(own)
    return [intro, '', ...form, '']
  })
  return ['## Credentials', '', ...ways]
}

/** What is read of a fact is the connector's business; that it is kept, and from where, is the owner's. */
function accountFacts(connector: Connector): string[] {
  const sources = Object.keys(connector.modes).flatMap((value) => {
    const mode = connector.modes[value]!
    const check = connector.check(
      connector.modeSetting === null ? {} : { [connector.modeSetting]: value },
    )
    return [
      ...(mode.type === 'oauth2' && mode.account ? ['the answer that brings the tokens'] : []),
      ...stepsOf(check).filter(({ account }) => account).map(({ method = 'GET', path }) =>
        `the answer to ${code(`${method} ${path}`)}`
      ),
    ]
  })
  if (sources.length === 0) return []
  return [
    '## What is kept of an account',
    '',
    `Facts from ${
      [...new Set(sources)].join(' and from ')
    }, such as which account it is; never a secret.`,
    '',
  ]
}

const stepsOf = (check?: CheckCall | null): CheckCall[] =>
  check ? [check, ...stepsOf(check.then)] : []

function streams(all: Stream[]): string[] {
  const read = all.filter(({ direction }) => direction !== 'push')
  const conditional = all.filter(({ isOptional }) => isOptional)
  return [
    ...(read.length === 0 ? ['None: nothing is read from the platform.'] : table(
      ['Stream', 'Paging', 'Only what changed', 'A record that is gone'],
      read.map(streamRow),
    )),
    ...(conditional.length === 0 ? [] : [
      '',
      `The settings decide whether an account has ${
        conditional.map(({ name }) => code(name)).join(' and ')
      }.`,
    ]),
  ]
}

function pushes(all: Stream[]): string[] {
  const pushed = all.flatMap(({ name, push }) => push ? [{ name, push }] : [])
  if (pushed.length === 0) return []
  return [
    '### What goes out',
    '',
    'Where the stream pushes, local changes of these columns are written at the platform; every other column is the',
    "platform's own. The settings may leave some of them out.",
    '',
    ...table(
      ['Stream', 'Columns', 'Deletions', 'A new record is known by'],
      pushed.map(({ name, push }) => [
        code(name),
        push.columns.map(code).join(', '),
        push.remove ? 'where the stream says so' : 'never',
        knownBy(push),
      ]),
    ),
    '',
  ]
}

function knownBy({ key, ownId, find }: Push): string {
  if (key === 'email') return 'the email address'
  const isAlwaysOwn = ownId?.({ settings: {}, account: {}, now: new Date() })
  const ways = [
    ...(ownId
      ? [isAlwaysOwn ? 'our own id' : 'our own id, where the settings have a field for it']
      : []),
    ...(find ? ['looked for by the email address'] : []),
  ]
  return ways.join('; ') || 'nothing but its id'
}

function streamRow(stream: Stream): string[] {
  return [
    code(stream.name),
    pagingOf(stream),
    stream.incremental ? 'yes' : 'no, always everything',
    goneWhen(stream),
  ]
}

function pagingOf(stream: Stream): string {
  if (stream.direction === 'push') return 'none'
  if (stream.read) return "in the platform's own way"
  const { pagination } = stream
  const size = pagination.type === 'none' ? undefined : pagination.size
  return size === undefined ? pagination.type : `${pagination.type}, ${size} records`
}

function goneWhen(stream: Stream): string {
  if (stream.lookup) {
    return `missing from a complete scan, then asked for by id (${stream.lookup.max} at a time)`
  }
  return stream.confirmsAbsence ? 'missing from a complete scan' : 'missing from two complete scans'
}

function actions(all: ConnectorAction[]): string[] {
  return [
    '## Actions',
    '',
    ...all.flatMap((action) => [
      `### ${action.title} (${code(action.name)})`,
      '',
      action.description,
      '',
      action.repeatable
        ? 'Sending it twice ends as sending it once does: where no answer came, it is sent again.'
        : 'It is never sent twice: where no answer came, the outcome is `unknown`.',
      '',
      'Input:',
      '',
      ...inputTable(action.input_schema),
      '',
      'Output:',
      '',
      ...outputTable(action.output_schema),
      '',
    ]),
  ]
}

function limits({ rateLimit, limits }: Connector): string[] {
  const named = Object.entries(limits)
  if (named.length === 0) return [`Requests: ${perSecond(rateLimit)}.`]
  return table(['Limit', 'Requests'], [
    ['every call of an account', perSecond(rateLimit)],
    ...named.flatMap(([name, { app, ...limit }]) => [
      [`calls that count as ${code(name)}`, perSecond(limit)],
      ...(app ? [['– by all accounts of our app together', perSecond(app)]] : []),
    ]),
  ])
}

/** Slow limits read better by the minute or hour. */
function perSecond({ requestsPerSecond, burst }: RateLimit): string {
  const [count, span] = requestsPerSecond >= 1
    ? [requestsPerSecond, 'second']
    : requestsPerSecond * 60 >= 1
    ? [requestsPerSecond * 60, 'minute']
    : [requestsPerSecond * 3600, 'hour']
  return `${Number(count.toFixed(2))} a ${span}, ${burst === 1 ? 'evenly' : `${burst} at once`}`
}
