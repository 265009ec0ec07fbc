//! PDF: the text of each page, in the order in which it is drawn.
//!
//! `lopdf` reads the file and `pdf-extract` follows the fonts (encodings, ToUnicode, embedded Type 1 and CFF). The latter
//! panics on much that has nothing to do with text: colour spaces that it does not know, the bytes of pictures, operators with too few
//! operands; and it passes over `'` and `"`, which show text. So every content stream is first rewritten to the operators that
//! move and show text, with the operands that they must have, and pictures are emptied. What panics all the same costs its page, for which
//! `lopdf`'s own simple reading is then taken.
//!
//! Filled-in forms hold their words in the fields, not on the page: those of a page are read after it.
//!
//! Source: ISO 32000-1, sections 7.8 (content streams), 8.10 (forms), 9.4 (text), 12.5 and 12.7 (fields).

mod layout;

use std::{
    io::Read as _,
    panic::{AssertUnwindSafe, catch_unwind},
};

use flate2::read::ZlibDecoder;
use pdf_extract::{
    Dictionary, Document, Object, ObjectId, Stream, content::Content, content::Operation, decode_text_string,
    output_doc_page,
};
use unicode_normalization::UnicodeNormalization as _;

use crate::{Limits, Read, Unreadable, pages::Pages};
use layout::Layout;

/// Fields of a page that are read.
const MAX_FIELDS: usize = 500;
/// Parents of a field that are asked for its value.
const MAX_PARENTS: usize = 10;

pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Result<Read, Unreadable> {
    catch_unwind(AssertUnwindSafe(|| read_document(bytes, limits))).unwrap_or(Err(Unreadable::Panicked))
}

fn read_document(bytes: &[u8], limits: &Limits) -> Result<Read, Unreadable> {
    let encrypted = || memchr::memmem::find(bytes, b"/Encrypt").is_some();
    let unreadable = || if encrypted() { Unreadable::Encrypted } else { Unreadable::Broken };
    let mut document = Document::load_mem(bytes).map_err(|_| unreadable())?;
    if document.is_encrypted() {
        // Many documents are under the empty password, which only says that they should not be changed.
        document.decrypt("").map_err(|_| Unreadable::Encrypted)?;
    }
    let ids: Vec<ObjectId> = document.get_pages().into_values().collect();
    if ids.is_empty() {
        return Err(unreadable());
    }
    let pictures = prepare(&mut document, limits);
    let mut pages = Pages::new(limits);
    let mut whole = true;
    for (n, id) in (1u32..).zip(ids.iter().take(limits.pages)) {
        let prepared = prepare_page(&mut document, *id, limits);
        let text = page_text(&document, n, limits);
        pages.text(&join_broken_words(&text.nfkc().collect::<String>()));
        pages.line();
        for field in fields(&document, *id) {
            pages.text(&field);
            pages.line();
        }
        pages.end_page();
        whole &= prepared;
        if pages.full() {
            break;
        }
    }
    if !whole || ids.len() > limits.pages {
        pages.cut();
    }
    Ok(pages.finish(pictures))
}

/// Empties pictures, rewrites forms, for the whole document. True if there are pictures.
fn prepare(document: &mut Document, limits: &Limits) -> bool {
    let mut pictures = false;
    for object in document.objects.values_mut() {
        let Object::Stream(stream) = object else { continue };
        match stream.dict.get(b"Subtype").and_then(Object::as_name) {
            Ok(b"Image") => {
                pictures = true;
                empty(stream);
            }
            Ok(b"Form") => {
                let content = inflate(stream, limits).and_then(|content| only_text(&content));
                stream.dict.remove(b"Filter");
                stream.dict.remove(b"DecodeParms");
                stream.set_content(content.unwrap_or_default());
            }
            _ => {}
        }
    }
    pictures
}

fn empty(stream: &mut Stream) {
    stream.dict.remove(b"Filter");
    stream.dict.remove(b"DecodeParms");
    stream.set_content(Vec::new());
}

/// Rewrites a page's content; false if not all of it can be read within the limits.
fn prepare_page(document: &mut Document, page: ObjectId, limits: &Limits) -> bool {
    let mut content = Vec::new();
    let mut whole = true;
    for id in document.get_page_contents(page) {
        let Ok(stream) = document.get_object(id).and_then(Object::as_stream) else { continue };
        match inflate(stream, limits) {
            Some(more) if content.len() + more.len() <= limits.unpacked => {
                content.extend_from_slice(&more);
                content.push(b'\n');
            }
            _ => whole = false,
        }
    }
    let rewritten = only_text(&content);
    whole &= rewritten.is_some();
    let stream = Stream::new(Dictionary::new(), rewritten.unwrap_or_default());
    let id = document.add_object(stream);
    let Ok(page) = document.get_dictionary_mut(page) else { return false };
    page.set("Contents", Object::Reference(id));
    // Its size matters to nobody here, and its absence makes the library panic.
    page.set("MediaBox", Object::Array([0, 0, 595, 842].into_iter().map(Object::Integer).collect()));
    page.remove(b"ArtBox");
    whole
}

