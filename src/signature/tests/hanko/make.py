# Made these files with pyHanko and the cryptography package, from an unsigned.pdf: signers, a timestamp authority and
# an OCSP responder of one authority. Judge at 2026-11-23T14:30:00Z; a new run makes new keys and times.
import datetime as dt, os
from cryptography import x509
from cryptography.x509.oid import NameOID, ExtendedKeyUsageOID as E
from cryptography.hazmat.primitives.asymmetric import ec, rsa, padding
from cryptography.hazmat.primitives import hashes, serialization as S
from cryptography.x509 import ocsp
import asn1crypto.x509 as ax, asn1crypto.keys as ak, asn1crypto.crl as acrl, asn1crypto.ocsp as aocsp
now=dt.datetime.now(dt.timezone.utc).replace(microsecond=0)
D=dt.timedelta(days=1)
def name(n): return x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME,'VN'),x509.NameAttribute(NameOID.COMMON_NAME,n)])
def cert(n,key,issuer=None,ca=False,ku=None,eku=None,ekucrit=False,extra=(),na=None):
    iname,ikey=(name(n),key) if issuer is None else (issuer[0].subject,issuer[1])
    b=x509.CertificateBuilder().subject_name(name(n)).issuer_name(iname).public_key(key.public_key()).serial_number(x509.random_serial_number()).not_valid_before(now-400*D).not_valid_after(na or now+3000*D)
    b=b.add_extension(x509.BasicConstraints(ca,None),True)
    k=dict(digital_signature=not ca,content_commitment=not ca and eku is None,key_encipherment=False,data_encipherment=False,key_agreement=False,key_cert_sign=ca,crl_sign=ca,encipher_only=False,decipher_only=False)
    b=b.add_extension(x509.KeyUsage(**k),True)
    b=b.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()),False)
    b=b.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ikey.public_key()),False)
    if eku: b=b.add_extension(x509.ExtendedKeyUsage(eku),ekucrit)
    for e in extra: b=b.add_extension(e,False)
    return b.sign(ikey,hashes.SHA256()),key
ek=lambda: ec.generate_private_key(ec.SECP256R1())
root=cert('Root hanko',rsa.generate_private_key(65537,3072),ca=True)
sub=cert('Sub hanko',ek(),root,ca=True)
p256=cert('Person P256',ek(),sub); rsap=cert('Person RSA',rsa.generate_private_key(65537,2048),sub)
p384=cert('Person P384',ec.generate_private_key(ec.SECP384R1()),sub)
short=cert('Person short',ek(),sub,na=now-1*D)
tsa=cert('TSA hanko',rsa.generate_private_key(65537,2048),sub,eku=[E.TIME_STAMPING],ekucrit=True)
resp=cert('OCSP hanko',ek(),sub,eku=[E.OCSP_SIGNING],extra=[x509.OCSPNoCheck()])
def crl(iss,this,nxt,rev=()):
    b=x509.CertificateRevocationListBuilder().issuer_name(iss[0].subject).last_update(this).next_update(nxt).add_extension(x509.CRLNumber(5),False)
    for c,d in rev: b=b.add_revoked_certificate(x509.RevokedCertificateBuilder().serial_number(c[0].serial_number).revocation_date(d).build())
    return b.sign(iss[1],hashes.SHA256())
pem=lambda c: c.public_bytes(S.Encoding.PEM)
os.makedirs('t',exist_ok=True); os.makedirs('t0',exist_ok=True)
for t in('t','t0'): open(t+'/root-h.pem','wb').write(pem(root[0]))
rc=crl(root,now-10*D,now+100*D); sc=crl(sub,now-10*D,now+100*D)
open('t/root.crl','wb').write(rc.public_bytes(S.Encoding.DER)); open('t/sub.crl','wb').write(pem(sc))
def oc(c):
    return ocsp.OCSPResponseBuilder().add_response(c[0],sub[0],hashes.SHA1(),ocsp.OCSPCertStatus.GOOD,now-dt.timedelta(hours=1),now+7*D,None,None).responder_id(ocsp.OCSPResponderEncoding.HASH,resp[0]).certificates([resp[0]]).sign(resp[1],hashes.SHA256())
