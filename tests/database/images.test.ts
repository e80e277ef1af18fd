// The queue of images: who gets what, what a failure costs, and how a product comes to its link.
import { randomUUID } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import { airtable } from '../../supabase/functions/_shared/connectors/airtable.ts'
import { parseRecord } from '../../supabase/functions/_shared/connectors/parse-record.ts'
import { openTransaction } from '../support/concurrency.ts'
import { callFunction, refusal, useDatabase } from '../support/database.ts'
import {
  claimImages,
  emptyImageQueue,
  failed,
  finishImages,
  hashOf,
  newUrl,
  readLinks,
  readSources,
  showing,
  stored,
  writeProducts,
} from '../support/images.ts'
import { createOrganization, createPerson } from '../support/people.ts'
import { applyRecords, streamRecord } from '../support/stream-records.ts'
import { openRun, page } from '../support/sync-runs.ts'

const database = useDatabase()
const { admin, owner, call } = database
let organizationId: string
beforeEach(async () => {
  await emptyImageQueue(database)
  organizationId = await createOrganization(database, await createPerson(database))
})

/** Lets the pauses and leases of an organization's images end. */
const letTimePass = () =>
  admin`update public.media_sources set run_at = now() - interval '1 second',
    lease_expires_at = lease_expires_at - interval '1 day' where organization_id = ${organizationId}`

describe('what products show', () => {
  it('is claimed once for each address, however many products show it', async () => {
    const [shared, single, second] = [newUrl(), newUrl(), newUrl()]
    await writeProducts(database, organizationId, [
      showing('1', shared),
      showing('2', shared),
      showing('3', single, second),
      showing('4'),
    ])

    const { images } = await claimImages(database)

    expect(images.map(({ url }) => url).sort()).toEqual([shared, single].sort())
  })

  it('is linked in every product when it is stored; other organizations keep to themselves', async () => {
    const url = newUrl()
    const theirs = await createOrganization(database, await createPerson(database))
    await writeProducts(database, organizationId, [showing('1', url), showing('2', url)])
    await writeProducts(database, theirs, [showing('1', url)])
    const { token, images } = await claimImages(database)
    const mine = images.find((image) => image.organization_id === organizationId)!

    await finishImages(database, token, [stored(mine, 'content')])

    expect(images).toHaveLength(2)
    expect(await readLinks(database, organizationId)).toEqual({
      1: hashOf('content'),
      2: hashOf('content'),
    })
    expect(await readLinks(database, theirs)).toEqual({ 1: null })
  })

  it('has one asset for equal contents', async () => {
    await writeProducts(
      database,
      organizationId,
      ['1', '2', '3'].map((id) => showing(id, newUrl())),
    )
    const { token, images } = await claimImages(database)

    await finishImages(database, token, images.map((image) => stored(image, 'the same')))

    const assets = await admin`
      select content_hash from public.media_assets where organization_id = ${organizationId}`
    expect([...assets]).toEqual([{ content_hash: hashOf('the same') }])
    expect(Object.values(await readLinks(database, organizationId))).toEqual(
      Array(3).fill(hashOf('the same')),
    )
  })

  it('is no image when it is longer than an address is: data in an address stays where it is', async () => {
    await writeProducts(database, organizationId, [
      showing('1', `data:image/png;base64,${'A'.repeat(5_000)}`),
      showing('2', newUrl()),
    ])

    const { images } = await claimImages(database)

    expect(images.map(({ url }) => url.slice(0, 8))).toEqual(['https://'])
  })

  it('is dead at once, and says why, where a web address is too long to fetch', async () => {
    const ofLength = (length: number) => newUrl().padEnd(length, 'a')
    const [longest, tooLong] = [ofLength(4096), ofLength(4097)]
    await writeProducts(database, organizationId, [showing('1', longest), showing('2', tooLong)])

    const { images, token } = await claimImages(database)
    await finishImages(database, token, images.map((image) => stored(image, 'content')))
    const again = await call('service_role', 'request_images', {
      p_organization_id: organizationId,
      p_retry_dead: true,
    })

    expect(images.map(({ url }) => url)).toEqual([longest])
    expect(await readLinks(database, organizationId)).toEqual({ 1: hashOf('content'), 2: null })
    expect(again).toEqual({ queued: 0, waiting: 0, stored: 1, dead: 1 })
    const sources = await readSources(database, organizationId)
    expect(sources.find(({ url }) => url === tooLong)).toMatchObject({
      status: 'dead',
      attempt_count: 0,
      last_error: { code: 'image_address_too_long', next: 'owner' },
    })
  })

  it('is not fetched any more when no product shows it by then', async () => {
    const [gone, kept] = [newUrl(), newUrl()]
    const integrationId = await writeProducts(database, organizationId, [
      showing('1', gone),
      showing('2', kept),
    ])
    const first = await claimImages(database)
    await finishImages(database, first.token, first.images.map((image) => failed(image)))
    await writeProducts(database, organizationId, [showing('1', newUrl())], integrationId)
    await letTimePass()

    const { images } = await claimImages(database)

    expect(images.map(({ url }) => url)).toContain(kept)
    expect(images.map(({ url }) => url)).not.toContain(gone)
    expect((await readSources(database, organizationId)).map(({ url }) => url)).not.toContain(gone)
  })
})

