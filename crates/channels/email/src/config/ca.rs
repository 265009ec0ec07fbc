//! `ca_file`: certificates of authorities, in a mailbox and in `[pec]`.

use rustls_pki_types::CertificateDer;
use smista_domain::Text;
use smista_settings::{Diagnostic, Section, Spanned, why_unreadable};

use super::codes;
use crate::imap::tls;

/// What stands in the file that `ca_file` names, with the place where it is named; none named: nothing. `Err` when it cannot be
/// used; what is wrong is in the diagnostics, with `hint`.
pub(super) fn read(
    section: &mut Section,
    hint: &Text,
) -> Result<Option<Spanned<Vec<CertificateDer<'static>>>>, ()> {
    let Some(path) = section.path("ca_file") else {
        return if section.has("ca_file") { Err(()) } else { Ok(None) };
    };
    let shown = section.shown(&path.value);
    let unusable = |why| Text::new(format!("non si può usare: {why}"), format!("cannot be used: {why}"));
    let read = std::fs::read(&path.value)
        .map_err(|e| why_unreadable(&e))
        .and_then(|bytes| tls::certificates(&bytes).map_err(unusable));
    match read {
        Ok(value) => Ok(Some(Spanned { value, span: path.span })),
        Err(why) => {
            section.diagnostics().push(
                Diagnostic::error(
                    codes::CA_FILE,
                    format!("il certificato «{shown}» {}", why.it),
                    format!("the certificate '{shown}' {}", why.en),
                )
                .hint(hint.it.clone(), hint.en.clone())
                .at_opt(path.span),
            );
            Err(())
        }
    }
}
