//! TLS towards backends: how much of a server's certificate is checked.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

use super::error::ConnectFailure;
use crate::config::{Address, ServerTls};
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
    /// The configuration for a mode.
    pub(super) fn new(mode: &ServerTls) -> Self {
        Self(config(mode).map(|config| TlsConnector::from(Arc::new(config))))
    }

    /// Begins TLS on a connection whose server waits for it.
    pub(super) async fn begin(&self, io: Io, address: &Address) -> Result<Io, ConnectFailure> {
        let connector = self.0.as_ref().map_err(|error| ConnectFailure::Tls(error.clone()))?;
        let (Io::Tcp(socket), Address::Tcp { host, .. }) = (io, address) else {
            return Err(ConnectFailure::Tls("only TCP connections are encrypted".to_owned()));
        };
        let name = ServerName::try_from(host.clone())
            .map_err(|_| ConnectFailure::Tls("the host is neither a DNS name nor an address".to_owned()))?;
        let stream = connector.connect(name, socket).await.map_err(|error| ConnectFailure::Tls(error.to_string()))?;
        Ok(Io::TlsClient(Box::new(stream)))
    }
}

fn config(mode: &ServerTls) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match mode {
        ServerTls::Off | ServerTls::Preferred | ServerTls::Required => Arc::new(AnyCertificate(provider.clone())),
        ServerTls::VerifyCa { ca } => Arc::new(KnownCa(known_ca(ca, &provider)?)),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(config)
}

fn known_ca(path: &Path, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, String> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| format!("the CA file: {error}"))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| format!("the CA file: {error}"))?;
        roots.add(certificate).map_err(|error| format!("the CA file: {error}"))?;
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| format!("the CA file: {error}"))
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
