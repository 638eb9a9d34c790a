//! Loads a process's certificate and key, and makes the TLS configuration of its connections.
//!
//! Mutual TLS: every process has a certificate of the cluster's own authority and presents it. Only TLS 1.3, no public authority.
//! A file that is missing, damaged, expired or of another cluster is found here, when the process starts, and the error names the
//! file and what to do; it does not show only later as a failed handshake.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, RootCertStore};
use tanist_db_core::clock::{Clock, UnixMillis};
use thiserror::Error;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::principal::Principal;
use super::reset::ResetKey;
use super::{quic, spoken_date};
use crate::{limits, text_file};

/// File name of the authority's certificate.
pub(crate) const CA_CERTIFICATE: &str = "ca.pem";
/// File name of the authority's private key, which only `certs` reads.
pub(crate) const CA_KEY: &str = "ca.key";

/// What is wrong with a certificate or key, and what to do about it.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file is not there.
    #[error("{} is missing: {}", file.display(), remedy(file))]
    Missing {
        /// The file.
        file: PathBuf,
    },
    /// A file cannot be read.
    #[error("{} cannot be read: {source}", file.display())]
    Read {
        /// The file or folder.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("{} cannot be written: {source}", file.display())]
    Write {
        /// The file or folder.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder to be made is there.
    #[error("{} is already there; `tanist certs renew --data {}` renews the certificates in it", folder.display(), data(folder))]
    Exists {
        /// The folder.
        folder: PathBuf,
    },
    /// A file does not contain what it should.
    #[error("{} is damaged ({why}): {}", file.display(), remedy(file))]
    Malformed {
        /// The file.
        file: PathBuf,
        /// In which way.
        why: String,
    },
    /// A certificate's time is over.
    #[error("{} expired on {}: {}", file.display(), spoken_date(*ended_unix_ms), remedy(file))]
    Expired {
        /// The file.
        file: PathBuf,
        /// When.
        ended_unix_ms: u64,
    },
    /// A certificate's time has not begun.
    #[error("{} is valid only from {}: set this machine's clock, or, if the clock is right, {}", file.display(), spoken_date(*starts_unix_ms), remedy(file))]
    NotYet {
        /// The file.
        file: PathBuf,
        /// When it begins.
        starts_unix_ms: u64,
    },
    /// A certificate is not of the authority beside it.
    #[error("{} was not issued by the authority in {} ({why}): {}", file.display(), ca.display(), remedy(file))]
    WrongAuthority {
        /// The certificate's file.
        file: PathBuf,
        /// The authority's file.
        ca: PathBuf,
        /// What the check said.
        why: String,
    },
    /// A certificate speaks for someone else.
    #[error("{} does not speak for {expected} but for {found}: {}", file.display(), remedy(file))]
    WrongName {
        /// The file.
        file: PathBuf,
        /// Whom it should name.
        expected: String,
        /// Whom it names.
        found: String,
    },
    /// Key and certificate are not a pair.
    #[error("{} does not belong to the certificate beside it: {}", file.display(), remedy(file))]
    KeyMismatch {
        /// The key's file.
        file: PathBuf,
    },
    /// A certificate could not be made.
    #[error("a certificate could not be made: {why}")]
    Make {
        /// Why.
        why: String,
    },
}

/// The data folder in which `path`, a file in its `tls` folder or that folder itself, stands.
fn data(path: &Path) -> String {
    let tls = if path.ends_with("tls") { Some(path) } else { path.parent() };
    let data = tls.and_then(Path::parent).filter(|data| !data.as_os_str().is_empty());
    data.unwrap_or(Path::new(".")).display().to_string()
}

fn remedy(file: &Path) -> String {
    match file.file_name().and_then(|name| name.to_str()) {
        Some(CA_KEY) => "put the authority's key back in its place to issue certificates".to_owned(),
        Some(CA_CERTIFICATE) => {
            format!("`tanist certs renew --data {}`, or put the cluster's own file back", data(file))
        }
        _ => format!("run `tanist certs renew --data {}` where the cluster's ca.key is", data(file)),
    }
}

impl TlsError {
    pub(super) fn read(file: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound => TlsError::Missing { file: file.to_owned() },
            _ => TlsError::Read { file: file.to_owned(), source },
        }
    }

    pub(super) fn write(file: &Path, source: io::Error) -> Self {
        TlsError::Write { file: file.to_owned(), source }
    }

    pub(super) fn malformed(file: &Path, why: impl Into<String>) -> Self {
        TlsError::Malformed { file: file.to_owned(), why: why.into() }
    }
}

/// A party's certificate and key with the authority that it trusts, all checked.
#[derive(Debug)]
pub struct Credentials {
    pub(super) cluster: u128,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    pub(super) roots: Arc<RootCertStore>,
    clock: Arc<dyn Clock>,
}

