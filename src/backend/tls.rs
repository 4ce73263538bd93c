//! TLS towards backends: how much of a server's certificate is checked.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

use super::error::ConnectFailure;
use super::spec::ServerSpec;
use crate::config::{Address, ServerTls, TlsMode};
use crate::net::Io;

/// The TLS configuration of one server, made once. A certificate that cannot be loaded is reported at each attempt to
/// connect, so that a server without its CA file stays down instead of being talked to unchecked.
pub(super) struct TlsClient(Result<TlsConnector, String>);

impl std::fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_ok() { "TlsClient" } else { "TlsClient(failed)" })
    }
}

impl TlsClient {
    /// The configuration that the rules ask for.
    pub(super) fn new(tls: &ServerTls) -> Self {
        Self(config(tls).map(|config| TlsConnector::from(Arc::new(config))))
    }

    /// Begins TLS on a connection whose server waits for it.
    pub(super) async fn begin(&self, io: Io, spec: &ServerSpec) -> Result<Io, ConnectFailure> {
        let connector = self.0.as_ref().map_err(|error| ConnectFailure::Tls(error.clone()))?;
        let (Io::Tcp(socket), Address::Tcp { host, .. }) = (io, &spec.address) else {
            return Err(ConnectFailure::Tls("only TCP connections are encrypted".to_owned()));
        };
        let name = server_name(spec, host)?;
        let stream = connector.connect(name, socket).await.map_err(|error| ConnectFailure::Tls(error.to_string()))?;
        Ok(Io::TlsClient(Box::new(stream)))
    }
}

/// The name that the certificate must hold. Where no name is checked, a host that no certificate could name will do.
fn server_name(spec: &ServerSpec, host: &str) -> Result<ServerName<'static>, ConnectFailure> {
    let name = spec.tls.server_name.as_deref().unwrap_or(host);
    match ServerName::try_from(name.to_owned()) {
        Ok(name) => Ok(name),
        Err(_) if spec.tls.mode < TlsMode::VerifyIdentity => Ok(ServerName::from(Ipv4Addr::UNSPECIFIED)),
        Err(_) => Err(ConnectFailure::Tls("the host is neither a DNS name nor an address".to_owned())),
    }
}

fn config(tls: &ServerTls) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match tls.mode {
        TlsMode::Off | TlsMode::Preferred | TlsMode::Required => Arc::new(AnyCertificate(provider.clone())),
        TlsMode::VerifyCa => Arc::new(KnownCa(known_ca(tls, &provider)?)),
        TlsMode::VerifyIdentity => known_ca(tls, &provider)?,
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let Some((certificate, key)) = &tls.identity else { return Ok(config.with_no_client_auth()) };
    let chain = certificates(certificate, "the certificate to show")?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| format!("the key of the certificate: {error}"))?;
    config.with_client_auth_cert(chain, key).map_err(|error| format!("the certificate to show: {error}"))
}

/// What a PEM file holds. Errors say what the file is for, not where it is: clients may read them.
fn certificates(path: &Path, what: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    chain.map_err(|error| format!("{what}: {error}"))
}

fn known_ca(tls: &ServerTls, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, String> {
    const WHAT: &str = "the CA file";
    let path = tls.ca.as_ref().ok_or("no CA is given to check certificates against")?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, WHAT)? {
        roots.add(certificate).map_err(|error| format!("{WHAT}: {error}"))?;
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| format!("{WHAT}: {error}"))
}

/// `preferred` and `required`: the line is encrypted, the server is not proven to be who it says. MySQL's own modes of
/// these names do the same.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // The certificate proves nothing, so neither would its signature; and those that MySQL generates for itself may be
        // of X.509 version 1, which webpki does not read.
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// `verify_ca`: the certificate must come from this CA; the name in it does not matter, since database servers are
/// reached by addresses that their certificates do not name.
#[derive(Debug)]
struct KnownCa(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for KnownCa {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // The chain is checked before the name.
        match self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
