// Where may a sign-in lead back to, in tests?

/** What the functions of the shared stack allow. */
export const RETURN_URLS = [
  'https://app.example.com/settings',
  'http://127.0.0.1:3999',
  'http://127.0.0.1:3000/integrations', // the demo's
]
