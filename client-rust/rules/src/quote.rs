//! How errors repeat values.

use std::fmt::Write;

/// Bounds what an error repeats of a value.
const LONGEST_QUOTE: usize = 128;

/// Writes a value into an error: in double quotes, and every byte that is not printable ASCII, `"`
/// or `\` as `\xNN`, so that what only looks right shows. Of a long value it shows the beginning.
#[must_use]
pub fn quote(text: impl AsRef<[u8]>) -> String {
    let text = text.as_ref();
    let shown = &text[..text.len().min(LONGEST_QUOTE)];
    let mut out = String::with_capacity(shown.len() + 2);
    out.push('"');
    for &c in shown {
        if (0x20..=0x7e).contains(&c) && c != b'"' && c != b'\\' {
            out.push(char::from(c));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "\\x{c:02x}");
        }
    }
    out.push('"');
    if shown.len() < text.len() {
        out.push('…');
    }
    out
}
