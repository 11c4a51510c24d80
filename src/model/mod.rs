//! The data model: what the tree looks like (schema), how a place in it is named (path), what a
//! value may be (kind), where instances stand (index), and how it is read (cursor) and changed
//! (transaction). Values come from handlers; this room only knows their trait.

mod alias;
mod attributes;
mod bells;
pub mod builtin;
mod create;
mod cursor;
pub mod fault;
pub mod grammar;
pub mod handler;
mod index;
mod intent;
pub mod kind;
mod objects;
pub mod overlay;
pub mod path;
pub mod request;
mod resolve;
mod rows;
pub mod sample;
pub mod schema;
mod served;
mod set;
mod sweep;
pub mod together;
mod transaction;
pub mod tree;
pub mod trial;
mod watched;

#[cfg(test)]
mod tests;
