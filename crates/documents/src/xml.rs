//! XML files of documents, as a stream of what matters to a reader of text.
//!
//! Invariant: linear; entities beyond the predefined ones are never expanded, nothing is fetched, nesting has a limit. A file
//! that is broken somewhere gives what stands before.

use std::borrow::Cow;

use quick_xml::{
    Reader, XmlVersion,
    escape::resolve_predefined_entity,
    events::{BytesStart, Event},
};

/// Tables within tables within text boxes: a few dozen levels in real documents.
const MAX_DEPTH: usize = 500;

/// What a walk meets.
pub(crate) enum Node<'a> {
    /// An element begins; its name without prefix.
    Start(&'a str, &'a Tag<'a>),
    /// An element ends.
    End(&'a str),
    Text(&'a str),
}

/// An element's attributes.
pub(crate) struct Tag<'a>(&'a BytesStart<'a>);

impl Tag<'_> {
    /// A value by its name without prefix.
    pub(crate) fn attribute(&self, name: &str) -> Option<String> {
        let mut attributes = self.0.attributes();
        let mut attributes = attributes.with_checks(false).take(50).map_while(Result::ok);
        let found = attributes.find(|a| {
            let key: &str = a.key.local_name().into_inner();
            key == name
        })?;
        found.normalized_value(XmlVersion::Implicit1_0).ok().map(Cow::into_owned)
    }
}

/// Walks through a file until `each` says false. False if the file is broken.
pub(crate) fn walk(file: &[u8], mut each: impl FnMut(Node<'_>) -> bool) -> bool {
    let text = encoding_rs::UTF_8.decode(file).0;
    let mut reader = Reader::from_str(text.trim_start());
    let mut depth = 0usize;
    loop {
        let Ok(event) = reader.read_event() else { return false };
        let more = match event {
            Event::Start(tag) => {
                depth += 1;
                let name = tag.local_name();
                depth <= MAX_DEPTH && each(Node::Start(name.as_ref(), &Tag(&tag)))
            }
            Event::Empty(tag) => {
                let name = tag.local_name();
                each(Node::Start(name.as_ref(), &Tag(&tag))) && each(Node::End(name.as_ref()))
            }
            Event::End(tag) => {
                depth = depth.saturating_sub(1);
                each(Node::End(tag.local_name().as_ref()))
            }
            Event::Text(text) => each(Node::Text(&text)),
            Event::CData(text) => each(Node::Text(&text)),
            Event::GeneralRef(name) => match name.resolve_char_ref() {
                Ok(Some(c)) => each(Node::Text(c.encode_utf8(&mut [0; 4]))),
                Ok(None) => match resolve_predefined_entity(&name) {
                    Some(text) => each(Node::Text(text)),
                    None => true,
                },
                Err(_) => return false,
            },
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => true,
            Event::Eof => return depth == 0,
        };
        if !more {
            return true;
        }
    }
}
