//! The struct that the user declared, checked as far as its tokens tell.

use proc_macro2::TokenStream as Tokens;
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::{Attribute, Data, DeriveInput, Error, Ident, LitStr, Member, Meta, Path, Token, Type};

use crate::{padding, travel};

/// The same limits as `millstream::Schema`'s, found at compile time instead of run time.
const MAX_FIELDS: usize = 1024;
const MAX_NAME: usize = 255;

/// What stands in the parentheses of `#[element(...)]`.
#[derive(Default)]
pub(crate) struct Options {
    name: Option<LitStr>,
}

impl Options {
    pub(crate) fn of_attributes(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut options = Self::default();
        for attribute in attributes
            .iter()
            .filter(|attribute| attribute.path().is_ident("element"))
        {
            attribute.parse_nested_meta(|meta| options.read(&meta))?;
        }
        Ok(options)
    }

    pub(crate) fn read(&mut self, meta: &syn::meta::ParseNestedMeta<'_>) -> syn::Result<()> {
        if !meta.path.is_ident("name") {
            return Err(meta.error("unknown option: `name = \"...\"` is the only one"));
        }
        if self.name.replace(meta.value()?.parse()?).is_some() {
            return Err(meta.error("the name is given twice"));
        }
        Ok(())
    }
}

/// A struct that may become an element, if its fields do.
pub(crate) struct Declaration<'a> {
    pub(crate) ident: &'a Ident,
    /// The name in the schema.
    pub(crate) name: String,
    pub(crate) fields: Vec<Part<'a>>,
}

/// A field of the struct.
pub(crate) struct Part<'a> {
    pub(crate) member: Member,
    pub(crate) name: String,
    pub(crate) ty: &'a Type,
    /// Its `#[cfg(...)]`: an attribute macro sees the fields that will be left out, too.
    pub(crate) cfg: Vec<&'a Attribute>,
}

impl<'a> Declaration<'a> {
    pub(crate) fn new(input: &'a DeriveInput, options: Options) -> syn::Result<Self> {
        let ident = &input.ident;
        let Data::Struct(data) = &input.data else {
            return Err(Error::new_spanned(
                ident,
                "an element is a struct: another process may write any bits, and few are a valid enum",
            ));
        };
        if let Some(parameter) = input.generics.params.first() {
            return Err(Error::new_spanned(
                parameter,
                "an element has one layout that both processes know: no type, lifetime or const parameters",
            ));
        }
        if data.fields.is_empty() {
            return Err(Error::new_spanned(
                ident,
                "an element has at least one field: there is nothing to carry",
            ));
        }
        if data.fields.len() > MAX_FIELDS {
            return Err(Error::new_spanned(
                ident,
                format!("an element has at most {MAX_FIELDS} fields"),
            ));
        }
        let repr = Repr::of(input)?;
        if !repr.fixed {
            return Err(Error::new_spanned(
                ident,
                "without `#[repr(C)]` the compiler orders the fields as it likes, and another process may have them in \
                 another order: add `#[repr(C)]`",
            ));
        }

        let name = match &options.name {
            Some(name) => checked(name.value(), ":.-<>", name)?,
            None => checked(ident.unraw().to_string(), "", ident)?,
        };
        let mut fields = Vec::with_capacity(data.fields.len());
        let mut errors: Option<Error> = None;
        for (field, member) in data.fields.iter().zip(data.fields.members()) {
            // Whether a field under a condition is there at all is for the compiler to find out.
            let cfg: Vec<_> = field
                .attrs
                .iter()
                .filter(|attribute| attribute.path().is_ident("cfg"))
                .collect();
            if let Some(reason) = travel::refusal(&field.ty).filter(|_| cfg.is_empty()) {
                let error = Error::new_spanned(&field.ty, reason);
                match &mut errors {
                    Some(errors) => errors.combine(error),
                    None => errors = Some(error),
                }
            }
            let name = match &member {
                Member::Named(ident) => checked(ident.unraw().to_string(), "", ident)?,
                Member::Unnamed(index) => index.index.to_string(),
            };
            fields.push(Part {
                member,
                name,
                ty: &field.ty,
                cfg,
            });
        }
        if let Some(errors) = errors {
            return Err(errors);
        }
        if repr.plain {
            padding::check(&fields)?;
        }
        Ok(Self { ident, name, fields })
    }
}

/// The name, if `millstream::Schema` takes it.
fn checked(name: String, also: &str, tokens: impl ToTokens) -> syn::Result<String> {
    let good = |c: char| c.is_alphanumeric() || c == '_' || also.contains(c);
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(good) {
        let also: String = also.chars().map(|c| format!(" `{c}`")).collect();
        let message =
            format!("a name in a schema has 1 to {MAX_NAME} bytes of letters, digits and `_`{also}");
        return Err(Error::new_spanned(tokens, message));
    }
    Ok(name)
}

/// What the struct's `#[repr(...)]` says about its layout.
#[derive(Default)]
struct Repr {
    /// The order of the fields is fixed.
    fixed: bool,
    /// `repr(C)` and nothing else, which is what the check for padding knows.
    plain: bool,
}

impl Repr {
    fn of(input: &DeriveInput) -> syn::Result<Self> {
        let mut repr = Self {
            fixed: false,
            plain: true,
        };
        for attribute in input
            .attrs
            .iter()
            .filter(|attribute| attribute.path().is_ident("repr"))
        {
            for meta in attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)? {
                let c = meta.path().is_ident("C");
                repr.fixed |= c || meta.path().is_ident("transparent");
                repr.plain &= c;
            }
        }
        Ok(repr)
    }
}

pub(crate) fn has_repr(input: &DeriveInput) -> bool {
    input
        .attrs
        .iter()
        .any(|attribute| attribute.path().is_ident("repr"))
}

/// The derives that an element needs and the user has not written below the attribute.
pub(crate) fn missing_derives(input: &DeriveInput) -> Tokens {
    let written: Vec<Ident> = input
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("derive"))
        .filter_map(|attribute| {
            attribute
                .parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated)
                .ok()
        })
        .flatten()
        .filter_map(|path| path.segments.last().map(|segment| segment.ident.clone()))
        .collect();
    let missing = |name: &&str| !written.iter().any(|ident| ident == name);
    let zerocopy: Vec<Ident> = ["FromBytes", "IntoBytes", "Immutable", "KnownLayout"]
        .iter()
        .filter(|name| missing(name))
        .map(|name| format_ident!("{name}"))
        .collect();
    let clone = missing(&"Clone").then(|| quote!(#[derive(::core::clone::Clone)]));
    let copy = missing(&"Copy").then(|| quote!(#[derive(::core::marker::Copy)]));
    let configured = input
        .attrs
        .iter()
        .any(|attribute| attribute.path().is_ident("zerocopy"));
    let zerocopy = (!zerocopy.is_empty()).then(|| {
        // Where to find zerocopy for a user who depends on millstream alone.
        let path = (!configured).then(|| quote!(#[zerocopy(crate = "millstream::zerocopy")]));
        quote! {
            #[derive(#(::millstream::zerocopy::#zerocopy),*)]
            #path
        }
    });
    quote!(#clone #copy #zerocopy)
}
