import { afterEach, describe, expect, it, vi } from 'vitest'
import {
  EnvironmentError,
  readEnvironment,
} from '../../../supabase/functions/_shared/platform/environment.ts'

const minimal = { SUPABASE_URL: 'http://127.0.0.1:54321' }

describe('environment', () => {
  afterEach(() => vi.unstubAllEnvs())

  it('needs only the address of the project and is closed by default', () => {
    const environment = readEnvironment(minimal)

    expect(environment).toEqual({
      SUPABASE_URL: 'http://127.0.0.1:54321',
      PLUGBOARD_ALLOW_PRIVATE_NETWORKS: false,
      CONNECTOR_OVERRIDES: {},
      OAUTH_CLIENTS: {},
      PLUGBOARD_RETURN_URLS: [],
    })
  })

  it('reads every setting', () => {
    const environment = readEnvironment({
      ...minimal,
      PLUGBOARD_DATABASE_URL: 'postgres://user:pass@db:6543/postgres',
      PLUGBOARD_WORKER_TOKEN: 'a-token-of-sixteen',
      PLUGBOARD_ALLOW_PRIVATE_NETWORKS: 'true',
      CONNECTOR_OVERRIDES: '{"treez":{"baseUrl":"http://127.0.0.1:4000"}}',
      OAUTH_CLIENTS: '{"gmail":{"client_id":"id","client_secret":"secret"}}',
      PLUGBOARD_RETURN_URLS: 'https://app.example.com, http://127.0.0.1',
    })

    expect(environment.PLUGBOARD_RETURN_URLS).toEqual([
      'https://app.example.com',
      'http://127.0.0.1',
    ])

    expect(environment.PLUGBOARD_ALLOW_PRIVATE_NETWORKS).toBe(true)
    expect(environment.CONNECTOR_OVERRIDES.treez).toEqual({ baseUrl: 'http://127.0.0.1:4000' })
    expect(environment.OAUTH_CLIENTS.gmail).toEqual({ client_id: 'id', client_secret: 'secret' })
  })

  it('takes the number of an app with or without quotes', () => {
    const appIdOf = (app_id: string) =>
      readEnvironment({
        ...minimal,
        OAUTH_CLIENTS: `{"hubspot":{"client_id":"id","app_id":${app_id}}}`,
      }).OAUTH_CLIENTS.hubspot?.app_id

    expect([appIdOf('1160452'), appIdOf('"1160452"')]).toEqual(['1160452', '1160452'])
    expect(() => appIdOf('"an app"')).toThrow('OAUTH_CLIENTS hubspot app_id must be a number')
  })

  it('reads the process when no source is given', () => {
    vi.stubEnv('SUPABASE_URL', 'https://project.supabase.co')

    expect(readEnvironment().SUPABASE_URL).toBe('https://project.supabase.co')
  })

  it('takes a variable set to nothing as not set', () => {
    expect(readEnvironment({ ...minimal, CONNECTOR_OVERRIDES: '' }).CONNECTOR_OVERRIDES).toEqual({})
  })

  it.each([
    ['SUPABASE_URL', undefined, 'SUPABASE_URL is not set'],
    ['SUPABASE_URL', 'hunter2', 'SUPABASE_URL must be an http or https address'],
    ['SUPABASE_URL', 'ftp://hunter2', 'SUPABASE_URL must be an http or https address'],
    [
      'PLUGBOARD_DATABASE_URL',
      'mysql://hunter2',
      'PLUGBOARD_DATABASE_URL must be a postgres:// address',
    ],
    [
      'PLUGBOARD_WORKER_TOKEN',
      'hunter2',
      'PLUGBOARD_WORKER_TOKEN must have at least 16 characters',
    ],
    [
      'PLUGBOARD_ALLOW_PRIVATE_NETWORKS',
      'hunter2',
      'PLUGBOARD_ALLOW_PRIVATE_NETWORKS must be "true" or "false"',
    ],
    ['CONNECTOR_OVERRIDES', '{"hunter2', 'CONNECTOR_OVERRIDES is not valid JSON'],
    [
      'CONNECTOR_OVERRIDES',
      '{"treez":{"baseUrl":"hunter2"}}',
      'CONNECTOR_OVERRIDES treez baseUrl must be an http or https address',
    ],
    ['OAUTH_CLIENTS', '{"gmail":{"client_secret":"hunter2"}}', 'OAUTH_CLIENTS gmail client_id'],
  ])('names %s when it is %s, and never quotes the value', (name, value, message) => {
    const read = () => readEnvironment({ ...minimal, [name]: value })

    expect(read).toThrow(EnvironmentError)
    expect(read).toThrow(message)
    expect(read).not.toThrow(/hunter2/)
    expect(thrownBy(read)).toMatchObject({ variables: [name] })
  })
})

function thrownBy(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    return error
  }
}
