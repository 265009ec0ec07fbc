//! Cuts the stream of octets into responses: a line, its literals, the line after each literal. It knows no grammar beyond
//! that, so an answer that nobody understands costs one answer and not the connection.
//!
//! Invariants: every wait ends (with the connection considered dead); memory is bounded by `keep` for each literal (what is
//! longer is read to its end and thrown away, but for its first [`HEAD`] octets) and by [`MAX_LINE`] for lines; literals are
//! not copied, they are slices of the buffer that they were read into.

use std::{io, time::Duration};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::timeout,
};

use super::error::Fault;

/// How much of an oversized letter is kept, in octets: header and beginning.
pub const HEAD: usize = 64 * 1024;
/// The longest line: a SEARCH answer with two million UIDs has 16 MB.
const MAX_LINE: usize = 16 * 1024 * 1024;
/// How much is read at once, in octets.
const CHUNK: usize = 128 * 1024;
/// Parts of one response beyond which it is no answer of a sane server.
const MAX_PARTS: usize = 512;

/// A connection of any kind, to be read and written.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A piece of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Text of a line, without the `{n}` that announces a literal and without its line end.
    Text(Bytes),
    /// A literal.
    Literal {
        /// Its octets; only the first [`HEAD`] of them if it was longer than allowed.
        bytes: Bytes,
        /// Its full length in octets.
        length: u64,
    },
}

/// A stream with its read buffer.
#[derive(Debug)]
pub(crate) struct Wire<S> {
    stream: S,
    buf: BytesMut,
    /// Literals longer than this are cut to [`HEAD`].
    pub(crate) keep: usize,
}

impl<S: Stream> Wire<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, buf: BytesMut::new(), keep: CHUNK }
    }

    /// The stream itself, if nothing has been read beyond the last response.
    pub(crate) fn into_stream(self) -> Result<S, Fault> {
        if self.buf.is_empty() {
            Ok(self.stream)
        } else {
            Err(Fault::Insecure("the server sent more than its answer before TLS began"))
        }
    }

    /// Writes and flushes.
    pub(crate) async fn write(&mut self, bytes: &[u8], silence: Duration) -> Result<(), Fault> {
        let write = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match timeout(silence, write).await {
            Ok(done) => done.map_err(Fault::Lost),
            Err(_) => Err(Fault::Silence(silence)),
        }
    }

    async fn fill(&mut self, silence: Duration) -> Result<(), Fault> {
        if self.buf.capacity() - self.buf.len() < CHUNK / 8 {
            self.buf.reserve(CHUNK);
        }
        match timeout(silence, self.stream.read_buf(&mut self.buf)).await {
            Ok(Ok(0)) => Err(Fault::Closed),
            Ok(Ok(_)) => Ok(()),
            // what TLS calls a missing close_notify is a closed connection
            Ok(Err(e)) if e.kind() == io::ErrorKind::UnexpectedEof => Err(Fault::Closed),
            Ok(Err(e)) => Err(Fault::Lost(e)),
            Err(_) => Err(Fault::Silence(silence)),
        }
    }

    async fn line(&mut self, silence: Duration) -> Result<Bytes, Fault> {
        let mut seen = 0;
        loop {
            if let Some(at) = self.buf.iter().skip(seen).position(|b| *b == b'\n') {
                let mut line = self.buf.split_to(seen + at + 1);
                while matches!(line.last(), Some(b'\r' | b'\n')) {
                    line.truncate(line.len() - 1);
                }
                return Ok(line.freeze());
            }
            seen = self.buf.len();
            if seen > MAX_LINE {
                return Err(Fault::Garbled("a line without end"));
            }
            self.fill(silence).await?;
        }
    }

    async fn literal(&mut self, length: u64, silence: Duration) -> Result<Bytes, Fault> {
        let whole = usize::try_from(length).ok().filter(|n| *n <= self.keep);
        let wanted = whole.unwrap_or(HEAD);
        if let Some(more) = wanted.checked_sub(self.buf.len()) {
            // exactly what is needed, so that a letter of 25 MB costs 25 MB
            self.buf.reserve(more.max(if wanted > CHUNK { 0 } else { CHUNK }));
            while self.buf.len() < wanted {
                self.fill_literal(silence).await?;
            }
        }
        let bytes = self.buf.split_to(wanted).freeze();
        if wanted > CHUNK {
            // what is left must not pin, nor be read into, the large allocation
            self.buf = BytesMut::from(self.buf.as_ref());
        }
        if whole.is_none() {
            let mut rest = length - wanted as u64;
            while rest > 0 {
                if self.buf.is_empty() {
                    self.fill(silence).await?;
                }
                let n = self.buf.len().min(usize::try_from(rest).unwrap_or(usize::MAX));
                self.buf.advance(n);
                rest -= n as u64;
            }
        }
        Ok(bytes)
    }

    /// As [`Self::fill`], but never grows a buffer that has just been given its size.
    async fn fill_literal(&mut self, silence: Duration) -> Result<(), Fault> {
        match timeout(silence, self.stream.read_buf(&mut self.buf)).await {
            Ok(Ok(0)) => Err(Fault::Closed),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(e)) if e.kind() == io::ErrorKind::UnexpectedEof => Err(Fault::Closed),
            Ok(Err(e)) => Err(Fault::Lost(e)),
            Err(_) => Err(Fault::Silence(silence)),
        }
    }

    /// The next response, in its parts. Cancel-safe only between responses: dropped in the middle, the connection is spent.
    pub(crate) async fn response(&mut self, silence: Duration) -> Result<Vec<Part>, Fault> {
        let first = self.line(silence).await?;
        let mut parts = Vec::with_capacity(3);
        let mut line = first;
        let mut kept = 0usize;
        let may_have_literals = has_literals(&line);
        loop {
            let announced = if may_have_literals { literal_length(&line)? } else { None };
            let Some((text_end, length)) = announced else {
                parts.push(Part::Text(line));
                return Ok(parts);
            };
            parts.push(Part::Text(line.slice(..text_end)));
            let bytes = self.literal(length, silence).await?;
            kept = kept.saturating_add(bytes.len());
            if parts.len() > MAX_PARTS || kept > self.keep.saturating_add(MAX_LINE) {
                return Err(Fault::Garbled("an answer without end"));
            }
            parts.push(Part::Literal { bytes, length });
            line = self.line(silence).await?;
        }
    }

    /// True if something has already been read that nobody has looked at.
    pub(crate) fn has_more(&self) -> bool {
        !self.buf.is_empty()
    }

    /// Waits until there is something to read.
    pub(crate) async fn readable(&mut self, silence: Duration) -> Result<(), Fault> {
        if self.buf.is_empty() { self.fill(silence).await } else { Ok(()) }
    }
}

