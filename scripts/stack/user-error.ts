// Which failures does the person at the terminal solve, so that one sentence is the whole report?

/** A missing prerequisite or a wrong option. The message is one sentence that says what to do. */
export class UserError extends Error {
  override name = 'UserError'
}
