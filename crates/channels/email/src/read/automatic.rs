//! Which letters no person wrote.
//!
//! A citizen's letter must never be lost here, so one doubtful sign is not enough:
//! - `Auto-Submitted` other than `no` (RFC 3834), `X-Autoreply` and its like, `Precedence: auto_reply` are signs by
//!   themselves: no mail program of a person sets them.
//! - `X-Auto-Response-Suppress` is none: Exchange and Outlook set it on what people write. It counts only together with a
//!   subject that only programs write (`Risposta automatica: ...`).
//! - `Precedence: bulk|list|junk` and `List-Id` are signs, except when the list is one of our own domains: a mailbox that
//!   is a group address (Google Groups, Exchange) gets every citizen's letter with them.
//! - A subject alone (`Fuori sede`) proves nothing; with an empty return path it does.
//! - A report that nothing has failed yet (`Action: delayed`, RFC 3464) is no bounce: it speaks of the same letter under a reason of
//!   its own.
//! - Our own address as the sender is a loop, except when answers should go to somebody else: that is how web forms send
//!   what citizens fill in.

use smista_domain::IgnoreReason;

use super::{ReadSettings, header::Fields, sender, structure::Part, thread};

/// Of a report so many octets are looked at.
const MAX_REPORT: usize = 256 * 1024;
/// Parts of a report that are looked at for what it is about.
const MAX_CARRIED: usize = 5;

/// What was found: the reason, and what the letter speaks of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Automatic {
    pub(crate) reason: IgnoreReason,
    pub(crate) about: Option<String>,
}

/// Looks at a whole letter.
pub(crate) fn detect(
    root: &Part<'_>,
    subject: &str,
    address: Option<&str>,
    settings: &ReadSettings,
) -> Option<Automatic> {
    let fields = &root.fields;
    if settings.keep_everything {
        return None;
    }
    if let Some(bounce) = report(root, settings) {
        return Some(bounce);
    }
    let reply =
        || thread::first_id(fields, "in-reply-to").or_else(|| thread::refs(fields, None).into_iter().next());
    let empty_return_path = fields
        .get("return-path")
        .is_some_and(|v| v.trim_ascii().iter().filter(|b| !b.is_ascii_whitespace()).eq(b"<>"));
    if own_mail(fields, address, settings) {
        return Some(Automatic { reason: IgnoreReason::OwnMail, about: thread::own(fields) });
    }
    // Nobody writes as mailer-daemon; a postmaster may be a person, who answers (`Re: ...`) or writes about something else.
    let daemon = address.and_then(|a| a.split('@').next()).is_some_and(|local| match local {
        "mailer-daemon" | "mail-daemon" | "mailerdaemon" => true,
        "postmaster" => empty_return_path || bounce_subject(subject),
        _ => false,
    });
    if fields.has("x-failed-recipients") || daemon {
        let about = inner_message_id(root, settings).or_else(reply);
        let reason = if late_subject(subject) { IgnoreReason::DeliveryNotice } else { IgnoreReason::Bounce };
        return Some(Automatic { reason, about });
    }
    // A certified envelope carries a letter, whatever its provider writes into the head.
    if settings.keep_automatic || fields.has("x-trasporto") {
        return None;
    }
    let absent = absence_subject(subject);
    let submitted = fields.word("auto-submitted").is_some_and(|v| {
        let word = v.split([';', ' ', '(']).next().unwrap_or_default();
        !word.is_empty() && word != "no"
    });
    let precedence = fields.word("precedence").unwrap_or_default();
    let bulk = matches!(precedence.as_str(), "bulk" | "list" | "junk");
    let replier = [
        "x-autoreply",
        "x-autorespond",
        "x-autoresponder",
        "x-auto-reply-from",
        "x-mail-autoreply",
        "x-vacation",
    ]
    .iter()
    .any(|name| fields.word(name).is_some_and(|v| !matches!(v.as_str(), "no" | "false" | "0" | "")));
    let suppress = fields.word("x-auto-response-suppress").is_some_and(|v| v != "none" && !v.is_empty());
    if submitted
        || replier
        || matches!(precedence.as_str(), "auto_reply" | "auto-reply" | "autoreply")
        || (absent == 2 && (suppress || empty_return_path || bulk))
        || (absent == 1 && empty_return_path)
    {
        return Some(Automatic { reason: IgnoreReason::AutoReply, about: reply() });
    }
    if (bulk || fields.has("list-id")) && !own_list(fields, settings) {
        return Some(Automatic { reason: IgnoreReason::MailingList, about: None });
    }
    None
}

