//! What libuci reads and refuses, and the bytes that a change touches.
