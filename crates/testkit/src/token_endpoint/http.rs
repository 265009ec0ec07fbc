//! As much HTTP/1.1 as the token endpoint needs: one request for each connection, with a body of known length.

use std::{collections::HashMap, io};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use super::{Failure, error};

/// A request.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) content_type: String,
    pub(super) form: HashMap<String, String>,
}

impl Request {
    /// The next one; none at the end of the connection.
    pub(super) async fn read(stream: &mut TcpStream) -> io::Result<Option<Self>> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        if reader.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (mut content_type, mut length) = (String::new(), 0);
        loop {
            line.clear();
            if reader.read_line(&mut line).await? == 0 {
                return Ok(None);
            }
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-type" => value.trim().clone_into(&mut content_type),
                "content-length" => length = value.trim().parse().map_err(io::Error::other)?,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).await?;
        let path = target.split('?').next().unwrap_or_default().to_owned();
        let form = form(&String::from_utf8_lossy(&body));
        Ok(Some(Self { method, path, content_type, form }))
    }
}

/// `application/x-www-form-urlencoded`.
pub(super) fn form(text: &str) -> HashMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (decoded(key), decoded(value))).collect()
}

fn decoded(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digits: String = bytes.by_ref().take(2).map(char::from).collect();
                out.extend(u8::from_str_radix(&digits, 16));
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// RFC 7636, appendix A.
pub(super) fn base64url(bytes: &[u8]) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Answers and ends the connection.
pub(super) async fn respond(
    stream: &mut TcpStream,
    status: u16,
    headers: &str,
    body: &[u8],
) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    stream.shutdown().await
}

/// Fails as told.
pub(super) async fn fail(stream: &mut TcpStream, failure: &Failure, base: &str) -> io::Result<()> {
    match failure {
        Failure::Error(code) => {
            let status = if *code == "invalid_client" { 401 } else { 400 };
            respond(stream, status, "", error(code).to_string().as_bytes()).await
        }
        Failure::Status(status, after) => {
            let retry = after.map(|secs| format!("Retry-After: {secs}\r\n")).unwrap_or_default();
            respond(stream, *status, &retry, b"<html>busy</html>").await
        }
        Failure::Body(text) => respond(stream, 200, "", text.as_bytes()).await,
        Failure::Garbage => stream.write_all(b"\0\x01* OK this is no HTTP\r\n\r\n").await,
        Failure::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"a\":\"").await?;
            while stream.write_all(&[b'a'; 8192]).await.is_ok() {}
            Ok(())
        }
        Failure::Redirect => respond(stream, 307, &format!("Location: {base}/elsewhere\r\n"), b"").await,
        Failure::Close => Ok(()),
        Failure::Hang => {
            // until the other side gives up
            let mut sink = [0; 64];
            while stream.read(&mut sink).await? > 0 {}
            Ok(())
        }
    }
}
