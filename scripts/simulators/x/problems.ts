// How does X say no? In problem objects, some of them inside an answer that is otherwise good.
import type { SimulatorAnswer } from '../parts/http-server.ts'

const TYPES = 'https://api.twitter.com/2/problems'

export function problem(
  status: number,
  title: string,
  detail: string,
  type?: string,
): SimulatorAnswer {
  return {
    status,
    body: { title, detail, type: type ? `${TYPES}/${type}` : 'about:blank', status },
  }
}

/** A parameter that X does not take. */
export function invalid(name: string, value: string): SimulatorAnswer {
  return {
    status: 400,
    body: {
      errors: [{
        parameters: { [name]: [value] },
        message: `The \`${name}\` query parameter value [${value}] is not valid`,
      }],
      title: 'Invalid Request',
      detail: 'One or more parameters to your request was invalid.',
      type: `${TYPES}/invalid-request`,
    },
  }
}

/** One of the `errors` beside what was found. */
export function absent(id: string) {
  return {
    value: id,
    detail: `Could not find tweet with ids: [${id}].`,
    title: 'Not Found Error',
    resource_type: 'tweet',
    parameter: 'ids',
    resource_id: id,
    type: `${TYPES}/resource-not-found`,
  }
}
