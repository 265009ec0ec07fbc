//! `[pec]`: what holds for the certified mail of all mailboxes.

use rustls_pki_types::CertificateDer;
use smista_domain::Text;
use smista_settings::Section;

use super::ca;

/// How certified mail is judged.
#[derive(Debug, Clone, Default)]
pub struct PecSettings {
    /// Authorities that vouch for providers. Empty: whose a signature is, is not asked.
    pub authorities: Vec<CertificateDer<'static>>,
}

impl PecSettings {
    /// Reads `[pec]`. Whatever is wrong is in the section's diagnostics; `None` when it cannot be used.
    pub fn read(mut section: Section) -> Option<Self> {
        let hint = Text::new(
            "indicare il file PEM con i certificati delle CA dei gestori PEC (li pubblica AgID); senza «ca_file» le firme si \
             controllano, ma non di chi sono",
            "name the PEM file with the certificates of the PEC providers' authorities (AgID publishes them); without 'ca_file' \
             signatures are checked, but not whose they are",
        );
        let authorities = ca::read(&mut section, &hint);
        section.finish();
        Some(Self { authorities: authorities? })
    }
}
