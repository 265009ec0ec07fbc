//! RTF, version 1.9.1: the text of the body, with the charset of each font.
//!
//! Our own reader: the crates for it know `\uN` but not `\'e0` in the font's charset, which is how WordPad and every older Word
//! write Italian. Invariant: one pass, no recursion; groups beyond [`MAX_GROUPS`] are read as if they were the last one.

use encoding_rs::Encoding;

use crate::{Limits, Read, pages::Pages};

/// Real documents nest a few dozen.
const MAX_GROUPS: usize = 1000;
/// Fonts whose charset is remembered.
const MAX_FONTS: usize = 1000;
/// No control word is longer (section "Control word": 32 letters).
const MAX_WORD: usize = 32;

/// Destinations that are no text of the letter; `\*` marks the others.
const PASSED: [&str; 24] = [
    "colortbl",
    "stylesheet",
    "info",
    "header",
    "headerl",
    "headerr",
    "headerf",
    "footer",
    "footerl",
    "footerr",
    "footerf",
    "footnotesep",
    "ftnsep",
    "ftnsepc",
    "fldinst",
    "objdata",
    "objclass",
    "nonshppict",
    "themedata",
    "datastore",
    "generator",
    "listtable",
    "xmlnstbl",
    "template",
];

#[derive(Debug, Clone, Copy)]
struct State {
    /// Nothing in this group is text.
    passed: bool,
    /// This group is the table of fonts.
    fonts: bool,
    /// Characters that stand in for a `\uN`.
    stand_in: usize,
    charset: &'static Encoding,
}

struct Reader<'a> {
    rest: &'a [u8],
    pages: Pages,
    open: Vec<State>,
    state: State,
    /// Octets that wait for their charset.
    waiting: Vec<u8>,
    /// The first half of a character beyond the BMP.
    half: Option<u16>,
    /// Stand-ins that are still to be passed over.
    ignore: usize,
    fonts: Vec<(i32, &'static Encoding)>,
    font: i32,
    default: &'static Encoding,
    pictures: bool,
}

pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Read {
    let default = encoding_rs::WINDOWS_1252;
    let state = State { passed: false, fonts: false, stand_in: 1, charset: default };
    let mut reader = Reader {
        rest: bytes,
        pages: Pages::new(limits),
        open: Vec::new(),
        state,
        waiting: Vec::new(),
        half: None,
        ignore: 0,
        fonts: Vec::new(),
        font: 0,
        default,
        pictures: false,
    };
    reader.run();
    let pictures = reader.pictures;
    reader.pages.finish(pictures)
}

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn run(&mut self) {
        while let Some(byte) = self.next() {
            match byte {
                b'{' => {
                    self.flush();
                    self.ignore = 0;
                    if self.open.len() < MAX_GROUPS {
                        self.open.push(self.state);
                    }
                }
                b'}' => {
                    self.flush();
                    self.ignore = 0;
                    if let Some(state) = self.open.pop() {
                        self.state = state;
                    }
                    if self.open.is_empty() {
                        break;
                    }
                }
                b'\\' => self.control(),
                b'\r' | b'\n' | 0 => {}
                other => self.octet(other),
            }
            if self.pages.full() {
                break;
            }
        }
        self.flush();
        if !self.open.is_empty() {
            self.pages.cut();
        }
    }

    fn octet(&mut self, byte: u8) {
        if self.ignore > 0 {
            self.ignore -= 1;
        } else if !self.state.passed {
            self.waiting.push(byte);
        }
    }

    /// Writes what waits.
    fn flush(&mut self) {
        if !self.waiting.is_empty() {
            let text = self.state.charset.decode_without_bom_handling(&self.waiting).0;
            self.pages.text(&text);
            self.waiting.clear();
        }
    }

    fn char(&mut self, c: char) {
        self.flush();
        if !self.state.passed {
            self.pages.char(c);
        }
    }

    fn control(&mut self) {
        let Some(first) = self.next() else { return };
        if !first.is_ascii_alphabetic() {
            return self.symbol(first);
        }
        let mut word = String::from(char::from(first));
        while let Some(letter) = self.rest.first().filter(|b| b.is_ascii_alphabetic()) {
            if word.len() < MAX_WORD {
                word.push(char::from(*letter));
            }
            self.next();
        }
        let negative = self.rest.first() == Some(&b'-') && self.rest.get(1).is_some_and(u8::is_ascii_digit);
        if negative {
            self.next();
        }
        let mut number: Option<i32> = None;
        while let Some(digit) = self.rest.first().filter(|b| b.is_ascii_digit()) {
            let value = i32::from(digit - b'0');
            number = Some(number.unwrap_or(0).saturating_mul(10).saturating_add(value));
            self.next();
        }
        if self.rest.first() == Some(&b' ') {
            self.next();
        }
        self.word(&word, number.map(|n| if negative { -n } else { n }));
    }

    fn symbol(&mut self, symbol: u8) {
        match symbol {
            b'\'' => {
                let digits = self.rest.get(..2).and_then(|d| std::str::from_utf8(d).ok());
                if let Some(byte) = digits.and_then(|d| u8::from_str_radix(d, 16).ok()) {
                    self.rest = self.rest.get(2..).unwrap_or_default();
                    self.octet(byte);
                }
            }
            b'*' => self.state.passed = true,
            b'~' => self.char(' '),
            b'_' => self.char('-'),
            b'\r' | b'\n' => self.line(),
            b'\\' | b'{' | b'}' => self.octet(symbol),
            _ => {}
        }
    }

    fn line(&mut self) {
        self.flush();
        if !self.state.passed {
            self.pages.line();
        }
    }

    fn word(&mut self, word: &str, number: Option<i32>) {
        if PASSED.contains(&word) {
            self.state.passed = true;
            return;
        }
        match word {
            "u" => {
                self.flush();
                self.unicode(number.unwrap_or(0));
                self.ignore = self.state.stand_in;
            }
            "uc" => self.state.stand_in = usize::try_from(number.unwrap_or(1)).unwrap_or(1).min(16),
            "par" | "line" | "row" | "sect" => self.line(),
            "page" => {
                self.flush();
                if !self.state.passed {
                    self.pages.page_break();
                }
            }
            "tab" | "cell" | "nestcell" | "emspace" | "enspace" => self.char(' '),
            "emdash" => self.char('—'),
            "endash" => self.char('–'),
            "lquote" => self.char('‘'),
            "rquote" => self.char('’'),
            "ldblquote" => self.char('“'),
            "rdblquote" => self.char('”'),
            "bullet" => self.char('•'),
            "pict" => {
                self.pictures = true;
                self.state.passed = true;
            }
            "v" => self.state.passed |= number != Some(0),
            "bin" => {
                let octets = usize::try_from(number.unwrap_or(0)).unwrap_or(0);
                self.rest = self.rest.get(octets..).unwrap_or_default();
            }
            "ansicpg" => {
                if let Some(charset) = number.and_then(code_page) {
                    self.flush();
                    self.default = charset;
                    self.state.charset = charset;
                }
            }
            "mac" => {
                self.default = encoding_rs::MACINTOSH;
                self.state.charset = encoding_rs::MACINTOSH;
            }
            "fonttbl" => {
                self.state.fonts = true;
                self.state.passed = true;
            }
            "f" if self.state.fonts => self.font = number.unwrap_or(0),
            "fcharset" if self.state.fonts => {
                let charset = number.and_then(charset_of_font).unwrap_or(self.default);
                if self.fonts.len() < MAX_FONTS {
                    self.fonts.push((self.font, charset));
                }
            }
            "f" => {
                let wanted = number.unwrap_or(0);
                let found = self.fonts.iter().find(|(font, _)| *font == wanted).map(|(_, charset)| *charset);
                self.flush();
                self.state.charset = found.unwrap_or(self.default);
            }
            "plain" => {
                self.flush();
                self.state.charset = self.default;
            }
            _ => {}
        }
    }

    /// A UTF-16 unit, which is written as a signed number.
    fn unicode(&mut self, number: i32) {
        let Ok(unit) = u16::try_from(number.rem_euclid(0x1_0000)) else { return };
        let first = self.half.take();
        for decoded in char::decode_utf16(first.into_iter().chain([unit])) {
            match decoded {
                Ok(c) => self.char(c),
                Err(_) if (0xD800..0xDC00).contains(&unit) => self.half = Some(unit),
                Err(_) => {}
            }
        }
    }
}

/// `\ansicpgN`.
fn code_page(number: i32) -> Option<&'static Encoding> {
    Some(match number {
        874 => encoding_rs::WINDOWS_874,
        932 => encoding_rs::SHIFT_JIS,
        936 => encoding_rs::GBK,
        949 => encoding_rs::EUC_KR,
        950 => encoding_rs::BIG5,
        1250 => encoding_rs::WINDOWS_1250,
        1251 => encoding_rs::WINDOWS_1251,
        1252 => encoding_rs::WINDOWS_1252,
        1253 => encoding_rs::WINDOWS_1253,
        1254 => encoding_rs::WINDOWS_1254,
        1255 => encoding_rs::WINDOWS_1255,
        1256 => encoding_rs::WINDOWS_1256,
        1257 => encoding_rs::WINDOWS_1257,
        1258 => encoding_rs::WINDOWS_1258,
        10000 => encoding_rs::MACINTOSH,
        65001 => encoding_rs::UTF_8,
        _ => return None,
    })
}

/// `\fcharsetN`: the charsets of Windows fonts.
fn charset_of_font(number: i32) -> Option<&'static Encoding> {
    code_page(match number {
        0 => 1252,
        77 => 10000,
        128 => 932,
        129 => 949,
        134 => 936,
        136 => 950,
        161 => 1253,
        162 => 1254,
        163 => 1258,
        177 => 1255,
        178 => 1256,
        186 => 1257,
        204 => 1251,
        222 => 874,
        238 => 1250,
        _ => return None,
    })
}
