//! Notes, checkpoints and cosignatures: vectors of other implementations and changed bits.

use ring::rand::SystemRandom;
use ring::signature::Ed25519KeyPair;

use crate::merkle::*;

/// The example of golang.org/x/mod/sumdb/note: private key (its seed, in PKCS#8 version 1 here), public
/// key and note.
const PETER_SEED: &str = "810a1402d5146c8d84f2443330f54080ebf98ee17d9c74f6252fc5d5c7283173";
const PETER_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const PETER_TEXT: &str = "If you think cryptography is the answer to your problem,\n\
                          then you don't know what your problem is.\n";
const PETER_LINE: &str = "\u{2014} PeterNeumann \
     x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

/// A public checkpoint of 2026, cosigned by a witness, as published.
const COSIGNED: &str = "\
arche2025h1.staging.ct.transparency.dev
1432088532
U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=

\u{2014} arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=
\u{2014} arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=
\u{2014} remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==
";
const COSIGNED_LOG: &str =
    "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f";
const COSIGNED_WITNESS: &str = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2";

fn key(text: &str) -> NoteVerifier {
    text.parse().unwrap()
}

fn pkcs8_v1(seed: &str) -> Vec<u8> {
    hex::decode(format!("302e020100300506032b657004220420{seed}")).unwrap()
}

fn log(origin: &str) -> NoteSigner {
    NoteSigner::from_pkcs8(origin, &pkcs8_v1(&"2a".repeat(32))).unwrap()
}

fn witness() -> NoteSigner {
    // As ring writes it: PKCS#8 version 2, with the public key.
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    NoteSigner::cosigner_from_pkcs8("witness.example/w1", pkcs8.as_ref()).unwrap()
}

fn checkpoint(size: u64) -> Checkpoint {
    Checkpoint { origin: "binh-duong.example/log/1".to_owned(), size, root: leaf_hash(b"root") }
}

#[test]
fn the_example_note_is_made_and_read_byte_for_byte() {
    let signer = NoteSigner::from_pkcs8("PeterNeumann", &pkcs8_v1(PETER_SEED)).unwrap();
    assert_eq!(signer.verifier().to_string(), PETER_KEY);
    assert_eq!(signer.sign(PETER_TEXT), PETER_LINE);

    let text = format!("{PETER_TEXT}\n{PETER_LINE}");
    let note = Note::parse(&text, 1000).unwrap();
    assert_eq!((note.text.as_str(), note.to_string()), (PETER_TEXT, text));
    assert_eq!(note.verify(&key(PETER_KEY)), Ok(()));
    let other = key("EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop");
    assert!(matches!(note.verify(&other), Err(NoteError::NotSigned { .. })));
}

#[test]
fn every_changed_bit_of_a_note_is_noticed() {
    let text = format!("{PETER_TEXT}\n{PETER_LINE}").into_bytes();
    for bit in 0..text.len() * 8 {
        let mut text = text.clone();
        text[bit / 8] ^= 1 << (bit % 8);
        let verified = Note::parse(&text, 1000).and_then(|note| note.verify(&key(PETER_KEY)));
        assert!(verified.is_err(), "bit {bit}");
    }
    for length in 0..text.len() {
        assert!(Note::parse(&text[..length], 1000).and_then(|note| note.verify(&key(PETER_KEY))).is_err());
    }
}

#[test]
fn signatures_of_unknown_keys_are_ignored_and_a_known_key_must_be_right_each_time() {
    let mut note = Note::parse(format!("{PETER_TEXT}\n{PETER_LINE}"), 1000).unwrap();
    let right = note.signatures[0].clone();
    let same_name = NoteSignature { key_id: [0; 4], ..right.clone() };
    let same_id = NoteSignature { name: "Peter".to_owned(), ..right.clone() };
    note.signatures = vec![same_name.clone(), right.clone(), same_id.clone()];
    assert_eq!(note.verify(&key(PETER_KEY)), Ok(()));
    note.signatures = vec![same_name, same_id];
    assert!(matches!(note.verify(&key(PETER_KEY)), Err(NoteError::NotSigned { .. })));
    let wrong = NoteSignature { signature: vec![0; 64], ..right.clone() };
    note.signatures = vec![right, wrong];
    assert!(matches!(note.verify(&key(PETER_KEY)), Err(NoteError::BadSignature { .. })));
}

#[test]
fn a_published_checkpoint_and_its_cosignature_verify() {
    let signed = SignedCheckpoint::verify(COSIGNED, &key(COSIGNED_LOG)).unwrap();
    assert_eq!(signed.checkpoint().size, 1_432_088_532);
    assert_eq!(signed.note(), COSIGNED);
    assert_eq!(signed.body(), signed.checkpoint().body());
    let note = Note::parse(signed.note(), MAX_CHECKPOINT_BYTES).unwrap();
    let line = &note.signatures[2];
    assert_eq!(verify_cosignature(signed.body(), line, &key(COSIGNED_WITNESS)), Ok(0x6a12_2120));
    assert_eq!(note.verify(&key(COSIGNED_WITNESS)), Ok(()));
    // Nobody else's line passes for the witness's, and no other body.
    for other in &note.signatures[..2] {
        assert!(verify_cosignature(signed.body(), other, &key(COSIGNED_WITNESS)).is_err());
    }
    let body = signed.body().replace("1432088532", "1432088533");
    assert!(verify_cosignature(&body, line, &key(COSIGNED_WITNESS)).is_err());
}

