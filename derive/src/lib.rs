//! The macros of millstream's `Element` trait. Use them through `millstream`, which documents them.
#![forbid(unsafe_code)]

mod declaration;
mod implementation;
mod padding;
mod travel;

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::parse::Parser;
use syn::{DeriveInput, parse_macro_input};

use declaration::{Declaration, Options};

/// Implements `Element` for a struct with `#[repr(C)]` or `#[repr(transparent)]`.
///
/// `#[element(name = "...")]` gives the type another name in its schema than it has in the code.
#[proc_macro_derive(Element, attributes(element))]
pub fn derive_element(item: TokenStream) -> TokenStream {
    let input = parse_macro_input!(item as DeriveInput);
    let implementation = Options::of_attributes(&input.attrs)
        .and_then(|options| Declaration::new(&input, options))
        .map(|declaration| implementation::of(&declaration));
    implementation
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Makes a struct an element: `#[repr(C)]` if it has no `repr`, and the derives of `Clone`, `Copy`,
/// zerocopy's traits and `Element`.
///
/// `#[element(name = "...")]` gives the type another name in its schema than it has in the code.
#[proc_macro_attribute]
pub fn element(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let input = parse_macro_input!(item as DeriveInput);
    match expand(arguments.into(), &input) {
        Ok(expanded) => expanded.into(),
        Err(error) => {
            // The struct stays, so that the only complaint is the one that matters.
            let error = error.into_compile_error();
            quote!(#input #error).into()
        }
    }
}

fn expand(arguments: Tokens, input: &DeriveInput) -> syn::Result<Tokens> {
    let mut options = Options::default();
    syn::meta::parser(|meta| options.read(&meta)).parse2(arguments)?;

    let mut item = input.clone();
    if !declaration::has_repr(input) {
        item.attrs.push(syn::parse_quote!(#[repr(C)]));
    }
    let declaration = Declaration::new(&item, options)?;
    let implementation = implementation::of(&declaration);
    let derives = declaration::missing_derives(input);
    // Not by way of `#[derive(Element)]`: its helper attribute has the name of this macro, and the
    // compiler could not tell which of them the name means.
    Ok(quote! {
        #derives
        #item
        #implementation
    })
}
