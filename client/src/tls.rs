//! The client's certificate, and how it authenticates nodes.
//!
//! A client is configured with addresses, not node names: the server at an address must present a certificate of the client's own
//! cluster for one of its nodes, `node-<name>.<cluster>.tanist`. Which node it is does not matter.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quinn::crypto::rustls::QuicClientConfig;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::error::Error;
use crate::limits;
use crate::wire::ALPN;

/// A client's certificate, its key, and its cluster's authority.
#[derive(Debug)]
pub(crate) struct Certificates {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    roots: RootCertStore,
    cluster: String,
}

impl Certificates {
    /// Loads `ca.pem`, `client.pem` and `client.key` from a cluster's folder `tls`.
    ///
    /// # Errors
    /// If a file is missing, damaged or out of date: names the file.
    pub(crate) fn load(tls: &Path) -> Result<Self, Error> {
        let (ca, certificate, key) = (&tls.join("ca.pem"), &tls.join("client.pem"), &tls.join("client.key"));
        let mut roots = RootCertStore::empty();
        roots.add(load_certificate(ca)?).map_err(|_| trouble(ca, "it holds no certificate of an authority"))?;
        let own = load_certificate(certificate)?;
        check_time(certificate, &own)?;
        let names = names(&own);
        let cluster = names.iter().find_map(|name| cluster_of("client", name));
        let cluster =
            cluster.ok_or_else(|| trouble(certificate, "it does not speak for a client of a Tanist cluster"))?;
        let secret = PrivateKeyDer::from_pem_slice(read(key)?.as_bytes())
            .map_err(|_| trouble(key, "it holds no private key; put the cluster's own file back"))?;
        Ok(Self { chain: vec![own], key: secret, roots, cluster })
    }

    /// How to connect to the nodes.
    pub(crate) fn client_config(&self) -> Result<QuicClientConfig, Error> {
        let roots = Arc::new(self.roots.clone());
        let inner = WebPkiServerVerifier::builder_with_provider(roots, provider())
            .build()
            .map_err(|error| Error::Options(format!("the authority cannot be used: {error}")))?;
        let verifier = NodeVerifier { inner, cluster: self.cluster.clone() };
        let mut config = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| Error::Options(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_auth_cert(self.chain.clone(), self.key.clone_key())
            .map_err(|error| Error::Options(format!("certificate and key of the client cannot be used: {error}")))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = rustls::client::Resumption::disabled();
        QuicClientConfig::try_from(config).map_err(|error| Error::Options(error.to_string()))
    }

    /// The name sent in the handshake; the check of the answer does not use it.
    pub(crate) fn server_name(&self) -> String {
        format!("node.{}.tanist", self.cluster)
    }
}

/// Accepts any node of one cluster: finds the node's name in its certificate, and has the certificate checked for it.
#[derive(Debug)]
struct NodeVerifier {
    inner: Arc<WebPkiServerVerifier>,
    cluster: String,
}

impl ServerCertVerifier for NodeVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let is_node = |name: &String| {
            let node = name.split('.').next().unwrap_or_default();
            node.strip_prefix("node-").is_some_and(|node| !node.is_empty())
                && cluster_of(node, name).is_some_and(|cluster| cluster == self.cluster)
        };
        let name = names(certificate).into_iter().find(is_node);
        let name = name.and_then(|name| ServerName::try_from(name).ok());
        let name = name.ok_or(rustls::Error::InvalidCertificate(CertificateError::NotValidForName))?;
        self.inner.verify_server_cert(certificate, intermediates, &name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The cluster in `name`, if that is the name of `who`: `<who>.<cluster>.tanist`.
fn cluster_of(who: &str, name: &str) -> Option<String> {
    let cluster = name.strip_prefix(who)?.strip_prefix('.')?.strip_suffix(".tanist")?;
    let digits = cluster.len() == 32 && cluster.bytes().all(|b| b.is_ascii_hexdigit());
    digits.then(|| cluster.to_owned())
}

fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let Ok(Some(names)) = parsed.subject_alternative_name() else { return Vec::new() };
    let dns = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    });
    dns.collect()
}

fn check_time(file: &Path, certificate: &CertificateDer<'_>) -> Result<(), Error> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| trouble(file, "it cannot be decoded"))?;
    let now = i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX);
    if now > parsed.validity().not_after.timestamp() {
        return Err(trouble(file, format!("it expired on {}; {RENEW}", parsed.validity().not_after)));
    }
    if now < parsed.validity().not_before.timestamp() {
        let from = parsed.validity().not_before;
        return Err(trouble(file, format!("it is valid only from {from}; set this machine's clock, or {RENEW}")));
    }
    Ok(())
}

const RENEW: &str = "run `tanist certs renew` where the cluster's ca.key is";

fn load_certificate(file: &Path) -> Result<CertificateDer<'static>, Error> {
    let certificate = CertificateDer::from_pem_slice(read(file)?.as_bytes());
    certificate.map_err(|_| trouble(file, "it holds no certificate; put the cluster's own file back"))
}

fn read(file: &Path) -> Result<String, Error> {
    let cannot = |error| trouble(file, format!("it cannot be read: {error}"));
    // A device or a pipe may have no end, or block forever.
    if !std::fs::metadata(file).map_err(cannot)?.is_file() {
        return Err(trouble(file, "it is no file"));
    }
    let mut text = String::new();
    let read = File::open(file).and_then(|f| f.take(limits::PEM_BYTES_MAX + 1).read_to_string(&mut text));
    match read.map_err(cannot)? {
        length if length as u64 > limits::PEM_BYTES_MAX => Err(trouble(file, "it is too long")),
        _ => Ok(text),
    }
}

fn trouble(file: &Path, why: impl Into<String>) -> Error {
    Error::Certificate { file: PathBuf::from(file), why: why.into() }
}
