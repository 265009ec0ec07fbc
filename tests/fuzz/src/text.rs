//! Texts: quotes, HTML, charsets.

use std::collections::BTreeMap;

use smista_email::read::fuzz;

use super::how;

/// How often each occurs.
fn counted<'a>(all: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    let mut out = BTreeMap::new();
    for one in all {
        *out.entry(one).or_default() += 1;
    }
    out
}

/// Every line of a text goes to exactly one of its three parts, as it is.
pub fn quote(data: &[u8]) {
    let (how, text) = how(data);
    let text = String::from_utf8_lossy(text);
    let parts = fuzz::quote(&text, how & 1 == 1);
    let lines = |text| str::split(text, '\n').filter(|line| !line.is_empty());
    let kept = counted(parts.iter().flat_map(|part| lines(part.as_str())));
    assert_eq!(kept, counted(lines(&text)), "no line is lost, none is changed, none is doubled");
    let [own, ..] = &parts;
    let has_words = |text: &str| text.chars().any(char::is_alphanumeric);
    assert!(has_words(own) || !has_words(&text), "of words something is the writer's: {parts:?}");
}

/// A document in HTML becomes text: words where there is no markup, and never much more than there was.
pub fn html(data: &[u8]) {
    let document = String::from_utf8_lossy(data);
    let text = fuzz::html(&document);
    assert_eq!(text, fuzz::html(&document), "the same document, the same text");
    // The worst: `<p>` in a quote of twenty levels.
    assert!(text.len() <= 32 * document.len() + 32, "{} octets of {}", text.len(), document.len());
    if !document.contains(['<', '&']) {
        // Blanks of other sorts stay within words here, and split them for us.
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&text), words(&document));
    }
}

/// Labels that senders write, right or wrong.
const LABELS: [Option<&str>; 12] = [
    None,
    Some("utf-8"),
    Some("us-ascii"),
    Some("iso-8859-1"),
    Some("windows-1252"),
    Some("utf-16"),
    Some("utf-7"),
    Some("iso-2022-jp"),
    Some("gb2312"),
    Some("koi8-r"),
    Some("\"default_charset\""),
    Some("x-unknown"),
];

/// Bytes become text, whatever charset they are said to be in; ASCII stays ASCII, UTF-8 stays UTF-8.
pub fn charset(data: &[u8]) {
    let (how, bytes) = how(data);
    let label = LABELS[usize::from(how) % LABELS.len()];
    let text = fuzz::charset(bytes, label);
    assert_eq!(text, fuzz::charset(bytes, label), "the same bytes, the same text");
    assert!(text.len() <= 4 * bytes.len() + 4, "{} octets of {}", text.len(), bytes.len());
    let plain = bytes.iter().all(|b| matches!(b, b'\n' | b' '..=b'~') && !matches!(b, b'+' | b'~' | b'&'));
    if plain && label != Some("utf-16") {
        assert_eq!(text.as_bytes(), bytes, "ASCII is ASCII in {label:?}");
    }
    if label.is_none_or(|label| label == "utf-8")
        && !bytes.iter().any(|b| matches!(b, 0 | 0x1B))
        && let Ok(utf8) = std::str::from_utf8(bytes)
    {
        assert_eq!(text.trim_start_matches('\u{feff}'), utf8.trim_start_matches('\u{feff}'));
    }
}
