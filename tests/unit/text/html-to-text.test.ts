import { describe, expect, it } from 'vitest'
import { htmlToText } from '../../../supabase/functions/_shared/text/html-to-text.ts'

describe('HTML as text', () => {
  it.each([
    ['<p>One</p><p>Two</p>', 'One\n\nTwo'],
    ['<div>One</div><div>Two<br>Three</div>', 'One\nTwo\nThree'],
    ['One<br><br>Two', 'One\n\nTwo'],
    ['<b>One</b> and\n  <i>two</i>', 'One and two'],
    ['<ul><li>One<li>Two</ul>', '- One\n- Two'],
    ['<table><tr><td>One<td>Two</tr><tr><td>Three</table>', 'One Two\nThree'],
    ['<a href="https://x.example">Here</a>', 'Here'],
    ['Yes<blockquote>No<blockquote>Ho</blockquote></blockquote>', 'Yes\n\n> No\n\n> > Ho'],
    [
      'Caf&eacute; &amp; bar &#8211; 5&nbsp;&euro; &unknown; &#xD800;',
      'Café & bar – 5 € &unknown; &#xD800;',
    ],
    ['<head><title>T</title></head><style>p{}</style>Hi<script>if (a<b) x()</script>!', 'Hi!'],
    ['<!doctype html><!-- no --><?xml?>Hi<!-- open', 'Hi'],
    ['1 < 2 and 3 > 2', '1 < 2 and 3 > 2'],
    ['<style>never closed', 'never closed'],
    ['', ''],
  ])('%s', (html, text) => {
    expect(htmlToText(html)).toBe(text)
  })

  it('takes time in proportion to its length, however it is broken', () => {
    const started = process.threadCpuUsage()

    for (const piece of ['<', '<!--', '<style', '<a href="', '&#', '<blockquote>', '</']) {
      htmlToText(piece.repeat(200_000 / piece.length))
    }

    const { user, system } = process.threadCpuUsage(started) // microseconds
    expect(user + system).toBeLessThan(2_000_000)
  })
})
