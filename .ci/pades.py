"""pyHanko's part of .ci/pades: `compress IN OUT`, or `verify TRUST CHAIN PDF…`.

Each PDF has two signatures of ours, a person's and then the agency's: both must verify with pyHanko's own path,
revocation (every certificate must be covered by a list) and look at changes, and must be PAdES-B-B by its reading of
EN 319 142-1. With one byte changed, neither may.
"""

import io
import logging
import pathlib
import sys

from asn1crypto import crl, pem
from pyhanko.keys import load_cert_from_pemder
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.writer import copy_into_new_writer
from pyhanko.sign.diff_analysis import ModificationLevel
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko.sign.validation.status import SignatureCoverageLevel
from pyhanko_certvalidator import ValidationContext

# A signature that does not verify is what the second half is about.
logging.disable(logging.ERROR)


def compress(source, target):
    writer = copy_into_new_writer(PdfFileReader(io.BytesIO(pathlib.Path(source).read_bytes())))
    writer.stream_xrefs = True
    with open(target, "wb") as out:
        writer.write(out)


def lists(trust):
    for file in sorted(pathlib.Path(trust).glob("*.crl")):
        data = file.read_bytes()
        yield crl.CertificateList.load(pem.unarmor(data)[2] if pem.detect(data) else data)


def context(trust, chain):
    return ValidationContext(
        trust_roots=[load_cert_from_pemder(str(f)) for f in pathlib.Path(trust).glob("root-*.pem")],
        other_certs=[load_cert_from_pemder(chain)],
        crls=list(lists(trust)),
        allow_fetching=False,
        revocation_mode="require",
    )


def check(name, data, trust, chain):
    person, agency = PdfFileReader(io.BytesIO(data)).embedded_signatures
    for who, signature in ("person", person), ("agency", agency):
        status = validate_pdf_signature(signature, context(trust, chain))
        problems = [
            what
            for what, holds in [
                ("not valid", status.bottom_line),
                ("not intact", status.intact),
                ("not trusted", status.trusted),
                ("not PAdES", signature.sig_object["/SubFilter"] == "/ETSI.CAdES.detached"),
                ("with signing-time", not has_signing_time(signature)),
            ]
            if not holds
        ]
        if who == "agency" and status.coverage != SignatureCoverageLevel.ENTIRE_FILE:
            problems.append(f"covers {status.coverage}")
        # What a second signature needs is form filling; more would be a change.
        if who == "person" and status.modification_level not in (
            ModificationLevel.LTA_UPDATES,
            ModificationLevel.FORM_FILLING,
        ):
            problems.append(f"changed: {status.modification_level}")
        if problems:
            sys.exit(f"{name}: {who}: {', '.join(problems)}\n{status.pretty_print_details()}")


def has_signing_time(signature):
    return any(a["type"].native == "signing_time" for a in signature.signer_info["signed_attrs"])


def changed_is_refused(name, data, trust, chain):
    # A byte of the comment after the header, which is signed and means nothing: the file reads as before.
    bad = bytearray(data)
    at = bad.index(b"\n%") + 2
    bad[at] ^= 1
    for signature in PdfFileReader(io.BytesIO(bytes(bad))).embedded_signatures:
        status = validate_pdf_signature(signature, context(trust, chain))
        if status.intact or status.bottom_line:
            sys.exit(f"{name}: a changed document verifies")


def main(command, *args):
    if command == "compress":
        compress(*args)
        return
    trust, chain, *files = args
    for file in files:
        data = pathlib.Path(file).read_bytes()
        check(file, data, trust, chain)
        changed_is_refused(file, data, trust, chain)
    from importlib.metadata import version

    print(f"{2 * len(files)} PAdES signatures in {len(files)} PDFs verified by pyHanko {version('pyhanko')}")


main(*sys.argv[1:])
