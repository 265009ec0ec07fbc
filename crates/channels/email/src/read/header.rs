//! Splits the head of a message or of a part into its fields.
//!
//! Only the fields that reading needs are kept, each with a bound, so that ten thousand headers or a header of a
//! megabyte cost one pass over the bytes and no memory. A line that is no field does not end the head when fields that
//! everybody knows follow; otherwise the text begins there, since a citizen's words must never be taken for a header.

use memchr::memchr;

/// The fields that are kept, lower case.
const KEPT: &[&str] = &[
    "from",
    "sender",
    "reply-to",
    "to",
    "cc",
    "subject",
    "date",
    "message-id",
    "in-reply-to",
    "references",
    "content-type",
    "content-transfer-encoding",
    "content-disposition",
    "content-id",
    "return-path",
    "received",
    "auto-submitted",
    "precedence",
    "list-id",
    "list-post",
    "x-auto-response-suppress",
    "x-autoreply",
    "x-autorespond",
    "x-autoresponder",
    "x-auto-reply-from",
    "x-mail-autoreply",
    "x-vacation",
    "x-failed-recipients",
    "x-ricevuta",
    "x-trasporto",
    "x-riferimento-message-id",
    "x-tiporicevuta",
    "x-mittente",
    "original-message-id",
];

/// Fields of one name that are kept.
const MANY: usize = 8;
/// No field's value is looked at beyond this: a thousand addressees fit.
const MAX_VALUE: usize = 64 * 1024;
/// A name longer than this is no header.
const MAX_NAME: usize = 200;

/// The head of a message or part.
#[derive(Debug, Default, Clone)]
pub(crate) struct Fields<'x> {
    list: Vec<(&'static str, &'x [u8])>,
    /// How many fields there were, kept or not.
    pub(crate) count: usize,
    /// Something in the head was no field.
    pub(crate) broken: bool,
}

impl<'x> Fields<'x> {
    /// The raw value of the first field of that name (lower case), folded as it stands.
    pub(crate) fn get(&self, name: &str) -> Option<&'x [u8]> {
        self.all(name).next()
    }
    /// All values of a name, in order.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'x [u8]> + 'a {
        self.list.iter().filter(move |(n, _)| *n == name).map(|(_, v)| *v)
    }
    /// True if there is a field of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
    /// The first value, decoded and in lower case, without surrounding space.
    pub(crate) fn word(&self, name: &str) -> Option<String> {
        self.get(name).map(|v| super::words::decode(v.get(..1000).unwrap_or(v)).trim().to_lowercase())
    }

    fn push(&mut self, name: &'static str, value: &'x [u8]) {
        // The newest references stand last, so of a long list the tail is what matters.
        let value = match value.len().checked_sub(MAX_VALUE) {
            Some(over) if name == "references" => value.get(over..).unwrap_or(value),
            _ => value.get(..MAX_VALUE).unwrap_or(value),
        };
        if self.all(name).count() < MANY {
            self.list.push((name, value));
        }
    }
}

/// The name of a field, if the line is one: the kept name or `Some(None)` for one that is not kept.
fn field_name(line: &[u8]) -> Option<(Option<&'static str>, usize)> {
    let colon = memchr(b':', line.get(..MAX_NAME).unwrap_or(line))?;
    let name = line.get(..colon)?.trim_ascii_end();
    if name.is_empty() || !name.iter().all(|b| (33..=126).contains(b)) {
        return None;
    }
    Some((KEPT.iter().copied().find(|kept| name.eq_ignore_ascii_case(kept.as_bytes())), colon))
}

/// True for a line that can only be a header: a name that everybody knows.
fn surely_a_field(line: &[u8]) -> bool {
    match field_name(line) {
        Some((Some(_), _)) => true,
        Some((None, colon)) => line.get(..colon).is_some_and(|name| {
            let name = name.to_ascii_lowercase();
            name.starts_with(b"x-")
                || name.starts_with(b"content-")
                || name == b"mime-version"
                || name.starts_with(b"dkim-")
        }),
        None => false,
    }
}

/// Cuts `raw` at its first line end: the line without its end, and the rest.
fn cut_line(raw: &[u8]) -> (&[u8], &[u8]) {
    match memchr(b'\n', raw) {
        Some(at) => {
            let (line, rest) = raw.split_at(at);
            (line.strip_suffix(b"\r").unwrap_or(line), rest.get(1..).unwrap_or_default())
        }
        None => (raw.strip_suffix(b"\r").unwrap_or(raw), &[]),
    }
}

/// Splits a message or part into its fields and what follows them.
pub(crate) fn split(raw: &[u8]) -> (Fields<'_>, &[u8]) {
    let mut fields = Fields::default();
    let mut rest = raw;
    // The field being collected: its kept name and where its value begins.
    let mut open: Option<(Option<&'static str>, &[u8])> = None;
    loop {
        if rest.is_empty() {
            finish(&mut fields, &mut open, rest);
            return (fields, rest);
        }
        let (line, after) = cut_line(rest);
        if line.is_empty() {
            finish(&mut fields, &mut open, rest);
            return (fields, after);
        }
        if matches!(line.first(), Some(b' ' | b'\t')) && open.is_some() {
            // A line of blanks alone is what some senders write instead of an empty one.
            if line.trim_ascii().is_empty() {
                let (next, _) = cut_line(after);
                if !matches!(next.first(), Some(b' ' | b'\t')) && field_name(next).is_none() {
                    finish(&mut fields, &mut open, rest);
                    return (fields, after);
                }
            }
            rest = after;
            continue;
        }
        if let Some((name, colon)) = field_name(line) {
            finish(&mut fields, &mut open, rest);
            open = Some((name, rest.get(colon + 1..).unwrap_or_default()));
        } else if fields.count == 0
            && open.is_none()
            && (line.starts_with(b"From ") || line.starts_with(b">From "))
        {
            // The separator of an mbox, left in place.
        } else {
            let (next, _) = cut_line(after);
            let nul_only = line.iter().all(|b| *b == 0);
            if !(surely_a_field(next) || nul_only) {
                finish(&mut fields, &mut open, rest);
                fields.broken = true;
                return (fields, rest);
            }
            finish(&mut fields, &mut open, rest);
            fields.broken = true;
        }
        rest = after;
    }
}

/// Ends the open field where `until` begins.
fn finish<'x>(fields: &mut Fields<'x>, open: &mut Option<(Option<&'static str>, &'x [u8])>, until: &[u8]) {
    let Some((name, from)) = open.take() else { return };
    fields.count += 1;
    if let Some(name) = name {
        let value = from.get(..from.len().saturating_sub(until.len())).unwrap_or(from);
        fields.push(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_fields_and_the_body_are_told_apart() {
        let (fields, body) = split(b"From: a@b.it\r\nSubject: uno\r\n due\r\n\r\ntesto\r\n");
        assert_eq!(fields.get("subject"), Some(&b" uno\r\n due\r\n"[..]));
        assert_eq!(body, b"testo\r\n");
        assert!(!fields.broken);
    }

    #[test]
    fn a_text_without_empty_line_is_not_swallowed() {
        let (fields, body) = split(b"From: a@b.it\nSubject: x\nBuongiorno, segnalo una buca\nin via Dante\n");
        assert_eq!(fields.count, 2);
        assert!(body.starts_with(b"Buongiorno"));
    }

    #[test]
    fn rubbish_between_known_fields_is_skipped() {
        let (fields, body) = split(b"From: a@b.it\nrubbish without colon\nSubject: x\n\ny");
        assert_eq!(fields.get("subject"), Some(&b" x\n"[..]));
        assert_eq!(body, b"y");
    }
}
