//! The cluster's own certificate authority (CA): made with the cluster, certificates renewed by one command, not used by running
//! processes.
//!
//! `tls/ca.key` signs and may be moved off the machine; processes load everything else in the folder. The folder is created
//! atomically, and a renewal replaces each file atomically, so a crash at any moment leaves a folder that works.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ED25519, SerialNumber,
};
use tanist_db_core::clock::UnixMillis;
use time::OffsetDateTime;

use super::principal::Principal;
use super::tls::{self, CA_CERTIFICATE, CA_KEY, TlsError};
use crate::limits;

const CA_NAME: &str = "Tanist cluster ";

/// Makes the folder `tls` with a new authority for `cluster` and a certificate for each of `principals`.
///
/// # Errors
/// If the folder is already there, or cannot be written; nothing of it remains then.
pub fn create(tls: &Path, cluster: u128, principals: &[Principal], now: UnixMillis) -> Result<(), TlsError> {
    if tls.exists() {
        return Err(TlsError::Exists { folder: tls.to_owned() });
    }
    let staging = tls.with_extension("new");
    if staging.exists() {
        fs::remove_dir_all(&staging).map_err(|e| TlsError::write(&staging, e))?;
    }
    DirBuilder::new().mode(0o700).create(&staging).map_err(|e| TlsError::write(&staging, e))?;
    let key = new_key();
    write(&staging.join(CA_KEY), &key.serialize_pem(), Secret::Yes)?;
    write(&staging.join(CA_CERTIFICATE), &ca_certificate(cluster, &key, now)?, Secret::No)?;
    for principal in principals {
        issue(&staging, principal, now)?;
    }
    fs::rename(&staging, tls).map_err(|e| TlsError::write(tls, e))?;
    sync_folder_of(tls)
}

/// Makes (or makes anew) the certificate of `principal`. A sound key is kept: then one file is replaced in one step.
///
/// # Errors
/// If the authority's key is absent, damaged or not the authority's, or the folder cannot be written.
pub fn issue(tls: &Path, principal: &Principal, now: UnixMillis) -> Result<(), TlsError> {
    let cluster = authority(tls)?;
    let ca_key = load_key(&tls.join(CA_KEY))?;
    let key_file = principal.key_file(tls);
    let key = load_key(&key_file).or_else(|_| {
        let key = new_key();
        write(&key_file, &key.serialize_pem(), Secret::Yes).map(|()| key)
    })?;
    let mut params = params(principal.to_string(), &key, now, limits::LEAF_LIFE)?;
    params.subject_alt_names =
        CertificateParams::new([principal.server_name(cluster)]).map_err(made)?.subject_alt_names;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let issuer = Issuer::new(ca_params(cluster, &ca_key, now)?, ca_key);
    let certificate = params.signed_by(&key, &issuer).map_err(made)?;
    tls::check_issued(tls, principal, cluster, certificate.der(), now)?;
    write(&principal.certificate_file(tls), &certificate.pem(), Secret::No)
}

/// Renews every certificate in the folder, and the authority's own when less than a year of it is left. Keys are kept.
/// Processes take up the new certificates when they start.
///
/// # Errors
/// As [`issue`]. What was renewed before the error stays renewed, and all of it works together.
pub fn renew(tls: &Path, now: UnixMillis) -> Result<Vec<Principal>, TlsError> {
    let cluster = authority(tls)?;
    let ca_file = tls.join(CA_CERTIFICATE);
    let (_, ends) = tls::validity(&ca_file)?;
    if ends < now.0 + millis(limits::LEAF_LIFE) {
        let key = load_key(&tls.join(CA_KEY))?;
        write(&ca_file, &ca_certificate(cluster, &key, now)?, Secret::No)?;
    }
    let mut renewed = Vec::new();
    let entries = fs::read_dir(tls).map_err(|e| TlsError::read(tls, e))?;
    for entry in entries {
        let name = entry.map_err(|e| TlsError::read(tls, e))?.file_name();
        let Some(stem) = name.to_str().and_then(|name| name.strip_suffix(".pem")) else { continue };
        let Some(principal) = Principal::parse(stem).or_else(|| Principal::node(stem)) else { continue };
        issue(tls, &principal, now)?;
        renewed.push(principal);
    }
    renewed.sort();
    Ok(renewed)
}

/// The cluster whose authority stands in the folder.
fn authority(tls: &Path) -> Result<u128, TlsError> {
    let file = tls.join(CA_CERTIFICATE);
    let name = tls::common_name(&file)?;
    let digits = name.strip_prefix(CA_NAME).filter(|digits| digits.len() == 32);
    digits
        .and_then(|digits| u128::from_str_radix(digits, 16).ok())
        .ok_or_else(|| TlsError::malformed(&file, "it is no authority of a Tanist cluster"))
}

fn ca_certificate(cluster: u128, key: &KeyPair, now: UnixMillis) -> Result<String, TlsError> {
    Ok(ca_params(cluster, key, now)?.self_signed(key).map_err(made)?.pem())
}

fn ca_params(cluster: u128, key: &KeyPair, now: UnixMillis) -> Result<CertificateParams, TlsError> {
    let mut params = params(format!("{CA_NAME}{cluster:032x}"), key, now, limits::CA_LIFE)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn params(name: String, key: &KeyPair, now: UnixMillis, life: Duration) -> Result<CertificateParams, TlsError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date(now.0.saturating_sub(millis(limits::CERTIFICATE_BACKDATE)))?;
    params.not_after = date(now.0.saturating_add(millis(life)))?;
    // Unique within the authority: two certificates for one key are never made in the same millisecond.
    let mut serial = now.0.to_be_bytes().to_vec();
    serial.extend_from_slice(&crc32c::crc32c(key.public_key_raw()).to_be_bytes());
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(params)
}

fn new_key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ED25519).expect("the system gives random bytes")
}

fn load_key(file: &Path) -> Result<KeyPair, TlsError> {
    let pem = tls::read_pem(file)?;
    KeyPair::from_pem(&pem).map_err(|_| TlsError::malformed(file, "it holds no private key"))
}

fn made(error: rcgen::Error) -> TlsError {
    TlsError::Make { why: error.to_string() }
}

fn date(unix_ms: u64) -> Result<OffsetDateTime, TlsError> {
    let seconds = i64::try_from(unix_ms / 1_000).ok();
    seconds
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .ok_or_else(|| TlsError::Make { why: "this machine's clock shows an impossible time".to_owned() })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).expect("a certificate's life is counted in years")
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Secret {
    Yes,
    No,
}

/// Writes beside the file, syncs, and renames: the file is the old one or the new one, and a key is never readable by others.
fn write(file: &Path, text: &str, secret: Secret) -> Result<(), TlsError> {
    let staging = file.with_extension("new");
    let mode = if secret == Secret::Yes { 0o600 } else { 0o644 };
    let written = fs::remove_file(&staging).or_else(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(e),
    });
    written
        .and_then(|()| OpenOptions::new().write(true).create_new(true).mode(mode).open(&staging))
        .and_then(|mut out| out.write_all(text.as_bytes()).and_then(|()| out.sync_all()))
        .and_then(|()| fs::rename(&staging, file))
        .map_err(|e| TlsError::write(file, e))?;
    sync_folder_of(file)
}

fn sync_folder_of(path: &Path) -> Result<(), TlsError> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|e| TlsError::write(folder, e))
}
