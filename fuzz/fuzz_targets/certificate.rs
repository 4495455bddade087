//! A certificate: read, with paths and revocation.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lienthong::signature::fuzzing;
use lienthong_fuzz::WORLD;

fuzz_target!(|data: &[u8]| {
    fuzzing::certificate(data, &WORLD.trust);
});
