import { once } from 'node:events'
import { connect } from 'node:net'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  type Connection,
  IdleConnections,
} from '../../../supabase/functions/_shared/http/idle-connections.ts'
import { scriptedServer } from '../../support/scripted-server.ts'

const ORIGIN = 'https://hooks.example.com'
const START = new Date('2026-11-20T09:00:00Z')

beforeEach(() => vi.useFakeTimers({ toFake: ['Date'], now: START }))
afterEach(() => vi.useRealTimers())

/** Opens real connections to a server that says nothing unless told. */
async function connecting() {
  const server = await scriptedServer((socket) => socket.end('bye'))
  const idle = new IdleConnections()
  const open = async (): Promise<Connection> => {
    const socket = connect({ host: '127.0.0.1', port: server.port })
    await once(socket, 'connect')
    return { socket, openedAt: Date.now(), isReused: false }
  }
  return { idle, open }
}

const pass = (ms: number) => vi.setSystemTime(Date.now() + ms)

describe('connections that wait', () => {
  it('are taken again for their own server only, the one used last first', async () => {
    const { idle, open } = await connecting()
    const [first, second] = [await open(), await open()]
    idle.put(ORIGIN, first)
    idle.put(ORIGIN, second)

    expect(idle.take('https://other.example.com')).toBeUndefined()
    expect(idle.take(ORIGIN)).toBe(second)
    expect(idle.take(ORIGIN)).toBe(first)
    expect(idle.take(ORIGIN)).toBeUndefined()
    expect(first).toMatchObject({ isReused: true, socket: { destroyed: false } })
  })

  it.each([
    ['3.9 s', 3_900, undefined, true],
    ['4 s', 4_000, undefined, false],
    ['1.9 s of the 3 s that the server keeps it', 1_900, 3_000, true],
    ['2 s of the 3 s that the server keeps it', 2_000, 3_000, false],
  ])('after %s', async (_, ms, keepMs, isTaken) => {
    const { idle, open } = await connecting()
    const connection = await open()
    idle.put(ORIGIN, connection, keepMs)

    pass(ms)

    expect(idle.take(ORIGIN)).toBe(isTaken ? connection : undefined)
    expect(connection.socket.destroyed).toBe(!isTaken)
  })

  it('are not kept longer than a minute, however busy they are', async () => {
    const { idle, open } = await connecting()
    const connection = await open()
    let calls = 0

    for (;; calls++) {
      idle.put(ORIGIN, connection)
      pass(3_000)
      if (!idle.take(ORIGIN)) break
    }

    expect(calls).toBe(19)
    expect(connection.socket.destroyed).toBe(true)
  })

  it('are gone when the server closes them', async () => {
    const { idle, open } = await connecting()
    const connection = await open()
    idle.put(ORIGIN, connection)

    connection.socket.write('POST / HTTP/1.1\r\n\r\n') // the server ends with it
    await once(connection.socket, 'close')

    expect(idle.take(ORIGIN)).toBeUndefined()
  })

  it('are at most 256, and all closed in the end', async () => {
    const { idle, open } = await connecting()
    const connections: Connection[] = []
    for (let count = 0; count < 257; count++) connections.push(await open())

    for (const [index, connection] of connections.entries()) {
      idle.put(`https://${index % 3}.example.com`, connection)
    }

    expect(connections.filter(({ socket }) => socket.destroyed)).toEqual([connections[256]])
    idle.close()
    expect(connections.every(({ socket }) => socket.destroyed)).toBe(true)
  })
})
