//! TNEF, in which Outlook sends letters as `winmail.dat`: [MS-OXTNEF], with the properties of [MS-OXCMSG] and [MS-OXPROPS].
//!
//! Files and text are taken out; appearance, times and the rest are passed over. Our own reader: the crate for it (`tnef` 0.1) knows
//! no properties, where the text and long file names are, gives up at an unknown attribute or code page, and brings `chrono`. RTF
//! is unpacked by Microsoft's `compressed-rtf`, which is given nothing that it could fall over: see [`unpacked`].
//!
//! Invariant: one pass, no recursion, no copies but of the RTF; a file that is cut gives what stands before the cut. Checksums are
//! not compared: a wrong one is no reason to lose a file.

use std::borrow::Cow;

use super::charset;

/// [MS-OXTNEF], section 2.1.1.1.
const SIGNATURE: [u8; 4] = [0x78, 0x9F, 0x3E, 0x22];
/// Files of one letter.
const MAX_FILES: usize = 500;
/// Properties of one letter or file; Outlook writes about a hundred.
const MAX_PROPERTIES: usize = 5000;
/// Compressed RTF; it unpacks to eight and a half times as much at most.
const MAX_RTF: usize = 512 * 1024;

/// Attributes: [MS-OXTNEF], section 2.1.3.
mod attribute {
    pub(super) const CODE_PAGE: u32 = 0x0006_9007;
    pub(super) const BODY: u32 = 0x0002_800C;
    pub(super) const PROPERTIES: u32 = 0x0006_9003;
    pub(super) const FILE_BEGINS: u32 = 0x0006_9002;
    pub(super) const FILE_DATA: u32 = 0x0006_800F;
    pub(super) const FILE_NAME: u32 = 0x0001_8010;
    pub(super) const FILE_PROPERTIES: u32 = 0x0006_9005;
}

/// Properties: [MS-OXPROPS].
mod property {
    pub(super) const BODY: u16 = 0x1000;
    pub(super) const RTF: u16 = 0x1009;
    pub(super) const HTML: u16 = 0x1013;
    pub(super) const INTERNET_CODE_PAGE: u16 = 0x3FDE;
    pub(super) const FILE_DATA: u16 = 0x3701;
    pub(super) const FILE_NAME: u16 = 0x3704;
    pub(super) const LONG_FILE_NAME: u16 = 0x3707;
    pub(super) const FILE_MEDIA: u16 = 0x370E;
}

/// Types of properties: [MS-OXCDATA], section 2.11.1.
mod kind {
    pub(super) const STRING: u16 = 0x1E;
    pub(super) const UNICODE: u16 = 0x1F;
    pub(super) const OBJECT: u16 = 0x0D;
    pub(super) const BINARY: u16 = 0x102;
    /// Several values.
    pub(super) const MANY: u16 = 0x1000;
}

/// A file in this format that holds something.
#[derive(Debug)]
pub(super) struct File {
    bytes: Vec<u8>,
    /// The text in RTF, for letters that have no other.
    rtf: String,
    /// It was read to its end.
    pub(super) whole: bool,
}

/// Something in the file.
#[derive(Debug)]
pub(super) struct Content<'x> {
    pub(super) media: String,
    /// None for the text of the letter.
    pub(super) name: Option<String>,
    pub(super) charset: Option<String>,
    pub(super) bytes: &'x [u8],
}

impl File {
    /// None if there is nothing in it, or it is no such file.
    pub(super) fn read(bytes: Vec<u8>) -> Option<Self> {
        let found = walk(&bytes)?;
        let rtf = match found.rtf {
            Some(packed) if found.plain.is_none() && found.html.is_none() => unpacked(packed)
                .map(|rtf| smista_documents::rtf_text(&rtf, &smista_documents::Limits::default()))
                .unwrap_or_default(),
            _ => String::new(),
        };
        let something = found.plain.is_some()
            || found.html.is_some()
            || !rtf.trim().is_empty()
            || !found.files.is_empty();
        let whole = found.whole;
        something.then_some(Self { bytes, rtf, whole })
    }

