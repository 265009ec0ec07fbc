//! Bytes of a file as editors leave them (BOM, UTF-16, Windows-1252, CRLF) to text with `\n`.

use crate::{codes, diagnostic::Diagnostic};

/// Configuration files are small; what is larger was put there by mistake. In octets.
const MAX_FILE: usize = 8 << 20;

/// Why bytes are no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoText {
    /// NUL bytes in what is not UTF-16: a program, an archive, a spreadsheet.
    Binary,
    /// More than [`MAX_FILE`].
    TooLarge,
}

impl NoText {
    pub(crate) fn into_diagnostic(self) -> Diagnostic {
        match self {
            Self::Binary => Diagnostic::error(
                codes::NOT_TEXT,
                "questo file non è un file di testo",
                "this file is not a text file",
            )
            .hint(
                "aprire il file con un editor di testo (Blocco note, nano) e salvarlo come «testo, UTF-8»; \
                 documenti di Word o Excel non vanno bene",
                "open it with a text editor and save it as plain text, UTF-8; Word or Excel documents will not do",
            ),
            Self::TooLarge => Diagnostic::error(
                codes::NOT_TEXT,
                "questo file è troppo grande per essere un file di configurazione (più di 8 MB)",
                "this file is too large to be a configuration file (more than 8 MB)",
            )
            .hint("spostare il file in un'altra cartella", "move it to another folder"),
        }
    }
}

/// Decodes by BOM, then as UTF-16 when every other byte is NUL, then as UTF-8, at last as Windows-1252 (which takes any
/// byte). Line ends `\r\n` and `\r` become `\n`.
pub(crate) fn decode(bytes: Vec<u8>) -> Result<String, NoText> {
    if bytes.len() > MAX_FILE {
        return Err(NoText::TooLarge);
    }
    let text = to_text(bytes);
    if text.contains('\0') {
        return Err(NoText::Binary);
    }
    Ok(if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text })
}

fn to_text(bytes: Vec<u8>) -> String {
    if let Some((encoding, bom)) = encoding_rs::Encoding::for_bom(&bytes) {
        return encoding.decode_without_bom_handling(bytes.get(bom..).unwrap_or_default()).0.into_owned();
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => text,
        Ok(text) => guess(text.as_bytes()).decode_without_bom_handling(text.as_bytes()).0.into_owned(),
        Err(other) => guess(other.as_bytes()).decode_without_bom_handling(other.as_bytes()).0.into_owned(),
    }
}

/// UTF-16 without a BOM shows by its NULs: Italian text has them in every second place.
fn guess(bytes: &[u8]) -> &'static encoding_rs::Encoding {
    let nuls = |parity: usize| bytes.iter().skip(parity).step_by(2).filter(|b| **b == 0).count();
    let (even, odd, quarter) = (nuls(0), nuls(1), bytes.len() / 4);
    if odd > quarter && even == 0 {
        encoding_rs::UTF_16LE
    } else if even > quarter && odd == 0 {
        encoding_rs::UTF_16BE
    } else {
        encoding_rs::WINDOWS_1252
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "name = \"Città di Castello\"\n# perché no?\n";

    fn utf16(text: &str, big: bool) -> Vec<u8> {
        text.encode_utf16().flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() }).collect()
    }

    #[test]
    fn what_windows_editors_write_reads_the_same() {
        let crlf = TEXT.replace('\n', "\r\n");
        let mut with_bom = b"\xef\xbb\xbf".to_vec();
        with_bom.extend(TEXT.bytes());
        let windows = encoding_rs::WINDOWS_1252.encode(TEXT).0.into_owned();
        let mut little = b"\xff\xfe".to_vec();
        little.extend(utf16(&crlf, false));
        let mut big_endian = b"\xfe\xff".to_vec();
        big_endian.extend(utf16(TEXT, true));
        let all: [(&str, Vec<u8>); 9] = [
            ("utf-8", TEXT.into()),
            ("crlf", crlf.clone().into()),
            ("cr", TEXT.replace('\n', "\r").into()),
            ("bom", with_bom),
            ("windows-1252", windows),
            ("utf-16le", little),
            ("utf-16be", big_endian),
            ("utf-16le without bom", utf16(TEXT, false)),
            ("utf-16be without bom", utf16(TEXT, true)),
        ];
        for (name, bytes) in all {
            assert_eq!(decode(bytes).as_deref(), Ok(TEXT), "{name}");
        }
    }

    #[test]
    fn what_is_no_text_is_refused() {
        assert_eq!(decode(b"PK\x03\x04\x00\x00\x08\x00\xff\xfe\x00".to_vec()), Err(NoText::Binary));
        assert_eq!(decode(vec![b' '; MAX_FILE + 1]), Err(NoText::TooLarge));
    }
}
