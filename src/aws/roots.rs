//! Reads the root certificates, which the certificates of servers are checked with.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use base64_simd::STANDARD;
use openssl_probe::{ProbeResult, probe};
use rustls::{RootCertStore, pki_types::CertificateDer};
use rustls_native_certs::{load_certs_from_paths, load_native_certs};
use tracing::warn;

use crate::config::RootCertificates;

/// How much of the file is read at once.
const CHUNK: usize = 16 * 1024;

/// Amazon Linux has this file beside the one with all certificates. It is skipped by its name: its
/// sections are `TRUSTED CERTIFICATE` there, which the library skips.
const SKIPPED: &str = "ca-bundle.trust.crt";

/// Reads the root certificates, some 140 on Lambda, and warns if there are none.
///
/// Every cold start waits for this. The library takes three times as long for a file of the usual
/// form, so such a file is read here (docs/performance.md). The library reads all others, and says
/// what is wrong with them.
pub(super) fn roots(certificates: &RootCertificates) -> RootCertStore {
    let file = match certificates {
        RootCertificates::Machine => only_file(probe()),
        RootCertificates::File(file) => Some(file.clone()),
        RootCertificates::Directories => None,
    };
    let roots = file.and_then(|file| read(&file));
    let roots = roots.unwrap_or_else(|| by_library(certificates));
    if roots.is_empty() {
        warn!(
            "There is no root certificate. The function cannot open a TLS connection without one. Advice: check \
             SSL_CERT_FILE and SSL_CERT_DIR."
        );
    }
    roots
}

