//! Certified mail (PEC) as providers send it, with real signatures: transport envelopes, anomaly envelopes and receipts (RFC 6109),
//! in the shapes of several providers. What differs between them is what was seen in their messages.

#![allow(clippy::expect_used, clippy::missing_panics_doc, reason = "letters of our own making")]

mod sign;

use std::fmt::Write as _;

pub use sign::{Authority, How, Signer};

use crate::nasty::base64;

/// Whose shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Names without quotes, an empty `<risposte/>`, U+FFFD for "è" in the provider's words, `daticert.xml` in base64, `X-REM-Subject`.
    Aruba,
    /// The letter in base64 and before `daticert.xml`; `x-pkcs7-signature`.
    Namirial,
    /// The letter in quoted-printable, and its Message-ID left as it was.
    InfoCert,
    /// The letter's part has no name, and `daticert.xml` is in capitals and declared as Windows-1252.
    Poste,
    /// An envelope has no `daticert.xml` at all.
    Sogei,
}

impl Shape {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Aruba, Self::Namirial, Self::InfoCert, Self::Poste, Self::Sogei];

    /// The provider's name as it certifies it, and its domain.
    pub fn provider(self) -> (&'static str, &'static str) {
        match self {
            Self::Aruba => ("ARUBA PEC S.p.A.", "pec.aruba.example"),
            Self::Namirial => ("Namirial S.p.A.", "sicurezzapostale.example"),
            Self::InfoCert => ("InfoCert S.p.A.", "legalmail.example"),
            Self::Poste => ("Poste Italiane S.p.A.", "postecert.example"),
            Self::Sogei => ("Sogei S.p.A.", "pec.sogei.example"),
        }
    }
}

/// What is sent by certified mail.
#[derive(Debug, Clone)]
pub struct Post<'a> {
    /// From which mailbox.
    pub from: &'a str,
    /// To which mailbox.
    pub to: &'a str,
    /// Its subject, ASCII.
    pub subject: &'a str,
    /// The identity that the writer's program gave, without brackets.
    pub message_id: &'a str,
    /// What makes it unlike any other: part of the provider's identity.
    pub serial: usize,
    /// The rest of the letter: further header fields, an empty line, the body.
    pub rest: &'a str,
}

impl Post<'_> {
    /// As it would go by ordinary mail.
    pub fn ordinary(&self) -> String {
        let Self { from, to, subject, message_id, rest, .. } = self;
        format!(
            "From: {from}\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <{message_id}>\r\n{DATE}{rest}"
        )
    }
}

const DATE: &str = "Date: Sat, 19 Sep 2026 15:41:02 +0200\r\nMIME-Version: 1.0\r\n";
const CERTIFIED_DATE: &str = "<data zona=\"+0200\"><giorno>19/09/2026</giorno><ora>15:41:19</ora></data>";
/// What [`Gestore`] certifies as the time.
pub const INSTANT: &str = "2026-09-19T15:41:19+02:00";

/// The receipts of the rules, by their word, with what their subjects begin with.
pub const RECEIPTS: &[(&str, &str)] = &[
    ("accettazione", "ACCETTAZIONE: "),
    ("avvenuta-consegna", "CONSEGNA: "),
    ("errore-consegna", "AVVISO DI MANCATA CONSEGNA: "),
    ("preavviso-errore-consegna", "AVVISO DI MANCATA CONSEGNA PER SUP. TEMPO MASSIMO: "),
    ("non-accettazione", "AVVISO DI NON ACCETTAZIONE: "),
    ("presa-in-carico", "PRESA IN CARICO: "),
    ("rilevazione-virus", "PROBLEMA DI SICUREZZA: "),
];

/// A provider ("gestore") with its seal.
#[derive(Debug)]
pub struct Gestore {
    shape: Shape,
    signer: Signer,
}

impl Gestore {
    /// A provider whom `authority` vouches for.
    pub fn new(shape: Shape, authority: &Authority, how: How) -> Self {
        Self::with(shape, Signer::new(authority, &address(shape), how, 2020..2040))
    }

    /// One with this seal.
    pub fn with(shape: Shape, signer: Signer) -> Self {
        Self { shape, signer }
    }

    /// The identity that the provider gives to what it makes of a letter, without brackets.
    pub fn id(&self, post: &Post<'_>) -> String {
        format!("opec{}.20260919154119.1.1@{}", post.serial, self.shape.provider().1)
    }

