// How does Mailchimp say no? In problem documents (RFC 7807), with the fields at fault.
import type { SimulatorAnswer } from '../parts/http-server.ts'

export function problem(
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

export const invalid = (field: string, message: string) =>
  problem(400, 'Invalid Resource', 'The resource submitted could not be validated.', [
    { field, message },
  ])

export const notFound = () =>
  problem(404, 'Resource Not Found', 'The requested resource could not be found.')
