//! What people and other programs do to a mailbox while smista watches it: a small IMAP client, plain on loopback, that gives one
//! command at a time and believes nothing but a tagged OK.

use std::{io, net::Ipv4Addr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// One untagged answer: its text, with every literal taken out of it.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The text, without line ends.
    pub text: String,
    /// The literals, in their order.
    pub literals: Vec<Vec<u8>>,
}

/// A session that is logged in.
pub struct ImapClient {
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
    commands: u32,
}

impl ImapClient {
    /// Logs in.
    pub async fn log_in(port: u16, user: &str, password: &str) -> io::Result<Self> {
        let (read, write) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?.into_split();
        let mut this = Self { read: BufReader::new(read), write, commands: 0 };
        this.answer().await?;
        let secret = STANDARD.encode(format!("\0{user}\0{password}"));
        this.run(&format!("AUTHENTICATE PLAIN {secret}")).await?;
        Ok(this)
    }

    async fn answer(&mut self) -> io::Result<Answer> {
        let mut answer = Answer::default();
        loop {
            let mut line = Vec::new();
            if self.read.read_until(b'\n', &mut line).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            answer.text.push_str(String::from_utf8_lossy(&line).trim_end());
            let length =
                answer.text.strip_suffix('}').and_then(|t| t.rsplit_once('{')).map(|(_, n)| n.parse());
            let Some(Ok(length)) = length else { return Ok(answer) };
            let mut literal = vec![0; length];
            self.read.read_exact(&mut literal).await?;
            answer.literals.push(literal);
        }
    }

    async fn finish(&mut self, tag: &str) -> io::Result<Vec<Answer>> {
        let mut untagged = Vec::new();
        loop {
            let answer = self.answer().await?;
            match answer.text.strip_prefix(tag) {
                Some(done) if done.trim_start().starts_with("OK") => return Ok(untagged),
                Some(done) => return Err(io::Error::other(done.trim_start().to_owned())),
                None => untagged.push(answer),
            }
        }
    }

    async fn begin(&mut self, command: &str) -> io::Result<String> {
        self.commands += 1;
        let tag = format!("c{}", self.commands);
        self.write.write_all(format!("{tag} {command}\r\n").as_bytes()).await?;
        Ok(tag)
    }

    /// Gives a command; its untagged answers. NO and BAD are errors.
    pub async fn run(&mut self, command: &str) -> io::Result<Vec<Answer>> {
        let tag = self.begin(command).await?;
        self.finish(&tag).await
    }

    /// Adds a letter to a folder.
    pub async fn append(&mut self, folder: &str, letter: &[u8]) -> io::Result<()> {
        let tag = self.begin(&format!("APPEND {folder} {{{}}}", letter.len())).await?;
        while !self.answer().await?.text.starts_with('+') {}
        self.write.write_all(letter).await?;
        self.write.write_all(b"\r\n").await?;
        self.finish(&tag).await.map(drop)
    }

    /// The letters of a folder with their flags, in the order of their UIDs.
    pub async fn letters(&mut self, folder: &str) -> io::Result<Vec<(Vec<u8>, Vec<String>)>> {
        self.run(&format!("EXAMINE {folder}")).await?;
        let found = self.run("UID FETCH 1:* (FLAGS BODY.PEEK[])").await?;
        Ok(found
            .into_iter()
            .filter_map(|mut answer| {
                let flags = answer.text.split_once("FLAGS (")?.1.split_once(')')?.0;
                // \Recent is the session's affair, not the letter's
                let flags =
                    flags.split_whitespace().filter(|f| *f != "\\Recent").map(str::to_owned).collect();
                Some((answer.literals.pop()?, flags))
            })
            .collect())
    }

    /// Removes every letter of a folder, as a POP client does that leaves nothing on the server.
    pub async fn empty(&mut self, folder: &str) -> io::Result<()> {
        self.run(&format!("SELECT {folder}")).await?;
        self.run("UID STORE 1:* +FLAGS.SILENT (\\Deleted)").await?;
        self.run("CLOSE").await.map(drop)
    }
}
