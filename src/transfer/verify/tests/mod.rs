//! Images, good and bad. Those in `tests/images` were signed by the tools themselves (usign, signify,
//! ucert and fwtool of OpenWrt); the others are made here.

mod chain;
mod curve;
mod making;
mod policy;
mod reading;
mod small;
