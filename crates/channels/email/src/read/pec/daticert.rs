//! Certification data: `daticert.xml` (RFC 6109, section 4.4).

use jiff::{civil, tz::Offset};
use smista_domain::{CertificationData, LegalInstant, Party, Standing};

use super::super::{sender::MAX_RECIPIENTS, xml};

/// No address is longer (RFC 5321 allows 254).
const MAX_ADDRESS: usize = 320;
/// Identities, names of providers and words are cut here.
const MAX_WORD: usize = 250;

/// Reads the file. None if it is broken: half of a certificate certifies nothing.
pub(in crate::read) fn read(file: &[u8], label: Option<&str>) -> Option<CertificationData> {
    let mut data = CertificationData::default();
    let (mut day, mut hour, mut zone) = (String::new(), String::new(), None);
    xml::walk(file, label, &["postacert"], |element| {
        let text = element.text.as_str();
        match element.path {
            "postacert" => {
                data.kind = element.attribute("tipo").and_then(word);
                data.error = element.attribute("errore").and_then(word).filter(|e| e != "nessuno");
            }
            "postacert/intestazione/mittente" => {
                // The format gives the sender no type: only a certified mailbox can send what is certified (RFC 6109,
                // section 3.1.1). Where a provider says otherwise, that counts.
                let standing = match element.attribute("tipo") {
                    Some(tipo) => standing(Some(tipo)),
                    None => Standing::Certified,
                };
                data.sender = address(text).map(|address| Party { address, standing });
            }
            "postacert/intestazione/destinatari" => {
                if data.recipients.len() < MAX_RECIPIENTS
                    && let Some(address) = address(text)
                {
                    data.recipients.push(Party { address, standing: standing(element.attribute("tipo")) });
                }
            }
            "postacert/dati/gestore-emittente" => data.provider = short(text),
            "postacert/dati/data/giorno" => text.clone_into(&mut day),
            "postacert/dati/data/ora" => text.clone_into(&mut hour),
            "postacert/dati/data" => zone = element.attribute("zona").and_then(offset),
            "postacert/dati/identificativo" => data.id = identity(text),
            "postacert/dati/msgid" => data.message_id = identity(text),
            "postacert/dati/consegna" => data.delivered_to = address(text),
            "postacert/dati/ricezione" if data.taken_for.len() < MAX_RECIPIENTS => {
                data.taken_for.extend(address(text));
            }
            "postacert/dati/errore-esteso" => {
                data.error_text = Some(text.chars().take(1000).collect::<String>()).filter(|t| !t.is_empty());
            }
            _ => {}
        }
    })
    .ok()?;
    data.instant = zone.and_then(|offset| instant(&day, &hour, offset));
    Some(data)
}

/// A word of an open list, lower case.
fn word(text: &str) -> Option<String> {
    short(&text.to_lowercase())
}

fn short(text: &str) -> Option<String> {
    let text: String = text.trim().chars().take(MAX_WORD).collect();
    (!text.is_empty()).then_some(text)
}

/// `<id@host>` as it is written, without brackets.
fn identity(text: &str) -> Option<String> {
    short(text.trim_matches(['<', '>', ' ']))
}

/// Lower case, without brackets.
pub(super) fn address(text: &str) -> Option<String> {
    let address = text.trim_matches(['<', '>', '"', ' ']).to_lowercase();
    let fits =
        address.contains('@') && !address.contains(char::is_whitespace) && address.len() <= MAX_ADDRESS;
    fits.then_some(address)
}

/// `certificato` or `esterno`.
fn standing(tipo: Option<&str>) -> Standing {
    match tipo.map(str::to_lowercase).as_deref() {
        Some("certificato") => Standing::Certified,
        Some("esterno") => Standing::External,
        _ => Standing::Unknown,
    }
}

/// `+0200`, also `+02:00`.
fn offset(zone: &str) -> Option<Offset> {
    let (negative, digits) = match zone.trim().split_at_checked(1)? {
        ("+", digits) => (false, digits),
        ("-", digits) => (true, digits),
        _ => return None,
    };
    let digits = digits.replace(':', "");
    let (hours, minutes) = digits.split_at_checked(2).filter(|(_, m)| m.len() == 2)?;
    let seconds =
        hours.parse::<u8>().ok().map(i32::from)? * 3600 + minutes.parse::<u8>().ok().map(i32::from)? * 60;
    Offset::from_seconds(if negative { -seconds } else { seconds }).ok()
}

