//! The emulator by itself, for the AWS CLI and for `cargo lambda`. `--help` lists the options.

use std::{
    error::Error,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use emulator::{
    ACCOUNT, Emulator,
    kms::{Key, KeyStore, TRACKED},
};

const HELP: &str = "\
An emulator of AWS KMS and Amazon SNS: emulator [OPTION...]

It prints its address, then each call and its result, and serves until you end it.

  --port PORT            the port of 127.0.0.1 that it listens on (default: a free one)
  --transition SECONDS   how long a disconnect takes (default: 0)";

/// A key that was used lately in each store, and one of AWS's own.
fn add_keys(emulator: &Emulator) -> Result<(), Box<dyn Error>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    for (id, store, alias) in [
        (
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            Some("cks-1234567890abcdef0"),
            "alias/payments",
        ),
        (
            "2345bcde-12ab-34cd-56ef-1234567890ab",
            Some("cks-9876543210fedcba9"),
            "alias/archive",
        ),
        ("3456cdef-12ab-34cd-56ef-1234567890ab", None, "alias/aws/s3"),
    ] {
        emulator.put_key(Key {
            aliases: vec![alias.to_owned()],
            last_used: Some((now - 180, "Decrypt".to_owned())),
            created: TRACKED,
            ..Key::new(id, store)
        });
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut port = 0;
    let mut transition = Duration::ZERO;
    let topic = format!("arn:aws:sns:us-east-1:{ACCOUNT}:key-store-notices");
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} wants a value"));
        match argument.as_str() {
            "--port" => port = value()?.parse()?,
            "--transition" => transition = Duration::from_secs_f64(value()?.parse()?),
            "--help" => {
                println!("{HELP}");
                return Ok(());
            }
            other => return Err(format!("unknown argument {other}; --help lists the options").into()),
        }
    }
    let emulator = Emulator::start_on(port)?;
    emulator.add_key_store(KeyStore::cloud_hsm("cks-1234567890abcdef0", "payments-hsm").taking(transition));
    emulator.add_key_store(KeyStore::external("cks-9876543210fedcba9", "archive-xks").taking(transition));
    emulator.add_topic(&topic, None);
    add_keys(&emulator)?;
    let calls = emulator.watch();
    println!("{}", emulator.url());
    for call in calls {
        // A Publish is a form of several kilobytes; its subject says enough.
        let request = if call.operation == "Publish" {
            let subject = emulator.published().pop().map(|message| message.subject);
            subject.unwrap_or_default()
        } else {
            call.request
        };
        println!("{} {request}: {}", call.operation, call.result);
    }
    Ok(())
}
