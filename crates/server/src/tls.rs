//! TLS for connections: versions 1.2 and 1.3, with the certificate that the server was given.

use std::sync::Arc;

use app::Failure;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate with those above it, and its key, in PEM.
#[derive(Clone)]
pub struct Tls {
    /// The certificate, then those above it.
    pub chain_pem: String,
    /// The certificate's key.
    pub key_pem: String,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("chain_pem", &self.chain_pem).finish_non_exhaustive()
    }
}

impl Tls {
    /// What turns connections into encrypted ones.
    ///
    /// # Errors
    /// A certificate or key that is none, or that do not belong together.
    pub fn acceptor(&self) -> Result<TlsAcceptor, Failure> {
        let wrong = |what: String| {
            let hint = "give a PEM file of the certificate chain and one of its key, or use --lan";
            Failure::new("bad_certificate", what, hint)
        };
        let chain = CertificateDer::pem_slice_iter(self.chain_pem.as_bytes()).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| wrong(format!("the certificate cannot be read: {error}")))?;
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes());
        let key = key.map_err(|error| wrong(format!("the key cannot be read: {error}")))?;
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder =
            builder.with_safe_default_protocol_versions().map_err(|error| wrong(error.to_string()))?;
        let mut config = builder
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| wrong(format!("certificate and key do not fit: {error}")))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
