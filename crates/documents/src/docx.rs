//! DOCX: the main part's paragraphs (ECMA-376 part 1, section 17). What was deleted with changes tracked, field codes and the
//! old-style double of a drawing are no text of the letter.

use crate::{
    Limits, Read, Unreadable,
    package::Package,
    pages::Pages,
    xml::{self, Node},
};

pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Result<Read, Unreadable> {
    let mut package = Package::open(bytes, limits)?;
    let main = main_part(&mut package)?;
    let file = package.file(&main)?.ok_or(Unreadable::Broken)?;
    let mut pages = Pages::new(limits);
    // Within how many elements that are passed over, within how many that hold text.
    let (mut passed, mut held) = (0usize, 0usize);
    let mut pictures = package.has_any("word/media/");
    let whole = xml::walk(&file, |node| {
        match node {
            Node::Start("del" | "moveFrom" | "instrText" | "Fallback", _) => passed += 1,
            Node::End("del" | "moveFrom" | "instrText" | "Fallback") => passed = passed.saturating_sub(1),
            Node::Start("pict" | "drawing", _) => pictures = true,
            _ if passed > 0 => {}
            Node::Start("t", _) => held += 1,
            Node::End("t") => held = held.saturating_sub(1),
            Node::Text(text) if held > 0 => pages.text(text),
            Node::Start("tab" | "ptab", _) | Node::End("tc") => pages.char(' '),
            Node::Start("noBreakHyphen", _) => pages.char('-'),
            Node::Start("br", tag) if tag.attribute("type").as_deref() == Some("page") => pages.page_break(),
            Node::Start("lastRenderedPageBreak", _) => pages.page_break(),
            Node::Start("br" | "cr", _) | Node::End("p") => pages.line(),
            _ => {}
        }
        !pages.full()
    });
    if !whole {
        pages.cut();
    }
    Ok(pages.finish(pictures))
}

/// Where the text is: as the package's relations say, else where every program puts it.
fn main_part(package: &mut Package<'_>) -> Result<String, Unreadable> {
    const USUAL: &str = "word/document.xml";
    let Some(relations) = package.file("_rels/.rels")? else { return Ok(USUAL.to_owned()) };
    let mut target = None;
    xml::walk(&relations, |node| {
        if let Node::Start("Relationship", tag) = node
            && tag.attribute("Type").is_some_and(|kind| kind.ends_with("/officeDocument"))
        {
            target = tag.attribute("Target");
        }
        target.is_none()
    });
    Ok(target.map_or_else(|| USUAL.to_owned(), |t| t.trim_start_matches('/').to_owned()))
}
