//! sectors.toml: the offices, the kinds of segnalazione and the calendar.

use std::collections::{BTreeMap, BTreeSet};

use smista_domain::{KindId, SectorId};

use crate::{
    address::check_address,
    calendar::Calendar,
    codes,
    diagnostic::{Diagnostic, Diagnostics},
    duration::Days,
    section::{Section, Spanned},
    source::Span,
    suggest::closest,
    town::{bad_id, slug},
};

/// `[[sector]]`: an office that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sector {
    /// Its id, fixed for ever: it stands in rules, tables and role names.
    pub id: Spanned<SectorId>,
    /// Its name for people.
    pub name: String,
    /// The office that it belongs to.
    pub parent: Option<Spanned<SectorId>>,
    /// Where notices go.
    pub mail: Option<String>,
    /// Who else gets them.
    pub cc: Vec<String>,
    /// Within how many days it answers, unless the kind says otherwise.
    pub deadline: Option<Days>,
    /// Only this sector and its own people see its cases.
    pub confidential: bool,
    /// Not a part of the town hall (the water company): its cases are handed on.
    pub external: bool,
}

/// `[[kind]]`: a sort of segnalazione.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// Its id, fixed for ever.
    pub id: Spanned<KindId>,
    /// Its name for people.
    pub name: String,
    /// Within how many days it must be answered by law or rule; goes before the sector's.
    pub answer_within: Option<Days>,
}

/// Everything of sectors.toml. It holds what could be read: usable only when the diagnostics have no errors, good for
/// checking references to it at any time.
#[derive(Debug, Clone, Default)]
pub struct Sectors {
    /// The sectors, in the order of the file.
    pub sectors: Vec<Sector>,
    /// The kinds, in the order of the file.
    pub kinds: Vec<Kind>,
    /// When the offices are closed.
    pub calendar: Calendar,
    /// Ids that are there, also of sectors that are wrong otherwise, with where they stand.
    sector_ids: BTreeMap<String, Option<Span>>,
    kind_ids: BTreeMap<String, Option<Span>>,
    /// True when a sector's id could not be read: then no reference to a sector can be called wrong.
    some_sector_unread: bool,
    some_kind_unread: bool,
}

impl Sectors {
    /// Reads sectors.toml to its end; what is wrong is in the diagnostics.
    pub fn read(mut root: Section) -> Self {
        let damaged = root.is_damaged();
        let mut all = Self { some_sector_unread: damaged, some_kind_unread: damaged, ..Self::default() };
        let diagnostics = root.diagnostics().clone();
        for section in root.tables("sector") {
            all.read_sector(section);
        }
        for section in root.tables("kind") {
            all.read_kind(section);
        }
        if let Some(calendar) = root.table("calendar") {
            all.calendar = Calendar::read(calendar);
        }
        if !damaged {
            if !root.has("sector") {
                diagnostics.push(nothing_there("settore", "sector", root.start()));
            }
            if !root.has("kind") {
                diagnostics.push(nothing_there("tipo di segnalazione", "kind", root.start()));
            }
        }
        all.check_parents(&diagnostics);
        root.finish();
        all
    }

    fn read_sector(&mut self, mut section: Section) {
        let id = self.read_id(&mut section, true);
        let name = section.required_string("name");
        let parent = section.string("parent").and_then(|p| {
            let id = SectorId::new(p.value.as_str()).ok();
            if id.is_none() {
                section.diagnostics().push(bad_id("parent", &p));
            }
            id.map(|id| Spanned::new(id, p.span))
        });
        let mail = section.string("mail").and_then(|mail| address(&section, "mail", &mail));
        let cc = section.strings("cc");
        let cc = cc.iter().filter_map(|mail| address(&section, "cc", mail)).collect();
        let deadline = section.days("deadline").map(|d| d.value);
        let confidential = section.bool("confidential").is_some_and(|b| b.value);
        let external = section.bool("external").is_some_and(|b| b.value);
        if external && !section.has("mail") {
            section.diagnostics().push(
                Diagnostic::warning(
                    codes::EXTERNAL_WITHOUT_MAIL,
                    "questo settore è esterno ma non ha un indirizzo: non potrà ricevere nulla",
                    "this sector is external but has no address: nothing can reach it",
                )
                .hint("aggiungere mail = \"...\"", "add mail = \"...\"")
                .at_opt(section.span()),
            );
        }
        section.finish();
        if let (Some(id), Some(name)) = (id, name)
            && let Ok(value) = SectorId::new(id.value)
        {
            let (id, name) = (Spanned::new(value, id.span), name.value.trim().to_owned());
            self.sectors.push(Sector { id, name, parent, mail, cc, deadline, confidential, external });
        }
    }

