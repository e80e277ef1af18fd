// Which of Mailchimp's addresses answer, and with what? One account, one audience of the Marketing API v3.
import { jsonOf, type SimulatorAnswer, type SimulatorRequest } from '../parts/http-server.ts'
import { type Audience, idOf, type Member } from './audience.ts'
import { invalid, notFound, problem } from './problems.ts'
import type { AudienceWebhooks } from './webhooks.ts'

const MOST_MEMBERS = 1000

export type MailchimpRoutes = {
  audience: Audience
  webhooks: AudienceWebhooks
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
): SimulatorAnswer | Promise<SimulatorAnswer> {
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

function route(
  request: SimulatorRequest,
  path: string,
  parts: MailchimpRoutes,
): SimulatorAnswer | Promise<SimulatorAnswer> {
  const { list, audience, accountId } = parts
  if (path === '/') return { body: { account_id: accountId, account_name: 'Acme', _links: [] } }
  const [, listId, rest = ''] = /^\/lists\/([^/]+)(.*)$/.exec(path) ?? []
  if (listId !== list.id) return notFound()
  if (rest === '' && request.method === 'POST') return writeMembers(request, parts)
  if (rest === '') return { body: { id: list.id, name: list.name } }
  const [, webhook] = /^\/webhooks(?:\/([0-9a-z]+))?$/.exec(rest) ?? []
  if (rest.startsWith('/webhooks')) return parts.webhooks.answer(request, webhook)
  if (rest === '/activity') return listActivity(request, parts)
  if (rest === '/members' && request.method === 'GET') return listMembers(request, parts)
  const [, id, below] = /^\/members\/([0-9a-f]{32})(\/tags)?$/.exec(rest) ?? []
  if (id === undefined) return notFound()
  if (request.method === 'PUT' && !below) {
    return putMember(id, jsonOf(request) as MemberBody, parts)
  }
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
      parts.webhooks.tell('unsubscribe', member, 'api', { 'data[action]': 'unsub' })
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
  const { members, hidden } = parts.audience
  const found = [...members].flatMap(([id, member]) =>
    hidden.has(id) ||
      since !== null && seconds(member.last_changed) <= seconds(Date.parse(since))
      ? []
      : [member]
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

function putMember(id: string, body: MemberBody, parts: MailchimpRoutes): SimulatorAnswer {
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
  const trouble = troubleWith(body.merge_fields ?? {})
  if (trouble) return invalid('merge_fields.ADDRESS', trouble)
  audience.add(email, {
    status: body.status_if_new,
    merge_fields: known(body.merge_fields, audience),
  })
  const added = audience.members.get(id)!
  parts.webhooks.tell('subscribe', added, 'api')
  return { body: shown(added, parts) }
}

function update(member: Member, body: MemberBody, parts: MailchimpRoutes): SimulatorAnswer {
  const { status = member.status, merge_fields = {}, email_address } = body
  if (member.status !== 'subscribed' && member.status !== 'pending' && status === 'subscribed') {
    return problem(
      400,
      'Member In Compliance State',
      `${member.email_address} is in a compliance state due to unsubscribe, bounce, or compliance review.`,
    )
  }
  const trouble = troubleWith(merge_fields)
  if (trouble) return invalid('merge_fields.ADDRESS', trouble)
  const old = idOf(member.email_address)
  const email = email_address ?? member.email_address
  if (idOf(email) !== old && parts.audience.members.has(idOf(email))) {
    return problem(400, 'Member Exists', `${email} is already a list member.`)
  }
  parts.audience.change([old], {
    status,
    merge_fields: { ...member.merge_fields, ...known(merge_fields, parts.audience) },
  })
  parts.audience.rename(old, email)
  parts.webhooks.tell('profile', member, 'api')
  return { body: shown(member, parts) }
}

const MOST_OF_A_BATCH = 500

/** Each member by itself: 200, with those that were refused in a list. */
function writeMembers(request: SimulatorRequest, parts: MailchimpRoutes): SimulatorAnswer {
  const { members = [], update_existing = false } = jsonOf(request) as {
    members?: MemberBody[]
    update_existing?: boolean
  }
  if (members.length > MOST_OF_A_BATCH) return invalid('members', 'at most 500')
  const new_members: unknown[] = []
  const updated_members: unknown[] = []
  const errors: unknown[] = []
  for (const body of members) {
    const { email_address = '', status = '' } = body
    const id = idOf(email_address)
    const held = parts.audience.members.get(id)
    const isThere = held !== undefined && held.status !== 'archived'
    const refuse = (error: string, error_code = 'ERROR_GENERIC') =>
      errors.push({ email_address, error, error_code, field: '', field_message: '' })
    if (isThere && !update_existing) {
      refuse(`${email_address} is already a list member.`, 'ERROR_CONTACT_EXISTS')
      continue
    }
    const answer = isThere
      ? update(held, body, parts)
      : putMember(id, { ...body, status_if_new: status }, parts)
    if (answer.status !== undefined && answer.status >= 400) {
      const { detail, errors: [first] = [] } = answer.body as {
        detail: string
        errors?: { message: string }[]
      }
      refuse(first?.message ?? detail)
    } else (isThere ? updated_members : new_members).push(answer.body)
  }
  return {
    body: {
      new_members,
      updated_members,
      errors,
      total_created: new_members.length,
      total_updated: updated_members.length,
      error_count: errors.length,
    },
  }
}

const known = (merge_fields: Record<string, unknown> = {}, { mergeFields }: Audience) =>
  Object.fromEntries(Object.entries(merge_fields).filter(([tag]) => mergeFields.has(tag)))

/** An address is whole or empty. */
function troubleWith({ ADDRESS }: Record<string, unknown>): string | null {
  if (typeof ADDRESS !== 'object' || ADDRESS === null) return null
  const parts = ADDRESS as Record<string, unknown>
  return ['addr1', 'city', 'state', 'zip'].every((part) => parts[part])
    ? null
    : 'Please enter a complete address'
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
  audience,
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
    merge_fields: Object.fromEntries(
      [...audience.mergeFields].map((tag) => [tag, merge_fields[tag] ?? '']),
    ),
    last_changed: new Date(last_changed).toISOString().replace(/\.\d+Z$/, '+00:00'),
    tags_count: tags.size,
    tags: [...tags].map((name, index) => ({ id: 1000 + index, name })),
    list_id: list.id,
  }
}
