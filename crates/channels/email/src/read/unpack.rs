//! Takes apart what wraps a letter or its attachments: S/MIME signed data (RFC 8551, section 3.5.2) and Outlook's TNEF.
//!
//! A part that wraps others gets them as its children, numbered below it: of part 2 the first is 2.1, and 2 is still the whole. So everything that looks at
//! a tree of parts sees what is inside, and an attachment is found again by its number, because the tree is built the same way
//! each time. What cannot be opened stays the one part that it is.
//!
//! Invariant: at most [`LEVELS`] wrappings within each other are opened, all of them within the limits on parts; each level costs one
//! copy of what it opens, and nothing grows by more than a few times (RTF, bounded in `tnef`).

use std::cell::OnceCell;

use super::{
    header,
    structure::{self, Limits, Part, Trouble},
    tnef,
};

/// Wrappings within wrappings: a signature around a signature, a letter within a `winmail.dat`.
const LEVELS: usize = 4;

/// Holds what was taken out of wrappings, for as long as the tree that shows it.
#[derive(Debug, Default)]
pub(crate) struct Unpacked {
    levels: [OnceCell<Level>; LEVELS],
}

/// What was found at one level, each with the number of the part that it was in.
type Level = Vec<(Vec<u32>, Inside)>;

/// What is inside a part.
#[derive(Debug)]
enum Inside {
    /// A MIME entity.
    Entity(Vec<u8>),
    Tnef(tnef::File),
}

/// Splits a whole message as [`structure::parse`] does, and opens what wraps others.
pub(crate) fn parse<'x>(raw: &'x [u8], store: &'x Unpacked, limits: Limits) -> (Part<'x>, Trouble) {
    let (mut root, mut trouble) = structure::parse(raw, limits);
    for level in &store.levels {
        let leaves = root.leaves();
        let mut left = limits.parts.saturating_sub(leaves.len());
        let inside: Level = leaves
            .into_iter()
            .filter_map(|part| open(part, root.path == part.path).map(|inside| (part.path.clone(), inside)))
            .collect();
        if inside.is_empty() {
            return (root, trouble);
        }
        for (path, inside) in level.get_or_init(|| inside) {
            if left == 0 {
                trouble.parts = true;
                break;
            }
            let Some(part) = root.leaf_mut(path) else { continue };
            let limits = Limits { parts: left, ..limits };
            graft(part, inside, limits, &mut trouble);
            left = left.saturating_sub(part.leaves().len());
        }
    }
    trouble.depth |= root.leaves().into_iter().any(|part| open(part, false).is_some());
    (root, trouble)
}

/// True for a file of Outlook's own format.
pub(crate) fn is_tnef(part: &Part<'_>) -> bool {
    matches!(part.media(), "application/ms-tnef" | "application/vnd.ms-tnef")
        || (part.media() == "application/octet-stream" && part.is_named("winmail.dat"))
}

fn may_be_signed(part: &Part<'_>) -> bool {
    matches!(part.media(), "application/pkcs7-mime" | "application/x-pkcs7-mime")
        || (part.media() == "application/octet-stream" && part.is_named("smime.p7m"))
}

/// What a signature wraps, be it a letter or a document. None for what is encrypted, or broken.
pub(crate) fn signed(part: &Part<'_>) -> Option<Vec<u8>> {
    smista_documents::signed_content(&part.transfer().decode(part.body))
}

fn open(part: &Part<'_>, whole: bool) -> Option<Inside> {
    if is_tnef(part) {
        return tnef::File::read(part.transfer().decode(part.body).into_owned()).map(Inside::Tnef);
    }
    if !may_be_signed(part) {
        return None;
    }
    let entity = signed(part)?;
    // A document is signed in the same way (`istanza.pdf.p7m`): it stays an attachment. A letter begins with its Content-Type.
    let (fields, _) = header::split(&entity);
    (fields.has("content-type") || (whole && fields.count > 0)).then_some(Inside::Entity(entity))
}

fn graft<'x>(part: &mut Part<'x>, inside: &'x Inside, limits: Limits, trouble: &mut Trouble) {
    let child = |n: u32| part.path.iter().copied().chain([n]).collect::<Vec<u32>>();
    match inside {
        Inside::Entity(entity) => {
            let (inner, more) = structure::parse_at(entity, child(1), limits);
            trouble.parts |= more.parts;
            trouble.depth |= more.depth;
            trouble.broken |= more.broken;
            part.children = vec![inner];
        }
        Inside::Tnef(file) => {
            trouble.broken |= !file.whole;
            let found = file.contents();
            trouble.parts |= found.len() > limits.parts;
            part.children = (1..)
                .zip(found.into_iter().take(limits.parts))
                .map(|(n, content)| {
                    Part::made(child(n), content.media, content.name, content.charset, content.bytes)
                })
                .collect();
        }
    }
}
