//! Reads any bytes as an event, without a panic, and checks that every result is within its bounds.
//!
//! `make fuzz` runs it.

#![no_main]

use disconnect_custom_key_store::{
    event::{self, Payload, Request},
    ids::AccountRegion,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let event = event::read(&Payload::from(bytes), &AccountRegion::default());
    match event.request {
        Request::Disconnect { key_store, .. } => assert!((5..=64).contains(&key_store.as_str().len())),
        Request::Ignore { ignored, .. } => assert!(!ignored.why().is_empty()),
        Request::Refuse { error, .. } => {
            assert!(!error.wrong.is_empty() && error.wrong.chars().count() < 8192);
            assert!(!error.instead.is_empty() && error.instead.len() < 2048);
        }
    }
});
