//! Splits a letter into the writer's own words, what is quoted, and the signature. Line by line, so that nothing is lost:
//! every line goes to exactly one of the three.
//!
//! Where it is doubtful whose words they are, they are the writer's: too much text costs a rule a little certainty, too
//! little loses the matter. A letter of which nothing would be left is all text (a forwarded letter, a form).

use super::closing;

/// The three parts of a letter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) text: String,
    pub(crate) quoted: String,
    pub(crate) signature: String,
}

/// Where a line belongs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    Own,
    Quoted,
    Signature,
}

/// Splits a cleaned text. `reply` says that the letter answers another: then a single line with a bracket is a quote.
pub(crate) fn split(text: &str, reply: bool) -> Split {
    let lines: Vec<&str> = text.split('\n').collect();
    let mut whose = vec![Whose::Own; lines.len()];
    mark_quotes(&lines, &mut whose, reply);
    let own_before = has_own(&lines, &whose);
    if own_before {
        closing::mark_closing(&lines, &mut whose);
        if !has_own(&lines, &whose) {
            // Only a signature: it is the letter.
            whose.iter_mut().filter(|w| **w == Whose::Signature).for_each(|w| *w = Whose::Own);
        }
    } else {
        whose.fill(Whose::Own);
    }
    Split {
        text: gather(&lines, &whose, Whose::Own),
        quoted: gather(&lines, &whose, Whose::Quoted),
        signature: gather(&lines, &whose, Whose::Signature),
    }
}

/// True if anything of a word is the writer's own.
fn has_own(lines: &[&str], whose: &[Whose]) -> bool {
    lines.iter().zip(whose).any(|(line, w)| *w == Whose::Own && line.chars().any(char::is_alphanumeric))
}

/// The lines of one kind; where others were left out between them, an empty line.
fn gather(lines: &[&str], whose: &[Whose], kind: Whose) -> String {
    let mut out = String::new();
    let mut blank = false;
    for (line, w) in lines.iter().zip(whose) {
        if *w != kind || line.is_empty() {
            blank = true;
            continue;
        }
        if !out.is_empty() {
            out.push_str(if blank { "\n\n" } else { "\n" });
        }
        blank = false;
        out.push_str(line);
    }
    out
}

pub(super) fn mark(whose: &mut [Whose], range: std::ops::Range<usize>, kind: Whose) {
    if let Some(slice) = whose.get_mut(range) {
        slice.fill(kind);
    }
}

fn is_quote_line(line: &str) -> bool {
    let line = line.trim_start();
    // `>From` is a line that an mbox has protected, not a quote.
    line.starts_with('>') && !line.starts_with(">From ") || line.starts_with("| > ")
}

fn mark_quotes(lines: &[&str], whose: &mut [Whose], reply: bool) {
    let at = |i: usize| lines.get(i).copied().unwrap_or_default();
    let mut certain = reply || lines.iter().filter(|l| is_quote_line(l)).take(2).count() > 1;
    let mut i = 0;
    while i < lines.len() {
        let line = at(i);
        if is_quote_line(line) {
            // A single line with a bracket and nothing that introduces it may be anything.
            let introduced = introduction_before(lines, whose, i);
            if certain || introduced.is_some() {
                if let Some(range) = introduced {
                    mark(whose, range, Whose::Quoted);
                }
                mark(whose, i..i + 1, Whose::Quoted);
            }
            i += 1;
            continue;
        }
        if is_divider(line) || header_block(lines, i) || labelled_block(lines, i) {
            // Everything from here on is another letter; the rule above it belongs to it.
            let from = with_rule_above(lines, i);
            let Some(end) = marked_below(lines, i) else {
                mark(whose, from..lines.len(), Whose::Quoted);
                return;
            };
            mark(whose, from..end, Whose::Quoted);
            certain = true;
            i = end;
            continue;
        }
        if let Some(len) = attribution(lines, i) {
            let anew = |j: &usize| begins_anew(at(*j)) && attribution(lines, *j).is_some();
            if let Some(j) = (i + 1..i + len).find(anew) {
                // The writer's last line, right above it, begins like one.
                i = j;
                continue;
            }
            let mut next = i + len;
            while next < lines.len() && at(next).trim().is_empty() {
                next += 1;
            }
            if next < lines.len() && !is_quote_line(at(next)) {
                // Not marked line by line: the rest is the quote, unless marked lines come later.
                let later = lines.iter().skip(next).take(5).any(|l| is_quote_line(l));
                let written: String = lines.iter().skip(i).take(len).copied().collect();
                if !later && (written.contains('@') || has_time(&written)) {
                    mark(whose, with_rule_above(lines, i)..lines.len(), Whose::Quoted);
                    return;
                }
                if !later {
                    // `Il giorno 12 il vigile mi ha scritto:` is a sentence.
                    i += len;
                    continue;
                }
            }
            mark(whose, i..i + len, Whose::Quoted);
            certain = true;
            i += len;
            continue;
        }
        i += 1;
    }
}

