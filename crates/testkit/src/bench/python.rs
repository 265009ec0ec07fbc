//! What a town hall's own script would do: fetch fifty at a time with imaplib, parse with the email package, take the text.

use std::{
    io,
    process::{Command, Stdio},
};

use crate::dovecot::{Dovecot, PASSWORD};

/// Fetches and parses; nothing is stored, nothing is decided.
const SCRIPT: &str = r#"
import email, email.policy, imaplib, ssl, sys, time
port, user, password, ca, skip, count = int(sys.argv[1]), *sys.argv[2:5], int(sys.argv[5]), int(sys.argv[6])
box = imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=ssl.create_default_context(cafile=ca))
box.authenticate("PLAIN", lambda _: f"\0{user}\0{password}".encode())
box.select("INBOX", readonly=True)
uids = box.uid("SEARCH", None, "ALL")[1][0].split()[skip:skip + count]
begun, letters, characters = time.perf_counter(), 0, 0
for first in range(0, len(uids), 50):
    answer, data = box.uid("FETCH", b",".join(uids[first:first + 50]), "(BODY.PEEK[])")
    for item in data:
        if isinstance(item, tuple):
            letter = email.message_from_bytes(item[1], policy=email.policy.default)
            for part in letter.walk():
                if part.get_content_maintype() == "text" and not part.is_attachment():
                    characters += len(part.get_content())
            letters += 1
print(letters, time.perf_counter() - begun, characters)
"#;

/// Letters per second of that loop over `count` letters of an INBOX, from the `skip`-th on. Connecting and looking for the
/// letters are not counted.
pub fn rate(dovecot: &Dovecot, user: &str, skip: usize, count: usize) -> io::Result<f64> {
    let output = Command::new("python3")
        .args(["-c", SCRIPT, &dovecot.imaps.to_string(), user, PASSWORD])
        .arg(dovecot.ca_file())
        .args([skip.to_string(), count.to_string()])
        .stdin(Stdio::null())
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let mut words = said.split_whitespace().map(str::parse::<f64>);
    match (words.next(), words.next()) {
        (Some(Ok(letters)), Some(Ok(seconds))) if letters > 0.0 && seconds > 0.0 => Ok(letters / seconds),
        _ => Err(io::Error::other(format!(
            "the Python loop failed: {said}{}",
            String::from_utf8_lossy(&output.stderr)
        ))),
    }
}
