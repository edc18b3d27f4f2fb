//! What tells two schemas apart.
#![forbid(unsafe_code)]

use crate::element::{Kind, Schema};

impl Schema {
    /// How this schema ("here") and another ("there") differ, one sentence a difference; empty
    /// exactly when they are equal. For messages.
    ///
    /// A schema from a peer may differ in as many fields as schemas can have: shorten the list
    /// before you print it.
    ///
    /// ```
    /// use millstream::{Schema, SchemaError};
    ///
    /// let here = Schema::parse("Quote", "ts:i64,bid:f64,qty:u64")?;
    /// let there = Schema::parse("Quote", "ts:i64,bid:f32,ask:f32")?;
    /// assert_eq!(here.difference(&there), [
    ///     "size: here 24 bytes, there 16 bytes",
    ///     "field 'bid': here f64 at offset 8, there f32 at offset 8",
    ///     "field 'qty' is missing there",
    ///     "field 'ask' is missing here",
    /// ]);
    /// # Ok::<(), SchemaError>(())
    /// ```
    #[must_use]
    pub fn difference(&self, there: &Schema) -> Vec<String> {
        let mut out = Vec::new();
        if self.label() != there.label() {
            out.push(format!("type: here {}, there {}", self.label(), there.label()));
        }
        if self.size() != there.size() {
            out.push(format!(
                "size: here {} bytes, there {} bytes",
                self.size(),
                there.size()
            ));
        }
        if self.align() != there.align() {
            out.push(format!(
                "alignment: here {} bytes, there {} bytes",
                self.align(),
                there.align()
            ));
        }
        compare_parts("", self, there, &mut out);
        out
    }

    /// The type in a few words. A struct may be called `f64`, so it says that it is one.
    pub(super) fn label(&self) -> String {
        match self.kind() {
            Kind::Struct(_) => format!("struct {}", self.name()),
            Kind::Scalar(_) | Kind::Array { .. } => self.name().to_owned(),
        }
    }
}

fn compare_parts(path: &str, here: &Schema, there: &Schema, out: &mut Vec<String>) {
    match (here.kind(), there.kind()) {
        (Kind::Struct(ours), Kind::Struct(theirs)) => {
            let full = |name: &str| {
                if path.is_empty() {
                    name.to_owned()
                } else {
                    format!("{path}.{name}")
                }
            };
            for field in ours {
                let name = full(field.name());
                let Some(other) = theirs.iter().find(|other| other.name() == field.name()) else {
                    out.push(format!("field '{name}' is missing there"));
                    continue;
                };
                let (a, b) = (field.schema(), other.schema());
                if a.label() != b.label() || field.offset() != other.offset() {
                    out.push(format!(
                        "field '{name}': here {} at offset {}, there {} at offset {}",
                        a.label(),
                        field.offset(),
                        b.label(),
                        other.offset()
                    ));
                }
                compare_align(&name, a, b, out);
                compare_parts(&name, a, b, out);
            }
            for other in theirs {
                if !ours.iter().any(|field| field.name() == other.name()) {
                    out.push(format!("field '{}' is missing here", full(other.name())));
                }
            }
        }
        (Kind::Array { element: a, .. }, Kind::Array { element: b, .. }) => {
            let name = format!("{path}[]");
            // Unlike elements have been named along with their arrays, whose name contains theirs,
            // except when only one of them is a struct.
            if a.name() == b.name() && a.label() != b.label() {
                out.push(format!("field '{name}': here {}, there {}", a.label(), b.label()));
            }
            // The alignment of an array is that of its elements, and compared already.
            compare_parts(&name, a, b, out);
        }
        _ => {}
    }
}

/// A process of another width may agree on everything else.
fn compare_align(name: &str, here: &Schema, there: &Schema, out: &mut Vec<String>) {
    if here.label() == there.label() && here.align() != there.align() {
        out.push(format!(
            "field '{name}': here aligned to {} bytes, there to {} bytes",
            here.align(),
            there.align()
        ));
    }
}
