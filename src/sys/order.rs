//! Order in lists that are short or seldom sorted, in little code. std's sorts are the fastest there are, at
//! four to five kilobytes for each type that is sorted; where a program sorts twenty types for a few entries
//! each, a tenth of a router's program would be sorts. Long lists (`model::index`) are std's to sort.

use std::cmp::Ordering;

/// Sorts in place; equal ones keep their order.
pub fn sort_by<T>(list: &mut [T], mut compare: impl FnMut(&T, &T) -> Ordering) {
    let mut order = merged(list.len(), &mut |a, b| compare(&list[a], &list[b]).is_lt());
    for start in 0..order.len() {
        let mut at = start;
        loop {
            let from = std::mem::replace(&mut order[at], at);
            if from == start {
                break;
            }
            list.swap(at, from);
            at = from;
        }
    }
}

/// Sorts in place by the order of the type itself.
pub fn sort<T: Ord>(list: &mut [T]) {
    sort_by(list, T::cmp);
}

/// The positions of a list in their new order, for any type: a merge sort. Nothing, without asking for
/// memory, when they are in order.
fn merged(len: usize, is_less: &mut dyn FnMut(usize, usize) -> bool) -> Vec<usize> {
    if (1..len).all(|at| !is_less(at, at - 1)) {
        return Vec::new();
    }
    let mut order: Vec<usize> = (0..len).collect();
    let mut next = order.clone();
    let mut width = 1;
    while width < len {
        for start in (0..len).step_by(2 * width) {
            let (middle, end) = ((start + width).min(len), (start + 2 * width).min(len));
            let (mut left, mut right) = (start, middle);
            for slot in &mut next[start..end] {
                // Of equal ones the left goes first.
                let from = match left < middle && (right == end || !is_less(order[right], order[left])) {
                    true => &mut left,
                    false => &mut right,
                };
                *slot = order[*from];
                *from += 1;
            }
        }
        std::mem::swap(&mut order, &mut next);
        width *= 2;
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_std_sorts() {
        let mut state = 1_u32;
        for len in (0..70).chain([127, 128, 129, 1000]) {
            let mut list: Vec<(u32, usize)> = Vec::new();
            for at in 0..len {
                state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
                list.push(((state >> 16) % 20, at)); // many are equal, so that it shows whether they stay in order
            }
            let mut right = list.clone();
            right.sort_by_key(|(key, _)| *key);
            sort_by(&mut list, |a, b| a.0.cmp(&b.0));
            assert_eq!(list, right, "{len}");
            list.reverse();
            sort(&mut list);
            right.sort();
            assert_eq!(list, right, "{len}");
        }
    }
}
