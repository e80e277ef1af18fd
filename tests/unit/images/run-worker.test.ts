// A worker in front of a real image host, with a queue and a Storage that are noted down.
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type ImageSimulator, startImageSimulator } from '../../../scripts/simulators/images.ts'
import type { ImageOutcome } from '../../../supabase/functions/_shared/images/claimed-images.ts'
import {
  IMAGE_WORKER_SHARE,
  runImageWorker,
} from '../../../supabase/functions/_shared/images/run-worker.ts'
import type { Database } from '../../../supabase/functions/_shared/platform/database.ts'
import type { Outside } from '../../../supabase/functions/_shared/platform/outside.ts'
import { AppError } from '../../../supabase/functions/_shared/platform/errors.ts'
import { createLog } from '../../../supabase/functions/_shared/platform/log.ts'
import { testEnvironment } from '../../support/environment.ts'
import { fakeClock } from '../../support/fake-clock.ts'

const organizationId = '6b1f3a52-6f0e-4f7e-9d6a-0d5a3f6b7c11'
let host: ImageSimulator
let elsewhere: ImageSimulator
beforeAll(async () => {
  host = await startImageSimulator()
  elsewhere = await startImageSimulator()
})
afterAll(() => Promise.all([host.stop(), elsewhere.stop()]))

/** Runs a worker over a queue of these addresses, handed out `batch` at a time. */
async function work(
  urls: string[],
  options: Partial<Outside> & {
    allowPrivateNetworks?: boolean
    share?: Partial<typeof IMAGE_WORKER_SHARE>
    known?: string[]
    put?(path: string): Promise<void>
  } = {},
) {
  const queue = urls.map((url, index) => ({
    id: String(index),
    organization_id: organizationId,
    url,
  }))
  const outcomes: ImageOutcome[] = []
  const handedOver: boolean[] = []
  const puts: string[] = []
  const lines: string[] = []
  const answers: Record<string, (args: Record<string, unknown>) => unknown> = {
    answer_wake: () => null,
    claim_images: ({ p_limit }) => queue.splice(0, p_limit as number),
    has_media_asset: ({ p_content_hash }) => options.known?.includes(p_content_hash as string),
    finish_images: ({ p_outcomes, p_hand_over }) => {
      outcomes.push(...p_outcomes as ImageOutcome[])
      handedOver.push(p_hand_over as boolean)
    },
  }
  const db: Database = {
    call: <T>(name: string, args: Record<string, unknown>) =>
      Promise.resolve(answers[name]!(args) as T),
    end: () => Promise.resolve(),
  }
  const outside: Outside = {
    db,
    environment: testEnvironment({
      PLUGBOARD_ALLOW_PRIVATE_NETWORKS: options.allowPrivateNetworks ?? true,
    }),
    log: createLog({}, (line) => lines.push(line)),
    clock: fakeClock('2026-11-20T09:00:00Z'),
    ...options,
  }
  const storage = {
    async put(path: string) {
      puts.push(path)
      await options.put?.(path)
    },
  }
  const count = await runImageWorker(outside, storage, { ...IMAGE_WORKER_SHARE, ...options.share })
  outcomes.sort((a, b) => Number(a.id) - Number(b.id))
  return { outcomes, handedOver, puts, lines, count, left: queue.length }
}

const codeOf = (outcome: ImageOutcome) =>
  'asset' in outcome ? 'stored' : 'error' in outcome ? outcome.error.code : 'given back'

