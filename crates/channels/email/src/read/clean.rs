//! Text as it goes on: LF line ends, no NUL, no control characters, no invisible ones, no heaps of blank lines; and
//! format=flowed (RFC 3676) put together again.

use super::words::invisible;

/// Cleans a text. Blanks at line ends go, more than two line ends in a row become two.
pub(crate) fn clean(text: &str) -> String {
    let mut out = Cleaner { out: String::with_capacity(text.len()), newlines: 2 };
    for (n, line) in text.split('\n').enumerate() {
        if n > 0 {
            out.newline();
        }
        let line = line.strip_suffix('\r').unwrap_or(line);
        // Nearly every line is plain; a fold without early end is what the compiler turns into vectors.
        if line.bytes().fold(false, |found, b| found | suspect(b)) {
            line.chars().for_each(|c| out.char(c));
        } else {
            let line = line.trim_end_matches([' ', '\t']);
            if !line.is_empty() {
                out.out.push_str(line);
                out.newlines = 0;
            }
        }
    }
    let mut out = out.out;
    out.truncate(out.trim_end().len());
    out
}

/// Bytes that are, or begin, a character that needs a look: controls, and the lead bytes of C1 controls, no-break and
/// invisible blanks.
fn suspect(byte: u8) -> bool {
    matches!(byte, 0..=0x08 | 0x0A..=0x1F | 0x7F | 0xC2 | 0xE2 | 0xEF)
}

struct Cleaner {
    out: String,
    /// Line ends at the end of `out`.
    newlines: u8,
}

impl Cleaner {
    fn newline(&mut self) {
        self.out.truncate(self.out.trim_end_matches([' ', '\t']).len());
        if self.newlines < 2 {
            self.out.push('\n');
            self.newlines += 1;
        }
    }

    fn char(&mut self, c: char) {
        match c {
            '\n' | '\r' | '\u{0B}' | '\u{0C}' | '\u{85}' | '\u{2028}' | '\u{2029}' => self.newline(),
            '\0' => {}
            c if invisible(c) => {}
            '\t' => self.out.push('\t'),
            ' ' | '\u{A0}' | '\u{2007}' | '\u{202F}' => self.out.push(' '),
            c if c.is_control() => self.out.push(' '),
            c => {
                self.newlines = 0;
                self.out.push(c);
            }
        }
    }
}

/// Joins soft line breaks: a line that ends in a blank goes on in the next one of the same quote depth. With `delsp` that
/// blank is no text. The signature's separator `-- ` is never soft.
pub(crate) fn unflow(text: &str, delsp: bool) -> String {
    let mut out = String::with_capacity(text.len());
    // Quote depth of the line that is still open.
    let mut open: Option<usize> = None;
    for line in text.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let content = line.trim_start_matches('>');
        let depth = line.len() - content.len();
        // One blank after the quote marks, or before what looks like one, is stuffing.
        let content = content.strip_prefix(' ').unwrap_or(content);
        let signature = content == "-- ";
        if open.take_if(|d| *d == depth && !signature).is_none() {
            if !out.is_empty() {
                out.push('\n');
            }
            out.extend(std::iter::repeat_n('>', depth));
            if depth > 0 {
                out.push(' ');
            }
        }
        open = None;
        match content.strip_suffix(' ') {
            Some(stripped) if !signature => {
                out.push_str(if delsp { stripped } else { content });
                open = Some(depth);
            }
            _ => out.push_str(content),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_and_blank_lines() {
        assert_eq!(
            clean("\n\n uno\0  \r\ndue\u{7}tre\r\r\n\n\n\nquat\u{AD}tro\u{A0}x \n\n"),
            " uno\ndue tre\n\nquattro x"
        );
    }

    #[test]
    fn soft_breaks_are_joined() {
        assert_eq!(unflow("una buca \nprofonda\nfine", false), "una buca profonda\nfine");
        assert_eq!(unflow("una bu \nca", true), "una buca");
        assert_eq!(
            unflow("> citato \n> ancora\nmio \n-- \nfirma", false),
            "> citato ancora\nmio \n-- \nfirma"
        );
        assert_eq!(unflow(" >stuffed", false), ">stuffed");
    }
}
