//! The network under the real binary: connections that are refused, lost, silent or reused, TLS,
//! proxies, endpoints, and where credentials come from.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{Duration, Instant},
};

use crate::support::{Stage, error_of, event};
use emulator::{
    Emulator,
    fault::{Fault, Times},
    runtime_api::Reported,
};
use serde_json::json;

#[test]
fn a_topic_in_another_region_is_called_there() {
    let topic = "arn:aws:sns:eu-west-1:123456789012:key-store-notices";
    let stage = Stage::with(&[("TOPIC_ARN", topic)], |emulator| emulator.add_topic(topic, None));
    let report = stage.report(&event());
    assert_eq!(report["region"], "us-east-1");
    assert_eq!(stage.emulator.published().pop().unwrap().topic, topic);
}

#[test]
fn closed_connections_between_invocations_are_not_an_error() {
    let stage = Stage::new();
    stage.started();
    stage
        .emulator
        .fault("DisconnectCustomKeyStore", Fault::Reset, Times::Next(1));
    stage.emulator.fault("Publish", Fault::Reset, Times::Next(1));
    assert_eq!(stage.report(&event())["outcome"], "DISCONNECTED");
    assert_eq!(stage.notices().len(), 1);
}

#[test]
fn a_lost_answer_is_verified_and_not_failed() {
    let stage = Stage::new();
    stage.started();
    stage
        .emulator
        .fault("DisconnectCustomKeyStore", Fault::Lost, Times::Next(1));
    let report = stage.report(&event());
    assert_eq!(report["connectionState"], "DISCONNECTED");
}

/// What is recorded today must not be read in twenty years: AWS-LC offers ML-KEM beside X25519, and
/// KMS takes it (<https://docs.aws.amazon.com/kms/latest/developerguide/pqtls.html>).
#[test]
fn the_key_exchange_with_kms_and_sns_is_post_quantum() {
    let stage = Stage::on(emulator::Emulator::start_with_tls().unwrap(), &[], |_| {});
    assert_eq!(stage.report(&event())["outcome"], "DISCONNECTED");
    let calls = stage.emulator.calls();
    assert!(calls.len() >= 5, "{calls:?}");
    for call in calls {
        assert_eq!(
            call.connection.key_exchange.as_deref(),
            Some("X25519MLKEM768"),
            "{}",
            call.operation
        );
    }
}

/// A connection of HTTP/2 on which a request got no answer would stay in the pool, and each retry
/// would wait on it. The stand-in speaks HTTP/1.1, whatever was agreed on.
#[test]
fn http_1_1_is_spoken_where_http_2_is_preferred() {
    let emulator = Emulator::start_with_tls_that_prefers(&["h2", "http/1.1"]).unwrap();
    let stage = Stage::on(emulator, &[], |_| {});
    assert_eq!(stage.report(&event())["outcome"], "DISCONNECTED");
}

/// The host may be at fault, so the retry goes to another.
#[test]
fn connection_of_a_fault_is_not_used_again() {
    let stage = Stage::new();
    stage.started();
    let fault = Fault::Error {
        status: 503,
        code: "ServiceUnavailable",
    };
    stage.emulator.fault("DisconnectCustomKeyStore", fault, Times::Next(1));
    assert_eq!(stage.report(&event())["outcome"], "DISCONNECTED");
    let calls = stage.emulator.calls_of("DisconnectCustomKeyStore");
    let ports: Vec<_> = calls.iter().map(|call| call.connection.port).collect();
    assert_eq!(ports.len(), 2, "{calls:?}");
    assert_ne!(ports[0], ports[1], "{calls:?}");
}

/// KMS gives every denial a code. An answer without one is a proxy's, and the next try may get through.
#[test]
fn denial_without_a_code_is_no_denial_of_kms() {
    let stage = Stage::new();
    stage.started();
    stage.emulator.fault(
        "DisconnectCustomKeyStore",
        Fault::Raw(403, "<html>Forbidden</html>"),
        Times::Next(1),
    );
    let report = stage.report(&event());
    assert_eq!(
        (&report["outcome"], &report["disconnectCalls"]),
        (&json!("DISCONNECTED"), &json!(2))
    );
}

