// Which of LinkedIn's addresses answer, and with what? Whose account this is, and posts.
import { jsonOf, type SimulatorAnswer, type SimulatorRequest } from '../parts/http-server.ts'

export type LinkedInMember = {
  sub: string
  name: string
  email: string
  /** Ids of the organizations whose pages they administer. */
  administers: string[]
}

export type LinkedInPost = {
  id: string
  author: string
  commentary: string
  visibility: string
  content?: { article?: Record<string, unknown> }
}

export type LinkedInRoutes = {
  members: LinkedInMember[]
  /** Newest first. */
  posts: LinkedInPost[]
  /** Months that are served. */
  versions: ReadonlySet<string>
  verify(access_token: string): { account: string; scopes: readonly string[] } | null
  /** Whether the app may ask who administers which page. */
  pagesMayBeAsked: boolean
  /** Posts that an author may still publish on this day. */
  quota: { left: number }
  nextId(): string
}

type Caller = { member: LinkedInMember; scopes: readonly string[] }

export function answerLinkedIn(
  request: SimulatorRequest,
  parts: LinkedInRoutes,
): SimulatorAnswer {
  const caller = callerOf(request, parts)
  if (!caller) {
    return refusal(401, 'Invalid access token', {
      code: 'INVALID_ACCESS_TOKEN',
      serviceErrorCode: 65600,
    })
  }
  const { pathname } = request.url
  if (pathname === '/v2/userinfo') {
    const { sub, name, email } = caller.member
    return { body: { sub, name, email, email_verified: true } }
  }
  if (!pathname.startsWith('/rest/')) return refusal(404, 'No virtual resource found')
  const version = request.headers['linkedin-version']
  if (version === undefined) {
    return refusal(400, 'A version must be present', { code: 'VERSION_MISSING' })
  }
  if (!parts.versions.has(version)) {
    return refusal(426, `Requested version ${version} is not active`, {
      code: 'NONEXISTENT_VERSION',
    })
  }
  if (request.headers['x-restli-protocol-version'] !== '2.0.0') {
    return refusal(400, 'X-RestLi-Protocol-Version 2.0.0 is required')
  }
  if (pathname === '/rest/organizationAcls') return pagesOf(request, caller, parts)
  if (pathname === '/rest/posts' && request.method === 'POST') {
    return publish(request, caller, parts)
  }
  const id = decodeURIComponent(pathname.slice('/rest/posts/'.length))
  if (request.method === 'DELETE' && request.headers['x-restli-method'] === 'DELETE') {
    return remove(id, caller, parts)
  }
  return refusal(404, 'No virtual resource found')
}

function callerOf(
  { headers }: SimulatorRequest,
  { verify, members }: LinkedInRoutes,
): Caller | null {
  const consent = verify((headers['authorization'] ?? '').replace(/^Bearer /, ''))
  const member = members.find(({ email }) => email === consent?.account)
  return consent && member ? { member, scopes: consent.scopes } : null
}

/** Which pages somebody administers, for apps that may ask. */
function pagesOf(
  { url }: SimulatorRequest,
  { member, scopes }: Caller,
  { pagesMayBeAsked }: LinkedInRoutes,
): SimulatorAnswer {
  if (!pagesMayBeAsked || !scopes.includes('w_organization_social')) {
    return refusal(403, 'Not enough permissions to access: organizationAcls.FINDER-roleAssignee', {
      code: 'ACCESS_DENIED',
    })
  }
  const role = url.searchParams.get('role') ?? 'ADMINISTRATOR'
  if (url.searchParams.get('q') !== 'roleAssignee') return refusal(404, 'No such finder')
  const elements = (role === 'ADMINISTRATOR' ? member.administers : []).map((id) => ({
    organization: `urn:li:organization:${id}`,
    roleAssignee: `urn:li:person:${member.sub}`,
    role,
    state: 'APPROVED',
  }))
  return { body: { elements, paging: { start: 0, count: 100, links: [] } } }
}

function mayWriteAs(author: string, { member, scopes }: Caller): boolean {
  const [, , kind, id] = author.split(':')
  return kind === 'person'
    ? id === member.sub && scopes.includes('w_member_social')
    : member.administers.includes(id!) && scopes.includes('w_organization_social')
}

function publish(
  request: SimulatorRequest,
  caller: Caller,
  { posts, quota, nextId }: LinkedInRoutes,
): SimulatorAnswer {
  const body = jsonOf(request) as Omit<LinkedInPost, 'id'> | null
  const isWhole = body !== null &&
    [body.author, body.commentary, body.visibility].every((field) => typeof field === 'string')
  if (!isWhole) return refusal(422, 'ERROR :: fields are missing')
  if (!mayWriteAs(body.author, caller)) {
    return refusal(403, 'Not enough permissions to access: posts.CREATE')
  }
  if (/(?<!\\)[|{}@[\]()<>#*_~]/.test(body.commentary.replaceAll('\\\\', ''))) {
    return refusal(422, 'ERROR :: /commentary :: reserved characters are not escaped')
  }
  const text = body.commentary.replaceAll(/\\(.)/g, '$1')
  const twin = posts.find((post) => post.author === body.author && post.commentary === text)
  if (twin) {
    return refusal(422, `ERROR :: Content is a duplicate of ${twin.id}`, {
      errorDetails: { inputErrors: [{ code: 'DUPLICATE_POST' }] },
    })
  }
  if (quota.left <= 0) {
    return refusal(
      429,
      'Resource level throttle MEMBER DAY limit for calls to this resource is reached.',
    )
  }
  quota.left -= 1
  const post = { ...body, commentary: text, id: nextId() }
  posts.unshift(post)
  return { status: 201, headers: { 'x-restli-id': post.id } }
}

function remove(id: string, caller: Caller, { posts }: LinkedInRoutes): SimulatorAnswer {
  const at = posts.findIndex((post) => post.id === id)
  if (at >= 0) {
    if (!mayWriteAs(posts[at]!.author, caller)) {
      return refusal(403, 'Not enough permissions to access: posts.DELETE')
    }
    posts.splice(at, 1)
  }
  return { status: 204 }
}

const refusal = (status: number, message: string, more: object = {}): SimulatorAnswer => ({
  status,
  body: { status, message, ...more },
})
