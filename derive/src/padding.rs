//! Padding, found from the types' names where they tell the layout.
//!
//! `zerocopy::IntoBytes` refuses padding in every case, but cannot say which field needs it. This
//! says it for fields that are numbers and arrays of numbers, by the layout that they have on every
//! 64-bit machine. So an `f64` at offset 4 is refused here on a 32-bit machine, too, where it needs
//! no padding but would lie elsewhere than for a 64-bit peer.

use syn::{Error, Expr, Lit, Type};

use crate::declaration::Part;

/// Refuses padding in a struct that is `repr(C)` and no more.
pub(crate) fn check(fields: &[Part<'_>]) -> syn::Result<()> {
    let mut end = 0_usize;
    let mut max = 1;
    for field in fields {
        // From the first field that the tokens say too little of, nothing is certain.
        let Some((size, align)) = layout(field.ty).filter(|_| field.cfg.is_empty()) else {
            return Ok(());
        };
        let over = end % align;
        if over != 0 {
            let bytes = align - over;
            let message = format!(
                "`{}` needs {bytes} {} of padding before it, and an element has none, for padding is uninitialised \
                 memory: order the fields from largest to smallest, or add a field such as `pad: [u8; {bytes}]`",
                field.name,
                unit(bytes),
            );
            return Err(Error::new_spanned(field.ty, message));
        }
        max = max.max(align);
        let Some(next) = end.checked_add(size) else {
            return Ok(());
        };
        end = next;
    }
    let over = end % max;
    match fields.last() {
        Some(last) if over != 0 => {
            let bytes = max - over;
            let message = format!(
                "{bytes} {} of padding are needed after `{}`, and an element has none, for padding is uninitialised \
                 memory: add a field such as `pad: [u8; {bytes}]`",
                unit(bytes),
                last.name,
            );
            Err(Error::new_spanned(last.ty, message))
        }
        _ => Ok(()),
    }
}

fn unit(bytes: usize) -> &'static str {
    if bytes == 1 { "byte" } else { "bytes" }
}

/// Size and alignment in bytes, if the tokens tell. 128-bit integers are aligned differently on
/// different machines.
fn layout(ty: &Type) -> Option<(usize, usize)> {
    match ty {
        Type::Array(array) => {
            let Expr::Lit(len) = &array.len else { return None };
            let Lit::Int(len) = &len.lit else { return None };
            let (size, align) = layout(&array.elem)?;
            Some((size.checked_mul(len.base10_parse().ok()?)?, align))
        }
        Type::Group(group) => layout(&group.elem),
        Type::Paren(paren) => layout(&paren.elem),
        Type::Path(path) if path.qself.is_none() => {
            let size = match path.path.get_ident()?.to_string().as_str() {
                "u8" | "i8" => 1,
                "u16" | "i16" => 2,
                "u32" | "i32" | "f32" => 4,
                "u64" | "i64" | "f64" => 8,
                _ => return None,
            };
            Some((size, size))
        }
        _ => None,
    }
}
