// What does a workspace that only shows its last days leave in our tables, run after run?
import { describe, expect, it, onTestFinished } from 'vitest'
import { startSlackSimulator } from '../../scripts/simulators/slack.ts'
import type { SyncLog } from '../../supabase/functions/_shared/contracts/sync.ts'
import { doSlice } from '../support/engine-run.ts'
import { testEnvironment } from '../support/environment.ts'
import { connectAccount, startFaultStack } from '../support/fault-stack.ts'

const faulty = await startFaultStack({ functions: false })

async function connected() {
  const platform = await startSlackSimulator({ channels: 2, messages: 60, limits: 'none' })
  onTestFinished(platform.stop)
  const id = await connectAccount(faulty, {
    connector: 'slack',
    settings: { auth: 'bot_token', days: 2, thread_days: 1 },
    credentials: platform.credentials('acme'),
  })
  const { team_id, url, bot } = platform.workspace('acme')
  await faulty.admin`
    update public.integrations set account = ${faulty.admin.json({ team_id, url, ...bot })}
    where id = ${id}`
  const sync = async (mode: 'full' | 'incremental', allowMassDelete = false): Promise<SyncLog> => {
    const { data, error } = await faulty.service.rpc('start_sync', {
      p_integration_id: id,
      p_stream: 'messages',
      p_sync_type: 'manual',
      p_mode: mode,
      p_wake: false,
      p_allow_mass_delete: allowMassDelete,
    })
    if (error) throw new Error(error.message, { cause: error })
    const environment = testEnvironment({
      CONNECTOR_OVERRIDES: { slack: { baseUrl: platform.baseUrl } },
    })
    const outcome = await doSlice(faulty.outside({ environment }), data.id)
    if (outcome.kind !== 'finished') throw new Error(`the run is ${outcome.kind}`)
    return outcome.log
  }
  const gone = async () =>
    (await faulty.admin`
      select source_id from public.messages
      where integration_id = ${id} and deleted_at is not null order by 1`)
      .map((row) => row['source_id'] as string)
  const [channel, other] = [...platform.workspace('acme').channels.keys()] as [string, string]
  return { platform, id, sync, gone, channel, other }
}

describe('a Slack workspace in our tables', () => {
  it('loses a message that was deleted there, and keeps what is only too old to be shown', async () => {
    const { platform, id, sync, gone, channel } = await connected()
    const whole = await sync('full')
    const { messages } = platform.workspace('acme').channels.get(channel)!
    const deleted = messages.at(-3)!.ts
    platform.control.remove('acme', channel, deleted)
    // as if days had passed: these two lie before the days that a scan covers now
    const old = messages.filter(({ ts }) =>
      Number(ts.split('.')[0]) < Date.now() / 1000 - 2 * 86_400
    )
      .slice(0, 2).map(({ ts }) => ts)
    for (const ts of old) platform.control.remove('acme', channel, ts)

    const again = await sync('full')

    expect(whole).toMatchObject({ status: 'success', created_count: 120, error_count: 0 })
    expect(old).toHaveLength(2)
    expect(again).toMatchObject({ status: 'success', created_count: 0, deleted_count: 1 })
    expect(await gone()).toEqual([`${channel}:${deleted}`])
    const [row] = await faulty.admin`
      select direction, channel, thread_id from public.messages
      where integration_id = ${id} and source_id = ${`${channel}:${old[0]!}`}`
    expect(row).toEqual({ direction: 'inbound', channel, thread_id: `${channel}:${old[0]!}` })
  })

  it('gets what is new from its bookmark, and writes nothing twice', async () => {
    const { platform, sync, channel } = await connected()
    await sync('full')
    const ts = platform.control.post('acme', channel, { text: 'New' })
    platform.control.edit('acme', channel, ts, 'Edited')

    const delta = await sync('incremental')
    const nothing = await sync('incremental')

    expect(delta).toMatchObject({ status: 'success', created_count: 1, updated_count: 0 })
    expect(nothing).toMatchObject({ status: 'success', created_count: 0, updated_count: 0 })
    expect(delta.fetched_count).toBeLessThan(60)
  })

  it('keeps the messages of a named channel that the bot was put out of, and says so', async () => {
    const { platform, id, sync, gone, channel, other } = await connected()
    await faulty.admin`
      update public.integrations
      set settings = settings || ${faulty.admin.json({ channels: [channel, other] })}
      where id = ${id}`
    await sync('full')
    platform.control.setMembership('acme', channel, false)
    const deleted = platform.workspace('acme').channels.get(other)!.messages.at(-3)!.ts
    platform.control.remove('acme', other, deleted)

    const logs = [await sync('full'), await sync('incremental')]
    platform.control.setMembership('acme', channel, true)
    const back = await sync('full')

    // what was deleted in the channel that could be read is found all the same
    expect(logs).toMatchObject([{ fetched_count: 59, deleted_count: 1 }, { deleted_count: 0 }])
    for (const { status, error } of logs) {
      expect([status, error]).toMatchObject(['partial', { code: 'provider_not_found' }])
      expect(error?.message).toContain(`did not show channel ${channel}, so`)
    }
    expect(await gone()).toEqual([`${other}:${deleted}`])
    expect(back).toMatchObject({ status: 'success', error: null, fetched_count: 119 })
  })

  it('keeps the messages of a channel that is not listed any more, and finds what goes in others', async () => {
    const { platform, sync, gone, channel, other } = await connected()
    await sync('full')
    platform.control.setMembership('acme', channel, false)
    const deleted = platform.workspace('acme').channels.get(other)!.messages.at(-3)!.ts
    platform.control.remove('acme', other, deleted)

    const logs = [await sync('full'), await sync('full', true)]

    expect(logs).toMatchObject([
      { status: 'success', fetched_count: 59, deleted_count: 1 },
      { status: 'success', fetched_count: 59, deleted_count: 0 },
    ])
    expect(await gone()).toEqual([`${other}:${deleted}`])
  })
})
