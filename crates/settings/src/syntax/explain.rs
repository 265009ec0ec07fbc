//! Why a header, a statement or their order cannot be read.

use std::ops::Range;

use toml::de::DeTable;

use super::{Mistake, value};
use crate::{codes, layers::REPEATED};

/// A whole file of another kind (JSON, XML, HTML), told once.
pub(super) fn other_format(text: &str) -> Option<Mistake> {
    let start = text.find(|c: char| !c.is_whitespace())?;
    let name = match text.get(start..)?.chars().next()? {
        '{' => "JSON",
        '<' => "XML o HTML",
        _ => return None,
    };
    let first_line = text.get(start..)?.lines().next()?.trim_end();
    Some(
        Mistake::new(
            start..start + first_line.len(),
            format!("questo file non è una configurazione di smista: sembra scritto in {name}"),
            format!("this file is no configuration of smista: it looks like {}", name.replace(" o ", " or ")),
        )
        .hint(
            "riscriverlo con righe come name = \"Gubbio\" sotto sezioni come [comune]",
            "write it anew with lines like name = \"Gubbio\" below sections like [comune]",
        ),
    )
}

/// A line that begins with `[`.
pub(super) fn header(line: &str) -> Mistake {
    let start = line.len() - line.trim_start().len();
    let content = line.split('#').next().unwrap_or(line).trim_end();
    let whole = start..content.len().max(start);
    let inner = content.get(start..).unwrap_or("");
    let opening = inner.len() - inner.trim_start_matches('[').len();
    let closing = inner.len() - inner.trim_end_matches(']').len();
    let name = inner.trim_matches(['[', ']']).trim();
    let good = |n: usize| format!("{}{name}{}", "[".repeat(n.clamp(1, 2)), "]".repeat(n.clamp(1, 2)));
    if let Some(close) = inner.find(']')
        && closing == 0
    {
        let after = inner.get(close..).unwrap_or("").trim_start_matches(']').trim_start();
        let end = inner.len() - after.len();
        let rest = start + end..content.len();
        return Mistake::new(
            rest,
            "dopo il nome di una sezione la riga deve finire",
            "after the name of a section the line must end",
        )
        .hint("mandare a capo il resto", "put the rest on a line of its own");
    }
    if name.is_empty() {
        return Mistake::new(whole, "manca il nome della sezione", "the section's name is missing")
            .hint("scrivere per esempio [comune]", "write for instance [comune]");
    }
    if let Some(bad) = name.find(|c: char| !(c.is_ascii_alphanumeric() || "_-.\"'".contains(c)))
        && opening == closing
    {
        let at = line.find(name).unwrap_or(start) + bad;
        let width = name.get(bad..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8);
        return Mistake::new(
            at..at + width,
            format!("il nome della sezione «{name}» contiene un carattere non ammesso"),
            format!("the section's name '{name}' contains a character that is not allowed"),
        )
        .hint(
            "usare solo lettere senza accento, cifre, trattini e trattini bassi",
            "use only letters without accents, digits, hyphens and underscores",
        );
    }
    if opening > closing {
        let missing = "]".repeat(opening.min(2).saturating_sub(closing).max(1));
        return Mistake::new(
            content.len()..content.len(),
            format!("manca «{missing}» alla fine del nome della sezione"),
            format!("'{missing}' is missing at the end of the section's name"),
        )
        .hint(format!("scrivere {}", good(opening)), format!("write {}", good(opening)));
    }
    if closing > opening {
        return Mistake::new(
            whole,
            "le parentesi quadre aperte e chiuse non sono lo stesso numero",
            "there are not as many opening as closing brackets",
        )
        .hint(format!("scrivere {}", good(closing)), format!("write {}", good(closing)));
    }
    unclear(whole, line)
}

