// A panic prints its message and traps.
// native: no
// expect: before
// trap: unreachable
// stderr: index out of bounds
fn main() {
    println!("before");
    let numbers: Vec<usize> = (0..3).collect();
    println!("{}", numbers[numbers.len() + std::env::args().count()]);
}
