//! The texts that were read, and positions in them.
//!
//! A value that came from an environment variable is a text of its own here, so that a [`Span`] can always say where a
//! value came from; the text of a variable is never shown (it may hold a password).

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{decode::decode, diagnostic::Diagnostic, environment::Environment};

/// One text in [`Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(usize);

/// A part of a text: byte offsets into the decoded text, `start <= end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The text.
    pub file: FileId,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// Where a span begins and ends, as people count: lines and characters from 1; the end is one past the last character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line of the first character.
    pub line: usize,
    /// Column of the first character.
    pub column: usize,
    /// Line of the end.
    pub end_line: usize,
    /// Column of the end.
    pub end_column: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    File(PathBuf),
    Variable(String),
}

#[derive(Debug, Clone)]
struct Entry {
    origin: Origin,
    text: Arc<str>,
    /// Byte offset of each line's first byte.
    lines: Vec<usize>,
}

/// Every text that was read: files of the configuration directory and environment variables.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    entries: Vec<Entry>,
    base: PathBuf,
    environment: Arc<Environment>,
}

impl Sources {
    /// Sources without any text yet. `base` is the configuration directory: paths are shown relative to it, and relative
    /// paths in `*_file` keys start from it; `environment` is what `*_env` keys look into.
    pub fn new(base: PathBuf, environment: Environment) -> Self {
        Self { entries: Vec::new(), base, environment: Arc::new(environment) }
    }

    /// Adds a file's bytes. BOM, UTF-8, UTF-16 and Windows-1252 are understood; line ends become `\n`.
    /// Fails on what is no text at all.
    pub fn add(&mut self, path: PathBuf, bytes: Vec<u8>) -> Result<FileId, Diagnostic> {
        match decode(bytes) {
            Ok(text) => Ok(self.push(Origin::File(path), &text)),
            Err(problem) => {
                let id = self.push(Origin::File(path), "");
                Err(problem.into_diagnostic().at(Span { file: id, start: 0, end: 0 }))
            }
        }
    }

    /// Adds the value of an environment variable, so that spans can point at it.
    pub fn add_variable(&mut self, name: &str, value: &str) -> FileId {
        self.push(Origin::Variable(name.to_owned()), value)
    }

    fn push(&mut self, origin: Origin, text: &str) -> FileId {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        self.entries.push(Entry { origin, text: text.into(), lines });
        FileId(self.entries.len() - 1)
    }

    /// The path of a file as it was added; empty for an environment variable.
    pub fn path(&self, id: FileId) -> &Path {
        match self.entries.get(id.0).map(|e| &e.origin) {
            Some(Origin::File(path)) => path,
            _ => Path::new(""),
        }
    }

    /// The name of the environment variable, if that is what the text is.
    pub fn variable(&self, id: FileId) -> Option<&str> {
        match self.entries.get(id.0).map(|e| &e.origin) {
            Some(Origin::Variable(name)) => Some(name),
            _ => None,
        }
    }

    /// How the file is named to people: its path below the configuration directory, with forward slashes; a
    /// variable's name with a dollar sign.
    pub fn display(&self, id: FileId) -> String {
        match self.entries.get(id.0).map(|e| &e.origin) {
            Some(Origin::File(path)) => {
                let shown = path.strip_prefix(&self.base).unwrap_or(path);
                shown.to_string_lossy().replace('\\', "/")
            }
            Some(Origin::Variable(name)) => format!("${name}"),
            None => String::new(),
        }
    }

    /// The decoded text.
    pub fn text(&self, id: FileId) -> &str {
        self.entries.get(id.0).map_or("", |e| &e.text)
    }

    /// The configuration directory.
    pub fn base(&self) -> &Path {
        &self.base
    }

    pub(crate) fn environment(&self) -> &Arc<Environment> {
        &self.environment
    }

    /// Line and column (in characters) where a span begins, from 1.
    pub fn line_col(&self, span: Span) -> (usize, usize) {
        self.locate(span.file, span.start)
    }

    /// Where a span begins and ends.
    pub fn position(&self, span: Span) -> Position {
        let (line, column) = self.locate(span.file, span.start);
        let (end_line, end_column) = self.locate(span.file, span.end.max(span.start));
        Position { line, column, end_line, end_column }
    }

    fn locate(&self, id: FileId, offset: usize) -> (usize, usize) {
        let Some(entry) = self.entries.get(id.0) else { return (1, 1) };
        let line = entry.lines.partition_point(|start| *start <= offset).max(1);
        let start = entry.lines.get(line - 1).copied().unwrap_or(0);
        let rest = entry.text.get(start..).unwrap_or("");
        (line, rest.char_indices().take_while(|(at, _)| start + at < offset).count() + 1)
    }

    /// The text of a line (from 1) without its line end.
    pub fn line(&self, id: FileId, line: usize) -> &str {
        let Some(entry) = self.entries.get(id.0) else { return "" };
        let Some(start) = entry.lines.get(line.saturating_sub(1)).copied() else { return "" };
        let end = entry.lines.get(line).map_or(entry.text.len(), |next| next - 1);
        entry.text.get(start..end).unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(text: &str) -> (Sources, FileId) {
        let mut sources = Sources::new("/etc/smista".into(), Environment::default());
        let id = sources.add("/etc/smista/rules/a.toml".into(), text.into()).expect("text");
        (sources, id)
    }

    #[test]
    fn columns_count_characters_and_lines_begin_at_one() {
        let (sources, file) = sources("a\r\ncittà = 1\n");
        let at = |start, end| sources.position(Span { file, start, end });
        assert_eq!(at(0, 1), Position { line: 1, column: 1, end_line: 1, end_column: 2 });
        let equals = sources.text(file).find('=').expect("there");
        assert_eq!(at(equals, equals + 1), Position { line: 2, column: 7, end_line: 2, end_column: 8 });
        let end = sources.text(file).len();
        assert_eq!(sources.line_col(Span { file, start: end, end }), (3, 1));
        assert_eq!(
            (sources.line(file, 2), sources.line(file, 3), sources.line(file, 9)),
            ("città = 1", "", "")
        );
    }

    #[test]
    fn paths_are_shown_below_the_configuration_directory() {
        let (sources, file) = sources("");
        assert_eq!(sources.display(file), "rules/a.toml");
        assert_eq!(sources.path(file), Path::new("/etc/smista/rules/a.toml"));
    }
}
