//! The derive macro of millstream's `Element` trait.
