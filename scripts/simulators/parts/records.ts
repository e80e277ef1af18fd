// What does a simulated platform hold right now, and what did somebody just do to it?

/** So many of them, spread over the whole list, or these ids. */
export type Which = number | readonly string[]

export type Records<Item extends object> = {
  list(): Item[]
  ids(): string[]
  find(id: string): Item | undefined
  /** Changes details; without `fields` the platform thinks of something. Answers the ids it changed. */
  change(which: Which, fields?: Partial<Item>): string[]
  add(count: number): string[]
  remove(which: Which): string[]
}

export type RecordsOptions<Item extends object> = {
  count: number
  id(item: Item): string
  /** The next one that is made, counted from 0 since the start. */
  make(index: number): Item
  /** What an edit does besides: a new time of last change, an event. */
  changed(item: Item, fields: Partial<Item> | undefined): Item
  added?(item: Item): void
  removed?(item: Item): void
}

/** In the order in which they were made. */
export function records<Item extends object>(options: RecordsOptions<Item>): Records<Item> {
  const held = new Map<string, Item>()
  let made = 0
  const makeOne = () => {
    const item = options.make(made)
    made += 1
    held.set(options.id(item), item)
    return item
  }
  const need = (id: string) => {
    const item = held.get(id)
    if (!item) throw new Error(`there is no ${id}`)
    return item
  }
  const choose = (which: Which): Item[] => {
    if (typeof which !== 'number') return which.map(need)
    const all = [...held.values()]
    const step = Math.max(1, all.length / Math.max(which, 1))
    return Array.from(
      { length: Math.min(which, all.length) },
      (_, index) => all[Math.floor(index * step)]!,
    )
  }
  for (let index = 0; index < options.count; index++) makeOne()

  return {
    list: () => [...held.values()],
    ids: () => [...held.keys()],
    find: (id) => held.get(id),
    change: (which, fields) =>
      choose(which).map((item) => {
        const id = options.id(item)
        held.set(id, options.changed({ ...item, ...fields }, fields))
        return id
      }),
    add: (count) =>
      Array.from({ length: count }, () => {
        const item = makeOne()
        options.added?.(item)
        return options.id(item)
      }),
    remove: (which) =>
      choose(which).map((item) => {
        held.delete(options.id(item))
        options.removed?.(item)
        return options.id(item)
      }),
  }
}
