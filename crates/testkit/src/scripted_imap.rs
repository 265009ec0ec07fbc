//! An IMAP server in memory that does what it is told: a small mailbox model, and faults on chosen commands (NO, BAD, BYE, the end of
//! the connection, silence, half an answer, junk before the answer). Plain text on loopback.

mod model;

use std::{
    collections::HashMap,
    io,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

pub use model::{Letter, Mailbox};
use model::{day_number, fetch, replace, split_answers, words};

/// What goes wrong with one command.
#[derive(Debug, Clone)]
pub enum Fault {
    /// `NO`, with a response code if not empty. Nothing is done.
    No(&'static str),
    /// Half of the untagged answers, then `NO`.
    PartlyNo,
    /// `BAD`.
    Bad,
    /// `* BYE`, then the end.
    Bye,
    /// The connection ends at once.
    Eof,
    /// The connection ends in the middle of the answer.
    EofMidway,
    /// No answer, ever.
    Silence,
    /// Half an answer, then nothing, ever.
    HalfThenSilence,
    /// These octets, then the right answer.
    Junk(&'static [u8]),
    /// These octets instead of the answer; `{T}` is the tag.
    Instead(&'static str),
    /// The right untagged answers, with this `(from, to)` replaced in them.
    Distort(&'static str, &'static str),
    /// The connection ends where this stands in the right answer. Where it does not: the right answer.
    EofAt(&'static str),
}

#[derive(Debug)]
struct Rule {
    command: String,
    contains: String,
    left: usize,
    fault: Fault,
    fired: usize,
}

#[derive(Debug, Default)]
struct State {
    folders: HashMap<String, Mailbox>,
    rules: Vec<Rule>,
    log: Vec<String>,
    capability: String,
    greeting: String,
    extra_after_starttls: Option<Vec<u8>>,
    /// Sessions that may be logged in at once.
    most_sessions: Option<usize>,
    sessions: usize,
    /// `(STORAGE 10 512)`, say.
    quota: String,
}

struct Inner {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The server. It ends when dropped.
pub struct ScriptedImap {
    inner: Arc<Inner>,
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    connections: CancellationToken,
    _task: AbortOnDropHandle<()>,
}

impl ScriptedImap {
    /// Starts one with an empty INBOX.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let state = State {
            folders: HashMap::from([("INBOX".to_owned(), Mailbox::default())]),
            capability: "IMAP4rev1 AUTH=PLAIN SASL-IR IDLE MOVE UIDPLUS".to_owned(),
            greeting: "* OK ready".to_owned(),
            ..State::default()
        };
        let inner = Arc::new(Inner { state: Mutex::new(state), changed: watch::Sender::new(0) });
        let connections = CancellationToken::new();
        let (shared, token) = (Arc::clone(&inner), connections.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (inner, token) = (Arc::clone(&shared), token.clone());
                tokio::spawn(async move { token.run_until_cancelled(serve(stream, inner)).await });
            }
        });
        Ok(Self { inner, port, connections, _task: AbortOnDropHandle::new(task) })
    }

    fn change<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let out = work(&mut self.inner.lock());
        self.inner.changed.send_modify(|n| *n += 1);
        out
    }

    /// Changes a folder, which is made if it is not there.
    pub fn folder<T>(&self, name: &str, work: impl FnOnce(&mut Mailbox) -> T) -> T {
        self.change(|state| work(state.folders.entry(name.to_owned()).or_default()))
    }

    /// Puts a letter into INBOX. Its UID.
    pub fn deliver(&self, bytes: &[u8]) -> u32 {
        self.deliver_at(bytes, "01-Nov-2020 10:00:00 +0100")
    }

    /// Puts a letter with an INTERNALDATE into INBOX. Its UID.
    pub fn deliver_at(&self, bytes: &[u8], date: &str) -> u32 {
        self.folder("INBOX", |folder| folder.add(bytes.to_vec(), date))
    }

    /// More sessions than these at once are refused, as by servers with a limit.
    pub fn refuse_logins_beyond(&self, sessions: usize) {
        self.inner.lock().most_sessions = Some(sessions);
    }

    /// Announces QUOTA, with these resources: `STORAGE 10 512`.
    pub fn set_quota(&self, resources: &str) {
        let mut state = self.inner.lock();
        if !state.capability.contains(" QUOTA") {
            state.capability.push_str(" QUOTA");
        }
        state.quota = format!("({resources})");
    }

    /// What it announces.
    pub fn set_capability(&self, words: &str) {
        words.clone_into(&mut self.inner.lock().capability);
    }

    /// How it greets.
    pub fn set_greeting(&self, line: &str) {
        line.clone_into(&mut self.inner.lock().greeting);
    }

    /// STARTTLS is answered OK, with these octets after it.
    pub fn inject_after_starttls(&self, bytes: &[u8]) {
        self.inner.lock().extra_after_starttls = Some(bytes.to_vec());
    }

    /// A fault for the next `times` commands that begin with `command` and contain `contains` (upper case).
    pub fn fault(&self, command: &str, contains: &str, times: usize, fault: Fault) {
        let rule = Rule { command: command.into(), contains: contains.into(), left: times, fault, fired: 0 };
        self.inner.lock().rules.push(rule);
    }

    /// How often faults occurred.
    pub fn fired(&self) -> usize {
        self.inner.lock().rules.iter().map(|r| r.fired).sum()
    }

    /// Every command so far, without its tag.
    pub fn log(&self) -> Vec<String> {
        self.inner.lock().log.clone()
    }

    /// How many commands began so.
    pub fn count(&self, command: &str) -> usize {
        self.inner.lock().log.iter().filter(|l| l.starts_with(command)).count()
    }
}

impl Drop for ScriptedImap {
    fn drop(&mut self) {
        self.connections.cancel();
    }
}

struct Connection {
    inner: Arc<Inner>,
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
    open: Option<String>,
    exists: usize,
    counted: bool,
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.counted {
            self.inner.lock().sessions -= 1;
        }
    }
}

