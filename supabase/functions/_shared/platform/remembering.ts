// For what costs more to make than to keep, and is asked for again and again by the same few texts.

/** `make`, which remembers what it made of the last texts; it forgets all when they become too many. What throws is made again. */
export function remembering<Value>(
  make: (text: string) => Value,
  most = 200,
): (text: string) => Value {
  const made = new Map<string, Value>()
  return (text) => {
    const known = made.get(text)
    if (known !== undefined) return known
    const value = make(text)
    if (made.size >= most) made.clear()
    made.set(text, value)
    return value
  }
}
