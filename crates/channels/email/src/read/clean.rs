//! Text as it goes on: LF line ends, no NUL, no control characters, no invisible ones, no heaps of blank lines; and
//! format=flowed (RFC 3676) put together again.

use super::words::invisible;

/// Cleans a text. Blanks at line ends go, more than two line ends in a row become two.
pub(crate) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut newlines = 2;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' if chars.peek() == Some(&'\n') => {}
            '\n' | '\r' | '\u{0B}' | '\u{0C}' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                out.truncate(out.trim_end_matches([' ', '\t']).len());
                if newlines < 2 {
                    out.push('\n');
                }
                newlines += 1;
            }
            '\0' => {}
            c if invisible(c) => {}
            '\t' => out.push('\t'),
            ' ' | '\u{A0}' | '\u{2007}' | '\u{202F}' => out.push(' '),
            c if c.is_control() => out.push(' '),
            c => {
                newlines = 0;
                out.push(c);
            }
        }
    }
    out.truncate(out.trim_end().len());
    out
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
