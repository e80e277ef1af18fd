import { describe, expect, it } from 'vitest'
import { makeJpeg, makePng } from '../../../scripts/simulators/images/make-image.ts'
import { imageSize } from '../../../supabase/functions/_shared/images/image-size.ts'
import { readImageKind } from '../../../supabase/functions/_shared/images/read-image.ts'

const base64 = (text: string) => Uint8Array.from(Buffer.from(text, 'base64'))
const bytes = (...parts: (string | number[])[]) =>
  Uint8Array.from(
    Buffer.concat(
      parts.map((part) =>
        typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.from(part)
      ),
    ),
  )

const gif = base64('R0lGODlhAgADAIAAAAAAAP///yH5BAEAAAAALAAAAAACAAMAAAIChF0AOw==')
const lossyWebp = base64('UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA')
const losslessWebp = base64('UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==')
const extendedWebp = bytes(
  'RIFF',
  [30, 0, 0, 0],
  'WEBPVP8X',
  [10, 0, 0, 0, 0x10, 0, 0, 0, 0x3f, 0x01, 0, 0xef, 0, 0],
  'ALPH',
  [0, 0, 0, 0],
)
const avif = bytes([0, 0, 0, 24], 'ftypavif', [0, 0, 0, 0], 'mif1avif')
const animatedPng = (() => {
  const png = makePng(1)
  const chunk = bytes([0, 0, 0, 8], 'acTL', [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])
  const headerEnd = 8 + 25
  return bytes([...png.subarray(0, headerEnd)], [...chunk], [...png.subarray(headerEnd)])
})()

describe('the kind of an image', () => {
  it.each([
    ['PNG', makePng(1, 40, 30), 'image/png', 'png', 40, 30],
    ['animated PNG', animatedPng, 'image/png', 'png', 4, 3],
    ['JPEG', makeJpeg(1), 'image/jpeg', 'jpg', 8, 8],
    ['GIF', gif, 'image/gif', 'gif', 2, 3],
    ['lossy WebP', lossyWebp, 'image/webp', 'webp', 1, 1],
    ['lossless WebP', losslessWebp, 'image/webp', 'webp', 1, 1],
    ['extended WebP', extendedWebp, 'image/webp', 'webp', 320, 240],
    ['AVIF', avif, 'image/avif', 'avif', null, null],
  ])('%s is known by its content', async (_name, content, type, extension, width, height) => {
    expect(await readImageKind(content)).toEqual({ type, extension, width, height })
  })

  it.each([
    ['a web page', '<!doctype html><script>alert(1)</script>', 'a web page or an SVG'],
    ['a web page after blanks', '  \n<html>', 'a web page or an SVG'],
    [
      'an SVG',
      '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
      'a web page or an SVG',
    ],
    ['an SVG with a declaration', '<?xml version="1.0"?><svg/>', 'application/xml'],
    ['a PDF', '%PDF-1.7\n', 'application/pdf'],
    ['an icon', '\0\0\x01\0\x01\0', 'image/x-icon'],
    ['a bitmap', 'BM\x3a\0\0\0\0\0\0\0', 'image/bmp'],
    ['text', 'no image', 'no image'],
    ['nothing', '', 'with nothing'],
  ])('%s is refused, and the reason says what it is', async (_name, text, reason) => {
    await expect(readImageKind(bytes(text))).rejects.toMatchObject({
      code: 'not_an_image',
      detail: expect.stringContaining(reason),
    })
  })
})

describe('the size of an image', () => {
  it('is not known where the file ends within its header', () => {
    expect(imageSize('image/png', makePng(1).subarray(0, 20))).toBeUndefined()
    expect(imageSize('image/jpeg', makeJpeg(1).subarray(0, 60))).toBeUndefined()
    expect(imageSize('image/webp', extendedWebp.subarray(0, 22))).toBeUndefined()
  })

  it('is found in a view of a larger buffer', () => {
    const larger = bytes([1, 2, 3], [...makePng(1, 7, 5)])

    expect(imageSize('image/png', larger.subarray(3))).toEqual({ width: 7, height: 5 })
  })

  it('is read past fill bytes, and never from a table that only shares the range of frame headers', () => {
    const jpeg = bytes([0xff, 0xd8, 0xff, 0xff, 0xc4, 0, 4, 9, 9, 0xff, 0xc2, 0, 11, 8, 1, 0, 2, 0])

    expect(imageSize('image/jpeg', jpeg)).toEqual({ width: 512, height: 256 })
  })
})
