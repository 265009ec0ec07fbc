//! `[[email.form]]`: one web form whose letters come to a mailbox.

use smista_settings::{Diagnostic, Section, Span, Spanned};

use super::codes;
use crate::read::form::{FormField, FormSettings, compact};

/// The keys that name a label each.
const LABELS: [(&str, FormField); 6] = [
    ("name", FormField::Name),
    ("address", FormField::Address),
    ("phone", FormField::Phone),
    ("place", FormField::Place),
    ("category", FormField::Category),
    ("text", FormField::Text),
];

/// Reads the forms of a mailbox. None when one of them cannot be used; what is wrong is in the diagnostics.
pub(super) fn read_all(sections: Vec<Section>) -> Option<Vec<FormSettings>> {
    let mut all: Vec<(FormSettings, Option<Span>)> = Vec::new();
    let mut sound = true;
    for section in sections {
        let span = section.span();
        let diagnostics = section.diagnostics().clone();
        let Some(form) = (Reader { section, sound: true }).read() else {
            sound = false;
            continue;
        };
        let key = |f: &FormSettings| (f.from.clone(), f.subject.as_deref().map(compact));
        if let Some((_, first)) = all.iter().find(|(other, _)| key(other) == key(&form)) {
            sound = false;
            let from = &form.from;
            let mut twice = Diagnostic::error(
                codes::FORM_TWICE,
                format!(
                    "due [[email.form]] prendono le stesse lettere di «{from}»: la seconda non varrebbe mai"
                ),
                format!("two [[email.form]] take the same letters of '{from}': the second would never count"),
            )
            .hint(
                "unirle in una sola, o dare a ciascuna il suo «subject» (parole che stanno nell'oggetto)",
                "make one of them, or give each a 'subject' of its own (words that stand in the subject)",
            )
            .at_opt(span);
            if let Some(first) = first {
                twice = twice.label(*first, "la prima è questa", "the first one is here");
            }
            diagnostics.push(twice);
            continue;
        }
        all.push((form, span));
    }
    sound.then(|| all.into_iter().map(|(form, _)| form).collect())
}

struct Reader {
    section: Section,
    sound: bool,
}

impl Reader {
    fn wrong(&mut self, diagnostic: Diagnostic, span: Option<Span>) {
        self.sound = false;
        self.section.diagnostics().push(diagnostic.at_opt(span));
    }

    fn read(mut self) -> Option<FormSettings> {
        let from = self.from();
        let subject = self.section.has("subject").then(|| self.section.required_string("subject"));
        self.sound &= subject.as_ref().is_none_or(Option::is_some);
        let labels = self.labels();
        let categories = self.categories();
        self.section.finish();
        let from = from?;
        self.sound.then(|| FormSettings {
            from,
            subject: subject.flatten().map(|s| s.value),
            labels,
            categories,
        })
    }

    fn from(&mut self) -> Option<String> {
        let from = self.section.required_string("from")?;
        let address = from.value.trim().to_lowercase();
        let is_one = address.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && domain.contains('.') && !domain.contains('@') && !domain.ends_with('.')
        }) && !address
            .contains(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | ',' | ';'));
        if is_one {
            return Some(address);
        }
        self.wrong(
            Diagnostic::error(
                codes::FORM_FROM,
                format!("«{}» non è un indirizzo di posta", from.value),
                format!("'{}' is no mail address", from.value),
            )
            .hint(
                "scrivere il solo indirizzo da cui il sito spedisce i moduli, per esempio from = \"noreply@comune.example\"",
                "write the bare address from which the site sends the forms, for instance from = \"noreply@comune.example\"",
            ),
            from.span,
        );
        None
    }

    fn labels(&mut self) -> Vec<(FormField, String)> {
        let mut found: Vec<(FormField, Spanned<String>)> = Vec::new();
        for (key, field) in LABELS {
            let label = self.section.string(key);
            self.sound &= label.is_some() || !self.section.has(key);
            found.extend(label.map(|label| (field, label)));
        }
        found.extend(self.section.strings("others").into_iter().map(|label| (FormField::Other, label)));
        for (n, (_, label)) in found.iter().enumerate() {
            if compact(&label.value).is_empty() {
                self.wrong(
                    Diagnostic::error(
                        codes::FORM_LABEL,
                        format!("«{}» non è un'etichetta: non ha né lettere né cifre", label.value),
                        format!("'{}' is no label: it has neither letters nor digits", label.value),
                    )
                    .hint(
                        "copiare l'etichetta come sta nel messaggio, per esempio text = \"Messaggio\"; se non c'è, togliere la voce",
                        "copy the label as it stands in the letter, for instance text = \"Message\"; if there is none, remove the key",
                    ),
                    label.span,
                );
            } else if let Some((_, first)) =
                found.iter().take(n).find(|(_, other)| compact(&other.value) == compact(&label.value))
            {
                let mut twice = Diagnostic::error(
                    codes::FORM_LABEL_TWICE,
                    format!("l'etichetta «{}» è indicata per due cose diverse", label.value),
                    format!("the label '{}' is given for two things", label.value),
                )
                .hint(
                    "ogni etichetta vale per una cosa sola: toglierla da una delle due voci",
                    "each label stands for one thing: remove it from one of the two keys",
                );
                if let Some(first) = first.span {
                    twice = twice.label(first, "c'è già qui", "it is here already");
                }
                self.wrong(twice, label.span);
            }
        }
        if found.is_empty() && self.sound {
            self.wrong(
                Diagnostic::error(
                    codes::FORM_LABELS,
                    "il modulo non indica nessuna etichetta: non si saprebbe che cosa leggere",
                    "the form names no label: there would be nothing to read",
                )
                .hint(
                    "aggiungere le etichette come stanno nel messaggio: name = \"Nome e cognome\", address = \"E-mail\", text = \"Messaggio\"",
                    "add the labels as they stand in the letter: name = \"Name\", address = \"E-mail\", text = \"Message\"",
                ),
                self.section.span(),
            );
        }
        found.into_iter().map(|(field, label)| (field, label.value)).collect()
    }

    fn categories(&mut self) -> Vec<(String, String)> {
        let span = self.section.key_span("categories").or_else(|| self.section.header_span("categories"));
        let Some(mut table) = self.section.table("categories") else {
            self.sound &= !self.section.has("categories");
            return Vec::new();
        };
        let words: Vec<String> = table.keys().map(str::to_owned).collect();
        let mut out = Vec::new();
        for word in words {
            match table.required_string(&word) {
                Some(ours) => out.push((word, ours.value.trim().to_owned())),
                None => self.sound = false,
            }
        }
        table.finish();
        if !self.section.has("category") {
            self.section.diagnostics().push(
                Diagnostic::warning(
                    codes::FORM_CATEGORIES_UNUSED,
                    "«categories» vale solo insieme a «category»",
                    "'categories' counts only together with 'category'",
                )
                .hint(
                    "aggiungere l'etichetta della categoria, per esempio category = \"Categoria\", o togliere «categories»",
                    "add the category's label, for instance category = \"Category\", or remove 'categories'",
                )
                .at_opt(span),
            );
        }
        out
    }
}
