//! A panic is caught, and reported like any other failure.

use std::{any::Any, future::Future, panic::AssertUnwindSafe};

use futures_util::FutureExt as _;

use crate::text;

/// Runs a future to its end or to its panic, whose message it returns, cut to 1,024 characters.
pub(crate) async fn caught<T>(future: impl Future<Output = T>) -> Result<T, String> {
    // Unwind safe: what the future shares with us are counters and the last state read, each of
    // them whole at any await point.
    AssertUnwindSafe(future)
        .catch_unwind()
        .await
        .map_err(|panic| text::cut(message(panic.as_ref()), 1024))
}

fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}
