//! A certificate for loopback, made anew for each emulator, and the TLS that is served with it.

use std::{error::Error, io, sync::Arc};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio_rustls::rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, pem::PemObject},
};

/// The server's side, and the certificate in PEM, which a client takes as its one root.
pub(crate) fn loopback(protocols: &[&str]) -> io::Result<(Arc<ServerConfig>, String)> {
    make(protocols).map_err(io::Error::other)
}

fn make(protocols: &[&str]) -> Result<(Arc<ServerConfig>, String), Box<dyn Error + Send + Sync>> {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names)?;
    let key = PrivateKeyDer::from_pem_slice(signing_key.serialize_pem().as_bytes())?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)?;
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok((Arc::new(config), cert.pem()))
}