fn by_library(certificates: &RootCertificates) -> RootCertStore {
    let found = match certificates {
        RootCertificates::File(file) => load_certs_from_paths(Some(file), None),
        // It reads the variables by itself.
        RootCertificates::Machine | RootCertificates::Directories => load_native_certs(),
    };
    if !found.errors.is_empty() {
        warn!("Root certificates could not be read: {:?}", found.errors);
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    roots
}

/// The machine's file of certificates, if it is all that the library would read: its directories
/// have no other file, as we assume of Lambda.
fn only_file(found: ProbeResult) -> Option<PathBuf> {
    let file = found.cert_file?;
    let id = |path: &Path| fs::metadata(path).map(|about| (about.dev(), about.ino()));
    let own = id(&file).ok()?;
    for directory in found.cert_dir {
        for entry in fs::read_dir(directory).ok()? {
            let entry = entry.ok()?;
            if entry.file_name() != SKIPPED && id(&entry.path()).ok()? != own {
                return None;
            }
        }
    }
    Some(file)
}

/// Reads a file of certificates in PEM, with comments between them. `None` if there is anything
/// else in it.
fn read(file: &Path) -> Option<RootCertStore> {
    let mut file = BufReader::with_capacity(CHUNK, File::open(file).ok()?);
    let mut roots = RootCertStore::empty();
    // Base64 is decoded a certificate at a time: by lines it takes twice as long.
    let (mut line, mut base64) = (Vec::new(), Vec::new());
    let mut is_inside = false;
    loop {
        line.clear();
        if file.read_until(b'\n', &mut line).ok()? == 0 {
            return (!is_inside && !roots.is_empty()).then_some(roots);
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        match (text.strip_suffix(b"\r").unwrap_or(text), is_inside) {
            (b"-----BEGIN CERTIFICATE-----", false) => is_inside = true,
            (b"-----END CERTIFICATE-----", true) => {
                let certificate = STANDARD.decode_inplace(&mut base64).ok()?;
                roots.add_parsable_certificates([CertificateDer::from_slice(certificate)]);
                base64.clear();
                is_inside = false;
            }
            // This is another section, or more than one line, because the lines end in `\r` alone.
            (text, _) if text.starts_with(b"-----") || text.contains(&b'\r') => return None,
            (text, true) => base64.extend_from_slice(text),
            (_comment, false) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use emulator::Emulator;
    use proptest::prelude::*;

    use super::*;

    /// A folder of files, which is removed with it.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("roots-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
            let path = self.0.join(name);
            fs::write(&path, text).unwrap();
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// A new certificate at each call.
    fn certificate() -> String {
        Emulator::start_with_tls().unwrap().certificate().unwrap().to_owned()
    }

    fn of_library(file: &Path) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(load_certs_from_paths(Some(file), None).certs);
        roots
    }

    /// Subject, key and constraints of each, once and in order, as the library has them.
    fn anchors(roots: &RootCertStore) -> Vec<String> {
        let mut anchors: Vec<_> = roots.roots.iter().map(|root| format!("{root:?}")).collect();
        anchors.sort();
        anchors.dedup();
        anchors
    }

    #[test]
    fn certificates_are_those_that_the_library_reads() {
        let folder = Folder::new("usual");
        let (one, other) = (certificate(), certificate());
        let both = format!("{one}{other}");
        let comment = "# a comment\n".repeat(2 * CHUNK / 12);
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (name, text, count) in [
            ("comments", format!("# Root 1\n{one}\n\n# Root 2\n{other}# the end"), 2),
            ("crlf", both.replace('\n', "\r\n"), 2),
            ("open", both.trim_end().to_owned(), 2),
            ("long", format!("{one}{comment}{other}"), 2),
            ("twice", format!("{one}{one}"), 1),
            ("broken", format!("{broken}{other}"), 1),
            ("wrapped", one.replacen("MII", "M\nII", 1), 1),
        ] {
            let file = folder.file(name, &text);
            let found = anchors(&read(&file).unwrap());
            assert_eq!((found.len(), found), (count, anchors(&of_library(&file))), "{name}");
        }
    }

    #[test]
    fn file_of_another_form_is_left_to_the_library() {
        let folder = Folder::new("unusual");
        let one = certificate();
        let lines: Vec<_> = one.lines().collect();
        let cut = lines[..3].join("\n") + "\n";
        let comment = format!("# Root\r{}", one.replace('\n', "\r"));
        for (name, text) in [
            ("cut", format!("{one}{cut}")),
            ("begun-twice", format!("{cut}{one}")),
            ("ended-twice", format!("{one}{}\n", lines.last().unwrap())),
            ("trusted", one.replace("CERTIFICATE", "TRUSTED CERTIFICATE")),
            ("dashes", one.replacen("CERTIFICATE-----", "CERTIFICATE----", 1)),
            ("space", one.replacen("CERTIFICATE-----", "CERTIFICATE-----\t", 1)),
            ("base64", one.replacen("MII", "M*I", 1)),
            ("padded", one.clone() + &one.replacen("MII", "MA==\nMII", 1)),
            ("cr", format!("{one}{comment}")),
            ("empty", String::new()),
        ] {
            assert!(read(&folder.file(name, &text)).is_none(), "{name}");
        }
        assert!(read(Path::new("/nonexistent")).is_none());
    }

    #[test]
    fn library_reads_what_is_left_to_it() {
        let folder = Folder::new("left");
        let one = certificate();
        let trusted = one.replace("CERTIFICATE", "TRUSTED CERTIFICATE");
        let file = folder.file("both", format!("{trusted}{one}"));
        assert!(read(&file).is_none());
        assert_eq!(roots(&RootCertificates::File(file)).len(), 1);
    }

    #[test]
    fn certificates_of_this_machine_are_those_that_the_library_finds() {
        let machine = RootCertificates::Machine;
        assert_eq!(anchors(&roots(&machine)), anchors(&by_library(&machine)));
    }

    #[test]
    fn machines_file_is_enough_only_if_its_directories_have_no_other() {
        let (machine, elsewhere) = (Folder::new("machine"), Folder::new("elsewhere"));
        let file = elsewhere.file("bundle.pem", certificate());
        let found = || {
            only_file(ProbeResult {
                cert_file: Some(file.clone()),
                cert_dir: vec![machine.0.clone()],
            })
        };
        std::os::unix::fs::symlink(&file, machine.0.join("ca-bundle.crt")).unwrap();
        machine.file("ca-bundle.trust.crt", "");
        assert_eq!(found(), Some(file.clone()));
        let other = machine.file("of-the-company.pem", "");
        assert_eq!(found(), None);
        fs::remove_file(other).unwrap();
        fs::remove_file(&file).unwrap();
        assert_eq!(found(), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

        /// Whatever is put into a file, or taken out of it, at any place: what is read is what the
        /// library reads, or nothing.
        #[test]
        fn changed_file_is_read_as_the_library_does_or_not_at_all(
            changes in prop::collection::vec((any::<prop::sample::Index>(), 0..4_usize, "[\r\n\t =#-]{0,2}|AAA=|\n-----BEGIN CERTIFICATE-----\n"), 1..4),
        ) {
            let folder = Folder::new("changed");
            let mut text = CERTIFICATE.with(Clone::clone).into_bytes();
            for (place, removed, added) in changes {
                let at = place.index(text.len());
                let end = (at + removed).min(text.len());
                text.splice(at..end, added.bytes());
            }
            let file = folder.file("bundle.pem", &text);
            if let Some(found) = read(&file) {
                prop_assert_eq!(anchors(&found), anchors(&of_library(&file)));
            }
        }
    }

    thread_local! {
        static CERTIFICATE: String = iter::repeat_with(certificate).take(2).collect();
    }
}
