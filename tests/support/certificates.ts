// A certificate authority for one test file, and a server's certificate that it signed.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** All of them as PEM. */
export type Certificates = { ca: string; key: string; cert: string }

/** @param names Whose certificate it is, such as `DNS:*.example.com` and `IP:93.184.216.34`. */
export function makeCertificates(names: string[]): Certificates {
  const folder = mkdtempSync(join(tmpdir(), 'certificates-'))
  const file = (name: string) => join(folder, name)
  const openssl = (command: string) =>
    execFileSync('openssl', command.split(' '), { stdio: 'pipe', cwd: folder })
  const newKey = '-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
  try {
    writeFileSync(file('names'), `subjectAltName=${names.join(',')}\n`)
    openssl(`req -x509 ${newKey} -keyout ca.key -out ca.crt -days 2 -subj /CN=authority`)
    openssl(`req ${newKey} -keyout key -out request -subj /CN=server`)
    openssl(
      'x509 -req -in request -CA ca.crt -CAkey ca.key -set_serial 1 -days 2 -extfile names -out crt',
    )
    const read = (name: string) => readFileSync(file(name), 'utf8')
    return { ca: read('ca.crt'), key: read('key'), cert: read('crt') }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
