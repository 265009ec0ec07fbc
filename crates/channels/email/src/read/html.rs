//! HTML to text in one pass, in time linear in the size, at any nesting. (html2text, a good converter, manages some 350
//! letters of 15 kB a second and is bent by deep nesting; this one ten times as many, and it is not.)
//!
//! What rules and clerks need is words in their order: blocks on lines of their own, table cells apart (`Codice Prezzo`,
//! never `CodicePrezzo`), quotes marked with `> ` as in plain letters, list items with `- `. What is not shown (style,
//! script, hidden preheaders) is left out, unless nothing else is there.

/// Elements whose content is no text.
const SILENT: &[&str] = &["head", "style", "script", "title", "template", "noembed", "svg", "math", "xml"];
/// Elements that begin and end a line.
const BLOCKS: &[&str] = &[
    "p",
    "div",
    "tr",
    "table",
    "ul",
    "ol",
    "dl",
    "dt",
    "dd",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "pre",
    "section",
    "article",
    "header",
    "footer",
    "center",
    "address",
    "form",
    "fieldset",
    "body",
    "html",
    "tbody",
    "thead",
    "caption",
    "figure",
    "main",
    "nav",
    "aside",
    "hr",
    "li",
    "blockquote",
    "option",
    "legend",
];
/// Elements with an empty line before and after.
const SPACED: &[&str] = &["p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "table", "hr"];
/// No tag is looked at beyond this many bytes.
const MAX_TAG: usize = 16 * 1024;
/// Where mail programs begin the old letter without marking it as a quote: Outlook in all its forms (`divRplyFwdMsg`, the
/// border that Word draws, Outlook for Mac's section), Yahoo.
const OLD_LETTER: &[&str] = &[
    "divrplyfwdmsg",
    "mail-editor-reference-message-container",
    "olk_src_body_section",
    "yahoo_quoted",
    "border-top:solid#e1e1e1",
    "border-top:solid#b5c4df",
];
/// Of a long exchange no more are shown.
const MAX_OLD_LETTERS: usize = 50;
/// What is written there, as Outlook does in plain text.
const RULE: &str = "________________________________";
/// Quotes nested deeper are shown at this depth.
const MAX_QUOTE: usize = 20;

/// The text of an HTML document or fragment.
pub(crate) fn to_text(html: &str) -> String {
    let shown = Converter::new(html, true).run();
    match shown {
        Some(text) if !text.trim().is_empty() => text,
        // A letter that consists of what is hidden, or in which a hidden element is never closed, is shown all the same.
        _ => Converter::new(html, false).run().unwrap_or_default(),
    }
}

/// The charset that a document declares of itself (`<meta charset=...>`), looked for in its first 2 kB.
pub(crate) fn declared_charset(html: &[u8]) -> Option<String> {
    let head = html.get(..2048).unwrap_or(html).to_ascii_lowercase();
    let at = memchr::memmem::find(&head, b"charset=")?;
    let value = head.get(at + 8..)?;
    let value: Vec<u8> = value
        .iter()
        .copied()
        .skip_while(|b| matches!(b, b'"' | b'\'' | b' '))
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b':'))
        .collect();
    // A document in which this can be read is not UTF-16 (HTML standard, "prescan a byte stream").
    String::from_utf8(value).ok().filter(|v| !v.is_empty() && !v.starts_with("utf-16"))
}

/// A tag without its brackets.
struct Tag<'x> {
    name: &'x str,
    closing: bool,
    empty: bool,
    attributes: &'x str,
}

