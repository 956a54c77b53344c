//! The Merkle tree by which one signature covers several things: that of RFC 9162 with a context string before each
//! prefix, so that a path in one tree is worth nothing in another. It must not know what its leaves are.

use bytes::Bytes;
use i247_model::Hash;

use crate::sha256;

/// How many leaves one signature may cover.
pub const MAX_BURST: usize = 64;

/// A kind of tree, by its context string: a leaf is `SHA-256(context ‖ 0x00 ‖ content)`, an inner node
/// `SHA-256(context ‖ 0x01 ‖ left ‖ right)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tree(pub(crate) &'static [u8]);

impl Tree {
    pub(crate) fn leaf(self, content: &[u8]) -> Hash {
        sha256(&[self.0, &[0], content])
    }

    /// The leaf whose content is these parts, with nothing between them.
    pub(crate) fn leaf_of(self, parts: [&[u8]; 2]) -> Hash {
        sha256(&[self.0, &[0], parts[0], parts[1]])
    }

    /// The root over some leaves, at least one.
    pub(crate) fn root(self, leaves: &[Hash]) -> Hash {
        if let [leaf] = leaves {
            return *leaf;
        }
        let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
        self.node(&self.root(left), &self.root(right))
    }

    /// The root over some leaves, at least one, and for each its siblings from the leaf upwards.
    pub(crate) fn grow(self, leaves: &[Hash]) -> (Hash, Vec<Vec<Bytes>>) {
        let mut paths = vec![Vec::new(); leaves.len()];
        let root = self.root_and_paths(leaves, &mut paths);
        (root, paths)
    }

    /// The root that a path leads to, by RFC 9162, 2.1.3.2; none when index, count and path do not fit together, or
    /// when the tree is larger than [`MAX_BURST`].
    pub(crate) fn root_of_path(self, leaf: Hash, index: u32, count: u32, path: &[Bytes]) -> Option<Hash> {
        if !(1..=MAX_BURST).contains(&(count as usize)) || index >= count {
            return None;
        }
        let (mut index, mut last, mut root) = (index, count - 1, leaf);
        for sibling in path {
            let sibling = Hash::from_slice(sibling)?;
            if last == 0 {
                return None;
            }
            if index % 2 == 1 || index == last {
                root = self.node(&sibling, &root);
                while index.is_multiple_of(2) && index != 0 {
                    index /= 2;
                    last /= 2;
                }
            } else {
                root = self.node(&root, &sibling);
            }
            index /= 2;
            last /= 2;
        }
        (last == 0).then_some(root)
    }

    fn node(self, left: &Hash, right: &Hash) -> Hash {
        sha256(&[self.0, &[1], left.as_bytes(), right.as_bytes()])
    }

    fn root_and_paths(self, leaves: &[Hash], paths: &mut [Vec<Bytes>]) -> Hash {
        if let [leaf] = leaves {
            return *leaf;
        }
        // The left side is the largest power of two that leaves something for the right.
        let middle = leaves.len().next_power_of_two() / 2;
        let (left_paths, right_paths) = paths.split_at_mut(middle);
        let left = self.root_and_paths(&leaves[..middle], left_paths);
        let right = self.root_and_paths(&leaves[middle..], right_paths);
        // Each node once, however many paths go by it.
        for (paths, sibling) in [(left_paths, &right), (right_paths, &left)] {
            let sibling = Bytes::from_owner(*sibling.as_bytes());
            paths.iter_mut().for_each(|path| path.push(sibling.clone()));
        }
        self.node(&left, &right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: Tree = Tree(b"i247.v1.Header");

    fn leaves(count: usize) -> Vec<Hash> {
        (0..count).map(|n| TREE.leaf(&[n as u8])).collect()
    }

    #[test]
    fn a_tree_of_five_is_that_of_rfc_9162() {
        let l = leaves(5);
        let node = |left: &Hash, right: &Hash| TREE.node(left, right);
        let expected = node(&node(&node(&l[0], &l[1]), &node(&l[2], &l[3])), &l[4]);
        let (root, paths) = TREE.grow(&l);
        assert_eq!(root, expected);
        let lengths: Vec<usize> = paths.iter().map(Vec::len).collect();
        assert_eq!(lengths, [3, 3, 3, 3, 1]);
    }

    #[test]
    fn every_path_of_every_tree_leads_to_its_root_and_no_other_place_does() {
        for count in 1..=MAX_BURST {
            let leaves = leaves(count);
            let (root, paths) = TREE.grow(&leaves);
            assert_eq!(TREE.root(&leaves), root);
            for (at, path) in paths.iter().enumerate() {
                for index in 0..count {
                    let found = TREE.root_of_path(leaves[at], index as u32, count as u32, path);
                    assert_eq!(found == Some(root), index == at, "{count} {at} {index}");
                }
            }
        }
    }

    #[test]
    fn a_place_outside_the_tree_and_a_tree_too_large_lead_nowhere() {
        let leaf = leaves(1)[0];
        assert_eq!(TREE.root_of_path(leaf, 0, 1, &[]), Some(leaf));
        assert_eq!(TREE.root_of_path(leaf, 1, 1, &[]), None);
        assert_eq!(TREE.root_of_path(leaf, 0, 0, &[]), None);
        let path = vec![Bytes::copy_from_slice(leaf.as_bytes()); 7];
        assert_eq!(TREE.root_of_path(leaf, 0, 65, &path), None);
    }
}