impl Credentials {
    /// Loads what `principal` needs from the folder `tls` and checks all of it as of now.
    ///
    /// # Errors
    /// If a file is missing, damaged, out of date, foreign, or speaks for someone else.
    pub fn load(tls: &Path, principal: &Principal, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        let now = clock.unix();
        let ca_file = tls.join(CA_CERTIFICATE);
        let ca = certificate(&ca_file)?;
        check_time(&ca_file, &ca, now)?;
        let file = principal.certificate_file(tls);
        let leaf = certificate(&file)?;
        check_time(&file, &leaf, now)?;
        let roots = roots(&ca_file, ca)?;
        let cluster = check_issuer(&file, &ca_file, &roots, principal, &leaf, now)?;
        let key_file = principal.key_file(tls);
        let key = PrivateKeyDer::from_pem_slice(read_pem(&key_file)?.as_bytes())
            .map_err(|_| TlsError::malformed(&key_file, "it holds no private key"))?;
        let credentials = Self { cluster, chain: vec![leaf], key, roots: Arc::new(roots), clock };
        credentials.check_key(&key_file)?;
        Ok(credentials)
    }

    /// The cluster that the certificate belongs to.
    #[must_use]
    pub const fn cluster(&self) -> u128 {
        self.cluster
    }

    /// How to accept connections under the protocols `alpn`, from parties with a certificate of this cluster.
    #[must_use]
    pub fn server_config(&self, alpn: &[&[u8]]) -> quinn::ServerConfig {
        quic::server_config(self.server_crypto(alpn), quic::transport())
    }

    /// How a node accepts the client library ([`quic::ALPN_CLIENT`]) and other nodes ([`quic::ALPN_LINK`]).
    #[must_use]
    pub fn config_for_clients(&self) -> quinn::ServerConfig {
        let crypto = self.server_crypto(&[quic::ALPN_CLIENT, quic::ALPN_LINK]);
        quic::server_config(crypto, quic::transport_to_clients())
    }

    fn server_crypto(&self, alpn: &[&[u8]]) -> Arc<QuicServerConfig> {
        let verifier = WebPkiClientVerifier::builder_with_provider(self.roots.clone(), provider())
            .build()
            .expect("there is a root and no revocation list");
        let mut config = rustls::ServerConfig::builder_with_details(provider(), self.time())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("ring knows TLS 1.3")
            .with_client_cert_verifier(verifier)
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .expect("key and certificate were found to be a pair");
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        // No resumption: it would carry an old authentication past the end of a certificate.
        config.send_tls13_tickets = 0;
        Arc::new(QuicServerConfig::try_from(config).expect("ring knows QUIC's initial cipher"))
    }

    /// What ends the connections of an earlier process of this party.
    #[must_use]
    pub fn reset_key(&self) -> ResetKey {
        ResetKey::of(self.key.secret_der())
    }

    /// How to connect under the protocol `alpn`.
    #[must_use]
    pub fn client_config(&self, alpn: &[u8]) -> quinn::ClientConfig {
        let mut config = rustls::ClientConfig::builder_with_details(provider(), self.time())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("ring knows TLS 1.3")
            .with_root_certificates(self.roots.clone())
            .with_client_auth_cert(self.chain.clone(), self.key.clone_key())
            .expect("key and certificate were found to be a pair");
        config.alpn_protocols = vec![alpn.to_vec()];
        config.resumption = rustls::client::Resumption::disabled();
        let config = QuicClientConfig::try_from(config).expect("ring knows QUIC's initial cipher");
        let transport = if alpn == quic::ALPN_LINK { quic::transport_between_nodes() } else { quic::transport() };
        quic::client_config(Arc::new(config), transport)
    }

    /// Who is at the other end of `connection`; `None` if its certificate names nobody of this cluster.
    #[must_use]
    pub fn peer(&self, connection: &quinn::Connection) -> Option<Principal> {
        peer_of(connection, self.cluster)
    }

    pub(super) fn time(&self) -> Arc<dyn TimeProvider> {
        Arc::new(ClockTime(self.clock.clone()))
    }

    fn check_key(&self, file: &Path) -> Result<(), TlsError> {
        let key = provider()
            .key_provider
            .load_private_key(self.key.clone_key())
            .map_err(|_| TlsError::malformed(file, "it holds no usable private key"))?;
        let pair = rustls::sign::CertifiedKey::new(self.chain.clone(), key);
        pair.keys_match().map_err(|_| TlsError::KeyMismatch { file: file.to_owned() })
    }
}

/// Who is at the other end of `connection`, which TLS has let in; `None` if its certificate names nobody of `cluster`.
#[must_use]
pub(crate) fn peer_of(connection: &quinn::Connection, cluster: u128) -> Option<Principal> {
    let chain = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    let (principal, found) = Principal::from_certificate(chain.first()?)?;
    (found == cluster).then_some(principal)
}

/// Certificates are valid by the same clock as everything else.
#[derive(Debug)]
struct ClockTime(Arc<dyn Clock>);

impl TimeProvider for ClockTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix_time(self.0.unix()))
    }
}

fn unix_time(now: UnixMillis) -> UnixTime {
    UnixTime::since_unix_epoch(std::time::Duration::from_millis(now.0))
}

