// What kind of image are these bytes, and how large is it? By its content: names and headers claim anything.
import { fileTypeFromBuffer } from 'file-type'
import { ImageType } from '../contracts/images.ts'
import { AppError } from '../platform/errors.ts'
import { imageSize } from './image-size.ts'

export type ImageKind = {
  type: ImageType
  /** Of the file's name, ASCII. */
  extension: string
  /** Pixels; null where the file does not say so near its beginning. */
  width: number | null
  height: number | null
}

/** @throws AppError `not_an_image` for everything that is not kept: SVG and HTML can hold scripts. */
export async function readImageKind(bytes: Uint8Array): Promise<ImageKind> {
  const found = await fileTypeFromBuffer(bytes)
  // an animated PNG is a PNG to everybody who does not animate it
  const type = ImageType.safeParse(found?.mime === 'image/apng' ? 'image/png' : found?.mime)
  if (!type.success) throw new AppError('not_an_image', { detail: describe(bytes, found?.mime) })
  const { width = null, height = null } = imageSize(type.data, bytes) ?? {}
  return { type: type.data, extension: EXTENSIONS[type.data], width, height }
}

const EXTENSIONS: Record<ImageType, string> = {
  'image/png': 'png',
  'image/jpeg': 'jpg',
  'image/gif': 'gif',
  'image/webp': 'webp',
  'image/avif': 'avif',
}

function describe(bytes: Uint8Array, mime: string | undefined): string {
  if (bytes.byteLength === 0) return 'The address answers with nothing.'
  if (mime) return `The address answers with ${mime}, which is not kept.`
  return new TextDecoder().decode(bytes.subarray(0, 200)).trimStart().startsWith('<')
    ? 'The address answers with a web page or an SVG, which are not kept.'
    : 'The address answers with something that is no image.'
}
