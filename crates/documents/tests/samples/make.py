"""Makes the samples beside it: python3 make.py, with reportlab, fpdf2 and the command openssl. People and places are invented.

The tests use the files as they are; this says where they come from and is not run by anything.
"""
import datetime, io, os, random, subprocess, zlib
import fpdf
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen import canvas
from PIL import Image

LINES = [
    "Spett.le Comune di Borgo Esempio",
    "Oggetto: buca pericolosa in via dell'Università",
    "",
    "La sottoscritta Perpetua Dell'Àncora, residente in città, segnala che",
    "davanti al civico 12 c'è una buca profonda: così non si può più passare.",
    "Già lunedì un'anziana è caduta perché l'asfalto è dissestato; chiede la manuten-",
    "zione del manto stradale. Importo dei danni: € 120,00.",
]
SECOND = ["Allega copia del documento d'identità.", "Distinti saluti, Perpetua Dell'Àncora"]


def reportlab_text(c, lines):
    text = c.beginText(60, 780)
    text.setFont("Helvetica", 11)
    for line in lines:
        text.textLine(line)
    c.drawText(text)


def noise(width, height):
    random.seed(4711)
    return Image.frombytes("RGB", (width, height), bytes(random.randrange(256) for _ in range(width * height * 3)))


def winansi():
    c = canvas.Canvas("istanza-winansi.pdf", pagesize=A4, invariant=1)
    reportlab_text(c, LINES)
    c.showPage()
    reportlab_text(c, SECOND)
    c.save()


def logo():
    """A letterhead as a JPEG, whose bytes are no operators."""
    picture = io.BytesIO()
    noise(60, 60).save(picture, "JPEG", quality=40)
    c = canvas.Canvas("istanza-con-logo.pdf", pagesize=A4, invariant=1)
    c.drawImage(ImageReader(picture), 60, 790, 40, 40)
    c.setFillColorRGB(0.1, 0.2, 0.3)
    reportlab_text(c, LINES)
    c.save()


def truetype():
    pdf = fpdf.FPDF()
    pdf.set_creation_date(datetime.datetime(2026, 11, 3, tzinfo=datetime.timezone.utc))
    pdf.add_font("D", "", "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
    for lines in (LINES, SECOND):
        pdf.add_page()
        pdf.set_font("D", size=11)
        for line in lines:
            pdf.cell(0, 8, line, new_x="LMARGIN", new_y="NEXT")
    pdf.output("istanza-truetype.pdf")


def scan():
    c = canvas.Canvas("scansione.pdf", pagesize=A4, invariant=1)
    for _ in range(2):
        picture = io.BytesIO()
        noise(40, 56).save(picture, "JPEG", quality=20)
        c.drawImage(ImageReader(picture), 0, 0, *A4)
        c.drawString(400, 820, "Prot. n. 4711")
        c.showPage()
    c.save()


def form():
    c = canvas.Canvas("modulo.pdf", pagesize=A4, invariant=1)
    c.drawString(60, 780, "Modulo per le segnalazioni. Descrizione:")
    c.acroForm.textfield(name="descrizione", value="Il lampione di via Città è spento da giovedì", x=60, y=700, width=400)
    c.save()


def encrypted():
    from reportlab.lib import pdfencrypt
    c = canvas.Canvas("cifrato.pdf", pagesize=A4, invariant=1, encrypt=pdfencrypt.StandardEncryption("segreta"))
    reportlab_text(c, LINES)
    c.save()


def raw(name, *objects):
    """A PDF of these objects, numbered from 1; the first is the catalogue."""
    out, at = b"%PDF-1.4\n", []
    for n, body in enumerate(objects, 1):
        at.append(len(out))
        out += b"%d 0 obj%s\nendobj\n" % (n, body)
    xref = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(at) + 1) + b"".join(b"%010d 00000 n \n" % a for a in at)
    out += b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(at) + 1, xref)
    open(name, "wb").write(out)


def stream(entries, content):
    return b"<<%s/Length %d>>stream\n%s\nendstream" % (entries, len(content), content)


CATALOGUE = b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>"


def bomb():
    """Two gigabytes of zeros, deflated twice: for one page."""
    inner = zlib.compressobj(9)
    block = bytes(1 << 20)
    packed = b"".join(inner.compress(block) for _ in range(2048)) + inner.flush()
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R>>"
    raw("bomba.pdf", *CATALOGUE, page, stream(b"/Filter[/FlateDecode/FlateDecode]", zlib.compress(packed, 9)))


def recursion():
    """A form that draws itself: the stack of whoever follows it has an end."""
    page = b"<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<</XObject<</Fm1 5 0 R>>>>>>"
    raw("senza-fine.pdf", *CATALOGUE, page, stream(b"", b"/Fm1 Do"),
        stream(b"/Type/XObject/Subtype/Form/Resources<</XObject<</Fm1 5 0 R>>>>", b"/Fm1 Do"))


def signed():
    """By a key that is thrown away: who signed is not what these are about."""
    run = lambda *a: subprocess.run(["openssl", *a], check=True, stderr=subprocess.DEVNULL)
    run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "36500",
        "-subj", "/C=IT/O=Esempio/CN=DELL'ANCORA PERPETUA", "-keyout", "key.pem", "-out", "cert.pem")
    sign = lambda source, target, *more: run(
        "cms", "-sign", "-binary", "-nodetach", "-md", "sha256", "-signer", "cert.pem", "-inkey", "key.pem",
        "-in", source, "-out", target, *more)
    sign("istanza-winansi.pdf", "istanza.pdf.p7m", "-outform", "DER", "-cades")
    sign("istanza-winansi.pdf", "istanza-ber.pdf.p7m", "-outform", "DER", "-stream", "-indef")
    sign("istanza.pdf.p7m", "istanza.pdf.p7m.p7m", "-outform", "PEM")
    run("cms", "-sign", "-binary", "-md", "sha256", "-signer", "cert.pem", "-inkey", "key.pem", "-in", "istanza-winansi.pdf",
        "-out", "staccata.p7m", "-outform", "DER")
    os.remove("key.pem")
    os.remove("cert.pem")


for make in (winansi, logo, truetype, scan, form, encrypted, bomb, recursion, signed):
    make()