/// `dd/mm/yyyy` and `hh:mm:ss`.
fn instant(day: &str, hour: &str, offset: Offset) -> Option<LegalInstant> {
    let mut date = day.split('/').map(|part| part.trim().parse::<i16>().ok());
    let (day, month, year) = (date.next()??, date.next()??, date.next()??);
    let mut time = hour.split(':').map(|part| part.trim().parse::<i8>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next().unwrap_or(Some(0))?);
    // The certification began in 2005; a year of two digits is a mistake.
    if !(2000..=2100).contains(&year) {
        return None;
    }
    let (day, month) = (i8::try_from(day).ok()?, i8::try_from(month).ok()?);
    let local = civil::DateTime::new(year, month, day, hour, minute, second.min(59), 0).ok()?;
    Some(LegalInstant { at: offset.to_timestamp(local).ok()?, offset })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<postacert tipo="avvenuta-consegna" errore="nessuno">
  <intestazione>
    <mittente>Comune@PEC.example</mittente>
    <destinatari tipo="certificato">anna.rossi@pec.example</destinatari>
    <destinatari tipo="esterno">bruno@example.org</destinatari>
    <destinatari>carla@example.org</destinatari>
    <risposte/>
    <oggetto>Re: Buca</oggetto>
  </intestazione>
  <dati>
    <gestore-emittente>GESTORE &amp; FIGLI S.p.A.</gestore-emittente>
    <data zona="+0200"><giorno>19/09/2026</giorno><ora>15:41:19</ora></data>
    <identificativo>opec0001.20260919@pec.example</identificativo>
    <msgid>&lt;Risposta.1@comune.example&gt;</msgid>
    <ricevuta tipo="breve"/>
    <consegna>anna.rossi@pec.example</consegna>
    <ricezione>anna.rossi@pec.example</ricezione>
    <errore-esteso>5.1.1
      unknown</errore-esteso>
  </dati>
</postacert>"#;

    #[test]
    fn everything_is_read() {
        let data = read(WHOLE.as_bytes(), None).expect("read");
        assert_eq!(data.kind.as_deref(), Some("avvenuta-consegna"));
        assert_eq!(data.error, None);
        assert_eq!(data.error_text.as_deref(), Some("5.1.1 unknown"));
        let sender = data.sender.expect("a sender");
        assert_eq!((sender.address.as_str(), sender.standing), ("comune@pec.example", Standing::Certified));
        let standings: Vec<Standing> = data.recipients.iter().map(|r| r.standing).collect();
        assert_eq!(standings, [Standing::Certified, Standing::External, Standing::Unknown]);
        assert_eq!(data.provider.as_deref(), Some("GESTORE & FIGLI S.p.A."));
        assert_eq!(data.instant.map(|i| i.to_string()).as_deref(), Some("2026-09-19T15:41:19+02:00"));
        assert_eq!(data.id.as_deref(), Some("opec0001.20260919@pec.example"));
        assert_eq!(data.message_id.as_deref(), Some("Risposta.1@comune.example"));
        assert_eq!(data.delivered_to.as_deref(), Some("anna.rossi@pec.example"));
        assert_eq!(data.taken_for, ["anna.rossi@pec.example"]);
    }

    #[test]
    fn half_a_file_certifies_nothing() {
        for cut in [10, 200, WHOLE.len() - 5] {
            assert_eq!(read(&WHOLE.as_bytes()[..cut], None), None);
        }
    }

    #[test]
    fn instants_need_a_zone_and_a_day_that_exists() {
        let at = |day, hour, zone| {
            offset(zone).and_then(|o| instant(day, hour, o)).map(|i| i.to_string()).unwrap_or_default()
        };
        assert_eq!(at("1/2/2026", "8:05", "-01:30"), "2026-02-01T08:05:00-01:30");
        assert_eq!(at("19/09/2026", "15:41:60", "+0200"), "2026-09-19T15:41:59+02:00");
        for (day, hour, zone) in [
            ("31/02/2026", "10:00:00", "+0100"),
            ("19/09/26", "10:00:00", "+0100"),
            ("2026-09-19", "10:00:00", "+0100"),
            ("19/09/2026", "25:00:00", "+0100"),
            ("19/09/2026", "10:00:00", "CET"),
            ("19/09/2026", "10:00:00", "+1"),
            ("19/09/2026", "", "+0100"),
            ("", "10:00:00", "è"),
        ] {
            assert_eq!(at(day, hour, zone), "", "{day} {hour} {zone}");
        }
    }
}
