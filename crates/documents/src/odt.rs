//! ODT: the paragraphs of `content.xml` (OpenDocument 1.3, part 3, sections 5 and 6). What was deleted with changes tracked
//! and what colleagues remarked in the margin are no text of the letter.

use crate::{
    Limits, Read, Unreadable,
    package::Package,
    pages::Pages,
    xml::{self, Node},
};

pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Result<Read, Unreadable> {
    let mut package = Package::open(bytes, limits)?;
    let file = package.file("content.xml")?.ok_or(Unreadable::Broken)?;
    // A document under a password has its files encrypted in place; the manifest says so (part 2, section 3.4).
    let is_xml = file.get(..100).unwrap_or(&file).contains(&b'<');
    if !is_xml {
        let manifest = package.file("META-INF/manifest.xml")?.unwrap_or_default();
        let encrypted = memchr::memmem::find(&manifest, b"encryption-data").is_some();
        return Err(if encrypted { Unreadable::Encrypted } else { Unreadable::Broken });
    }
    let mut pages = Pages::new(limits);
    let (mut passed, mut held) = (0usize, 0usize);
    let mut pictures = package.has_any("Pictures/");
    let whole = xml::walk(&file, |node| {
        match node {
            Node::Start("tracked-changes" | "annotation", _) => passed += 1,
            Node::End("tracked-changes" | "annotation") => passed = passed.saturating_sub(1),
            Node::Start("image", _) => pictures = true,
            _ if passed > 0 => {}
            Node::Start("p" | "h", _) => {
                // A paragraph within a paragraph: a text box.
                if held > 0 {
                    pages.line();
                }
                held += 1;
            }
            Node::End("p" | "h") => {
                held = held.saturating_sub(1);
                pages.line();
            }
            // Line breaks within an element are blanks (part 3, section 6.1.2).
            Node::Text(text) if held > 0 => pages.text(&text.replace(['\n', '\r'], " ")),
            Node::Start("s" | "tab", _) => pages.char(' '),
            Node::Start("line-break", _) => pages.line(),
            Node::Start("soft-page-break", _) => pages.page_break(),
            _ => {}
        }
        !pages.full()
    });
    if !whole {
        pages.cut();
    }
    Ok(pages.finish(pictures))
}
