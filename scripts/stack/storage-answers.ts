// How do signed addresses look as hosted's Storage answers them? Lite names them and begins them otherwise.

const PREFIX = '/storage/v1'

/** Translates lite's answer to a request below `/storage/v1/object/…sign`; others pass through. */
export async function withHostedAddresses(request: Request, response: Response): Promise<Response> {
  const { pathname } = new URL(request.url)
  const isSigning = request.method === 'POST' &&
    /^\/storage\/v1\/object\/(upload\/)?sign\//.test(pathname)
  if (!isSigning || !response.ok) return response
  const headers = new Headers(response.headers)
  headers.delete('content-length')
  const answer: unknown = await response.json()
  // hosted: { signedURL } to read, { url, token } to upload, both without the prefix
  const name = pathname.startsWith(`${PREFIX}/object/upload/`) ? 'url' : 'signedURL'
  const translated = Array.isArray(answer)
    ? answer.map((one) => translate(one, name))
    : translate(answer, name)
  return Response.json(translated, { status: response.status, headers })
}

function translate(answer: unknown, name: string): unknown {
  if (typeof answer !== 'object' || answer === null || !('signedUrl' in answer)) return answer
  const { signedUrl, ...rest } = answer
  if (typeof signedUrl !== 'string') return { ...rest, [name]: signedUrl }
  return {
    ...rest,
    [name]: signedUrl.startsWith(PREFIX) ? signedUrl.slice(PREFIX.length) : signedUrl,
  }
}
