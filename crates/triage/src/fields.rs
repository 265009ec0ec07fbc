//! Conditions on what is not text: channel, folder, sender, recipients, attachments.
//!
//! Like words they become ids by look-up, so that a thousand sender lists cost as much as one.

use std::collections::{BTreeMap, HashMap};

use smista_domain::{ChannelKind, ChannelName, Message, Text};

use crate::{fold::fold_text, hash::QuickMap};

/// What a condition looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Field {
    Channel,
    Folder,
    Sender,
    Recipients,
    Attachment,
}

impl Field {
    /// The key in the rule, which is also the place in the evidence.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Channel => "channel",
            Self::Folder => "folder",
            Self::Sender => "sender",
            Self::Recipients => "recipients",
            Self::Attachment => "attachment",
        }
    }
    /// Fields that hold for a great part of all messages, so that rules are not looked up by them if there is another way.
    pub(crate) fn is_coarse(self) -> bool {
        matches!(self, Self::Channel | Self::Folder | Self::Recipients)
    }
}

/// What is wrong with a value, and what to do.
pub(crate) type FieldFault = (&'static str, Text, Text);

/// Brings a value to the form in which it is looked up, or says what is wrong with it.
pub(crate) fn normalise(field: Field, value: &str) -> Result<String, FieldFault> {
    let value = value.trim();
    if value.is_empty() {
        return Err((
            "rule-condition-empty",
            Text::new(
                format!("un valore di «{}» è vuoto", field.as_str()),
                format!("a value of '{}' is empty", field.as_str()),
            ),
            Text::new(
                "scrivere un valore tra le virgolette, o togliere la voce",
                "write a value between the quotes, or remove it",
            ),
        ));
    }
    match field {
        Field::Channel => channel(value),
        Field::Folder | Field::Attachment => Ok(fold_text(value)),
        Field::Sender | Field::Recipients => address(field, value),
    }
}

fn channel(value: &str) -> Result<String, FieldFault> {
    let kinds = [ChannelKind::Email, ChannelKind::Meta, ChannelKind::Phone, ChannelKind::Desk];
    let name = value.strip_suffix("/*").unwrap_or(value);
    if kinds.iter().any(|k| k.as_str() == name) || value.parse::<ChannelName>().is_ok() {
        return Ok(name.to_owned());
    }
    Err((
        "rule-channel",
        Text::new(
            format!("\"{value}\" non è il nome di un canale"),
            format!("'{value}' is no name of a channel"),
        ),
        Text::new(
            "scrivere email, meta, phone o desk, da solo o con il nome: \"email/urp\"",
            "write email, meta, phone or desk, alone or with its name: \"email/urp\"",
        ),
    ))
}

fn address(field: Field, value: &str) -> Result<String, FieldFault> {
    let lower = value.to_lowercase();
    let well_formed = match lower.split_once('@') {
        Some((_, domain)) => !domain.is_empty() && !domain.contains('@'),
        // A telephone number, an account.
        None => lower.chars().all(|c| c.is_ascii_digit() || "+-_.".contains(c)),
    };
    if well_formed && !lower.contains(char::is_whitespace) {
        return Ok(lower);
    }
    Err((
        "rule-address",
        Text::new(
            format!("\"{value}\" in «{}» non è un indirizzo, né un dominio, né un numero", field.as_str()),
            format!("'{value}' in '{}' is neither an address nor a domain nor a number", field.as_str()),
        ),
        Text::new(
            "scrivere \"nome@dominio.it\" oppure \"@dominio.it\" per tutti gli indirizzi di quel dominio",
            "write \"name@domain.it\", or \"@domain.it\" for all addresses of that domain",
        ),
    ))
}

/// A condition that holds, with the words that it holds for.
pub(crate) type FieldHits = QuickMap<u32, String>;

/// All such conditions of a ruleset.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    ids: HashMap<(Field, String), u32>,
    /// `*.pdf`, `image/*`, words of the name: few in practice, tried one by one.
    attachments: BTreeMap<String, u32>,
}

impl Fields {
    /// The id of a (normalised) condition.
    pub(crate) fn add(&mut self, field: Field, value: String) -> u32 {
        let next = u32::try_from(self.ids.len() + self.attachments.len()).unwrap_or(u32::MAX);
        if field == Field::Attachment {
            *self.attachments.entry(value).or_insert(next)
        } else {
            *self.ids.entry((field, value)).or_insert(next)
        }
    }

    /// Every condition that holds for a message.
    pub(crate) fn find(&self, message: &Message, channel: &ChannelName) -> FieldHits {
        let mut hits = FieldHits::default();
        if !self.ids.is_empty() {
            self.look(Field::Channel, channel.as_str(), channel.as_str(), &mut hits);
            self.look(Field::Channel, channel.kind().as_str(), channel.as_str(), &mut hits);
            self.look(Field::Folder, &fold_text(&message.folder), &message.folder, &mut hits);
            if let Some(address) = &message.sender.address {
                self.look_address(Field::Sender, address, &mut hits);
            }
            for address in &message.recipients {
                self.look_address(Field::Recipients, address, &mut hits);
            }
        }
        for (test, id) in &self.attachments {
            let holds = |name: &str, media_type: &str| match test.contains('/') {
                true => wildcard(test, media_type),
                false if test.contains('*') => wildcard(test, name),
                false => name.contains(test.as_str()),
            };
            let found = message.attachments.iter().find(|a| holds(&fold_text(&a.name), &a.media_type));
            if let Some(attachment) = found {
                hits.insert(*id, attachment.name.clone());
            }
        }
        hits
    }

    fn look(&self, field: Field, value: &str, shown: &str, hits: &mut FieldHits) {
        if let Some(id) = self.ids.get(&(field, value.to_owned())) {
            hits.entry(*id).or_insert_with(|| shown.to_owned());
        }
    }

    /// The address itself, then its domain and the domains above it: `@anas.it` also stands for `@pec.anas.it`.
    fn look_address(&self, field: Field, address: &str, hits: &mut FieldHits) {
        let lower = address.to_lowercase();
        self.look(field, &lower, address, hits);
        let mut domain = lower.split_once('@').map(|(_, domain)| domain);
        while let Some(name) = domain {
            self.look(field, &format!("@{name}"), address, hits);
            domain = name.split_once('.').map(|(_, above)| above);
        }
    }
}

/// `*` stands for anything; linear in the name for each star.
fn wildcard(form: &str, name: &str) -> bool {
    let mut parts = form.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        for (form, name, holds) in [
            ("*.pdf", "modulo.pdf", true),
            ("*.pdf", "modulo.pdf.exe", false),
            ("image/*", "image/jpeg", true),
            ("*fattura*2026*", "la fattura n 3 del 2026.pdf", true),
            ("a*a", "a", false),
            ("abc", "abc", true),
            ("abc", "abcd", false),
        ] {
            assert_eq!(wildcard(form, name), holds, "{form} {name}");
        }
    }

    #[test]
    fn values_are_brought_to_form_or_refused() {
        assert_eq!(normalise(Field::Sender, " @ANAS.it ").as_deref(), Ok("@anas.it"));
        assert_eq!(normalise(Field::Sender, "+390759237").as_deref(), Ok("+390759237"));
        assert_eq!(normalise(Field::Channel, "email/*").as_deref(), Ok("email"));
        for (field, bad) in [
            (Field::Sender, "Mario Rossi"),
            (Field::Sender, "anas@"),
            (Field::Sender, "a@b@c"),
            (Field::Channel, "fax"),
            (Field::Folder, "  "),
        ] {
            assert!(normalise(field, bad).is_err(), "{bad}");
        }
    }
}