    fn read_kind(&mut self, mut section: Section) {
        let id = self.read_id(&mut section, false);
        let name = section.required_string("name");
        let answer_within = section.days("answer_within").map(|d| d.value);
        section.finish();
        if let (Some(id), Some(name)) = (id, name)
            && let Ok(value) = KindId::new(id.value)
        {
            let id = Spanned::new(value, id.span);
            self.kinds.push(Kind { id, name: name.value.trim().to_owned(), answer_within });
        }
    }

    /// The id of a table, of good form and new.
    fn read_id(&mut self, section: &mut Section, is_sector: bool) -> Option<Spanned<String>> {
        let (ids, incomplete) = if is_sector {
            (&mut self.sector_ids, &mut self.some_sector_unread)
        } else {
            (&mut self.kind_ids, &mut self.some_kind_unread)
        };
        let Some(id) = section.required_string("id") else {
            *incomplete = true;
            return None;
        };
        // Sectors and kinds have the same form.
        if SectorId::new(id.value.as_str()).is_err() {
            *incomplete = true;
            section.diagnostics().push(bad_id("id", &id));
            return None;
        }
        if let Some(first) = ids.get(&id.value) {
            let (it, en) = if is_sector { ("il settore", "the sector") } else { ("il tipo", "the kind") };
            let mut twice = Diagnostic::error(
                codes::DUPLICATE_ID,
                format!("{it} \"{}\" c'è già", id.value),
                format!("{en} \"{}\" is there already", id.value),
            )
            .hint(
                "cambiare uno dei due id, o togliere il doppione",
                "change one of the two ids, or remove the double",
            )
            .at_opt(id.span);
            if let Some(first) = first {
                twice = twice.label(*first, "il primo è qui", "the first is here");
            }
            section.diagnostics().push(twice);
            return None;
        }
        ids.insert(id.value.clone(), id.span);
        Some(id)
    }

    fn check_parents(&self, diagnostics: &Diagnostics) {
        let parents: BTreeMap<&str, &Spanned<SectorId>> =
            self.sectors.iter().filter_map(|s| Some((s.id.value.as_str(), s.parent.as_ref()?))).collect();
        for parent in parents.values() {
            if !self.knows_sector(parent.value.as_str()) {
                diagnostics.push(self.unknown_sector("parent", &(*parent).clone().map(String::from)));
            }
        }
        let mut told = BTreeSet::new();
        for start in parents.keys() {
            let mut way = vec![*start];
            while let Some(next) = way.last().and_then(|at| parents.get(at)).map(|p| p.value.as_str()) {
                if let Some(begin) = way.iter().position(|seen| *seen == next) {
                    let ring = way.split_off(begin);
                    let smallest = ring.iter().copied().min().unwrap_or(next);
                    if told.insert(smallest) {
                        diagnostics.push(ring_of(&ring, parents.get(next).and_then(|p| p.span)));
                    }
                    break;
                }
                way.push(next);
            }
        }
    }

    /// The sector with this id.
    pub fn sector(&self, id: &SectorId) -> Option<&Sector> {
        self.sectors.iter().find(|s| s.id.value == *id)
    }

    /// True when a reference to this sector is not wrong (also when sectors.toml could not be read in full).
    pub fn knows_sector(&self, id: &str) -> bool {
        self.some_sector_unread || self.sector_ids.contains_key(id)
    }

    /// True when a reference to this kind is not wrong (also when sectors.toml could not be read in full).
    pub fn knows_kind(&self, id: &str) -> bool {
        self.some_kind_unread || self.kind_ids.contains_key(id)
    }

    /// What to say when `key` names a sector that is not there.
    pub fn unknown_sector(&self, key: &str, named: &Spanned<String>) -> Diagnostic {
        let by_name = self.sectors.iter().find(|s| s.name.eq_ignore_ascii_case(named.value.trim()));
        let by_name = by_name.map(|s| s.id.value.as_str());
        unknown(codes::UNKNOWN_SECTOR, ("il settore", "the sector"), key, named, by_name, &self.sector_ids)
    }

    /// What to say when `key` names a kind that is not there.
    pub fn unknown_kind(&self, key: &str, named: &Spanned<String>) -> Diagnostic {
        let by_name = self.kinds.iter().find(|k| k.name.eq_ignore_ascii_case(named.value.trim()));
        let by_name = by_name.map(|k| k.id.value.as_str());
        unknown(codes::UNKNOWN_KIND, ("il tipo", "the kind"), key, named, by_name, &self.kind_ids)
    }

