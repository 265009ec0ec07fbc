//! What each code means and what to do about it, in both languages: the one place where that stands. Errors of the channel and its
//! warnings carry the code; whoever shows them to people looks here.

/// A code, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advice {
    /// The code of a `ChannelError` or of a `Pulse::Warning`.
    pub code: &'static str,
    /// What happened, in Italian and English.
    pub what: (&'static str, &'static str),
    /// What to do now, in Italian and English.
    pub todo: (&'static str, &'static str),
}

const fn advice_of(
    code: &'static str,
    what: (&'static str, &'static str),
    todo: (&'static str, &'static str),
) -> Advice {
    Advice { code, what, todo }
}

const BY_ITSELF: (&str, &str) =
    ("non serve fare nulla: smista riprova da solo", "it is tried again by itself, there is nothing to do");

/// Every code of this channel.
pub const ADVICE: &[Advice] = &[
    advice_of(
        "dns",
        ("il nome del server di posta non si trova", "the mail server's name cannot be found"),
        (
            "controllare «host» e il DNS di questa macchina; smista intanto riprova",
            "see 'host', and the machine's name server; it is tried again",
        ),
    ),
    advice_of(
        "connect",
        ("il server di posta non risponde", "the mail server does not answer"),
        (
            "controllare «host», «port», il firewall e se il server è acceso; smista intanto riprova",
            "see 'host' and 'port', the firewall, and whether the server runs; it is tried again",
        ),
    ),
    advice_of(
        "tls-untrusted",
        (
            "il certificato del server di posta è firmato da un ente non riconosciuto",
            "the mail server's certificate is signed by an issuer that is not trusted",
        ),
        (
            "se il server usa una CA propria, indicarla in «ca_file»; altrimenti non fidarsi: qualcuno potrebbe essersi messo in mezzo",
            "if the server has an own CA, set 'ca_file'; otherwise do not trust it: somebody may be in between",
        ),
    ),
    advice_of(
        "tls-expired",
        ("il certificato del server di posta è scaduto", "the mail server's certificate has expired"),
        ("chi gestisce il server deve rinnovarlo", "the server's administrator must renew it"),
    ),
    advice_of(
        "tls-not-yet",
        (
            "il certificato del server di posta non vale ancora",
            "the mail server's certificate is not valid yet",
        ),
        (
            "controllare data e ora di questa macchina; se sono giuste, chi gestisce il server deve sostituirlo",
            "see date and time of this machine; if they are right, the server's administrator must replace it",
        ),
    ),
    advice_of(
        "tls-name",
        (
            "il certificato del server di posta è di un altro nome",
            "the mail server's certificate is for another name",
        ),
        (
            "scrivere in «host» il nome indicato dal gestore della posta",
            "set 'host' to the name that the mail provider states",
        ),
    ),
    advice_of(
        "tls-certificate",
        (
            "il certificato del server di posta non è accettabile",
            "the mail server's certificate is not acceptable",
        ),
        ("chi gestisce il server deve sostituirlo", "the server's administrator must replace it"),
    ),
    advice_of(
        "tls-none",
        ("questa porta non parla TLS da subito", "this port does not speak TLS at once"),
        ("provare tls = \"starttls\", o la porta 993", "perhaps tls = \"starttls\", or another 'port' (993)"),
    ),
    advice_of(
        "tls-at-once",
        ("questa porta parla TLS da subito", "this port speaks TLS at once"),
        ("provare tls = \"implicit\", o la porta 143", "perhaps tls = \"implicit\", or another 'port' (143)"),
    ),
    advice_of(
        "tls",
        ("la cifratura della connessione non riesce", "the connection cannot be encrypted"),
        BY_ITSELF,
    ),
    advice_of(
        "tls-roots",
        (
            "mancano i certificati con cui controllare il server",
            "there are no certificates to check the server against",
        ),
        (
            "installare il pacchetto ca-certificates, o indicare «ca_file»",
            "install the package ca-certificates, or set 'ca_file'",
        ),
    ),
    advice_of(
        "insecure",
        (
            "il server non offre una connessione cifrata, e la password non viene mandata in chiaro",
            "the server offers no encrypted connection, and the password is not sent in the clear",
        ),
        ("controllare «tls» e «port»", "see 'tls' and 'port'"),
    ),
    advice_of(
        "password",
        ("la password della casella non si può leggere", "the mailbox's password cannot be read"),
        ("controllare «password_file» o «password_env»", "see 'password_file' or 'password_env'"),
    ),
    advice_of(
        "login-refused",
        ("il server di posta rifiuta utente o password", "the mail server refuses user or password"),
        (
            "controllare «user» e la password, che potrebbe essere scaduta o cambiata",
            "see 'user' and the password, which may have expired or been changed",
        ),
    ),
    advice_of(
        "oauth-login-needed",
        (
            "su questa macchina manca il token con cui entrare nella casella",
            "this machine has no token with which to enter the mailbox",
        ),
        (
            "eseguire su questa macchina «smista login» con il nome della casella: indica i passi da fare",
            "run 'smista login' with the mailbox's name on this machine: it tells the steps",
        ),
    ),
    advice_of(
        "oauth-grant-lost",
        (
            "il gestore della posta non accetta più il token della casella",
            "the mail provider no longer accepts the mailbox's token",
        ),
        (
            "è scaduto o è stato revocato (anche da un cambio di password): eseguire di nuovo «smista login» con il nome della casella",
            "it has ended or was revoked (a changed password does that, too): run 'smista login' with the mailbox's name again",
        ),
    ),
    advice_of(
        "oauth-client-refused",
        (
            "il gestore della posta non accetta l'applicazione o il suo segreto",
            "the mail provider does not accept the application or its secret",
        ),
        (
            "controllare «client_id» e il segreto, che potrebbe essere scaduto: crearne uno nuovo e scriverlo nel suo file",
            "see 'client_id' and the secret, which may have expired: make a new one and write it into its file",
        ),
    ),
    advice_of(
        "oauth-refused",
        ("il gestore della posta non dà il token", "the mail provider gives no token"),
        (
            "controllare «scope», «tenant» e i permessi dell'applicazione presso il gestore; il codice dell'errore dice quale",
            "see 'scope', 'tenant' and the application's permissions with the provider; the error's code tells which",
        ),
    ),
    advice_of(
        "oauth-unavailable",
        (
            "il servizio che dà i token di accesso non risponde come dovrebbe",
            "the service that gives access tokens does not answer as it should",
        ),
        BY_ITSELF,
    ),
    advice_of(
        "oauth-secret",
        (
            "il segreto dell'applicazione (client secret) non si può leggere",
            "the application's client secret cannot be read",
        ),
        (
            "controllare «client_secret_file» o «client_secret_env»",
            "see 'client_secret_file' or 'client_secret_env'",
        ),
    ),
    advice_of(
        "oauth-store",
        (
            "il file con il token della casella non si può leggere o scrivere",
            "the file with the mailbox's token cannot be read or written",
        ),
        (
            "controllare spazio sul disco e permessi della cartella «oauth» in [state] dir; smista intanto riprova",
            "see the disk's free space and the permissions of the folder 'oauth' in [state] dir; it is tried again",
        ),
    ),
    advice_of(
        "oauth-unsupported",
        (
            "il server di posta non accetta token di accesso (né XOAUTH2 né OAUTHBEARER)",
            "the mail server takes no access tokens (neither XOAUTH2 nor OAUTHBEARER)",
        ),
        (
            "controllare «host»; se il server vuole una password, togliere [email.oauth]",
            "see 'host'; if the server wants a password, remove [email.oauth]",
        ),
    ),
    advice_of(
        "oauth-token-refused",
        (
            "il token è buono, ma il server di posta non apre la casella",
            "the token is good, but the mail server does not open the mailbox",
        ),
        (
            "controllare «user», che IMAP sia attivo per la casella e che l'applicazione (o chi ha fatto il login) possa aprirla",
            "see 'user', that IMAP is on for the mailbox, and that the application (or whoever logged in) may open it",
        ),
    ),
    advice_of(
        "login-unavailable",
        ("il server di posta per ora non lascia entrare", "the mail server lets nobody in for now"),
        BY_ITSELF,
    ),
    advice_of(
        "command-refused",
        ("il server di posta rifiuta un comando", "the mail server refuses a command"),
        BY_ITSELF,
    ),
    advice_of(
        "not-imap",
        ("su questa porta non risponde un server IMAP", "what answers at this port is no IMAP server"),
        (
            "controllare «port»: 993 con tls = \"implicit\", 143 con tls = \"starttls\"",
            "see 'port': 993 with tls = \"implicit\", 143 with tls = \"starttls\"",
        ),
    ),
    advice_of(
        "no-greeting",
        (
            "il server accetta la connessione ma non saluta",
            "the mail server takes the connection but does not greet",
        ),
        (
            "se dura, controllare «port» e «tls»: una porta che vuole TLS da subito tace finché le si parla in chiaro",
            "if it lasts, see 'port' and 'tls': a port that wants TLS at once is silent to whoever speaks in the clear",
        ),
    ),
    advice_of(
        "certificate-expires-soon",
        ("il certificato del server di posta scade presto", "the mail server's certificate expires soon"),
        ("chi gestisce il server deve rinnovarlo prima", "the server's administrator must renew it before"),
    ),
    advice_of(
        "mailbox-nearly-full",
        ("la casella è quasi piena", "the mailbox is nearly full"),
        (
            "liberare spazio o farne dare di più: una casella piena rifiuta la posta dei cittadini, e smista non la vede",
            "make room or have it enlarged: a full mailbox refuses citizens' mail, and smista never sees it",
        ),
    ),
    advice_of(
        "vanished",
        (
            "dalla casella sono spariti dei messaggi prima che smista li prendesse",
            "messages vanished from the mailbox before they were fetched",
        ),
        (
            "cercare quale altro programma svuota la casella (un client POP, un filtro, un telefono) e fermarlo; i messaggi li ha quel programma",
            "find which other program empties the mailbox (a POP client, a filter, a telephone) and stop it; that program has the messages",
        ),
    ),
    advice_of("timeout", ("il server di posta tace", "the mail server is silent"), BY_ITSELF),
    advice_of(
        "protocol",
        ("il server di posta risponde in modo incomprensibile", "the mail server's answer is no IMAP"),
        BY_ITSELF,
    ),
    advice_of(
        "connection-lost",
        ("la connessione al server di posta è caduta", "the connection to the mail server is lost"),
        BY_ITSELF,
    ),
    advice_of(
        "folder-missing",
        ("una cartella della casella non si può aprire", "a folder of the mailbox cannot be opened"),
        (
            "controllare «folders» nella sua [[email]] e che l'utente possa leggerla; «smista check --connect» elenca quelle che ci sono",
            "see 'folders' in the mailbox's [[email]], and that this user may read it; 'smista check --connect' lists those that there are",
        ),
    ),
    advice_of(
        "uidvalidity-missing",
        (
            "il server di posta non numera i messaggi in modo stabile (manca UIDVALIDITY)",
            "the mail server does not number its messages for good (no UIDVALIDITY)",
        ),
        (
            "questa casella non si può leggere senza rischiare di perdere posta: serve un altro server",
            "this mailbox cannot be watched without risking mail: another server is needed",
        ),
    ),
    advice_of(
        "lease-lost",
        ("un altro smista legge ora questa casella", "another daemon watches this mailbox now"),
        ("non serve fare nulla: continua l'altro", "there is nothing to do, the other daemon goes on"),
    ),
    advice_of(
        "database",
        ("il database non accetta i messaggi", "the database does not take the messages"),
        (
            "nulla si perde: la lettura riprende quando il database torna",
            "nothing is lost: fetching goes on when the database is back",
        ),
    ),
    advice_of(
        "internal-error",
        ("un errore di smista ha chiuso la connessione", "an error in smista ended the connection"),
        (
            "smista riprova da solo; segnalarlo a chi lo mantiene",
            "it is tried again by itself; please report it",
        ),
    ),
    advice_of(
        "uid-not-served",
        (
            "il server elenca messaggi che poi non consegna",
            "the server lists messages that it does not serve",
        ),
        (
            "smista li richiede da solo; «smista deliveries list» li mostra. Se restano, chiedere a chi gestisce il server",
            "they are tried again by themselves; 'smista deliveries list' shows them. If they stay, ask the server's administrator",
        ),
    ),
    advice_of(
        "uidvalidity-changed",
        ("il server ha rinumerato una cartella", "the server renumbered a folder"),
        (
            "non serve fare nulla: i messaggi già presi si riconoscono dal contenuto e non si aprono di nuovo",
            "there is nothing to do: known messages are recognised by their bytes and are not opened again",
        ),
    ),
    advice_of(
        "uids-reissued",
        (
            "il server ha assegnato di nuovo numeri già usati (ripristino da una copia?)",
            "the server gave numbers out a second time (restored from a backup?)",
        ),
        (
            "non serve fare nulla: i messaggi già presi si riconoscono dal contenuto e quelli nuovi vengono presi",
            "there is nothing to do: known messages are recognised by their bytes, and new ones are taken in",
        ),
    ),
    advice_of(
        "folder-read-only",
        ("il server permette solo di leggere la cartella", "the server allows only reading of the folder"),
        (
            "dare all'utente il diritto di modificarla, o mettere after = \"keep\"",
            "give the user the right to change it, or set after = \"keep\"",
        ),
    ),
    advice_of(
        "after-refused",
        ("il server rifiuta ciò che chiede «after»", "the server refuses what 'after' asks for"),
        (
            "controllare la cartella di destinazione e i diritti dell'utente; smista intanto riprova",
            "see the target folder and the user's rights; it is tried again",
        ),
    ),
    advice_of(
        "upstream-mismatch",
        (
            "sul server c'è un messaggio diverso da quello preso con lo stesso numero: non viene cancellato",
            "the server's message differs from the one that was taken in under its number: it is not deleted",
        ),
        ("guardare la casella", "look at the mailbox"),
    ),
    advice_of(
        "no-uidplus",
        (
            "il server non sa cancellare singoli messaggi (manca UIDPLUS): restano segnati come cancellati",
            "the server cannot remove single messages (no UIDPLUS): they stay marked as deleted",
        ),
        (
            "compattare la casella ogni tanto con un programma di posta",
            "compact the mailbox from time to time with a mail program",
        ),
    ),
    advice_of(
        "few-connections",
        ("il server permette meno connessioni del solito", "the server allows fewer connections than usual"),
        (
            "non serve fare nulla: le cartelle si leggono a turno",
            "there is nothing to do: the folders take turns",
        ),
    ),
];

