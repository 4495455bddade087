"""An example for implementers of document-management systems: one document's way from agency to agency.

Everything here goes over the public gRPC interface (proto/lienthong/v1), with classes that grpcio-tools generates;
only the signatures are made by hand, because an HSM or a signing service does that in a real system. `run.sh` makes
a network of two nodes and runs this against it:

    python client.py NETWORK-FOLDER TINH-ADDRESS HUYEN-ADDRESS

The sender is the commune H09.21.7 on node `huyen`, the recipient the province's office H09.1 on node `tinh`.
"""

import datetime
import hashlib
import sys
import time
import uuid
from pathlib import Path

import grpc
from asn1crypto import algos, cms, tsp, x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.x509 import load_pem_x509_certificate
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from lienthong.v1 import common_pb2 as common
from lienthong.v1 import envelope_pb2 as envelope
from lienthong.v1 import exchange_pb2 as exchange
from lienthong.v1 import exchange_pb2_grpc, report_pb2, report_pb2_grpc

SENDER, RECIPIENT = "H09.21.7", "H09.1"
CHUNK = 1 << 20  # At most 1 MiB a message.
TIMEOUT = 30  # Seconds for a call; every call should have a limit.
VIETNAM = datetime.timezone(datetime.timedelta(hours=7))  # Dates of documents are days in Vietnam.


def connect(network: Path, address: str, client: str) -> grpc.Channel:
    """A connection over mutual TLS: the node proves itself to us, and we prove ourselves to the node."""
    folder = network / "clients"
    credentials = grpc.ssl_channel_credentials(
        root_certificates=(folder / "network-ca.pem").read_bytes(),
        private_key=(folder / f"{client}.key").read_bytes(),
        certificate_chain=(folder / f"{client}.pem").read_bytes(),
    )
    return grpc.secure_channel(address, credentials)


def sign(content: bytes, certificate: Path) -> bytes:
    """A detached CAdES-B signature (EN 319 122-1, baseline level B-B) as DER.

    It is a CMS SignedData without the content. What is signed is not the content but a set of attributes, which hold
    the content's digest, the time, and the digest of the signer's own certificate (ESS signing-certificate-v2), so
    that none of them can be exchanged.
    """
    key = serialization.load_pem_private_key(certificate.with_suffix(".key").read_bytes(), None)
    der = load_pem_x509_certificate(certificate.read_bytes()).public_bytes(serialization.Encoding.DER)
    signer = x509.Certificate.load(der)
    sha256 = algos.DigestAlgorithm({"algorithm": "sha256"})
    ess = tsp.SigningCertificateV2({"certs": [{"cert_hash": hashlib.sha256(der).digest()}]})  # SHA-256: the default
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    attributes = cms.CMSAttributes([
        {"type": "content_type", "values": ["data"]},
        {"type": "message_digest", "values": [hashlib.sha256(content).digest()]},
        {"type": "signing_time", "values": [cms.Time({"utc_time": now})]},
        {"type": "signing_certificate_v2", "values": [ess]},
    ])
    # RFC 5652, 5.4: signed as a SET OF in DER (asn1crypto sorts it), although it is sent under another tag.
    if isinstance(key, ec.EllipticCurvePrivateKey):
        algorithm, signature = "sha256_ecdsa", key.sign(attributes.dump(), ec.ECDSA(hashes.SHA256()))
    else:
        algorithm, signature = "sha256_rsa", key.sign(attributes.dump(), padding.PKCS1v15(), hashes.SHA256())
    return cms.ContentInfo({
        "content_type": "signed_data",
        "content": {
            "version": "v1",
            "digest_algorithms": [sha256],
            "encap_content_info": {"content_type": "data"},  # No content inside: the signature is detached.
            "certificates": [signer],
            "signer_infos": [{
                "version": "v1",
                "sid": {"issuer_and_serial_number": {"issuer": signer.issuer, "serial_number": signer.serial_number}},
                "digest_algorithm": sha256,
                "signed_attrs": attributes,
                "signature_algorithm": {"algorithm": algorithm},
                "signature": signature,
            }],
        },
    }).dump()


def send_messages(header: exchange.SendHeader, contents: list[bytes]):
    """The messages of a Send call: the header, then the parts' bytes in the header's order."""
    yield exchange.SendRequest(header=header)
    for content in contents:
        for start in range(0, len(content), CHUNK):
            yield exchange.SendRequest(data=content[start:start + CHUNK])


