// Which fields does a JSON Schema ask for or promise? A table of them, nested ones by their path.
import type { JsonSchema } from '../../supabase/functions/_shared/contracts/connectors.ts'
import { code, sentence, table } from './markdown.ts'

type Schema = {
  type?: string | string[]
  title?: string
  description?: string
  enum?: unknown[]
  const?: unknown
  default?: unknown
  writeOnly?: boolean
  properties?: Record<string, Schema>
  required?: string[]
  items?: Schema
  additionalProperties?: Schema | boolean
  minItems?: number
  maxItems?: number
  anyOf?: Schema[]
  oneOf?: Schema[]
}

type Field = { path: string; schema: Schema; required: boolean }

/** What has to be sent: settings, credentials, the input of an action. */
export function inputTable(schema: JsonSchema): string[] {
  const fields = fieldsOf(schema)
  if (fields.length === 0) return ['None.']
  return table(
    ['Field', 'Type', 'Required', 'What it is'],
    fields.map(({ path, schema, required }) => [
      code(path),
      typeOf(schema),
      required ? 'yes' : schema.default === undefined ? 'no' : `no, ${json(schema.default)}`,
      about(schema),
    ]),
  )
}

/** What comes back. */
export function outputTable(schema: JsonSchema): string[] {
  const fields = fieldsOf(schema)
  if (fields.length === 0) return ['Nothing.']
  return table(
    ['Field', 'Type', 'What it is'],
    fields.map(({ path, schema }) => [code(path), typeOf(schema), about(schema)]),
  )
}

/** An object's fields and those inside of them: `items[].id`. */
function fieldsOf(schema: Schema, within = ''): Field[] {
  const branches = alternatives(schema)
  if (branches.length > 1) return branches.flatMap((branch) => fieldsOf(branch, within))
  const [only = schema] = branches
  if (only.items) return fieldsOf(only.items, `${within}[]`)
  return Object.entries(only.properties ?? {}).flatMap(([name, field]) => {
    const path = within === '' ? name : `${within}.${name}`
    const required = only.required?.includes(name) ?? false
    return [{ path, schema: field, required }, ...fieldsOf(field, path)]
  })
}

/** `null` is said in the type, and is no alternative of its own. */
function alternatives(schema: Schema): Schema[] {
  return (schema.anyOf ?? schema.oneOf ?? []).filter(({ type }) => type !== 'null')
}

function typeOf(schema: Schema): string {
  const branches = schema.anyOf ?? schema.oneOf
  if (branches) return [...new Set(branches.map(typeOf))].join(' or ')
  if (schema.const !== undefined) return json(schema.const)
  if (schema.items) return `list${countOf(schema)} of ${typeOf(schema.items)}`
  if (schema.type === 'object' && !schema.properties) {
    const values = schema.additionalProperties
    return typeof values === 'object' && values.type !== undefined
      ? `object of ${typeOf(values)}`
      : 'object'
  }
  return [schema.type ?? 'any JSON'].flat().join(' or ')
}

function countOf({ minItems = 0, maxItems }: Schema): string {
  if (maxItems !== undefined) return ` (${minItems} to ${maxItems})`
  return minItems > 0 ? ` (${minItems} or more)` : ''
}

function about(schema: Schema): string {
  const choices = schema.enum ?? alternatives(schema).find((branch) => branch.enum)?.enum
  const texts = [
    schema.title,
    schema.description,
    choices && `One of ${choices.map(json).join(', ')}`,
    schema.writeOnly ? 'Secret' : undefined,
  ]
  return texts.filter((text) => text !== undefined).map(sentence).join(' ')
}

const json = (value: unknown) => code(JSON.stringify(value))