/// Only untagged data has literals. The text of `* OK ...`, of tagged answers and of `+` is for people and may end in anything.
fn has_literals(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"* ") else { return false };
    let word: Vec<u8> =
        rest.iter().take_while(|b| !b.is_ascii_whitespace()).take(8).map(u8::to_ascii_uppercase).collect();
    !matches!(word.as_slice(), b"OK" | b"NO" | b"BAD" | b"BYE" | b"PREAUTH")
}

/// `... {42}`, `... {42+}`, `... ~{42}`: where the text ends and how long the literal is.
fn literal_length(line: &[u8]) -> Result<Option<(usize, u64)>, Fault> {
    let Some(inner) = line.strip_suffix(b"}") else { return Ok(None) };
    let Some(open) = inner.iter().rposition(|b| *b == b'{') else { return Ok(None) };
    let digits = inner.get(open + 1..).unwrap_or_default();
    let digits = digits.strip_suffix(b"+").unwrap_or(digits);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Ok(None);
    }
    let length = std::str::from_utf8(digits)
        .ok()
        .and_then(|d| d.parse::<u32>().ok())
        .ok_or(Fault::Garbled("a literal of more than 4 GB"))?;
    let text = line.get(..open).unwrap_or_default();
    // RFC 3516: a binary literal
    let text = text.strip_suffix(b"~").unwrap_or(text);
    Ok(Some((text.len(), u64::from(length))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENCE: Duration = Duration::from_secs(5);

    async fn all(input: Vec<u8>, keep: usize) -> Vec<Result<Vec<Part>, Fault>> {
        let (ours, mut theirs) = tokio::io::duplex(7);
        tokio::spawn(async move {
            theirs.write_all(&input).await.expect("the reader is still there");
        });
        let mut wire = Wire::new(ours);
        wire.keep = keep;
        let mut out = Vec::new();
        loop {
            let next = wire.response(SILENCE).await;
            let end = next.is_err();
            out.push(next);
            if end {
                return out;
            }
        }
    }

    fn text(s: &str) -> Part {
        Part::Text(Bytes::copy_from_slice(s.as_bytes()))
    }

    #[tokio::test]
    async fn lines_and_literals() {
        let got =
            all(b"* 1 FETCH (BODY[] {3}\r\na\r\n UID 7)\r\n* OK look {9}\r\nA1 OK x\n".to_vec(), 100).await;
        let literal = Part::Literal { bytes: Bytes::from_static(b"a\r\n"), length: 3 };
        assert_eq!(
            got[0].as_ref().expect("a response"),
            &[text("* 1 FETCH (BODY[] "), literal, text(" UID 7)")]
        );
        assert_eq!(got[1].as_ref().expect("a response"), &[text("* OK look {9}")]);
        assert_eq!(got[2].as_ref().expect("a response"), &[text("A1 OK x")]);
        assert!(matches!(got[3], Err(Fault::Closed)));
    }

    #[tokio::test]
    async fn a_literal_that_is_too_long_keeps_its_beginning_only() {
        let mut input = b"* 1 FETCH (BODY[] {200000}\r\n".to_vec();
        input.extend(std::iter::repeat_n(b'x', 200_000));
        input.extend_from_slice(b")\r\nA1 OK\r\n");
        let got = all(input, 100_000).await;
        let Ok([_, Part::Literal { bytes, length: 200_000 }, _]) = got[0].as_deref() else {
            panic!("{:?}", got[0]);
        };
        assert_eq!(bytes.len(), HEAD);
        assert_eq!(got[1].as_ref().expect("a response"), &[text("A1 OK")]);
    }

    #[tokio::test]
    async fn the_end_within_a_literal_is_an_end() {
        let got = all(b"* 1 FETCH (BODY[] {30}\r\nabc".to_vec(), 100).await;
        assert!(matches!(got[0], Err(Fault::Closed)));
    }

    #[tokio::test]
    async fn absurd_lengths_are_garbage() {
        let got = all(b"* 1 FETCH (BODY[] {99999999999}\r\nabc".to_vec(), 100).await;
        assert!(matches!(got[0], Err(Fault::Garbled(_))));
    }

    proptest::proptest! {
        /// Whatever comes, in whatever pieces: responses, then an end. Nothing panics, nothing is kept beyond the limit.
        #[test]
        fn every_stream_ends(
            pieces in proptest::collection::vec("(\\* [0-9] FETCH \\(|BODY\\[\\] |\\{[0-9]{1,3}\\+?\\}|~|\r\n|\n|[ -~]{0,9}|\\))", 0..30)
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let got = runtime.block_on(all(pieces.concat().into_bytes(), 50));
            proptest::prop_assert!(got.last().is_some_and(Result::is_err));
        }
    }
}