describe('a worker', () => {
  it('fetches two images of a host at once, and never more', async () => {
    const before = host.requests.length
    const urls = Array.from({ length: 12 }, (_, index) => `${host.url}/slow/40/${index}.png`)

    const { count } = await work(urls)

    expect(count).toBe(12)
    expect(host.requests.length - before).toBe(12)
    expect(host.mostAtOnce).toBe(2)
  })

  it('uploads equal contents once, under the folder of their organization, and known ones not at all', async () => {
    const same = ['a', 'b', 'c'].map((name) => `${host.url}/png/21/${name}`)
    const first = await work([...same, `${host.url}/png/22/d`])
    const hashes = first.outcomes.map((outcome) => 'asset' in outcome && outcome.asset.content_hash)

    const second = await work(same, { known: [String(hashes[0])] })

    expect(first.puts.sort()).toEqual(
      [hashes[0], hashes[3]].map((hash) =>
        `${organizationId}/${String(hash).slice(0, 2)}/${hash}.png`
      ).sort(),
    )
    expect(second.puts).toEqual([])
    expect(second.outcomes.map(codeOf)).toEqual(['stored', 'stored', 'stored'])
  })

  it('tries an upload again for the next image with that content', async () => {
    let failures = 1
    const { outcomes, puts, lines } = await work(
      ['a', 'b', 'c'].map((name) => `${host.url}/png/23/${name}`),
      {
        put: () =>
          failures-- > 0 ? Promise.reject(new AppError('storage_failed')) : Promise.resolve(),
      },
    )

    expect(outcomes.map(codeOf)).toContain('storage_failed')
    expect(outcomes.map(codeOf)).toContain('stored')
    expect(puts).toHaveLength(2)
    expect(lines.join()).toContain('could not be kept')
  })

  it('follows a redirect to another host', async () => {
    const to = encodeURIComponent(`${elsewhere.url}/png/5/a`)

    const { outcomes } = await work([`${host.url}/redirect?to=${to}`])

    expect(outcomes.map(codeOf)).toEqual(['stored'])
  })

  it('never calls a private network, and does not try again', async () => {
    const before = host.requests.length

    const { outcomes } = await work([`${host.url}/png/1/a`], { allowPrivateNetworks: false })

    expect(outcomes).toMatchObject([{
      error: { code: 'private_network_refused', next: 'owner' },
      is_final: true,
    }])
    expect(host.requests.length).toBe(before)
  })

  it('stops asking a host that does not answer: its other images fail with the same reason', {
    timeout: 20_000,
  }, async () => {
    const before = host.requests.length
    const silent = Array.from({ length: 10 }, (_, index) => `${host.url}/silent/${index}`)

    const { outcomes } = await work([...silent, `${elsewhere.url}/png/1/good`], {
      timeoutMs: 1_000,
    })

    expect(outcomes.map(codeOf)).toEqual([...Array(10).fill('provider_timeout'), 'stored'])
    expect(host.requests.length - before).toBeLessThanOrEqual(4)
  })

  it('begins no upload that its lease might not outlive: large ones queue for a slow Storage', async () => {
    const clock = fakeClock('2026-11-20T09:00:00Z')
    const beginning = clock.now().getTime()
    const began: number[] = []
    const third = await startImageSimulator()
    onTestFinished(third.stop)
    const hosts = [host, elsewhere, third]
    const large = 2 * 1024 * 1024
    const urls = hosts.flatMap(({ url }, index) =>
      [0, 1].map((second) => `${url}/large/${large + 2 * index + second}/slow.png`)
    )

    const { outcomes, lines } = await work(urls, {
      clock,
      put: () => {
        began.push(clock.now().getTime() - beginning)
        clock.advance(29_000)
        return Promise.resolve()
      },
    })

    expect(outcomes).toHaveLength(6)
    expect(outcomes.map(codeOf).filter((code) => code === 'stored')).toHaveLength(began.length)
    expect(began.length).toBeGreaterThan(0)
    expect(Math.max(...began) + 30_000).toBeLessThan(120_000)
    expect(new Set(outcomes.map(codeOf))).toEqual(new Set(['stored', 'given back']))
    expect(lines.join()).not.toContain('could not be kept')
  })

  it.each([
    ['images', { images: 3 }],
    ['bytes', { bytes: 1 }],
    ['time', { wallMs: 0 }],
  ])('that has spent its share of %s leaves the rest to the next one', async (what, share) => {
    const urls = Array.from({ length: 30 }, (_, index) => `${host.url}/png/${index}/${what}`)

    const { outcomes, handedOver, left } = await work(urls, { share })

    const storedCount = outcomes.filter((outcome) => codeOf(outcome) === 'stored').length
    expect(storedCount).toBeLessThan(10)
    expect(storedCount + left + outcomes.filter((it) => codeOf(it) === 'given back').length).toBe(
      30,
    )
    expect(handedOver.at(-1) ?? true).toBe(true)
  })
})