/// What a code means, if it is one of this channel's.
pub fn advice(code: &str) -> Option<&'static Advice> {
    ADVICE.iter().find(|advice| advice.code == code)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_words_are_there() {
        let unique: BTreeSet<&str> = ADVICE.iter().map(|a| a.code).collect();
        assert_eq!(unique.len(), ADVICE.len());
        for a in ADVICE {
            assert!(a.code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", a.code);
            assert!([a.what.0, a.what.1, a.todo.0, a.todo.1].iter().all(|s| s.len() > 10), "{}", a.code);
        }
    }

    /// The page for operators has every code.
    #[test]
    fn the_reference_lists_every_code() {
        let page = include_str!("../../../../../docs/reference/conditions.md");
        for a in ADVICE {
            assert!(page.contains(&format!("`{}`", a.code)), "{} in docs/reference/conditions.md", a.code);
        }
    }

    /// Every code that stands in this room's source has its advice.
    #[test]
    fn no_code_is_without_advice() {
        let sources = [
            include_str!("trouble.rs"),
            include_str!("mailbox.rs"),
            include_str!("upstream.rs"),
            include_str!("generation.rs"),
            include_str!("watch.rs"),
            include_str!("quota.rs"),
            include_str!("vanished.rs"),
            include_str!("../channel.rs"),
            include_str!("../oauth/error.rs"),
            include_str!("../probe.rs"),
        ];
        let mut found = BTreeSet::new();
        for source in sources {
            for marker in [
                "code: \"",
                "self.warn(\n                \"",
                "self.warn(\"",
                "coded(\"",
                "Verdict::Warning, \"",
                "Verdict::Error, \"",
                "=> (\"",
                "                (\"",
            ] {
                for (at, _) in source.match_indices(marker) {
                    let rest = source.get(at + marker.len()..).unwrap_or_default();
                    found.extend(rest.split('"').next().filter(|c| !c.contains(' ') && c.len() < 30));
                }
            }
        }
        assert!(found.len() > 20, "{found:?}");
        for code in found {
            assert!(advice(code).is_some(), "{code} has no advice");
        }
    }
}
