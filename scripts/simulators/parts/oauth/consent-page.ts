// What does the person see who is asked to let our app in? One plain form: who signs in, what is asked, two buttons.

export type Decision = 'allow' | 'deny'

export type ConsentQuestion = {
  platform: string
  client: string
  /** Accounts the page suggests; any other may be typed. */
  accounts: readonly string[]
  scopes: readonly string[]
}

export function consentPage(question: ConsentQuestion): string {
  const [first = ''] = question.accounts
  const options = question.accounts.map((name) => `<option value="${escaped(name)}">`).join('')
  const scopes = question.scopes.map((scope) => `<li>${escaped(scope)}</li>`).join('')
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escaped(question.platform)}: let ${escaped(question.client)} in?</title>
<h1>${escaped(question.platform)} (simulated)</h1>
<p><strong>${escaped(question.client)}</strong> asks for access to an account of yours:</p>
<ul>${scopes}</ul>
<form method="post">
<p><label>Account <input name="account" list="accounts" value="${
    escaped(first)
  }" required></label></p>
<datalist id="accounts">${options}</datalist>
<p><button name="decision" value="allow">Allow</button>
<button name="decision" value="deny" formnovalidate>Deny</button></p>
</form>
</html>
`
}

/** Shown where the platform has no address to send the person back to. */
export function errorPage(platform: string, error: { error: string; description: string }): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>${escaped(platform)}: ${escaped(error.error)}</title>
<h1>${escaped(error.error)}</h1>
<p>${escaped(error.description)}</p>
</html>
`
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
const escaped = (text: string) => text.replace(/[&<>"']/g, (character) => ENTITIES[character]!)