enum Next {
    Go,
    Hang,
    End,
}

async fn serve(stream: TcpStream, inner: Arc<Inner>) -> io::Result<()> {
    let (read, write) = stream.into_split();
    let greeting = inner.lock().greeting.clone();
    let mut c =
        Connection { inner, read: BufReader::new(read), write, open: None, exists: 0, counted: false };
    c.send(format!("{greeting}\r\n").as_bytes()).await?;
    loop {
        let Some(line) = c.command().await? else { return Ok(()) };
        match c.answer(&line).await? {
            Next::Go => {}
            Next::End => return Ok(()),
            Next::Hang => {
                // until the other side gives up
                let mut sink = [0; 1024];
                while c.read.read(&mut sink).await? > 0 {}
                return Ok(());
            }
        }
    }
}

impl Connection {
    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write.write_all(bytes).await?;
        self.write.flush().await
    }

    /// One command with its literals spliced in as quoted strings.
    async fn command(&mut self) -> io::Result<Option<String>> {
        let mut out = String::new();
        loop {
            let mut line = Vec::new();
            if self.read.read_until(b'\n', &mut line).await? == 0 {
                return Ok(None);
            }
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            let literal = line.strip_suffix('}').and_then(|l| l.rsplit_once('{')).and_then(|(text, n)| {
                Some((text.to_owned(), n.trim_end_matches('+').parse::<usize>().ok()?))
            });
            let Some((text, n)) = literal else {
                out.push_str(&line);
                return Ok(Some(out));
            };
            self.send(b"+ go on\r\n").await?;
            let mut bytes = vec![0; n];
            self.read.read_exact(&mut bytes).await?;
            out.push_str(&text);
            out.push('"');
            out.push_str(&String::from_utf8_lossy(&bytes));
            out.push('"');
        }
    }

    fn fault(&self, command: &str) -> Option<Fault> {
        let mut state = self.inner.lock();
        state.log.push(command.to_owned());
        let upper = command.to_ascii_uppercase();
        let rule = state
            .rules
            .iter_mut()
            .find(|r| r.left > 0 && upper.starts_with(&r.command) && upper.contains(&r.contains))?;
        rule.left = rule.left.saturating_sub(1);
        rule.fired += 1;
        Some(rule.fault.clone())
    }

    async fn answer(&mut self, line: &str) -> io::Result<Next> {
        let (tag, command) = line.split_once(' ').unwrap_or((line, ""));
        let fault = self.fault(command);
        let refuse = |word: &str| format!("{tag} {word} as the script says\r\n");
        match fault {
            Some(Fault::No(code)) => {
                let code = if code.is_empty() { String::new() } else { format!("[{code}] ") };
                self.send(format!("{tag} NO {code}as the script says\r\n").as_bytes()).await?;
                return Ok(Next::Go);
            }
            Some(Fault::Bad) => {
                self.send(refuse("BAD").as_bytes()).await?;
                return Ok(Next::Go);
            }
            Some(Fault::Bye) => {
                self.send(b"* BYE as the script says\r\n").await?;
                return Ok(Next::End);
            }
            Some(Fault::Eof) => return Ok(Next::End),
            Some(Fault::Silence) => return Ok(Next::Hang),
            Some(Fault::Junk(junk)) => self.send(junk).await?,
            Some(Fault::Instead(text)) => {
                self.send(text.replace("{T}", tag).as_bytes()).await?;
                return Ok(Next::Go);
            }
            _ => {}
        }
        if command.eq_ignore_ascii_case("IDLE") && matches!(fault, None | Some(Fault::Junk(_))) {
            return self.idle(tag).await;
        }
        if command.eq_ignore_ascii_case("STARTTLS") {
            let extra = self.inner.lock().extra_after_starttls.clone();
            if let Some(extra) = extra {
                let mut all = format!("{tag} OK begin\r\n").into_bytes();
                all.extend(extra);
                self.send(&all).await?;
                return Ok(Next::Hang);
            }
        }
        let (mut untagged, done) = self.perform(command);
        if let Some(Fault::Distort(from, to)) = fault {
            untagged = replace(&untagged, from.as_bytes(), to.as_bytes());
        }
        if let Some(Fault::EofAt(text)) = fault
            && let Some(at) = untagged.windows(text.len().max(1)).position(|w| w == text.as_bytes())
        {
            self.send(untagged.get(..at).unwrap_or_default()).await?;
            return Ok(Next::End);
        }
        // without any untagged answer, half of an answer is half of the tagged one
        let tagged = format!("{tag} {done}\r\n").into_bytes();
        let half = if untagged.is_empty() { tagged.len() / 2 } else { untagged.len() * 2 / 3 };
        let all = [untagged.clone(), tagged].concat();
        let begun = all.get(..half).unwrap_or_default();
        match fault {
            Some(Fault::EofMidway) => {
                self.send(begun).await?;
                Ok(Next::End)
            }
            Some(Fault::HalfThenSilence) => {
                self.send(begun).await?;
                Ok(Next::Hang)
            }
            Some(Fault::PartlyNo) => {
                let answers = split_answers(&untagged);
                let some = answers.get(..answers.len() / 2).unwrap_or_default().concat();
                self.send(&some).await?;
                self.send(refuse("NO").as_bytes()).await?;
                Ok(Next::Go)
            }
            _ => {
                self.send(&all).await?;
                Ok(if command.eq_ignore_ascii_case("LOGOUT") { Next::End } else { Next::Go })
            }
        }
    }

    async fn idle(&mut self, tag: &str) -> io::Result<Next> {
        let mut version = self.inner.changed.subscribe();
        self.send(b"+ idling\r\n").await?;
        loop {
            let news = self.news();
            if !news.is_empty() {
                self.send(&news).await?;
            }
            let mut line = Vec::new();
            tokio::select! {
                changed = version.changed() => if changed.is_err() { return Ok(Next::End) },
                read = self.read.read_until(b'\n', &mut line) => {
                    if read? == 0 {
                        return Ok(Next::End);
                    }
                    break;
                }
            }
        }
        let fault = self.fault("DONE");
        match fault {
            Some(Fault::Silence | Fault::HalfThenSilence) => return Ok(Next::Hang),
            Some(Fault::Eof | Fault::EofMidway | Fault::Bye) => return Ok(Next::End),
            Some(Fault::Junk(junk)) => {
                self.send(junk).await?;
                self.send(format!("{tag} OK idled\r\n").as_bytes()).await?;
            }
            Some(Fault::Bad) => self.send(format!("{tag} BAD as the script says\r\n").as_bytes()).await?,
            Some(_) => self.send(format!("{tag} NO as the script says\r\n").as_bytes()).await?,
            None => self.send(format!("{tag} OK idled\r\n").as_bytes()).await?,
        }
        Ok(Next::Go)
    }

    /// EXISTS, if the open folder has changed.
    fn news(&mut self) -> Vec<u8> {
        let state = self.inner.lock();
        let Some(folder) = self.open.as_ref().and_then(|name| state.folders.get(name)) else {
            return Vec::new();
        };
        if folder.letters.len() == self.exists {
            return Vec::new();
        }
        self.exists = folder.letters.len();
        format!("* {} EXISTS\r\n", self.exists).into_bytes()
    }

    /// Does a command. Untagged answers, and the words after the tag.
    fn perform(&mut self, command: &str) -> (Vec<u8>, String) {
        let words = words(command);
        let word = |n: usize| words.get(n).map_or("", String::as_str);
        let first = word(0).to_ascii_uppercase();
        let ok = |text: &str| format!("OK {text}");
        match first.as_str() {
            "CAPABILITY" => {
                let line = format!("* CAPABILITY {}\r\n", self.inner.lock().capability);
                (line.into_bytes(), ok("done"))
            }
            "EXAMINE" | "SELECT" => self.select(word(1), first == "SELECT"),
            "GETQUOTAROOT" => {
                let (folder, quota) = (word(1), &self.inner.lock().quota);
                let lines = format!("* QUOTAROOT \"{folder}\" \"\"\r\n* QUOTA \"\" {quota}\r\n");
                (lines.into_bytes(), ok("done"))
            }
            "CREATE" => {
                self.inner.lock().folders.entry(word(1).to_owned()).or_default();
                (Vec::new(), ok("made"))
            }
            "LIST" => {
                let state = self.inner.lock();
                let list: String = state
                    .folders
                    .keys()
                    .fold(String::new(), |all, name| all + "* LIST () \"/\" \"" + name + "\"\r\n");
                (list.into_bytes(), ok("done"))
            }
            "UID" => {
                let (mut untagged, done) = self.uid(&word(1).to_ascii_uppercase(), command, &words);
                untagged.extend(self.news());
                (untagged, done)
            }
            "LOGIN" | "AUTHENTICATE" if !self.count_session() => {
                (Vec::new(), "NO [LIMIT] too many connections".to_owned())
            }
            "LOGIN" | "AUTHENTICATE" | "LOGOUT" | "NOOP" | "SUBSCRIBE" | "IDLE" | "STARTTLS" => {
                (self.news(), ok("done"))
            }
            _ => (Vec::new(), "BAD unknown command".to_owned()),
        }
    }

    fn count_session(&mut self) -> bool {
        let mut state = self.inner.lock();
        if state.most_sessions.is_some_and(|most| state.sessions >= most) {
            return false;
        }
        if !self.counted {
            state.sessions += 1;
        }
        drop(state);
        self.counted = true;
        true
    }

    fn select(&mut self, name: &str, write: bool) -> (Vec<u8>, String) {
        let state = self.inner.lock();
        let Some(folder) = state.folders.get(name) else {
            return (Vec::new(), "NO [NONEXISTENT] there is no such folder".to_owned());
        };
        self.exists = folder.letters.len();
        let mut out = format!("* FLAGS (\\Seen \\Deleted)\r\n* {} EXISTS\r\n* 0 RECENT\r\n", self.exists);
        if let Some(validity) = folder.validity {
            out = format!("{out}* OK [UIDVALIDITY {validity}] x\r\n");
        }
        if let Some(next) = folder.told_next {
            out = format!("{out}* OK [UIDNEXT {next}] x\r\n");
        }
        self.open = Some(name.to_owned());
        (out.into_bytes(), format!("OK [READ-{}] open", if write { "WRITE" } else { "ONLY" }))
    }

    fn uid(&mut self, verb: &str, command: &str, words: &[String]) -> (Vec<u8>, String) {
        let word = |n: usize| words.get(n).map_or("", String::as_str);
        let mut state = self.inner.lock();
        let Some(open) = self.open.clone() else { return (Vec::new(), "BAD no folder is open".to_owned()) };
        let Some(folder) = state.folders.get_mut(&open) else {
            return (Vec::new(), "NO the folder is gone".to_owned());
        };
        let uids = folder.set(word(2));
        match verb {
            "SEARCH" => {
                let mut uids = if word(2) == "UID" { folder.set(word(3)) } else { folder.set("1:*") };
                if word(4) == "SINCE" {
                    let since = day_number(word(5));
                    uids.retain(|uid| folder.letters.get(uid).is_some_and(|l| day_number(&l.date) >= since));
                }
                let list = uids.iter().fold(String::new(), |all, uid| all + " " + &uid.to_string());
                (format!("* SEARCH{list}\r\n").into_bytes(), "OK found".to_owned())
            }
            "FETCH" => (fetch(folder, &uids, command), "OK fetched".to_owned()),
            "STORE" => {
                let flag = command.rsplit_once('(').map_or("", |(_, f)| f.trim_end_matches(')')).to_owned();
                for uid in uids {
                    let Some(letter) = folder.letters.get_mut(&uid) else { continue };
                    letter.flags.retain(|there| *there != flag);
                    if !command.contains("-FLAGS") {
                        letter.flags.push(flag.clone());
                    }
                }
                (Vec::new(), "OK stored".to_owned())
            }
            "EXPUNGE" => {
                folder
                    .letters
                    .retain(|uid, l| !(uids.contains(uid) && l.flags.iter().any(|f| f == "\\Deleted")));
                (Vec::new(), "OK expunged".to_owned())
            }
            "COPY" | "MOVE" => {
                let letters: Vec<Letter> =
                    uids.iter().filter_map(|uid| folder.letters.get(uid).cloned()).collect();
                let target = word(3).to_owned();
                if !state.folders.contains_key(&target) {
                    return (Vec::new(), "NO [TRYCREATE] there is no such folder".to_owned());
                }
                if verb == "MOVE"
                    && let Some(folder) = state.folders.get_mut(&open)
                {
                    folder.letters.retain(|uid, _| !uids.contains(uid));
                }
                if let Some(target) = state.folders.get_mut(&target) {
                    for letter in letters {
                        target.add(letter.bytes, &letter.date);
                    }
                }
                (Vec::new(), "OK done".to_owned())
            }
            _ => (Vec::new(), "BAD unknown".to_owned()),
        }
    }
}
