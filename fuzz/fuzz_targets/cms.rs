//! A detached signature beside an empty content: none is valid.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lienthong::signature::fuzzing;
use lienthong_fuzz::WORLD;

fuzz_target!(|data: &[u8]| {
    assert_ne!(fuzzing::cms(data, &WORLD.trust).person, lienthong::signature::Verdict::Valid);
});
