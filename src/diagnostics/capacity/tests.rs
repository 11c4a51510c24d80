//! Tables: datagrams, keys, arguments, counting, and what is made of it.
