//! The command line as people and scripts use it: what each command prints, in both languages, its JSON and its exit code.

mod contract;
mod documents;
mod imports;
mod private;
mod queue;
mod speech;
mod status;
mod stop;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::Value;
use smista_testkit::{
    installation::{Installation, Said},
    postgres::TestStore,
};

use crate::support::{database, letter, program};

/// A town without mailboxes, on a schema of its own.
pub(crate) struct Office {
    pub(crate) town: Installation,
    pub(crate) store: TestStore,
}

impl Office {
    pub(crate) async fn new() -> Self {
        let (table, store) = database().await;
        Self { town: Installation::new(program(), &table, None, &[]), store }
    }

    /// With these letters imported and sorted.
    async fn with(letters: &[Vec<u8>]) -> Self {
        let office = Self::new().await;
        let dir = office.letters("lettere", letters);
        let said = office.town.run(&["import", "mail", path(&dir)]);
        assert_eq!(said.code, 0, "{said:?}");
        office
    }

    /// Writes letters as .eml files into a folder of the town.
    pub(crate) fn letters(&self, folder: &str, letters: &[Vec<u8>]) -> PathBuf {
        let dir = self.town.path().join(folder);
        fs::create_dir_all(&dir).expect("a folder");
        for (n, bytes) in letters.iter().enumerate() {
            fs::write(dir.join(format!("{n:03}.eml")), bytes).expect("a letter");
        }
        dir
    }

    /// The only number in the queues.
    pub(crate) fn number(&self) -> String {
        let queue = self.town.json(&["queue", "list", "--state", "all"]);
        let rows = queue.as_array().expect("rows");
        assert_eq!(rows.len(), 1, "{queue}");
        rows[0]["number"].as_str().expect("a number").to_owned()
    }
}

pub(crate) fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// An automatic answer: ignored.
fn out_of_office() -> Vec<u8> {
    b"From: Bruno Bianchi <bruno@example.it>\r\nTo: urp@comune.gubbio.pg.it\r\nSubject: Fuori ufficio\r\n\
      Auto-Submitted: auto-replied\r\nMessage-ID: <assente@example.it>\r\nDate: Mon, 23 Nov 2026 08:00:00 +0100\r\n\
      Content-Type: text/plain\r\n\r\nSono assente fino a lunedi.\r\n"
        .to_vec()
}

/// An advertisement: set aside.
fn advertisement() -> Vec<u8> {
    b"From: Promo <promo@example.com>\r\nTo: urp@comune.gubbio.pg.it\r\nSubject: Offerta\r\n\
      Message-ID: <offerta@example.com>\r\nDate: Mon, 23 Nov 2026 08:00:00 +0100\r\nContent-Type: text/plain\r\n\r\n\
      Le offriamo il posizionamento del suo sito sui motori di ricerca a soli 99 euro.\r\n"
        .to_vec()
}

/// Something that no rule knows: the fallback sector gets it.
fn vague() -> Vec<u8> {
    b"From: Carla <carla@example.it>\r\nTo: urp@comune.gubbio.pg.it\r\nSubject: Una cosa\r\n\
      Message-ID: <cosa@example.it>\r\nDate: Mon, 23 Nov 2026 08:00:00 +0100\r\nContent-Type: text/plain\r\n\r\n\
      Buongiorno, vorrei parlarvi di quella cosa.\r\n"
        .to_vec()
}

/// Runs a command with something on its standard input.
pub(crate) fn run_with(town: &Installation, args: &[&str], input: &[u8]) -> Said {
    let mut child = town
        .command()
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    child.stdin.take().expect("its input").write_all(input).expect("written");
    let output = child.wait_with_output().expect("its end");
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Fails unless `row` has every field of the contract with its type; `?` allows null.
fn has(row: &Value, contract: &[(&str, &str)]) {
    for (field, wanted) in contract {
        let value =
            row.get(field).unwrap_or_else(|| panic!("the contract's field {field} is missing: {row}"));
        let found = match value {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let (kind, nullable) = wanted.strip_suffix('?').map_or((*wanted, false), |kind| (kind, true));
        assert!(found == kind || (nullable && found == "null"), "{field} is {found}, not {wanted}: {row}");
    }
}
