// What exactly is signed? `{webhook-id}.{webhook-timestamp}.{body}`, Standard Webhooks 1.0.

/** Visible ASCII without a full stop: with one, the end of an id would pass for a timestamp. */
export const WEBHOOK_ID = /^[\x21-\x2d\x2f-\x7e]+$/

/** What stands before the body's bytes. */
export function signedPrefix(id: string, timestamp: number): string {
  return `${id}.${timestamp}.`
}
