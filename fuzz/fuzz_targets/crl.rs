//! A revocation list, asked about certificates.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lienthong::signature::fuzzing;
use lienthong_fuzz::WORLD;

fuzz_target!(|data: &[u8]| {
    fuzzing::crl(data, &WORLD.trust, &WORLD.certificates);
});
