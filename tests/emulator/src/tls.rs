//! Certificates for loopback, made anew for each emulator, and the TLS that is served with them.

use std::{error::Error, io, sync::Arc};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedKey, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256,
    RsaKeySize, generate_simple_self_signed,
};
use tokio_rustls::rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

/// How the server's certificate is made.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// One certificate, which is the root too.
    SelfSigned,
    /// Of the kind that we assume AWS has. They take longer to make.
    LikeAws,
}

type BoxError = Box<dyn Error + Send + Sync>;

/// The certificates and the key of a server, and the root certificate that a client trusts.
struct Identity {
    /// Its own certificate, and those between it and the root.
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
    /// The one root certificate, in PEM.
    root: String,
}

/// The configuration of a server, and the root certificate in PEM.
pub(crate) fn loopback(kind: Kind, protocols: &[&str]) -> io::Result<(Arc<ServerConfig>, String)> {
    let identity = match kind {
        Kind::SelfSigned => self_signed(),
        Kind::LikeAws => rsa(),
    };
    identity
        .and_then(|identity| serve(identity, protocols))
        .map_err(io::Error::other)
}

fn names() -> Vec<String> {
    vec!["localhost".to_owned(), "127.0.0.1".to_owned()]
}

fn serve(identity: Identity, protocols: &[&str]) -> Result<(Arc<ServerConfig>, String), BoxError> {
    let key = PrivateKeyDer::from_pem_slice(identity.key.serialize_pem().as_bytes())?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(identity.chain, key)?;
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok((Arc::new(config), identity.root))
}

fn self_signed() -> Result<Identity, BoxError> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names())?;
    Ok(Identity {
        chain: vec![cert.der().clone()],
        key: signing_key,
        root: cert.pem(),
    })
}

/// RSA with 2,048 bits, and one authority between the server and the root.
fn rsa() -> Result<Identity, BoxError> {
    let new_key = || KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048);
    let root_key = new_key()?;
    let root = authority("Root CA")?;
    let root_certificate = root.self_signed(&root_key)?;
    let root = Issuer::new(root, root_key);
    let between_key = new_key()?;
    let between = authority("RSA 2048 M01")?;
    let between_certificate = between.signed_by(&between_key, &root)?;
    let between = Issuer::new(between, between_key);
    let key = new_key()?;
    let own = CertificateParams::new(names())?.signed_by(&key, &between)?;
    Ok(Identity {
        chain: vec![own.der().clone(), between_certificate.der().clone()],
        key,
        root: root_certificate.pem(),
    })
}

fn authority(name: &str) -> Result<CertificateParams, rcgen::Error> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.distinguished_name.push(DnType::CommonName, name);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    Ok(authority)
}