    /// The text in every form in which it is there, then the files.
    pub(super) fn contents(&self) -> Vec<Content<'_>> {
        let Some(found) = walk(&self.bytes) else { return Vec::new() };
        let mut out = Vec::new();
        let text = |subtype: &str, charset: Option<String>, bytes| Content {
            media: format!("text/{subtype}"),
            name: None,
            charset,
            bytes,
        };
        if let Some(plain) = &found.plain {
            out.push(text("plain", Some(found.charset(plain)), plain.bytes));
        }
        if let Some(html) = &found.html {
            let declared = found.html_code_page.map(label);
            let charset = if html.unicode { Some("utf-16le".to_owned()) } else { declared };
            out.push(text("html", charset, html.bytes));
        }
        if !self.rtf.trim().is_empty() {
            out.push(text("plain", Some("utf-8".to_owned()), self.rtf.as_bytes()));
        }
        for file in &found.files {
            let name = file.long_name.as_ref().or(file.short_name.as_ref()).or(file.title.as_ref());
            let name = name.map(|name| found.string(name)).filter(|name| !name.trim().is_empty());
            let media = file.media.as_ref().map(|media| found.string(media).to_ascii_lowercase());
            let within = file.bytes.starts_with(&SIGNATURE);
            let media = if within { Some("application/ms-tnef".to_owned()) } else { media };
            out.push(Content {
                media: media
                    .filter(|media| is_media(media))
                    .unwrap_or_else(|| "application/octet-stream".to_owned()),
                name: Some(
                    name.unwrap_or_else(|| if within { "winmail.dat" } else { "file.bin" }.to_owned()),
                ),
                charset: None,
                bytes: file.bytes,
            });
        }
        out
    }
}

/// A type and subtype of MIME for one file; not what would be taken apart.
fn is_media(media: &str) -> bool {
    let word =
        |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_alphanumeric() || b"-+._".contains(&b));
    media.len() <= 100
        && media.split_once('/').is_some_and(|(kind, subtype)| {
            word(kind) && word(subtype) && !matches!(kind, "multipart" | "message")
        })
}

/// A string in the file's code page or in UTF-16.
#[derive(Debug, Clone, Copy)]
struct Value<'x> {
    bytes: &'x [u8],
    unicode: bool,
}

#[derive(Debug, Default)]
struct Attached<'x> {
    bytes: &'x [u8],
    title: Option<Value<'x>>,
    short_name: Option<Value<'x>>,
    long_name: Option<Value<'x>>,
    media: Option<Value<'x>>,
}

#[derive(Debug, Default)]
struct Found<'x> {
    code_page: u32,
    html_code_page: Option<u32>,
    plain: Option<Value<'x>>,
    html: Option<Value<'x>>,
    rtf: Option<&'x [u8]>,
    files: Vec<Attached<'x>>,
    whole: bool,
}

impl Found<'_> {
    fn charset(&self, value: &Value<'_>) -> String {
        if value.unicode { "utf-16le".to_owned() } else { label(self.code_page) }
    }

    fn string(&self, value: &Value<'_>) -> String {
        let text = charset::decode(value.bytes, Some(&self.charset(value)));
        text.trim_end_matches('\0').chars().take(1000).collect()
    }
}

/// A code page as the name of a charset; a number that nobody knows is no name.
fn label(code_page: u32) -> String {
    match code_page {
        65001 => "utf-8".to_owned(),
        20127 => "us-ascii".to_owned(),
        28591..=28606 => format!("iso-8859-{}", code_page - 28590),
        932 => "shift_jis".to_owned(),
        936 => "gbk".to_owned(),
        other => format!("cp{other}"),
    }
}

fn u16_at(input: &mut &[u8]) -> Option<u16> {
    let (value, rest) = input.split_first_chunk::<2>()?;
    *input = rest;
    Some(u16::from_le_bytes(*value))
}

