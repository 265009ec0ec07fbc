//! `ca_file`: certificates of authorities, in a mailbox, in its `[email.oauth]` and in `[pec]`.

use rustls_pki_types::CertificateDer;
use smista_domain::Text;
use smista_settings::{Diagnostic, Section, why_unreadable};

use super::codes;
use crate::imap::tls;

/// The authorities of a server's certificate.
pub(super) fn of_server(section: &mut Section) -> Option<Vec<CertificateDer<'static>>> {
    let hint = Text::new(
        "indicare il file PEM della CA che ha firmato il certificato del server di posta; per un server con \
         certificato riconosciuto, togliere «ca_file»",
        "name the PEM file of the CA that signed the mail server's certificate; for a server with a publicly \
         trusted certificate, remove 'ca_file'",
    );
    read(section, &hint)
}

/// The authorities that `ca_file` names; none named: none. `None` when they cannot be used; what is wrong is in the diagnostics,
/// with `hint`.
pub(super) fn read(section: &mut Section, hint: &Text) -> Option<Vec<CertificateDer<'static>>> {
    let Some(path) = section.path("ca_file") else {
        return (!section.has("ca_file")).then(Vec::new);
    };
    let shown = section.shown(&path.value);
    let unusable = |why| Text::new(format!("non si può usare: {why}"), format!("cannot be used: {why}"));
    let read = std::fs::read(&path.value)
        .map_err(|e| why_unreadable(&e))
        .and_then(|bytes| tls::certificates(&bytes).map_err(unusable));
    let why = match read {
        Ok(certificates) => return Some(certificates),
        Err(why) => why,
    };
    section.diagnostics().push(
        Diagnostic::error(
            codes::CA_FILE,
            format!("il certificato «{shown}» {}", why.it),
            format!("the certificate '{shown}' {}", why.en),
        )
        .hint(hint.it.clone(), hint.en.clone())
        .at_opt(path.span),
    );
    None
}
