//! The roles: what the processes of a scene do.

pub(crate) mod consumers;
pub(crate) mod durable;
pub(crate) mod heirs;
pub(crate) mod producers;