/// Where the rule above this line stands, with nothing between; the line itself if there is none.
fn with_rule_above(lines: &[&str], at: usize) -> usize {
    let above = lines.iter().take(at).rposition(|l| !l.trim().is_empty());
    above.filter(|n| lines.get(*n).is_some_and(|l| is_rule(l))).unwrap_or(at)
}

/// Where the old letter begins below a divider or a block of headers, if each of its lines is marked: then words may follow it.
fn marked_below(lines: &[&str], from: usize) -> Option<usize> {
    if lines.get(from).is_some_and(|l| is_forward_divider(l)) {
        return None;
    }
    let heads = |line: &str| line.trim().is_empty() || is_divider(line) || pseudo_header(line).is_some();
    let end = lines.iter().enumerate().skip(from).take(12).find(|(_, line)| !heads(line))?.0;
    let marked = lines.iter().skip(end).filter(|l| !l.trim().is_empty()).take(2).filter(|l| is_quote_line(l));
    // One line alone may be anything.
    (lines.get(end).is_some_and(|l| is_quote_line(l)) && marked.count() == 2).then_some(end)
}

/// A time of day, `10:02` or `10.22`.
fn has_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes
        .windows(4)
        .any(|w| matches!(w, [a, b':' | b'.', c, d] if [a, c, d].iter().all(|b| b.is_ascii_digit())))
}

/// The line or two before a quote that end in a colon and name a date or an address: `Mario Rossi ha scritto il 3/2:`, in
/// whatever language.
fn introduction_before(lines: &[&str], whose: &[Whose], quote: usize) -> Option<std::ops::Range<usize>> {
    let mut i = quote.checked_sub(1)?;
    if lines.get(i)?.trim().is_empty() {
        i = i.checked_sub(1)?;
    }
    let line = lines.get(i)?.trim();
    if *whose.get(i)? != Whose::Own || !line.ends_with(':') || line.len() > 250 {
        return None;
    }
    let dated = |l: &str| l.chars().filter(char::is_ascii_digit).count() >= 3 || l.contains('@');
    if dated(line) {
        return Some(i..quote);
    }
    // Wrapped: the date stands in the line above.
    let above = i.checked_sub(1)?;
    let first = lines.get(above)?.trim();
    (attribution_start(first) && dated(first)).then_some(above..quote)
}

/// Dividers that stand between hyphens, underscores or stars.
const RULED: &[&str] = &[
    "messaggio originale",
    "original message",
    "original appointment",
    "messaggio inoltrato",
    "forwarded message",
    "ursprüngliche nachricht",
    "urspr. nachricht",
    "originalnachricht",
    "weitergeleitete nachricht",
    "message d'origine",
    "message original",
    "message transféré",
    "mensaje original",
    "mensaje reenviado",
    "messaggio inoltrato da",
    "forwarded by",
];
/// Dividers that stand alone.
const BARE: &[&str] =
    &["inizio messaggio inoltrato", "begin forwarded message", "anfang der weitergeleiteten nachricht"];

/// `-----Messaggio originale-----` and its like: what follows is another letter.
pub(crate) fn is_divider(line: &str) -> bool {
    let line = line.trim();
    // Nearly every line is sent away by its first letter.
    if line.len() > 120 || !line.starts_with(['-', '_', '=', '*', 'i', 'I', 'b', 'B', 'a', 'A']) {
        return false;
    }
    let core =
        line.trim_matches(|c: char| matches!(c, '-' | '_' | '*' | '=' | ' ' | ':' | '>')).to_lowercase();
    let ruled =
        line.starts_with("--") || line.starts_with("__") || line.starts_with("==") || line.starts_with("**");
    (ruled && RULED.iter().any(|word| core.starts_with(word))) || BARE.contains(&core.as_str())
}

/// True for a divider that says that the letter was sent on, not merely quoted below an answer.
pub(crate) fn is_forward_divider(line: &str) -> bool {
    let line = line.to_lowercase();
    ["inoltrato", "forwarded", "weitergeleitete", "transféré", "reenviado"].iter().any(|w| line.contains(w))
}

/// A line of underscores, as Outlook puts it above the old letter.
pub(super) fn is_rule(line: &str) -> bool {
    let line = line.trim();
    line.len() >= 10 && line.bytes().all(|b| matches!(b, b'_' | b'-' | b'='))
}

/// Which header a line like `Da: ...` or `*Inviato:* ...` is, in Italian, English, German, French or Spanish.
pub(crate) fn pseudo_header(line: &str) -> Option<char> {
    let line = line.trim_start_matches([' ', '\t', '*', '>']);
    let (name, _) = line.split_once(':')?;
    if name.len() > 20 {
        return None;
    }
    let name = name.trim_matches([' ', '*', '\t']).to_lowercase();
    Some(match name.as_str() {
        "da" | "from" | "von" | "de" | "mittente" => 'f',
        "inviato" | "sent" | "gesendet" | "envoyé" | "enviado" | "data" | "date" | "datum" | "fecha"
        | "data invio" => 'd',
        "a" | "to" | "an" | "à" | "para" | "cc" | "destinatario" | "destinatari" | "per conoscenza" => 't',
        "oggetto" | "ogg" | "subject" | "betreff" | "objet" | "asunto" => 's',
        _ => return None,
    })
}

