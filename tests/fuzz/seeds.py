#!/usr/bin/env python3
"""Writes the seeds of the fuzz corpora that are no letters; those are written by crates/testkit/examples/fuzz_seeds.rs.

    python3 tests/fuzz/seeds.py
"""

import io
import pathlib
import zipfile

here = pathlib.Path(__file__).parent
root = here.parent.parent


def put(target, name, content):
    folder = here / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def archive(*files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for n, (name, content) in enumerate(files):
            info = zipfile.ZipInfo(name)
            file.writestr(info, content, zipfile.ZIP_DEFLATED if n else zipfile.ZIP_STORED)
    return out.getvalue()


def docx(body):
    return archive(
        ("[Content_Types].xml", "<Types/>"),
        ("_rels/.rels", '<Relationships><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>'),
        ("word/document.xml", f'<?xml version="1.0"?><w:document xmlns:w="urn:w" xmlns:mc="urn:mc"><w:body>{body}</w:body></w:document>'),
    )


def odt(body):
    return archive(
        ("mimetype", "application/vnd.oasis.opendocument.text"),
        ("content.xml", f'<?xml version="1.0"?><office:document-content xmlns:office="urn:o" xmlns:text="urn:t"><office:body><office:text>{body}</office:text></office:body></office:document-content>'),
        ("META-INF/manifest.xml", "<manifest/>"),
    )


# --- documents: the first byte chooses the limits
words = "<w:p><w:r><w:t>una buca</w:t><w:tab/><w:t xml:space='preserve'> profonda</w:t></w:r></w:p>"
for n, (name, content) in enumerate({
    "paragraph.docx": docx(words),
    "deleted-and-fields.docx": docx("<w:p><w:del><w:r><w:delText>x</w:delText></w:r></w:del><w:r><w:instrText>PAGE</w:instrText><w:br w:type='page'/><w:t>due</w:t></w:r></w:p>"),
    "alternate.docx": docx("<mc:AlternateContent><mc:Choice><w:p><w:r><w:t>riquadro</w:t></w:r></w:p></mc:Choice><mc:Fallback>no</mc:Fallback></mc:AlternateContent><w:drawing/>"),
    "spaces.odt": odt("<text:h>Richiesta</text:h><text:p>Il<text:s text:c='2'/>lampione<text:line-break/>spento<text:tab/></text:p>"),
    "annotation.odt": odt("<text:p>uno<office:annotation><text:p>nota</text:p></office:annotation><text:soft-page-break/>due</text:p>"),
    "bomb.docx": archive(("[Content_Types].xml", "<Types/>"), ("word/document.xml", " " * 200_000)),
    "charsets.rtf": rb"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\fcharset0 Arial;}{\f1\fcharset238 Arial CE;}}\pard\f0 citt\'e0 \u232?\f1\'e8\par\page due\bin3 }{\} tre}",
    "groups.rtf": rb"{\rtf1{\*\generator x;}{\info{\author y}}{\field{\*\fldinst HYPERLINK}{\fldrslt qui}}{\pict\bin5 abcde}\uc2\u8364 ?? EUR\tab\line fine}",
    "text.txt": "Perché la città è al buio\n",
    "latin1.txt": "Perché la città è al buio\n".encode("latin-1"),
    "utf16.txt": "Perché la città\n".encode("utf-16"),
    "photograph.jpg": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
    "old.doc": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00\x00",
    "detached.p7m": (root / "crates/documents/tests/samples/staccata.p7m").read_bytes(),
}.items()):
    for limits in (n % 4, 0):
        put("documents", f"{limits}-{name}", bytes([limits]) + (content if isinstance(content, bytes) else content.encode()))


def der(tag, content):
    return bytes([tag, 0x82]) + len(content).to_bytes(2, "big") + content


def signed(octets):
    data, signed_data = (b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07" + bytes([n]) for n in (1, 2))
    inner = b"\x02\x01\x01\x31\x00" + der(0x30, data + der(0xA0, octets))
    return der(0x30, signed_data + der(0xA0, der(0x30, inner)))


piece = der(0x04, b"una buca profonda")
put("documents", "0-text.p7m", b"\0" + signed(piece))
put("documents", "0-pieces.p7m", b"\0" + signed(b"\x24\x80" + piece + b"\x24\x80" + piece + b"\0\0" + piece + b"\0\0"))
put("documents", "3-twice.p7m", b"\3" + signed(der(0x04, signed(piece))))
put("documents", "0-docx.p7m", b"\0" + signed(der(0x04, docx(words))))

# --- pdf: a page's content, or a file
for name, content in {
    "text": "BT /F1 12 Tf 50 700 Td (buca) Tj ET",
    "moves": "BT /F1 9 Tf 14 TL 1 0 0 1 50 700 Tm [(una) -300 (bu) 20 (ca)] TJ T* (due) ' 1 2 (tre) \" ET",
    "picture": "q 10 0 0 10 0 0 cm BI /W 1 /H 1 /BPC 8 /CS /G ID x EI Q /Im1 Do",
    "odd": "BT /F9 Tf Td (x\\)\\053\\n) Tj <62756361> Tj << /A [1 2] >> BDC EMC ET (",
}.items():
    put("pdf", name, b"\0" + content.encode())
for name in ("istanza-winansi.pdf", "modulo.pdf", "cifrato.pdf"):
    put("pdf", name, b"\0" + (root / "crates/documents/tests/samples" / name).read_bytes())

# --- segnatura, daticert: the first byte chooses the charset that the head declares
put("segnatura", "old", '\0<?xml version="1.0" encoding="ISO-8859-1"?><!DOCTYPE Segnatura SYSTEM "Segnatura.dtd"><Segnatura><Intestazione><Identificatore><CodiceAmministrazione>r_umbria</CodiceAmministrazione><CodiceAOO>GRU</CodiceAOO><NumeroRegistrazione>0001234</NumeroRegistrazione><DataRegistrazione>19/09/2026</DataRegistrazione></Identificatore></Intestazione></Segnatura>')
put("segnatura", "new", '\1<p:SegnaturaInformatica xmlns:p="http://www.agid.gov.it/protocollo/"><p:Intestazione><p:Identificatore><p:CodiceAmministrazione>c_x001</p:CodiceAmministrazione><p:CodiceAOO>A1</p:CodiceAOO><p:CodiceRegistro>RP</p:CodiceRegistro><p:NumeroRegistrazione>77</p:NumeroRegistrazione><p:DataRegistrazione>2026-09-19+02:00</p:DataRegistrazione></p:Identificatore></p:Intestazione></p:SegnaturaInformatica>')
put("segnatura", "utf-16", b"\3" + "<Segnatura><Intestazione><Identificatore><CodiceAOO>è</CodiceAOO></Identificatore></Intestazione></Segnatura>".encode("utf-16"))
put("segnatura", "laughs", '\0<!DOCTYPE a [<!ENTITY l "ha"><!ENTITY m "&l;&l;">]><Segnatura><Intestazione><Identificatore><CodiceAOO>&m;&#232;&amp;</CodiceAOO><CodiceRegistro><![CDATA[<x>]]></CodiceRegistro></Identificatore></Intestazione></Segnatura>')
put("segnatura", "foreign", "\0<FatturaElettronica/>")
put("daticert", "whole", '\1<?xml version="1.0" encoding="UTF-8"?><postacert tipo="avvenuta-consegna" errore="nessuno"><intestazione><mittente>comune@pec.example</mittente><destinatari tipo="certificato">anna@pec.example</destinatari><destinatari tipo="esterno">b@example.org</destinatari><risposte/><oggetto>Re: Buca</oggetto></intestazione><dati><gestore-emittente>GESTORE &amp; FIGLI</gestore-emittente><data zona="+0200"><giorno>19/09/2026</giorno><ora>15:41:19</ora></data><identificativo>o1@pec.example</identificativo><msgid>&lt;r1@comune.example&gt;</msgid><ricevuta tipo="breve"/><consegna>anna@pec.example</consegna><ricezione>anna@pec.example</ricezione><errore-esteso>5.1.1\n unknown</errore-esteso></dati></postacert>')
put("daticert", "odd", '\2<!-- x --><POSTACERT TIPO=\'\' errore="virus"><dati><data zona="-01:30"><giorno>1/2/2026</giorno><ora>8:5</ora></data><consegna>A@B</consegna></dati><a b=c d="e" d="f" g/></POSTACERT> footer')

# --- quotes: the first byte says whether the letter is an answer
quotes = {
    "italian": "Grazie, ma la buca c'è ancora.\n\nIl giorno 23 nov 2026 alle ore 10:02 URP <urp@comune.example> ha scritto:\n> Provvederemo.\n>\n> Cordiali saluti\n\nAnna\n-- \nAnna Bianchi\nvia Dante 12",
    "outlook": "Sollecito.\n\n________________________________\nDa: URP\nInviato: lunedì 23 novembre 2026 10:02\nA: Anna\nOggetto: Buca\n\nProvvederemo.",
    "divider": "ciao\n-----Messaggio originale-----\nDa: x\nvecchio",
    "english": "Hello\nOn Mon, 23 Nov 2026 at 10:02, URP\n<urp@comune.example> wrote:\n> quoted\nbelow",
    "german": "Hallo\nAm 23.11.2026 um 10:02 schrieb URP <u@c.example>:\n> zitiert",
    "interleaved": "> prima domanda\nsì\n> seconda domanda\nno\n\nCordiali saluti\nMario Rossi\nInviato da iPhone",
    "sentence": "Il giorno 12 il vigile mi ha scritto:\nnon si può parcheggiare\n> 3 metri",
    "only-quote": "> tutto citato\n> e basta",
    "signature": "Distinti saluti\nMario\n\n--\nMario\nvia Dante",
}
for n, (name, text) in enumerate(quotes.items()):
    put("quote", name, bytes([n % 2]) + text.encode())

# --- HTML, and charsets (the first byte is the label)
put("html", "blocks", "<html><head><title>x</title><style>p{}</style></head><body><p>Buongiorno,</p><table><tr><td>Codice<td>Prezzo</table><ul><li>uno<li>due</ul>citt&agrave; &#8364; &#150; a < b<br>fine")
put("html", "quotes", "mio<blockquote>suo<br>ancora<blockquote><p>primo</p></blockquote></blockquote><pre>a\n b</pre>")
put("html", "hidden", "<div style='display: none'>pre<div>x</div></div>testo<span hidden>no</span><p style=\"mso-hide:all\">n")
put("html", "broken", "a <b c=\"x>y</b> d <!-- mai > &unknown; & <svg><script>x</SCRIPT> 1 < 2 <![if !mso]>y<![endif]> </pre></blockquote>")
for n, (name, content) in enumerate({
    "undeclared": "città".encode("latin-1"), "utf-8": "città €".encode(), "us-ascii": "città".encode("cp1252"),
    "latin-1": "città".encode(), "windows": b"\x93citt\xe0\x94 \x80", "utf-16": "città".encode("utf-16"),
    "utf-7": b"Citt+AOA- buia +-", "iso-2022-jp": "日本語".encode("iso-2022-jp"), "gb2312": "中文".encode("gb2312"),
    "koi8-r": "привет".encode("koi8-r"), "default": "perché".encode("latin-1"), "unknown": "perché".encode(),
}.items()):
    put("charset", name, bytes([n]) + content)

# --- IMAP: the first byte is the size of the pieces
imap = {
    "greeting": "* OK [CAPABILITY IMAP4rev1 IDLE UIDPLUS] ready\r\n* CAPABILITY IMAP4rev2 MOVE AUTH=XOAUTH2\r\nA1 OK done\r\n",
    "select": "* FLAGS (\\Seen \\Deleted)\r\n* OK [PERMANENTFLAGS (\\*)] ok\r\n* 3 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 12] x\r\nA2 OK [READ-ONLY] open\r\n",
    "fetch": "* 1 FETCH (UID 7 RFC822.SIZE 3 INTERNALDATE \"23-Nov-2026 10:02:00 +0100\" FLAGS (\\Seen $x) BODY[] {3}\r\na\r\n)\r\nA3 OK fetched\r\n",
    "fetch-odd": "* 1 FETCH(BODY[]<0> ~{3+}\r\nabc UID 7 ENVELOPE (\"a\" NIL (((\"x\" NIL \"y\" \"z\")))) X-GM-MSGID 99)\r\n* 2 FETCH (UID 8 BODY[] NIL INTERNALDATE NIL)\r\n* 3 FETCH (BODY[] \"a\\\"b\\\\c\" UID 9\r\n",
    "search": "* SEARCH 5 3 9\r\n* ESEARCH (TAG \"A4\") UID ALL 1:400,500\r\n* SEARCH\r\nA4 OK\r\n",
    "errors": "* NO [ALERT] quota\r\n* BYE [UNAVAILABLE] later\r\nA5 NO [AUTHENTICATIONFAILED] no\r\nA6 BAD\r\nA7 OK [X]\xc3\xa8\r\n* BAD {9}\r\n",
    "idle": "+ idling\r\n* 4 EXISTS\r\n* 2 EXPUNGE\r\n* VANISHED 3:5\r\n+\r\nA8 OK\r\n",
    "list": "* LIST (\\HasNoChildren) \"/\" \"Posta &AOg-\"\r\n* LIST () NIL {5}\r\nINBOX\r\n* LSUB () \"/\" x\r\nA9 OK\r\n",
    "junk": "* WHAT (\r\n\r\n* \r\n* 1\r\n* 9999999999 FETCH (UID 99999999999)\r\n* 1 FETCH (UID 1 BODY[] {99999}\r\nshort",
    "cut": "* 1 FETCH (UID 7 BODY[] {2000}\r\n" + "x" * 2000 + ")\r\nB1 OK\r\n",
}
for n, (name, text) in enumerate(imap.items()):
    put("imap", name, bytes([n * 5]) + text.encode())

# --- mailboxes
letter = "From: a@example.it\nSubject: x\nReceived: from a by b; Mon, 23 Nov 2026 11:00:00 +0100\n\n{}\n"
line = "From a@example.it Mon Nov 23 06:47:03 2026\n"
put("mbox", "two", (line + letter.format("uno") + "\n") * 2)
put("mbox", "protected", line + letter.format(">From noi\n>>From voi\nFrom me, 10:02 2026") + "\n" + line + letter.format("due"))
put("mbox", "crlf", (line + letter.format("uno") + "\n").replace("\n", "\r\n") * 2)
put("mbox", "large", line + letter.format("x" * 3000) + "\n" + line + letter.format("due"))
put("mbox", "no-date", "From ???\n" + letter.format("uno") + "\nFrom MAILER 23 Nov 2026 10:02 +0100\n" + letter.format("due"))
put("mbox", "one-letter", letter.format("uno"))
put("mbox", "binary", b"%PDF-1.4\n")

# --- what operators write
for path in sorted((root / "tests/config/invalid").glob("*/smista.toml"))[::5]:
    put("settings", path.parent.name, path.read_bytes())
put("settings", "sample", (root / "config/smista.toml").read_bytes()[:6000])
put("settings", "sectors", (root / "config/sectors.toml").read_bytes()[:2500])
for name in ("strade", "accesso", "priorita", "kinds"):
    put("rules", name, (root / f"config/rules/{name}.toml").read_bytes()[:2500])
put("rules", "all-conditions", """[[rule]]
id = "buche"
any = ["buc*", "bucha~", "buca ... profonda", "/\\\\d+ cm/", "=Buca"]
all = ["strad*"]
none = ["golf"]
subject = ["buca"]
channel = ["email/urp"]
folder = ["INBOX"]
sender = ["@example.it"]
recipients = ["urp@comune.example"]
attachment = ["*.pdf", "image/*"]
sector = "strade"
kind = "segnalazione"
category = "buche"
priority = "high"
tags = ["strada"]
weight = 12
examples = ["C'è una buca in strada"]
counterexamples = ["buca del golf"]
[[rule]]
id = "fuori"
any = ["fuori ufficio"]
set_aside = "automatica"
enabled = false
""")
for path in sorted((root / "tests/config/invalid").glob("*/rules/*.toml"))[::4]:
    put("rules", path.parent.parent.name, path.read_bytes())
