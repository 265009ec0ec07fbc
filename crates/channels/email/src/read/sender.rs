//! Who wrote and to whom: the address fields, also broken ones.
//!
//! The grammar is mail-parser's; what it is given has been decoded and bounded before. Where it finds no address, any
//! `name@domain` in the field is taken.

use mail_parser::{Address, HeaderValue, parsers::MessageStream};
use smista_domain::Sender;

use super::{header::Fields, words};

/// No more addressees than this are kept.
pub(crate) const MAX_RECIPIENTS: usize = 1000;

/// An address longer than this is none (RFC 5321 allows 254).
const MAX_ADDRESS: usize = 320;
/// A longer name is cut.
const MAX_NAME: usize = 200;

/// The mailboxes of one address field, at most `max`.
pub(crate) fn mailboxes(raw: &[u8], max: usize) -> Vec<Sender> {
    let mut value = words::normalise(raw).into_owned();
    // Folding and bare CR are blanks; the parser wants a line end.
    value.iter_mut().filter(|b| matches!(b, b'\r' | b'\n' | b'\t' | 0)).for_each(|b| *b = b' ');
    value.push(b'\n');
    let mut found: Vec<Sender> = match MessageStream::new(&value).parse_address() {
        HeaderValue::Address(Address::List(list)) => list.iter().take(max).map(sender).collect(),
        HeaderValue::Address(Address::Group(groups)) => {
            groups.iter().flat_map(|g| g.addresses.iter()).take(max).map(sender).collect()
        }
        _ => Vec::new(),
    };
    // Two mailboxes without a comma come out as one.
    let glued = memchr::memchr_iter(b'<', raw).count() > 1
        && matches!(found.as_slice(), [Sender { address: Some(a), .. }] if a.matches('@').count() > 1);
    if glued
        && let Some(first) = memchr::memchr(b'>', raw).and_then(|end| raw.get(..=end))
        && first.len() < raw.len()
    {
        return mailboxes(first, max);
    }
    if glued || found.iter().all(|s| s.address.is_none()) {
        let text = words::decode(raw);
        if let Some(address) = any_address(&text) {
            let name = found.into_iter().find_map(|s| s.name).or_else(|| {
                let rest = text.replace(['<', '>', '"'], " ");
                let rest: Vec<&str> = rest.split_whitespace().filter(|w| !w.contains('@')).collect();
                clean_name(&rest.join(" "))
            });
            let name = name.map(|n| n.replace(&address, "")).and_then(|n| clean_name(&n));
            return vec![Sender { name, address: Some(address) }];
        }
    }
    found.retain(|s| s.name.is_some() || s.address.is_some());
    found
}

fn sender(addr: &mail_parser::Addr<'_>) -> Sender {
    let raw = addr.address.as_deref().unwrap_or_default();
    let words: Vec<&str> = raw.split_whitespace().collect();
    let mut name = addr.name.as_deref().and_then(clean_name);
    // `Mario Rossi m@example.it`, without brackets: only one of the words is an address. `"mario rossi"@example.it` is one.
    let quoted = raw.starts_with('"') && raw.contains("\"@");
    let address = match words.iter().filter(|w| w.contains('@')).collect::<Vec<_>>().as_slice() {
        [_] if quoted => clean_address(raw),
        // `Mario <m@example.it> Anna <a@example.it>`, without a comma: the first.
        [first, _, ..] => clean_address(first),
        [one] if words.len() > 1 => {
            let others: Vec<&str> = words.iter().copied().filter(|w| w != *one).collect();
            name = name.or_else(|| clean_name(&others.join(" ")));
            clean_address(one)
        }
        _ => clean_address(raw),
    };
    if name.is_none() && address.is_none() {
        // `From: Mario Rossi` without an address is a name.
        name = addr.address.as_deref().and_then(clean_name);
    }
    Sender { name, address }
}

/// Lower case, without what people put around it. None if it cannot be an address.
fn clean_address(raw: &str) -> Option<String> {
    // `"mario rossi"@example.it` (RFC 5321, section 4.1.2) is one address; quotes that it does not need are none of it.
    if let Some((local, domain)) = raw.trim().strip_prefix('"').and_then(|rest| rest.rsplit_once("\"@")) {
        let plain = local.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '+'));
        let address = if plain { format!("{local}@{domain}") } else { format!("\"{local}\"@{domain}") };
        let one_line = !address.chars().any(char::is_control) && address.len() <= MAX_ADDRESS;
        return (one_line && !local.is_empty() && !domain.is_empty()).then(|| address.to_lowercase());
    }
    let address: String =
        raw.chars().filter(|c| !c.is_whitespace() && !c.is_control() && !words::invisible(*c)).collect();
    let address = address.trim_matches(['<', '>', '"', '\'', ',', ';', '(', ')', '[']);
    let lower = address.to_lowercase();
    let address = lower.strip_prefix("mailto:").unwrap_or(&lower);
    // `<@relay.example,@other.example:m@example.it>`: a route (RFC 5321, appendix C) is no part of the address.
    let address =
        if address.starts_with('@') { address.rsplit(':').next().unwrap_or(address) } else { address };
    let (local, domain) = address.rsplit_once('@')?;
    let fits = !local.is_empty() && !domain.is_empty() && address.len() <= MAX_ADDRESS;
    fits.then(|| address.to_owned())
}

