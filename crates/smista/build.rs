//! Embeds the demo's letters and the default configuration, so that `smista demo` works wherever the binary is.

use std::{
    env,
    fmt::Write as _,
    fs,
    io::Result,
    path::{Path, PathBuf},
};

fn files(dir: &Path, extension: &str, found: &mut Vec<PathBuf>) -> Result<()> {
    println!("cargo:rerun-if-changed={}", dir.display());
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, extension, found)?;
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(())
}

fn table(name: &str, root: &Path, paths: &[PathBuf]) -> String {
    let mut text =
        format!("/// Embedded files: path and content.\npub(crate) static {name}: &[(&str, &[u8])] = &[\n");
    for path in paths {
        let (shown, path) =
            (path.strip_prefix(root).unwrap_or(path).display().to_string(), path.display().to_string());
        let _ = writeln!(text, "    ({shown:?}, include_bytes!({path:?})),");
    }
    text + "];\n"
}

#[allow(clippy::disallowed_methods, reason = "cargo speaks to build scripts through the environment")]
fn main() -> Result<()> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap_or_default());
    let out = PathBuf::from(env::var("OUT_DIR").unwrap_or_default());
    let letters = here.join("demo/letters");
    let config = here.join("../../config");
    let (mut eml, mut toml) = (Vec::new(), Vec::new());
    files(&letters, "eml", &mut eml)?;
    files(&config, "toml", &mut toml)?;
    let text = table("LETTERS", &letters, &eml) + &table("DEFAULT_CONFIG", &config, &toml);
    fs::write(out.join("embedded.rs"), text)
}
