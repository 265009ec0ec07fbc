//! What ties a letter to others: Message-IDs, a number in the subject, and the fingerprint by which a second copy is known.

use sha2::{Digest as _, Sha256};
use smista_domain::{Digest, Number, Sender};

use super::header::Fields;

/// No more references than this.
const MAX_REFS: usize = 100;
/// A longer id is replaced by its hash: it must fit an index.
const MAX_ID: usize = 250;

/// `mid:` and the id, lower case, without brackets.
pub(crate) fn key(id: &str) -> Option<String> {
    let id: String =
        id.chars().filter(|c| !c.is_whitespace() && !c.is_control()).flat_map(char::to_lowercase).collect();
    let id = id.trim_matches(['<', '>', '"', '\'', ',', ';']);
    if id.is_empty() {
        return None;
    }
    Some(if id.len() > MAX_ID {
        format!("mid:sha256:{}", Digest::of(id.as_bytes()))
    } else {
        format!("mid:{id}")
    })
}

/// The ids of a field, in order. `<a@b> <c@d>`; without brackets, the words that look like ids.
fn ids(raw: &[u8]) -> Vec<String> {
    let text = super::words::decode(raw);
    let mut out = Vec::new();
    if text.contains('<') {
        for piece in text.split('<').skip(1) {
            // An id that was never closed ends where the next begins.
            let id = piece.split('>').next().unwrap_or(piece);
            out.extend(key(id));
        }
    } else {
        out.extend(text.split([' ', ',']).filter(|w| w.contains('@')).filter_map(key));
        if out.is_empty() && !text.contains(' ') {
            out.extend(key(&text));
        }
    }
    out
}

/// The letter's own id.
pub(crate) fn own(fields: &Fields<'_>) -> Option<String> {
    fields.all("message-id").find_map(|raw| ids(raw).into_iter().next())
}

/// The first id of another field.
pub(crate) fn first_id(fields: &Fields<'_>, name: &str) -> Option<String> {
    fields.all(name).find_map(|raw| ids(raw).into_iter().next())
}

/// What it answers: In-Reply-To, then References newest first, each once, without itself.
pub(crate) fn refs(fields: &Fields<'_>, own: Option<&str>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut references: Vec<String> = fields.all("references").flat_map(ids).collect();
    references.reverse();
    for id in fields.all("in-reply-to").flat_map(ids).chain(references) {
        if out.len() >= MAX_REFS {
            break;
        }
        if Some(id.as_str()) != own && !out.contains(&id) {
            out.push(id);
        }
    }
    out
}

/// What may stand before a number without brackets.
const INTRODUCERS: &[&str] =
    &["n.", "n°", "nr.", "nr", "nº", "no.", "numero", "#", "segnalazione", "pratica", "rif.", "riferimento"];

/// The number of a case in a subject: `[2026-000123]`, or after `n.`, `n°`, `nr`, `numero`, `#`, `segnalazione`, `pratica`.
/// Without one of these a number is none: `2026-000123` alone may be anybody's protocol.
pub(crate) fn number(subject: &str) -> Option<Number> {
    let bytes = subject.as_bytes();
    let mut from = 0;
    while let Some(dash) = bytes.get(from..).and_then(|b| b.iter().position(|b| *b == b'-')).map(|p| p + from)
    {
        from = dash + 1;
        let Some(start) = dash.checked_sub(4) else { continue };
        let digits = bytes.get(dash + 1..).map_or(0, |b| b.iter().take_while(|b| b.is_ascii_digit()).count());
        let Some(candidate) = subject.get(start..dash + 1 + digits) else { continue };
        let Ok(number) = candidate.parse::<Number>() else { continue };
        let before = subject.get(..start).unwrap_or_default();
        let after = subject.get(dash + 1 + digits..).unwrap_or_default();
        let bracketed = before.ends_with('[') && after.starts_with(']');
        let word = before.trim_end().to_lowercase();
        let introduced = INTRODUCERS.iter().any(|i| {
            word.strip_suffix(i).is_some_and(|rest| {
                !i.starts_with(char::is_alphanumeric) || !rest.ends_with(char::is_alphanumeric)
            })
        });
        let ends = !after.starts_with(|c: char| c.is_alphanumeric() || c == '-' || c == '/');
        if bracketed || (introduced && ends) {
            return Some(number);
        }
    }
    None
}

