//! Which PostgreSQL server of this machine to use: the one that made the data, else the newest.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::PrivateError;

/// The oldest major version that will do.
pub const OLDEST: u32 = 14;

/// A PostgreSQL server's programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerBinaries {
    /// Major version, for instance 15.
    pub major: u32,
    /// The folder with `postgres` and `initdb`.
    pub dir: PathBuf,
}

impl ServerBinaries {
    /// Every server on this machine, newest first: Debian's and Red Hat's folders, then those of `search_path`.
    pub fn installed(search_path: Option<&OsStr>) -> Vec<Self> {
        Self::below(Path::new("/"), search_path)
    }

    /// As [`ServerBinaries::installed`], with another folder for `/`.
    fn below(root: &Path, search_path: Option<&OsStr>) -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        let versioned = [("usr/lib/postgresql", "", "bin"), ("usr", "pgsql-", "bin")];
        for (parent, prefix, bin) in versioned {
            for entry in fs::read_dir(root.join(parent)).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let major = name.to_str().and_then(|n| n.strip_prefix(prefix)).and_then(|n| n.parse().ok());
                if let Some(major) = major {
                    found.push(Self { major, dir: entry.path().join(bin) });
                }
            }
        }
        found.retain(Self::complete);
        for dir in search_path.into_iter().flat_map(std::env::split_paths) {
            let known = found.iter().any(|f| same_dir(&f.dir, &dir));
            let candidate = Self { major: 0, dir };
            if !known
                && candidate.complete()
                && let Some(major) = candidate.ask_version()
            {
                found.push(Self { major, ..candidate });
            }
        }
        // Stable: among equals, the distribution's own before what the search path has.
        found.sort_by_key(|f| std::cmp::Reverse(f.major));
        found
    }

    fn complete(&self) -> bool {
        self.program("postgres").is_file() && self.program("initdb").is_file()
    }

    /// The path of one of its programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn ask_version(&self) -> Option<u32> {
        let said = Command::new(self.program("postgres")).arg("--version").env_clear().output().ok()?;
        parse_version(&String::from_utf8_lossy(&said.stdout))
    }

    /// Chooses: the server of the version that made the data, if there is data; else the newest that will do.
    pub(super) fn choose(installed: &[Self], data: Option<u32>) -> Result<Self, PrivateError> {
        let fits = |found: &&Self| data.map_or(found.major >= OLDEST, |major| found.major == major);
        if let Some(found) = installed.iter().find(fits) {
            return Ok(found.clone());
        }
        let have: Vec<String> = installed.iter().map(|f| f.major.to_string()).collect();
        let have = if have.is_empty() { String::new() } else { format!(" ({})", have.join(", ")) };
        Err(match data {
            Some(major) => PrivateError::new(
                "wrong-version",
                format!(
                    "I dati sono di PostgreSQL {major}, ma su questa macchina il server di quella versione non c'è{have}. \
                     Installarlo: apt-get install postgresql-{major}"
                ),
                format!(
                    "the data was made by PostgreSQL {major}, and the server of that version is not on this machine{have}: \
                     apt-get install postgresql-{major}"
                ),
            ),
            None => PrivateError::new(
                "no-server",
                format!(
                    "Su questa macchina non c'è un server PostgreSQL dalla versione {OLDEST} in poi{have}. Installarlo: \
                     apt-get install postgresql. Oppure indicare un database esistente con database.url."
                ),
                format!(
                    "there is no PostgreSQL server, version {OLDEST} or later, on this machine{have}: apt-get install \
                     postgresql, or name an existing database with database.url"
                ),
            ),
        })
    }
}

fn same_dir(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}

/// `postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)` is 15; so is `15beta2`.
fn parse_version(said: &str) -> Option<u32> {
    let version = said.split_whitespace().nth(2)?;
    let digits = version.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn server(root: &Path, dir: &str, version: &str) {
        let dir = root.join(dir);
        fs::create_dir_all(&dir).expect("folder");
        for program in ["postgres", "initdb"] {
            let file = dir.join(program);
            fs::write(&file, format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n")).expect("file");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("mode");
        }
    }

    fn found(major: u32, dir: &str) -> ServerBinaries {
        ServerBinaries { major, dir: dir.into() }
    }

    #[test]
    fn versions_as_servers_say_them() {
        let cases = [
            ("postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)", Some(15)),
            ("postgres (PostgreSQL) 18beta2", Some(18)),
            ("postgres (PostgreSQL) 9.6.24", Some(9)),
            ("something else", None),
            ("", None),
        ];
        for (said, expected) in cases {
            assert_eq!(parse_version(said), expected, "{said}");
        }
    }

    #[test]
    fn servers_are_found_newest_first_and_once() {
        let root = tempfile::tempdir().expect("folder");
        server(root.path(), "usr/lib/postgresql/9.6/bin", "9.6.1");
        server(root.path(), "usr/lib/postgresql/15/bin", "15.2");
        server(root.path(), "usr/pgsql-17/bin", "17.1");
        server(root.path(), "opt/pg/bin", "16.3 (own build)");
        fs::create_dir_all(root.path().join("usr/lib/postgresql/13/lib"))
            .expect("a rest of one that was removed");
        let path = std::env::join_paths([
            root.path().join("usr/lib/postgresql/15/bin"),
            root.path().join("opt/pg/bin"),
            root.path().join("nowhere"),
        ])
        .expect("path");
        let majors: Vec<u32> =
            ServerBinaries::below(root.path(), Some(&path)).into_iter().map(|f| f.major).collect();
        assert_eq!(majors, [17, 16, 15]);
    }

    #[test]
    fn data_is_served_by_the_version_that_made_it() {
        let installed = [found(17, "/17"), found(15, "/15")];
        assert_eq!(ServerBinaries::choose(&installed, Some(15)), Ok(found(15, "/15")));
        assert_eq!(ServerBinaries::choose(&installed, None), Ok(found(17, "/17")));
        let error = ServerBinaries::choose(&installed, Some(16)).expect_err("not installed");
        assert_eq!(error.code, "wrong-version");
        assert!(error.text.it.contains("apt-get install postgresql-16"), "{error}");
        assert!(error.text.en.contains("postgresql-16"), "{error}");
    }

    #[test]
    fn without_a_server_the_package_is_named() {
        for installed in [vec![], vec![found(13, "/13")]] {
            let error = ServerBinaries::choose(&installed, None).expect_err("none that will do");
            assert_eq!(error.code, "no-server");
            assert!(error.text.it.contains("apt-get install postgresql"), "{error}");
        }
    }
}
