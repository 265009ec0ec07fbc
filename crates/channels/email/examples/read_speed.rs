//! How many letters per second one core reads. `cargo run --release -p smista-email --example read_speed [FILE ...]`
//!
//! Without files: letters of 20 kB in the usual shapes, then every letter of `smista_testkit::nasty` by itself, the
//! slowest first. With files (.eml, mbox, Maildir): these.

use std::{hint::black_box, path::PathBuf, time::Instant};

use bytes::Bytes;
use smista_domain::{ChannelKind, ChannelName, Delivery, DeliveryKey, Upstream};
use smista_email::{
    import,
    read::{ReadSettings, read},
};

fn delivery(bytes: Vec<u8>) -> Result<Delivery, Box<dyn std::error::Error>> {
    Ok(Delivery {
        channel: ChannelName::new(ChannelKind::Email, "urp")?,
        scope: "INBOX".to_owned(),
        key: DeliveryKey("INBOX/1/1".to_owned()),
        bytes: Bytes::from(bytes),
        received_at: "2026-11-23T07:00:00Z".parse()?,
        upstream: Upstream::Void,
        facts: serde_json::Value::Null,
        recognise: false,
    })
}

const SENTENCE: &str = "Buongiorno, segnalo che in via Dante il lampione davanti al civico 12 è spento da una settimana e di sera non si vede nulla.";

/// About `size` octets of lines.
fn lines(size: usize, end: &str) -> String {
    let one = format!("{SENTENCE}{end}");
    one.repeat(size / one.len() + 1)
}

fn head(content: &str) -> String {
    let received: Vec<String> = (0..6)
        .map(|n| format!("Received: from mx{n}.example.it (mx{n}.example.it [192.0.2.{n}]) by mail{n}.example.it with ESMTPS id ABC{n}; Mon, 23 Nov 2026 08:00:0{n} +0100\r\n"))
        .collect();
    let received = received.concat();
    format!(
        "Return-Path: <anna@example.it>\r\n{received}DKIM-Signature: v=1; a=rsa-sha256; d=example.it; s=s; b={}\r\nFrom: =?utf-8?Q?Anna_Nicol=C3=B2?= <anna@example.it>\r\nTo: URP <urp@comune.example>\r\nSubject: =?utf-8?Q?Lampione_spento_in_citt=C3=A0?=\r\nDate: Mon, 23 Nov 2026 07:59:00 +0100\r\nMessage-ID: <a@example.it>\r\nReferences: <b@example.it> <c@example.it>\r\nMIME-Version: 1.0\r\nContent-Type: {content}\r\n",
        "A".repeat(340)
    )
}

fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let plain = format!(
        "{}Content-Transfer-Encoding: 8bit\r\n\r\n{}",
        head("text/plain; charset=utf-8"),
        lines(18_000, "\r\n")
    );
    let quoted = format!(
        "{}Content-Transfer-Encoding: quoted-printable\r\n\r\n{}\r\nIl giorno lun 23 nov 2026 alle ore 10:00 URP <urp@comune.example> ha scritto:\r\n{}",
        head("text/plain; charset=utf-8"),
        lines(9_000, "\r\n").replace('è', "=C3=A8"),
        lines(9_000, "\r\n> ").replace('è', "=C3=A8")
    );
    let html = |size: usize| {
        format!(
            "<html><head><style>p{{margin:0}}</style></head><body>{}</body></html>",
            lines(
                size,
                "</p><p class=\"MsoNormal\" style=\"margin:0cm;font-size:11pt\"><span lang=\"IT\">&egrave;&nbsp;"
            )
        )
    };
    let html_only = format!("{}\r\n{}", head("text/html; charset=utf-8"), html(18_000));
    let both = format!(
        "{}\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{}\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{}\r\n--b--\r\n",
        head("multipart/alternative; boundary=b"),
        lines(6_000, "\r\n"),
        html(12_000)
    );
    let line = format!("{}\r\n", "QUJD".repeat(19));
    let attachment = format!(
        "{}\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{}\r\n--b\r\nContent-Type: image/jpeg; name=foto.jpg\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=foto.jpg\r\n\r\n{}--b--\r\n",
        head("multipart/mixed; boundary=b"),
        lines(2_000, "\r\n"),
        line.repeat(18_000 / line.len())
    );
    vec![
        ("plain", plain.into_bytes()),
        ("quoted-printable with quote", quoted.into_bytes()),
        ("alternative", both.into_bytes()),
        ("html only", html_only.into_bytes()),
        ("attachment", attachment.into_bytes()),
    ]
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let settings = ReadSettings::default();
    let files: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if !files.is_empty() {
        let letters: Vec<Delivery> = import::open(files)
            .filter_map(Result::ok)
            .map(|i| delivery(i.bytes.to_vec()))
            .collect::<Result<_, _>>()?;
        let octets: usize = letters.iter().map(|d| d.bytes.len()).sum();
        let start = Instant::now();
        for letter in &letters {
            let _ = black_box(read(letter, &settings));
        }
        let seconds = start.elapsed().as_secs_f64();
        println!("{} letters, {octets} octets, {seconds:.3} s", letters.len());
        return Ok(());
    }
    for (name, bytes) in samples() {
        let letter = delivery(bytes)?;
        // The best of many short runs: what one core does when nothing else wants it.
        let mut best = f64::MAX;
        let start = Instant::now();
        while start.elapsed().as_millis() < 1000 {
            let run = Instant::now();
            for _ in 0..20 {
                let _ = black_box(read(black_box(&letter), &settings));
            }
            best = best.min(run.elapsed().as_secs_f64() / 20.0);
        }
        println!("{name:30} {:6} octets  {:8.0} letters/s", letter.bytes.len(), 1.0 / best);
    }
    let mut slow = Vec::new();
    for (name, bytes) in smista_testkit::nasty::nasty() {
        let letter = delivery(bytes)?;
        let start = Instant::now();
        let _ = black_box(read(&letter, &settings));
        slow.push((start.elapsed(), name, letter.bytes.len()));
    }
    slow.sort();
    for (time, name, octets) in slow.iter().rev().take(12) {
        println!("{name:40} {octets:9} octets  {time:?}");
    }
    Ok(())
}
