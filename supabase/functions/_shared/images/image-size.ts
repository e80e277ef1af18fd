// How many pixels does an image have? Read from its header, without decoding anything.
import type { ImageType } from '../contracts/images.ts'

export type ImageSize = { width: number; height: number }

/** `undefined` for AVIF, which says it deep inside its boxes, and for a header that makes no sense. */
export function imageSize(type: ImageType, bytes: Uint8Array): ImageSize | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  try {
    const size = READERS[type](view)
    return size && size.width > 0 && size.height > 0 ? size : undefined
  } catch (error) {
    if (error instanceof RangeError) return undefined // the file ends within its header
    throw error
  }
}

const READERS: Record<ImageType, (view: DataView) => ImageSize | undefined> = {
  // the IHDR chunk is the first: W3C PNG, 11.2.1
  'image/png': (view) => ({ width: view.getUint32(16), height: view.getUint32(20) }),
  // the logical screen: GIF89a, 18
  'image/gif': (view) => ({ width: view.getUint16(6, true), height: view.getUint16(8, true) }),
  'image/jpeg': jpegSize,
  'image/webp': webpSize,
  'image/avif': () => undefined,
}

/** Segments before the frame header (ITU-T T.81, B.2) hold profiles and thumbnails; each says its length. */
function jpegSize(view: DataView): ImageSize | undefined {
  let at = 2
  while (view.getUint8(at) === 0xff) {
    const marker = view.getUint8(at + 1)
    if (marker === 0xff) at++ // a fill byte
    else if (isFrameHeader(marker)) {
      return { width: view.getUint16(at + 7), height: view.getUint16(at + 5) }
    } else at += 2 + view.getUint16(at + 2)
  }
}

/** SOF0 to SOF15 without DHT, JPG and DAC, which share their range. */
function isFrameHeader(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)
}

/** Three kinds of first chunk: RFC 9649, sections 2.5 to 2.7; RFC 6386, section 9.1. */
function webpSize(view: DataView): ImageSize | undefined {
  const uint24 = (at: number) => view.getUint16(at, true) | view.getUint8(at + 2) << 16
  switch (view.getUint32(12)) {
    case 0x56503858: // 'VP8X'
      return { width: uint24(24) + 1, height: uint24(27) + 1 }
    case 0x5650384c: { // 'VP8L'
      const bits = view.getUint32(21, true)
      return { width: (bits & 0x3fff) + 1, height: (bits >> 14 & 0x3fff) + 1 }
    }
    case 0x56503820: // 'VP8 '
      return {
        width: view.getUint16(26, true) & 0x3fff,
        height: view.getUint16(28, true) & 0x3fff,
      }
  }
}
