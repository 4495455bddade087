//! A statement of figures from another node: what is read is written again as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lienthong::report::network::statement::Statement;

fuzz_target!(|data: &[u8]| {
    if let Ok(statement) = Statement::read(data) {
        assert_eq!(statement.text().as_bytes(), data);
    }
});
