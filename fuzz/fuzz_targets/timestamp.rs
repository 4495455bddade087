//! A timestamp token over nothing: none proves anything.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lienthong::signature::fuzzing;
use lienthong_fuzz::WORLD;

fuzz_target!(|data: &[u8]| {
    assert!(!fuzzing::timestamp(data, &WORLD.trust));
});
