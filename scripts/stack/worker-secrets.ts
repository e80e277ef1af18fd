// How does the database know whom to wake? Two secrets in Vault, as an installer stores them on hosted.
import postgres from 'postgres'

/** Stores or updates what the wake function reads; does nothing in a project without Vault. */
export async function storeWorkerSecrets(
  dbUrl: string,
  secrets: Record<string, string>,
): Promise<void> {
  const sql = postgres(dbUrl, { max: 1, onnotice: () => {} })
  try {
    const [vault] = await sql`select to_regclass('vault.decrypted_secrets') as name`
    if (!vault?.name) return
    for (const [name, value] of Object.entries(secrets)) {
      const [stored] = await sql<{ id: string; decrypted_secret: string }[]>`
        select id, decrypted_secret from vault.decrypted_secrets where name = ${name}`
      if (!stored) await sql`select vault.create_secret(${value}, ${name})`
      else if (stored.decrypted_secret !== value) {
        await sql`select vault.update_secret(${stored.id}, ${value})`
      }
    }
  } finally {
    await sql.end()
  }
}