/// A peer that accepts and then says nothing has got no request, and the report says so.
#[test]
fn handshake_without_an_answer_is_no_lost_request() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", silent.local_addr().unwrap());
    let stage = Stage::with(&[("AWS_ENDPOINT_URL_KMS", &url)], |_| {});
    stage.started();
    // The least of them is over before a connection is given up.
    for (seconds, words) in [(10, "no connection within 2 s"), (3, "no connection was open")] {
        let begun = Instant::now();
        let Reported::Error(error) = stage.invoke_within(&event(), Duration::from_secs(seconds)) else {
            panic!("nothing can be sent");
        };
        let (kind, message) = error_of(&error);
        assert_eq!(kind, "KmsUnavailable", "{message}");
        assert!(message.contains(words), "{message}");
        assert!(message.contains("This run did not disconnect"), "{message}");
        assert!(begun.elapsed() < Duration::from_secs(seconds));
    }
}

/// An endpoint that refuses every connection, for as long as the socket lives: it is bound and does
/// not listen.
fn refusing() -> (socket2::Socket, String) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket
        .bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    (socket, format!("http://127.0.0.1:{port}"))
}

/// A request that was never sent is not reported as possibly carried out.
#[test]
fn requests_that_were_never_sent_are_reported_as_such() {
    let (_socket, refused) = refusing();
    let tls = emulator::Emulator::start_with_tls().unwrap();
    for (settings, kind, words) in [
        (
            vec![("AWS_ENDPOINT_URL_KMS", refused.as_str())],
            "KmsUnavailable",
            "Connection refused",
        ),
        // The function does not know this certificate.
        (
            vec![("AWS_ENDPOINT_URL_KMS", tls.url().leak() as &str)],
            "KmsUnavailable",
            "certificate",
        ),
        (
            vec![("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")],
            "AccessDenied",
            "no credentials",
        ),
    ] {
        let stage = Stage::with(&settings, |_| {});
        stage.started();
        let Reported::Error(error) = stage.invoke_within(&event(), Duration::from_secs(3)) else {
            panic!("nothing can be sent");
        };
        let (found, message) = error_of(&error);
        assert_eq!(found, kind, "{message}");
        assert!(message.contains(words), "{message}");
        assert!(message.contains("This run did not disconnect"), "{message}");
        assert!(!message.contains("not known whether this run"), "{message}");
        assert_eq!(stage.count("DisconnectCustomKeyStore"), 0);
        if kind == "AccessDenied" {
            assert!(!message.contains("Health Dashboard"), "{message}");
            let summary = &stage.function.summaries()[0];
            assert_eq!(summary["disconnectCalls"], 1, "a permanent error is not retried");
        }
    }
}

/// A server that tells the head of each request, and then has it answered.
fn listening(answer: impl Fn(TcpStream, &str) + Send + 'static) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, asked) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
            let head = head.join("\n");
            let _ = tell.send(head.clone());
            answer(stream, &head);
        }
    });
    (url, asked)
}

/// As with `SnapStart`, which leaves no keys in the environment.
#[test]
fn credentials_are_also_taken_from_the_container_endpoint() {
    let body = r#"{"AccessKeyId":"AKIDEXAMPLE","SecretAccessKey":"secret","Token":"token","Expiration":"2099-01-01T00:00:00Z"}"#;
    let (url, asked) = listening(move |mut stream, _| {
        let length = body.len();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        let _ = stream.write_all(answer.as_bytes());
    });
    let settings = [
        ("AWS_ACCESS_KEY_ID", ""),
        ("AWS_SECRET_ACCESS_KEY", ""),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str()),
    ];
    let stage = Stage::with(&settings, |_| {});
    assert_eq!(stage.report(&event())["outcome"], "DISCONNECTED");
    assert!(asked.try_recv().is_ok());
}

/// Opens the tunnel that a proxy is asked for.
fn tunnel(mut client: TcpStream, request: &str) {
    let to = request.split(' ').nth(1).unwrap();
    let server = TcpStream::connect(to).unwrap();
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    for (mut from, mut to) in [
        (client.try_clone().unwrap(), server.try_clone().unwrap()),
        (server, client),
    ] {
        std::thread::spawn(move || std::io::copy(&mut from, &mut to));
    }
}

#[test]
fn a_proxy_that_the_environment_names_is_used() {
    let emulator = Emulator::start_with_tls().unwrap();
    let (proxy, asked) = listening(tunnel);
    let stage = Stage::on(emulator, &[("HTTPS_PROXY", &proxy)], |_| {});
    stage.started();
    let tunnels: Vec<_> = asked.try_iter().collect();
    assert_eq!(tunnels.len(), 2, "one for KMS and one for SNS");
    assert!(
        tunnels.iter().all(|request| request.starts_with("CONNECT ")),
        "{tunnels:?}"
    );
    assert_eq!(stage.report(&event())["outcome"], "DISCONNECTED");
    assert_eq!(stage.notices().len(), 1);
    assert_eq!(asked.try_iter().count(), 0, "they are still open");
}

