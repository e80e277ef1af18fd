// Which of Mailchimp's addresses answer, and with what? One account, one audience of the Marketing API v3.
import { jsonOf, type SimulatorAnswer, type SimulatorRequest } from '../parts/http-server.ts'
import { type Audience, idOf, type Member } from './audience.ts'

const MOST_MEMBERS = 1000

export type MailchimpRoutes = {
  audience: Audience
  list: { id: string; name: string }
  accountId: string
  apiEndpoint: string
  /** Whether this `Authorization` header is good. */
  isKnown(authorization: string): boolean
  /** Whether this token of a sign-in is good. */
  isTokenGood(token: string): boolean
}

export const refuseConnection = (): SimulatorAnswer =>
  problem(429, 'Too Many Requests', 'You have exceeded the limit of 10 simultaneous connections.')

export function answerMailchimp(
  request: SimulatorRequest,
  parts: MailchimpRoutes,
): SimulatorAnswer {
  const authorization = request.headers['authorization'] ?? ''
  const { pathname } = request.url
  if (pathname === '/oauth2/metadata') {
    const token = /^OAuth (.+)$/.exec(authorization)?.[1] ?? ''
    // 200 for a bad token too
    if (!parts.isTokenGood(token)) return { body: { error: 'invalid_token' } }
    return {
      body: {
        dc: /^https:..([^.]+)/.exec(parts.apiEndpoint)?.[1] ?? '',
        role: 'owner',
        accountname: 'Acme',
        user_id: 15_512_345,
        login: { email: 'ada@acme.example', login_id: 15_512_345, login_name: 'ada' },
        login_url: 'https://login.mailchimp.com',
        api_endpoint: parts.apiEndpoint,
      },
    }
  }
  if (!pathname.startsWith('/3.0')) return problem(404, 'Resource Not Found', 'No such resource.')
  if (!parts.isKnown(authorization)) {
    return problem(401, 'API Key Invalid', 'Your API key may be invalid.')
  }
  return route(request, pathname.slice('/3.0'.length), parts)
}

function route(request: SimulatorRequest, path: string, parts: MailchimpRoutes): SimulatorAnswer {
  const { list, audience, accountId } = parts
  if (path === '/') return { body: { account_id: accountId, account_name: 'Acme', _links: [] } }
  const [, listId, rest = ''] = /^\/lists\/([^/]+)(.*)$/.exec(path) ?? []
  if (listId !== list.id) return notFound()
  if (rest === '') return { body: { id: list.id, name: list.name } }
  if (rest === '/activity') return listActivity(request, parts)
  if (rest === '/members' && request.method === 'GET') return listMembers(request, parts)
  const [, id, below] = /^\/members\/([0-9a-f]{32})(\/tags)?$/.exec(rest) ?? []
  if (id === undefined) return notFound()
  if (request.method === 'PUT' && !below) return putMember(id, request, parts)
  const member = audience.members.get(id)
  if (!member) return notFound()
  if (below === '/tags' && request.method === 'POST') return tag(id, request, parts)
  switch (request.method) {
    case 'GET':
      return { body: shown(member, parts) }
    case 'PATCH':
      return update(member, jsonOf(request) as MemberBody, parts)
    case 'DELETE':
      if (member.status === 'archived') {
        return problem(405, 'Method Not Allowed', 'This list member cannot be removed.')
      }
      audience.change([id], { status: 'archived' })
      return { status: 204 }
  }
  return problem(405, 'Method Not Allowed', request.method)
}

function listMembers({ url, fault }: SimulatorRequest, parts: MailchimpRoutes): SimulatorAnswer {
  const query = url.searchParams
  const count = Number(query.get('count') ?? 10)
  const offset = Number(query.get('offset') ?? 0)
  if (!Number.isInteger(count) || count < 0 || count > MOST_MEMBERS) {
    return invalid('count', `must be at most ${MOST_MEMBERS}`)
  }
  const since = query.get('since_last_changed')
  if (since !== null && Number.isNaN(Date.parse(since))) {
    return invalid('since_last_changed', 'date')
  }
  const seconds = (time: number) => Math.floor(time / 1000)
  const found = [...parts.audience.members.values()].filter(({ last_changed }) =>
    since === null || seconds(last_changed) > seconds(Date.parse(since))
  )
  if (query.get('sort_field') === 'last_changed') {
    const sign = query.get('sort_dir') === 'DESC' ? -1 : 1
    found.sort((a, b) => sign * (seconds(a.last_changed) - seconds(b.last_changed)))
  }
  const from = fault?.kind === 'repeated_page' ? 0 : offset
  const all = fault?.kind === 'empty' ? [] : found
  return {
    body: {
      members: all.slice(from, from + count).map((member) => shown(member, parts)),
      list_id: parts.list.id,
      total_items: all.length,
    },
  }
}