/// Given to each configuration: nothing in this process depends on a global default.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Text of a certificate or key file.
pub(super) fn read_pem(file: &Path) -> Result<String, TlsError> {
    match text_file::read(file, limits::PEM_BYTES_MAX) {
        Ok(text) if text.is_empty() => Err(TlsError::malformed(file, "it is empty")),
        Ok(text) => Ok(text),
        Err(e) if e.kind() == io::ErrorKind::FileTooLarge => Err(TlsError::malformed(file, "it is too long")),
        Err(e) if e.kind() == io::ErrorKind::InvalidData => Err(TlsError::malformed(file, "it is not text")),
        Err(e) => Err(TlsError::read(file, e)),
    }
}

/// Start and end of a certificate's validity, milliseconds since 1970.
pub(super) fn validity(file: &Path) -> Result<(u64, u64), TlsError> {
    validity_of(file, &certificate(file)?)
}

/// The name that a certificate bears for people.
pub(super) fn common_name(file: &Path) -> Result<String, TlsError> {
    let der = certificate(file)?;
    let parsed = parsed(file, &der)?;
    let name = parsed.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
    name.map(str::to_owned).ok_or_else(|| TlsError::malformed(file, "it bears no name"))
}

/// Whether a certificate just made for `principal` will be accepted; it is not, if the authority's key is another's.
pub(super) fn check_issued(
    tls: &Path,
    principal: &Principal,
    cluster: u128,
    leaf: &CertificateDer<'_>,
    now: UnixMillis,
) -> Result<(), TlsError> {
    let ca_file = tls.join(CA_CERTIFICATE);
    let roots = roots(&ca_file, certificate(&ca_file)?)?;
    match check_issuer(&ca_file, &ca_file, &roots, principal, leaf, now) {
        Ok(named) if named == cluster => Ok(()),
        Err(TlsError::WrongAuthority { .. }) => Err(TlsError::KeyMismatch { file: tls.join(CA_KEY) }),
        Ok(_) => unreachable!("a certificate names the cluster that it was made for"),
        Err(error) => Err(error),
    }
}

fn certificate(file: &Path) -> Result<CertificateDer<'static>, TlsError> {
    let der = CertificateDer::from_pem_slice(read_pem(file)?.as_bytes())
        .map_err(|_| TlsError::malformed(file, "it holds no certificate"))?;
    parsed(file, &der)?;
    Ok(der)
}

fn parsed<'a>(file: &Path, der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, TlsError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(TlsError::malformed(file, "its certificate cannot be decoded")),
    }
}

fn validity_of(file: &Path, der: &CertificateDer<'_>) -> Result<(u64, u64), TlsError> {
    let certificate = parsed(file, der)?;
    let ms = |seconds: i64| u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000);
    let validity = certificate.validity();
    Ok((ms(validity.not_before.timestamp()), ms(validity.not_after.timestamp())))
}

fn check_time(file: &Path, der: &CertificateDer<'_>, now: UnixMillis) -> Result<(), TlsError> {
    let (starts_unix_ms, ended_unix_ms) = validity_of(file, der)?;
    let file = file.to_owned();
    if now.0 < starts_unix_ms {
        Err(TlsError::NotYet { file, starts_unix_ms })
    } else if now.0 > ended_unix_ms {
        Err(TlsError::Expired { file, ended_unix_ms })
    } else {
        Ok(())
    }
}

fn roots(file: &Path, ca: CertificateDer<'static>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add(ca).map_err(|_| TlsError::malformed(file, "it is no authority"))?;
    Ok(roots)
}

/// Checks signature and purpose with the same code that a peer will use, and the name; returns the cluster.
fn check_issuer(
    file: &Path,
    ca_file: &Path,
    roots: &RootCertStore,
    principal: &Principal,
    leaf: &CertificateDer<'_>,
    now: UnixMillis,
) -> Result<u128, TlsError> {
    let wrong_name =
        |found: String| Err(TlsError::WrongName { file: file.to_owned(), expected: principal.to_string(), found });
    let cluster = match Principal::from_certificate(leaf) {
        Some((found, cluster)) if found == *principal => cluster,
        Some((found, _)) => return wrong_name(found.to_string()),
        None => return wrong_name("nobody of a Tanist cluster".to_owned()),
    };
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots.clone()), provider())
        .build()
        .expect("there is a root and no revocation list");
    let name = ServerName::try_from(principal.server_name(cluster)).expect("a party's name is a DNS name");
    match verifier.verify_server_cert(leaf, &[], &name, &[], unix_time(now)) {
        Ok(_) => Ok(cluster),
        Err(error) => {
            let why = match error {
                rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
                    "another one signed it".to_owned()
                }
                rustls::Error::InvalidCertificate(CertificateError::BadSignature) => {
                    "its signature is wrong".to_owned()
                }
                other => other.to_string(),
            };
            Err(TlsError::WrongAuthority { file: file.to_owned(), ca: ca_file.to_owned(), why })
        }
    }
}
