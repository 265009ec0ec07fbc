//! Codes in `Message.notes`. Those that end in a colon are followed by an address, for the clerk to look at; nothing is fetched from it.

/// There is no text at all.
pub const EMPTY: &str = "empty";
/// The text was longer than the limit and was cut.
pub const TEXT_CUT: &str = "text-cut";
/// Meta does not say who wrote it.
pub const NO_SENDER: &str = "no-sender";
/// The person changed it: this is how it reads now.
pub const EDITED: &str = "edited";
/// Meta only says that there is something, and this version does not ask it what.
pub const NOT_FETCHED: &str = "not-fetched";
/// A kind of message that Meta does not hand on.
pub const UNSUPPORTED: &str = "unsupported";
/// It answers a story of ours.
pub const STORY_REPLY: &str = "story-reply";
/// Our account was mentioned in a story of the person's.
pub const STORY_MENTION: &str = "story-mention";
/// A button was pressed: the text is what stands on it.
pub const BUTTON: &str = "button";
/// A person said that it is a message, though nothing in it looks like one.
pub const REOPENED: &str = "reopened";
/// Where the post stands.
pub const PERMALINK: &str = "permalink:";
/// Something that hangs on it: its type, a colon, and where it lies at Meta, if Meta says.
pub const ATTACHMENT: &str = "attachment:";
