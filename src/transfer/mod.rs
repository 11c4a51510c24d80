//! What is done with files: by the worker of a transfer, which never touches the tree.

pub mod apply;