#[test]
fn a_proxy_gets_its_credentials_and_no_host_that_is_left_out() {
    let (proxy, asked) = listening(tunnel);
    let with_credentials = proxy.replace("http://", "http://user:p%40ss@");
    let emulator = || Emulator::start_with_tls().unwrap();
    let stage = Stage::on(emulator(), &[("HTTPS_PROXY", &with_credentials)], |_| {});
    assert_eq!(stage.report(&event())["outcome"], "DISCONNECTED");
    let heads: Vec<_> = asked.try_iter().collect();
    assert!(!heads.is_empty());
    for head in heads {
        let head = head.to_ascii_lowercase();
        assert!(
            head.contains("proxy-authorization: basic dxnlcjpwqhnz"),
            "user:p@ss: {head}"
        );
    }
    let settings = [("HTTPS_PROXY", proxy.as_str()), ("NO_PROXY", "127.0.0.1")];
    let stage = Stage::on(emulator(), &settings, |_| {});
    assert_eq!(stage.report(&event())["outcome"], "DISCONNECTED");
    assert_eq!(asked.try_iter().count(), 0);
}

/// Certificates of RSA, signed by an authority between them and the root, as we assume AWS's
/// endpoints have.
#[test]
fn certificates_like_those_of_aws_are_trusted() {
    let emulator = Emulator::start_with_certificates_like_aws().unwrap();
    let stage = Stage::on(emulator, &[], |_| {});
    assert_eq!(stage.report(&event())["outcome"], "DISCONNECTED");
}

/// With both variables, the file and the directories count.
#[test]
fn root_certificates_of_a_directory_are_read() {
    let emulator = Emulator::start_with_tls().unwrap();
    let directory = std::env::temp_dir().join(format!("roots-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("root.pem"), emulator.certificate().unwrap()).unwrap();
    let other = directory.join("other.txt");
    std::fs::write(&other, Emulator::start_with_tls().unwrap().certificate().unwrap()).unwrap();
    let settings = [
        ("SSL_CERT_FILE", other.to_str().unwrap()),
        ("SSL_CERT_DIR", directory.to_str().unwrap()),
    ];
    let stage = Stage::on(emulator, &settings, |_| {});
    assert_eq!(stage.report(&event())["outcome"], "DISCONNECTED");
    std::fs::remove_dir_all(&directory).unwrap();
}

/// Without a root certificate every call fails, and the log says why before the first event.
#[test]
fn missing_root_certificates_are_warned_of() {
    let emulator = Emulator::start_with_tls().unwrap();
    let stage = Stage::on(emulator, &[("SSL_CERT_FILE", "/dev/null")], |_| {});
    stage.started();
    let lines = stage.function.lines_for_people().concat();
    assert!(lines.contains("There is no root certificate"), "{lines}");
    let Reported::Error(error) = stage.invoke_within(&event(), Duration::from_secs(3)) else {
        panic!("nothing can be sent");
    };
    let (kind, message) = error_of(&error);
    assert_eq!(kind, "KmsUnavailable", "{message}");
    assert!(message.contains("certificates"), "{message}");
}

#[test]
fn empty_endpoint_is_unset_and_a_bad_one_fails_init() {
    let stage = Stage::with(&[("AWS_ENDPOINT_URL_KMS", ""), ("AWS_USE_FIPS_ENDPOINT", "")], |_| {});
    assert_eq!(stage.report(&event())["outcome"], "DISCONNECTED");
    for settings in [
        vec![("AWS_ENDPOINT_URL_KMS", "127.0.0.1:4566")],
        vec![("AWS_USE_FIPS_ENDPOINT", "true")],
    ] {
        let stage = Stage::with(&settings, |_| {});
        let Ok(Reported::InitError(error, _)) = stage.runtime_api.reported(Duration::from_secs(10)) else {
            panic!("{settings:?}");
        };
        let (kind, message) = error_of(&error);
        assert_eq!(kind, "InvalidConfiguration");
        assert!(message.contains(settings[0].0), "{message}");
        let notice = stage.notices().pop().unwrap();
        assert_eq!(
            (&notice["outcome"], &notice["severity"]),
            (&json!("FAILED"), &json!("CRITICAL"))
        );
    }
}
