// Vec, HashMap, BTreeMap, String, sorting, iterators and formatting.
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet, VecDeque};
use std::rc::Rc;

#[derive(Debug, Clone, PartialEq)]
enum Tree {
    Leaf(i64),
    Node(Rc<Tree>, Rc<Tree>),
}

fn sum(tree: &Tree) -> i64 {
    match tree {
        Tree::Leaf(v) => *v,
        Tree::Node(l, r) => sum(l) + sum(r),
    }
}

fn build(depth: u32, next: &mut i64) -> Rc<Tree> {
    if depth == 0 {
        *next += 1;
        return Rc::new(Tree::Leaf(*next));
    }
    let left = build(depth - 1, next);
    Rc::new(Tree::Node(left, build(depth - 1, next)))
}

fn main() {
    let mut state = 42u64;
    let mut next = move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as u32
    };
    let mut numbers: Vec<u32> = (0..5000).map(|_| next() % 100_000).collect();
    numbers.sort_unstable();
    numbers.dedup();
    println!("{} {:?} {:?}", numbers.len(), &numbers[..4], numbers.binary_search(&numbers[777]));

    let mut counts: HashMap<String, usize> = HashMap::new();
    for word in "one fish two fish red fish blue fish".split_whitespace() {
        *counts.entry(word.to_string()).or_default() += 1;
    }
    let mut sorted: Vec<_> = counts.iter().collect();
    sorted.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    println!("{:?}", sorted);

    let map: BTreeMap<i32, String> = (0..40).map(|i| (i * 7 % 41, format!("v{:03}", i))).collect();
    println!("{:?}", map.range(10..14).collect::<Vec<_>>());
    let mut heap: BinaryHeap<i32> = map.keys().map(|k| k ^ 21).collect();
    println!("{:?}", (0..5).filter_map(|_| heap.pop()).collect::<Vec<_>>());
    let mut queue: VecDeque<i32> = (0..10).collect();
    queue.rotate_left(3);
    println!("{:?} {}", queue, (1..100).map(|i| i * i % 97).collect::<HashSet<i32>>().len());

    let text = "zażółć gęślą jaźń";
    println!("{} {} {}", text.len(), text.chars().count(), text.chars().rev().collect::<String>());
    println!("{}", text.to_uppercase());
    println!("{:>8}|{:<8}|{:^8}|{:+}|{:#x}|{:#010b}|{:e}", "r", "l", "m", 5, 255, 5, 1234.5);
    println!("{:.3} {:?} {:?} {}", 2.0f64 / 3.0, 0.1f32 + 0.2f32, 1e21f64, f64::MAX);
    println!("{:?} {:?}", "42".parse::<u8>(), "300".parse::<u8>().is_err());

    let mut seed = 0;
    let tree = build(10, &mut seed);
    println!("{} {}", sum(&tree), *tree == (*build(10, &mut 0)).clone());
    println!("{:?}", Tree::Node(Rc::new(Tree::Leaf(1)), Rc::new(Tree::Leaf(-2))));
}