/// A statement `key = value`, which may go over several lines.
pub(super) fn statement(text: &str) -> Mistake {
    let first = text.split('\n').next().unwrap_or(text);
    let start = first.len() - first.trim_start().len();
    let line = first.trim();
    let whole = start..start + line.len();
    if let Some(mistake) = value::odd_character(text) {
        return mistake;
    }
    for mark in ["//", ";", "--", "/*", "%", "REM "] {
        if line.starts_with(mark) {
            return Mistake::new(
                start..start + mark.trim_end().len(),
                format!("le spiegazioni non cominciano con «{}»", mark.trim_end()),
                format!("comments do not begin with '{}'", mark.trim_end()),
            )
            .hint("mettere # all'inizio della riga", "put # at the beginning of the line");
        }
    }
    match value::unquoted_find(line, '=') {
        None => without_equals(line, start),
        Some(0) => Mistake::new(
            start..start + 1,
            "manca il nome della voce davanti al segno =",
            "the key before the = is missing",
        )
        .hint("scrivere per esempio name = \"Gubbio\"", "write for instance name = \"Gubbio\""),
        Some(equals) => {
            let key = line.get(..equals).unwrap_or("").trim_end();
            bad_key(key, start).unwrap_or_else(|| {
                let from = start + equals + 1;
                value::explain(text, key, from).unwrap_or_else(|| unclear(whole, text))
            })
        }
    }
}

fn without_equals(line: &str, start: usize) -> Mistake {
    let whole = start..start + line.len();
    let is_key = |k: &str| !k.is_empty() && k.chars().all(|c| c.is_alphanumeric() || "_-".contains(c));
    if let Some((key, rest)) = line.split_once(':')
        && is_key(key.trim_end())
    {
        let at = start + key.len();
        let (key, rest) = (key.trim_end(), rest.trim());
        return Mistake::new(
            at..at + 1,
            "al posto dei due punti serve il segno =",
            "instead of the colon there must be an =",
        )
        .hint(format!("scrivere {}", value::line(key, rest)), format!("write {}", value::line(key, rest)));
    }
    if line.ends_with(']') && is_key(line.trim_end_matches(']')) {
        let name = line.trim_end_matches(']');
        return Mistake::new(
            whole,
            "manca la parentesi quadra di apertura della sezione",
            "the section's opening bracket is missing",
        )
        .hint(format!("scrivere [{name}]"), format!("write [{name}]"));
    }
    if is_key(line) {
        return Mistake::new(
            whole,
            format!("dopo «{line}» mancano il segno = e il valore"),
            format!("after '{line}' the = and the value are missing"),
        )
        .hint(format!("scrivere {line} = \"...\""), format!("write {line} = \"...\""));
    }
    if let Some((key, rest)) = line.split_once([' ', '\t', '"', '\''])
        && is_key(key)
        && line.get(key.len()..).is_some_and(|rest| rest.trim_start().starts_with(['"', '\'', '[']))
    {
        let rest = line.get(key.len()..).unwrap_or(rest).trim();
        return Mistake::new(
            start..start + key.len(),
            format!("dopo «{key}» manca il segno ="),
            format!("after '{key}' the = is missing"),
        )
        .hint(format!("scrivere {}", value::line(key, rest)), format!("write {}", value::line(key, rest)));
    }
    Mistake::new(
        whole,
        "questa riga non è né una voce né una spiegazione",
        "this line is neither a key with its value nor a comment",
    )
    .hint(
        "se è una spiegazione mettere # davanti, altrimenti scrivere voce = valore",
        "if it is a comment put # before it, else write key = value",
    )
}

