//! What async-imap reads from: one response at a time, complete, bounded, and such as its parser can read.
//!
//! async-imap gives up a connection at whatever its parser does not know, waits without end, and buffers up to 512 MB. So it
//! is not given the server's stream. [`Wire::prepare`] cuts the octets into responses (a line, its literals, the line after each
//! literal), has them mended ([`super::mend`]) and lays one ready; only then the library is asked, reads it and never waits.
//!
//! Invariants: every wait ends (with the connection considered dead); memory is bounded by `keep` for each literal (what is
//! longer is read to its end and thrown away, but for its first [`HEAD`] octets) and by [`MAX_LINE`] for lines; literals are
//! slices of the buffer that they were read into, and copied once, by the library; the library never holds an octet of a
//! response that has not been asked for.

use std::{
    collections::VecDeque,
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, BufWriter, ReadBuf},
    time::timeout,
};

use super::{
    error::Fault,
    mend::{Mended, Numbers, mend},
};

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
pub(crate) enum Part {
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

/// A stream, what was read from it, and the response that lies ready.
pub(crate) struct Wire<S> {
    /// Buffered, because the library writes a command in four pieces.
    stream: BufWriter<S>,
    buf: BytesMut,
    ready: VecDeque<Bytes>,
    /// What is left of a SEARCH answer.
    numbers: Option<Numbers>,
    /// What was written before anything may go out (see [`Self::new`]).
    aside: Option<Vec<u8>>,
    /// Literals longer than this are cut to [`HEAD`].
    pub(crate) keep: usize,
    /// The full length of the letter in the response that lies ready, if it was cut.
    pub(crate) cut: Option<u64>,
}

impl<S> fmt::Debug for Wire<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

impl<S: Stream> Wire<S> {
    /// async-imap hands out a `Session`, which alone gives commands, to whoever has logged in with its own LOGIN. That one knows
    /// neither literals nor PREAUTH and does not tell refusals apart, so it is put aside and answered here, before anything
    /// goes out; [`Self::open`] ends that.
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream: BufWriter::new(stream),
            buf: BytesMut::new(),
            ready: VecDeque::new(),
            numbers: None,
            aside: Some(Vec::new()),
            keep: CHUNK,
            cut: None,
        }
    }

    /// From here on what is written goes out.
    pub(crate) fn open(&mut self) {
        self.aside = None;
    }

    /// Lays the next response ready for the library. False: one came that has nothing to say to us.
    pub(crate) async fn prepare(&mut self, silence: Duration) -> Result<bool, Fault> {
        self.ready.clear();
        self.cut = None;
        if self.numbers.is_none() {
            match mend(&self.response(silence).await?) {
                Mended::Response { pieces, cut } => {
                    self.ready = pieces;
                    self.cut = cut;
                }
                Mended::Numbers(numbers) => self.numbers = Some(numbers),
                Mended::Nothing => return Ok(false),
            }
        }
        if let Some(numbers) = &mut self.numbers {
            self.ready.push_back(numbers.line());
            self.numbers.take_if(|n| n.is_done());
        }
        Ok(true)
    }

    async fn fill(&mut self, silence: Duration) -> Result<(), Fault> {
        if self.buf.capacity() - self.buf.len() < CHUNK / 8 {
            self.buf.reserve(CHUNK);
        }
        self.read(silence).await
    }

    async fn read(&mut self, silence: Duration) -> Result<(), Fault> {
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
            if let Some(at) = memchr::memchr(b'\n', self.buf.get(seen..).unwrap_or_default()) {
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
                // never grows a buffer that has just been given its size
                self.read(silence).await?;
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

    /// The next response, in its parts. Cancel-safe only between responses: dropped in the middle, the connection is spent.
    async fn response(&mut self, silence: Duration) -> Result<Vec<Part>, Fault> {
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
        !self.buf.is_empty() || self.numbers.is_some()
    }

    /// What was read and not looked at yet.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.buf
    }

    /// True if the library has read all that was laid ready.
    pub(crate) fn is_read(&self) -> bool {
        self.ready.is_empty()
    }

    /// Waits until there is something to read.
    pub(crate) async fn readable(&mut self, silence: Duration) -> Result<(), Fault> {
        if self.has_more() { Ok(()) } else { self.fill(silence).await }
    }
}

impl<S: Stream> AsyncRead for Wire<S> {
    /// Never waits: what lies ready, or the end.
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(login) = self.aside.as_mut().map(std::mem::take).filter(|login| !login.is_empty()) {
            let tag: Vec<u8> = login.into_iter().take_while(|b| *b != b' ').collect();
            self.ready.push_back([tag.as_slice(), b" OK\r\n"].concat().into());
        }
        while let Some(piece) = self.ready.front_mut().filter(|_| buf.remaining() > 0) {
            buf.put_slice(&piece.split_to(piece.len().min(buf.remaining())));
            if piece.is_empty() {
                self.ready.pop_front();
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(aside) = &mut self.aside {
            aside.extend_from_slice(buf);
            return Poll::Ready(Ok(buf.len()));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
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
    use tokio::io::AsyncWriteExt as _;

    use super::*;
    use crate::imap::fuzz::heard;

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

    #[tokio::test]
    async fn the_library_gets_one_response_at_a_time() {
        let (heard, end) = heard(
            b"* OK hi\r\n* WHAT (\r\n* ESEARCH ALL 1:400\n* 1 FETCH (UID 7 BODY[] ~{3+}\r\na\r\n)\r\nA1 OK\r\nA2 O".to_vec(),
            7,
            100,
        )
        .await;
        assert!(matches!(end, Fault::Closed));
        let known: Vec<&str> = heard.iter().map(|h| h.as_deref().unwrap_or("-")).collect();
        let [ok, "-", first, second, fetch, done] = known.as_slice() else { panic!("{known:?}") };
        assert!(ok.starts_with("Data") && done.starts_with("Done"));
        assert!(first.contains("[1, 2, ") && second.ends_with(", 399, 400]))"));
        assert!(fetch.contains("Uid(7)") && fetch.contains("[97, 13, 10]"), "{fetch}");
    }

    #[tokio::test]
    async fn nothing_goes_out_before_it_is_opened() {
        let (ours, mut theirs) = tokio::io::duplex(1000);
        let mut imap = async_imap::Client::new(Wire::new(ours)).login("", "").await.expect("answered here");
        imap.get_mut().open();
        imap.run_command("NOOP").await.expect("sent");
        drop(imap);
        let mut sent = String::new();
        theirs.read_to_string(&mut sent).await.expect("readable");
        assert_eq!(sent, "A0002 NOOP\r\n");
    }

    proptest::proptest! {
        /// Whatever comes, in whatever pieces: responses, then an end. Nothing panics, nothing is kept beyond the limit, and the
        /// library can read all that it is given.
        #[test]
        fn every_stream_ends(
            pieces in proptest::collection::vec("(\\* [0-9] FETCH \\(|BODY\\[\\] |UID 7 |\\* OK \\[?|\\{[0-9]{1,3}\\+?\\}|~|\r\n|\n|[ -~]{0,9}|\\))", 0..30)
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let input = pieces.concat().into_bytes();
            let got = runtime.block_on(all(input.clone(), 50));
            proptest::prop_assert!(got.last().is_some_and(Result::is_err));
            runtime.block_on(heard(input, 7, 50));
        }
    }
}
