//! The one HTTP client: its certificates and its time limits.

use std::{path::Path, sync::Arc, time::Duration};

use reqwest::{Client, redirect::Policy};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};

use super::{credentials::Credentials, invalid};
use crate::ProviderError;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an unused connection is kept: less than Apache's five seconds, so that a request is seldom sent into a
/// connection that the server closes at that moment.
const IDLE: Duration = Duration::from_secs(4);

/// A client with the certificates of the system and those of the credentials.
pub(super) fn client(credentials: &Credentials) -> Result<Client, ProviderError> {
    let failed = |error: String| ProviderError::Other(format!("failed to make an HTTP client: {error}").into());
    let tls = tls(credentials).map_err(|error| match error {
        TlsError::Invalid(error) => error,
        TlsError::Failed(error) => failed(error.to_string()),
    })?;
    Client::builder()
        .use_preconfigured_tls(tls)
        .user_agent(concat!("pool/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        // A redirect would take the token to another server.
        .redirect(Policy::none())
        .pool_max_idle_per_host(16)
        .pool_idle_timeout(IDLE)
        .tcp_keepalive(Duration::from_secs(30))
        .tcp_nodelay(true)
        .build()
        .map_err(|error| failed(error.to_string()))
}

enum TlsError {
    Invalid(ProviderError),
    Failed(rustls::Error),
}

fn tls(credentials: &Credentials) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions().map_err(TlsError::Failed)?;
    if !credentials.verify {
        let any = Arc::new(AnyCertificate(provider));
        return Ok(builder.dangerous().with_custom_certificate_verifier(any).with_no_client_auth());
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = &credentials.cacert {
        add(&mut roots, path, &credentials.source).map_err(TlsError::Invalid)?;
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn add(roots: &mut RootCertStore, path: &Path, source: &str) -> Result<(), ProviderError> {
    let bad = |why: String| invalid("cacert", format!("{why} (for {source})"));
    let shown = path.display();
    let text = std::fs::read(path).map_err(|error| bad(format!("failed to read the CA file {shown}: {error}")))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let certificates = certificates.map_err(|_| bad(format!("the CA file {shown} is not in PEM form")))?;
    match roots.add_parsable_certificates(certificates) {
        (0, _) => Err(bad(format!("the CA file {shown} has no certificate that can be used"))),
        _ => Ok(()),
    }
}

/// Takes every certificate: `verify: false`.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
