//! The configuration directory: finding it and reading all of it, whatever is wrong in one file.

use std::{
    ffi::OsStr,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use smista_domain::Text;

use crate::{
    codes,
    diagnostic::{Diagnostic, Diagnostics},
    environment::Environment,
    section::Section,
    source::{FileId, Sources, Span},
    syntax::{parse, unread},
};

/// Where a packaged smista has its configuration.
pub const SYSTEM_DIR: &str = "/etc/smista";

/// The configuration directory: `--config DIR`, else `$SMISTA_CONFIG`, else `/etc/smista` if there is one, else
/// `./config`. Whether it holds a configuration is found out by [`load`].
pub fn find_config_dir(flag: Option<PathBuf>, environment: &Environment) -> PathBuf {
    flag.or_else(|| environment.get("SMISTA_CONFIG").map(PathBuf::from)).unwrap_or_else(|| {
        let system = Path::new(SYSTEM_DIR);
        if system.is_dir() { system.to_owned() } else { PathBuf::from("config") }
    })
}

/// Everything that was read from a configuration directory. Findings about files and their syntax are in `diagnostics`
/// already; those who read the sections add theirs.
#[derive(Debug)]
pub struct Loaded {
    /// The directory.
    pub dir: PathBuf,
    /// Every file's text.
    pub sources: Sources,
    /// What was found so far.
    pub diagnostics: Diagnostics,
    /// smista.toml, merged with defaults and environment; defaults and environment alone when there is no such file.
    pub root: Section,
    /// sectors.toml, if it is there.
    pub sectors: Option<Section>,
    /// rules/*.toml, by name.
    pub rule_files: Vec<(FileId, Section)>,
}

/// Reads `smista.toml`, `sectors.toml` and `rules/*.toml` of a directory. Never fails: what is wrong is in
/// [`Loaded::diagnostics`].
pub fn load(dir: PathBuf, environment: Environment) -> Loaded {
    let mut sources = Sources::new(dir.clone(), environment);
    let diagnostics = Diagnostics::new();
    let main = read(&mut sources, &diagnostics, &dir.join("smista.toml"));
    let main = main.unwrap_or_else(|| unread(&sources, &diagnostics));
    let root = main.layered(&mut sources);
    let sectors = read(&mut sources, &diagnostics, &dir.join("sectors.toml"));
    let mut rule_files = Vec::new();
    for path in rule_paths(&dir.join("rules"), &mut sources, &diagnostics) {
        if let Some(id) = add(&mut sources, &diagnostics, &path)
            && let Some(section) = parse(&mut sources, id, &diagnostics)
        {
            rule_files.push((id, section));
        }
    }
    Loaded { dir, sources, diagnostics, root, sectors, rule_files }
}

fn read(sources: &mut Sources, diagnostics: &Diagnostics, path: &Path) -> Option<Section> {
    let id = add(sources, diagnostics, path)?;
    parse(sources, id, diagnostics)
}

fn add(sources: &mut Sources, diagnostics: &Diagnostics, path: &Path) -> Option<FileId> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) => {
            diagnostics.push(unreadable(sources, path, &e));
            return None;
        }
    };
    sources.add(path.to_owned(), bytes).map_err(|d| diagnostics.push(d)).ok()
}

