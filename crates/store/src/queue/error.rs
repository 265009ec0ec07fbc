//! Why a queue function said no, in words for people and for programs.

use smista_domain::Text;

use crate::StoreError;

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// A function of the contract refused the call; its caller can act on it.
    #[error("{}", .0.message)]
    Rejected(Box<Rejection>),
    /// The database itself.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a function of the contract refused, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Which sort of refusal.
    pub kind: RejectionKind,
    /// The finer word of it, for instance `same_sector`.
    pub word: String,
    /// What the call was about: a number, a sector, a lease.
    pub about: String,
    /// The function's own sentence, in English.
    pub message: String,
    /// What to do now, in English.
    pub hint: Option<String>,
}

/// Sorts of refusal: the SQLSTATEs of class `SM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RejectionKind {
    /// `SM001`: the lease ran out or was voided.
    StaleLease,
    /// `SM002`: the caller does not speak for that sector, or lacks a right.
    NotAllowed,
    /// `SM003`: no such number, sector or role (or not among the caller's).
    Unknown,
    /// `SM004`: not in this state.
    WrongState,
    /// `SM005`: the key was used for another call.
    KeyReused,
    /// `SM006`: `outbox.mode` is `off`.
    OutboxOff,
    /// `SM007`: an argument is empty or out of bounds.
    Invalid,
}

impl RejectionKind {
    /// Every sort.
    pub const ALL: &'static [Self] = &[
        Self::StaleLease,
        Self::NotAllowed,
        Self::Unknown,
        Self::WrongState,
        Self::KeyReused,
        Self::OutboxOff,
        Self::Invalid,
    ];

    /// Its SQLSTATE.
    pub fn code(self) -> &'static str {
        match self {
            Self::StaleLease => "SM001",
            Self::NotAllowed => "SM002",
            Self::Unknown => "SM003",
            Self::WrongState => "SM004",
            Self::KeyReused => "SM005",
            Self::OutboxOff => "SM006",
            Self::Invalid => "SM007",
        }
    }
}

impl QueueError {
    /// Sorts an error of a call about `about`.
    pub(crate) fn of(error: sqlx::Error, about: &str) -> Self {
        let rejection = error.as_database_error().and_then(|database| {
            let code = database.code()?;
            let kind = RejectionKind::ALL.iter().copied().find(|kind| kind.code() == code)?;
            let postgres = database.try_downcast_ref::<sqlx::postgres::PgDatabaseError>();
            Some(Rejection {
                kind,
                word: postgres.and_then(|p| p.constraint()).unwrap_or_default().to_owned(),
                about: about.to_owned(),
                message: database.message().to_owned(),
                hint: postgres.and_then(|p| p.hint()).map(str::to_owned),
            })
        });
        match rejection {
            Some(rejection) => Self::Rejected(Box::new(rejection)),
            None => Self::Store(error.into()),
        }
    }

    /// The refusal, if it is one.
    pub fn rejection(&self) -> Option<&Rejection> {
        match self {
            Self::Rejected(rejection) => Some(rejection),
            Self::Store(_) => None,
        }
    }

    /// What happened, for people.
    pub fn text(&self) -> Text {
        match self {
            Self::Rejected(r) => Text::new(r.italian(), r.message.clone()),
            Self::Store(error) => Text::new(format!("errore del database: {error}"), error.to_string()),
        }
    }

    /// What to do now, for people.
    pub fn hint(&self) -> Option<Text> {
        let r = self.rejection()?;
        let it = r.italian_hint();
        let en = r.hint.clone().unwrap_or_default();
        (!it.is_empty() || !en.is_empty()).then(|| Text::new(it, en))
    }
}