from pyhanko.sign import signers, fields
from pyhanko.sign.fields import SigSeedSubFilter as SF
from pyhanko.sign.timestamps import DummyTimeStamper
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter as W
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.registry import SimpleCertificateStore
A=lambda c: ax.Certificate.load(c[0].public_bytes(S.Encoding.DER))
K=lambda c: ak.PrivateKeyInfo.load(c[1].private_bytes(S.Encoding.DER,S.PrivateFormat.PKCS8,S.NoEncryption()))
def store(*cs):
    s=SimpleCertificateStore(); s.register_multiple([A(c) for c in cs]); return s
src=open('unsigned.pdf','rb').read()
import io
def sign(out,c,data=None,field='S1',tsat=None,lt=False,lta=False,sf=SF.PADES,pss=False,crls=True,ocsps=(),certify=False,md='sha256'):
    ts=DummyTimeStamper(A(tsa),K(tsa),certs_to_embed=store(sub,root),fixed_dt=tsat or now-dt.timedelta(minutes=5),include_nonce=False) if (tsat or lt or lta) else None
    sg=signers.SimpleSigner(signing_cert=A(c),signing_key=K(c),cert_registry=store(sub,root),prefer_pss=pss)
    vc=None
    if lt: vc=ValidationContext(trust_roots=[A(root)],other_certs=[A(sub),A(tsa),A(resp)],crls=[acrl.CertificateList.load(x.public_bytes(S.Encoding.DER)) for x in ([rc,sc] if crls else [rc])],ocsps=[aocsp.OCSPResponse.load(oc(x).public_bytes(S.Encoding.DER)) for x in ocsps],allow_fetching=False,revocation_mode='hard-fail')
    m=signers.PdfSignatureMetadata(field_name=field,md_algorithm=md,subfilter=sf,embed_validation_info=lt,use_pades_lta=lta,validation_context=vc,certify=certify,name='x',reason='y')
    o=signers.PdfSigner(m,signer=sg,timestamper=ts).sign_pdf(W(io.BytesIO(data or src)))
    b=o.getvalue(); open(out,'wb').write(b); return b
a=sign('a-b-p256.pdf',p256)
sign('b-bt-rsa.pdf',rsap,tsat=now-2*D)
sign('c-blt-crl.pdf',p256,lt=True)
sign('d-blta.pdf',p256,lt=True,lta=True)
sign('e-blt-ocsp.pdf',rsap,lt=True,crls=False,ocsps=[rsap,tsa,])
sign('f-pss.pdf',rsap,pss=True)
sign('g-adbe.pdf',p256,sf=SF.ADOBE_PKCS7_DETACHED)
sign('h-p384.pdf',p384,md='sha384')
sign('i-two.pdf',rsap,data=a,field='S2')
sign('j-certify.pdf',p256,certify=True)
sign('k-expired-stamped.pdf',short,tsat=now-5*D)
sign('l-expired.pdf',short)
ld=open('l-expired.pdf','rb').read()
ts=DummyTimeStamper(A(tsa),K(tsa),certs_to_embed=store(sub,root),fixed_dt=now-6*D,include_nonce=False)
o=signers.PdfTimeStamper(ts,field_name='T1').timestamp_pdf(W(io.BytesIO(ld)),'sha512')
open('m-expired-docts.pdf','wb').write(o.getvalue())
# timestamp first, signature later: proves nothing for the signature
o=signers.PdfTimeStamper(ts,field_name='T1').timestamp_pdf(W(io.BytesIO(src)),'sha256')
sign('n-docts-then-expired.pdf',short,data=o.getvalue())
open('o-docts-only.pdf','wb').write(o.getvalue())
