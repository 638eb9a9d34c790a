//! Limits of one request.

/// Bounds of a single request. Reaching one is a [`ProtocolError`](super::ProtocolError).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// Most arguments, the command's name among them.
    pub arguments_max: usize,
    /// Longest argument in bytes.
    pub bulk_bytes_max: usize,
    /// Longest plain line in bytes, without its end.
    pub inline_bytes_max: usize,
    /// Most bytes of one request, framing included.
    pub request_bytes_max: usize,
    /// The sender has not said who it is: the error says so, as Redis's does.
    pub before_authentication: bool,
}

impl RequestLimits {
    /// For a client that may run commands: Redis's defaults (`proto-max-bulk-len` 512 MB, query buffer 1 GB).
    pub const TRUSTED: RequestLimits = RequestLimits {
        arguments_max: 1024 * 1024,
        bulk_bytes_max: 512 << 20,
        inline_bytes_max: 64 * 1024,
        request_bytes_max: 1 << 30,
        before_authentication: false,
    };

    /// For one that has yet to give its password: enough for `HELLO 3 AUTH user password SETNAME name`.
    pub const UNAUTHENTICATED: RequestLimits = RequestLimits {
        arguments_max: 10,
        bulk_bytes_max: 16 * 1024,
        inline_bytes_max: 64 * 1024,
        request_bytes_max: 256 * 1024,
        before_authentication: true,
    };
}

// Arguments are kept as 32-bit positions within the request.
const _: () = assert!(RequestLimits::TRUSTED.request_bytes_max <= u32::MAX as usize);
const _: () = assert!(RequestLimits::TRUSTED.bulk_bytes_max < RequestLimits::TRUSTED.request_bytes_max);
