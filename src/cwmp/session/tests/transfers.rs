//! What the ACS asks of transfers, and what it is told of them.

use super::*;