impl<'x> Tag<'x> {
    fn parse(inner: &'x str) -> Option<Self> {
        let (closing, inner) = match inner.strip_prefix('/') {
            Some(rest) => (true, rest),
            None => (false, inner),
        };
        let len = inner.bytes().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b':' | b'-')).count();
        let (name, attributes) = inner.split_at_checked(len)?;
        name.starts_with(|c: char| c.is_ascii_alphabetic()).then_some(Self {
            name,
            closing,
            empty: attributes.ends_with('/'),
            attributes,
        })
    }
    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
    fn among(&self, names: &[&str]) -> bool {
        names.iter().any(|n| self.is(n))
    }
    /// Begins the old letter below an answer.
    fn begins_old_letter(&self) -> bool {
        if self.closing
            || !(self.is("div") || self.is("span"))
            || !(8..=2000).contains(&self.attributes.len())
        {
            return false;
        }
        let bytes = self.attributes.as_bytes();
        if !["Rply", "reference", "OLK_", "yahoo_q", "border-top"]
            .iter()
            .any(|w| memchr::memmem::find(bytes, w.as_bytes()).is_some())
        {
            return false;
        }
        let bare: String =
            self.attributes.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_lowercase()).collect();
        OLD_LETTER.iter().any(|w| bare.contains(w))
    }
    /// Hidden by its own attributes, as preheaders of newsletters are.
    fn hidden(&self) -> bool {
        // Most tags have attributes, few of them these words: looking first saves a copy.
        let bytes = self.attributes.as_bytes();
        if !["none", "NONE", "None", "hide", "hidden", "HIDDEN"]
            .iter()
            .any(|w| memchr::memmem::find(bytes, w.as_bytes()).is_some())
        {
            return false;
        }
        let style: String =
            self.attributes.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_lowercase()).collect();
        style.contains("display:none")
            || style.contains("mso-hide:all")
            || style.ends_with("hidden") && !style.contains('=')
    }
}

struct Writer {
    out: String,
    /// Line ends at the end of `out`; 2 at the beginning, so that nothing starts with empty lines.
    newlines: u8,
    /// A blank is due before the next word.
    blank: bool,
    quote: usize,
    pre: usize,
    /// How often an old letter has begun.
    old_letters: usize,
}

impl Writer {
    fn line(&mut self, wanted: u8) {
        self.blank = false;
        while self.newlines < wanted {
            self.out.push('\n');
            self.newlines += 1;
            if self.newlines == 1 && wanted > 1 && self.quote > 0 {
                self.out.extend(std::iter::repeat_n('>', self.quote.min(MAX_QUOTE)));
            }
        }
    }
    fn start_of_line(&mut self) {
        if self.newlines > 0 {
            let depth = self.quote.min(MAX_QUOTE);
            self.out.extend(std::iter::repeat_n('>', depth));
            if depth > 0 {
                self.out.push(' ');
            }
            self.newlines = 0;
            self.blank = false;
        } else if std::mem::take(&mut self.blank) {
            self.out.push(' ');
        }
    }
    fn text(&mut self, text: &str) {
        if self.pre > 0 {
            for (n, line) in text.split('\n').enumerate() {
                if n > 0 {
                    self.newlines += u8::from(self.newlines < 3);
                    self.out.push('\n');
                }
                let line = line.strip_suffix('\r').unwrap_or(line);
                if !line.is_empty() {
                    self.start_of_line();
                    self.out.push_str(line);
                }
            }
            return;
        }
        let mut words = text.split([' ', '\t', '\n', '\r', '\u{0C}', '\u{A0}']);
        if let Some(first) = words.next() {
            self.word(first);
        }
        for word in words {
            self.blank = true;
            self.word(word);
        }
    }
    fn word(&mut self, word: &str) {
        if !word.is_empty() {
            self.start_of_line();
            self.out.push_str(word);
        }
    }
    /// Text with character references.
    fn markup(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = memchr::memchr(b'&', rest.as_bytes()) {
            let Some((before, from)) = rest.split_at_checked(at) else { break };
            self.text(before);
            let len =
                from.bytes().take(34).skip(1).take_while(|b| b.is_ascii_alphanumeric() || *b == b'#').count()
                    + 1;
            let (name, mut after) = from.split_at_checked(len).unwrap_or((from, ""));
            after = after.strip_prefix(';').unwrap_or(after);
            let mut decoded = String::new();
            if len > 1 {
                mail_parser::decoders::html::add_html_token(
                    &mut decoded,
                    format!("{name};").as_bytes(),
                    false,
                );
            }
            if decoded.is_empty() || decoded.starts_with(name) {
                // No reference: an ampersand in text.
                self.text("&");
                rest = from.get(1..).unwrap_or_default();
            } else {
                self.text(&windows_reference(&decoded));
                rest = after;
            }
        }
        self.text(rest);
    }
}

