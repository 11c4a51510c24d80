//! Maps and sets in order, in a vector. std's B-trees are the right thing for what is large and changes often,
//! at two to three kilobytes of program for each pair of types; here are some forty pairs, most of a few
//! entries, none of more than some thousand (`docs/limits.md`), and the trees were a thirtieth of a router's
//! program. What comes in order is appended; anything else moves what is behind it, 4,096 entries of a set in
//! the worst order in about the time of one write to flash.

use std::borrow::Borrow;
use std::ops::{Bound, RangeBounds};
use std::{fmt, slice, vec};

/// A map by key, in the order of its keys.
#[derive(Clone, PartialEq, Eq)]
pub struct SortedMap<K, V>(Vec<(K, V)>);

impl<K, V> SortedMap<K, V> {
    /// Nothing yet; takes no memory.
    pub const fn new() -> Self {
        SortedMap(Vec::new())
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Drops all and their memory.
    pub fn clear(&mut self) {
        self.0 = Vec::new();
    }

    /// All, in order.
    pub fn iter(&self) -> Iter<'_, K, V> {
        self.0.iter().map(|(k, v)| (k, v))
    }

    /// All keys, in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + Clone {
        self.0.iter().map(|(k, _)| k)
    }

    /// All values, in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.0.iter().map(|(_, v)| v)
    }

    /// All values, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.iter_mut().map(|(_, v)| v)
    }

    /// The keys alone.
    pub fn into_keys(self) -> impl Iterator<Item = K> {
        self.0.into_iter().map(|(k, _)| k)
    }

    /// The values alone, in the order of their keys.
    pub fn into_values(self) -> impl Iterator<Item = V> {
        self.0.into_iter().map(|(_, v)| v)
    }

    /// All, in order; the values to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.0.iter_mut().map(|(k, v)| (&*k, v))
    }

    /// Takes out the first; what is behind it moves.
    pub fn pop_first(&mut self) -> Option<(K, V)> {
        (!self.0.is_empty()).then(|| self.0.remove(0))
    }

    /// Takes out the last.
    pub fn pop_last(&mut self) -> Option<(K, V)> {
        self.0.pop()
    }

    /// Those alone for which it is so.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        self.0.retain_mut(|(k, v)| keep(k, v));
    }

    /// The first, if any.
    pub fn first_key_value(&self) -> Option<(&K, &V)> {
        self.0.first().map(|(k, v)| (k, v))
    }

    /// The last, if any.
    pub fn last_key_value(&self) -> Option<(&K, &V)> {
        self.0.last().map(|(k, v)| (k, v))
    }
}

impl<K: Ord, V> SortedMap<K, V> {
    /// Where a key is, or where it would be.
    fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        // What comes in order is the common case.
        match self.0.last() {
            Some((last, _)) if last.borrow() < key => Err(self.0.len()),
            _ => self.0.binary_search_by(|(k, _)| k.borrow().cmp(key)),
        }
    }

    /// The value of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.find(key).ok().map(|at| &self.0[at].1)
    }

    /// A key as it is kept, with its value.
    pub fn get_key_value<Q: Ord + ?Sized>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
    {
        self.find(key).ok().map(|at| (&self.0[at].0, &self.0[at].1))
    }

    /// The value of a key, to be changed.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.find(key).ok().map(|at| &mut self.0[at].1)
    }

    /// Whether a key is there.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.find(key).is_ok()
    }

    /// Puts a value in; the one before it, if any, comes back.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.find(&key) {
            Ok(at) => Some(std::mem::replace(&mut self.0[at].1, value)),
            Err(at) => {
                self.0.insert(at, (key, value));
                None
            }
        }
    }

    /// Takes a value out.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.find(key).ok().map(|at| self.0.remove(at).1)
    }

    /// The place of a key, taken or free.
    pub fn entry(&mut self, key: K) -> Entry<'_, K, V> {
        match self.find(&key) {
            Ok(at) => Entry::Occupied(OccupiedEntry(&mut self.0[at])),
            Err(at) => Entry::Vacant(VacantEntry { list: &mut self.0, at, key }),
        }
    }

    /// Those whose keys are within bounds, in order.
    pub fn range<Q: Ord + ?Sized>(&self, bounds: impl RangeBounds<Q>) -> Iter<'_, K, V>
    where
        K: Borrow<Q>,
    {
        let start = match bounds.start_bound() {
            Bound::Included(from) => self.0.partition_point(|(k, _)| k.borrow() < from),
            Bound::Excluded(from) => self.0.partition_point(|(k, _)| k.borrow() <= from),
            Bound::Unbounded => 0,
        };
        let end = match bounds.end_bound() {
            Bound::Included(to) => self.0.partition_point(|(k, _)| k.borrow() <= to),
            Bound::Excluded(to) => self.0.partition_point(|(k, _)| k.borrow() < to),
            Bound::Unbounded => self.0.len(),
        };
        self.0.get(start..end).unwrap_or_default().iter().map(|(k, v)| (k, v))
    }
}

