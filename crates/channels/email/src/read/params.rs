//! Content-Type and Content-Disposition: the value and its parameters, with the continuations and charsets of RFC 2231
//! and with what senders write instead of them (encoded words within quotes, missing quotes, raw bytes).
//!
//! Segments are joined as bytes before they are decoded, since a name may be split within a character.

use super::{charset, transfer, words};

/// No value is read beyond this.
const MAX_FIELD: usize = 16 * 1024;
/// No more parameters than this.
const MAX_PARAMS: usize = 200;

/// A parsed field: `value; name=..; name=..`.
#[derive(Debug, Default, Clone)]
pub(crate) struct Params {
    /// What stands before the first semicolon, lower case: `text/plain`, `attachment`.
    pub(crate) value: String,
    list: Vec<(String, String)>,
}

/// One `name*2*=value` as it stands.
struct Segment {
    name: String,
    index: Option<u32>,
    encoded: bool,
    value: Vec<u8>,
}

impl Params {
    /// A value with its parameters, whose names are in lower case.
    pub(crate) fn new(value: String, list: Vec<(String, String)>) -> Self {
        Self { value, list }
    }

    /// A parameter, decoded, by its lower-case name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.list.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Reads a field's raw value.
    pub(crate) fn parse(raw: &[u8]) -> Self {
        let raw = raw.get(..MAX_FIELD).unwrap_or(raw);
        let end = raw.iter().position(|b| *b == b';').unwrap_or(raw.len());
        let (head, mut rest) = raw.split_at(end);
        let value = String::from_utf8_lossy(head)
            .trim_matches(|c: char| c.is_whitespace() || c == '"')
            .to_ascii_lowercase();
        // `text/plain charset=utf-8`: the semicolon forgotten.
        let (value, forgotten) = match value.split_once(char::is_whitespace) {
            Some((first, _)) => {
                let at = head.trim_ascii_start();
                let lead = head.len() - at.len();
                (first.to_owned(), head.get(lead + first.len()..))
            }
            None => (value, None),
        };
        let mut segments = Vec::new();
        if let Some(mut forgotten) = forgotten
            && memchr::memchr(b'=', forgotten).is_some()
        {
            while let Some(segment) = next_segment(&mut forgotten) {
                segments.push(segment);
            }
        }
        while segments.len() < MAX_PARAMS
            && let Some(segment) = next_segment(&mut rest)
        {
            segments.push(segment);
        }
        Self {
            value: value.chars().filter(|c| !c.is_whitespace() && *c != '\0').collect(),
            list: join(segments),
        }
    }
}

/// Takes the next `; name=value` off `rest`.
fn next_segment(rest: &mut &[u8]) -> Option<Segment> {
    loop {
        let start = rest.iter().position(|b| !matches!(b, b';' | b' ' | b'\t' | b'\r' | b'\n'))?;
        let at = rest.get(start..)?;
        let stop = at.iter().position(|b| matches!(b, b'=' | b';')).unwrap_or(at.len());
        let (name, after) = at.split_at(stop);
        let Some(after) = after.strip_prefix(b"=") else {
            // A word without value, or the end.
            *rest = after;
            if after.is_empty() {
                return None;
            }
            continue;
        };
        let after = after.trim_ascii_start();
        let (value, tail) = if let Some(quoted) = after.strip_prefix(b"\"") {
            quoted_value(quoted)
        } else {
            bare_value(after)
        };
        *rest = tail;
        let name = String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase();
        let (name, encoded) = match name.strip_suffix('*') {
            Some(name) => (name.to_owned(), true),
            None => (name, false),
        };
        let (name, index) = match name.rsplit_once('*') {
            Some((base, n)) => match n.parse() {
                Ok(n) => (base.to_owned(), Some(n)),
                Err(_) => (name, None),
            },
            None => (name, None),
        };
        return Some(Segment { name, index, encoded, value });
    }
}

/// A quoted string up to its closing quote, with escapes undone; without one, up to the end of the line.
fn quoted_value(at: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut out = Vec::new();
    let mut bytes = at.iter().enumerate();
    while let Some((i, &b)) = bytes.next() {
        match b {
            b'"' => return (out, at.get(i + 1..).unwrap_or_default()),
            // Windows paths are sent unescaped: a backslash escapes quotes and itself only.
            b'\\' => match at.get(i + 1) {
                Some(next @ (b'"' | b'\\')) => {
                    out.push(*next);
                    bytes.next();
                }
                _ => out.push(b'\\'),
            },
            b'\r' | b'\n' => {}
            other => out.push(other),
        }
    }
    // The closing quote is missing: what follows a semicolon is another parameter.
    let end = at.iter().position(|b| matches!(b, b';' | b'\r' | b'\n')).unwrap_or(at.len());
    let (value, rest) = at.split_at(end);
    (value.to_vec(), rest)
}

