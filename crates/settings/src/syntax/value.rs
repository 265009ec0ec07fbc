//! Why a value cannot be read: quotes, brackets, commas, dates, backslashes.

use std::ops::Range;

use super::{Mistake, bare::bare};

/// `key = value` as it should be: a bare word gets its quotes.
pub(super) fn line(key: &str, value: &str) -> String {
    let value = value.trim().trim_end_matches(',');
    let is_right = value.starts_with(['"', '\'', '[', '{'])
        || value.parse::<f64>().is_ok()
        || matches!(value, "true" | "false");
    let value = match value {
        "" => "\"...\"".to_owned(),
        v if is_right => v.to_owned(),
        v => format!("\"{}\"", v.replace('"', "")),
    };
    if value.chars().count() > 60 { format!("{key} = \"...\"") } else { format!("{key} = {value}") }
}

/// Where `wanted` first stands outside quotes and before a comment.
pub(super) fn unquoted_find(line: &str, wanted: char) -> Option<usize> {
    unquoted(line).find(|(_, c)| *c == wanted).map(|(at, _)| at)
}

/// The characters outside `"..."`, `'...'` and comments. Quotes end with their line.
fn unquoted(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut quote = None;
    let mut escaped = false;
    let mut comment = false;
    text.char_indices().filter(move |(_, c)| {
        if *c == '\n' {
            (quote, escaped, comment) = (None, false, false);
            return true;
        }
        match quote {
            _ if comment => false,
            Some(q) => {
                if escaped {
                    escaped = false;
                } else if *c == '\\' && q == '"' {
                    escaped = true;
                } else if *c == q {
                    quote = None;
                }
                false
            }
            None if *c == '#' => {
                comment = true;
                false
            }
            None if *c == '"' || *c == '\'' => {
                quote = Some(*c);
                false
            }
            None => true,
        }
    })
}

/// Typographic quotes and invisible spaces, which word processors put in.
pub(super) fn odd_character(text: &str) -> Option<Mistake> {
    let (at, c) = unquoted(text).find(|(_, c)| is_typographic(*c) || is_invisible(*c))?;
    let end = at + c.len_utf8();
    if is_invisible(c) {
        return Some(
            Mistake::new(
                at..end,
                "qui c'è uno spazio speciale, che non si vede ma non è ammesso",
                "here is a special space, which cannot be seen and is not allowed",
            )
            .hint(
                "cancellare lo spazio e ribatterlo (succede copiando da Word o da una pagina web)",
                "delete the space and type it again (it comes from copying out of Word or a web page)",
            ),
        );
    }
    let line_rest = text.get(end..)?.lines().next()?;
    let closing = |other: char| match c {
        '«' => other == '»',
        '\u{2018}' => other == '\u{2019}',
        _ => matches!(other, '\u{201c}' | '\u{201d}') || other == c,
    };
    let close = line_rest.char_indices().find(|(_, other)| closing(*other));
    let (inner, whole) = match close {
        Some((n, c)) => (line_rest.get(..n)?, at..end + n + c.len_utf8()),
        None => (line_rest.split(',').next()?, at..end),
    };
    let good = inner.trim().replace(is_typographic, "");
    Some(
        Mistake::new(
            whole,
            format!("queste virgolette ({c}) non vanno bene: sono quelle dei testi stampati"),
            format!("these quotes ({c}) will not do: they are those of printed text"),
        )
        .hint(
            format!("usare le virgolette dritte della tastiera: \"{good}\""),
            format!("use the straight quotes of the keyboard: \"{good}\""),
        ),
    )
}

fn is_typographic(c: char) -> bool {
    matches!(c, '\u{2018}'..='\u{201f}' | '«' | '»' | '\u{2032}' | '\u{2033}' | '`' | '´')
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{a0}' | '\u{2000}'..='\u{200f}' | '\u{202f}' | '\u{2060}' | '\u{3000}' | '\u{feff}')
}

/// Why the value that begins at byte `from` of the statement cannot be read. None: nothing usual.
pub(super) fn explain(text: &str, key: &str, from: usize) -> Option<Mistake> {
    let rest = text.get(from..)?;
    let first = rest.lines().next().unwrap_or("");
    let start = from + (first.len() - first.trim_start().len());
    let value = first.trim();
    let content = without_comment(value);
    match value.chars().next() {
        _ if content.is_empty() => Some(
            Mistake::new(
                key_range(text, key, from),
                format!("dopo «{key} =» manca il valore"),
                format!("after '{key} =' the value is missing"),
            )
            .hint(format!("scrivere {key} = \"...\""), format!("write {key} = \"...\"")),
        ),
        Some('=') => {
            Some(Mistake::new(start..start + 1, "c'è un segno = di troppo", "there is one = too many").hint(
                format!("scrivere {}", line(key, value.trim_start_matches('='))),
                format!("write {}", line(key, value.trim_start_matches('='))),
            ))
        }
        Some('"' | '\'') if value.starts_with("\"\"\"") || value.starts_with("'''") => {
            let marks = value.get(..3)?;
            Some(
                Mistake::new(
                    start..start + 3,
                    format!("il testo che comincia con {marks} non viene mai chiuso"),
                    format!("the text that begins with {marks} is never closed"),
                )
                .hint(
                    format!("mettere {marks} alla fine del testo"),
                    format!("put {marks} at the end of the text"),
                ),
            )
        }
        Some('"' | '\'') => quoted(value, key, start),
        Some('[') => list(text, key, start),
        Some('{') => None,
        _ => Some(bare(content, key, start)),
    }
}

