//! Codes in `Message.notes`: what a clerk should know about how a letter was read. They are rendered for people elsewhere.

/// The letter was fetched in part only (too large).
pub const TRUNCATED: &str = "truncated";
/// There is no text at all.
pub const EMPTY: &str = "empty";
/// The text was longer than the limit and was cut.
pub const TEXT_CUT: &str = "text-cut";
/// The subject was longer than the limit and was cut.
pub const SUBJECT_CUT: &str = "subject-cut";
/// There are more parts than the limit; the rest was not looked at.
pub const TOO_MANY_PARTS: &str = "too-many-parts";
/// Something is nested more deeply than the limit; it stands whole among the attachments.
pub const TOO_DEEP: &str = "too-deep";
/// The structure is broken: a boundary is missing or the letter was cut.
pub const BROKEN_STRUCTURE: &str = "broken-structure";
/// The head has lines that are no fields, or there is no head.
pub const BROKEN_HEADER: &str = "broken-header";
/// From names no address.
pub const NO_SENDER: &str = "no-sender";
/// From names several people; the first is taken.
pub const SEVERAL_SENDERS: &str = "several-senders";
/// Answers are wanted at another address than the sender's (Reply-To).
pub const REPLY_TO: &str = "reply-to";
/// The text was taken from a text file in the attachment, since there is no other.
pub const TEXT_FROM_ATTACHMENT: &str = "text-from-attachment";
/// The text was taken from an attached letter, since there is no other.
pub const TEXT_FROM_MESSAGE: &str = "text-from-attached-message";
/// There is no text but an invitation (iCalendar): its title, time, place and description.
pub const TEXT_FROM_CALENDAR: &str = "text-from-calendar";
/// An attachment in Outlook's own format (`winmail.dat`) cannot be opened.
pub const WINMAIL: &str = "winmail-dat";
/// The content is encrypted, or signed in a form that cannot be opened.
pub const ENCRYPTED: &str = "encrypted";
/// It bears the signs of automatic mail and was kept because the settings or a person say so.
pub const AUTOMATIC: &str = "automatic";
/// It came to a certified mailbox as ordinary mail, or did not pass the provider's checks: nothing about it is certified.
pub const PEC_NOT_CERTIFIED: &str = "pec-not-certified";
/// Certified mail without certification data, or with broken ones.
pub const PEC_NO_DATA: &str = "pec-no-data";
/// An envelope of certified mail out of which no letter could be taken: what is read is the provider's text.
pub const PEC_NO_LETTER: &str = "pec-no-letter";
/// The certified sender is not the one whom the letter names.
pub const PEC_OTHER_SENDER: &str = "pec-other-sender";
/// It came through a web form, and a label that the settings name is not in it, or its address is none.
pub const FORM_INCOMPLETE: &str = "form-incomplete";
/// A clerk of ours sent it on; its sender is the citizen whose letter it is.
pub const FORWARDED: &str = "forwarded";
