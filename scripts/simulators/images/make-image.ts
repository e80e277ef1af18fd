// Small valid images, made from nothing: the same seed gives the same bytes, another seed others.
import { crc32, deflateSync } from 'node:zlib'

/** A PNG of one colour that follows from the seed. */
export function makePng(seed: number, width = 4, height = 3): Uint8Array<ArrayBuffer> {
  const colour = [seed & 0xff, seed >> 8 & 0xff, seed >> 16 & 0xff]
  const row = [0, ...Array.from({ length: width }, () => colour).flat()] // 0: unfiltered
  const pixels = Buffer.from(Array.from({ length: height }, () => row).flat())
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, 2], 8) // 8 bits, red green blue
  return join([
    [0x89, ...ascii('PNG\r\n\x1a\n')],
    pngChunk('IHDR', header),
    pngChunk('IDAT', deflateSync(pixels)),
    pngChunk('IEND', Buffer.alloc(0)),
  ])
}

function pngChunk(name: string, data: Uint8Array): Uint8Array {
  const content = Buffer.concat([Buffer.from(name, 'ascii'), data])
  return join([uint32(data.length), content, uint32(crc32(content))])
}

/** A grey baseline JPEG, 8 by 8, with the seed in a comment. */
export function makeJpeg(seed: number): Uint8Array<ArrayBuffer> {
  const oneCode = [1, ...Array<number>(15).fill(0), 0] // one code of one bit, for the value 0
  return join([
    [0xff, 0xd8],
    jpegSegment(0xe0, [...ascii('JFIF\0'), 1, 1, 0, 0, 1, 0, 1, 0, 0]),
    jpegSegment(0xfe, ascii(`seed ${seed}`)),
    jpegSegment(0xdb, [0, ...Array<number>(64).fill(1)]),
    jpegSegment(0xc0, [8, 0, 8, 0, 8, 1, 1, 0x11, 0]),
    jpegSegment(0xc4, [0x00, ...oneCode]),
    jpegSegment(0xc4, [0x10, ...oneCode]),
    jpegSegment(0xda, [1, 1, 0, 0, 63, 0]),
    [0b0011_1111, 0xff, 0xd9], // no difference, end of block, filled up with ones
  ])
}

const jpegSegment = (marker: number, data: number[]) => [
  0xff,
  marker,
  ...uint32(data.length + 2).subarray(2),
  ...data,
]

const ascii = (text: string) => [...Buffer.from(text, 'latin1')]

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

function join(parts: (number[] | Uint8Array)[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.concat(parts.map((part) => Uint8Array.from(part))))
}
