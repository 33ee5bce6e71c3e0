//! The envelope of control documents and the chain of trust that opens it.