fn key_range(text: &str, key: &str, from: usize) -> Range<usize> {
    let at = text.find(key).unwrap_or(0);
    at..from.max(at + key.len())
}

fn without_comment(value: &str) -> &str {
    unquoted_comment(value).and_then(|at| value.get(..at)).unwrap_or(value).trim_end()
}

fn unquoted_comment(value: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in value.char_indices() {
        match quote {
            Some(q) if c == q => quote = None,
            None if c == '#' => return Some(at),
            None if c == '"' || c == '\'' => quote = Some(c),
            _ => {}
        }
    }
    None
}

/// The end (one past the closing quote) of a string at the beginning of `value`, on the same line.
fn string_end(value: &str) -> Option<usize> {
    let quote = value.chars().next()?;
    let mut escaped = false;
    for (at, c) in value.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' && quote == '"' {
            escaped = true;
        } else if c == quote {
            return Some(at + 1);
        }
    }
    None
}

fn quoted(value: &str, key: &str, start: usize) -> Option<Mistake> {
    let quote = value.chars().next()?;
    let Some(end) = string_end(value) else { return Some(unclosed(value, start)) };
    if let Some(mistake) = inside(value.get(..end)?, start) {
        return Some(mistake);
    }
    let after = value.get(end..)?;
    let rest = after.trim();
    let rest_at = start + end + (after.len() - after.trim_start().len());
    if rest.is_empty() || rest.starts_with('#') {
        return None;
    }
    let first = value.get(..end)?;
    if let Some(more) = rest.strip_prefix(',') {
        let list = format!("{key} = [{first}, {}]", without_comment(more.trim()).trim_end_matches(','));
        let list = if more.trim().is_empty() { format!("{key} = {first}") } else { list };
        return Some(
            Mistake::new(
                start..start + without_comment(value).len(),
                "più valori separati da virgole vanno tra parentesi quadre",
                "several values with commas between them go into brackets",
            )
            .hint(format!("scrivere {list}"), format!("write {list}")),
        );
    }
    if rest.starts_with(']') {
        return Some(
            Mistake::new(
                rest_at..rest_at + 1,
                "c'è una parentesi quadra chiusa, ma nessuna aperta",
                "there is a closing bracket, but no opening one",
            )
            .hint(format!("scrivere {key} = [{first}]"), format!("write {key} = [{first}]")),
        );
    }
    if rest.contains(quote) {
        return Some(
            Mistake::new(
                start..start + without_comment(value).len(),
                "ci sono virgolette dentro il testo, che così finisce prima del dovuto",
                "there are quotes within the text, which so ends too early",
            )
            .hint(
                "davanti alle virgolette interne mettere una barra: \\\"; due testi diversi vanno invece tra parentesi quadre, separati da una virgola",
                "put a backslash before the inner quotes: \\\"; two different texts go into brackets, with a comma between them",
            ),
        );
    }
    Some(after_value(rest, rest_at))
}

fn after_value(rest: &str, at: usize) -> Mistake {
    Mistake::new(at..at + rest.len(), "dopo il valore c'è altro testo", "there is more text after the value")
        .hint(
            "se è una spiegazione mettere # davanti, altrimenti andare a capo o toglierlo",
            "if it is a comment put # before it, else put it on a line of its own or remove it",
        )
}

fn unclosed(value: &str, start: usize) -> Mistake {
    let quote = value.chars().next().unwrap_or('"');
    let at = start..start + value.len();
    if value.ends_with("\\\"") {
        return Mistake::new(
            start + value.len() - 2..start + value.len(),
            "la barra \\ davanti alle virgolette ne annulla la chiusura",
            "the backslash before the quotes keeps them from closing the text",
        )
        .hint(
            format!("per un percorso di Windows usare gli apici: '{}'", value.trim_matches('"')),
            format!("for a Windows path use single quotes: '{}'", value.trim_matches('"')),
        );
    }
    let whole = format!("{value}{quote}");
    let shown = if whole.chars().count() > 60 { format!("...{quote}") } else { whole };
    Mistake::new(at, "mancano le virgolette di chiusura", "the closing quotes are missing").hint(
        format!("mettere {quote} alla fine del testo: {shown}"),
        format!("put {quote} at the end of the text: {shown}"),
    )
}

