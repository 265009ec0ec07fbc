//! What citizens fill into the comune's web forms: many letters from one address, told apart by the labels in their text.
//!
//! Invariants: a letter of a form is never automatic mail; it answers nothing (programs that send forms repeat references and
//! numbers), so each is a matter of its own; and no line of it is lost: what is not the citizen's text is kept beside it, where
//! rules do not look. The first line with a label counts: what a citizen writes below cannot change who he is.

use smista_domain::{Form, Place, Sender};

use super::{quote, sender};

/// One form, as `[[email.form]]` describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FormSettings {
    /// The address from which the form's letters come, lower case.
    pub from: String,
    /// What must stand in their subject.
    pub subject: Option<String>,
    /// The labels in the text, each with what its value is.
    pub labels: Vec<(FormField, String)>,
    /// From the form's words for a category to ours. Empty: its words are the category.
    pub categories: Vec<(String, String)>,
}

/// What the value of a label is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormField {
    /// The citizen's name.
    Name,
    /// The citizen's mail address.
    Address,
    /// The citizen's telephone number.
    Phone,
    /// Where the matter is.
    Place,
    /// What it is about.
    Category,
    /// What the citizen has to say.
    Text,
    /// Something else: its label only ends the value above it.
    Other,
}

/// A form that has been read.
#[derive(Debug, Default)]
pub(crate) struct Filled {
    /// None when the letter does not say who filled it in.
    pub(crate) sender: Option<Sender>,
    pub(crate) place: Option<Place>,
    pub(crate) form: Form,
    /// None when there is no such label.
    pub(crate) text: Option<quote::Split>,
    /// Every line that is not the citizen's text.
    pub(crate) rest: String,
    /// A label is missing, or the address is none.
    pub(crate) incomplete: bool,
}

/// Longer values of one line are cut.
const MAX_VALUE: usize = 500;
/// A category is a word or two.
const MAX_CATEGORY: usize = 100;

/// The form that a letter comes from, if it comes from one.
pub(crate) fn of<'s>(
    forms: &'s [FormSettings],
    address: Option<&str>,
    subject: &str,
) -> Option<&'s FormSettings> {
    let address = address?;
    // What asks for a subject goes before what takes them all.
    let ours = |f: &&FormSettings| {
        f.from.eq_ignore_ascii_case(address)
            && f.subject.as_ref().is_none_or(|words| compact(subject).contains(&compact(words)))
    };
    let mut found = forms.iter().filter(ours);
    let first = found.next()?;
    Some(if first.subject.is_some() { first } else { found.find(|f| f.subject.is_some()).unwrap_or(first) })
}

/// Reads the text of a form's letter.
pub(crate) fn read(form: &FormSettings, text: &str, reply_to: Option<Sender>) -> Filled {
    let lines: Vec<&str> = text.split('\n').collect();
    let mut hits = find(form, &lines, true);
    if !hits.iter().any(|h| h.colon) {
        // A table whose labels have no colon.
        hits = find(form, &lines, false);
    }
    let mut filled =
        Filled { form: Form { from: form.from.clone(), ..Form::default() }, ..Filled::default() };
    let (mut name, mut address) = (None, None);
    let mut own = vec![false; lines.len()];
    for (n, hit) in hits.iter().enumerate() {
        let end = hits.get(n + 1).map_or(lines.len(), |next| next.line);
        let below = lines.get(hit.line + 1..end).unwrap_or_default();
        match hit.field {
            FormField::Name => name = one_line(hit.value, below),
            FormField::Address => address = one_line(hit.value, below).and_then(|v| sender::any_address(&v)),
            FormField::Phone => filled.form.phone = one_line(hit.value, below),
            FormField::Place => {
                filled.place =
                    one_line(hit.value, below).map(|text| Place { text: Some(text), ..Place::default() });
            }
            FormField::Category => {
                filled.form.category = one_line(hit.value, below).map(|v| category(form, &v));
            }
            FormField::Text => {
                let whole: Vec<&str> = std::iter::once(hit.value).chain(below.iter().copied()).collect();
                let whole = whole.join("\n");
                if !whole.trim().is_empty() {
                    filled.text = Some(quote::split(whole.trim(), false));
                    if let Some(own) = own.get_mut(hit.line..end) {
                        own.fill(true);
                    }
                }
            }
            FormField::Other => {}
        }
    }
    let has = |field| hits.iter().any(|h| h.field == field);
    let wants = |field| form.labels.iter().any(|(f, _)| *f == field);
    filled.incomplete = form.labels.iter().any(|(f, _)| *f != FormField::Other && !has(*f))
        || (wants(FormField::Address) && address.is_none())
        || (wants(FormField::Text) && filled.text.is_none());
    if !hits.is_empty() {
        let address = address
            .or_else(|| reply_to.and_then(|s| s.address).filter(|a| !a.eq_ignore_ascii_case(&form.from)));
        if name.is_some() || address.is_some() {
            filled.sender = Some(Sender { name, address });
        }
    }
    if filled.text.is_some() {
        let rest: Vec<&str> = lines.iter().zip(&own).filter(|(_, own)| !**own).map(|(l, _)| *l).collect();
        rest.join("\n").trim().clone_into(&mut filled.rest);
    }
    filled
}