function listActivity({ url }: SimulatorRequest, { audience, list }: MailchimpRoutes) {
  const count = Number(url.searchParams.get('count') ?? 10)
  return {
    body: {
      activity: audience.activity.slice(0, count),
      list_id: list.id,
      total_items: audience.activity.length,
    },
  }
}

type MemberBody = {
  email_address?: string
  status?: string
  status_if_new?: string
  merge_fields?: Record<string, unknown>
}

function putMember(id: string, request: SimulatorRequest, parts: MailchimpRoutes): SimulatorAnswer {
  const body = jsonOf(request) as MemberBody
  const { audience } = parts
  const email = body.email_address ?? ''
  if (email.endsWith('@invalid.example')) {
    return invalid('email_address', `${email} looks fake or invalid`)
  }
  const held = audience.members.get(id)
  if (held && held.status !== 'archived') return update(held, body, parts)
  if (audience.forgotten.has(email.toLowerCase())) {
    return problem(400, 'Forgotten Email Not Subscribed', `${email} was permanently deleted.`)
  }
  if (!body.status_if_new || idOf(email) !== id) return invalid('status_if_new', 'is required')
  audience.add(email, {
    status: body.status_if_new,
    merge_fields: body.merge_fields ?? {},
  })
  return { body: shown(audience.members.get(id)!, parts) }
}

function update(member: Member, body: MemberBody, parts: MailchimpRoutes): SimulatorAnswer {
  const { status = member.status, merge_fields = {} } = body
  if (member.status !== 'subscribed' && member.status !== 'pending' && status === 'subscribed') {
    return problem(
      400,
      'Member In Compliance State',
      `${member.email_address} is in a compliance state due to unsubscribe, bounce, or compliance review.`,
    )
  }
  parts.audience.change([idOf(member.email_address)], {
    status,
    merge_fields: { ...member.merge_fields, ...merge_fields },
  })
  return { body: shown(member, parts) }
}

function tag(
  id: string,
  request: SimulatorRequest,
  { audience }: MailchimpRoutes,
): SimulatorAnswer {
  const { tags = [] } = jsonOf(request) as { tags?: { name: string; status: string }[] }
  const held = audience.members.get(id)?.tags
  for (const { name, status } of tags) {
    if (status === 'active') held?.add(name)
    else held?.delete(name)
  }
  audience.change([id])
  return { status: 204 }
}

function shown({ email_address, status, merge_fields, tags, last_changed }: Member, {
  list,
}: MailchimpRoutes) {
  const id = idOf(email_address)
  return {
    id,
    email_address,
    unique_email_id: id.slice(0, 10),
    web_id: Number.parseInt(id.slice(0, 7), 16),
    email_type: 'html',
    full_name: [merge_fields.FNAME, merge_fields.LNAME].filter(Boolean).join(' '),
    status,
    merge_fields,
    last_changed: new Date(last_changed).toISOString().replace(/\.\d+Z$/, '+00:00'),
    tags_count: tags.size,
    tags: [...tags].map((name, index) => ({ id: 1000 + index, name })),
    list_id: list.id,
  }
}

function problem(
  status: number,
  title: string,
  detail: string,
  errors?: { field: string; message: string }[],
): SimulatorAnswer {
  return {
    status,
    headers: { 'content-type': 'application/problem+json; charset=utf-8' },
    body: {
      type: 'https://mailchimp.com/developer/marketing/docs/errors/',
      title,
      status,
      detail,
      instance: '995c5cb0-3280-4a6e-808b-3b096d0bb219',
      ...(errors ? { errors } : {}),
    },
  }
}

const invalid = (field: string, message: string) =>
  problem(400, 'Invalid Resource', 'The resource submitted could not be validated.', [
    { field, message },
  ])

const notFound = () =>
  problem(404, 'Resource Not Found', 'The requested resource could not be found.')
