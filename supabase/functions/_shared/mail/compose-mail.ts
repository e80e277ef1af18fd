// How does a mail look on the wire (RFC 5322)? Its headers, text, HTML and attachments as one message.
import MailComposer from 'nodemailer/lib/mail-composer'
import { htmlToText } from '../text/html-to-text.ts'

export type Mail = {
  from: { name: string; address: string }
  /** Bare addresses. */
  to: string[]
  cc: string[]
  bcc: string[]
  subject: string
  text: string | undefined
  html: string | undefined
  attachments: { name: string; content_type: string; content: string }[]
  /** `<…@…>` of the mail that is answered, and of those before it. */
  in_reply_to: string | null
  references: string[]
  /** Names this mail, the same at every try: in its `Message-ID` and between its parts. */
  key: string
  date: Date
}

/** The same mail gives the same bytes. Line breaks in a header become spaces: none can add a header. */
export async function composeMail(mail: Mail): Promise<Uint8Array> {
  const bare = (addresses: string[]) => addresses.map((address) => ({ name: '', address }))
  const node = new MailComposer({
    from: mail.from,
    to: bare(mail.to),
    cc: bare(mail.cc),
    bcc: bare(mail.bcc),
    subject: mail.subject,
    text: mail.text ?? (mail.html === undefined ? '' : htmlToText(mail.html)),
    ...(mail.html === undefined ? {} : { html: mail.html }),
    attachments: mail.attachments.map(({ name, content_type, content }) => ({
      filename: name,
      contentType: content_type,
      content,
      encoding: 'base64',
    })),
    ...(mail.in_reply_to === null ? {} : { inReplyTo: mail.in_reply_to }),
    references: mail.references,
    messageId: `<${mail.key}@${mail.from.address.split('@').at(-1)}>`,
    baseBoundary: mail.key,
    date: mail.date,
    // what is sent is what was given: nothing is read from disk or fetched
    disableFileAccess: true,
    disableUrlAccess: true,
  }).compile()
  node.keepBcc = true // whoever delivers it reads the header and takes it out
  return await node.build()
}