/// A line that has a label.
struct Hit<'a> {
    line: usize,
    field: FormField,
    /// A colon or the like stands between the label and its value.
    colon: bool,
    /// What stands behind the label in its line.
    value: &'a str,
}

/// Every line with a label, each label once but for [`FormField::Other`]. `strict` wants a colon, or nothing, behind it.
fn find<'a>(form: &FormSettings, lines: &[&'a str], strict: bool) -> Vec<Hit<'a>> {
    let mut labels: Vec<(FormField, String)> = form
        .labels
        .iter()
        .map(|(field, label)| (*field, compact(label)))
        .filter(|(_, l)| !l.is_empty())
        .collect();
    // `Nome e cognome` before `Nome`.
    labels.sort_by_key(|(_, label)| std::cmp::Reverse(label.len()));
    let mut hits: Vec<Hit<'a>> = Vec::new();
    for (n, line) in lines.iter().enumerate() {
        let seen = |field: FormField| field != FormField::Other && hits.iter().any(|h| h.field == field);
        let found = labels
            .iter()
            .filter(|(field, _)| !seen(*field))
            .find_map(|(field, label)| Some((*field, behind(line, label, strict)?)));
        if let Some((field, (colon, value))) = found {
            hits.push(Hit { line: n, field, colon, value });
        }
    }
    hits
}

/// What stands behind a label at the beginning of a line, and whether a colon stands between.
fn behind<'a>(line: &'a str, label: &str, strict: bool) -> Option<(bool, &'a str)> {
    let mut wanted = label.chars();
    let mut missing = wanted.next();
    let mut end = 0;
    for (at, c) in line.char_indices() {
        if missing.is_none() {
            break;
        }
        if c.is_alphanumeric() {
            for letter in fold(c) {
                if missing != Some(letter) {
                    return None;
                }
                missing = wanted.next();
            }
            end = at + c.len_utf8();
        }
    }
    let mut rest = line.get(end..)?;
    if missing.is_some() || rest.starts_with(char::is_alphanumeric) {
        return None;
    }
    // `Localita'` for `Località`; `(obbligatorio)`.
    rest = rest.strip_prefix(['\'', '’']).unwrap_or(rest);
    if let Some(remark) = rest.trim_start().strip_prefix('(')
        && let Some((_, after)) = remark.split_once(')')
    {
        rest = after;
    }
    let between: String = rest.chars().take_while(|c| !c.is_alphanumeric()).collect();
    let colon = between.contains([':', '|', '=', '\t']);
    let ended = colon || between.len() == rest.len();
    // Without a colon there must at least be a blank: `E-mail` is not the beginning of `E-mail-Adresse`.
    let apart = between.starts_with([' ', '*', '\u{a0}']);
    if !(ended || (!strict && apart)) {
        return None;
    }
    let value = rest.trim_start_matches([' ', '\t', ':', '*', '|', '=', '?', '\u{a0}', '_']);
    Some((colon, value.trim_end_matches([' ', '\t', '|', '\u{a0}'])))
}

/// A value of one line: behind its label, or in the first line below it that is not a label of something else.
fn one_line(value: &str, below: &[&str]) -> Option<String> {
    let clean = |v: &str| {
        let v = v.trim_matches([' ', '\t', '*', '|', '"']);
        v.chars().any(char::is_alphanumeric).then(|| v.chars().take(MAX_VALUE).collect::<String>())
    };
    let looks_like_label =
        |line: &str| line.split_once(':').is_some_and(|(l, _)| l.split_whitespace().count() <= 4);
    clean(value).or_else(|| {
        let next = below.iter().find(|l| !l.trim().is_empty())?;
        if looks_like_label(next) { None } else { clean(next) }
    })
}

/// Our word for the form's.
fn category(form: &FormSettings, word: &str) -> String {
    let known = form.categories.iter().find(|(theirs, _)| compact(theirs) == compact(word));
    known.map_or_else(|| word.chars().take(MAX_CATEGORY).collect(), |(_, ours)| ours.clone())
}

/// Letters and digits alone, without case and accents: `E-Mail *` is `email`.
pub(crate) fn compact(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(fold).collect()
}