/// `&#150;` means the dash of Windows-1252, not a control character (HTML standard, numeric character references).
fn windows_reference(decoded: &str) -> String {
    decoded
        .chars()
        .map(|c| match u8::try_from(u32::from(c)) {
            Ok(b @ 0x80..=0x9F) => {
                encoding_rs::WINDOWS_1252.decode_without_bom_handling(&[b]).0.chars().next().unwrap_or(c)
            }
            _ => c,
        })
        .collect()
}

/// One pass over a document.
struct Converter<'x> {
    rest: &'x str,
    writer: Writer,
    hide: bool,
    /// The element whose content is left out, and how often it is nested in itself.
    silent: Option<(&'x str, usize)>,
    /// There is no further `-->`: looked for once.
    no_comment_end: bool,
    /// Octets before the end of the document at which the next `>` stands, once looked for: so that a million `<`
    /// without one cost one search.
    next_close: Option<usize>,
}

impl<'x> Converter<'x> {
    fn new(html: &'x str, hide: bool) -> Self {
        let writer = Writer {
            out: String::with_capacity(html.len() / 3),
            newlines: 2,
            blank: false,
            quote: 0,
            pre: 0,
            old_letters: 0,
        };
        Self { rest: html, writer, hide, silent: None, no_comment_end: false, next_close: None }
    }

    /// The text; None if an element that is hidden by its attributes was never closed.
    fn run(mut self) -> Option<String> {
        while let Some(at) = memchr::memchr(b'<', self.rest.as_bytes()) {
            let Some((before, from)) = self.rest.split_at_checked(at) else { break };
            if self.silent.is_none() {
                self.writer.markup(before);
            }
            let Some((inner, after)) = self.tag_end(from) else {
                // No tag: a "less than" in text.
                if self.silent.is_none() {
                    self.writer.text("<");
                }
                self.rest = from.get(1..).unwrap_or_default();
                continue;
            };
            self.rest = after;
            if let Some(tag) = Tag::parse(inner) {
                self.tag(&tag);
            }
        }
        match self.silent {
            None => self.writer.markup(self.rest),
            Some((name, _)) if self.hide && !SILENT.iter().any(|s| s.eq_ignore_ascii_case(name)) => {
                return None;
            }
            Some(_) => {}
        }
        Some(self.writer.out)
    }

    fn tag(&mut self, tag: &Tag<'x>) {
        if let Some((name, depth)) = self.silent {
            if tag.is(name) && !tag.empty {
                let depth = if tag.closing { depth - 1 } else { depth + 1 };
                self.silent = (depth > 0).then_some((name, depth));
            } else if tag.is("body") && SILENT.iter().any(|s| s.eq_ignore_ascii_case(name)) {
                // A head that is never closed.
                self.silent = None;
            }
            return;
        }
        if !tag.closing && !tag.empty {
            let hidden = self.hide
                && tag.hidden()
                && !tag.among(&["br", "img", "input", "hr", "meta", "link", "body"]);
            if hidden || tag.among(SILENT) {
                self.silent = Some((tag.name, 1));
                return;
            }
        }
        element(&mut self.writer, tag);
        if tag.begins_old_letter() && self.writer.old_letters < MAX_OLD_LETTERS {
            self.writer.old_letters += 1;
            self.writer.word(RULE);
            self.writer.line(1);
        }
    }

    /// The inside of the tag that begins at the start of `from` (a `<`), and what follows it. None if this is no tag.
    fn tag_end(&mut self, from: &'x str) -> Option<(&'x str, &'x str)> {
        let bytes = from.as_bytes();
        if !matches!(bytes.get(1), Some(b'a'..=b'z' | b'A'..=b'Z' | b'/' | b'!' | b'?')) {
            return None;
        }
        let close = self.close(bytes)?;
        if let Some(body) = from.strip_prefix("<!--") {
            // Conditional comments of Outlook (`<![if !mso]>`) are declarations, not comments; their content is shown.
            if !self.no_comment_end
                && let Some(end) = memchr::memmem::find(body.as_bytes(), b"-->")
            {
                return Some(("", body.get(end + 3..)?));
            }
            self.no_comment_end = true;
            return Some(("", from.get(close + 1..)?));
        }
        if close > MAX_TAG {
            return None;
        }
        let window = bytes.get(..MAX_TAG).unwrap_or(bytes);
        let mut quote = None;
        for (i, b) in window.iter().enumerate().skip(1) {
            match (quote, b) {
                (None, b'>') => return Some((from.get(1..i)?, from.get(i + 1..)?)),
                (None, b'"' | b'\'') if matches!(window.get(i.wrapping_sub(1)), Some(b'=' | b' ')) => {
                    quote = Some(*b);
                }
                (Some(q), b) if q == *b => quote = None,
                _ => {}
            }
        }
        // A quote that is never closed: the first bracket ends the tag.
        Some((from.get(1..close)?, from.get(close + 1..)?))
    }

