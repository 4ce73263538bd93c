//! TLS towards clients.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio_rustls::TlsAcceptor;

use super::{ServerError, TlsFiles, TlsPolicy};

/// TLS as it is offered to clients.
#[derive(Clone, Default)]
pub(super) struct Tls {
    pub(super) acceptor: Option<TlsAcceptor>,
    pub(super) required: bool,
}

impl Tls {
    /// Reads the files that the policy names.
    pub(super) fn load(policy: &TlsPolicy) -> Result<Self, ServerError> {
        Ok(match policy {
            TlsPolicy::Off => Self::default(),
            TlsPolicy::Optional(files) => Self { acceptor: Some(acceptor(files)?), required: false },
            TlsPolicy::Required(files) => Self { acceptor: Some(acceptor(files)?), required: true },
        })
    }
}

fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, ServerError> {
    let certificates = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| bad(&files.key, error))?;
    // The provider is named, not the process-wide default: a library must not depend on who installed one first.
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(&files.certificate, error))?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in self::certificates(path)? {
                roots.add(certificate).map_err(|error| bad(path, error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| bad(path, error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let config = builder.with_single_cert(certificates, key).map_err(|error| bad(&files.certificate, error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ServerError> {
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|error| bad(path, error))?;
    if certificates.is_empty() { Err(bad(path, "it holds no certificate")) } else { Ok(certificates) }
}

fn bad(path: &Path, problem: impl std::fmt::Display) -> ServerError {
    ServerError::KeyFile { path: path.to_owned(), problem: problem.to_string() }
}
