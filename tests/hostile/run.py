#!/usr/bin/env python3
"""Hostile signature files of up to 10 MiB, each judged by `lienthong verify` as a process of its own.

    tests/hostile/run.py [LIENTHONG]        (default: target/release/lienthong)

Any file up to 10 MiB is judged within 1 s and 128 MiB, or refused by name: the table shows CPU seconds, resident MiB
and the verdict for each file; the exit code is 1 when one takes more or is not answered. CPU time is taken, so that
other work on the machine does not count. The data is in ../shared/data ($LIENTHONG_DATA names another place).
"""

import base64
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(os.environ.get("LIENTHONG_DATA", ROOT.parent / "shared/data")) / "corpus"
SIZE = 10 << 20
SECONDS, MIB = 1.0, 128


# --- DER ---------------------------------------------------------------------------------------------------------

def tlv(tag, content):
    n = len(content)
    size = bytes([n]) if n < 128 else (lambda b: bytes([0x80 | len(b)]) + b)(n.to_bytes((n.bit_length() + 7) // 8, "big"))
    return bytes([tag]) + size + content


def elements(content):
    """The elements of a content, as (tag, content, whole)."""
    found, at = [], 0
    while at < len(content):
        size, begin = content[at + 1], at + 2
        if size & 0x80:
            more = size & 0x7F
            size, begin = int.from_bytes(content[begin:begin + more], "big"), begin + more
        found.append((content[at], content[begin:begin + size], content[at:begin + size]))
        at = begin + size
    return found


def fill(unit, size=SIZE - 20_000):
    return unit * (size // len(unit))


class Cms:
    """A SignedData that is taken apart, and put together with something in it replaced."""

    def __init__(self, data):
        self.data = data
        self.type, explicit = elements(elements(data)[0][1])
        self.fields = elements(elements(explicit[1])[0][1])
        self.certificates = next(f[1] for f in self.fields if f[0] == 0xA0)

    def make(self, certificates=None, crls=None, signed=b"", unsigned=None, signers=1):
        fields = []
        for tag, content, whole in self.fields[:-1]:
            if tag == 0xA0 and certificates is not None:
                whole = tlv(0xA0, self.certificates + certificates)
            if tag != 0xA1:
                fields.append(whole)
        if crls is not None:
            fields.append(tlv(0xA1, crls))
        info = b""
        for tag, content, whole in elements(elements(self.fields[-1][1])[0][1]):
            info += tlv(0xA0, content + signed) if tag == 0xA0 else b"" if tag == 0xA1 else whole
        info += tlv(0xA1, unsigned) if unsigned is not None else b""
        fields.append(tlv(0x31, tlv(0x30, info) * signers))
        return tlv(0x30, self.type[2] + tlv(0xA0, tlv(0x30, b"".join(fields))))


def with_serials(certificate, size=SIZE - 30_000):
    """Certificates that differ in their serial number only: all of them are candidates for the same path."""
    tbs, algorithm, signature = elements(elements(certificate)[0][1])
    fields, out, made, number = elements(tbs[1]), [], 0, 0
    while made < size:
        number += 1
        body = [tlv(2, b"\x01" + number.to_bytes(6, "big")) if f[0] == 2 else f[2] for f in fields]
        out.append(tlv(0x30, tlv(0x30, b"".join(body)) + algorithm[2] + signature[2]))
        made += len(out[-1])
    return b"".join(out)


def long_list(crl):
    """A revocation list with 300,000 entries more."""
    tbs, algorithm, signature = elements(elements(crl)[0][1])
    entry = b"".join(
        tlv(0x30, tlv(2, b"\x01" + i.to_bytes(8, "big")) + b"\x17\x0d160101000000Z") for i in range(SIZE // 32))
    fields, out = elements(tbs[1]), []
    times = [i for i, f in enumerate(fields) if f[0] in (0x17, 0x18)]
    for i, (_, _, whole) in enumerate(fields):
        out.append(whole)
        if i == times[-1]:
            out.append(tlv(0x30, entry))
    return tlv(0x30, tlv(0x30, b"".join(out)) + algorithm[2] + signature[2])


def signatures():
    content = (CORPUS / "documents/50-cades-rsa.xml").read_bytes()
    data = (CORPUS / "documents/50-cades-rsa.xml.p7s").read_bytes()
    cms = Cms(data)
    signer, issuer = [e[2] for e in elements(cms.certificates)][:: max(1, len(elements(cms.certificates)) - 1)][:2]
    crl = next(iter(sorted((CORPUS / "trust").glob("*.crl")))).read_bytes()
    if crl.startswith(b"-----"):
        crl = base64.b64decode(b"".join(line for line in crl.splitlines() if b"-" not in line))
    token = tlv(6, bytes.fromhex("2a864886f70d010910020e"))
    deep = b"\x30\x80" + cms.type[2] + b"\xa0\x80\x30\x80" + cms.fields[0][2] + cms.fields[1][2] + b"\x30\x80"
    files = {
        "one certificate 8,000 times": cms.make(certificates=fill(signer)),
        "8,000 signers of one key": cms.make(certificates=with_serials(signer)),
        "8,000 issuers of one key": cms.make(certificates=with_serials(issuer)),
        "one list 20,000 times": cms.make(crls=fill(crl)),
        "a list of 300,000 entries": cms.make(crls=long_list(crl)),
        "a timestamp 1,600 times": cms.make(unsigned=fill(tlv(0x30, token + tlv(0x31, data)))),
        "timestamps of 2 MiB": cms.make(
            unsigned=tlv(0x30, token + tlv(0x31, cms.make(certificates=fill(signer, 2 << 20)) * 4))),
        "700,000 signed attributes": cms.make(signed=tlv(0x30, tlv(6, b"\x2a\x03") + tlv(0x31, b"\x05\x00")) * 700_000),
        "6,000 signers": cms.make(signers=6_000),
        "an identifier of 10 MiB": cms.make(
            unsigned=tlv(0x30, tlv(6, b"\x81" * (SIZE - 20_000) + b"\x01") + tlv(0x31, b"\x05\x00"))),
        "5,000,000 levels": b"\x30\x80" * (SIZE // 2),
        "3,000,000 pieces": deep + b"\x24\x80" * 20 + b"\x04\x01a" * 3_000_000 + b"\0\0" * 40,
        "zeros after the end": data + b"\0" * (SIZE - len(data)),
    }
    return [(name, content, [data]) for name, data in files.items()]


# --- PDF ---------------------------------------------------------------------------------------------------------

class Pdf:
    """A signed PDF that is added to, revision by revision, with classical cross-reference tables."""

    def __init__(self, data):
        self.data = bytearray(data)
        self.trailer = re.findall(rb"/Root (\d+) 0 R", data)[-1]
        self.catalog = re.findall(rb"\n" + self.trailer + rb" 0 obj\s*(<<.*?>>)\s*endobj", data, re.S)[-1]
        self.page = int(re.findall(rb"/Kids\s*\[\s*(\d+) 0 R", data)[-1])
        self.free = max(int(n) for n in re.findall(rb"\n(\d+) 0 obj", data)) + 1
        self.previous = int(re.findall(rb"startxref\s+(\d+)", data)[-1])

    def add(self, objects, more=b""):
        """One revision; `more` goes into the trailer."""
        table, size = [], self.free
        self.data += b"\n"
        for number, body in objects.items():
            table.append(b"%d 1\n%010d 00000 n \n" % (number, len(self.data)))
            self.data += b"%d 0 obj\n" % number + body + b"\nendobj\n"
            size = max(size, number + 1)
        at = len(self.data)
        self.data += b"xref\n" + b"".join(table) + b"trailer\n<</Size %d /Root %s 0 R /Prev %d %s>>\n" % (
            size, self.trailer, self.previous, more)
        self.previous = at
        self.data += b"startxref\n%d\n%%%%EOF\n" % at
        return self


def packed(data, more=b""):
    body = zlib.compress(data, 9)
    return b"<</Length %d /Filter /FlateDecode %s>>\nstream\n" % (len(body), more) + body + b"\nendstream"


def documents():
    base = (CORPUS / "documents/01-rsa-person-and-agency.pdf").read_bytes()
    room = SIZE - len(base) - 4_096

    def new():
        return Pdf(base)

    def numbered(pdf, bodies):
        return {pdf.free + i: body for i, body in enumerate(bodies)}

    small = b"<</A 1 /B (x)>>"
    pdf = new()
    many = pdf.add(numbered(pdf, [small] * (room // 60))).data
    pdf = new()
    per = room // 60 // (len(small) + 60)
    for _ in range(60):
        pdf.add(numbered(pdf, [small] * per))
    revisions = pdf.data
    pdf = new()
    for _ in range(20_000):
        pdf.add({pdf.free: b"0"})
        if len(pdf.data) > room:
            break
    endless = pdf.data
    pdf = new()
    for _ in range(40):
        # The signed catalogue again and again, with more behind it each time.
        pdf.add({int(pdf.trailer): pdf.catalog, pdf.free: b"[" + b"0 " * (room // 80) + b"]"})
    compared = pdf.data
    pdf = new()
    deep = pdf.add({pdf.free: b"[" * (room // 2) + b"]" * (room // 2)}).data
    pdf = new()
    names = pdf.add({pdf.free: b"<<" + b"".join(b"/N%d %d " % (i, i) for i in range(room // 18)) + b">>"}).data
    pdf = new()
    bomb = packed(b"1 0 " * (16 << 20), b"/Type /ObjStm /N 1000000 /First 8")
    bombs = pdf.add(numbered(pdf, [bomb] * (room // (len(bomb) + 60)))).data
    pdf = new()
    page = b"<</Type /Page /Parent 1 0 R /Contents [" + b" ".join(
        b"%d 0 R" % (pdf.free + i) for i in range(2_000)) + b"]>>"
    content = packed(b"q 1 0 0 1 0 0 cm Q\n" * 200_000)
    painted = pdf.add({pdf.page: page, **numbered(pdf, [content] * 200)}).data
    pdf = new()
    fields = b"<</Fields [" + b" ".join(b"%d 0 R" % (pdf.free + 1 + i) for i in range(60_000)) + b"]>>"
    field = b"<</FT /Sig /T (f) /V 9 0 R /Kids [%d 0 R]>>" % pdf.free
    forms = pdf.add(numbered(pdf, [fields] + [field] * 60_000)).data
    pdf = new()
    loop = b"<</Type /Pages /Count 9 /Kids [" + b"%d 0 R " % pdf.free * 500_000 + b"]>>"
    loops = pdf.add({pdf.free: loop}).data
    ranges = base.replace(b"/ByteRange", b"/ByteRangf") + b"/ByteRange [0 1 2 3] /Contents <" + b"00" * (room // 2) + b">"
    header = b"%PDF-1.7\n" + b"1 0 obj\n" * (room // 8)

    def signed(count, contents, field=b"/Rect [0 0 0 0]", more=lambda pdf: {}, value=b"ETSI.CAdES.detached"):
        """A file with further signatures of nothing, each with a revision of its own."""
        pdf, fields = new(), b""
        form = int(re.findall(rb"/AcroForm (\d+) 0 R", bytes(pdf.data))[-1])
        first = re.findall(rb"\n%d 0 obj\s*(<<.*?>>)\s*endobj" % form, bytes(pdf.data), re.S)[-1]
        names = re.findall(rb"/Fields\s*\[([^\]]*)\]", first)[-1]
        page = re.findall(rb"\n%d 0 obj\s*(<<.*?>>)\s*endobj" % pdf.page, bytes(pdf.data), re.S)[-1]
        for i in range(count):
            own, pdf.free = pdf.free, pdf.free + 4
            fields += b" %d 0 R" % own
            blank = b" " * 60
            token = b"<3003020105" + b"00" * contents + b">"
            pdf.add({
                form: b"<</Fields [" + names + fields + b"] /SigFlags 3>>",
                pdf.page: re.sub(rb"/Annots\s*\[([^\]]*)\]", lambda m: b"/Annots [" + m[1] + fields + b"]", page),
                own: b"<</Type /Annot /Subtype /Widget /FT /Sig /T (F%d) /V %d 0 R %s>>" % (
                    own, own + 1, field.replace(b"@", b"%d" % (own + 2))),
                own + 1: b"<</Type /Sig /SubFilter /" + value + b" /ByteRange" + blank + b"/Contents" + token + b">>",
                **{own + 2 + n: body for n, body in more(pdf).items()},
            })
            start = pdf.data.rindex(blank + b"/Contents") + len(blank) + len(b"/Contents")
            end = start + len(token)
            ranges = b"[0 %d %d %d]" % (start, end, len(pdf.data) - end)
            at = start - len(b"/Contents") - len(blank)
            pdf.data[at:at + len(ranges)] = ranges
        return pdf

    rooms = signed(30, room // 2 // 31).data
    stamps = signed(30, room // 2 // 31, value=b"ETSI.RFC3161").data
    drawing = packed(b"q 1 0 0 1 0 0 cm Q\n" * 400_000,
                     b"/Subtype /Form /BBox [0 0 9 9] /Resources <<>>")
    quiet = signed(30, 100, b"/Rect [0 0 0 0] /AP <</N @ 0 R>>", lambda pdf: {0: b"<<>>"}).data
    drawn = signed(7, 100, b"/Rect [0 0 0 0] /AP <</N @ 0 R>>", lambda pdf: {0: drawing}).data
    pdf = new()
    xmp = b"<</Type /Metadata /Subtype /XML /Length %d>>\nstream\n" % (room - 400)
    almost = b"1 1\nobj"[1:] * ((room - 400) // 6)
    catalog = re.sub(rb"/Metadata \d+ 0 R", b"/Metadata %d 0 R" % pdf.free, pdf.catalog)
    heads = pdf.add({int(pdf.trailer): catalog, pdf.free: xmp + almost.ljust(room - 400) + b"\nendstream"}).data
    pdf = new()
    store = b"<</Certs [" + b"".join(b"%d 0 R " % (pdf.free + 1 + i) for i in range(100_000)) + b"]>>"
    catalog = pdf.catalog[:-2] + b"/DSS %d 0 R>>" % pdf.free
    items = [b"<</Length 0>>\nstream\n\nendstream"] * 70_000
    stores = pdf.add({int(pdf.trailer): catalog, **numbered(pdf, [store] + items)}).data
    pdf = new()
    tools = b"<<" + b"".join(b"/N%d <</Private [%d 0 R]>> " % (i, pdf.free + i) for i in range(100_000)) + b">>"
    catalog = pdf.catalog[:-2] + b"/PieceInfo " + tools + b">>"
    private = pdf.add({int(pdf.trailer): catalog, **numbered(pdf, [small] * 80_000)}).data
    files = {
        "170,000 objects": many,
        "60 revisions of many objects": revisions,
        "revisions without end": endless,
        "40 revisions to compare": compared,
        "an array of 5,000,000 levels": deep,
        "a dictionary of 580,000 names": names,
        "object streams of 64 MiB": bombs,
        "pages of 750 MiB": painted,
        "60,000 signature fields": forms,
        "a page tree in itself": loops,
        "a signature in hiding": ranges,
        "objects that never end": header,
        "30 signatures of 300 KiB": rooms,
        "30 timestamps of 300 KiB": stamps,
        "appearances that are fields": quiet,
        "appearances of 8 MiB": drawn,
        "1,700,000 starts of objects": heads,
        "70,000 items of validation data": stores,
        "private data of 80,000 objects": private,
    }
    return [(name, bytes(data), []) for name, data in files.items()]


# --- judging -----------------------------------------------------------------------------------------------------

MEASURE = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], capture_output=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss // 1024, done.returncode)
sys.stdout.flush()
sys.stdout.buffer.write(done.stdout if done.returncode < 2 else done.stderr)
"""


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else ROOT / "target/release/lienthong"
    worst, failed = (0.0, 0), 0
    print(f"{'file':32} {'MiB':>5} {'CPU s':>6} {'RSS':>4}  verdict")
    with tempfile.TemporaryDirectory() as folder:
        for name, content, detached in signatures() + documents():
            file = Path(folder) / ("file.xml" if detached else "file.pdf")
            file.write_bytes(content)
            for data in detached:
                file.with_name(file.name + ".p7s").write_bytes(data)
            size = max([len(content)] + [len(d) for d in detached]) / (1 << 20)
            command = [binary, "verify", "--trust", CORPUS / "trust", "--at", "2016-08-06T00:00:00Z",
                       "--format", "json", file]
            out = subprocess.run([sys.executable, "-c", MEASURE, *map(str, command)], capture_output=True, text=True)
            numbers, _, answer = out.stdout.partition("\n")
            cpu, rss, code = float(numbers.split()[0]), int(numbers.split()[1]), int(numbers.split()[2])
            try:
                one = json.loads(answer)[0]
                verdict = f"person {one['person']}, agency {one['agency']} {one['reason']}"
            except (ValueError, LookupError):
                # Refused before it was judged: by the name of a limit.
                verdict = answer.strip().replace(str(file), file.name)
            bad = cpu > SECONDS or rss > MIB or code not in (0, 1, 2) or not verdict
            failed += bad
            worst = max(worst[0], cpu), max(worst[1], rss)
            print(f"{name:32} {size:5.1f} {cpu:6.2f} {rss:4}  {verdict}{'   <-- over' if bad else ''}")
    print(f"worst: {worst[0]:.2f} s of {SECONDS:.0f}, {worst[1]} MiB of {MIB}; {failed} over")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
