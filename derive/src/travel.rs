//! Which types certainly may not travel, and why: a better answer than a list of missing traits.
//!
//! Only tokens are seen here. What hides behind an alias is refused by the bound `Element`.

use syn::{Path, Type};

/// Why a field of this type can be in no element, if that is certain.
pub(crate) fn refusal(ty: &Type) -> Option<String> {
    let reason = match ty {
        Type::Array(array) => return refusal(&array.elem),
        Type::Group(group) => return refusal(&group.elem),
        Type::Paren(paren) => return refusal(&paren.elem),
        Type::Reference(_) => {
            "a reference is an address, which means nothing in another process: put the data itself into the element, \
             as in `[u8; N]`"
        }
        Type::Ptr(_) => "a pointer is an address, which means nothing in another process",
        Type::BareFn(_) => "a function is an address, which means nothing in another process",
        Type::Tuple(_) => {
            "the compiler orders the fields of a tuple as it likes, and another process may have them in another \
             order: use a struct"
        }
        Type::Slice(_) | Type::TraitObject(_) => "an element has a size that is known when it is compiled",
        Type::Path(path) if path.qself.is_none() => return named(&path.path),
        _ => return None,
    };
    Some(reason.to_owned())
}

fn named(path: &Path) -> Option<String> {
    // A path of several segments means the standard library only if it says so.
    let first = path.segments.first()?.ident.to_string();
    if path.segments.len() > 1 && !matches!(first.as_str(), "std" | "core" | "alloc") {
        return None;
    }
    let name = path.segments.last()?.ident.to_string();
    let reason = match name.as_str() {
        "Box" | "Rc" | "Arc" | "Weak" | "NonNull" | "Cow" => {
            "is an address, which means nothing in another process: put the data itself into the element"
        }
        "String" | "OsString" | "CString" | "PathBuf" => {
            "is an address of this process's heap: use `[u8; N]` and a length, or send the text as a frame"
        }
        "Vec" | "VecDeque" | "HashMap" | "HashSet" | "BTreeMap" | "BTreeSet" => {
            "is an address of this process's heap: use an array `[T; N]` and a length, or send it as a frame"
        }
        "usize" => "has 32 or 64 bits, as the process was built: use `u64`",
        "isize" => "has 32 or 64 bits, as the process was built: use `i64`",
        "bool" => {
            "has two valid values of 256, and another process may write any of them: use `u8`, and compare it with 0"
        }
        "char" => {
            "is invalid for most bits, and another process may write any: use `u32`, and check it on receipt"
        }
        "Option" => {
            "has no layout that two processes can agree on: use the type alone and a value that means none, or a flag \
             of type `u8`"
        }
        "str" => "has no size that is known when it is compiled: use `[u8; N]` and a length",
        "Cell" | "RefCell" | "UnsafeCell" | "Mutex" | "RwLock" => {
            "lets its value be changed through a shared reference, and an element is copied: use the type inside"
        }
        "Instant" | "SystemTime" | "Duration" => {
            "has no fixed layout: use nanoseconds as `u64` or `i64`, counted from a moment that both sides know"
        }
        name if name.starts_with("Atomic") => {
            "lets its value be changed through a shared reference, and an element is copied: use the integer"
        }
        name if name.starts_with("NonZero") => {
            "is invalid when it is zero, and another process may write that: use the integer, and check it on receipt"
        }
        _ => return None,
    };
    Some(format!("`{name}` {reason}"))
}