fn bad_key(key: &str, start: usize) -> Option<Mistake> {
    if DeTable::parse(&format!("{key} = 1")).is_ok() {
        return None;
    }
    let at = start..start + key.len();
    if key.contains(char::is_whitespace)
        && key.chars().all(|c| c.is_alphanumeric() || c.is_whitespace() || c == '_')
    {
        let joined = key.split_whitespace().collect::<Vec<_>>().join("_");
        return Some(
            Mistake::new(
                at,
                format!("il nome della voce «{key}» contiene uno spazio"),
                format!("the key '{key}' contains a space"),
            )
            .hint(
                format!("scriverlo senza spazi, per esempio {joined}"),
                format!("write it without spaces, for instance {joined}"),
            ),
        );
    }
    let bad = key.find(|c: char| !(c.is_ascii_alphanumeric() || "_-.".contains(c)))?;
    let c = key.get(bad..)?.chars().next()?;
    Some(
        Mistake::new(
            start + bad..start + bad + c.len_utf8(),
            format!("il nome della voce «{key}» contiene «{c}», che non è ammesso"),
            format!("the key '{key}' contains '{c}', which is not allowed"),
        )
        .hint(
            "nel nome usare solo lettere senza accento, cifre e trattini bassi",
            "in a key use only letters without accents, digits and underscores",
        ),
    )
}

/// What only shows when statements are seen together: the same key or table twice.
pub(super) fn structure(text: &str, at: Range<usize>, message: &str) -> Mistake {
    let name = text.get(at.clone()).unwrap_or("").to_owned();
    if message != "duplicate key" {
        return unclear(at, text);
    }
    let line_start = text.get(..at.start).and_then(|t| t.rfind('\n')).map_or(0, |n| n + 1);
    let line = text.get(line_start..).and_then(|t| t.lines().next()).unwrap_or("");
    let before = text.get(..line_start).unwrap_or("");
    let mut mistake = if line.trim_start().starts_with('[') {
        let title = line.split('#').next().unwrap_or(line).trim();
        let several = REPEATED.contains(&name.as_str());
        Mistake::new(
            at,
            format!("la sezione {title} c'è già più sopra"),
            format!("the section {title} is there already, above"),
        )
        .hint(
            if several {
                format!("scrivere [[{name}]] in entrambe")
            } else {
                "unire le due sezioni in una sola".to_owned()
            },
            if several {
                format!("write [[{name}]] in both")
            } else {
                "make one section of the two".to_owned()
            },
        )
    } else {
        Mistake::new(
            at,
            format!("la voce «{name}» c'è già più sopra"),
            format!("the key '{name}' is there already, above"),
        )
        .hint("toglierne una delle due", "remove one of the two")
    };
    mistake.code = codes::DUPLICATE_KEY;
    let first = if line.trim_start().starts_with('[') {
        first_header(before, &name)
    } else {
        first_key(before, &name)
    };
    mistake.other = first.map(|at| (at, "la prima è qui", "the first is here"));
    mistake
}

fn first_header(before: &str, name: &str) -> Option<Range<usize>> {
    let mut start = 0;
    for line in before.split_inclusive('\n') {
        let content = line.split('#').next().unwrap_or(line).trim();
        if content.starts_with('[') && content.trim_matches(['[', ']']).trim() == name {
            let at = start + line.len() - line.trim_start().len();
            return Some(at..at + content.len());
        }
        start += line.len();
    }
    None
}

fn first_key(before: &str, name: &str) -> Option<Range<usize>> {
    let mut end = before.len();
    for line in before.split_inclusive('\n').rev() {
        let start = end - line.len();
        let content = line.trim_start();
        if content.starts_with('[') {
            return None;
        }
        if content.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('=')) {
            let at = start + line.len() - content.len();
            return Some(at..at + name.len());
        }
        end = start;
    }
    None
}

/// None of the mistakes that people usually make: a general sentence, with the parser's own words for who knows TOML.
pub(super) fn unclear(at: Range<usize>, text: &str) -> Mistake {
    let first = DeTable::parse_recoverable(text).1.into_iter().min_by_key(|e| e.span().map(|s| s.start));
    let detail = first.map_or(String::new(), |e| format!(" ({})", e.message()));
    Mistake::new(
        at,
        format!("smista non riesce a leggere questo punto{detail}"),
        format!("smista cannot read this place{detail}"),
    )
    .hint(
        "confrontare la riga con la configurazione di esempio: voce = \"testo\", voce = 10, voce = [\"uno\", \"due\"]",
        "compare the line with the example configuration: key = \"text\", key = 10, key = [\"one\", \"two\"]",
    )
}
