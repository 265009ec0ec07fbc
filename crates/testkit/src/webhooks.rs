//! What Meta does to our webhook: signs bodies and sends them; and what others do who are not Meta.

#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "for tests: what fails here fails the test at once"
)]

use std::{fmt::Write as _, fs, io, net::Ipv4Addr};

use ring::hmac;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{installation::Installation, ports::Port};

/// The app secret of the tests.
pub const APP_SECRET: &str = "segreto-dell-app-di-prova";
/// The verify token of the tests.
pub const VERIFY_TOKEN: &str = "parola di verifica & di prova";

/// The app at Meta that sends to an installation.
#[derive(Debug)]
pub struct Meta {
    port: Port,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Everything before the body.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Meta {
    /// Adds `[http]` and `[meta]` to an installation, with these pages (name and id), before its daemon starts.
    pub fn of(town: &Installation, pages: &[(&str, &str)]) -> Self {
        let port = Port::reserve().expect("a free port");
        let file = town.config().join("smista.toml");
        let mut text = fs::read_to_string(&file).expect("smista.toml");
        let _ = write!(
            text,
            "[http]\npublic = \"127.0.0.1:{}\"\n\n[meta]\napp_secret_files = [\"meta-old\", \"meta-secret\"]\n\
             verify_token_file = \"meta-token\"\n\n",
            port.number()
        );
        for (name, id) in pages {
            let _ = write!(text, "[[meta.page]]\nname = {name:?}\nid = {id:?}\n\n");
        }
        fs::write(file, text).expect("smista.toml");
        for (name, secret) in
            [("meta-old", "prima"), ("meta-secret", APP_SECRET), ("meta-token", VERIFY_TOKEN)]
        {
            fs::write(town.config().join(name), secret).expect("a secret's file");
        }
        Self { port }
    }

    /// A connection to the listener.
    pub async fn connect(&self) -> io::Result<TcpStream> {
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port.number())).await
    }

    /// Sends octets as they are and reads the answer to its end. `None` when there is none (nobody listens, or it was cut off).
    pub async fn raw(&self, octets: &[u8]) -> Option<Answer> {
        let mut stream = self.connect().await.ok()?;
        // Whoever refuses a large body does not read it: then writing fails, and the answer is there all the same.
        let _ = stream.write_all(octets).await;
        read_answer(&mut stream).await
    }

    /// A POST with this body and further head lines (each ending in CRLF).
    pub async fn send(&self, more: &str, body: &[u8]) -> Option<Answer> {
        let head = format!(
            "POST /webhooks/meta HTTP/1.1\r\nHost: comune.example\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n{more}\r\n",
            body.len()
        );
        self.raw(&[head.as_bytes(), body].concat()).await
    }

    /// A signed POST; its status, 0 when there was no answer.
    pub async fn post(&self, body: &[u8]) -> u16 {
        let signature = format!("X-Hub-Signature-256: {}\r\n", sign(body, APP_SECRET));
        self.send(&signature, body).await.map_or(0, |answer| answer.status)
    }

    /// A GET.
    pub async fn get(&self, path: &str) -> Option<Answer> {
        self.raw(
            format!("GET {path} HTTP/1.1\r\nHost: comune.example\r\nConnection: close\r\n\r\n").as_bytes(),
        )
        .await
    }
}

/// Reads an answer until the connection ends.
pub async fn read_answer(stream: &mut TcpStream) -> Option<Answer> {
    let mut octets = Vec::new();
    // A connection that is reset after the answer ends it as well.
    let _ = stream.read_to_end(&mut octets).await;
    let text = String::from_utf8_lossy(&octets).into_owned();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head: head.to_lowercase(), body: body.to_owned() })
}

/// `X-Hub-Signature-256` of a body.
pub fn sign(body: &[u8], secret: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, body);
    let mut text = "sha256=".to_owned();
    for octet in tag.as_ref() {
        let _ = write!(text, "{octet:02x}");
    }
    text
}