    /// The transport envelope of a letter.
    pub fn envelope(&self, post: &Post<'_>) -> Vec<u8> {
        let Post { from, subject, message_id, .. } = post;
        let id = self.id(post);
        let letter = if self.shape == Shape::InfoCert {
            post.ordinary()
        } else {
            let as_it_was = format!("Message-ID: <{message_id}>");
            format!(
                "X-Riferimento-Message-ID: <{message_id}>\r\n{}",
                post.ordinary().replacen(&as_it_was, &format!("Message-ID: <{id}>"), 1)
            )
        };
        let data = (self.shape != Shape::Sogei)
            .then(|| self.daticert(post, "posta-certificata", "nessuno", "completa", ""));
        let head = format!(
            "X-Trasporto: posta-certificata\r\nX-TipoRicevuta: completa\r\nReply-To: {from}\r\n\
             From: \"Per conto di: {from}\" <{}>\r\nSubject: POSTA CERTIFICATA: {subject}\r\n",
            address(self.shape)
        );
        let words = self.words("Messaggio di posta certificata", post, "stato inviato dal mittente");
        self.sealed(post, &head, &words, data.as_deref(), Some(&letter))
    }

    /// The anomaly envelope of an ordinary letter that was sent to a certified mailbox.
    pub fn anomaly(&self, post: &Post<'_>) -> Vec<u8> {
        self.anomaly_around(post, &post.ordinary())
    }

    /// An anomaly envelope around these bytes, of certified mail too.
    pub fn anomaly_around(&self, post: &Post<'_>, letter: &str) -> Vec<u8> {
        let Post { from, subject, .. } = post;
        let head = format!(
            "X-Trasporto: errore\r\nReply-To: {from}\r\nFrom: \"Per conto di: {from}\" <{}>\r\n\
             Subject: ANOMALIA MESSAGGIO: {subject}\r\n",
            address(self.shape)
        );
        let words = self.words("Anomalia nel messaggio", post, "pervenuto da");
        self.sealed(post, &head, &words, None, Some(letter))
    }

    /// A receipt of this kind for a letter that was sent.
    pub fn receipt(&self, kind: &str, post: &Post<'_>) -> Vec<u8> {
        let Post { from, to, subject, .. } = post;
        let begins =
            RECEIPTS.iter().find(|(known, _)| *known == kind).map_or("RICEVUTA: ", |(_, begins)| begins);
        let (error, more) = match kind {
            "errore-consegna" | "preavviso-errore-consegna" => (
                "no-dest",
                format!(
                    "<errore-esteso>5.1.1 - {} - indirizzo non valido</errore-esteso>",
                    self.shape.provider().0
                ),
            ),
            "non-accettazione" => {
                ("altro", "<errore-esteso>destinatario non valido</errore-esteso>".to_owned())
            }
            "rilevazione-virus" => ("virus", "<errore-esteso>virus: Eicar</errore-esteso>".to_owned()),
            "avvenuta-consegna" => ("nessuno", format!("<consegna>{to}</consegna>")),
            "presa-in-carico" => ("nessuno", format!("<ricezione>{to}</ricezione>")),
            _ => ("nessuno", String::new()),
        };
        let virus =
            if kind == "rilevazione-virus" { format!("X-Mittente: {from}\r\n") } else { String::new() };
        let head = format!(
            "X-Ricevuta: {kind}\r\nX-TipoRicevuta: completa\r\n{virus}From: {}\r\nSubject: {begins}{subject}\r\n",
            address(self.shape)
        );
        let data = self.daticert(post, kind, error, "completa", &more);
        let words = self.words("Ricevuta", post, "stato trattato per il mittente");
        let whole = post.ordinary();
        let carried = (kind == "avvenuta-consegna").then_some(whole.as_str());
        self.sealed(post, &head, &words, Some(&data), carried)
    }

    fn daticert(&self, post: &Post<'_>, kind: &str, error: &str, extent: &str, more: &str) -> String {
        let Post { from, to, subject, message_id, .. } = post;
        let charset = if self.shape == Shape::Poste { "windows-1252" } else { "UTF-8" };
        let replies = if self.shape == Shape::Aruba {
            "<risposte/>".to_owned()
        } else {
            format!("<risposte>{from}</risposte>")
        };
        format!(
            "<?xml version=\"1.0\" encoding=\"{charset}\"?>\n<postacert tipo=\"{kind}\" errore=\"{error}\"><intestazione>\
             <mittente>{from}</mittente><destinatari tipo=\"certificato\">{to}</destinatari>{replies}<oggetto>{subject}</oggetto>\
             </intestazione><dati><gestore-emittente>{}</gestore-emittente>{CERTIFIED_DATE}<identificativo>{}</identificativo>\
             <msgid>&lt;{message_id}&gt;</msgid><ricevuta tipo=\"{extent}\"/>{more}</dati></postacert>\n",
            self.shape.provider().0,
            self.id(post)
        )
    }

