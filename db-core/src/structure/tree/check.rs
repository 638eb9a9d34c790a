//! Verifies that a tree from an untrusted source is valid.

use std::cmp::Ordering;

use crate::arena::Pages;
use crate::ids::PageId;

use super::node::{self, INNER, ITEM_BYTES_MAX, LEAF};
use super::{FILL_MIN, HEIGHT_MAX, Order, SEPARATOR_BYTES_MAX, Tree};

type Verdict<T> = Result<T, &'static str>;

impl<O: Order> Tree<O> {
    /// Walks a tree that may be damaged, whose handle lies within a page in use: `claim` says whether a page may be a
    /// node (in use, and of nobody else), `visit` gets every item in order.
    pub(crate) fn check<'a, P: Pages>(
        &self,
        pages: &'a P,
        claim: &mut dyn FnMut(PageId) -> bool,
        visit: &mut dyn FnMut(&'a [u8]) -> Verdict<()>,
    ) -> Verdict<()> {
        let handle = self.handle(pages);
        let mut nodes = 0;
        let claim = &mut |id| {
            nodes += 1;
            claim(id)
        };
        let items = match handle.root {
            None if handle.height == 0 => 0,
            Some(top) if (1..=HEIGHT_MAX).contains(&handle.height) => {
                let mut walk = Walk { pages, order: &self.order, claim, visit, last: None, bound: None };
                walk.node(top, handle.height, true, true)?
            }
            _ => return Err("a tree has an impossible height"),
        };
        if items == handle.items && nodes == self.pages(pages) {
            Ok(())
        } else {
            Err("a tree's count of items or pages is wrong")
        }
    }
}

struct Walk<'a, 'b, P, O> {
    pages: &'a P,
    order: &'b O,
    claim: &'b mut dyn FnMut(PageId) -> bool,
    visit: &'b mut dyn FnMut(&'a [u8]) -> Verdict<()>,
    /// The item before.
    last: Option<&'a [u8]>,
    /// The separator that the next item must not be below.
    bound: Option<&'a [u8]>,
}

impl<'a, P: Pages, O: Order> Walk<'a, '_, P, O> {
    /// Checks a node, which may be the first or the last one of its level; returns the number of items below it. Goes
    /// no deeper than `height`.
    fn node(&mut self, id: PageId, height: usize, first: bool, last: bool) -> Verdict<u64> {
        if !(self.claim)(id) {
            return Err("a node of a tree is no page of its own");
        }
        let page = self.pages.page(id);
        let shape = if height == 1 { LEAF } else { INNER };
        let lengths = if height == 1 { 1..ITEM_BYTES_MAX + 1 } else { 0..SEPARATOR_BYTES_MAX + 1 };
        shape.check(page, &lengths)?;
        if !first && !last && shape.used(page) < FILL_MIN {
            return Err("a node of a tree is too empty");
        }
        let entries = node::count(page);
        if height == 1 {
            for index in 0..entries {
                self.item(LEAF.bytes(page, index))?;
            }
            return Ok(entries as u64);
        }
        let mut sum = 0_u64;
        for index in 0..entries {
            self.separator(index, INNER.bytes(page, index))?;
            let items =
                self.node(node::child(page, index), height - 1, first && index == 0, last && index + 1 == entries)?;
            if items != node::items(page, index) {
                return Err("a node of a tree counts wrong");
            }
            sum += items;
        }
        Ok(sum)
    }

    fn separator(&mut self, index: usize, separator: &'a [u8]) -> Verdict<()> {
        if separator.is_empty() {
            return Ok(());
        }
        if index == 0 || !O::SEPARATES {
            return Err("a node of a tree has a separator where none belongs");
        }
        if !self.order.is_separator(separator) {
            return Err("a separator of a tree is malformed");
        }
        if self.last.is_some_and(|last| self.order.compare(last, separator) == Ordering::Greater) {
            return Err("a separator of a tree is out of order");
        }
        self.bound = Some(separator);
        Ok(())
    }

    fn item(&mut self, item: &'a [u8]) -> Verdict<()> {
        // Before it is compared with others: what it leads to may not be there.
        (self.visit)(item)?;
        if self.last.is_some_and(|last| self.order.compare(last, item) != Ordering::Less) {
            return Err("a tree is out of order");
        }
        if self.bound.take().is_some_and(|bound| self.order.compare(bound, item) == Ordering::Greater) {
            return Err("a separator of a tree is out of order");
        }
        self.last = Some(item);
        Ok(())
    }
}
