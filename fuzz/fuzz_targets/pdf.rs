//! A PDF with its signatures: a changed one is never valid in both roles unless nothing that shows was changed, so only
//! panics, time and memory are looked for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lienthong::signature::fuzzing;
use lienthong_fuzz::WORLD;

fuzz_target!(|data: &[u8]| {
    let _ = fuzzing::pdf(data, &WORLD.trust);
});