impl Rejection {
    fn italian(&self) -> String {
        let about = &self.about;
        match (self.kind, self.word.as_str()) {
            (RejectionKind::StaleLease, _) => format!(
                "la prenotazione {about} non vale più: è scaduta, è stata rilasciata, oppure nel frattempo la segnalazione è \
                 stata smistata ad altri, ha avuto risposta o è stata chiusa"
            ),
            (RejectionKind::NotAllowed, "no_createrole") => {
                "l'utente del database non può creare ruoli".to_owned()
            }
            (RejectionKind::NotAllowed, _) => format!("non puoi lavorare per il settore «{about}»"),
            (RejectionKind::Unknown, "unknown_number") => {
                format!("non c'è nessuna segnalazione {about} tra quelle che puoi vedere")
            }
            (RejectionKind::Unknown, "removed_sector") => {
                format!("il settore indicato per {about} è stato tolto")
            }
            (RejectionKind::Unknown, "unknown_sector") => {
                format!("il settore indicato per {about} non esiste")
            }
            (RejectionKind::Unknown, _) => format!("{about}: non esiste"),
            (RejectionKind::WrongState, "closed") => format!("la segnalazione {about} è chiusa"),
            (RejectionKind::WrongState, "same_sector") => {
                format!("la segnalazione {about} è già di quel settore")
            }
            (RejectionKind::WrongState, "open_already") => format!("la segnalazione {about} è già aperta"),
            (RejectionKind::WrongState, "unread") => format!(
                "alla segnalazione {about} è arrivato un messaggio che nessuno ha ancora letto: non si può chiudere"
            ),
            (RejectionKind::WrongState, _) => format!("{about}: non si può fare in questo stato"),
            (RejectionKind::KeyReused, _) => {
                format!("la chiave indicata per {about} è già servita per un'altra operazione")
            }
            (RejectionKind::OutboxOff, _) => {
                "non può partire nessuna risposta: outbox.mode è \"off\"".to_owned()
            }
            (RejectionKind::Invalid, "empty") => {
                "manca un testo obbligatorio (motivo, esito o risposta)".to_owned()
            }
            (RejectionKind::Invalid, _) => "un valore è fuori dai limiti".to_owned(),
        }
    }

    fn italian_hint(&self) -> String {
        match (self.kind, self.word.as_str()) {
            (RejectionKind::StaleLease, _) => {
                "Non è cambiato nulla. Prendi di nuovo dalla coda: smista queue claim SETTORE.".to_owned()
            }
            (RejectionKind::Unknown, "unknown_number") => {
                "I numeri sono come 2026-000123. Forse è passata a un altro settore.".to_owned()
            }
            (RejectionKind::Unknown, "unknown_sector" | "removed_sector") => {
                // The English hint ends with the list of sectors.
                self.hint.as_deref().unwrap_or_default().replacen("Sectors:", "Settori:", 1)
            }
            (RejectionKind::WrongState, "closed") => {
                "Un nuovo messaggio del cittadino la riapre; oppure la riapre un operatore (reopen)."
                    .to_owned()
            }
            (RejectionKind::WrongState, "same_sector") => {
                "Per rimetterla nella coda dello stesso settore: smista queue release.".to_owned()
            }
            (RejectionKind::WrongState, "open_already") => {
                "Si riapre solo una segnalazione chiusa o con risposta.".to_owned()
            }
            (RejectionKind::WrongState, "unread") => {
                "Prendila di nuovo dalla coda (smista queue claim SETTORE), leggi il messaggio e poi chiudi. Se l'hai già \
                 prenotata, prima restituiscila: smista queue release."
                    .to_owned()
            }
            (RejectionKind::KeyReused, _) => {
                "Una chiave vale per una sola operazione e le sue ripetizioni.".to_owned()
            }
            (RejectionKind::OutboxOff, _) => {
                "Metti outbox.mode = \"hold\" oppure \"on\" in smista.toml; close chiude senza risposta."
                    .to_owned()
            }
            (RejectionKind::Invalid, "empty") => "Bastano poche parole: restano nella storia.".to_owned(),
            (RejectionKind::Invalid, _) => format!("Dettaglio: {}.", self.message),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_speaks_both_languages() {
        for kind in RejectionKind::ALL {
            let error = QueueError::Rejected(Box::new(Rejection {
                kind: *kind,
                word: String::new(),
                about: "2026-000001".to_owned(),
                message: "no".to_owned(),
                hint: Some("try".to_owned()),
            }));
            assert!(!error.text().it.is_empty() && error.text().en == "no", "{kind:?}");
            assert!(kind.code().starts_with("SM00"));
        }
    }
}
