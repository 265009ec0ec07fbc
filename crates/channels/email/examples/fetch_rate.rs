//! How fast letters come from a real Dovecot into an intake that does nothing, and how much memory that takes.
//!
//! `cargo run --release -p smista-email --example fetch_rate -- [LETTERS] [OCTETS EACH] [LARGE LETTERS OF 25 MB]`

use std::{sync::Arc, time::Instant};

use smista_domain::{Channel as _, ChannelKind, ChannelName};
use smista_email::{
    EmailChannel, EmailSettings,
    config::{After, Login, Password, Start, TlsMode},
};
use smista_testkit::{
    dovecot::{Dovecot, PASSWORD},
    memory_intake::MemoryIntake,
};
use tokio_util::sync::CancellationToken;

fn letter(n: usize, octets: usize) -> Vec<u8> {
    let mut letter = format!("From: a@example.org\r\nSubject: prova {n}\r\n\r\n").into_bytes();
    while letter.len() < octets {
        letter
            .extend_from_slice(b"Buongiorno, in via Dante c'e' una buca profonda davanti al civico 12.\r\n");
    }
    letter
}

fn peak_kb() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find(|l| l.starts_with("VmHWM")).unwrap_or_default().to_owned()
}

/// Our own processor time in seconds (user and system; the kernel counts in hundredths).
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1).map(|a| a.parse::<usize>());
    let mut next = |default| args.next().unwrap_or(Ok(default));
    let (letters, octets, large) = (next(20_000)?, next(20_000)?, next(0)?);
    let dovecot = Dovecot::start().await?;
    dovecot.deliver_all("bulk", "INBOX", (0..letters).map(|n| letter(n, octets)))?;
    dovecot.deliver_all("bulk", "INBOX", (0..large).map(|n| letter(n, 25_000_000)))?;
    let name = ChannelName::new(ChannelKind::Email, "bulk")?;
    for round in ["first (the server builds its index)", "second"] {
        let settings = EmailSettings {
            name: name.clone(),
            host: "127.0.0.1".to_owned(),
            port: dovecot.imaps,
            tls: TlsMode::Implicit,
            ca: smista_email::imap::tls::certificates(&dovecot.ca_pem())?,
            user: "bulk".to_owned(),
            login: Login::Password(Password::Fixed(PASSWORD.into())),
            folders: vec!["INBOX".to_owned()],
            start: Start::All,
            after: After::Keep,
            poll: std::time::Duration::from_mins(1),
            max_message_bytes: 26_214_400,
            password_expires: None,
            keep_automatic: false,
            forwards: true,
            flood: 0,
            forms: Vec::new(),
        };
        let intake = MemoryIntake::new(&name);
        intake.forget_bytes();
        let (channel, stop) = (Arc::new(EmailChannel::new(settings)), CancellationToken::new());
        let (begun, cpu_before) = (Instant::now(), cpu());
        let task = tokio::spawn({
            let (intake, stop) = (intake.clone(), stop.clone());
            async move { channel.run(intake, stop).await }
        });
        intake.until("all is there", |c| c.caught_up("INBOX") > 0).await;
        let seconds = begun.elapsed().as_secs_f64();
        stop.cancel();
        task.await??;
        let contents = intake.contents();
        #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = contents.committed() as f64 / seconds;
        let cpu = cpu() - cpu_before;
        println!(
            "{round}: {} letters in {seconds:.2} s: {rate:.0}/s; {cpu:.2} s of processor here; {}",
            contents.committed(),
            peak_kb()
        );
    }
    Ok(())
}
