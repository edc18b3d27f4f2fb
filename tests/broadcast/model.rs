//! Random operations on a broadcast against a list of what was put.
