//! Nothing: this package has the tests `loom` and `shuttle` of the library, which lie in its folder `tests`, and only what these need.

#![forbid(unsafe_code)]