/// Delivery reports (RFC 3464) and notices of reading (RFC 8098).
fn report(root: &Part<'_>, settings: &ReadSettings) -> Option<Automatic> {
    if root.media() != "multipart/report" {
        return None;
    }
    let kind = root.content.get("report-type").unwrap_or_default().to_ascii_lowercase();
    let has = |media: &str| root.children.iter().any(|c| c.media() == media);
    if kind == "disposition-notification" || has("message/disposition-notification") {
        let about = root
            .children
            .iter()
            .find(|c| c.media() == "message/disposition-notification")
            .and_then(|c| {
                let content = c.transfer().decode(c.body);
                thread::first_id(&super::header::split(&content).0, "original-message-id")
            })
            .or_else(|| thread::first_id(&root.fields, "in-reply-to"));
        return Some(Automatic { reason: IgnoreReason::AutoReply, about });
    }
    if kind == "delivery-status" || root.children.iter().any(is_status) {
        let about =
            inner_message_id(root, settings).or_else(|| thread::first_id(&root.fields, "in-reply-to"));
        return Some(Automatic { reason: delivery(root), about });
    }
    None
}

fn is_status(part: &Part<'_>) -> bool {
    matches!(part.media(), "message/delivery-status" | "message/global-delivery-status")
}

/// What a report says of the delivery (RFC 3464, section 2.3.3): it failed for somebody, or it is late, or all went well. A report
/// that says nothing is a bounce.
fn delivery(root: &Part<'_>) -> IgnoreReason {
    let mut actions = statuses(root).into_iter().flat_map(|status| values(&status, "action")).peekable();
    let is_notice = |action: String| {
        ["delayed", "delivered", "relayed", "expanded"]
            .iter()
            .any(|word| action.to_lowercase().starts_with(word))
    };
    if actions.peek().is_some() && actions.all(is_notice) {
        IgnoreReason::DeliveryNotice
    } else {
        IgnoreReason::Bounce
    }
}

fn statuses(root: &Part<'_>) -> Vec<String> {
    let statuses = root.leaves().into_iter().filter(|part| is_status(part)).take(MAX_CARRIED);
    statuses.map(text_of).collect()
}

/// The beginning of a part as text.
fn text_of(part: &Part<'_>) -> String {
    let body = part.body.get(..MAX_REPORT).unwrap_or(part.body);
    String::from_utf8_lossy(&part.transfer().decode(body)).into_owned()
}

/// The values of the lines `Name: value`, also quoted or indented, and folded once.
fn values(text: &str, name: &str) -> Vec<String> {
    let mut lines = text.lines().map(|line| line.trim_start_matches(['>', ' ', '\t', '|'])).peekable();
    let mut out = Vec::new();
    while let Some(line) = lines.next() {
        let Some((key, value)) = line.split_once(':') else { continue };
        if key.trim_end().eq_ignore_ascii_case(name) {
            let value = value.trim();
            let folded = if value.is_empty() { lines.peek().copied().unwrap_or_default() } else { value };
            out.push(folded.trim().to_owned());
        }
    }
    out
}

