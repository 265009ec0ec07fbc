//! Tables for people that fit their terminal, and JSON for programs.

use std::borrow::Cow;

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use smista_domain::Lang;

/// Narrower than that a table of ten columns cannot be read.
const NARROWEST: u16 = 40;

/// How wide output is where there is no terminal to ask.
const WIDTH_WITHOUT_TERMINAL: u16 = 140;

/// A table with these headings, arranged to fit the terminal.
pub(crate) fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    // Some terminals say that they have no width at all.
    if table.width().is_none_or(|width| width < NARROWEST) {
        table.set_width(WIDTH_WITHOUT_TERMINAL);
    }
    table.set_header(headings.iter().copied());
    table
}

/// Prints one JSON document.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T) {
    match serde_json::to_string_pretty(value) {
        // Its strings are escaped already, and what a program reads is never changed.
        Ok(text) => print_as_is(&text),
        Err(error) => complain(&error.to_string()),
    }
}

/// Prints a line for people; a reader that has gone (`| head`) is no error.
///
/// Names, subjects and texts come from citizens and from sectors' sessions: an escape sequence among them must not reach the
/// terminal of whoever looks.
pub(crate) fn print(text: &str) {
    print_as_is(&harmless(text));
}

/// Without control characters, but for line ends and tabs.
fn harmless(text: &str) -> Cow<'_, str> {
    let harms = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.contains(harms) { Cow::Owned(text.replace(harms, "\u{FFFD}")) } else { Cow::Borrowed(text) }
}

/// Prints a line of our own words that may be coloured, or one for programs.
pub(crate) fn print_as_is(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Prints a line on standard error; where nobody reads it, that is no error either (`eprintln!` would panic).
pub(crate) fn complain(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Picks the language.
pub(crate) fn say<'a>(lang: Lang, it: &'a str, en: &'a str) -> &'a str {
    match lang {
        Lang::It => it,
        Lang::En => en,
    }
}

/// At most `max` characters, on one line.
pub(crate) fn short(text: &str, max: usize) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= max {
        line
    } else {
        let mut cut: String = line.chars().take(max.saturating_sub(1)).collect();
        cut.push('…');
        cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_printed() {
        assert_eq!(harmless("buca\n\tin via Po, è qui ┆ — 🕳"), "buca\n\tin via Po, è qui ┆ — 🕳");
        // ESC, the one-character CSI of C1, CR (it overwrites the line), BEL, DEL
        assert_eq!(
            harmless("\u{1b}]0;x\u{7}\u{9b}2J\rchiusa\u{7f}"),
            "\u{fffd}]0;x\u{fffd}\u{fffd}2J\u{fffd}chiusa\u{fffd}"
        );
    }

    #[test]
    fn short_keeps_to_one_line_and_counts_characters() {
        assert_eq!(short("una\n buca   profonda", 50), "una buca profonda");
        assert_eq!(short("è è è è", 3), "è …");
    }
}