/// What `SortedMap::iter` gives.
pub type Iter<'a, K, V> = std::iter::Map<slice::Iter<'a, (K, V)>, fn(&'a (K, V)) -> (&'a K, &'a V)>;

/// The place of a key.
pub enum Entry<'a, K, V> {
    /// There is a value.
    Occupied(OccupiedEntry<'a, K, V>),
    /// There is none.
    Vacant(VacantEntry<'a, K, V>),
}

/// A place that is taken.
pub struct OccupiedEntry<'a, K, V>(&'a mut (K, V));

/// A place that is free.
pub struct VacantEntry<'a, K, V> {
    list: &'a mut Vec<(K, V)>,
    at: usize,
    key: K,
}

impl<'a, K, V> Entry<'a, K, V> {
    /// The value, or this one put in.
    pub fn or_insert(self, value: V) -> &'a mut V {
        match self {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(value),
        }
    }

    /// The value, or a new one.
    pub fn or_insert_with(self, make: impl FnOnce() -> V) -> &'a mut V {
        match self {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(make()),
        }
    }

    /// The value, or the type's own first one.
    pub fn or_default(self) -> &'a mut V
    where
        V: Default,
    {
        self.or_insert_with(V::default)
    }
}

impl<'a, K, V> OccupiedEntry<'a, K, V> {
    /// The value.
    pub fn get(&self) -> &V {
        &self.0.1
    }

    /// The value, to be changed for as long as the map is lent.
    pub fn into_mut(self) -> &'a mut V {
        &mut self.0.1
    }
}

impl<'a, K, V> VacantEntry<'a, K, V> {
    /// Puts a value in.
    pub fn insert(self, value: V) -> &'a mut V {
        self.list.insert(self.at, (self.key, value));
        &mut self.list[self.at].1
    }
}

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> Self {
        SortedMap::new()
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for SortedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Ord, V> Extend<(K, V)> for SortedMap<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, pairs: I) {
        for (key, value) in pairs {
            self.insert(key, value);
        }
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for SortedMap<K, V> {
    /// Of equal keys the last.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut map = SortedMap::new();
        map.extend(pairs);
        map
    }
}

impl<K: Ord, V, const N: usize> From<[(K, V); N]> for SortedMap<K, V> {
    fn from(pairs: [(K, V); N]) -> Self {
        pairs.into_iter().collect()
    }
}

impl<K, V> IntoIterator for SortedMap<K, V> {
    type Item = (K, V);
    type IntoIter = vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, K, V> IntoIterator for &'a SortedMap<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K: Ord + Borrow<Q>, V, Q: Ord + ?Sized> std::ops::Index<&Q> for SortedMap<K, V> {
    type Output = V;

    fn index(&self, key: &Q) -> &V {
        self.get(key).expect("the key is there")
    }
}

/// What `SortedSet::iter` gives.
pub type Keys<'a, T> = std::iter::Map<slice::Iter<'a, (T, ())>, fn(&'a (T, ())) -> &'a T>;

/// A set in order.
#[derive(Clone, PartialEq, Eq)]
pub struct SortedSet<T>(SortedMap<T, ()>);

impl<T> SortedSet<T> {
    /// Nothing yet; takes no memory.
    pub const fn new() -> Self {
        SortedSet(SortedMap::new())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Drops all and their memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// All, in order.
    pub fn iter(&self) -> Keys<'_, T> {
        self.0.0.iter().map(|(one, ())| one)
    }

    /// Those alone for which it is so.
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.0.retain(|one, ()| keep(one));
    }
}

impl<T: Ord> SortedSet<T> {
    /// Puts one in; false when it was there.
    pub fn insert(&mut self, one: T) -> bool {
        self.0.insert(one, ()).is_none()
    }

    /// Whether one is there.
    pub fn contains<Q: Ord + ?Sized>(&self, one: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.0.contains_key(one)
    }

    /// Takes one out; false when it was not there.
    pub fn remove<Q: Ord + ?Sized>(&mut self, one: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.0.remove(one).is_some()
    }

    /// The last, if any.
    pub fn last(&self) -> Option<&T> {
        self.0.last_key_value().map(|(one, ())| one)
    }
}

impl<T> Default for SortedSet<T> {
    fn default() -> Self {
        SortedSet::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for SortedSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl<T: Ord> Extend<T> for SortedSet<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, all: I) {
        for one in all {
            self.insert(one);
        }
    }
}

impl<T: Ord> FromIterator<T> for SortedSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(all: I) -> Self {
        let mut set = SortedSet::new();
        set.extend(all);
        set
    }
}

