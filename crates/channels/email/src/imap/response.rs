//! What we take from what async-imap read: owned, and nothing but what fetching needs. Pure and total functions.

use async_imap::imap_proto::{
    AttributeValue, Capability, Outcome, RequestId, Response, ResponseCode, Status,
};
use bytes::Bytes;

use super::error::{Fault, ServerText};

/// A response code: `[UIDVALIDITY 7]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// Its name in upper case.
    pub name: String,
    /// The rest, as it came.
    pub args: String,
}

/// A letter's octets in a FETCH answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Body {
    /// The octets; the beginning only if there were more than the wire keeps.
    pub(crate) bytes: Bytes,
    /// How many there were.
    pub(crate) length: u64,
}

/// The items of a FETCH answer that we ask for. Everything may be missing: servers send FETCH unasked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Fetched {
    pub(crate) uid: Option<u32>,
    /// RFC822.SIZE in octets.
    pub(crate) size: Option<u64>,
    /// INTERNALDATE as it was written.
    pub(crate) date: Option<String>,
    /// FLAGS, if they were told.
    pub(crate) flags: Option<Vec<String>>,
    /// `BODY[]` or `BODY[]<0>`; None when absent or `NIL`.
    pub(crate) body: Option<Body>,
}

/// What a response means for whoever waits.
pub(crate) enum Said {
    /// The answer to the command with this tag.
    Done(RequestId, Result<ServerText, Fault>),
    /// `* OK`; `true` for `* PREAUTH`.
    Fine(ServerText, bool),
    /// `* NO` or `* BAD`: a remark.
    Remark(ServerText),
    Bye(ServerText),
    /// `+`
    Continue,
    Data,
}

/// A response, and what the library cannot know about it.
pub(crate) struct Heard<'r> {
    pub(crate) response: &'r Response<'r>,
    /// The full length of the letter in it, if only its beginning is there.
    pub(crate) cut: Option<u64>,
}

impl Heard<'_> {
    pub(crate) fn said(&self) -> Said {
        match self.response {
            Response::Done { tag, status, outcome } => {
                let said = server_text(outcome);
                let done = match status {
                    Status::Ok => Ok(said),
                    Status::No => Err(Fault::No(said)),
                    Status::Bye => Err(Fault::Bye(said)),
                    Status::Bad | Status::PreAuth => Err(Fault::Bad(said)),
                };
                Said::Done(tag.clone(), done)
            }
            Response::Data { status, outcome } => {
                let said = server_text(outcome);
                match status {
                    Status::Bye => Said::Bye(said),
                    Status::Ok => Said::Fine(said, false),
                    Status::PreAuth => Said::Fine(said, true),
                    Status::No | Status::Bad => Said::Remark(said),
                }
            }
            Response::Continue(_) => Said::Continue,
            _ => Said::Data,
        }
    }

    /// What a FETCH answer says.
    pub(crate) fn fetched(&self) -> Option<Fetched> {
        let Response::Fetch(_, items) = self.response else { return None };
        let mut out = Fetched::default();
        for item in items {
            match item {
                AttributeValue::Uid(uid) => out.uid = Some(*uid),
                AttributeValue::Rfc822Size(size) => out.size = Some(u64::from(*size)),
                AttributeValue::InternalDate(date) => out.date = Some(date.clone().into_owned()),
                AttributeValue::Flags(flags) => {
                    out.flags = Some(flags.iter().map(|f| f.clone().into_owned()).collect());
                }
                AttributeValue::BodySection { section: None, index: None | Some(0), data: Some(data) } => {
                    let bytes = Bytes::copy_from_slice(data);
                    out.body = Some(Body { length: self.cut.unwrap_or(bytes.len() as u64), bytes });
                }
                _ => {}
            }
        }
        Some(out)
    }
}

/// Capabilities in upper case.
pub(crate) fn capabilities(words: &[Capability<'_>]) -> Vec<String> {
    words
        .iter()
        .map(|word| match word {
            Capability::Imap4rev1 => "IMAP4REV1".to_owned(),
            Capability::Auth(how) => format!("AUTH={}", how.to_ascii_uppercase()),
            Capability::Atom(atom) => atom.to_ascii_uppercase(),
        })
        .collect()
}

/// Capabilities from the words of a response code.
pub(crate) fn words_upper(words: &str) -> Vec<String> {
    words.split_ascii_whitespace().map(str::to_ascii_uppercase).collect()
}

fn server_text(outcome: &Outcome<'_>) -> ServerText {
    let said = outcome.information.as_deref().unwrap_or_default();
    let (code, text) = match &outcome.code {
        Some(code) => (known(code), said),
        // a code that imap-proto does not know (or not in this form) is text to it
        None => match said.strip_prefix('[').and_then(|s| s.split_once(']')) {
            Some((code, text)) => {
                let (name, args) = code.trim().split_once(' ').unwrap_or((code.trim(), ""));
                (Some(Code { name: name.to_ascii_uppercase(), args: args.trim().to_owned() }), text)
            }
            None => (None, said),
        },
    };
    let text = text.trim().chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect();
    ServerText { code, text }
}

/// The codes that imap-proto knows and that mean something to us.
fn known(code: &ResponseCode<'_>) -> Option<Code> {
    let (name, args) = match code {
        ResponseCode::Capabilities(words) => ("CAPABILITY", capabilities(words).join(" ")),
        ResponseCode::UidValidity(n) => ("UIDVALIDITY", n.to_string()),
        ResponseCode::UidNext(n) => ("UIDNEXT", n.to_string()),
        ResponseCode::ReadOnly => ("READ-ONLY", String::new()),
        ResponseCode::TryCreate => ("TRYCREATE", String::new()),
        ResponseCode::Alert => ("ALERT", String::new()),
        _ => return None,
    };
    Some(Code { name: name.to_owned(), args })
}