describe('what contacts show', () => {
  const contact = (sourceId: string, url: string | null) => ({
    ...streamRecord('contacts', sourceId),
    content_hash: `${sourceId} ${url}`,
    last_synced_at: new Date().toISOString(),
    image_url: url,
  })

  it('is kept as what products show is, and shared with them', async () => {
    const [shared, own] = [newUrl(), newUrl()]
    const integrationId = await writeProducts(database, organizationId, [showing('1', shared)])
    await applyRecords(database, integrationId, 'contacts', [
      contact('ada', shared),
      contact('bob', own),
      contact('eve', null),
    ])
    const { token, images } = await claimImages(database)

    await finishImages(database, token, images.map((image) => stored(image, image.url)))

    expect(images.map(({ url }) => url).sort()).toEqual([shared, own].sort())
    expect(await readLinks(database, organizationId)).toEqual({ 1: hashOf(shared) })
    expect(await readLinks(database, organizationId, 'contacts')).toEqual({
      ada: hashOf(shared),
      bob: hashOf(own),
      eve: null,
    })
  })

  it('may be the address in a field of Airtable', async () => {
    const { settings } = airtable.readAccount({
      settings: { base_id: 'appX', contacts: { table: 'People', image_url: 'Photo' } },
      credentials: {},
    })
    const url = newUrl('ada.png')
    const row = { id: 'recAda', createdTime: '2026-11-01T12:00:00.000Z', fields: { Photo: url } }
    const parsed = parseRecord(airtable, 'contacts', row, { settings, account: {} })
    const integrationId = await writeProducts(database, organizationId, [])
    await applyRecords(database, integrationId, 'contacts', [
      { ...contact('recAda', null), ...(parsed.ok ? parsed.record.columns : {}) },
    ])
    const { token, images } = await claimImages(database)

    await finishImages(database, token, images.map((image) => stored(image, 'Ada')))

    expect(images.map(({ url }) => url)).toEqual([url])
    expect(await readLinks(database, organizationId, 'contacts')).toEqual({ recAda: hashOf('Ada') })
  })

  it('changes with the contact, and is linked at once where it is known', async () => {
    const [first, second] = [newUrl(), newUrl()]
    const integrationId = await writeProducts(database, organizationId, [])
    const write = (...urls: [string, string | null][]) =>
      applyRecords(database, integrationId, 'contacts', urls.map(([id, url]) => contact(id, url)))
    await write(['ada', first], ['bob', second])
    const { token, images } = await claimImages(database)
    await finishImages(database, token, images.map((image) => stored(image, image.url)))

    await write(['ada', second], ['bob', null])
    const later = await claimImages(database)

    expect(later.images).toEqual([])
    expect(await readLinks(database, organizationId, 'contacts')).toEqual({
      ada: hashOf(second),
      bob: null,
    })
  })
})

