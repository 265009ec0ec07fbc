"""Imports the letters that fetch.py took with the real program, and counts them with Python's own mailbox module beside it.

    check.py SMISTA READINGS DIR

SMISTA and READINGS are the program and the example of the same name; DIR is the folder of fetch.py. Twice, each time with a
private PostgreSQL of its own: as a comune has it, and with `automatic = "keep"`. Exit code 1 when a letter was lost,
the ledger does not add up, or the program crashed; what was quarantined and what it could not import is printed with its reason.
"""

import collections
import hashlib
import json
import mailbox
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

CONFIG = pathlib.Path(__file__).resolve().parents[2] / "config"
TIME = re.compile(rb"\s\d\d?:\d\d")
YEAR = re.compile(rb"\s\d{4}(\s|$)")
FIELD = re.compile(rb"([!-9;-~]+:|>From )")

wrong = []


def expect(holds, text):
    if not holds:
        wrong.append(text)
        print(f"WRONG: {text}")


def separators(path):
    """Where Python's mailbox module cuts an mbox, and the cuts of these where a letter begins: a time in the line, a head below it."""
    box = mailbox.mbox(path, create=False)
    starts = [box._lookup(key)[0] for key in box.keys()]
    content = path.read_bytes()

    def begins(start):
        line, _, rest = content[start:].partition(b"\n")
        dated = (TIME.search(line) and YEAR.search(line)) or line.strip() == b"From -"
        return not content[:start].strip() or (dated and FIELD.match(rest.partition(b"\n")[0]))

    return starts, [start for start in starts if begins(start)]


def second_reader(letters):
    """Source by source: how many letters there are, in how many files, how many are distinct. And the mboxes that mailbox cuts otherwise."""
    rows, otherwise, distinct = {}, [], set()
    for folder in sorted(letters.iterdir()):
        count = files = new = 0
        for path in sorted(folder.iterdir()):
            files += 1
            content = path.read_bytes()
            pieces = [content]
            if path.suffix == ".mbox":
                raw, starts = separators(path)
                pieces = [content[a:b] for a, b in zip(starts, [*starts[1:], None])]
                if len(raw) != len(starts):
                    otherwise.append((f"{folder.name}/{path.name}", len(raw), len(starts)))
            count += len(pieces)
            for piece in pieces:
                # The separator is the mbox's.
                whole = piece.partition(b"\n")[2].strip() if path.suffix == ".mbox" else piece.strip()
                digest = hashlib.sha256(whole).digest()
                new += digest not in distinct
                distinct.add(digest)
        rows[folder.name] = {"files": files, "letters": count, "new": new}
    return rows, otherwise, len(distinct)


