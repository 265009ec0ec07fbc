"""Compares what smista reads in each letter with what Python's email package says of the same bytes, and lists where they differ.

    compare.py DIR [KIND]

DIR is the folder of check.py, which left readings.jsonl there. Without KIND: how many letters differ in what, and three examples of
each; with it (subject, from, date, attachments, text-less, text-more, python-failed, bytes): every one. Neither side is right by
itself: docs/corpora.md says who is, class by class. Exit code 1 only for `bytes`: then an mbox was cut at other octets.
"""

import collections
import email
import email.policy
import email.utils
import hashlib
import html
import itertools
import json
import pathlib
import re
import sys
import warnings

WORD = re.compile(r"\w{3,}")
TAGS = re.compile(r"(?is)<(script|style|head|title)\b.*?</\1\s*>|<!--.*?-->|<[^>]*>")
PROTECTED = re.compile(rb"^>(>*From )", re.MULTILINE)
TEXT = {"text/plain", "text/html", "text/enriched", "text/richtext", "text/markdown"}


def letters(folder):
    """The readings with the bytes of each."""
    with (folder / "readings.jsonl").open() as lines:
        readings = [json.loads(line) for line in lines]
    for path, group in itertools.groupby((r for r in readings if "path" in r), key=lambda r: r["path"]):
        group, content = list(group), pathlib.Path(path).read_bytes()
        if group[0]["offset"] is None:
            yield group[0], content
            continue
        ends = [r["offset"] for r in group[1:]] + [len(content)]
        for reading, end in zip(group, ends):
            piece = content[reading["offset"] : end]
            piece = PROTECTED.sub(rb"\1", piece.partition(b"\n")[2] if piece.startswith(b"From ") else piece)
            for ending, kept in ((b"\n\r\n", b"\n"), (b"\n\n", b"\n")):
                if piece.endswith(ending):
                    piece = piece.removesuffix(ending) + kept
                    break
            yield reading, piece


def one_line(text):
    return re.sub(r"[\s\x00-\x1f\u00ad\u200b-\u200f\ufeff]+", " ", str(text or "")).strip()


def python_says(content):
    """Subject, first address of From, instant, number of attachments, words of the text; None for what it cannot say."""
    letter = email.message_from_bytes(content, policy=email.policy.default)
    said = {"subject": one_line(letter["subject"])}
    addresses = getattr(letter["from"], "addresses", ())
    said["from"] = addresses[0].addr_spec.lower() if addresses else ""
    date = getattr(letter["date"], "datetime", None)
    said["date"] = date.timestamp() if date and date.tzinfo else None
    leaves, stack = [], [letter]
    while stack:
        part = stack.pop()
        if part.get_content_maintype() == "multipart" and isinstance(part.get_payload(), list):
            stack.extend(reversed(part.get_payload()))
        else:
            leaves.append(part)
    shown = [p for p in leaves if p.get_content_type() in TEXT and p.get_content_disposition() != "attachment" and not p.get_filename()]
    said["attachments"] = len(leaves) - len(shown) if letter.is_multipart() else 0
    words, pieces = collections.Counter(), []
    for part in shown:
        text = part.get_content()
        if part.get_content_type() == "text/html":
            text = html.unescape(TAGS.sub(" ", text))
        pieces.append((part.get_content_type(), collections.Counter(WORD.findall(text.lower()))))
    plain = [w for media, w in pieces if media == "text/plain" and w]
    for found in plain or [w for _, w in pieces]:
        words += found
    said["words"] = words
    return said


def differences(reading, content):
    message = reading["reopened"].get("message")
    if message is None:
        return
    try:
        python = python_says(content)
    except Exception as error:  # whatever it is: the letter is listed
        yield "python-failed", type(error).__name__, message.get("subject", "")[:60]
        return
    subject = one_line(message.get("subject", ""))
    if subject != python["subject"][:1000].strip():
        yield "subject", python["subject"], subject
    address = message.get("sender", {}).get("address") or (message.get("forwarded_by") or {}).get("address") or ""
    if address != python["from"]:
        yield "from", python["from"], address
    if python["date"] is not None:
        ours = message.get("sent_at")
        instant = email.utils.datetime.datetime.fromisoformat(ours.replace("Z", "+00:00")).timestamp() if ours else None
        if instant is None or abs(instant - python["date"]) >= 1:
            yield "date", str(email.utils.datetime.datetime.fromtimestamp(python["date"], email.utils.datetime.timezone.utc)), ours
    if len(message.get("attachments", [])) != python["attachments"]:
        yield "attachments", python["attachments"], [a["name"] for a in message.get("attachments", [])]
    ours = collections.Counter(WORD.findall("\n".join(message.get(k) or "" for k in ("text", "quoted", "signature")).lower()))
    less, more = python["words"] - ours, ours - python["words"]
    if less.total() > max(3, python["words"].total() // 20):
        yield "text-less", f"{less.total()} of {python['words'].total()} words are missing", " ".join(list(less)[:12])
    if more.total() > max(3, ours.total() // 20):
        yield "text-more", f"{more.total()} of {ours.total()} words are more", " ".join(list(more)[:12])


def main():
    folder = pathlib.Path(sys.argv[1]).resolve()
    wanted = sys.argv[2] if len(sys.argv) > 2 else None
    warnings.simplefilter("ignore")
    found, count = collections.defaultdict(list), 0
    for reading, content in letters(folder):
        count += 1
        name = f"{pathlib.Path(reading['path']).relative_to(folder / 'letters')}:{reading['offset'] or 0}"
        if hashlib.sha256(content).hexdigest() != reading["sha256"]:
            found["bytes"].append((name, "", ""))
        for kind, python, ours in differences(reading, content):
            found[kind].append((name, python, ours))
    print(f"{count} letters; those where the two differ:")
    for kind, rows in sorted(found.items()):
        if wanted in (None, kind):
            print(f"\n== {kind}: {len(rows)}")
            for name, python, ours in rows if wanted else rows[:3]:
                print(f"   {name}\n      python: {str(python)[:160]!r}\n      smista: {str(ours)[:160]!r}")
    sys.exit(bool(found["bytes"]))


if __name__ == "__main__":
    main()
