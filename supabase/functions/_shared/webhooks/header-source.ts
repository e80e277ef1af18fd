// One header, whatever the framework keeps headers in.

/** `Headers`, or an object as Node's servers and serverless platforms have it, in any case. */
export type HeaderSource =
  | { get(name: string): string | null }
  | { readonly [name: string]: string | readonly string[] | undefined }

/**
 * null when it is not there. One that was sent several times is joined with commas, as `Headers` does it,
 * so that nobody chooses which of two counts.
 *
 * @param name In lower case.
 */
export function readHeader(headers: HeaderSource, name: string): string | null {
  if (typeof headers.get === 'function') return headers.get(name)
  const values = Object.entries(headers)
    .filter(([key, value]) => key.toLowerCase() === name && value !== undefined)
    .flatMap(([, value]) => value)
  return values.length === 0 ? null : values.join(', ')
}
