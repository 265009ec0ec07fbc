//! A message as a tree of parts.
//!
//! Our own splitter, and not mail-parser's, for what it must guarantee: work linear in the size (mail-parser 0.11 reads to
//! the end for every part that names a boundary which never comes, ADR 13), at most so many parts and
//! levels, and a part that was cut in the middle keeps its transfer encoding. Each multipart is cut at the lines of its
//! own boundary first, so that what is broken within a part cannot reach its neighbours. A message within a message
//! stays one part; it is split only when somebody asks for what is in it.
//!
//! Parts are numbered as in IMAP (RFC 9051, section 6.4.5): the only part of a simple message is 1, the second part of
//! the first part of a multipart is 1.2.

use super::{
    header::{self, Fields},
    params::Params,
    transfer::Transfer,
};

/// Limits of the splitter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Parts beyond this are not looked at.
    pub(crate) parts: usize,
    /// Multiparts nested deeper than this stay whole.
    pub(crate) depth: usize,
}

/// What a part is, beside its bytes.
#[derive(Debug)]
pub(crate) struct Part<'x> {
    /// Section number.
    pub(crate) path: Vec<u32>,
    /// Its head.
    pub(crate) fields: Fields<'x>,
    /// Content-Type; `text/plain` where there is none.
    pub(crate) content: Params,
    /// Content-Disposition; empty where there is none.
    pub(crate) disposition: Params,
    /// The part as it stands, head and all: what a signature is made over.
    pub(crate) raw: &'x [u8],
    /// Everything after the head, still encoded.
    pub(crate) body: &'x [u8],
    /// The parts of a multipart.
    pub(crate) children: Vec<Part<'x>>,
    /// What stands before the first boundary.
    pub(crate) preamble: &'x [u8],
}

/// What happened while splitting.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// Parts were left out because there are too many.
    pub(crate) parts: bool,
    /// Something is nested too deeply and was left whole.
    pub(crate) depth: bool,
    /// A multipart whose boundary is missing, or that was cut before its end.
    pub(crate) broken: bool,
}

impl<'x> Part<'x> {
    /// The media type without parameters.
    pub(crate) fn media(&self) -> &str {
        &self.content.value
    }
    /// True for a multipart that could be split.
    pub(crate) fn is_multipart(&self) -> bool {
        !self.children.is_empty()
    }
    /// How the body is encoded.
    pub(crate) fn transfer(&self) -> Transfer {
        Transfer::of(self.fields.word("content-transfer-encoding").as_deref())
    }
    /// True for a message within the message.
    pub(crate) fn is_message(&self) -> bool {
        matches!(self.media(), "message/rfc822" | "message/global" | "message/news")
    }
    /// True for what can hold a message: declared as one, or named like the letter of certified mail, of which some senders
    /// forget the type. A text is read as text whatever its name.
    pub(crate) fn holds_letter(&self) -> bool {
        self.is_message()
            || (self.is_named("postacert.eml")
                && !self.media().starts_with("text/")
                && !self.media().starts_with("multipart/")
                && self.media() != "application/xhtml+xml")
    }
    /// True if the declared file name is this one, whatever its case.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.file_name().is_some_and(|declared| declared.trim().eq_ignore_ascii_case(name))
    }
    /// A part that was no part of a MIME message: a file within a container.
    pub(crate) fn made(
        path: Vec<u32>,
        media: String,
        name: Option<String>,
        charset: Option<String>,
        body: &'x [u8],
    ) -> Self {
        let charset = charset.into_iter().map(|charset| ("charset".to_owned(), charset)).collect();
        let (disposition, file) = match name {
            Some(name) => ("attachment", vec![("filename".to_owned(), name)]),
            None => ("", Vec::new()),
        };
        Part {
            path,
            fields: Fields::default(),
            content: Params::new(media, charset),
            disposition: Params::new(disposition.to_owned(), file),
            raw: body,
            body,
            children: Vec::new(),
            preamble: &[],
        }
    }
    /// The leaf with this number, to be given parts.
    pub(crate) fn leaf_mut(&mut self, path: &[u32]) -> Option<&mut Self> {
        let below = if self.is_multipart() && !self.wraps() { path } else { path.get(1..)? };
        let mut part = self;
        for n in below {
            part = part.children.get_mut(usize::try_from(n.checked_sub(1)?).ok()?)?;
        }
        Some(part)
    }
    /// Every part that has no parts, in order.
    pub(crate) fn leaves(&self) -> Vec<&Part<'x>> {
        let mut out = Vec::new();
        let mut open = vec![self];
        while let Some(part) = open.pop() {
            if part.is_multipart() {
                open.extend(part.children.iter().rev());
            } else {
                out.push(part);
            }
        }
        out
    }
    /// The declared file name.
    pub(crate) fn file_name(&self) -> Option<&str> {
        let name = self.disposition.get("filename").or_else(|| self.disposition.get("name"));
        name.or_else(|| self.content.get("name"))
            .or_else(|| self.content.get("filename"))
            .filter(|n| !n.trim().is_empty())
    }
    /// True for a part that is no multipart and was opened: what it wraps are its parts.
    fn wraps(&self) -> bool {
        self.is_multipart() && !self.media().starts_with("multipart/")
    }
    /// The part with this number within a tree of which `self` is the root, and what is left of the number when a
    /// leaf is reached. A part that wraps others is found as a whole, too.
    pub(crate) fn find<'a, 'p>(&'a self, path: &'p [u32]) -> Option<(&'a Part<'x>, &'p [u32])> {
        let (mut part, mut rest) = (self, path);
        if !self.is_multipart() || self.wraps() {
            // The only part is 1.
            let (first, tail) = path.split_first()?;
            rest = (*first == 1).then_some(tail)?;
        }
        while part.is_multipart() {
            let Some((next, tail)) = rest.split_first() else {
                return part.wraps().then_some((part, rest));
            };
            part = part.children.get(usize::try_from(next.checked_sub(1)?).ok()?)?;
            rest = tail;
        }
        Some((part, rest))
    }
}

