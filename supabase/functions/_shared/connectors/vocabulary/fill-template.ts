// Which address does `https://{shop}.example/v2` mean for this account?

/**
 * Puts values into `{name}` places, percent-encoded, so that a value cannot change the path or host
 * it stands in. A place without a value is a mistake in the connector and throws.
 */
export function fillTemplate(template: string, values: Record<string, unknown>): string {
  return fill(template, values, encodeURIComponent)
}

/** The same for the values of a query, which are encoded when they are put into the address. */
export function fillValues(
  query: Record<string, string>,
  values: Record<string, unknown>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(query).map(([name, text]) => [name, fill(text, values, (value) => value)]),
  )
}

function fill(
  template: string,
  values: Record<string, unknown>,
  encode: (value: string) => string,
): string {
  return template.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const value = values[name]
    if (typeof value !== 'string' && typeof value !== 'number') {
      throw new TypeError(`${template} needs a value for "${name}"`)
    }
    return encode(String(value))
  })
}