fn unreadable(sources: &mut Sources, path: &Path, error: &std::io::Error) -> Diagnostic {
    let dir = path.parent().unwrap_or(path);
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if error.kind() == ErrorKind::NotFound {
        let beside = misnamed(dir, &name);
        let (hint_it, hint_en) = match beside {
            Some(other) => (
                format!("c'è invece «{other}»: rinominare quel file in «{name}»"),
                format!("there is '{other}' instead: rename it to '{name}'"),
            ),
            None if !dir.is_dir() => (
                "controllare il percorso dopo --config, oppure copiare lì la configurazione di esempio"
                    .to_owned(),
                "check the path after --config, or copy the example configuration there".to_owned(),
            ),
            None => (
                format!("creare «{name}» partendo dalla configurazione di esempio"),
                format!("make '{name}' from the example configuration"),
            ),
        };
        let (it, en) = if dir.is_dir() {
            (format!("manca il file «{name}»"), format!("the file '{name}' is missing"))
        } else {
            let shown = dir.display();
            (
                format!("la cartella di configurazione {shown} non esiste (cercavo «{name}»)"),
                format!("there is no configuration folder {shown} (looking for '{name}')"),
            )
        };
        return Diagnostic::error(codes::FILE_MISSING, it, en).hint(hint_it, hint_en);
    }
    let why = why_unreadable(error);
    Diagnostic::error(
        codes::FILE_UNREADABLE,
        format!("questo file {}", why.it),
        format!("this file {}", why.en),
    )
    .hint(
        "dare all'utente con cui gira smista il permesso di leggere il file",
        "let the user that smista runs as read the file",
    )
    .at_opt(placeholder(sources, path))
}

/// Why a file could not be read, as the end of a sentence: `non esiste`, `non può essere letto: mancano i permessi`.
pub fn why_unreadable(error: &std::io::Error) -> Text {
    match error.kind() {
        ErrorKind::NotFound => Text::new("non esiste", "does not exist"),
        ErrorKind::PermissionDenied => {
            Text::new("non può essere letto: mancano i permessi", "cannot be read: permission denied")
        }
        ErrorKind::IsADirectory => Text::new("è una cartella, non un file", "is a folder, not a file"),
        _ => Text::new(format!("non può essere letto ({error})"), format!("cannot be read ({error})")),
    }
}

/// A place for findings about a file as a whole that has no text.
fn placeholder(sources: &mut Sources, path: &Path) -> Option<Span> {
    let file = sources.add(path.to_owned(), Vec::new()).ok()?;
    Some(Span { file, start: 0, end: 0 })
}

/// A file that was probably meant: Windows hides the ending and editors add `.txt`.
fn misnamed(dir: &Path, name: &str) -> Option<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|other| {
            let lower = other.to_lowercase();
            lower == name || lower == format!("{name}.txt") || format!("{lower}.toml") == name
        })
        .collect();
    names.sort();
    names.into_iter().next()
}

/// The rule files by name. What editors leave behind (`x.toml~`, `.#x.toml`, `.x.toml.swp`) is passed over in silence,
/// other files with a warning.
fn rule_paths(dir: &Path, sources: &mut Sources, diagnostics: &Diagnostics) -> Vec<PathBuf> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Vec::new(),
        Err(e) => {
            diagnostics.push(unreadable(sources, dir, &e));
            return Vec::new();
        }
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths.retain(|path| !path.is_dir() && !is_leftover(path));
    let (rules, others): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| {
        path.extension().and_then(OsStr::to_str).is_some_and(|e| e.eq_ignore_ascii_case("toml"))
    });
    for other in others {
        let stem = other.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let better = if stem.to_lowercase().ends_with(".toml") { stem } else { format!("{stem}.toml") };
        diagnostics.push(
            Diagnostic::warning(
                codes::FILE_IGNORED,
                "questo file non viene letto, perché il suo nome non finisce in «.toml»",
                "this file is not read, since its name does not end in '.toml'",
            )
            .hint(
                format!("se contiene regole rinominarlo in «{better}», altrimenti spostarlo altrove"),
                format!("if there are rules in it rename it to '{better}', else move it elsewhere"),
            )
            .at_opt(placeholder(sources, &other)),
        );
    }
    rules
}

fn is_leftover(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let lower = name.to_lowercase();
    name.starts_with(['.', '#', '~'])
        || name.ends_with(['~', '#'])
        || [".bak", ".swp", ".orig", ".rej", ".tmp", ".dpkg-old", ".dpkg-dist", ".md"]
            .iter()
            .any(|e| lower.ends_with(e))
}
