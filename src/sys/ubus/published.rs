//! An object of our own.