class Town:
    """A configuration and a private database in a temporary folder."""

    def __init__(self, program, mailbox_lines=""):
        self.program = program
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="smista-corpora-"))
        self.dir.chmod(0o755)
        config = self.dir / "config"
        shutil.copytree(CONFIG, config)
        (config / "smista.toml").write_text(
            f'[comune]\nname = "Gubbio"\npatron = "05-16"\ndomains = ["comune.gubbio.pg.it"]\n\n'
            f'[state]\ndir = "{self.dir / "state"}"\nrun_dir = "{self.dir / "run"}"\n\n{mailbox_lines}'
        )
        secret = config / "password"
        secret.write_text("none")
        secret.chmod(0o600)

    def run(self, *arguments):
        command = [self.program, "--config", self.dir / "config", "--lang", "en", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        said = done.stdout + done.stderr
        expect(done.returncode >= 0 and "panicked" not in said, f"smista {arguments[0]} crashed: {done.stderr[-500:]}")
        return done

    def json(self, *arguments):
        done = self.run(*arguments, "--json")
        try:
            return json.loads(done.stdout), done
        except json.JSONDecodeError:
            sys.exit(f"corpora: smista {' '.join(map(str, arguments))} said no JSON (exit code {done.returncode}): {done.stderr[-2000:]}")

    def leave(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def imported(program, letters, channel, count, mailbox_lines=""):
    town = Town(program, mailbox_lines)
    try:
        total, done = town.json("import", "mail", "--channel", channel, letters)
        print(f"\n== import into {channel}: {json.dumps(total)}, {count} by the second reader")
        for line in done.stderr.splitlines():
            print(f"   {line[:200]}")
        expect(total["new"] + total["known"] + total["errors"] == count, f"{channel}: {total} are not {count} letters")
        again, _ = town.json("import", "mail", "--channel", channel, letters)
        expect(again["new"] == 0 and again["known"] == total["new"] + total["known"], f"{channel}: imported again: {again}")
        ledger, checked = town.json("ledger", "--verify")
        expect(checked.returncode == 0, f"{channel}: ledger --verify: {checked.stdout[-2000:]}{checked.stderr[-500:]}")
        row = next(r for r in ledger if r["channel"] == channel)
        print(f"   ledger: {json.dumps(row)}")
        expect(row["delivered"] == total["new"], f"{channel}: {row['delivered']} delivered, {total['new']} imported")
        expect(row["waiting"] == 0, f"{channel}: {row['waiting']} still wait")
        quarantined, _ = town.json("deliveries", "list", "--state", "quarantined", "--limit", "100000")
        print(f"   quarantined: {len(quarantined)}")
        for delivery in quarantined:
            print(f"   {json.dumps(delivery)}")
        return row
    finally:
        town.leave()


def main():
    program, readings, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]).resolve()
    letters = folder / "letters"
    rows, otherwise, distinct = second_reader(letters)
    count = sum(row["letters"] for row in rows.values())
    print(f"{'source':55} {'version':26} {'files':>6} {'letters':>8} {'new':>6}")
    for source in json.loads((folder / "sources.json").read_text()):
        row = rows.get(source["source"])
        if row is None:
            print(f"{source['source']:55} {source['version']:26} cannot be had: {source.get('unavailable', 'no letter in it')}")
        else:
            print(f"{source['source']:55} {source['version']:26} {row['files']:6} {row['letters']:8} {row['new']:6}")
    print(f"{'together':82} {sum(r['files'] for r in rows.values()):6} {count:8} {distinct:6}")
    print("\n`new`: letters whose bytes no source above has. Where Python's mailbox cuts at a line `From ` that begins no letter:")
    for name, raw, kept in otherwise:
        print(f"   {name}: {raw} pieces, {kept} letters")
    expect(distinct >= 3000, f"{distinct} distinct letters, 3000 are wanted")

    kept = '[[email]]\nname = "kept"\nhost = "localhost"\nuser = "kept@comune.gubbio.pg.it"\npassword_file = "password"\nautomatic = "keep"\nflood = 0\n'
    imported(program, letters, "email/import", count)
    imported(program, letters, "email/kept", count, kept)

    with (folder / "readings.jsonl").open("w") as out:
        done = subprocess.run([readings, letters], stdout=out, stderr=subprocess.PIPE, text=True, check=False)
    expect(done.returncode == 0, f"readings: {done.stderr[-500:]}")
    times = collections.Counter()
    lines = 0
    with (folder / "readings.jsonl").open() as read:
        for line in read:
            lines += 1
            reading = json.loads(line)
            if "path" in reading:
                times[f"{pathlib.Path(reading['path']).relative_to(letters)} {reading['offset'] or ''} ({reading['octets']} octets)"] = reading["micros"]
    expect(lines == count, f"readings: {lines} lines for {count} letters")
    print("\n== the slowest ten to read")
    for name, micros in times.most_common(10):
        print(f"   {micros / 1000:8.1f} ms  {name}")
    print(f"\n{len(wrong)} things are wrong" if wrong else "\nnothing lost, nothing crashed, the ledger adds up")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