    /// Checks that the fallback sector is there and is one of ours.
    pub fn check_fallback(&self, fallback: &Spanned<SectorId>, diagnostics: &Diagnostics) {
        if !self.knows_sector(fallback.value.as_str()) {
            let mut finding = self.unknown_sector("fallback", &fallback.clone().map(String::from));
            if fallback.span.is_none() {
                finding = finding.hint(
                    "aggiungere quel settore in sectors.toml, oppure indicarne un altro in smista.toml: [queue] fallback = \"...\"",
                    "add that sector to sectors.toml, or name another in smista.toml: [queue] fallback = \"...\"",
                );
            }
            diagnostics.push(finding);
        }
        if let Some(sector) = self.sector(&fallback.value).filter(|s| s.external) {
            diagnostics.push(
                Diagnostic::error(
                    codes::EXTERNAL_FALLBACK,
                    format!(
                        "\"{}\" è un settore esterno: non può smistare quello che le regole non decidono",
                        fallback.value
                    ),
                    format!(
                        "\"{}\" is an external sector: it cannot sort what no rule decides",
                        fallback.value
                    ),
                )
                .hint(
                    "indicare in «fallback» un ufficio del comune",
                    "name an office of the town hall as 'fallback'",
                )
                .at_opt(fallback.span.or(sector.id.span)),
            );
        }
    }
}

fn nothing_there(it: &str, key: &str, at: Option<Span>) -> Diagnostic {
    Diagnostic::error(
        codes::MISSING_KEY,
        format!("in questo file non c'è nessun {it}"),
        format!("there is no {key} in this file"),
    )
    .hint(
        format!("aggiungere almeno una sezione [[{key}]] con id e name"),
        format!("add at least one section [[{key}]] with id and name"),
    )
    .at_opt(at)
}

fn unknown(
    code: &'static str,
    (it, en): (&str, &str),
    key: &str,
    named: &Spanned<String>,
    by_name: Option<&str>,
    ids: &BTreeMap<String, Option<Span>>,
) -> Diagnostic {
    let all = || ids.keys().map(String::as_str);
    let slugged = slug(&named.value);
    let meant = by_name.or_else(|| all().find(|id| *id == slugged)).or_else(|| closest(&named.value, all()));
    let (hint_it, hint_en) = if let Some(meant) = meant {
        (format!("forse si voleva scrivere \"{meant}\"?"), format!("perhaps \"{meant}\" was meant?"))
    } else {
        let list = all().collect::<Vec<_>>().join(", ");
        (
            format!("usare uno di quelli che ci sono: {list}"),
            format!("use one of those that are there: {list}"),
        )
    };
    Diagnostic::error(
        code,
        format!("«{key}»: {it} \"{}\" non esiste in sectors.toml", named.value),
        format!("'{key}': {en} \"{}\" is not in sectors.toml", named.value),
    )
    .hint(hint_it, hint_en)
    .at_opt(named.span)
}

fn ring_of(ring: &[&str], at: Option<Span>) -> Diagnostic {
    let first = ring.first().copied().unwrap_or_default();
    let (it, en) = if ring.len() == 1 {
        (
            format!("il settore \"{first}\" non può appartenere a sé stesso"),
            format!("the sector \"{first}\" cannot belong to itself"),
        )
    } else {
        let way = ring.iter().chain([&first]).copied().collect::<Vec<_>>().join(" → ");
        (
            format!("questi settori appartengono l'uno all'altro in cerchio: {way}"),
            format!("these sectors belong to each other in a circle: {way}"),
        )
    };
    Diagnostic::error(codes::SECTOR_CIRCLE, it, en)
        .hint("togliere «parent» dal settore che sta più in alto", "remove 'parent' from the topmost sector")
        .at_opt(at)
}

fn address(section: &Section, key: &str, mail: &Spanned<String>) -> Option<String> {
    let text = mail.value.trim();
    let Err(fault) = check_address(text) else { return Some(text.to_owned()) };
    let (it, en) = fault.in_words();
    section.diagnostics().push(
        Diagnostic::error(
            codes::BAD_ADDRESS,
            format!("«{key}»: \"{text}\" non è un indirizzo e-mail: {it}"),
            format!("'{key}': \"{text}\" is no e-mail address: {en}"),
        )
        .hint(
            "scrivere un indirizzo come \"ufficio@comune.gubbio.pg.it\"",
            "write an address like \"ufficio@comune.gubbio.pg.it\"",
        )
        .at_opt(mail.span),
    );
    None
}