describe('a product whose address changes', () => {
  it('shows a known image at once, nothing while a new one is fetched, nothing without an address', async () => {
    const [known, fresh] = [newUrl(), newUrl()]
    const records = ['1', '2', '3', '4'].map((id) => showing(id, known))
    const integrationId = await writeProducts(database, organizationId, [
      ...records,
      showing('5', newUrl()),
    ])
    const first = await claimImages(database)
    await finishImages(database, first.token, first.images.map((image) => stored(image, image.url)))

    await writeProducts(database, organizationId, [
      showing('1', known, 'https://images.example/another.png'), // only the first counts
      showing('2', fresh),
      showing('3'),
      showing('5', known),
    ], integrationId)
    const second = await claimImages(database)

    expect(second.images.map(({ url }) => url)).toEqual([fresh])
    expect(await readLinks(database, organizationId)).toEqual({
      1: hashOf(known),
      2: null,
      3: null,
      4: hashOf(known),
      5: hashOf(known),
    })
  })

  it('is not missed when it is written while its image is being stored', async () => {
    const url = newUrl()
    const integrationId = await writeProducts(database, organizationId, [showing('1', url)])
    const { token, images } = await claimImages(database)
    const run = await openRun(database, integrationId)
    const writing = await openTransaction(database)
    await callFunction(writing.sql, 'write_sync_page', page(run, [showing('2', url)]))

    await finishImages(database, token, images.map((image) => stored(image, 'content')))
    const beforeCommit = await readLinks(database, organizationId)
    await writing.commit()
    const later = await claimImages(database)

    expect(beforeCommit).toEqual({ 1: hashOf('content') })
    expect(later.images).toEqual([])
    expect(await readLinks(database, organizationId)).toEqual({
      1: hashOf('content'),
      2: hashOf('content'),
    })
  })

  it('is not noted when it is written with the address it had', async () => {
    const url = newUrl()
    const integrationId = await writeProducts(database, organizationId, [showing('1', url)])
    await admin`delete from private.image_changes`

    await owner`update public.products set name = 'Renamed' where integration_id = ${integrationId}`
    const renamed = await admin`select 1 from private.image_changes`
    await owner`update public.products set image_urls = '{}' where integration_id = ${integrationId}`
    const emptied = await admin`select 1 from private.image_changes`

    expect(renamed).toHaveLength(0)
    expect(emptied).toHaveLength(1)
  })
})

describe('a claim', () => {
  const writeTen = () =>
    writeProducts(
      database,
      organizationId,
      Array.from({ length: 10 }, (_, index) => showing(`${index}`, newUrl())),
    )

  it('serves one worker at a time, so that its bounds are the bounds of all', async () => {
    await writeTen()
    const first = await claimImages(database, { limit: 4 })
    const meanwhile = await claimImages(database, { limit: 4 })
    await finishImages(database, first.token, first.images.map((image) => stored(image, image.url)))

    const next = await claimImages(database, { limit: 10 })

    expect(first.images).toHaveLength(4)
    expect(meanwhile.images).toEqual([])
    expect(next.images).toHaveLength(6)
  })

  it('made by ten workers at once goes to one of them', async () => {
    await writeTen()

    const claims = await Promise.all(
      Array.from({ length: 10 }, () => claimImages(database, { limit: 5 })),
    )

    expect(claims.map(({ images }) => images.length).sort()).toEqual([...Array(9).fill(0), 5])
  })

  it('is answered again when its answer was lost', async () => {
    await writeTen()
    const first = await claimImages(database, { limit: 4 })

    const again = await claimImages(database, { limit: 4, token: first.token })

    expect(again.images).toEqual(first.images)
  })

  it('leaves no turn to organizations whose images all wait to be tried again', async () => {
    for (let count = 0; count < 6; count++) {
      const theirs = await createOrganization(database, await createPerson(database))
      await writeProducts(database, theirs, [showing('1', newUrl())])
    }
    const { token, images } = await claimImages(database)
    await finishImages(database, token, images.map((image) => failed(image)))
    await writeTen()

    const claimed = await claimImages(database, { limit: 6 })

    expect(images).toHaveLength(6)
    expect(claimed.images.map(({ organization_id }) => organization_id))
      .toEqual(Array.from({ length: 6 }, () => organizationId))
  })

  it('lets organizations take turns: a few images of one do not wait behind the many of another', async () => {
    await writeTen()
    const theirs = await createOrganization(database, await createPerson(database))
    await writeProducts(database, theirs, [showing('1', newUrl()), showing('2', newUrl())])

    const { images } = await claimImages(database, { limit: 6 })

    const mine = images.filter(({ organization_id }) => organization_id === organizationId)
    expect({ mine: mine.length, theirs: images.length - mine.length }).toEqual({
      mine: 3,
      theirs: 2,
    })
  })

  it('whose lease ran out counts as a failure of its images, since one of them may have been why', async () => {
    await writeTen()
    const dead = await claimImages(database, { limit: 4 })
    await letTimePass()

    const next = await claimImages(database)
    await finishImages(database, dead.token, dead.images.map((image) => stored(image, 'late')))

    expect(dead.images).toHaveLength(4)
    expect(next.images).toHaveLength(6)
    const sources = await readSources(database, organizationId)
    expect(sources.filter(({ last_error }) => last_error?.code === 'worker_died')).toHaveLength(4)
    // overtaken, the dead worker writes nothing
    expect(sources.filter(({ status }) => status === 'stored')).toEqual([])
  })

  it.each(['anon', 'authenticated'] as const)('is refused to %s', async (actor) => {
    await expect(call(actor, 'claim_images', { p_lease_token: randomUUID() })).rejects
      .toMatchObject({ code: '42501' })
  })
})