/// What is wrong within a closed string: a backslash that means nothing, a control character.
fn inside(string: &str, start: usize) -> Option<Mistake> {
    let mut chars = string.char_indices().peekable();
    let is_basic = string.starts_with('"');
    while let Some((at, c)) = chars.next() {
        if c == '\\' && is_basic {
            let (_, next) = chars.next()?;
            let digits = match next {
                'u' => 4,
                'U' => 8,
                'x' => 2,
                _ => 0,
            };
            let hex = string.get(at + 2..).unwrap_or("").chars().take_while(char::is_ascii_hexdigit).count();
            if "btnfre\"\\".contains(next) || (digits > 0 && hex >= digits) {
                continue;
            }
            let inner = string.trim_matches('"');
            let shown = if inner.chars().count() > 50 { "...".to_owned() } else { inner.to_owned() };
            return Some(
                Mistake::new(
                    start + at..start + at + 1 + next.len_utf8(),
                    format!("la barra \\ seguita da «{next}» non ha significato tra virgolette doppie"),
                    format!("a backslash followed by '{next}' means nothing in double quotes"),
                )
                .hint(
                    format!("usare gli apici al posto delle virgolette: '{shown}' (oppure raddoppiare la barra: \\\\)"),
                    format!("use single quotes instead: '{shown}' (or double the backslash: \\\\)"),
                ),
            );
        }
        if c.is_control() && c != '\t' {
            return Some(
                Mistake::new(
                    start + at..start + at + c.len_utf8(),
                    "qui c'è un carattere invisibile non ammesso",
                    "here is an invisible character that is not allowed",
                )
                .hint("cancellarlo e ribattere il testo", "delete it and type the text again"),
            );
        }
    }
    None
}

/// A list `[...]` over one or more lines.
fn list(text: &str, key: &str, start: usize) -> Option<Mistake> {
    let mut at = start + 1;
    let mut depth = 1_usize;
    // End of the value before, while no comma has come since.
    let mut value_end: Option<usize> = None;
    while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = text.get(at..)?;
        let line_rest = rest.lines().next().unwrap_or("");
        match c {
            c if c.is_whitespace() => at += c.len_utf8(),
            '#' => at += line_rest.len(),
            ',' => {
                if value_end.is_none() {
                    return Some(
                        Mistake::new(at..at + 1, "c'è una virgola di troppo", "there is one comma too many")
                            .hint("toglierla", "remove it"),
                    );
                }
                value_end = None;
                at += 1;
            }
            ']' => {
                depth -= 1;
                at += 1;
                value_end = Some(at);
                if depth == 0 {
                    let tail = text.get(at..)?.lines().next().unwrap_or("").trim();
                    let tail_at = at + text.get(at..)?.find(tail)?;
                    return (!tail.is_empty() && !tail.starts_with('#')).then(|| after_value(tail, tail_at));
                }
            }
            _ => {
                if let Some(end) = value_end {
                    return Some(without_comma(text, key, start, end, at));
                }
                match c {
                    '[' => {
                        depth += 1;
                        at += 1;
                        continue;
                    }
                    '{' => return None,
                    '"' | '\'' if rest.starts_with("\"\"\"") || rest.starts_with("'''") => return None,
                    '"' | '\'' => {
                        let Some(end) = string_end(line_rest) else {
                            return Some(unclosed_in_list(line_rest.trim_end(), at));
                        };
                        if let Some(mistake) = inside(line_rest.get(..end)?, at) {
                            return Some(mistake);
                        }
                        at += end;
                    }
                    _ => {
                        let width = line_rest.find([',', ']', '#']).unwrap_or(line_rest.len());
                        let word = line_rest.get(..width)?.trim_end();
                        if !is_plain_value(word) {
                            return Some(bare(word, "", at));
                        }
                        at += word.len();
                    }
                }
                value_end = Some(at);
            }
        }
    }
    Some(unclosed_list(start))
}

fn unclosed_list(start: usize) -> Mistake {
    Mistake::new(
        start..start + 1,
        "l'elenco che comincia qui non viene chiuso: manca la parentesi quadra ]",
        "the list that begins here is not closed: the bracket ] is missing",
    )
    .hint("mettere ] dopo l'ultimo valore dell'elenco", "put ] after the list's last value")
}

/// Two values without a comma: either it is missing, or the list is not closed and the next statement has begun.
fn without_comma(text: &str, key: &str, start: usize, end: usize, next: usize) -> Mistake {
    let next_line = text.get(next..).and_then(|t| t.lines().next()).unwrap_or("");
    let is_new_line = text.get(end..next).is_some_and(|gap| gap.contains('\n'));
    if is_new_line && unquoted_find(next_line, '=').is_some() {
        return unclosed_list(start);
    }
    let list = if key.is_empty() { "[...]".to_owned() } else { format!("{key} = [\"uno\", \"due\"]") };
    Mistake::new(
        end..end,
        "manca la virgola tra due valori dell'elenco",
        "the comma between two values of the list is missing",
    )
    .hint(format!("mettere una virgola qui: {list}"), format!("put a comma here: {list}"))
}

/// In a list the closing quotes most likely belong before the comma or the bracket.
fn unclosed_in_list(rest: &str, at: usize) -> Mistake {
    let text = rest.trim_end_matches([',', ']', ' ']);
    let mut mistake = unclosed(text, at);
    mistake.at = at..at + text.len();
    mistake
}

fn is_plain_value(word: &str) -> bool {
    toml::de::DeTable::parse(&format!("a = {word}")).is_ok()
}
