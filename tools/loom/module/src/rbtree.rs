// SPDX-License-Identifier: GPL-2.0

//! Replaces the kernel's `rbtree.rs`: the parts that are used, with a tree of `std`.

use std::collections::BTreeMap;

use crate::prelude::{Flags, Result};

pub(crate) struct RBTree<K, V>(BTreeMap<K, V>);

pub(crate) struct RBTreeNode<K, V>(K, V);

pub(crate) struct RBTreeNodeReservation<K, V>(core::marker::PhantomData<(K, V)>);

/// A cursor at an entry.
pub(crate) struct Cursor<'a, K, V>(&'a K, &'a V);

/// A cursor at an entry that can be removed.
pub(crate) struct CursorMut<'a, K, V>(&'a mut BTreeMap<K, V>, K);

impl<K, V> RBTreeNodeReservation<K, V> {
    pub(crate) fn new(_: Flags) -> Result<Self> {
        Ok(Self(core::marker::PhantomData))
    }

    pub(crate) fn into_node(self, key: K, value: V) -> RBTreeNode<K, V> {
        RBTreeNode(key, value)
    }
}

impl<K, V> RBTreeNode<K, V> {
    // The kernel has the same name.
    #[allow(clippy::wrong_self_convention)]
    pub(crate) fn to_key_value(self) -> (K, V) {
        (self.0, self.1)
    }
}

impl<K: Ord + Copy, V> RBTree<K, V> {
    pub(crate) fn new() -> Self {
        Self(BTreeMap::new())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn insert(&mut self, node: RBTreeNode<K, V>) -> Option<RBTreeNode<K, V>> {
        let key = node.0;
        self.0.insert(key, node.1).map(|old| RBTreeNode(key, old))
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key)
    }

    pub(crate) fn remove_node(&mut self, key: &K) -> Option<RBTreeNode<K, V>> {
        self.0
            .remove_entry(key)
            .map(|(key, value)| RBTreeNode(key, value))
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        self.0.remove(key)
    }

    pub(crate) fn cursor_front(&self) -> Option<Cursor<'_, K, V>> {
        self.0.iter().next().map(|(key, value)| Cursor(key, value))
    }

    pub(crate) fn cursor_lower_bound(&self, from: &K) -> Option<Cursor<'_, K, V>> {
        let mut range = self.0.range(from..);
        range.next().map(|(key, value)| Cursor(key, value))
    }

    pub(crate) fn cursor_lower_bound_mut(&mut self, from: &K) -> Option<CursorMut<'_, K, V>> {
        let key = *self.0.range(from..).next()?.0;
        Some(CursorMut(&mut self.0, key))
    }
}

impl<'a, K, V> Cursor<'a, K, V> {
    pub(crate) fn current(&self) -> (&'a K, &'a V) {
        (self.0, self.1)
    }
}

impl<K: Ord + Copy, V> CursorMut<'_, K, V> {
    pub(crate) fn current(&self) -> (&K, &V) {
        (&self.1, &self.0[&self.1])
    }

    pub(crate) fn remove_current(self) -> (Option<Self>, RBTreeNode<K, V>) {
        let value = self.0.remove(&self.1).unwrap();
        (None, RBTreeNode(self.1, value))
    }
}
