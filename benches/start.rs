//! How fast the switch acts, against what else a person could reach for, each in turn on one
//! machine over TLS.
//!
//! `make bench` runs it: `cargo bench --bench start -- FUNCTION PYTHON_BIN LAST RESULT`, where
//! FUNCTION is the release binary, `PYTHON_BIN` the folder with `python` and `aws`, LAST the
//! committed figures that the new ones are compared with, and RESULT the file of the new ones.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark ends where it cannot go on, and runs in real time"
)]

use std::{
    env, fs, io,
    num::NonZero,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::mpsc::Receiver,
    thread,
    time::{Duration, Instant},
};

use emulator::{
    Call, Emulator,
    fault::{Fault, Times as Often},
    function::Function,
    kms::KeyStore,
    runtime_api::{Delivery, RuntimeApi, Taken},
};
use serde_json::{Value, json};

const ID: &str = "cks-1234567890abcdef0";
const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:key-store-notices";
const PATIENCE: Duration = Duration::from_secs(120);
/// Before the first event and before the later ones that it is compared with: events find a process
/// that has slept.
const REST: Duration = Duration::from_millis(50);
const RESTED: usize = 50;

const COLD: usize = 60;
const WARM: usize = 200;
/// Warm invocations of one peer before it is the other's turn: after each turn it finds the caches
/// full of the other.
const TURN: usize = 10;
/// Under a quota or with a slow network, where everything takes longer.
const COLD_SLOW: usize = 7;
const WARM_SLOW: usize = 30;

/// One contender.
struct Peer {
    name: &'static str,
    /// It runs as a Lambda function does; otherwise it is a command that makes one request.
    is_function: bool,
    command: Vec<String>,
    folder: PathBuf,
    roots: String,
}

impl Peer {
    fn start(&self, emulator: &Emulator, runtime_api: &RuntimeApi) -> Function {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).current_dir(&self.folder);
        let path = env::var("PATH").unwrap();
        let settings = [
            ("ALLOWED_KEY_STORE_IDS", ID),
            ("TOPIC_ARN", TOPIC),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("_HANDLER", "handler.handler"),
            ("LAMBDA_TASK_ROOT", "."),
            ("PATH", &path),
            ("SSL_CERT_FILE", &self.roots),
            ("AWS_CA_BUNDLE", &self.roots),
        ];
        Function::start(command, emulator, runtime_api, &settings).unwrap()
    }
}

/// The root certificates of this machine and that of the stand-in, as a file: on Lambda, too, each
/// peer reads some 140.
fn roots(emulator: &Emulator) -> String {
    let of_machine = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];
    let of_machine = of_machine.iter().find_map(|path| fs::read_to_string(path).ok());
    let all = of_machine.expect("this machine's root certificates") + emulator.certificate().unwrap();
    let path = env::temp_dir().join(format!("roots-{}.pem", std::process::id()));
    fs::write(&path, all).unwrap();
    path.to_str().unwrap().to_owned()
}

