//! How a restarted process ends the connections of its predecessor: by stateless resets (RFC 9000, 10.3).
//!
//! A killed process closes no connection, so its peers would wait until their idle timeout. But their next packet reaches its
//! successor on the same port. The successor can compute each connection's reset token, since the secret for it is derived from
//! the certificate's key, and so proves that the connection is gone. Nobody else can.

use std::sync::Arc;

use quinn::{ConnectionId, ConnectionIdGenerator, EndpointConfig};
use ring::hmac;

use crate::limits;

/// Sets the secret apart from everything else that may come of the same key.
const PURPOSE: &[u8] = b"tanist stateless reset";

/// Bytes of a connection's name: so many that none is drawn twice, not even by a successor.
const NAME_BYTES: usize = 8;

/// The secret of one party, the same in all its processes.
#[derive(Clone, Debug)]
pub struct ResetKey(hmac::Key);

impl ResetKey {
    /// Of a party with this private key.
    pub(super) fn of(private_key: &[u8]) -> ResetKey {
        let secret = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, private_key), PURPOSE);
        ResetKey(hmac::Key::new(hmac::HMAC_SHA256, secret.as_ref()))
    }

    /// Makes an endpoint answer packets of connections that it does not know.
    pub(super) fn apply(self, config: &mut EndpointConfig) {
        config.reset_key(Arc::new(self.0)).min_reset_interval(limits::RESET_PAUSE).cid_generator(|| Box::new(Names));
    }
}

/// Connection ids. Those of quinn's own generator contain a hash that is specific to the process, and a packet of another process
/// gets no answer.
#[derive(Debug)]
struct Names;

impl ConnectionIdGenerator for Names {
    fn generate_cid(&mut self) -> ConnectionId {
        ConnectionId::new(&rand::random::<[u8; NAME_BYTES]>())
    }

    fn cid_len(&self) -> usize {
        NAME_BYTES
    }

    fn cid_lifetime(&self) -> Option<std::time::Duration> {
        None
    }
}