/// True where a block of old headers begins: the sender, a date, and an addressee or a subject, within eight lines.
pub(crate) fn header_block(lines: &[&str], at: usize) -> bool {
    let kind = |line: &&str| pseudo_header(line);
    if lines.get(at).and_then(|l| pseudo_header(l)) != Some('f') {
        return false;
    }
    let found: Vec<char> = lines.iter().skip(at).take(9).filter_map(kind).collect();
    found.contains(&'d') && (found.contains(&'t') || found.contains(&'s'))
}

/// True for a rule of underscores with a block of headers below it, in whatever language: three lines or more of the form
/// `Word: value`, with an address and a date among them. Outlook puts it so in plain text, and [`super::html`] where HTML marks
/// the old letter.
fn labelled_block(lines: &[&str], at: usize) -> bool {
    if !lines.get(at).is_some_and(|l| l.starts_with("__") && is_rule(l)) {
        return false;
    }
    let label = |line: &str| {
        let (name, value) = line.trim_start_matches([' ', '*']).split_once(':')?;
        let word = !name.is_empty() && name.chars().count() <= 20 && name.split_whitespace().count() <= 3;
        (word && !name.contains('/')).then(|| value.to_owned())
    };
    let below = lines.iter().skip(at + 1).filter(|l| !l.trim().is_empty()).take(8);
    let values: Vec<String> = below.map_while(|l| label(l)).collect();
    values.len() >= 3
        && values.first().is_some_and(|v| v.contains('@'))
        && values.iter().any(|v| v.chars().filter(char::is_ascii_digit).count() >= 5)
}

/// Words with which an attribution begins.
fn attribution_start(line: &str) -> bool {
    const STARTS: &[&str] = &["il ", "in data ", "on ", "am ", "le ", "el ", "lo scorso ", "alle "];
    let line = line.trim_start();
    if !line.starts_with(|c: char| "iIoOaAlLeEmMgGvVsSdD".contains(c)) {
        return false;
    }
    let lower: String = line.chars().take(12).flat_map(char::to_lowercase).collect();
    STARTS.iter().any(|s| lower.starts_with(s))
        || ["lun", "mar", "mer", "gio", "ven", "sab", "dom"]
            .iter()
            .any(|d| lower.starts_with(d) && lower.contains(' '))
}

/// A line with which an attribution begins, and no wrapped one goes on.
fn begins_anew(line: &str) -> bool {
    let lower = line.trim_start().to_lowercase();
    ["il ", "in data ", "on ", "am ", "le ", "el "].iter().any(|start| lower.starts_with(start))
}

/// How many lines an attribution takes that begins here: `Il giorno ... ha scritto:`, `On ... wrote:`, wrapped over up to
/// four lines.
fn attribution(lines: &[&str], at: usize) -> Option<usize> {
    let taken = wrapped_attribution(lines, at)?;
    let first = lines.get(at)?.trim();
    // A sentence that begins in the same way, and right below it the attribution.
    let sentence = first.ends_with(['.', '?', '!']) || !first.contains(|c: char| c.is_ascii_digit());
    let nearer = |n: usize| wrapped_attribution(lines, at + n).is_some_and(|more| n + more == taken);
    (!(sentence && (1..taken).any(nearer))).then_some(taken)
}

fn wrapped_attribution(lines: &[&str], at: usize) -> Option<usize> {
    const ENDS: &[&str] = &[
        "ha scritto:",
        "ha scritto :",
        "scrive:",
        "hanno scritto:",
        "wrote:",
        "a écrit :",
        "a écrit:",
        "escribió:",
        "geschrieben:",
        "schrieb:",
    ];
    let first = lines.get(at)?.trim();
    if !attribution_start(first) {
        return None;
    }
    let mut joined = String::new();
    for (n, line) in lines.iter().skip(at).take(4).enumerate() {
        let line = line.trim();
        if n > 0 && (line.is_empty() || is_rule(line)) {
            return None;
        }
        if !joined.is_empty() {
            joined.push(' ');
        }
        joined.push_str(line);
        if joined.len() > 400 {
            return None;
        }
        let lower = joined.to_lowercase();
        let german = lower.starts_with("am ") && lower.contains(" schrieb ") && lower.ends_with(':');
        if german || ENDS.iter().any(|e| lower.ends_with(e)) {
            let dated = joined.chars().filter(char::is_ascii_digit).count() >= 3 || joined.contains('@');
            return dated.then_some(n + 1);
        }
    }
    None
}