/// Splits a whole message. The second value says what went wrong.
pub(crate) fn parse(raw: &[u8], limits: Limits) -> (Part<'_>, Trouble) {
    let (mut root, trouble) = parse_at(raw, Vec::new(), limits);
    if !root.is_multipart() {
        root.path = vec![1];
    }
    (root, trouble)
}

/// Splits what stands at this number of a larger tree.
pub(crate) fn parse_at(raw: &[u8], path: Vec<u32>, limits: Limits) -> (Part<'_>, Trouble) {
    let mut splitter =
        Splitter { left: limits.parts.max(1), depth: limits.depth, trouble: Trouble::default() };
    let root = splitter.part(raw, path, 0, "text/plain");
    (root, splitter.trouble)
}

struct Splitter {
    left: usize,
    depth: usize,
    trouble: Trouble,
}

impl Splitter {
    fn part<'x>(&mut self, raw: &'x [u8], path: Vec<u32>, level: usize, default: &str) -> Part<'x> {
        self.left = self.left.saturating_sub(1);
        let (fields, body) = header::split(raw);
        let mut content = fields.get("content-type").map(Params::parse).unwrap_or_default();
        if !content.value.contains('/') || content.value.len() > 127 {
            // `text`, `pdf`, nothing: what the context says.
            content.value = if content.value == "html" { "text/html".to_owned() } else { default.to_owned() };
        }
        let disposition = fields.get("content-disposition").map(Params::parse).unwrap_or_default();
        let mut part =
            Part { path, fields, content, disposition, raw, body, children: Vec::new(), preamble: &[] };
        if part.media().starts_with("multipart/") {
            self.multipart(&mut part, level);
        }
        part
    }

    fn multipart(&mut self, part: &mut Part<'_>, level: usize) {
        if level >= self.depth {
            self.trouble.depth = true;
            return;
        }
        let declared =
            part.content.get("boundary").filter(|b| !b.is_empty() && b.len() <= 1000).map(str::as_bytes);
        let pieces = declared.and_then(|boundary| cut(part.body, boundary, self.left)).or_else(|| {
            self.trouble.broken = true;
            // Undeclared or wrongly declared: a line `--x` that is followed by a part's head gives it away.
            cut(part.body, guess_boundary(part.body)?, self.left)
        });
        let Some(pieces) = pieces else { return };
        self.trouble.broken |= !pieces.closed && !pieces.more;
        self.trouble.parts |= pieces.more;
        part.preamble = pieces.preamble;
        let default = if part.media() == "multipart/digest" { "message/rfc822" } else { "text/plain" };
        for (n, piece) in (1..).zip(pieces.parts) {
            if self.left == 0 {
                self.trouble.parts = true;
                break;
            }
            let mut path = part.path.clone();
            path.push(n);
            let child = self.part(piece, path, level + 1, default);
            part.children.push(child);
        }
    }
}

/// The pieces between boundaries.
struct Pieces<'x> {
    preamble: &'x [u8],
    parts: Vec<&'x [u8]>,
    /// The closing boundary is there.
    closed: bool,
    /// There were more than allowed.
    more: bool,
}

