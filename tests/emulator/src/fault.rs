//! Faults that a test scripts, an operation at a time.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

/// What goes wrong with a request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The service answers with this error; nothing is carried out.
    Error {
        /// The HTTP status.
        status: u16,
        /// The error code.
        code: &'static str,
    },
    /// This status and body as they are; nothing is carried out.
    Raw(u16, &'static str),
    /// The request is carried out, this much later.
    Delay(Duration),
    /// Never an answer; nothing is carried out.
    Hang,
    /// The connection is reset; nothing is carried out.
    Reset,
    /// The connection is reset, and from now on the service refuses every other; nothing is carried
    /// out.
    Refuse,
    /// The request is carried out, and the connection is reset before the answer.
    Lost,
    /// The request is carried out, and the connection breaks in the middle of the answer.
    Broken,
    /// The request is carried out, and the answer comes a byte a second.
    Drip,
    /// The request is carried out, and this text replaces the answer's body.
    Mangled(&'static str),
    /// `DescribeCustomKeyStores` reports this state, regardless of the true one.
    State(&'static str),
}

impl Fault {
    /// The throttling that KMS answers with, which is HTTP 400.
    pub const THROTTLED: Self = Self::Error {
        status: 400,
        code: "ThrottlingException",
    };

    /// The answer of KMS to a caller without the permission.
    pub const DENIED: Self = Self::Error {
        status: 400,
        code: "AccessDeniedException",
    };

    /// The same of SNS.
    pub const DENIED_BY_SNS: Self = Self::Error {
        status: 403,
        code: "AuthorizationError",
    };
}

/// How often a fault strikes.
#[derive(Debug, Clone, Copy)]
pub enum Times {
    /// The next so many requests.
    Next(u32),
    /// Every request for so long, from the first that it strikes.
    For(Duration),
    /// Every request.
    Always,
}

/// The faults that are still to strike, by operation.
#[derive(Debug, Default)]
pub(crate) struct Faults(HashMap<String, VecDeque<Scripted>>);

#[derive(Debug)]
struct Scripted {
    fault: Fault,
    times: Times,
    since: Option<Instant>,
}

impl Faults {
    pub(crate) fn script(&mut self, operation: &str, fault: Fault, times: Times) {
        let scripted = Scripted {
            fault,
            times,
            since: None,
        };
        self.0.entry(operation.to_owned()).or_default().push_back(scripted);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault that strikes this request, if any.
    pub(crate) fn strike(&mut self, operation: &str) -> Option<Fault> {
        let queue = self.0.get_mut(operation)?;
        loop {
            let next = queue.front_mut()?;
            let since = *next.since.get_or_insert_with(Instant::now);
            match &mut next.times {
                Times::Always => return Some(next.fault.clone()),
                Times::For(time) if since.elapsed() < *time => return Some(next.fault.clone()),
                Times::Next(left) if *left > 0 => {
                    *left -= 1;
                    return Some(next.fault.clone());
                }
                Times::For(_) | Times::Next(_) => queue.pop_front(),
            };
        }
    }
}
