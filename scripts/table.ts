// Rows as lines of text: words to the left, numbers to the right.

/** One line a row under a line of names; columns as wide as their widest cell. */
export function table(rows: Record<string, string | number>[]): string[] {
  const names = Object.keys(rows[0] ?? {})
  const cells = [names, ...rows.map((row) => names.map((name) => String(row[name] ?? '')))]
  const widths = names.map((_, column) =>
    Math.max(...cells.map((row) => (row[column] ?? '').length))
  )
  const isText = names.map((name) => rows.every((row) => Number.isNaN(Number(row[name]))))
  return cells.map((row) =>
    row.map((cell, column) =>
      isText[column] ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)
    )
      .join('  ').trimEnd()
  )
}