/// Cuts `body` at the lines that consist of `--boundary`, or None if there is none. What follows a closing line is left
/// out, unless further lines of the same boundary follow (inner and outer multipart have been given the same one).
fn cut<'x>(body: &'x [u8], boundary: &[u8], max: usize) -> Option<Pieces<'x>> {
    let boundary = boundary.trim_ascii_end();
    let mut needle = Vec::with_capacity(boundary.len() + 2);
    needle.extend_from_slice(b"--");
    needle.extend_from_slice(boundary);
    let finder = memchr::memmem::Finder::new(&needle);
    let mut parts = Vec::new();
    let mut preamble: Option<&'x [u8]> = None;
    // Where the present piece begins; None after a closing line.
    let mut open: Option<usize> = Some(0);
    let (mut closed, mut more) = (false, false);
    for at in finder.find_iter(body) {
        let line_start = at == 0 || body.get(at - 1) == Some(&b'\n');
        let after = at + needle.len();
        let Some(tail) = body.get(after..) else { break };
        let (line_len, next) = match memchr::memchr(b'\n', tail.get(..1000).unwrap_or(tail)) {
            Some(n) => (n, after + n + 1),
            None => (tail.len(), body.len()),
        };
        let rest = tail.get(..line_len).unwrap_or_default().trim_ascii();
        let closing = rest == b"--" || (rest.starts_with(b"--") && line_start);
        if !line_start || !(rest.is_empty() || closing) {
            continue;
        }
        let end = match body.get(..at) {
            Some(before) => {
                before.strip_suffix(b"\n").map_or(at, |b| b.strip_suffix(b"\r").unwrap_or(b).len())
            }
            None => at,
        };
        match (open, preamble) {
            (Some(start), None) => preamble = Some(body.get(start..end).unwrap_or_default()),
            (Some(start), Some(_)) => {
                if parts.len() >= max {
                    more = true;
                    break;
                }
                parts.push(body.get(start..end.max(start)).unwrap_or_default());
            }
            (None, _) => {}
        }
        closed = closing;
        open = (!closing).then_some(next);
    }
    let preamble = preamble?;
    if let Some(start) = open
        && !more
    {
        // Cut before the closing line: the rest is the last part.
        let last = body.get(start..).unwrap_or_default();
        if !last.trim_ascii().is_empty() && parts.len() < max {
            parts.push(last);
        }
    }
    (!parts.is_empty()).then_some(Pieces { preamble, parts, closed, more })
}

/// The first line `--x` within the first 64 kB that a part's head follows.
fn guess_boundary(body: &[u8]) -> Option<&[u8]> {
    let head = body.get(..65_536).unwrap_or(body);
    let mut lines = head.split(|b| *b == b'\n').peekable();
    while let Some(line) = lines.next() {
        let line = line.trim_ascii_end();
        if let Some(boundary) = line.strip_prefix(b"--")
            && (4..=200).contains(&boundary.len())
            && lines.peek().is_some_and(|next| {
                next.len() > 8 && next.iter().take(8).map(u8::to_ascii_lowercase).eq(*b"content-")
            })
        {
            return Some(boundary);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { parts: 100, depth: 10 };

    fn types(part: &Part<'_>) -> String {
        if part.children.is_empty() {
            return part.media().to_owned();
        }
        let inner: Vec<String> = part.children.iter().map(types).collect();
        format!("{}({})", part.media(), inner.join(","))
    }

    #[test]
    fn a_boundary_that_begins_like_another_is_told_apart() {
        let raw = b"Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/alternative; boundary=ab\n\n--ab\n\nx\n--ab\nContent-Type: text/html\n\ny\n--ab--\n--a\nContent-Type: application/pdf\n\nz\n--a--\n";
        let (root, trouble) = parse(raw, LIMITS);
        assert_eq!(
            types(&root),
            "multipart/mixed(multipart/alternative(text/plain,text/html),application/pdf)"
        );
        assert_eq!(trouble, Trouble::default());
        let (pdf, rest) = root.find(&[2]).expect("there");
        assert_eq!((pdf.body, rest.is_empty()), (&b"z"[..], true));
        assert_eq!(root.find(&[1, 2]).expect("there").0.body, b"y");
        assert!(root.find(&[3]).is_none() && root.find(&[0]).is_none() && root.find(&[]).is_none());
    }

    #[test]
    fn the_same_boundary_inside_and_outside_loses_nothing() {
        let raw = b"Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/alternative; boundary=a\n\n--a\n\nuno\n--a--\n--a\nContent-Type: application/pdf\n\nz\n--a--\n";
        let (root, _) = parse(raw, LIMITS);
        assert_eq!(types(&root), "multipart/mixed(multipart/alternative,text/plain,application/pdf)");
    }

    #[test]
    fn an_undeclared_boundary_is_found() {
        let raw = b"Content-Type: multipart/mixed\n\n--xyz12\nContent-Type: text/plain\n\nuno\n--xyz12--\n";
        let (root, trouble) = parse(raw, LIMITS);
        assert_eq!(types(&root), "multipart/mixed(text/plain)");
        assert!(trouble.broken);
    }

    #[test]
    fn limits_hold() {
        let mut raw = b"Content-Type: multipart/mixed; boundary=a\n\n".to_vec();
        for _ in 0..1000 {
            raw.extend_from_slice(b"--a\n\nx\n");
        }
        let (root, trouble) = parse(&raw, LIMITS);
        assert!(trouble.parts && root.children.len() <= 100);
        let mut deep = Vec::new();
        for n in 0..1000 {
            deep.extend_from_slice(
                format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n").as_bytes(),
            );
        }
        let (_, trouble) = parse(&deep, LIMITS);
        assert!(trouble.depth);
    }
}