fn u32_at(input: &mut &[u8]) -> Option<u32> {
    let (value, rest) = input.split_first_chunk::<4>()?;
    *input = rest;
    Some(u32::from_le_bytes(*value))
}

fn take<'x>(input: &mut &'x [u8], len: usize) -> Option<&'x [u8]> {
    let (value, rest) = input.split_at_checked(len)?;
    *input = rest;
    Some(value)
}

/// The length of something, and what is left of it where the file was cut.
fn sized<'x>(input: &mut &'x [u8]) -> Option<&'x [u8]> {
    let len = usize::try_from(u32_at(input)?).ok()?;
    take(input, len)
}

/// Looks at every attribute. None for what is no such file.
fn walk(bytes: &[u8]) -> Option<Found<'_>> {
    let mut rest = bytes.strip_prefix(&SIGNATURE)?.get(2..)?;
    let mut found = Found { code_page: 1252, ..Found::default() };
    found.whole = true;
    while !rest.is_empty() {
        let Some((id, data)) = next_attribute(&mut rest) else {
            found.whole = false;
            break;
        };
        let text = Value { bytes: data.strip_suffix(b"\0").unwrap_or(data), unicode: false };
        match id {
            attribute::CODE_PAGE => found.code_page = u32_at(&mut &*data).unwrap_or(1252),
            attribute::BODY => found.plain = Some(text),
            attribute::PROPERTIES => {
                found.whole &= properties(data, |id, value| letter_property(&mut found, id, value)).is_some();
            }
            attribute::FILE_BEGINS => {
                if found.files.len() >= MAX_FILES {
                    found.whole = false;
                    break;
                }
                found.files.push(Attached::default());
            }
            attribute::FILE_DATA | attribute::FILE_NAME | attribute::FILE_PROPERTIES => {
                let Some(file) = found.files.last_mut() else { continue };
                match id {
                    attribute::FILE_DATA => file.bytes = data,
                    attribute::FILE_NAME => file.title = Some(text),
                    _ => {
                        let read = properties(data, |id, value| file_property(file, id, value));
                        found.whole &= read.is_some();
                    }
                }
            }
            _ => {}
        }
    }
    // A picture of Outlook's without content, an object of OLE.
    found.files.retain(|file| !file.bytes.is_empty());
    Some(found)
}

/// Level, identifier, length, data, checksum: [MS-OXTNEF], section 2.1.2.
fn next_attribute<'x>(rest: &mut &'x [u8]) -> Option<(u32, &'x [u8])> {
    let level = take(rest, 1)?;
    if !matches!(level, [1 | 2]) {
        return None;
    }
    let id = u32_at(rest)?;
    let data = sized(rest)?;
    u16_at(rest)?;
    Some((id, data))
}

/// The value of a property: of fixed size as it stands, else what follows its length.
struct PropertyValue<'x> {
    kind: u16,
    bytes: &'x [u8],
}

impl<'x> PropertyValue<'x> {
    fn text(&self) -> Option<Value<'x>> {
        let unicode = self.kind == kind::UNICODE;
        let end: &[u8] = if unicode { &[0, 0] } else { &[0] };
        matches!(self.kind, kind::STRING | kind::UNICODE | kind::BINARY)
            .then(|| Value { bytes: self.bytes.strip_suffix(end).unwrap_or(self.bytes), unicode })
    }
}

fn letter_property<'x>(found: &mut Found<'x>, id: u16, value: &PropertyValue<'x>) {
    match id {
        property::BODY => found.plain = value.text().filter(|t| !t.bytes.is_empty()).or(found.plain),
        property::HTML => found.html = value.text().filter(|t| !t.bytes.is_empty()),
        property::RTF if value.kind == kind::BINARY => found.rtf = Some(value.bytes),
        property::INTERNET_CODE_PAGE => found.html_code_page = u32_at(&mut &*value.bytes),
        _ => {}
    }
}

