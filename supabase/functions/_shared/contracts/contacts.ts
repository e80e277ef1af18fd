// A person or company as every connector's mapping yields it, whatever the platform calls them.
import { z } from 'zod'

export const PostalAddress = z.object({
  line1: z.string().nullable(),
  line2: z.string().nullable(),
  city: z.string().nullable(),
  region: z.string().nullable(),
  postal_code: z.string().nullable(),
  country: z.string().nullable(),
})
export type PostalAddress = z.infer<typeof PostalAddress>

/** The columns of `contacts` that come from the platform. */
export const ContactColumns = z.object({
  kind: z.enum(['contact', 'lead', 'customer']),
  email: z.string().nullable(), // as the platform has it; people are matched by its normalised form
  first_name: z.string().nullable(),
  last_name: z.string().nullable(),
  full_name: z.string().nullable(),
  phone: z.string().nullable(),
  company: z.string().nullable(),
  job_title: z.string().nullable(),
  marketing_status: z.enum(['subscribed', 'unsubscribed', 'pending', 'bounced'])
    .nullable(), // null when the platform has no such notion
  tags: z.array(z.string()),
  address: PostalAddress.nullable(),
  image_url: z.string().nullable(),
})
export type ContactColumns = z.infer<typeof ContactColumns>
