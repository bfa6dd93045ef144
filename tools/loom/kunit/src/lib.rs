// SPDX-License-Identifier: GPL-2.0

//! The kernel's procedural macros that the module's files use.

use proc_macro::{Delimiter, Group, Punct, Spacing, TokenStream, TokenTree};

/// Removes the tests, like the kernel's macro without `CONFIG_KUNIT`.
#[proc_macro_attribute]
pub fn kunit_tests(_: TokenStream, _: TokenStream) -> TokenStream {
    TokenStream::new()
}

/// Ignores the information which fields are pinned.
#[proc_macro_attribute]
pub fn pin_data(_: TokenStream, item: TokenStream) -> TokenStream {
    let mut out: Vec<TokenTree> = Vec::new();
    for token in item {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                let fields = pin_data(TokenStream::new(), group.stream());
                out.push(Group::new(Delimiter::Brace, fields).into());
            }
            TokenTree::Group(group) if group.to_string().replace(' ', "") == "[pin]" => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out.into_iter().collect()
}

/// Makes the value directly: a field's initializer is its value.
#[proc_macro]
pub fn pin_init(item: TokenStream) -> TokenStream {
    let mut out: Vec<TokenTree> = Vec::new();
    for token in item {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                out.push(Group::new(Delimiter::Brace, pin_init(group.stream())).into());
            }
            TokenTree::Punct(minus) if minus == '-' && is_less(out.last()) => {
                out.pop();
                out.push(Punct::new(':', Spacing::Alone).into());
            }
            other => out.push(other),
        }
    }
    out.into_iter().collect()
}

fn is_less(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if *punct == '<')
}