    /// Where the next `>` stands, from the start of `bytes` (a tail of the document).
    fn close(&mut self, bytes: &[u8]) -> Option<usize> {
        match self.next_close {
            // Still ahead of us.
            Some(left) if left > 0 && left <= bytes.len() => Some(bytes.len() - left),
            Some(0) => None,
            _ => {
                let found = memchr::memchr(b'>', bytes);
                self.next_close = Some(found.map_or(0, |at| bytes.len() - at));
                found
            }
        }
    }
}

/// What a tag does to the text.
fn element(w: &mut Writer, tag: &Tag<'_>) {
    if tag.is("br") {
        let wanted = (w.newlines + 1).min(2);
        w.line(wanted);
    } else if tag.is("td") || tag.is("th") {
        // Cells on one line, apart.
        if tag.closing {
            w.blank = true;
        } else if w.newlines == 0 {
            w.text(" ");
        }
    } else if tag.among(BLOCKS) {
        let wanted = if tag.among(SPACED) { 2 } else { 1 };
        if tag.is("blockquote") {
            if tag.closing {
                w.line(1);
                w.quote = w.quote.saturating_sub(1);
                w.line(wanted);
            } else {
                w.line(wanted);
                w.quote += 1;
            }
            return;
        }
        w.line(wanted);
        match (tag.closing, tag.name.to_ascii_lowercase().as_str()) {
            (false, "li") => w.text("- "),
            (false, "pre") => w.pre += 1,
            (true, "pre") => w.pre = w.pre.saturating_sub(1),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_blocks_lists_and_quotes() {
        let html = "<html><head><title>x</title><style>p{}</style></head><body><p>Buongiorno,</p><table><tr><td>Codice</td><td>Prezzo</td></tr>\
                    <tr><td>1</td><td>2 &euro;</td></tr></table><ul><li>uno<li>due</ul>citt&agrave; &amp; Co &#8364; &#150; a < b<br>fine</body></html>";
        assert_eq!(
            to_text(html).trim(),
            "Buongiorno,\n\nCodice Prezzo\n1 2 €\n\n- uno\n- due\ncittà & Co € – a < b\nfine"
        );
    }

    #[test]
    fn quotes_are_marked() {
        let html = "mio<blockquote>suo<br>ancora<blockquote>primo</blockquote></blockquote>fine";
        assert_eq!(
            to_text(html),
            "mio\n\n> suo\n> ancora\n>\n>> primo\n>\n\nfine".replace("\n>\n\nfine", "\n\nfine")
        );
    }

    #[test]
    fn hidden_text_is_left_out_unless_it_is_all() {
        assert_eq!(to_text("<div style='display: none'>pre<div>x</div></div>testo").trim(), "testo");
        assert_eq!(to_text("<div style='display:none'>tutto").trim(), "tutto");
        assert_eq!(to_text("Ciao <div style='display:none'>mai chiuso").trim(), "Ciao\nmai chiuso");
        assert_eq!(to_text("<title>mai chiuso<body>testo").trim(), "testo");
    }

    #[test]
    fn broken_markup_keeps_its_words() {
        assert_eq!(to_text("a <b c=\"x>y</b> d <").trim(), "a y d <");
        assert_eq!(to_text("1 < 2 && 3 > 2 &unknown; &").trim(), "1 < 2 && 3 > 2 &unknown; &");
        assert_eq!(to_text("<!-- mai chiuso > testo").trim(), "testo");
    }
}
