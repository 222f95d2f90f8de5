//! Reads the headers of HTTP/2 frames out of passing bytes.
//!
//! h2 keeps two facts to itself that a balanced channel needs: that the peer has said GOAWAY while
//! streams are open, and which streams have been handed to the operating system.

/// The bytes that a client sends before its first frame.
pub(crate) const PREFACE_LEN: u32 = 24;
/// The type of the frame that opens a stream.
pub(crate) const HEADERS: u8 = 0x1;
/// The type of the frame that announces the end of a connection.
pub(crate) const GOAWAY: u8 = 0x7;

const HEAD_LEN: usize = 9;

/// The part of a frame's header that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: u8,
    pub(crate) stream: u32,
}

/// Where in the sequence of frames the passing bytes are.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    /// What is left of the present frame's payload.
    skip: u32,
    head: [u8; HEAD_LEN],
    have: usize,
}

impl Scanner {
    /// A scanner that passes over this many bytes first.
    pub(crate) fn after(skip: u32) -> Self {
        Self {
            skip,
            ..Self::default()
        }
    }

    /// Takes the next bytes and reports every frame whose header ends in them.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut seen: impl FnMut(Head)) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = bytes.len().min(self.skip as usize);
                bytes = &bytes[skipped..];
                self.skip -= u32::try_from(skipped).unwrap_or(self.skip);
                continue;
            }
            let taken = bytes.len().min(HEAD_LEN - self.have);
            self.head[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken;
            bytes = &bytes[taken..];
            if self.have == HEAD_LEN {
                self.have = 0;
                let [a, b, c, kind, _flags, s0, s1, s2, s3] = self.head;
                self.skip = u32::from_be_bytes([0, a, b, c]);
                let stream = u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]);
                seen(Head { kind, stream });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn frames_are_seen_however_they_are_cut(
            frames in proptest::collection::vec((0..70_000usize, any::<u8>(), 0..1u32 << 31), 0..6),
            cuts in proptest::collection::vec(1..40_000usize, 1..20),
        ) {
            let mut bytes = vec![7; PREFACE_LEN as usize];
            for &(len, kind, stream) in &frames {
                bytes.extend_from_slice(&u32::try_from(len).unwrap().to_be_bytes()[1..]);
                bytes.extend_from_slice(&[kind, 0xff]);
                // The reserved bit is to be ignored.
                bytes.extend_from_slice(&(stream | 1 << 31).to_be_bytes());
                bytes.resize(bytes.len() + len, 7);
            }
            let mut scanner = Scanner::after(PREFACE_LEN);
            let mut seen = Vec::new();
            let mut rest = &bytes[..];
            for cut in cuts.iter().cycle() {
                let (now, later) = rest.split_at(rest.len().min(*cut));
                scanner.feed(now, |head| seen.push((head.kind, head.stream)));
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            let want: Vec<_> = frames.iter().map(|&(_, kind, stream)| (kind, stream)).collect();
            prop_assert_eq!(seen, want);
        }
    }
}
