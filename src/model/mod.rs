//! The data model: what the tree looks like (schema), how a place in it is named (path), what a
//! value may be (kind), where instances stand (index), and how it is read (cursor) and changed
//! (transaction). Values come from handlers; this room only knows their trait.

pub mod builtin;
pub mod fault;
pub mod grammar;
pub mod handler;
pub mod kind;
pub mod overlay;
pub mod path;
pub mod request;
pub mod schema;
pub mod tree;