fn peers(function: &str, python: &Path, emulator: &Emulator) -> Vec<Peer> {
    let roots = roots(emulator);
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let request = format!(r#"{{"CustomKeyStoreId":"{ID}"}}"#);
    let tool = |name: &str| python.join(name).to_str().unwrap().to_owned();
    let peer = |name, is_function, command, folder: &str| Peer {
        name,
        is_function,
        command,
        folder: Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
        roots: roots.clone(),
    };
    let curl = [
        "curl",
        "--silent",
        "--aws-sigv4",
        "aws:amz:us-east-1:kms",
        "--user",
        "AKIDEXAMPLE:wJalrXUtnFEMI",
        "--header",
        "X-Amz-Target: TrentService.DisconnectCustomKeyStore",
        "--header",
        "Content-Type: application/x-amz-json-1.1",
        "--data",
        &request,
        &emulator.url(),
    ];
    let cli = ["kms", "disconnect-custom-key-store", "--custom-key-store-id", ID];
    vec![
        peer("this function", true, words(&[function]), "."),
        peer(
            "boto3 under awslambdaric",
            true,
            words(&[&tool("python"), "-m", "awslambdaric", "handler.handler"]),
            "benches/boto3",
        ),
        peer("AWS CLI", false, [vec![tool("aws")], words(&cli)].concat(), "."),
        peer("curl", false, words(&curl), "."),
    ]
}

/// The processor that Lambda gives for a memory size, as a control group: 1 at 1,769 MB
/// (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>).
struct Quota {
    group: PathBuf,
}

impl Quota {
    /// Fails where control groups cannot be written, which needs root or a delegated group.
    fn of(megabytes: u64) -> io::Result<Self> {
        // Lambda hands the processor out in periods of 20 ms.
        let (period, quota) = (20_000, 20_000 * megabytes / 1769);
        let (v1, v2) = (Path::new("/sys/fs/cgroup/cpu"), Path::new("/sys/fs/cgroup"));
        let name = format!("bench-{}-{megabytes}", std::process::id());
        let group = if v1.is_dir() { v1 } else { v2 }.join(name);
        fs::create_dir(&group)?;
        if v1.is_dir() {
            fs::write(group.join("cpu.cfs_period_us"), period.to_string())?;
            fs::write(group.join("cpu.cfs_quota_us"), quota.to_string())?;
        } else {
            fs::write(group.join("cpu.max"), format!("{quota} {period}"))?;
        }
        Ok(Self { group })
    }

    fn hold(&self, function: &Function) {
        fs::write(self.group.join("cgroup.procs"), function.id().to_string()).unwrap();
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        // The processes have been ended; the kernel takes a moment to let go of them.
        for _ in 0..100 {
            if fs::remove_dir(&self.group).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Keeps all processors awake, by loops of the lowest scheduling class, which any other process
/// interrupts. A virtual machine gives a processor without work back to its host, and waits until
/// it has it again: eight times in a warm invocation, whatever the function does.
struct Awake(Vec<Child>);

impl Awake {
    fn keep() -> Self {
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        let idle = || {
            Command::new("chrt")
                .args(["--idle", "0", "sh", "-c", "while :; do :; done"])
                .spawn()
                .expect("chrt, of util-linux")
        };
        Self((0..processors).map(|_| idle()).collect())
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = (child.kill(), child.wait());
        }
    }
}

/// Milliseconds, sorted.
#[derive(Default, Clone)]
struct Times(Vec<f64>);

impl Times {
    fn add(&mut self, time: Duration) {
        self.add_milliseconds(time.as_secs_f64() * 1e3);
    }

    fn add_milliseconds(&mut self, time: f64) {
        self.0.push(time);
        self.0.sort_by(f64::total_cmp);
    }

    fn at(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0
            .get((last as f64 * share).round() as usize)
            .copied()
            .unwrap_or(f64::NAN)
    }

    fn median(&self) -> f64 {
        self.at(0.5)
    }

    /// Median, and the range in which nine of ten lie.
    fn shown(&self) -> String {
        if self.0.is_empty() {
            return "–".into();
        }
        format!("{:.1} ({:.1}–{:.1})", self.median(), self.at(0.05), self.at(0.95))
    }

    fn json(&self) -> Value {
        json!({ "median": self.median(), "low": self.at(0.05), "high": self.at(0.95) })
    }
}

/// What was measured of one peer.
#[derive(Default, Clone)]
struct Figures {
    /// Process start → Disconnect arrives.
    cold: Times,
    /// Event → Disconnect arrives, in the first invocation after Init.
    first: Times,
    /// The same in later invocations, after the same rest.
    later: Times,
    /// Event → the invocation's end, one after another without a rest.
    whole: Times,
    /// The same, on processors that are kept awake.
    awake: Times,
    /// The processor time of such an invocation.
    processor: Times,
    /// KiB, after one invocation.
    peak: u64,
}

struct Bench {
    emulator: Emulator,
    peers: Vec<Peer>,
}

/// What slows the peers down.
#[derive(Clone, Copy)]
struct Conditions<'a> {
    quota: Option<&'a Quota>,
    cold: usize,
    warm: usize,
}

impl Bench {
    fn reset(&self) -> Receiver<Call> {
        self.emulator.add_key_store(KeyStore::cloud_hsm(ID, "payments-hsm"));
        self.emulator.forget();
        self.emulator.watch()
    }

    /// From the start of the process to the arrival of its request, and the memory that it took at
    /// most.
    fn cold(&self, peer: &Peer, quota: Option<&Quota>) -> (Duration, u64) {
        let calls = self.reset();
        let runtime_api = RuntimeApi::start().unwrap();
        runtime_api.deliver(event());
        let function = peer.start(&self.emulator, &runtime_api);
        if let Some(quota) = quota {
            quota.hold(&function);
        }
        let arrived = disconnect(&calls) - function.started_at();
        if peer.is_function {
            runtime_api.reported(PATIENCE).expect("a report");
        }
        (arrived, peak(&function))
    }

    /// A process that has been through Init.
    fn initialised(&self, peer: &Peer, quota: Option<&Quota>) -> (Function, RuntimeApi) {
        self.reset();
        let runtime_api = RuntimeApi::start().unwrap();
        let function = peer.start(&self.emulator, &runtime_api);
        runtime_api.asked_for_next(PATIENCE).expect("Init ends");
        // Lambda's Init has a whole processor; an invocation has what its memory size gives.
        if let Some(quota) = quota {
            quota.hold(&function);
        }
        (function, runtime_api)
    }

    /// From the event to the arrival of the request, and to the end of the invocation, by the clock
    /// of the stand-ins: how long this thread takes to wake up is not in it. Until that end it
    /// sleeps: nothing of the benchmark takes a processor from the function and the stand-ins. The
    /// function has asked for an event before one is delivered, as with Lambda, so that no time of
    /// the one before is counted.
    fn invoke(&self, runtime_api: &RuntimeApi, rest: Duration) -> (Duration, Duration) {
        let calls = self.reset();
        thread::sleep(rest);
        runtime_api.deliver(event());
        let Taken { from, to } = runtime_api.ended(PATIENCE).expect("a report");
        runtime_api
            .asked_for_next(PATIENCE)
            .expect("it asks for the next event");
        (disconnect(&calls) - from, to - from)
    }

    /// All peers in turn.
    fn measure(&self, conditions: Conditions) -> Vec<Figures> {
        let mut figures = vec![Figures::default(); self.peers.len()];
        for _ in 0..conditions.cold {
            for (peer, figures) in self.peers.iter().zip(&mut figures) {
                let (arrived, peak) = self.cold(peer, conditions.quota);
                figures.cold.add(arrived);
                figures.peak = figures.peak.max(peak);
                if peer.is_function {
                    let (_function, runtime_api) = self.initialised(peer, conditions.quota);
                    figures.first.add(self.invoke(&runtime_api, REST).0);
                }
            }
        }
        let functions = self.peers.iter().zip(&mut figures).filter(|(peer, _)| peer.is_function);
        let mut running: Vec<_> = functions
            .map(|(peer, figures)| (self.initialised(peer, conditions.quota), figures))
            .collect();
        let mut by_turns = |measure: &dyn Fn(&Function, &RuntimeApi, &mut Figures)| {
            for _ in 0..conditions.warm / TURN {
                for ((function, runtime_api), figures) in &mut running {
                    (0..TURN).for_each(|_| measure(function, runtime_api, figures));
                }
            }
        };
        by_turns(&|_, runtime_api, figures| figures.whole.add(self.invoke(runtime_api, Duration::ZERO).1));
        if conditions.quota.is_none() {
            let _awake = Awake::keep();
            by_turns(&|function, runtime_api, figures| {
                let used = processor(function);
                figures.awake.add(self.invoke(runtime_api, Duration::ZERO).1);
                figures.processor.add_milliseconds(processor(function) - used);
            });
        }
        for _ in 0..RESTED.min(conditions.warm) {
            for ((_, runtime_api), figures) in &mut running {
                figures.later.add(self.invoke(runtime_api, REST).0);
            }
        }
        figures
    }
}

fn event() -> Delivery {
    Delivery::of(json!({ "CustomKeyStoreId": ID }).to_string())
}

/// When the next Disconnect arrives.
fn disconnect(calls: &Receiver<Call>) -> Instant {
    loop {
        let call = calls.recv_timeout(PATIENCE).expect("a Disconnect");
        if call.operation == "DisconnectCustomKeyStore" {
            return call.at;
        }
    }
}

fn status(function: &Function, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", function.id())).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(field));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or_default()
}

fn peak(function: &Function) -> u64 {
    status(function, "VmHWM:")
}

/// Milliseconds of processor that the process has used.
fn processor(function: &Function) -> f64 {
    let schedule = fs::read_to_string(format!("/proc/{}/schedstat", function.id())).unwrap();
    let nanoseconds: f64 = schedule.split_whitespace().next().unwrap().parse().unwrap();
    nanoseconds / 1e6
}

fn print_main(bench: &Bench, figures: &[Figures]) {
    println!(
        "\nMedian milliseconds, and in brackets where nine of ten lie: {COLD} cold starts and {RESTED} later events by turns, {WARM} warm invocations in turns of {TURN}.\n"
    );
    println!(
        "| | process start → Disconnect arrives | first event → Disconnect arrives | later event → Disconnect arrives | whole warm invocation | the same on processors that are awake | its processor time | peak memory |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for (peer, figures) in bench.peers.iter().zip(figures) {
        let peak = if peer.is_function {
            format!("{:.1} MiB", figures.peak as f64 / 1024.0)
        } else {
            "–".into()
        };
        println!(
            "| {} | {} | {} | {} | {} | {} | {} | {peak} |",
            peer.name,
            figures.cold.shown(),
            figures.first.shown(),
            figures.later.shown(),
            figures.whole.shown(),
            figures.awake.shown(),
            figures.processor.shown()
        );
    }
}

fn print_slow(name: &str, figures: &[Figures]) {
    let [ours, boto3, ..] = figures else {
        return;
    };
    let pair = |times: fn(&Figures) -> &Times| {
        let (ours, boto3) = (times(ours).median(), times(boto3).median());
        format!("{ours:.1} / {boto3:.0} = 1/{:.0}", boto3 / ours)
    };
    println!(
        "| {name} | {} | {} | {} |",
        pair(|figures| &figures.cold),
        pair(|figures| &figures.first),
        pair(|figures| &figures.whole)
    );
}

fn slow(bench: &mut Bench) {
    bench.peers.truncate(2);
    println!(
        "\nThis function / boto3, median milliseconds, {COLD_SLOW} cold starts and {WARM_SLOW} warm invocations. After Init, which Lambda runs on a whole processor, the first event has what the memory size gives.\n"
    );
    println!("| | process start → Disconnect arrives | first event → Disconnect arrives | whole warm invocation |");
    println!("| --- | --- | --- | --- |");
    for megabytes in [128, 512, 1769] {
        match Quota::of(megabytes) {
            Ok(quota) => {
                let conditions = Conditions {
                    quota: Some(&quota),
                    cold: COLD_SLOW,
                    warm: WARM_SLOW,
                };
                print_slow(&format!("the processor of {megabytes} MB"), &bench.measure(conditions));
            }
            Err(error) => println!(
                "| the processor of {megabytes} MB | not measured: no control group can be made here ({error}) | | |"
            ),
        }
    }
    bench.emulator.latency(Duration::from_millis(20));
    let conditions = Conditions {
        quota: None,
        cold: COLD_SLOW,
        warm: WARM_SLOW,
    };
    print_slow("20 ms added to each answer of AWS", &bench.measure(conditions));
    bench.emulator.latency(Duration::ZERO);
}

/// How much later `Disconnect` arrives in a cold start if AWS is slow. The self-check of Init must
/// not delay it by more than 250 ms.
fn delays(bench: &Bench) {
    println!(
        "\nProcess start → Disconnect arrives, median milliseconds of {COLD_SLOW} cold starts of this function.\n"
    );
    println!("| added to each answer | to the self-check alone | to every answer |\n| --- | --- | --- |");
    for added in [0, 20, 100, 2000].map(Duration::from_millis) {
        let (mut check, mut all) = (Times::default(), Times::default());
        for _ in 0..COLD_SLOW {
            bench.emulator.no_faults();
            // In a run, the self-check's read of the key stores is the first one.
            let often = [
                ("DescribeCustomKeyStores", Often::Next(1)),
                ("GetTopicAttributes", Often::Always),
            ];
            for (operation, often) in often {
                bench.emulator.fault(operation, Fault::Delay(added), often);
            }
            check.add(bench.cold(&bench.peers[0], None).0);
            bench.emulator.no_faults();
            bench.emulator.latency(added);
            all.add(bench.cold(&bench.peers[0], None).0);
            bench.emulator.latency(Duration::ZERO);
        }
        println!("| {} ms | {} | {} |", added.as_millis(), check.shown(), all.shown());
    }
}

/// The same three requests by curl on one open connection, signed, without a decision between them:
/// what is left to gain.
fn floor(bench: &Bench) -> Times {
    let roots = env::temp_dir().join(format!("floor-{}.pem", std::process::id()));
    fs::write(&roots, bench.emulator.certificate().unwrap()).unwrap();
    let mut config = String::new();
    // The first three open the connection and are not counted.
    for run in 0..=WARM {
        let id = format!("cks-{run:017}");
        bench
            .emulator
            .add_key_store(KeyStore::cloud_hsm(&id, &format!("store-{run}")));
        let body = format!(r#"{{"CustomKeyStoreId":"{id}"}}"#);
        let notice = format!(
            "Action=Publish&Version=2010-03-31&TopicArn={TOPIC}&Subject=DISCONNECTED&Message={}",
            "x".repeat(1500)
        );
        let json = "Content-Type: application/x-amz-json-1.1";
        let requests = [
            (
                "kms",
                json,
                "X-Amz-Target: TrentService.DisconnectCustomKeyStore",
                &body,
            ),
            ("kms", json, "X-Amz-Target: TrentService.DescribeCustomKeyStores", &body),
            (
                "sns",
                "Content-Type: application/x-www-form-urlencoded",
                "X-Bench: floor",
                &notice,
            ),
        ];
        for (service, kind, target, body) in requests {
            let next = if config.is_empty() { "" } else { "next\n" };
            let body = body.replace('"', "\\\"");
            config.push_str(next);
            for (option, value) in [
                ("url", bench.emulator.url().as_str()),
                ("cacert", roots.to_str().unwrap()),
                ("aws-sigv4", &format!("aws:amz:us-east-1:{service}")),
                ("user", "AKIDEXAMPLE:wJalrXUtnFEMI"),
                ("header", kind),
                ("header", target),
                ("data", &body),
                ("output", "/dev/null"),
                ("write-out", "%{http_code} %{time_total}\\n"),
            ] {
                config.extend([option, " = \"", value, "\"\n"]);
            }
        }
    }
    let file = roots.with_extension("config");
    fs::write(&file, config).unwrap();
    let done = Command::new("curl")
        .arg("--silent")
        .arg("--config")
        .arg(&file)
        .output()
        .unwrap();
    let printed = String::from_utf8(done.stdout).unwrap();
    let each: Vec<f64> = printed
        .lines()
        .map(|line| {
            let (status, seconds) = line.split_once(' ').expect("a status and a time");
            assert_eq!(status, "200");
            seconds.parse().unwrap()
        })
        .collect();
    assert_eq!(each.len(), 3 * (WARM + 1), "{}", String::from_utf8_lossy(&done.stderr));
    let _ = (fs::remove_file(roots), fs::remove_file(file));
    let mut times = Times::default();
    for run in each.chunks(3).skip(1) {
        times.add(Duration::from_secs_f64(run.iter().sum()));
    }
    times
}

/// Invocation time and requests, against how long the store takes.
fn polls(bench: &Bench) {
    println!("\nWhat a store that takes its time costs.\n");
    println!(
        "| the store takes | the invocation takes | that is late by | reads | processor | processor for each further read |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    let mut base = None;
    for seconds in [0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0] {
        let (function, runtime_api) = bench.initialised(&bench.peers[0], None);
        bench.invoke(&runtime_api, Duration::ZERO);
        let transition = Duration::from_secs_f64(seconds);
        bench.emulator.forget();
        bench
            .emulator
            .add_key_store(KeyStore::external(ID, "archive-xks").taking(transition));
        let (used, begun) = (processor(&function), Instant::now());
        runtime_api.deliver(Delivery {
            timeout: Duration::from_secs(900),
            ..event()
        });
        runtime_api.reported(PATIENCE).expect("a report");
        let (took, used) = (begun.elapsed().as_secs_f64(), processor(&function) - used);
        let reads = bench
            .emulator
            .operations()
            .iter()
            .filter(|name| *name == "DescribeCustomKeyStores")
            .count();
        let (least, at_least) = *base.get_or_insert((used, reads));
        let each = match reads - at_least {
            0 => "–".into(),
            more => format!("{:.2} ms", (used - least) / more as f64),
        };
        let late = took - seconds;
        println!("| {seconds} s | {took:.1} s | {late:.1} s | {reads} | {used:.1} ms | {each} |");
    }
}

/// A figure that does not hang on how fast the machine is.
struct Ratio {
    name: &'static str,
    found: f64,
    most: Option<f64>,
}

impl Ratio {
    fn is_reached(&self) -> bool {
        self.most.is_none_or(|most| self.found <= most)
    }
}

fn ratios(figures: &[Figures], floor: &Times) -> Vec<Ratio> {
    let (ours, boto3, curl) = (&figures[0], &figures[1], &figures[3]);
    let ratio = |name, found, most| Ratio { name, found, most };
    vec![
        ratio(
            "process start → Disconnect, of boto3's",
            ours.cold.median() / boto3.cold.median(),
            Some(1.0 / 50.0),
        ),
        ratio(
            "process start → Disconnect, of curl's",
            ours.cold.median() / curl.cold.median(),
            Some(0.5),
        ),
        ratio(
            "first event → Disconnect, of a later one",
            ours.first.median() / ours.later.median(),
            Some(1.5),
        ),
        ratio(
            "warm invocation, of boto3's",
            ours.whole.median() / boto3.whole.median(),
            Some(0.25),
        ),
        ratio(
            "warm invocation on processors that are awake, of boto3's",
            ours.awake.median() / boto3.awake.median(),
            None,
        ),
        ratio(
            "processor time of a warm invocation, of boto3's",
            ours.processor.median() / boto3.processor.median(),
            None,
        ),
        ratio(
            "warm invocation, of the floor",
            ours.whole.median() / floor.median(),
            None,
        ),
        ratio("peak memory, MiB", ours.peak as f64 / 1024.0, Some(8.0)),
    ]
}

/// Prints each ratio beside that of the last committed run and the limit.
fn compare(last: &Path, now: &[Ratio]) {
    /// Two runs on one machine differ by less.
    const NOISE: f64 = 1.1;
    let last: Value = serde_json::from_str(&fs::read_to_string(last).unwrap_or_default()).unwrap_or_default();
    println!("\n| | now | last | at most | |\n| --- | --- | --- | --- | --- |");
    for ratio in now {
        let before = last["ratios"].as_array().into_iter().flatten();
        let before = before
            .filter(|was| was["name"] == ratio.name)
            .find_map(|was| was["found"].as_f64());
        let shown = |figure: Option<f64>| figure.map_or_else(|| "–".to_owned(), |figure| format!("{figure:.3}"));
        let verdict = match before {
            _ if !ratio.is_reached() => "NOT REACHED",
            Some(before) if ratio.found > before * NOISE => "WORSE",
            _ => "",
        };
        let (found, before, most) = (ratio.found, shown(before), shown(ratio.most));
        println!("| {} | {found:.3} | {before} | {most} | {verdict} |", ratio.name);
    }
}

fn main() {
    let arguments: Vec<_> = env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let [function, python, last, result] = arguments.as_slice() else {
        println!("usage: cargo bench --bench start -- FUNCTION PYTHON_BIN LAST RESULT (make bench does it)");
        return;
    };
    let emulator = Emulator::start_with_certificates_like_aws().unwrap();
    emulator.add_topic(TOPIC, None);
    let peers = peers(function, Path::new(python), &emulator);
    let mut bench = Bench { emulator, peers };
    let figures = bench.measure(Conditions {
        quota: None,
        cold: COLD,
        warm: WARM,
    });
    print_main(&bench, &figures);
    let floor = floor(&bench);
    println!(
        "\nThe floor: the same three requests by curl on one open connection, {} ms.",
        floor.shown()
    );
    let peers: Vec<_> = bench
        .peers
        .iter()
        .zip(&figures)
        .map(|(peer, figures)| json!({ "name": peer.name, "cold": figures.cold.json() }))
        .collect();
    let now = ratios(&figures, &floor);
    compare(Path::new(last), &now);
    let all = now.iter().all(Ratio::is_reached);
    let ratios: Vec<_> = now
        .iter()
        .map(|ratio| json!({ "name": ratio.name, "found": ratio.found }))
        .collect();
    let figures = json!({ "peers": peers, "ratios": ratios });
    fs::write(result, serde_json::to_string_pretty(&figures).unwrap()).unwrap();
    delays(&bench);
    polls(&bench);
    slow(&mut bench);
    let _ = fs::remove_file(&bench.peers[0].roots);
    assert!(all, "what must be reached is not, or this machine is not quiet");
}