def header_of(number: str, content: bytes, signatures: list[bytes]) -> exchange.SendHeader:
    """What is said about a document of one part. The request id is kept with the document: a call whose answer got
    lost is made again with the same id, and has the same effect once."""
    return exchange.SendHeader(
        request_id=str(uuid.uuid4()),
        sender=SENDER,
        recipients=[RECIPIENT],
        kind=common.KIND_NEW,
        metadata=common.Metadata(
            number=number,
            notation="BC-UBND",
            issued_on=datetime.datetime.now(VIETNAM).date().isoformat(),
            type_name="báo cáo",
            subject="V/v báo cáo tình hình quý III",
            urgency=common.URGENCY_URGENT,
            origin=common.ORIGIN_BORN_DIGITAL,
        ),
        parts=[exchange.PartUpload(
            name="bao-cao.xml",
            media_type="application/xml",
            size=len(content),
            sha256=hashlib.sha256(content).digest(),
            role=common.PART_ROLE_MAIN,
            signatures=signatures,
        )],
    )


def refusal(error: grpc.RpcError) -> tuple[str, str]:
    """The stable reason and the field of a refused call, from its google.rpc error details."""
    reason, field = "", ""
    status = rpc_status.from_call(error)
    for detail in status.details if status else []:
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        if detail.Unpack(info):
            reason = info.reason
        elif detail.Unpack(bad) and bad.field_violations:
            field = bad.field_violations[0].field
    return reason, field


def watch_for(stub, agency: str, wanted) -> list[exchange.WatchResponse]:
    """Follows a node's news until `wanted(items)` holds. A real system keeps the newest cursor in its database, in
    one transaction with what it did about the item, and goes on from there after a restart."""
    items = []
    stream = stub.Watch(exchange.WatchRequest(agencies=[agency]), timeout=TIMEOUT)
    for item in stream:
        items.append(item)
        if wanted(items):
            stream.cancel()
            return items
    raise AssertionError("the stream ended before what was waited for")


def fetch(stub, delivery_id: bytes) -> tuple[exchange.FetchHeader, envelope.Envelope, list[bytes]]:
    """A delivery's header, envelope and parts. For five minutes it is offered to nobody else."""
    header, data = None, b""
    for message in stub.Fetch(exchange.FetchRequest(agency=RECIPIENT, delivery_id=delivery_id), timeout=TIMEOUT):
        if message.HasField("header"):
            header = message.header
        else:
            data += message.data  # A real system writes large parts to files as they come.
    opened, contents = envelope.Envelope.FromString(header.envelope), []
    for part in opened.document.parts:
        content, data = data[:part.size], data[part.size:]
        assert hashlib.sha256(content).digest() == part.sha256, f"{part.name} did not arrive as it was signed"
        contents.append(content)
    return header, opened, contents