/// An unquoted value: up to the semicolon. File names with blanks are sent without quotes, so blanks do not end it, but a
/// further `name=` after blanks does (the semicolon forgotten).
fn bare_value(at: &[u8]) -> (Vec<u8>, &[u8]) {
    let end = at.iter().position(|b| *b == b';').unwrap_or(at.len());
    let (mut value, mut rest) = at.split_at(end);
    let mut from = 0;
    while let Some(blank) =
        value.get(from..).and_then(|v| v.iter().position(u8::is_ascii_whitespace)).map(|p| p + from)
    {
        let next = value.get(blank..).unwrap_or_default();
        let word = next.trim_ascii_start();
        let name = word.iter().take_while(|b| b.is_ascii_alphabetic() || matches!(b, b'*' | b'-')).count();
        if name > 0 && word.get(name) == Some(&b'=') && word.get(name + 1) != Some(&b'?') {
            rest = at.get(blank..).unwrap_or_default();
            value = value.get(..blank).unwrap_or_default();
            break;
        }
        from = value.len() - word.len();
    }
    (value.trim_ascii().to_vec(), rest)
}

/// Joins continuations and decodes.
fn join(segments: Vec<Segment>) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = Vec::new();
    let mut continued: Vec<Segment> = Vec::new();
    for segment in segments {
        if segment.index.is_some() || segment.encoded {
            continued.push(segment);
        } else if !out.iter().any(|(name, _)| *name == segment.name) {
            out.push((segment.name, words::decode(&segment.value)));
        }
    }
    // Sorted by name and position; a file may have both `name` and `name*`: the encoded one is better.
    continued.sort_by(|a, b| (&a.name, a.index).cmp(&(&b.name, b.index)));
    for group in continued.chunk_by(|a, b| a.name == b.name) {
        let Some(first) = group.first() else { continue };
        let mut label = None;
        let mut bytes = Vec::new();
        for (n, segment) in group.iter().enumerate() {
            let mut value = segment.value.as_slice();
            if segment.encoded {
                if n == 0
                    && let Some((charset, rest)) = split_charset(value)
                {
                    label = Some(String::from_utf8_lossy(charset).into_owned());
                    value = rest;
                }
                bytes.extend(transfer::percent(value));
            } else {
                bytes.extend_from_slice(value);
            }
        }
        let text = charset::decode(&bytes, label.as_deref().filter(|l| !l.is_empty()));
        // Some senders put encoded words even here.
        let text = words::decode(text.as_bytes());
        match out.iter_mut().find(|(name, _)| *name == first.name) {
            Some((_, value)) => *value = text,
            None => out.push((first.name.clone(), text)),
        }
    }
    out
}

/// `utf-8'it'rest` to charset and rest.
fn split_charset(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut parts = value.splitn(3, |b| *b == b'\'');
    let charset = parts.next()?;
    parts.next()?;
    Some((charset, parts.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(raw: &str, name: &str) -> String {
        Params::parse(raw.as_bytes()).get(name).unwrap_or("-").to_owned()
    }

    #[test]
    fn names_in_every_spelling() {
        assert_eq!(
            get("application/pdf; name=\"planimetria; piano 1.pdf\"", "name"),
            "planimetria; piano 1.pdf"
        );
        assert_eq!(get("application/pdf; name=foto della buca.jpg; x=1", "name"), "foto della buca.jpg");
        assert_eq!(get("attachment; filename*=utf-8''citt%C3%A0.pdf", "filename"), "città.pdf");
        assert_eq!(
            get("attachment; filename*=ISO-8859-1'it'citt%E0.pdf; filename=citta.pdf", "filename"),
            "città.pdf"
        );
        assert_eq!(
            get("attachment; filename*0*=utf-8''citt%C3; filename*1*=%A0; filename*2=\".pdf\"", "filename"),
            "città.pdf"
        );
        assert_eq!(
            get("attachment; filename*1*=%A0.pdf; filename*0*=utf-8''citt%C3", "filename"),
            "città.pdf"
        );
        assert_eq!(get("attachment; filename=\"=?utf-8?Q?citt=C3=A0.pdf?=\"", "filename"), "città.pdf");
        assert_eq!(get("attachment; filename==?utf-8?B?Y2l0dMOgLnBkZg==?=", "filename"), "città.pdf");
        assert_eq!(get("attachment; filename=\"citt\u{e0}.pdf\"", "filename"), "città.pdf");
        assert_eq!(get("attachment; filename=\"rotto.pdf\r\n", "filename"), "rotto.pdf");
        assert_eq!(
            get("attachment; filename=\"C:\\Documenti\\nota.txt\"", "filename"),
            "C:\\Documenti\\nota.txt"
        );
    }

    #[test]
    fn forgotten_semicolons_and_odd_values() {
        let p = Params::parse(b"text/plain charset=utf-8 format=flowed");
        assert_eq!(
            (p.value.as_str(), p.get("charset"), p.get("format")),
            ("text/plain", Some("utf-8"), Some("flowed"))
        );
        let p = Params::parse(b" Text / HTML ;CHARSET = \"x\" ; ; =; boundary=\"a=b\"");
        assert_eq!((p.get("charset"), p.get("boundary")), (Some("x"), Some("a=b")));
        assert_eq!(Params::parse(b"").value, "");
    }
}