/// One line without quotes; None if nothing is left.
fn clean_name(raw: &str) -> Option<String> {
    let name = words::decode(raw.as_bytes());
    let name = name.trim().trim_matches(['"', '\'', '<', '>']).trim();
    (!name.is_empty()).then(|| name.chars().take(MAX_NAME).collect())
}

/// The first `name@domain.tld` in a text.
pub(crate) fn any_address(text: &str) -> Option<String> {
    text.split(|c: char| {
        c.is_whitespace() || matches!(c, '<' | '>' | ',' | ';' | '(' | ')' | '"' | '[' | ']')
    })
    .take(1000)
    .filter(|w| w.contains('@'))
    .find_map(clean_address)
}

/// The writer, and whether the From field was of no use.
pub(crate) fn writer(fields: &Fields<'_>) -> (Sender, bool) {
    let mut named = None;
    for raw in fields.all("from") {
        for found in mailboxes(raw, 20) {
            if found.address.is_some() {
                return (found, false);
            }
            named = named.or(Some(found));
        }
    }
    // Without From: who transmitted it, or where an answer should go.
    for field in ["sender", "reply-to", "return-path"] {
        for raw in fields.all(field) {
            if let Some(found) = mailboxes(raw, 5).into_iter().find(|s| s.address.is_some()) {
                let name = named.and_then(|n: Sender| n.name).or(found.name);
                return (Sender { name, address: found.address }, true);
            }
        }
    }
    (named.unwrap_or_default(), true)
}

/// To and Cc, lower case, each once, in order.
pub(crate) fn recipients(fields: &Fields<'_>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for raw in fields.all("to").chain(fields.all("cc")) {
        for address in mailboxes(raw, MAX_RECIPIENTS).into_iter().filter_map(|s| s.address) {
            if out.len() < MAX_RECIPIENTS && seen.insert(address.clone()) {
                out.push(address);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(raw: &str) -> (String, String) {
        let found = mailboxes(raw.as_bytes(), 10);
        let first = found.into_iter().next().unwrap_or_default();
        (first.name.unwrap_or_default(), first.address.unwrap_or_default())
    }

    #[test]
    fn addresses_in_every_shape() {
        let cases = [
            ("Mario Rossi <Mario.Rossi@Example.IT>", "Mario Rossi", "mario.rossi@example.it"),
            ("\"Rossi, Mario\" <m@example.it>", "Rossi, Mario", "m@example.it"),
            ("m@example.it (Mario Rossi)", "Mario Rossi", "m@example.it"),
            ("=?utf-8?Q?Niccol=C3?= =?utf-8?Q?=B2?= <n@example.it>", "Niccolò", "n@example.it"),
            ("\"=?iso-8859-1?Q?Niccol=F2?=\" <n@example.it>", "Niccolò", "n@example.it"),
            ("=?utf-8?Q?Mario_=3Cm=40example=2Eit=3E?=", "Mario", "m@example.it"),
            ("Mario Rossi", "Mario Rossi", ""),
            ("<>", "", ""),
            ("", "", ""),
            ("Mario Rossi m@example.it", "Mario Rossi", "m@example.it"),
            ("<mailto:m@example.it>", "", "m@example.it"),
            ("undisclosed-recipients:;", "", ""),
            ("Gruppo: a@example.it, b@example.it;", "", "a@example.it"),
            ("Mario <m@example.it", "Mario", "m@example.it"),
            ("Mario Rossi <m@example.it> Anna Bianchi <a@example.it>", "Mario Rossi", "m@example.it"),
            ("<@relay.example,@altro.example:m@example.it>", "", "m@example.it"),
            ("<\"mario.rossi\"@example.it>", "", "mario.rossi@example.it"),
            ("<\"Mario Rossi\"@example.it>", "", "\"mario rossi\"@example.it"),
        ];
        for (raw, name, address) in cases {
            assert_eq!(one(raw), (name.to_owned(), address.to_owned()), "{raw}");
        }
        assert_eq!(one("Niccol\u{f2} <n@example.it>").0, "Niccolò");
    }
}
