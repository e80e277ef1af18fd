// How does a simulated platform send its webhooks? In order to each address, and again where nobody takes them.

export type Webhook = {
  url: string
  body: string
  /** Made anew for each attempt: some signatures hold its time. */
  headers(): Record<string, string>
}

export type SentWebhook = { url: string; body: string; status: number | null }

export type WebhookSender = {
  send(webhook: Webhook): void
  /** Every attempt; `status` is null where no answer came. */
  sent: SentWebhook[]
  stop(): void
}

/** Hours at a platform. What is refused until then is given up. */
const PAUSES_MS = [500, 2_000, 10_000]
const ANSWER_WITHIN_MS = 5_000

export function webhookSender(pausesMs = PAUSES_MS): WebhookSender {
  const sent: SentWebhook[] = []
  const waiting = new Map<string, Promise<void>>()
  const stopped = new AbortController()

  async function attempt({ url, body, headers }: Webhook): Promise<boolean> {
    const signal = AbortSignal.any([stopped.signal, AbortSignal.timeout(ANSWER_WITHIN_MS)])
    const answer = await fetch(url, {
      method: 'POST',
      body,
      headers: headers(),
      redirect: 'manual',
      signal,
    }).catch(() => null)
    await answer?.body?.cancel().catch(() => {})
    sent.push({ url, body, status: answer?.status ?? null })
    return answer?.ok ?? false
  }

  async function deliver(webhook: Webhook): Promise<void> {
    for (const pause of [...pausesMs, null]) {
      if (stopped.signal.aborted || await attempt(webhook) || pause === null) return
      await rest(pause, stopped.signal)
    }
  }

  return {
    sent,
    send(webhook) {
      const before = waiting.get(webhook.url) ?? Promise.resolve()
      waiting.set(webhook.url, before.then(() => deliver(webhook)))
    },
    stop: () => stopped.abort(),
  }
}

function rest(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    timer.unref()
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    }, { once: true })
  })
}
