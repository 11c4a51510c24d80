//! PURE: SOAP 1.1 envelopes, read with limits and written as a stream.