fn file_property<'x>(file: &mut Attached<'x>, id: u16, value: &PropertyValue<'x>) {
    match id {
        property::FILE_NAME => file.short_name = value.text(),
        property::LONG_FILE_NAME => file.long_name = value.text(),
        property::FILE_MEDIA => file.media = value.text(),
        property::FILE_DATA if value.kind == kind::BINARY && file.bytes.is_empty() => {
            file.bytes = value.bytes;
        }
        // The object's interface in 16 octets, then a letter in this format.
        property::FILE_DATA if value.kind == kind::OBJECT => {
            if let Some(letter) = value.bytes.get(16..).filter(|inner| inner.starts_with(&SIGNATURE)) {
                file.bytes = letter;
            }
        }
        _ => {}
    }
}

/// A list of properties: [MS-OXTNEF], section 2.1.3.4. None if it ends in the middle of one; `each` has seen those before it.
fn properties<'x>(mut rest: &'x [u8], mut each: impl FnMut(u16, &PropertyValue<'x>)) -> Option<()> {
    let count = usize::try_from(u32_at(&mut rest)?).ok()?;
    if count > MAX_PROPERTIES {
        return None;
    }
    for _ in 0..count {
        let declared = u16_at(&mut rest)?;
        let id = u16_at(&mut rest)?;
        if id >= 0x8000 {
            // Named: a GUID, then a number or a name.
            take(&mut rest, 16)?;
            match u32_at(&mut rest)? {
                0 => {
                    u32_at(&mut rest)?;
                }
                _ => {
                    padded(&mut rest)?;
                }
            }
        }
        let many = declared & kind::MANY != 0;
        let kind = declared & !kind::MANY;
        let fixed = match kind {
            0x01 => Some(0),
            0x02 | 0x03 | 0x04 | 0x0A | 0x0B => Some(4),
            0x05 | 0x06 | 0x07 | 0x14 | 0x40 => Some(8),
            0x48 => Some(16),
            kind::STRING | kind::UNICODE | kind::OBJECT | kind::BINARY => None,
            _ => return None,
        };
        let values = if many || fixed.is_none() { u32_at(&mut rest)? } else { 1 };
        for _ in 0..values {
            let bytes = match fixed {
                // Any number of them has no size.
                Some(0) => break,
                Some(size) => take(&mut rest, size)?,
                None => padded(&mut rest)?,
            };
            each(id, &PropertyValue { kind, bytes });
        }
    }
    Some(())
}

/// A length, so many octets, and what fills them up to a multiple of four.
fn padded<'x>(rest: &mut &'x [u8]) -> Option<&'x [u8]> {
    let value = sized(rest)?;
    let fill = value.len().next_multiple_of(4) - value.len();
    *rest = rest.get(fill..).unwrap_or_default();
    Some(value)
}

/// Unpacks RTF: [MS-OXRTFCP]. The library trusts the sizes in the head: they are looked at before.
fn unpacked(packed: &[u8]) -> Option<Cow<'_, [u8]>> {
    const UNCOMPRESSED: u32 = 0x414C_454D;
    let mut head = packed;
    let (size, raw, how) = (u32_at(&mut head)?, u32_at(&mut head)?, u32_at(&mut head)?);
    u32_at(&mut head)?;
    // Outlook pads it.
    let packed = packed.get(..usize::try_from(size).ok()?.checked_add(4)?)?;
    let raw = usize::try_from(raw).ok()?;
    if packed.len() > MAX_RTF || packed.len() < 16 || raw > packed.len() * 9 {
        return None;
    }
    if how == UNCOMPRESSED {
        return packed.get(16..16 + raw).map(Cow::Borrowed);
    }
    let text = compressed_rtf::decompress_rtf(packed).ok()?;
    Some(Cow::Owned(text.chars().filter_map(|c| u8::try_from(u32::from(c)).ok()).collect()))
}
