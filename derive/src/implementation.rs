//! The implementation of `Element` that the macros write.

use proc_macro2::TokenStream as Tokens;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use crate::declaration::Declaration;

pub(crate) fn of(declaration: &Declaration<'_>) -> Tokens {
    let Declaration { ident, name, fields } = declaration;
    let schemas = fields.iter().map(|field| {
        let (ty, cfg, member, name) = (field.ty, &field.cfg, &field.member, &field.name);
        // With the span of the type, so that the compiler points there if it is no element.
        let schema = quote_spanned!(ty.span()=> <#ty as ::millstream::Element>::schema());
        quote! {
            #(#cfg)*
            ::millstream::Field::new(#name, ::core::mem::offset_of!(#ident, #member), #schema)
        }
    });
    let sizes = fields.iter().map(|field| {
        let (ty, cfg) = (field.ty, &field.cfg);
        quote_spanned! {ty.span()=>
            #(#cfg)*
            const _: () = ::core::assert!(
                ::core::mem::size_of::<#ty>() > 0,
                "a field of an element has a size: there is nothing to carry",
            );
        }
    });
    let refusal = format!("`{name}` has no schema");
    quote! {
        #(#sizes)*
        const _: () = ::core::assert!(
            ::core::mem::size_of::<#ident>() > 0,
            "an element has a size: there is nothing to carry",
        );
        const _: () = ::core::assert!(
            ::core::mem::size_of::<#ident>() <= ::millstream::Schema::MAX_SIZE,
            "an element has at most `millstream::Schema::MAX_SIZE` bytes",
        );
        const _: () = ::core::assert!(
            ::core::mem::align_of::<#ident>() <= ::millstream::Schema::MAX_ALIGN,
            "an element has an alignment of at most `millstream::Schema::MAX_ALIGN` bytes",
        );
        #[automatically_derived]
        #[allow(clippy::panic)]
        impl ::millstream::Element for #ident {
            fn schema() -> ::millstream::Schema {
                let schema = ::millstream::Schema::structure(
                    #name,
                    ::core::mem::size_of::<#ident>(),
                    ::core::mem::align_of::<#ident>(),
                    [#(#schemas),*],
                );
                match schema {
                    ::core::result::Result::Ok(schema) => schema,
                    ::core::result::Result::Err(error) => ::core::panic!("{}: {}", #refusal, error),
                }
            }
        }
    }
}