def main() -> None:
    network, tinh, huyen = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    with connect(network, huyen, "huyen-dms") as sending, connect(network, tinh, "tinh-dms") as receiving:
        sender = exchange_pb2_grpc.ExchangeServiceStub(sending)
        recipient = exchange_pb2_grpc.ExchangeServiceStub(receiving)

        # 1. The commune signs: the competent person, then the agency's seal. Both are needed to be equal to paper.
        content = "<?xml version='1.0' encoding='UTF-8'?><baocao quy='3'>Đã hoàn thành 98%</baocao>\n".encode()
        documents = network / "documents"
        signatures = [sign(content, documents / f"{who}-{SENDER}.pem") for who in ("person", "seal")]

        # 2. It sends. The answer means: recorded durably at our node, which now delivers it.
        header = header_of("12", content, signatures)
        sent = sender.Send(send_messages(header, [content]), timeout=TIMEOUT)
        [result] = sent.results
        assert not result.HasField("problem"), result.problem
        assert (sent.verdicts.person, sent.verdicts.agency) == (common.VERDICT_VALID, common.VERDICT_VALID)
        print(f"sent        delivery {result.delivery_id.hex()}, event {result.log_index}, both signatures valid")

        # 3. The same request again, as after a lost answer: the same delivery, nothing is sent twice.
        [again] = sender.Send(send_messages(header, [content]), timeout=TIMEOUT).results
        assert again.delivery_id == result.delivery_id and again.log_index == result.log_index

        # 4. The recipient's system is told, finds it in its inbox, fetches, checks, and acknowledges.
        is_it = lambda item: item.kind == exchange.WATCH_KIND_ARRIVED and item.delivery_id == result.delivery_id
        watch_for(recipient, RECIPIENT, lambda items: is_it(items[-1]))
        inbox = recipient.ListInbox(exchange.ListInboxRequest(agency=RECIPIENT), timeout=TIMEOUT).items
        assert [i.delivery_id for i in inbox] == [result.delivery_id] and inbox[0].sender == SENDER
        opened, letter, [received] = fetch(recipient, result.delivery_id)
        assert received == content and list(opened.signatures) == signatures and opened.legally_effective
        assert letter.document.metadata == header.metadata
        about = {"agency": RECIPIENT, "delivery_id": result.delivery_id, "user": "u-17"}
        recipient.Acknowledge(exchange.AcknowledgeRequest(**about), timeout=TIMEOUT)
        assert not recipient.ListInbox(exchange.ListInboxRequest(agency=RECIPIENT), timeout=TIMEOUT).items
        print(f"received    {letter.document.parts[0].name}, {len(received)} bytes, SHA-256 as signed, acknowledged")

        # 5. It reports how far it is: accepted, completed. Each status travels to the sender's node by itself.
        for status in (common.STATUS_ACCEPTED, common.STATUS_COMPLETED):
            request = exchange.SendStatusRequest(
                request_id=str(uuid.uuid4()), status=status, office="Phòng Tổng hợp", **about)
            assert not recipient.SendStatus(request, timeout=TIMEOUT).out_of_order

        # 6. The sender's system sees them, in the order in which they were given; 01 came with the acknowledgement.
        expected = [common.STATUS_ARRIVED, common.STATUS_ACCEPTED, common.STATUS_COMPLETED]
        statuses = lambda items: [i.status for i in items if i.kind == exchange.WATCH_KIND_STATUS]
        seen = watch_for(sender, SENDER, lambda items: len(statuses(items)) == len(expected))
        assert statuses(seen) == expected, statuses(seen)
        assert any(i.kind == exchange.WATCH_KIND_DELIVERED for i in seen)
        [view] = sender.Track(exchange.TrackRequest(delivery_id=result.delivery_id), timeout=TIMEOUT).deliveries
        assert view.state == common.DELIVERY_STATE_DELIVERED and len(view.statuses) == len(expected)
        print("statuses    " + ", ".join(common.Status.Name(s) for s in statuses(seen)))

        # 7. The share of fully electronic exchange, counted from the sender's log.
        report = report_pb2_grpc.ReportServiceStub(sending)
        rows = report.GetRatios(report_pb2.GetRatiosRequest(), timeout=TIMEOUT).rows
        row = next(r for r in rows if r.key == "in_province")
        ratio = next(r for r in row.ratios if r.name == "fully_electronic")
        assert (row.deliveries, ratio.n, ratio.d, ratio.percent) == (1, 1, 1, "100.00"), (row, ratio)
        print(f"ratio       {row.key} {ratio.name}: {ratio.n} of {ratio.d}, {ratio.percent} %")

        # 8. What is refused says why, in words for programs: a reason that never changes its meaning, and the field.
        long = header_of("13", content, signatures)
        long.metadata.subject = "x" * 501
        refused(lambda: sender.Send(send_messages(long, [content]), timeout=TIMEOUT), "too_long", "metadata.subject")
        secret = header_of("14", content, signatures)
        secret.metadata.classification = "mật"
        refused(lambda: sender.Send(send_messages(secret, [content]), timeout=TIMEOUT),
                "classified_document", "metadata.classification")
        # A node serves the agencies that it hosts.
        refused(lambda: sender.ListInbox(exchange.ListInboxRequest(agency=RECIPIENT), timeout=TIMEOUT),
                "not_hosted", "agency")


def refused(call, reason: str, field: str) -> None:
    """Makes a call that must be refused, and shows the refusal."""
    try:
        call()
    except grpc.RpcError as error:
        found = refusal(error)
        print(f"refused     {error.code().name}: {found[0]} {found[1]}\n            {error.details()}")
        assert found == (reason, field), found
        return
    raise AssertionError(f"this call must be refused: {reason}")


if __name__ == "__main__":
    started = time.monotonic()
    main()
    print(f"done in {time.monotonic() - started:.1f} s")