/// A stream's content, if that stays within the limits.
fn inflate(stream: &Stream, limits: &Limits) -> Option<Vec<u8>> {
    let single = stream.filters().is_ok_and(|filters| filters.as_slice() == [b"FlateDecode"]);
    if single && stream.dict.get(b"DecodeParms").is_err() {
        // Looked at before the library inflates it without end. Chained filters are left to the memory of the process.
        let most = u64::try_from(limits.unpacked).unwrap_or(u64::MAX).saturating_add(1);
        let mut content = Vec::new();
        let read = ZlibDecoder::new(stream.content.as_slice()).take(most).read_to_end(&mut content);
        if content.len() > limits.unpacked {
            return None;
        }
        if read.is_ok() {
            return Some(content);
        }
    }
    let content = stream.get_plain_content().ok()?;
    (content.len() <= limits.unpacked).then_some(content)
}

/// The operators that move and show text, with the operands that they must have.
fn only_text(content: &[u8]) -> Option<Vec<u8>> {
    let content = Content::decode(content).ok()?;
    let mut kept = Vec::with_capacity(content.operations.len());
    for operation in content.operations {
        keep(operation, &mut kept);
    }
    Content { operations: kept }.encode().ok()
}

fn keep(operation: Operation, kept: &mut Vec<Operation>) {
    let Operation { operator, operands } = operation;
    let numbers = |n: usize| operands.len() == n && operands.iter().all(|o| o.as_float().is_ok());
    let fits = match operator.as_str() {
        "BT" | "ET" | "q" | "Q" | "T*" => operands.is_empty(),
        "cm" | "Tm" => numbers(6),
        "Td" | "TD" => numbers(2),
        "Tc" | "Tw" | "Tz" | "TL" | "Ts" => numbers(1),
        "Tf" => matches!(operands.as_slice(), [Object::Name(_), size] if size.as_float().is_ok()),
        "TJ" => matches!(operands.as_slice(), [Object::Array(_)]),
        "Tj" => matches!(operands.as_slice(), [Object::String(..)]),
        "Do" => matches!(operands.as_slice(), [Object::Name(_)]),
        // Next line, and show.
        "'" => {
            if let [text @ Object::String(..)] = operands.as_slice() {
                kept.push(Operation::new("T*", Vec::new()));
                kept.push(Operation::new("Tj", vec![text.clone()]));
            }
            false
        }
        "\"" => {
            if let [_, _, text @ Object::String(..)] = operands.as_slice() {
                kept.push(Operation::new("T*", Vec::new()));
                kept.push(Operation::new("Tj", vec![text.clone()]));
            }
            false
        }
        _ => false,
    };
    if fits {
        kept.push(Operation { operator, operands });
    }
}

/// The text of a page that was prepared.
fn page_text(document: &Document, n: u32, limits: &Limits) -> String {
    let mut layout = Layout::new(limits.text);
    let read = catch_unwind(AssertUnwindSafe(|| output_doc_page(document, &mut layout, n)));
    let text = layout.finish();
    if matches!(read, Ok(Ok(()))) || !text.trim().is_empty() {
        return text;
    }
    let simple = catch_unwind(AssertUnwindSafe(|| document.extract_text(&[n])));
    simple.ok().and_then(Result::ok).unwrap_or_default()
}

/// What was written into the fields and free texts of a page.
fn fields(document: &Document, page: ObjectId) -> Vec<String> {
    let resolve = |object| document.dereference(object).ok().map(|(_, object)| object);
    let annotations = document
        .get_dictionary(page)
        .and_then(|page| page.get(b"Annots"))
        .ok()
        .and_then(resolve)
        .and_then(|list| list.as_array().ok());
    let mut out = Vec::new();
    for annotation in annotations.into_iter().flatten().take(MAX_FIELDS) {
        let Some(mut field) = resolve(annotation).and_then(|a| a.as_dict().ok()) else { continue };
        let key: &[u8] = match field.get(b"Subtype").and_then(Object::as_name) {
            Ok(b"Widget") => b"V",
            Ok(b"FreeText") => b"Contents",
            _ => continue,
        };
        for _ in 0..MAX_PARENTS {
            if let Some(value) = field.get(key).ok().and_then(resolve) {
                if let Object::String(..) = value
                    && let Ok(text) = decode_text_string(value)
                    && !out.contains(&text)
                {
                    out.push(text);
                }
                break;
            }
            match field.get(b"Parent").ok().and_then(resolve).and_then(|parent| parent.as_dict().ok()) {
                Some(parent) => field = parent,
                None => break,
            }
        }
    }
    out
}

/// `manuten-` and `zione` on the next line are one word.
fn join_broken_words(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split('\n') {
        let line = line.trim();
        let begins_small = line.chars().next().is_some_and(char::is_lowercase);
        let broken = begins_small
            && out.strip_suffix("-\n").is_some_and(|before| before.ends_with(char::is_lowercase));
        if broken {
            out.truncate(out.len().saturating_sub(2));
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_were_broken_at_the_end_of_a_line_are_whole() {
        assert_eq!(join_broken_words("la manuten-\nzione"), "la manutenzione\n");
        assert_eq!(join_broken_words("via Roma 1-\nBuca\n- uno"), "via Roma 1-\nBuca\n- uno\n");
    }
}