impl<T: Ord, const N: usize> From<[T; N]> for SortedSet<T> {
    fn from(all: [T; N]) -> Self {
        all.into_iter().collect()
    }
}

impl<T> IntoIterator for SortedSet<T> {
    type Item = T;
    type IntoIter = std::iter::Map<vec::IntoIter<(T, ())>, fn((T, ())) -> T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().map(|(one, ())| one)
    }
}

impl<'a, T> IntoIterator for &'a SortedSet<T> {
    type Item = &'a T;
    type IntoIter = Keys<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// Numbers that look like chance, always the same.
    fn numbers(many: usize) -> impl Iterator<Item = u32> {
        let mut seed = 7_u32;
        std::iter::repeat_with(move || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed >> 20
        })
        .take(many)
    }

    fn same(ours: &SortedMap<u32, usize>, theirs: &BTreeMap<u32, usize>) {
        assert!(ours.iter().eq(theirs.iter()));
        assert_eq!((ours.len(), ours.is_empty()), (theirs.len(), theirs.is_empty()));
        assert_eq!(ours.first_key_value(), theirs.first_key_value());
        assert_eq!(ours.last_key_value(), theirs.last_key_value());
    }

    #[test]
    fn a_map_is_what_a_b_tree_is() {
        let (mut ours, mut theirs) = (SortedMap::new(), BTreeMap::new());
        same(&ours, &theirs);
        for (at, n) in numbers(5000).enumerate() {
            match n % 5 {
                0 => assert_eq!(ours.remove(&(n + 1)), theirs.remove(&(n + 1))),
                1 => assert_eq!(ours.entry(n).or_insert(at), theirs.entry(n).or_insert(at)),
                2 => *ours.entry(n).or_default() += *theirs.entry(n).and_modify(|v| *v *= 2).or_insert(0),
                _ => assert_eq!(ours.insert(n, at), theirs.insert(n, at)),
            }
            if n % 5 == 2 {
                ours.insert(n, theirs[&n]);
            }
            assert_eq!(ours.get(&n), theirs.get(&n));
            assert_eq!(ours.get_key_value(&(n / 2)), theirs.get_key_value(&(n / 2)));
            assert_eq!(ours.contains_key(&(n + 7)), theirs.contains_key(&(n + 7)));
        }
        same(&ours, &theirs);
        for (from, to) in numbers(200).zip(numbers(400).skip(200)).map(|(a, b)| (a.min(b), a.max(b))) {
            assert!(ours.range(from..to).eq(theirs.range(from..to)));
            assert!(ours.range(from..=to).eq(theirs.range(from..=to)));
            assert!(ours.range(from..).eq(theirs.range(from..)));
            let behind = (Bound::Excluded(from), Bound::Unbounded);
            assert!(ours.range(behind).eq(theirs.range(behind)));
        }
        ours.retain(|k, v| (*k as usize + *v).is_multiple_of(2));
        theirs.retain(|k, v| (*k as usize + *v).is_multiple_of(2));
        ours.values_mut().for_each(|v| *v += 1);
        theirs.values_mut().for_each(|v| *v += 1);
        same(&ours, &theirs);
        assert_eq!((ours.pop_first(), ours.pop_last()), (theirs.pop_first(), theirs.pop_last()));
        assert!(ours.clone().into_keys().eq(theirs.clone().into_keys()));
        assert!(ours.into_values().eq(theirs.into_values()));
    }

    #[test]
    fn of_equal_keys_the_last() {
        let map = SortedMap::from([(2, 'a'), (1, 'b'), (2, 'c')]);
        assert_eq!(map.into_iter().collect::<Vec<_>>(), [(1, 'b'), (2, 'c')]);
    }

    #[test]
    fn a_set_is_what_a_b_tree_is() {
        let (mut ours, mut theirs) = (SortedSet::new(), BTreeSet::new());
        for n in numbers(3000) {
            match n % 3 {
                0 => assert_eq!(ours.remove(&(n + 1)), theirs.remove(&(n + 1))),
                _ => assert_eq!(ours.insert(n), theirs.insert(n)),
            }
            assert_eq!(ours.contains(&(n ^ 1)), theirs.contains(&(n ^ 1)));
        }
        assert_eq!((ours.len(), ours.last()), (theirs.len(), theirs.last()));
        assert!(ours.iter().eq(theirs.iter()));
        assert!(ours.into_iter().eq(theirs));
    }

    /// Text is looked up by a part of it that is borrowed.
    #[test]
    fn by_what_is_borrowed() {
        let map: SortedMap<String, u8> = [("b".to_owned(), 1), ("a".to_owned(), 2)].into();
        assert_eq!((map.get("a"), map.get("c"), map["b"]), (Some(&2), None, 1));
        assert!(map.range::<str>((Bound::Excluded("a"), Bound::Unbounded)).map(|(k, _)| k).eq(["b"]));
    }
}