/// The Message-ID of what a report is about: of the letter, or of its head, that it carries with it; else as Google names it in the
/// report, else as it stands below the words of the server.
fn inner_message_id(root: &Part<'_>, settings: &ReadSettings) -> Option<String> {
    let leaves = root.leaves();
    let carried = leaves.iter().rev().filter(|part| {
        part.is_message()
            || matches!(
                part.media(),
                "text/rfc822-headers" | "message/rfc822-headers" | "message/global-headers"
            )
    });
    for part in carried.take(MAX_CARRIED) {
        let content = part.transfer().decode(part.body);
        if let Some(id) = thread::own(&super::header::split(&content).0) {
            return Some(id);
        }
    }
    let named = |text: &String, name: &str| values(text, name).iter().find_map(|id| thread::key(id));
    statuses(root).iter().find_map(|status| named(status, "x-original-message-id")).or_else(|| {
        let texts = leaves.into_iter().filter(|part| part.media() == "text/plain").take(MAX_CARRIED);
        texts.map(|part| text_of(part)).find_map(|mut text| {
            text.truncate(text.floor_char_boundary(settings.max_text_bytes));
            named(&text, "message-id")
        })
    })
}

/// From is one of ours, and nobody else wants the answer.
fn own_mail(fields: &Fields<'_>, address: Option<&str>, settings: &ReadSettings) -> bool {
    let ours = |a: &str| settings.own_addresses.iter().any(|own| own.eq_ignore_ascii_case(a));
    if !address.is_some_and(ours) {
        return false;
    }
    let mut replies =
        fields.all("reply-to").flat_map(|raw| sender::mailboxes(raw, 10)).filter_map(|s| s.address);
    !replies.any(|a| !ours(&a))
}

/// The list is one of our own domains: a group address in front of the mailbox.
fn own_list(fields: &Fields<'_>, settings: &ReadSettings) -> bool {
    let within = |value: &str| {
        settings.own_domains.iter().any(|domain| {
            let domain = domain.trim_start_matches('@').to_lowercase();
            !domain.is_empty()
                && value.split(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-'))).any(|host| {
                    host == domain || host.strip_suffix(&domain).is_some_and(|rest| rest.ends_with('.'))
                })
        }) || settings.own_addresses.iter().any(|own| {
            value.contains(&own.to_lowercase()) || value.contains(&own.to_lowercase().replace('@', "."))
        })
    };
    ["list-id", "list-post"].iter().any(|name| fields.word(name).is_some_and(|v| within(&v)))
}

/// How sure a subject is that of an absence note, in Italian, English, German, French and Spanish: 2 for words that only
/// programs write, 1 for words that people write too (`Ferie estive: quando apre il centro?`), 0 for others.
fn absence_subject(subject: &str) -> u8 {
    const SURE: &[&str] = &[
        "risposta automatica",
        "automatic reply",
        "autoreply",
        "auto-reply",
        "auto reply",
        "out of office",
        "out of the office",
        "abwesenheitsnotiz",
        "automatische antwort",
        "réponse automatique",
        "respuesta automática",
    ];
    const PERHAPS: &[&str] = &[
        "messaggio automatico",
        "fuori sede",
        "fuori ufficio",
        "assente",
        "assenza",
        "auto:",
        "vacation",
        "ferie",
        "abwesen",
    ];
    let lower = subject.trim().to_lowercase();
    let begins = |words: &[&str]| words.iter().any(|w| lower.starts_with(w));
    if begins(SURE) { 2 } else { u8::from(begins(PERHAPS)) }
}

/// Subjects of bounces that follow no standard: how they begin.
fn bounce_subject(subject: &str) -> bool {
    const WORDS: &[&str] = &[
        "undeliver",
        "delivery status",
        "delivery fail",
        "failure notice",
        "returned mail",
        "mail delivery",
        "mancata consegna",
        "non recapitabil",
        "impossibile recapitare",
        "unzustellbar",
        "consegna fallita",
        "messaggio non consegnato",
        "notifica di stato della consegna",
        "failed mail",
        "delivery notification",
    ];
    let lower = subject.trim().to_lowercase();
    WORDS.iter().any(|w| lower.starts_with(w)) || late_subject(subject)
}

/// Subjects of notices that a letter is still on its way.
fn late_subject(subject: &str) -> bool {
    const WORDS: &[&str] = &[
        "delivery delayed",
        "delayed mail",
        "delivery status notification (delay)",
        "could not send message for past",
        "ritardo nella consegna",
        "consegna ritardata",
        "consegna in ritardo",
        "verzögert",
    ];
    let lower = subject.to_lowercase();
    WORDS.iter().any(|w| lower.contains(w))
}
