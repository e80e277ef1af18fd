// Does a long history slow deliveries down, and how long does it take to drop a day of it?
import type { Stack } from '../../stack/stack.ts'
import { type Latency, measureLatency } from './latency.ts'
import type { Scene } from './scene.ts'

export type OldAttempts = {
  attempts: number
  empty: Latency
  full: Latency
  drop_ms: number
}

/** Fills partitions of ten days ago; measures with and without; drops one. */
export async function measureOldAttempts(
  scene: Scene,
  stack: Stack,
  { attempts, seconds, log }: { attempts: number; seconds: number; log: (line: string) => void },
): Promise<OldAttempts> {
  const { admin, organizationId } = scene
  const empty = await measureLatency(scene, stack, 'direct', { seconds, wakes: 0, log })
  log(`writing ${attempts.toLocaleString('en-US')} old attempts`)
  const days = 10
  for (let day = 1; day <= days; day++) {
    await admin.unsafe(`
      create table private.webhook_attempts_old_${day} (like public.webhook_attempts including defaults including constraints);
      insert into private.webhook_attempts_old_${day}
        (organization_id, endpoint_id, event_id, attempt_number, outcome, response_status, latency_ms, created_at, finished_at)
      select '${organizationId}', '00000000-0000-4000-8000-000000000001', gen_random_uuid(), 1, 'succeeded', 204, 12,
        date_trunc('day', now() at time zone 'utc') at time zone 'utc' - interval '${day} days' + i * interval '1 second' / ${
      Math.ceil(attempts / days / 80_000)
    }, now()
      from generate_series(1, ${attempts / days}) as i;
      alter table public.webhook_attempts attach partition private.webhook_attempts_old_${day}
        for values from (date_trunc('day', now() at time zone 'utc') at time zone 'utc' - interval '${day} days')
        to (date_trunc('day', now() at time zone 'utc') at time zone 'utc' - interval '${
      day - 1
    } days')`)
  }
  const [written] = await admin<{ count: number }[]>`
    select count(*)::int as count from public.webhook_attempts
    where endpoint_id = '00000000-0000-4000-8000-000000000001'`
  await admin`vacuum analyze public.webhook_attempts`
  await admin`checkpoint`
  const full = await measureLatency(scene, stack, 'direct', { seconds, wakes: 0, log })
  const startedAt = performance.now()
  await admin`drop table private.webhook_attempts_old_10`
  const dropMs = performance.now() - startedAt
  log(`dropped a day in ${Math.round(dropMs)} ms`)
  return { attempts: written!.count, empty, full, drop_ms: dropMs }
}
