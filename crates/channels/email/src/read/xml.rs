//! Small XML files from outside, as the elements they consist of: certification data, protocol facts.
//!
//! Invariant: work and memory are linear and bounded whatever the file is. Entities are never expanded (`<!DOCTYPE` is
//! passed over; only the five predefined ones and characters by number mean anything), nothing is fetched, nesting and
//! text have limits, and what is broken is an error: half of a certificate is none.

use quick_xml::{Reader, XmlVersion, escape::resolve_predefined_entity, events::Event};

use super::{charset, words};

/// A larger file is not looked at: a thousand recipients need 150 kB.
pub(crate) const MAX_FILE: usize = 512 * 1024;
/// Deeper than any of the formats goes.
const MAX_DEPTH: usize = 24;
/// Octets of an element's text that are kept.
const MAX_TEXT: usize = 2000;
/// Attributes of an element that are looked at, and octets of each.
const MAX_ATTRIBUTES: usize = 8;

/// Why a file was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    /// No well-formed XML, cut, or beyond the limits.
    Broken,
    /// Its outermost element has another name.
    Foreign,
}

/// An element, told of when it ends.
pub(crate) struct Element<'a> {
    /// Its name and those around it, without prefixes, lower case: `postacert/dati/data`.
    pub(crate) path: &'a str,
    /// Its own text, one line. Empty for an element of elements.
    pub(crate) text: String,
    attributes: &'a [(String, String)],
}

impl Element<'_> {
    /// An attribute's value by its lower-case name, None if it is absent or empty.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty())
    }
}

struct Open {
    /// Length of the path without this element.
    before: usize,
    text: String,
    attributes: Vec<(String, String)>,
}

/// Tells of every element of a file whose outermost element has one of the names `roots` (lower case). `label`: the
/// charset that the part's head declares; the file's own declaration goes before it.
pub(crate) fn walk(
    file: &[u8],
    label: Option<&str>,
    roots: &[&str],
    mut each: impl FnMut(&Element<'_>),
) -> Result<(), Unread> {
    if file.len() > MAX_FILE {
        return Err(Unread::Broken);
    }
    let declared = declared_charset(file);
    let text = charset::decode(file, declared.as_deref().or(label));
    let mut reader = Reader::from_str(text.trim_start());
    let mut open: Vec<Open> = Vec::new();
    let mut path = String::new();
    loop {
        let event = reader.read_event().map_err(|_| Unread::Broken)?;
        let empty = matches!(event, Event::Empty(_));
        match event {
            Event::Start(tag) | Event::Empty(tag) => {
                let name = tag.local_name();
                let name: &str = name.as_ref();
                if open.is_empty() && !roots.iter().any(|root| name.eq_ignore_ascii_case(root)) {
                    return Err(Unread::Foreign);
                }
                if open.len() >= MAX_DEPTH || name.len() > 100 {
                    return Err(Unread::Broken);
                }
                let before = path.len();
                if before > 0 {
                    path.push('/');
                }
                path.push_str(&name.to_ascii_lowercase());
                // Without its check for doubles, which is quadratic.
                let mut attributes = tag.attributes();
                let attributes = attributes.with_checks(false).take(MAX_ATTRIBUTES).map_while(Result::ok);
                let attributes = attributes
                    .map(|a| {
                        let value = a.normalized_value(XmlVersion::Implicit1_0).unwrap_or_default();
                        let name: &str = a.key.as_ref();
                        (cut(name).to_ascii_lowercase(), line(cut(&value)))
                    })
                    .collect();
                open.push(Open { before, text: String::new(), attributes });
                if empty && close(&mut open, &mut path, &mut each) {
                    return Ok(());
                }
            }
            Event::End(_) => {
                if close(&mut open, &mut path, &mut each) {
                    // What follows the outermost element is not looked at: filters append lines.
                    return Ok(());
                }
            }
            Event::Text(text) => add(&mut open, &text),
            Event::CData(text) => add(&mut open, &text),
            Event::GeneralRef(name) => match name.resolve_char_ref() {
                Ok(Some(c)) => add(&mut open, c.encode_utf8(&mut [0; 4])),
                Ok(None) => match resolve_predefined_entity(&name) {
                    Some(text) => add(&mut open, text),
                    // An entity of the file's own: stands as it is written.
                    None => ["&", &name, ";"].iter().for_each(|piece| add(&mut open, piece)),
                },
                Err(_) => return Err(Unread::Broken),
            },
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            Event::Eof => return Err(Unread::Broken),
        }
    }
}

/// Ends the innermost element; true when it was the outermost.
fn close(open: &mut Vec<Open>, path: &mut String, each: &mut impl FnMut(&Element<'_>)) -> bool {
    if let Some(done) = open.pop() {
        each(&Element { path, text: line(&done.text), attributes: &done.attributes });
        path.truncate(done.before);
    }
    open.is_empty()
}

fn add(open: &mut [Open], text: &str) {
    if let Some(innermost) = open.last_mut() {
        let left = MAX_TEXT.saturating_sub(innermost.text.len());
        innermost.text.push_str(text.get(..text.floor_char_boundary(left)).unwrap_or_default());
    }
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(200)).unwrap_or_default()
}

/// One line: runs of blanks and controls are one blank.
fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let blank = |c: char| c.is_whitespace() || c.is_control();
    for word in text.split(blank).filter(|w| !w.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.extend(word.chars().filter(|c| !words::invisible(*c)));
    }
    out
}

