//! x
pub(crate) const ROLES: &[(&str, crate::stage::Role)] = &[];