    /// The provider's own words, which are no citizen's.
    fn words(&self, title: &str, post: &Post<'_>, what: &str) -> String {
        let is = if self.shape == Shape::Aruba { "=EF=BF=BD" } else { "=E8" };
        let (id, Post { from, to, .. }) = (self.id(post), post);
        format!(
            "{title}\r\n\r\nIl giorno 19/09/2026 alle ore 15:41:19 (+0200) il messaggio {is} {what}\r\n\"{from}\"\r\ne \
             indirizzato a:\r\n{to}\r\nL'identificativo univoco di questo messaggio {is}: {id}\r\n"
        )
    }

    /// Everything within a signature.
    fn sealed(
        &self,
        post: &Post<'_>,
        head: &str,
        words: &str,
        data: Option<&str>,
        letter: Option<&str>,
    ) -> Vec<u8> {
        let shape = self.shape;
        let quoted = |name: &str| if shape == Shape::Aruba { name.to_owned() } else { format!("\"{name}\"") };
        let named =
            |name: &str| format!("name={0}\r\nContent-Disposition: inline; filename={0}", quoted(name));
        let data = data.map(|xml| match shape {
            Shape::Aruba => format!(
                "Content-Type: application/xml; {}\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
                named("daticert.xml"),
                base64(xml.as_bytes())
            ),
            Shape::Poste => format!("Content-Type: application/xml; {}\r\n\r\n{xml}", named("DATICERT.XML")),
            _ => format!("Content-Type: application/xml; {}\r\n\r\n{xml}", named("daticert.xml")),
        });
        let letter = letter.map(|letter| match shape {
            Shape::Namirial => format!(
                "Content-Type: message/rfc822; {}\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
                named("postacert.eml"),
                base64(letter.as_bytes())
            ),
            Shape::InfoCert => format!(
                "Content-Type: message/rfc822; {}\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{}",
                named("postacert.eml"),
                quoted_printable(letter)
            ),
            Shape::Poste => format!("Content-Type: message/rfc822\r\n\r\n{letter}"),
            Shape::Aruba | Shape::Sogei => {
                format!("Content-Type: message/rfc822; {}\r\n\r\n{letter}", named("postacert.eml"))
            }
        });
        let words = format!(
            "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{words}"
        );
        let mut parts = vec![words];
        if shape == Shape::Namirial {
            parts.extend(letter.into_iter().chain(data));
        } else {
            parts.extend(data.into_iter().chain(letter));
        }
        let n = post.serial;
        let mut signed = format!("Content-Type: multipart/mixed; boundary=\"mix{n}\"\r\n\r\n");
        for part in parts {
            let _ = write!(signed, "--mix{n}\r\n{part}\r\n");
        }
        let _ = write!(signed, "--mix{n}--\r\n");
        let x = if shape == Shape::Namirial { "x-" } else { "" };
        let more = if shape == Shape::Aruba {
            format!("X-REM-Subject: {}\r\n", post.subject)
        } else {
            String::new()
        };
        format!(
            "Return-Path: <{}>\r\nMessage-ID: <{}>\r\nX-Riferimento-Message-ID: <{}>\r\n{more}{head}To: {}\r\n\
             Date: Sat, 19 Sep 2026 15:41:19 +0200\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed; \
             protocol=\"application/{x}pkcs7-signature\"; micalg=sha-256; boundary=\"sig{n}\"\r\n\r\nThis is an S/MIME signed \
             message\r\n\r\n--sig{n}\r\n{signed}\r\n--sig{n}\r\nContent-Type: application/{x}pkcs7-signature; name=\"smime.p7s\"\r\n\
             Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"smime.p7s\"\r\n\r\n{}\r\n--sig{n}--\r\n",
            address(shape),
            self.id(post),
            post.message_id,
            post.to,
            base64(&self.signer.sign(signed.as_bytes())),
        )
        .into_bytes()
    }
}

/// The address from which a provider writes.
pub fn address(shape: Shape) -> String {
    format!("posta-certificata@{}", shape.provider().1)
}

/// RFC 2045, section 6.7.
fn quoted_printable(text: &str) -> String {
    let mut out = String::new();
    for line in text.split("\r\n") {
        let mut width = 0;
        for byte in line.bytes() {
            let escaped = match byte {
                b'=' | 0..=31 | 127.. => format!("={byte:02X}"),
                _ => char::from(byte).to_string(),
            };
            if width + escaped.len() > 75 {
                out.push_str("=\r\n");
                width = 0;
            }
            width += escaped.len();
            out.push_str(&escaped);
        }
        out.push_str("\r\n");
    }
    out.truncate(out.len().saturating_sub(2));
    out
}