/// What `<?xml ... encoding="..."?>` says. The declaration is ASCII in every charset that occurs but UTF-16, which shows
/// itself.
fn declared_charset(file: &[u8]) -> Option<String> {
    let head = file.get(..200).unwrap_or(file);
    let head: String = head.iter().map(|b| char::from(*b)).collect();
    let declaration = head.split("?>").next()?;
    let value = declaration.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    value.split(quote).nth(1).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(file: &[u8]) -> Result<Vec<(String, String)>, Unread> {
        let mut out = Vec::new();
        walk(file, None, &["a"], |e| out.push((e.path.to_owned(), e.text.clone()))).map(|()| out)
    }

    #[test]
    fn elements_come_with_their_text() {
        let found = elements(b"<?xml version='1.0'?>\n<x:A><b c='1 &amp; 2'>uno &lt;due&gt;&#32;&#xE8;\n tre</b><C/></x:A> footer");
        let expected = [("a/b", "uno <due> è tre"), ("a/c", ""), ("a", "")];
        assert_eq!(found, Ok(expected.map(|(p, t)| (p.to_owned(), t.to_owned())).to_vec()));
        let mut seen = None;
        let walked = walk(b"<a><b C='1 &amp; 2'/></a>", None, &["a"], |e| {
            seen = seen.take().or(e.attribute("c").map(str::to_owned));
        });
        assert_eq!((walked, seen.as_deref()), (Ok(()), Some("1 & 2")));
    }

    #[test]
    fn charsets_are_read_as_declared() {
        let latin = b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a><b>citt\xE0</b></a>";
        assert_eq!(elements(latin).expect("read").first().map(|e| e.1.clone()).as_deref(), Some("città"));
        let utf16: Vec<u8> = "<?xml version=\"1.0\" encoding=\"UTF-16\"?><a><b>città</b></a>"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(elements(&utf16).expect("read").first().map(|e| e.1.clone()).as_deref(), Some("città"));
    }

    #[test]
    fn what_is_broken_or_foreign_is_told_apart() {
        for broken in ["", "<a>", "<a><b></a>", "<a", "<a><b></c></a>", "<a>&#0;</a>", "no xml", "<a>&x</a>"]
        {
            assert_eq!(elements(broken.as_bytes()), Err(Unread::Broken), "{broken}");
        }
        assert_eq!(elements(b"<html><a/></html>"), Err(Unread::Foreign));
        assert_eq!(elements(&b"<a>".repeat(100_000)), Err(Unread::Broken));
        assert_eq!(elements(&vec![b' '; MAX_FILE + 1]), Err(Unread::Broken));
    }

    #[test]
    fn entities_are_not_expanded() {
        let laughs = "<!DOCTYPE a [<!ENTITY l \"ha\"><!ENTITY m \"&l;&l;&l;\"><!ENTITY f SYSTEM \"file:///etc/passwd\">]><a><b>&m;&f;</b></a>";
        let found = elements(laughs.as_bytes()).expect("read");
        assert_eq!(found.first().map(|e| e.1.as_str()), Some("&m;&f;"));
    }
}
