// What is a connector called in a file name, in code and by people?
import { RESERVED_SLUGS } from '../../supabase/functions/_shared/connectors/reserved-slugs.ts'
import { UserError } from '../stack/user-error.ts'

export type Names = {
  /** `acme-store` */
  slug: string
  /** `acmeStore` */
  camel: string
  /** `AcmeStore` */
  pascal: string
  /** `Acme Store` */
  title: string
}

const MOST_LETTERS = 40

/**
 * @param title What people call it; the words of the slug when not said.
 * @param used Names that its files use for something else.
 * @throws UserError for a slug that cannot be one
 */
export function namesOf(slug: string, title: string | undefined, used: ReadonlySet<string>): Names {
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(slug) || slug.length > MOST_LETTERS) {
    throw new UserError(
      `"${slug}" cannot be a slug: it is lowercase words with hyphens, such as acme-store, begins with a letter ` +
        `and has ${MOST_LETTERS} characters at most.`,
    )
  }
  if (RESERVED_SLUGS.includes(slug)) {
    throw new UserError(
      `"${slug}" cannot be a slug: it means something else in the addresses of webhooks.`,
    )
  }
  const words = slug.split('-').map((word) => word.charAt(0).toUpperCase() + word.slice(1))
  const pascal = words.join('')
  const camel = pascal.charAt(0).toLowerCase() + pascal.slice(1)
  if (used.has(camel) || RESERVED.has(camel)) {
    throw new UserError(
      `"${slug}" cannot be a slug: "${camel}" means something else in its code. Try ${slug}-com or the like.`,
    )
  }
  if (title !== undefined && !/^[^'"\\\p{C}]{1,60}$/u.test(title)) {
    throw new UserError(
      '--name wants 1 to 60 characters without quotes, backslashes and line breaks.',
    )
  }
  return { slug, camel, pascal, title: title ?? words.join(' ') }
}

/** Words after which `export const` is refused. */
const RESERVED = new Set(
  ('arguments await break case catch class const continue debugger default delete do else enum eval export extends ' +
    'false finally for function if implements import in instanceof interface let new null package private ' +
    'protected public return static super switch this throw true try typeof undefined var void while with yield')
    .split(' '),
)