/// What a fingerprint is taken over. Nothing of it depends on the way that the letter took: not Received fields, transfer
/// encoding, line ends, folder or UID.
pub(crate) struct Identity<'a> {
    pub(crate) own: Option<&'a str>,
    pub(crate) sender: &'a Sender,
    /// The Date field as it stands.
    pub(crate) date: &'a str,
    pub(crate) subject: &'a str,
    /// The whole text, quotes included.
    pub(crate) text: &'a str,
    /// One per attachment.
    pub(crate) attachments: &'a [Digest],
}

/// The fingerprint, as lower-case hex.
pub(crate) fn fingerprint(identity: &Identity<'_>) -> String {
    let mut all = String::with_capacity(identity.text.len() + 500);
    let mut field = |value: &str| {
        for word in value.split_ascii_whitespace() {
            all.push_str(word);
            all.push(' ');
        }
        // Between fields, so that no word can wander from one to the next.
        all.push('\0');
    };
    field(identity.own.unwrap_or_default());
    field(identity.sender.address.as_deref().or(identity.sender.name.as_deref()).unwrap_or_default());
    field(identity.date);
    field(identity.subject);
    field(identity.text);
    let mut hash = Sha256::new();
    hash.update(all.as_bytes());
    for digest in identity.attachments {
        hash.update(digest.0);
    }
    hex::encode(hash.finalize())
}

/// Adds further names of the letter itself to what it refers to, last: who answers it may cite them.
pub(crate) fn add_names(refs: &mut Vec<String>, own: Option<&str>, names: Vec<String>) {
    let names: Vec<String> =
        names.into_iter().filter(|n| Some(n.as_str()) != own && !refs.contains(n)).collect();
    refs.truncate(MAX_REFS.saturating_sub(names.len()));
    refs.extend(names);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_come_newest_first_and_once() {
        let (fields, _) = super::super::header::split(
            b"Message-ID: <Own@X>\nIn-Reply-To: <c@x> (of Mario)\nReferences: <a@x>\n <b@x> <C@x> <own@x>\n\n",
        );
        let own = own(&fields);
        assert_eq!(own.as_deref(), Some("mid:own@x"));
        let mut refs = refs(&fields, own.as_deref());
        assert_eq!(refs, ["mid:c@x", "mid:b@x", "mid:a@x"]);
        add_names(&mut refs, own.as_deref(), vec!["mid:own@x".into(), "mid:b@x".into(), "mid:d@x".into()]);
        assert_eq!(refs, ["mid:c@x", "mid:b@x", "mid:a@x", "mid:d@x"]);
        let mut many: Vec<String> = (0..MAX_REFS).map(|n| format!("mid:{n}")).collect();
        add_names(&mut many, None, vec!["mid:d@x".into()]);
        assert_eq!((many.len(), many.last().map(String::as_str)), (MAX_REFS, Some("mid:d@x")));
    }

    #[test]
    fn odd_ids() {
        let own =
            |raw: &str| own(&super::super::header::split(format!("Message-ID: {raw}\n\n").as_bytes()).0);
        assert_eq!(own(""), None);
        assert_eq!(own("<>"), None);
        assert_eq!(own("abc@x"), Some("mid:abc@x".into()));
        assert_eq!(own("<a b@x>"), Some("mid:ab@x".into()));
        assert_eq!(own("<open@x"), Some("mid:open@x".into()));
        assert!(own(&format!("<{}@x>", "y".repeat(5000))).is_some_and(|k| k.len() < 100));
    }

    #[test]
    fn numbers_in_subjects() {
        let n = |s: &str| number(s).map(String::from).unwrap_or_default();
        assert_eq!(n("R: [2026-000123] Buca"), "2026-000123");
        assert_eq!(n("Segnalazione n. 2026-000123: buca"), "2026-000123");
        assert_eq!(n("rif. segnalazione #2026-1000123"), "2026-1000123");
        assert_eq!(n("La segnalazione 2026-000123"), "2026-000123");
        assert_eq!(n("Determina 2026-000123"), "");
        assert_eq!(n("prot. 2026-000123/A"), "");
        assert_eq!(n("n. 2026-000123/2"), "");
        assert_eq!(n("[2026-123]"), "");
        assert_eq!(n("ieri-[2026-000001]"), "2026-000001");
        assert_eq!(n("città è-2026 à-"), "");
    }
}
