// Trait objects, generics, closures, 128-bit and checked arithmetic, saturating casts, Result with `?`.
use std::fmt;

trait Animal {
    fn name(&self) -> String;
    fn legs(&self) -> u32 {
        4
    }
}
struct Dog;
struct Bird(&'static str);
impl Animal for Dog {
    fn name(&self) -> String {
        "dog".into()
    }
}
impl Animal for Bird {
    fn name(&self) -> String {
        format!("bird {}", self.0)
    }
    fn legs(&self) -> u32 {
        2
    }
}

#[derive(Debug)]
enum Problem {
    Empty,
    Bad(std::num::ParseIntError),
}
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Problem::Empty => write!(f, "empty"),
            Problem::Bad(e) => write!(f, "bad: {}", e),
        }
    }
}
fn parse(text: &str) -> Result<i32, Problem> {
    if text.is_empty() {
        return Err(Problem::Empty);
    }
    Ok(text.trim().parse::<i32>().map_err(Problem::Bad)? * 2)
}

fn compose<A, B, C>(f: impl Fn(A) -> B, g: impl Fn(B) -> C) -> impl Fn(A) -> C {
    move |x| g(f(x))
}

struct Counter(u32);
impl Drop for Counter {
    fn drop(&mut self) {
        println!("drop {}", self.0);
    }
}

fn main() {
    let zoo: Vec<Box<dyn Animal>> = vec![Box::new(Dog), Box::new(Bird("robin")), Box::new(Dog)];
    println!("{:?} {}", zoo.iter().map(|a| a.name()).collect::<Vec<_>>(), zoo.iter().map(|a| a.legs()).sum::<u32>());
    for text in ["21", " 7 ", "", "x1", "99999999999"] {
        match parse(text) {
            Ok(v) => println!("{:?} -> {}", text, v),
            Err(e) => println!("{:?} -> {}", text, e),
        }
    }
    let f = compose(|x: i32| x + 1, |x: i32| format!("<{}>", x));
    println!("{}", f(41));

    let big: u128 = (1..=30).map(|i| i as u128).product();
    println!("{} {} {}", big, big / 1_000_000_007, big % 998_244_353);
    println!("{:?} {:?} {}", i32::MAX.checked_add(1), 250u8.overflowing_add(10), i8::MIN.wrapping_abs());
    println!("{} {} {} {}", -1.5f32 as u8, 1e20f64 as i32, f64::NAN as i64, -1e30 as i64);
    println!("{} {} {}", u64::MAX.leading_zeros(), 0x0f0f_0000u32.trailing_zeros(), i64::MIN.count_ones());
    println!("{} {}", (-7i32).rem_euclid(3), 7u32.pow(11).rotate_left(13));

    let _first = Counter(1);
    let second = Counter(2);
    drop(second);
    let total: f64 = (1..=1000).map(f64::from).map(f64::sqrt).sum();
    println!("{:.9}", total);
}
