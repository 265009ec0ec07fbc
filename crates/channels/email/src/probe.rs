//! `smista check --connect`: goes the way to a mailbox step by step and says how each went, up to the first that fails. Name, TCP,
//! TLS and certificate, login, folders, quota: each fails with words of its own, so that the right person is asked. Consumes nothing.

use smista_domain::{Step, Text, Verdict};

use crate::{
    channel::EmailChannel,
    config::After,
    imap::{
        advice::advice,
        certificate::day,
        dial,
        session::{Session, Target, TlsMode},
        trouble::Trouble,
    },
};

/// A certificate that expires within so many days is a warning.
const EXPIRES_SOON_DAYS: i64 = 14;

/// The steps so far.
struct Probe<'a> {
    channel: &'a EmailChannel,
    steps: Vec<Step>,
}

/// What a probe ends with early: its last step says why.
struct Failed;

pub(crate) async fn probe(channel: &EmailChannel) -> Vec<Step> {
    let mut probe = Probe { channel, steps: Vec::new() };
    // how it ended stands in the last step
    let _ = probe.all().await;
    probe.steps
}

impl Probe<'_> {
    async fn all(&mut self) -> Result<(), Failed> {
        let settings = &self.channel.shared.settings;
        let target = self.channel.shared.target().await;
        let step = if matches!(&target, Err(Trouble::Token(_))) { "token" } else { "settings" };
        let mut target = self.done(step, target)?;
        let session = self.connected(&target).await?;
        let logged_in = self.channel.shared.log_in(session, &mut target).await;
        let mut session = self.done("login", logged_in)?;
        self.ok("login", Text::new("accettato", "accepted"));
        self.capabilities(&session);
        for folder in &settings.folders {
            self.folder(&mut session, folder).await?;
        }
        self.quota(&mut session).await?;
        session.leave().await;
        Ok(())
    }

    async fn connected(&mut self, target: &Target) -> Result<Session, Failed> {
        let limit = target.timing.connect;
        let found = dial::resolve(&target.host, target.port, limit).await;
        let addresses = self.done("dns", found)?;
        let list: Vec<String> = addresses.iter().map(|a| a.ip().to_string()).collect();
        self.ok("dns", same(format!("{}: {}", target.host, list.join(", "))));
        let tcp = dial::connect(&addresses, limit).await;
        let tcp = self.done("tcp", tcp)?;
        let place = tcp.peer_addr().map_or_else(|_| self.channel.place(), |a| a.to_string());
        self.ok("tcp", same(place));
        let session = Session::over(tcp, target).await;
        // a certificate is worth seeing even where the rest fails
        let step = match &session {
            Err(e) if e.command == "greeting" => "greeting",
            _ => "tls",
        };
        let session = self.done(step, session)?;
        self.protection(&session, target.tls);
        Ok(session)
    }

    fn protection(&mut self, session: &Session, mode: TlsMode) {
        let Some(protection) = &session.protection else {
            self.ok("tls", Text::new("senza cifratura, su questa macchina", "unencrypted, on this machine"));
            return;
        };
        let how = if mode == TlsMode::StartTls { " (STARTTLS)" } else { "" };
        let version = protection.version;
        let Some(certificate) = &protection.certificate else {
            self.ok("tls", same(format!("{version}{how}")));
            return;
        };
        let said = certificate.text();
        self.ok(
            "tls",
            Text::new(format!("{version}{how}, {}", said.it), format!("{version}{how}, {}", said.en)),
        );
        let days = certificate.days_left((self.channel.shared.now)());
        if days < EXPIRES_SOON_DAYS {
            let until = day(certificate.until);
            let text = Text::new(
                format!("tra {days} giorni, il {until} (emesso da {})", certificate.issuer),
                format!("in {days} days, on {until} (issued by {})", certificate.issuer),
            );
            self.say("tls", Verdict::Warning, "certificate-expires-soon", &text);
        }
    }

    fn capabilities(&mut self, session: &Session) {
        let (has, lacks): (Vec<&str>, Vec<&str>) =
            ["IDLE", "MOVE", "UIDPLUS", "QUOTA"].into_iter().partition(|word| session.can(word));
        let (has, lacks) = (has.join(", "), lacks.join(", "));
        self.ok(
            "capabilities",
            match (has.is_empty(), lacks.is_empty()) {
                (_, true) => same(has),
                (true, false) => Text::new(format!("mancano {lacks}"), format!("without {lacks}")),
                (false, false) => {
                    Text::new(format!("{has}; mancano {lacks}"), format!("{has}; without {lacks}"))
                }
            },
        );
        let removes = session.can("MOVE") || session.can("UIDPLUS") || session.can("IMAP4REV2");
        let after = &self.channel.shared.settings.after;
        if matches!(after, After::Move(_) | After::Delete { .. }) && !removes {
            let text = Text::new("«after» può soltanto segnare i messaggi", "'after' can only mark messages");
            self.say("capabilities", Verdict::Warning, "no-uidplus", &text);
        }
    }

    async fn folder(&mut self, session: &mut Session, folder: &str) -> Result<(), Failed> {
        let opened = match session.open_folder(folder, false).await {
            Ok(opened) => opened,
            Err(e) if e.fault.is_refusal() => {
                let there = session.folders().await;
                let there = self.done("folder", there)?.join(", ");
                let said = Trouble::Folder(e).detail();
                let text = Text::new(
                    format!("{folder}: {}; nella casella ci sono: {there}", said.it),
                    format!("{folder}: {}; the mailbox has: {there}", said.en),
                );
                self.say("folder", Verdict::Error, "folder-missing", &text);
                return Err(Failed);
            }
            Err(e) => return self.fail("folder", &e.into()),
        };
        if opened.validity.is_none() {
            return self.fail("folder", &Trouble::NoValidity);
        }
        let n = opened.exists;
        self.ok("folder", Text::new(format!("{folder}: {n} messaggi"), format!("{folder}: {n} messages")));
        Ok(())
    }

    async fn quota(&mut self, session: &mut Session) -> Result<(), Failed> {
        let Some(folder) = self.channel.shared.settings.folders.first() else { return Ok(()) };
        let told = session.quota(folder).await;
        for fullness in self.done("quota", told)? {
            if fullness.is_nearly_full() {
                self.say("quota", Verdict::Warning, "mailbox-nearly-full", &fullness.text());
            } else {
                self.ok("quota", fullness.text());
            }
        }
        Ok(())
    }

    fn ok(&mut self, step: &'static str, text: Text) {
        self.steps.push(Step { step, verdict: Verdict::Ok, code: None, text, todo: None });
    }

    /// What a code means, with the particulars, and what to do about it.
    fn say(&mut self, step: &'static str, verdict: Verdict, code: &'static str, detail: &Text) {
        let advice = advice(code);
        let (what_it, what_en) = advice.map_or((code, code), |a| a.what);
        let text = Text::new(format!("{what_it}: {}", detail.it), format!("{what_en}: {}", detail.en));
        let todo = advice.map(|a| Text::new(a.todo.0, a.todo.1));
        self.steps.push(Step { step, verdict, code: Some(code), text, todo });
    }

    fn fail<T>(&mut self, step: &'static str, trouble: &Trouble) -> Result<T, Failed> {
        self.say(step, Verdict::Error, trouble.code().0, &trouble.detail());
        Err(Failed)
    }

    fn done<T>(&mut self, step: &'static str, result: Result<T, impl Into<Trouble>>) -> Result<T, Failed> {
        result.or_else(|e| self.fail(step, &e.into()))
    }
}

fn same(words: String) -> Text {
    Text::new(words.clone(), words)
}
