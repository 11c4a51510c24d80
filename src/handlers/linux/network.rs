//! What the kernel says about the network, read once per RPC and shared by the providers.

/// The snapshot.
#[derive(Default)]
pub struct Network {}