describe('an image that fails', () => {
  async function failOnce(options: Record<string, unknown> = {}) {
    await letTimePass()
    const { token, images } = await claimImages(database)
    await finishImages(database, token, images.map((image) => failed(image, options)))
    const [source] = await readSources(database, organizationId)
    return source!
  }

  it('waits longer each time, a little unevenly, and is dead with its reason after the seventh', async () => {
    await writeProducts(database, organizationId, [showing('1', newUrl())])
    const waits: number[] = []
    for (let attempt = 1; attempt <= 6; attempt++) waits.push((await failOnce()).seconds_to_go)

    const last = await failOnce()

    const MINUTE = 60
    const HOUR = 60 * MINUTE
    const pauses = [MINUTE, 10 * MINUTE, HOUR, 6 * HOUR, 24 * HOUR, 72 * HOUR]
    waits.forEach((wait, index) => {
      expect(wait).toBeGreaterThan(pauses[index]! - 10)
      expect(wait).toBeLessThanOrEqual(pauses[index]! * 1.5)
    })
    expect(last).toMatchObject({
      status: 'dead',
      attempt_count: 7,
      last_error: { code: 'provider_not_found' },
    })
    await letTimePass()
    expect((await claimImages(database)).images).toEqual([])
  })

  it('waits as long as its server asked, where that is longer', async () => {
    await writeProducts(database, organizationId, [showing('1', newUrl())])

    const source = await failOnce({ retry_after_ms: 7_200_000 })

    expect(source.seconds_to_go).toBeGreaterThan(7_100)
  })

  it('for good is dead at once', async () => {
    await writeProducts(database, organizationId, [showing('1', newUrl())])

    expect(await failOnce({ is_final: true })).toMatchObject({ status: 'dead', attempt_count: 1 })
  })

  it('was not tried: it costs nothing to give it back', async () => {
    await writeProducts(database, organizationId, [showing('1', newUrl())])
    const { token, images } = await claimImages(database)

    await finishImages(database, token, images.map(({ id }) => ({ id, pause_ms: 0 })))

    expect(await readSources(database, organizationId)).toMatchObject([
      { status: 'queued', attempt_count: 0 },
    ])
    expect((await claimImages(database)).images).toEqual(images)
  })
})

describe('asking for images', () => {
  const request = (retryDead = false) =>
    call('service_role', 'request_images', {
      p_organization_id: organizationId,
      p_retry_dead: retryDead,
    })

  it('queues what is shown and lacks an image, and counts how they stand', async () => {
    await writeProducts(
      database,
      organizationId,
      ['1', '2', '3'].map((id) => showing(id, newUrl())),
    )
    const { token, images } = await claimImages(database, { limit: 2 })
    await finishImages(database, token, [
      stored(images[0]!, 'content'),
      failed(images[1]!, { is_final: true }),
    ])
    // as when somebody deleted what was known of them
    await admin`delete from public.media_assets where organization_id = ${organizationId}`

    const first = await request()
    const second = await request()

    expect(first).toEqual({ queued: 1, waiting: 2, stored: 0, dead: 1 })
    expect(second).toEqual({ queued: 0, waiting: 2, stored: 0, dead: 1 })
  })

  it('with retry_dead gives what failed all its tries again', async () => {
    await writeProducts(database, organizationId, [showing('1', newUrl()), showing('2', newUrl())])
    const { token, images } = await claimImages(database)
    await finishImages(database, token, [
      failed(images[0]!, { is_final: true }),
      failed(images[1]!),
    ])

    const answer = await request(true)

    expect(answer).toEqual({ queued: 2, waiting: 2, stored: 0, dead: 0 })
    const again = await claimImages(database)
    expect(again.images.map(({ url }) => url).sort()).toEqual(images.map(({ url }) => url).sort())
    await finishImages(database, again.token, again.images.map((image) => stored(image, 'content')))
    expect(await readLinks(database, organizationId)).toEqual({
      1: hashOf('content'),
      2: hashOf('content'),
    })
  })

  it('of an organization that is not there is refused', async () => {
    await expect(
      call('service_role', 'request_images', { p_organization_id: randomUUID() }),
    ).rejects.toMatchObject(refusal('organization_not_found'))
  })
})