#[test]
fn a_signed_checkpoint_verifies_with_its_log_key_only() {
    let signer = log("binh-duong.example/log/1");
    let signed = checkpoint(7).sign(&signer);
    assert_eq!(signed.checkpoint(), &checkpoint(7));
    assert_eq!(signed.body(), checkpoint(7).body());
    assert_eq!(SignedCheckpoint::verify(signed.note(), signer.verifier()), Ok(signed.clone()));
    assert_eq!(SignedCheckpoint::parse_unverified(signed.note()).unwrap().claimed(), &checkpoint(7));
    let next_generation = log("binh-duong.example/log/2");
    assert_eq!(
        SignedCheckpoint::verify(signed.note(), next_generation.verifier()),
        Err(CheckpointError::OtherLog {
            expected: "binh-duong.example/log/2".to_owned(),
            found: "binh-duong.example/log/1".to_owned()
        })
    );
    for bit in 0..signed.note().len() * 8 {
        let mut text = signed.note().as_bytes().to_vec();
        text[bit / 8] ^= 1 << (bit % 8);
        if let Ok(text) = std::str::from_utf8(&text) {
            assert!(SignedCheckpoint::verify(text, signer.verifier()).is_err(), "bit {bit}");
        }
    }
    let large = format!("{}{}", signed.note(), "x".repeat(MAX_CHECKPOINT_BYTES));
    assert!(matches!(
        SignedCheckpoint::verify(&large, signer.verifier()),
        Err(CheckpointError::Note(NoteError::TooLarge { .. }))
    ));
}

#[test]
#[should_panic(expected = "a log's key bears the log's origin")]
fn a_checkpoint_is_not_signed_by_another_logs_key() {
    checkpoint(7).sign(&log("elsewhere.example/log/1"));
}

#[test]
fn extension_lines_are_signed_and_cosigned_but_not_read() {
    let signer = log("binh-duong.example/log/1");
    let body = checkpoint(7).body() + "extension\n";
    let note = format!("{body}\n{}", signer.sign(&body));
    let signed = SignedCheckpoint::verify(&note, signer.verifier()).unwrap();
    assert_eq!(signed.checkpoint(), &checkpoint(7));
    assert_eq!(signed.body(), body);
    let witness = witness();
    let line: NoteSignature = cosign(&signed, 1, &witness).parse().unwrap();
    assert_eq!(verify_cosignature(&body, &line, witness.verifier()), Ok(1));
    assert!(verify_cosignature(&checkpoint(7).body(), &line, witness.verifier()).is_err());
}

#[test]
fn a_cosignature_tells_its_time_and_any_changed_bit_is_noticed() {
    let signer = log("binh-duong.example/log/1");
    let witness = witness();
    let signed = checkpoint(7).sign(&signer);
    let text = cosign(&signed, 1_679_315_147, &witness);
    let line: NoteSignature = text.parse().unwrap();
    assert_eq!(format!("{line}\n"), text);
    assert_eq!(verify_cosignature(signed.body(), &line, witness.verifier()), Ok(1_679_315_147));
    for bit in 0..line.signature.len() * 8 {
        let mut line = line.clone();
        line.signature[bit / 8] ^= 1 << (bit % 8);
        assert!(verify_cosignature(signed.body(), &line, witness.verifier()).is_err(), "bit {bit}");
    }
    for length in 0..line.signature.len() {
        let line = NoteSignature { signature: line.signature[..length].to_vec(), ..line.clone() };
        assert!(verify_cosignature(signed.body(), &line, witness.verifier()).is_err());
    }
    // Added to the note it disturbs nothing, and the note verifies for both keys.
    let note = format!("{}{text}", signed.note());
    assert_eq!(SignedCheckpoint::verify(&note, signer.verifier()).unwrap().note(), note);
    assert_eq!(Note::parse(&note, MAX_CHECKPOINT_BYTES).unwrap().verify(witness.verifier()), Ok(()));
}

#[test]
fn the_two_signature_types_do_not_pass_for_each_other() {
    let signer = log("binh-duong.example/log/1");
    let witness = witness();
    let signed = checkpoint(7).sign(&signer);
    let plain: NoteSignature = witness.sign(signed.body()).parse().unwrap();
    assert!(matches!(
        verify_cosignature(signed.body(), &plain, witness.verifier()),
        Err(NoteError::NotSigned { .. })
    ));
    let cosigned: NoteSignature = cosign(&signed, 1, &signer).parse().unwrap();
    assert!(!signer.verifier().made(&cosigned));
    assert_eq!(
        verify_cosignature(signed.body(), &cosigned, signer.verifier()),
        Err(NoteError::NotCosigner { name: "binh-duong.example/log/1".to_owned() })
    );
    let late: NoteSignature = cosign(&signed, 1 << 63, &witness).parse().unwrap();
    assert_eq!(
        verify_cosignature(signed.body(), &late, witness.verifier()),
        Err(NoteError::TimeOutOfRange { unix_seconds: 1 << 63 })
    );
}
