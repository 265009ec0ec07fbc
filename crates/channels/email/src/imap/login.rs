//! Logging in: AUTHENTICATE PLAIN (RFC 4616, with SASL-IR where it is there), else LOGIN; with an access token XOAUTH2
//! (developers.google.com, "OAuth 2.0 Mechanism"; learn.microsoft.com, "SASL XOAUTH2"), else OAUTHBEARER (RFC 7628).
//!
//! Invariant: neither user nor password nor token stands in an error, even if the server repeats them.

use std::fmt::Write as _;

use async_imap::imap_proto::RequestId;
use secrecy::ExposeSecret as _;

use super::{
    encode::{Piece, astring, base64},
    error::{Fault, ImapError},
    response::{Code, words_upper},
    session::{Done, Secret, Session, Sink, Target},
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
        let secret = match &target.secret {
            Secret::Password(password) => password.expose_secret(),
            Secret::Token(token) => return self.log_in_with(target, token.expose_secret()).await,
        };
        let coded = base64(format!("\0{}\0{secret}", target.user).as_bytes());
        let outcome = if self.can("AUTH=PLAIN") {
            let plain = Mechanism { name: "AUTHENTICATE", word: "PLAIN", initial: &coded };
            match self.authenticate(&plain).await {
                Ok(Err(tag)) => self.finish("AUTHENTICATE", &tag, &mut |_| {}).await,
                Ok(Ok(done)) => Ok(done),
                Err(e) => Err(e),
            }
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
        let done = outcome.map_err(|e| without_credentials(e, &[&coded, secret, &target.user]))?;
        self.logged_in(done).await
    }

    async fn logged_in(&mut self, done: Done) -> Result<(), ImapError> {
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

    /// AUTHENTICATE, with what there is to say, up to its end or to a `+` that asks for more.
    async fn authenticate(&mut self, with: &Mechanism<'_>) -> Result<Authenticated, ImapError> {
        let Mechanism { name, word, initial } = *with;
        if self.can("SASL-IR") {
            let tag = self.send_line(name, &format!("AUTHENTICATE {word} {initial}")).await?;
            return Ok(self.until(name, &tag, true, &mut |_| {}).await?.ok_or(tag));
        }
        let tag = self.send_line(name, &format!("AUTHENTICATE {word}")).await?;
        if let Some(done) = self.until(name, &tag, true, &mut |_| {}).await? {
            return Ok(Ok(done));
        }
        self.send(name, initial).await?;
        Ok(self.until(name, &tag, true, &mut |_| {}).await?.ok_or(tag))
    }

    /// With an access token.
    async fn log_in_with(&mut self, target: &Target, token: &str) -> Result<(), ImapError> {
        let user = &target.user;
        let (name, said, farewell) = if self.can("AUTH=XOAUTH2") {
            ("XOAUTH2", format!("user={user}\x01auth=Bearer {token}\x01\x01"), "")
        } else if self.can("AUTH=OAUTHBEARER") {
            let (host, port) = (&target.host, target.port);
            // RFC 5801 4: how `,` and `=` stand in a name
            let name = user.replace('=', "=3D").replace(',', "=2C");
            let said = format!("n,a={name},\x01host={host}\x01port={port}\x01auth=Bearer {token}\x01\x01");
            ("OAUTHBEARER", said, "AQ==")
        } else {
            return Err(ImapError::new("AUTHENTICATE", Fault::NoBearer));
        };
        let coded = base64(said.as_bytes());
        let outcome = async {
            let with = Mechanism { name, word: name, initial: &coded };
            let tag = match self.authenticate(&with).await? {
                Ok(done) => return Ok(done),
                Err(tag) => tag,
            };
            // Refused: the `+` has the reason, of which nothing is repeated. The NO comes after a line that says nothing (XOAUTH2)
            // or %x01 (RFC 7628 3.2.3).
            self.send(name, farewell).await?;
            self.finish(name, &tag, &mut |_| {}).await
        };
        let done = outcome.await.map_err(|e| without_credentials(e, &[&coded, token, user]))?;
        self.logged_in(done).await
    }
}

/// How to authenticate, and the one thing to say.
struct Mechanism<'m> {
    /// What errors call it.
    name: &'static str,
    word: &'static str,
    initial: &'m str,
}

/// Let in, or asked (with `+`) for more by the command of this tag.
type Authenticated = Result<Done, RequestId>;

/// Some servers quote the command that they refuse. What they say is kept only without any of these.
fn without_credentials(mut error: ImapError, secrets: &[&str]) -> ImapError {
    if let Fault::No(said) | Fault::Bad(said) | Fault::Bye(said) = &mut error.fault {
        if let Some(code) = &mut said.code {
            code.args.clear();
        }
        for secret in secrets.iter().filter(|s| !s.is_empty()) {
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
                secret: Secret::Password("perch\u{e9}\r\nno".into()),
                remembered: false,
                timing: Timing { silence: Duration::from_secs(20), ..Timing::default() },
            };
            let mut session = Session::connect(&target).await.expect("it greets");
            session.log_in(&target).await.expect("let in");
            assert!(session.can("IMAP4REV1"));
            assert!(server.log().iter().any(|l| l == "LOGIN \"urp@citt\u{e0}\" \"perch\u{e9}\r\nno\""));
        }
    }
}
