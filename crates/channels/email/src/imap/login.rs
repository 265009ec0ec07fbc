//! Logging in: AUTHENTICATE PLAIN (RFC 4616, with SASL-IR where it is there), else LOGIN.
//!
//! Invariant: neither user nor password stands in an error, even if the server repeats them.

use std::fmt::Write as _;

use secrecy::ExposeSecret as _;

use super::{
    encode::{Piece, astring, base64},
    error::{Fault, ImapError},
    response::{Code, words_upper},
    session::{Done, Session, Sink, Target},
};

impl Session {
    /// Logs in and asks again what the server can do.
    pub(crate) async fn log_in(&mut self, target: &Target) -> Result<(), ImapError> {
        if self.trusted {
            return self.capability().await;
        }
        if self.capabilities.is_empty() {
            self.capability().await?;
        }
        let secret = target.password.expose_secret();
        let outcome = if self.can("AUTH=PLAIN") {
            self.authenticate_plain(&target.user, secret).await
        } else if self.can("LOGINDISABLED") {
            return Err(ImapError::new(
                "LOGIN",
                Fault::Insecure("the server offers neither LOGIN nor AUTHENTICATE PLAIN on this connection"),
            ));
        } else {
            let pieces = [
                Piece::Text("LOGIN ".to_owned()),
                astring(&target.user),
                Piece::Text(" ".to_owned()),
                astring(secret),
            ];
            self.run_pieces("LOGIN", &pieces, &mut |_| {}).await
        };
        let done = outcome.map_err(|e| without_credentials(e, &target.user, secret))?;
        match done.code {
            Some(Code { name, args }) if name == "CAPABILITY" => {
                self.capabilities = words_upper(&args);
            }
            _ => self.capability().await?,
        }
        Ok(())
    }

    /// A command whose arguments may have to travel as literals.
    async fn run_pieces(
        &mut self,
        name: &'static str,
        pieces: &[Piece],
        on: Sink<'_>,
    ) -> Result<Done, ImapError> {
        let non_sync = self.can("LITERAL+");
        // each line but the first waits for the server's `+`
        let (mut lines, mut line) = (Vec::new(), String::new());
        for piece in pieces {
            match piece {
                Piece::Text(text) => line.push_str(text),
                Piece::Literal(text) if non_sync => {
                    let _ = write!(line, "{{{}+}}\r\n{text}", text.len());
                }
                Piece::Literal(text) => {
                    let _ = write!(line, "{{{}}}", text.len());
                    lines.push(std::mem::replace(&mut line, text.clone()));
                }
            }
        }
        lines.push(line);
        let mut lines = lines.iter();
        let tag = self.send_line(name, lines.next().map_or("", String::as_str)).await?;
        for line in lines {
            if let Some(done) = self.until(name, &tag, true, on).await? {
                return Ok(done);
            }
            self.send(name, line).await?;
        }
        self.finish(name, &tag, on).await
    }

    async fn authenticate_plain(&mut self, user: &str, password: &str) -> Result<Done, ImapError> {
        let initial = base64(format!("\0{user}\0{password}").as_bytes());
        if self.can("SASL-IR") {
            let command = format!("AUTHENTICATE PLAIN {initial}");
            return self.run("AUTHENTICATE", &command, &mut |_| {}).await;
        }
        let tag = self.send_line("AUTHENTICATE", "AUTHENTICATE PLAIN").await?;
        if let Some(done) = self.until("AUTHENTICATE", &tag, true, &mut |_| {}).await? {
            return Ok(done);
        }
        self.send("AUTHENTICATE", &initial).await?;
        self.finish("AUTHENTICATE", &tag, &mut |_| {}).await
    }
}

/// Some servers quote the command that they refuse. What they say is kept only without the user's name and password.
fn without_credentials(mut error: ImapError, user: &str, password: &str) -> ImapError {
    if let Fault::No(said) | Fault::Bad(said) | Fault::Bye(said) = &mut error.fault {
        let coded = base64(format!("\0{user}\0{password}").as_bytes());
        if let Some(code) = &mut said.code {
            code.args.clear();
        }
        for secret in [coded.as_str(), password, user].into_iter().filter(|s| !s.is_empty()) {
            said.text = said.text.replace(secret, "***");
        }
    }
    error
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use smista_testkit::scripted_imap::ScriptedImap;

    use super::*;
    use crate::imap::{Timing, session::TlsMode};

    /// What cannot be quoted travels as a literal, with the server's leave or without.
    #[tokio::test]
    async fn letters_with_accents_in_a_password() {
        for capability in ["IMAP4rev1", "IMAP4rev1 LITERAL+"] {
            let server = ScriptedImap::start().await.expect("it listens");
            server.set_capability(capability);
            let target = Target {
                host: "127.0.0.1".to_owned(),
                port: server.port,
                tls: TlsMode::None,
                trust: None,
                user: "urp@citt\u{e0}".to_owned(),
                password: "perch\u{e9}\r\nno".into(),
                timing: Timing { silence: Duration::from_secs(20), ..Timing::default() },
            };
            let session = Session::open(&target).await.expect("let in");
            assert!(session.can("IMAP4REV1"));
            assert!(server.log().iter().any(|l| l == "LOGIN \"urp@citt\u{e0}\" \"perch\u{e9}\r\nno\""));
        }
    }
}