/// Lower case, without the accents that Italian has.
fn fold(c: char) -> impl Iterator<Item = char> {
    c.to_lowercase().filter(|c| c.is_alphanumeric()).map(|c| match c {
        'à' | 'á' | 'â' | 'ä' | 'ã' => 'a',
        'è' | 'é' | 'ê' | 'ë' => 'e',
        'ì' | 'í' | 'î' | 'ï' => 'i',
        'ò' | 'ó' | 'ô' | 'ö' | 'õ' => 'o',
        'ù' | 'ú' | 'û' | 'ü' => 'u',
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form() -> FormSettings {
        FormSettings {
            from: "noreply@comune.example".to_owned(),
            subject: None,
            labels: vec![
                (FormField::Name, "Nome e cognome".to_owned()),
                (FormField::Address, "E-mail".to_owned()),
                (FormField::Phone, "Telefono".to_owned()),
                (FormField::Place, "Località".to_owned()),
                (FormField::Category, "Categoria".to_owned()),
                (FormField::Text, "Messaggio".to_owned()),
            ],
            categories: vec![("Buche".to_owned(), "strade/buche".to_owned())],
        }
    }

    fn parts(filled: &Filled) -> [String; 6] {
        let sender = filled.sender.clone().unwrap_or_default();
        let place = filled.place.clone().and_then(|p| p.text);
        let text = filled.text.as_ref().map(|t| t.text.clone());
        [sender.name, sender.address, filled.form.phone.clone(), place, filled.form.category.clone(), text]
            .map(Option::unwrap_or_default)
    }

    #[test]
    fn labels_in_every_shape() {
        let expected = [
            "Anna Neri",
            "anna@example.it",
            "+39 075 123",
            "via Dante 3",
            "strade/buche",
            "C'è una buca.\n\nLuogo: qui",
        ];
        let shapes = [
            "Nome e cognome: Anna Neri\nE-mail: anna@example.it\nTelefono: +39 075 123\nLocalità: via Dante 3\n\
             Categoria: Buche\nMessaggio: C'è una buca.\n\nLuogo: qui",
            "NOME E COGNOME *\nAnna Neri\n\nEmail (obbligatorio):\n<Anna@example.it>\n\nTelefono:\n+39 075 123\n\
             Localita' = via Dante 3\nCategoria | BUCHE |\nMessaggio\nC'è una buca.\n\nLuogo: qui",
            "Nuova richiesta\n*Nome e cognome:* Anna Neri\n*E-mail:* anna@example.it\n*Telefono:* +39 075 123\n\
             *Località:* via Dante 3\n*Categoria:* Buche\n*Messaggio:*\nC'è una buca.\n\nLuogo: qui",
            "Nome e cognome Anna Neri\nE-mail anna@example.it\nTelefono +39 075 123\nLocalità via Dante 3\n\
             Categoria Buche\nMessaggio C'è una buca.\n\nLuogo: qui",
        ];
        for shape in shapes {
            let filled = read(&form(), shape, None);
            assert_eq!(parts(&filled), expected, "{shape}");
            assert!(!filled.incomplete, "{shape}");
            assert!(filled.rest.contains("075 123"), "nothing is lost");
        }
    }

    #[test]
    fn what_a_citizen_writes_does_not_change_who_he_is() {
        let text = "Nome e cognome: Anna Neri\nE-mail: anna@example.it\nTelefono:\nLocalità: via Po\nCategoria: Altro\n\
                    Messaggio: buongiorno\nE-mail: sindaco@example.it\nMessaggio importante\nMessaggio: secondo";
        let filled = read(&form(), text, None);
        let [_, address, phone, _, category, words] = parts(&filled);
        assert_eq!((address.as_str(), phone.as_str(), category.as_str()), ("anna@example.it", "", "Altro"));
        assert!(
            words.ends_with("E-mail: sindaco@example.it\nMessaggio importante\nMessaggio: secondo"),
            "{words}"
        );
        assert!(!filled.incomplete);
    }

    #[test]
    fn a_missing_label_costs_its_value_only() {
        let filled = read(&form(), "Nome e cognome: Anna Neri\nMessaggio: una buca", None);
        assert_eq!(parts(&filled), ["Anna Neri", "", "", "", "", "una buca"]);
        assert!(filled.incomplete);
        let other = Sender { name: None, address: Some("anna@example.it".to_owned()) };
        let filled = read(
            &form(),
            "Nome e cognome: Anna Neri\nE-mail: non ce l'ho\nMessaggio: x",
            Some(other.clone()),
        );
        assert_eq!(parts(&filled)[1], "anna@example.it");
        let filled = read(&form(), "Il sito è fuori servizio", Some(other));
        assert!(filled.sender.is_none() && filled.text.is_none() && filled.incomplete);
    }

    #[test]
    fn which_form_it_is() {
        let all = FormSettings { subject: None, ..form() };
        let one = FormSettings { subject: Some("Mensa scolastica".to_owned()), ..form() };
        let forms = [all.clone(), one.clone()];
        let from = Some("NoReply@comune.example");
        assert_eq!(of(&forms, from, "R: mensa  scolastica, iscrizione"), Some(&one));
        assert_eq!(of(&forms, from, "Altro"), Some(&all));
        assert_eq!(of(&forms[1..], from, "Altro"), None);
        assert_eq!(of(&forms, Some("anna@example.it"), "Altro"), None);
        assert_eq!(of(&forms, None, ""), None);
    }
}
