//! Any bytes as an event: it is read without a panic, and whatever comes of it has its bounds.
//!
//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz event tests/fuzz/corpus/event events`

#![no_main]

use disconnect_custom_key_store::{
    event::{self, Asks},
    ids::Place,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let event = event::read(&text, &Place::default());
    match event.asks {
        Asks::Disconnect { key_store, .. } => assert!((1..=64).contains(&key_store.as_str().len())),
        Asks::Nothing { why } => assert!(!why.is_empty()),
        Asks::Refused { error, .. } => {
            assert!(!error.wrong.is_empty() && error.wrong.chars().count() < 2100);
            assert!(!error.instead.is_empty() && error.instead.len() < 1024);
        }
    }
    assert!(event.reason.is_none_or(|reason| reason.chars().count() < 1100));
});
