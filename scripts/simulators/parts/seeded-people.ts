// Whom do the simulated platforms know? The same invented people for the same seed.
import { seededRandom } from './seeded-random.ts'

export type Person = {
  first_name: string
  last_name: string
  email: string
  phone: string
  company: string
  job_title: string
  city: string
}

const FIRST = ['Ada', 'Grace', 'Alan', 'Edsger', 'Barbara', 'Donald', 'Frances', 'Tony', 'Radia']
const LAST = ['Lovell', 'Hopkins', 'Turner', 'Dijk', 'Liskow', 'Knutsen', 'Allan', 'Hoar', 'Perl']
const COMPANIES = ['Harbor & Pine', 'Fieldnotes', 'Oak Street', 'O’Hara Labs', 'Northwind']
const JOBS = ['Owner', 'Buyer', 'Engineer', 'Bookkeeper', 'Head of Marketing']
const CITIES = ['Porto', 'Graz', 'Boise', 'Leeds', 'Kyoto']

/** Their addresses differ; their names may not. */
export function seededPeople(seed: number, count: number): Person[] {
  const random = seededRandom(seed)
  return Array.from({ length: count }, (_, index) => {
    const first_name = random.pick(FIRST)
    const last_name = random.pick(LAST)
    return {
      first_name,
      last_name,
      email: `${first_name}.${last_name}.${index + 1}@people.example`.toLowerCase(),
      phone: `+1 555 01${String(random.between(0, 99)).padStart(2, '0')}`,
      company: random.pick(COMPANIES),
      job_title: random.pick(JOBS),
      city: random.pick(CITIES),
    }
  })
}
