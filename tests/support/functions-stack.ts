// The stacks of tests that call Edge Functions: everything runs, schedules only when a test asks, and
// Treez's address leads to the stores that tests open.
import postgres from 'postgres'
import type { TestProject } from 'vitest/node'
import { AIRTABLE_CLIENT } from '../../scripts/simulators/airtable.ts'
import { startStack } from '../../scripts/stack/stack.ts'
import { startPlatformHost } from './platform-host.ts'
import { RETURN_URLS } from './return-urls.ts'
import { shareStacks, type StartedStack } from './shared-stacks.ts'
import { serveRemote } from './stack-remote.ts'
import { startTreezHost } from './treez-host.ts'
import { imagesAreLeft } from './worker-rings.ts'

export default (project: TestProject) => shareStacks(project, import.meta.url)

/** Called in a process of its own. */
export async function start(): Promise<StartedStack> {
  const lines: string[] = []
  const treez = await startTreezHost()
  const airtable = await startPlatformHost()
  const functionsEnv = {
    CONNECTOR_OVERRIDES: JSON.stringify({
      treez: { baseUrl: treez.url },
      airtable: { baseUrl: airtable.url },
    }),
    OAUTH_CLIENTS: JSON.stringify({ airtable: AIRTABLE_CLIENT }),
    PLUGBOARD_RETURN_URLS: RETURN_URLS.join(','),
  }
  const stack = await startStack({
    ephemeral: true,
    cron: false,
    envFile: null,
    functionsEnv,
    log: (line) => lines.push(line),
  })
  const admin = postgres(stack.adminDbUrl, { max: 1, onnotice: () => {} })
  await hurry(admin)
  await imagesAreLeft(admin)
  await admin.end()
  const remote = await serveRemote({
    leadTo: (slug, origin) => {
      if (slug !== 'airtable') throw new Error(`no host for ${slug}`)
      return Promise.resolve(airtable.leadTo(origin))
    },
    addStore: (dispensary, origin) => Promise.resolve(treez.addStore(dispensary, origin)),
    // what an earlier file set and this one does not is as it was at the start
    setFunctionsEnv: (extra) => stack.functions.setEnv({ ...functionsEnv, ...extra }),
    runCron: (jobName) => stack.cron.run(jobName),
    signToken: (claims) => stack.signToken(claims),
    readLog: () => Promise.resolve(lines),
  })
  return {
    stack,
    remote: remote.url,
    async stop() {
      await remote.stop()
      await stack.stop()
      await treez.stop()
      await airtable.stop()
    },
  }
}

/**
 * Ten requests a second are the connector's promise to Treez, and would make these tests last for
 * minutes. The one test of that promise switches this trigger off.
 */
async function hurry(admin: postgres.Sql): Promise<void> {
  await admin.unsafe(`
    create function private.hurry() returns trigger language plpgsql as $$
    begin
      new.next_free_at := '-infinity';
      return new;
    end;
    $$;
    create trigger hurry before insert or update on private.request_budgets
      for each row execute function private.hurry();`)
}
