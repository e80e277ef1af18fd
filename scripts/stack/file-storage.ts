// Where do Storage's objects live? Each in a file of the data directory, with what was said about it beside.
import { createHash } from 'node:crypto'
import { copyFile, mkdir, open, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { App } from '@supabase/lite'

type StorageAdapter = NonNullable<App['_storageAdapter']>
type Body = Parameters<StorageAdapter['uploadObject']>[3]
type Description = { mimetype: string; cacheControl: string; eTag: string }

/** A storage adapter of lite over a folder. Rights are decided before, by policies on `storage.objects`. */
export function createFileStorage(folder: string): StorageAdapter {
  // Hashed: a key may be longer than a file name, hold dots and slashes, or be another key's folder.
  const pathOf = (bucket: string, key: string) =>
    join(folder, createHash('sha256').update(`${bucket}/${key}`).digest('hex'))

  async function describe(path: string) {
    const [file, description] = await Promise.all([
      stat(path),
      readFile(`${path}.json`, 'utf8').then((text): Description => JSON.parse(text)),
    ])
    return { ...description, size: file.size, contentLength: file.size, lastModified: file.mtime }
  }

  return {
    driver: folder,

    async getObject(bucket, key, _version, headers) {
      const path = pathOf(bucket, key)
      const metadata = await describe(path)
      if (headers?.ifNoneMatch === metadata.eTag) return { httpStatusCode: 304, metadata }

      const range = headers?.range?.match(/^bytes=(\d+)-(\d*)$/)
      const start = Number(range?.[1] ?? 0)
      const end = Math.min(range?.[2] ? Number(range[2]) : Infinity, metadata.size - 1)
      const file = await open(path)
      const body = Buffer.alloc(Math.max(end - start + 1, 0))
      await file.read(body, 0, body.length, start).finally(() => file.close())
      if (!range) return { httpStatusCode: 200, metadata, body }
      const contentRange = `bytes ${start}-${end}/${metadata.size}`
      return {
        httpStatusCode: 206,
        metadata: { ...metadata, contentLength: body.length, contentRange },
        body,
      }
    },

    async uploadObject(bucket, key, _version, body, contentType, cacheControl) {
      await mkdir(folder, { recursive: true })
      const content = await bytesOf(body)
      const description: Description = {
        mimetype: contentType,
        cacheControl,
        eTag: `"${createHash('md5').update(content).digest('hex')}"`,
      }
      const path = pathOf(bucket, key)
      await writeFile(path, content)
      await writeFile(`${path}.json`, JSON.stringify(description))
      return await describe(path)
    },

    async deleteObject(bucket, key) {
      const path = pathOf(bucket, key)
      await Promise.all([rm(path, { force: true }), rm(`${path}.json`, { force: true })])
    },

    async deleteObjects(bucket, keys) {
      for (const key of keys) await this.deleteObject(bucket, key, undefined)
    },

    async copyObject(sourceBucket, source, _version, bucket, key) {
      const [from, to] = [pathOf(sourceBucket, source), pathOf(bucket, key)]
      await copyFile(from, to)
      await copyFile(`${from}.json`, `${to}.json`)
      const { eTag, lastModified } = await describe(to)
      return { httpStatusCode: 200, eTag, lastModified }
    },

    headObject: (bucket, key) => describe(pathOf(bucket, key)),

    privateAssetUrl: (bucket, key) => Promise.resolve(`file://${pathOf(bucket, key)}`),
  }
}

async function bytesOf(body: Body): Promise<Uint8Array> {
  if (body instanceof Uint8Array) return body
  const chunks: Uint8Array[] = []
  const reader = body.getReader()
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    chunks.push(read.value)
  }
  return Buffer.concat(chunks)
}
